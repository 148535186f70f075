"""Work to do is rows. Any worker takes the next row that no other holds; a dead worker's row is free again.

The scheduler only says when (`fire`); an action says what (`enqueue`) in the transaction that makes it necessary.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import BigInteger, DateTime, Identity, String, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from exchange.clock import system_now
from exchange.db import Base
from exchange.services import Services

CHANNEL = "exchange_work"
FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=10)
INSTANT = timedelta(microseconds=1)

Handler = Callable[[Services, Session, dict[str, Any]], None]
"""Does one row of work inside the transaction that takes the row off the list."""

log = structlog.get_logger()


class VirtualTime(Base):
    """The one row that is the virtual clock."""

    __tablename__ = "virtual_clock"

    clock_id: Mapped[int] = mapped_column(primary_key=True)
    moment: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class WorkItem(Base):
    """One piece of work nobody has finished. `due_at` is machine time: when to try (again)."""

    __tablename__ = "work_item"

    work_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    job: Mapped[str] = mapped_column(String)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    last_error: Mapped[str | None] = mapped_column(String)


class Fired(Base):
    """The one row that says up to when the schedule was fired: what was missed is caught up, nothing fires twice."""

    __tablename__ = "schedule_fired"

    schedule_id: Mapped[int] = mapped_column(primary_key=True)
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))


def set_virtual_time(session: Session, *, moment: datetime) -> None:
    """Move the virtual clock to `moment` and wake the workers."""
    row = insert(VirtualTime).values(clock_id=1, moment=moment)
    session.execute(row.on_conflict_do_update(index_elements=["clock_id"], set_={"moment": moment}))
    wake(session)


def enqueue(session: Session, *, job: str, payload: Mapping[str, Any]) -> None:
    """Ask for work once this transaction commits."""
    session.execute(insert(WorkItem).values(job=job, payload=dict(payload), attempts=0, due_at=system_now()))
    wake(session)


def wake(session: Session) -> None:
    """Tell waiting workers, when this transaction commits, that there is something to do."""
    session.execute(text(f"NOTIFY {CHANNEL}"))


def fired_until(session: Session) -> datetime | None:
    """Up to when the schedule was fired; None before the first time."""
    return session.execute(select(Fired.until)).scalar_one_or_none()


def fire(session: Session, *, schedule: Mapping[str, str], now: datetime, time_zone: str) -> int:
    """Put on the list of work every firing of `schedule` up to `now` that was not fired yet, oldest first; how many.

    `schedule` gives a cron line (minute, hour, day, month, weekday in `time_zone`) for each job. The first call
    only marks the beginning. Concurrent calls wait for each other on the one row.
    """
    session.execute(insert(Fired).values(schedule_id=1, until=now).on_conflict_do_nothing())
    fired = session.execute(select(Fired).with_for_update()).scalar_one()
    due = [
        (moment, job)
        for job, cron in schedule.items()
        for moment in moments(cron, after=fired.until, until=now, time_zone=time_zone)
    ]
    for moment, job in sorted(due):
        enqueue(session, job=job, payload={"fire_at": moment.isoformat()})
    fired.until = max(now, fired.until)
    session.flush()
    return len(due)


def moments(cron: str, *, after: datetime, until: datetime, time_zone: str) -> Iterator[datetime]:
    """The moments of a cron line in (after, until], in UTC."""
    trigger = CronTrigger.from_crontab(cron, timezone=ZoneInfo(time_zone))
    moment = trigger.get_next_fire_time(None, after + INSTANT)
    while moment is not None and moment <= until:
        yield moment.astimezone(UTC)
        moment = trigger.get_next_fire_time(moment, moment + INSTANT)


def run_one(services: Services, handlers: Mapping[str, Handler]) -> bool:
    """Do the next due piece of work; False when there is none. A failing one waits and lets others pass."""
    taken: list[tuple[int, str]] = []
    try:
        with services.database.transaction() as session:
            item = _take(session)
            if item is None:
                return False
            taken.append((item.work_id, item.job))
            handlers[item.job](services, session, item.payload)
            session.execute(delete(WorkItem).where(WorkItem.work_id == item.work_id))
    except Exception as error:
        if not taken:
            raise
        work_id, job = taken[0]
        log.exception("work failed", job=job, work_id=work_id)
        _postpone(services, work_id=work_id, error=error)
    return True


def unfinished(session: Session) -> int:
    """How many pieces of work are not finished."""
    return session.execute(select(func.count()).select_from(WorkItem)).scalar_one()


def _take(session: Session) -> WorkItem | None:
    query = select(WorkItem).where(WorkItem.due_at <= system_now()).order_by(WorkItem.work_id).limit(1)
    return session.execute(query.with_for_update(skip_locked=True)).scalar_one_or_none()


def _postpone(services: Services, *, work_id: int, error: Exception) -> None:
    with services.database.transaction() as session:
        item = session.execute(select(WorkItem).where(WorkItem.work_id == work_id)).scalar_one()
        wait = min(FIRST_RETRY * 2**item.attempts, LONGEST_RETRY)
        session.execute(
            update(WorkItem)
            .where(WorkItem.work_id == work_id)
            .values(
                attempts=item.attempts + 1,
                due_at=system_now() + wait,
                last_error=f"{type(error).__name__}: {error}",
            )
        )
