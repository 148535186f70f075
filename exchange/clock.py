"""The one place that reads the time.

Business time (`Clock.now`) is the system's in production and a row in the database on a virtual clock, so that every
process of a replay lives the same day. Protocol time (tokens, callback attempts) is always `system_now`.
"""

from datetime import UTC, date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.settings import Settings

MOMENT = text("SELECT moment FROM virtual_clock")


class Clock(Protocol):
    """Says what time it is for the business."""

    def now(self, session: Session) -> datetime:
        """The present moment, in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self, session: Session) -> datetime:  # noqa: ARG002 - one face for both clocks
        """The machine's time."""
        return system_now()


class VirtualClock:
    """A clock that stands still until somebody moves it (`exchange.jobs.set_virtual_time`)."""

    def now(self, session: Session) -> datetime:
        """The moment the clock was last moved to."""
        moment: datetime = session.execute(MOMENT).scalar_one()
        return moment.astimezone(UTC)


def system_now() -> datetime:
    """The machine's time, in UTC."""
    return datetime.now(UTC)


def clock_for(settings: Settings) -> Clock:
    """The clock these settings ask for."""
    return VirtualClock() if settings.virtual_clock else SystemClock()


def business_date(moment: datetime, *, time_zone: str) -> date:
    """The calendar date of `moment` where the exchange does business."""
    return moment.astimezone(ZoneInfo(time_zone)).date()
