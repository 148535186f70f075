"""Work to do is rows. Any worker takes the next row that no other holds; a dead worker's row is free again.

The scheduler only says when (`fire`); an action says what (`enqueue`) in the transaction that makes it necessary.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import structlog
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import BigInteger, DateTime, Identity, Row, ScalarSelect, String, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from exchange.clock import system_now
from exchange.db import Base
from exchange.services import Services

CHANNEL = "exchange"

FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=10)
MOST_DOUBLINGS = 10  # enough to reach the longest wait; a power of two without end overflows
LONGEST_ERROR = 2000
INSTANT = timedelta(microseconds=1)

Handler = Callable[[Services, Session, dict[str, Any]], None]
"""Does one row of work inside the transaction that takes the row off the list."""

NOTIFY = text("SELECT pg_notify(:channel, :what)")
ENQUEUE = text("""
    WITH listed AS (
        INSERT INTO work_item (job, payload, attempts, due_at) VALUES (:job, cast(:payload AS jsonb), 0, :due_at)
    )
    SELECT pg_notify(:channel, :what)
""")
TAKE = text("""
    DELETE FROM work_item WHERE work_id = (
        SELECT work_id FROM work_item WHERE due_at <= :now ORDER BY work_id LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING work_id, job, payload
""")

log = structlog.get_logger()


class Wakes(StrEnum):
    """What a worker can be woken for.

    The clock moved, work is listed, facts wait for their seal, mail for delivery, a checkpoint for its witnesses.
    """

    CLOCK = "clock"
    WORK = "work"
    FACTS = "facts"
    MAIL = "mail"
    CHECKPOINT = "checkpoint"


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


def set_virtual_time(session: Session, *, moment: datetime) -> bool:
    """Move the virtual clock to `moment` and wake the workers; False when it stands later already."""
    row = insert(VirtualTime).values(clock_id=1, moment=moment)
    forward = row.on_conflict_do_update(
        index_elements=["clock_id"], set_={"moment": moment}, where=VirtualTime.moment <= moment
    )
    moved = session.execute(forward.returning(VirtualTime.clock_id)).first() is not None
    wake(session, Wakes.CLOCK)
    return moved


def enqueue(session: Session, *, job: str, payload: Mapping[str, Any]) -> None:
    """Ask for work once this transaction commits."""
    parameters = {"job": job, "payload": orjson.dumps(payload).decode(), "due_at": system_now()}
    session.execute(ENQUEUE, parameters | {"channel": CHANNEL, "what": Wakes.WORK.value})


def wake(session: Session, what: Wakes) -> None:
    """Tell workers, when this transaction commits, what kind of thing there is to do."""
    session.execute(NOTIFY, {"channel": CHANNEL, "what": what.value})


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
    trigger = _trigger(cron, time_zone)
    moment = trigger.get_next_fire_time(None, after + INSTANT)
    while moment is not None and moment <= until:
        yield moment.astimezone(UTC)
        moment = trigger.get_next_fire_time(moment, moment + INSTANT)


def run_one(services: Services, handlers: Mapping[str, Handler]) -> bool:
    """Do the next due piece of work; False when there is none. A failing one waits and lets others pass.

    The row is taken off the list in the transaction that does the work: either both happen or neither.
    """
    taken: list[Row[Any]] = []
    try:
        with services.database.transaction() as session:
            item = session.execute(TAKE, {"now": system_now()}).first()
            if item is None:
                return False
            taken.append(item)
            handlers[item.job](services, session, item.payload)
    except Exception as error:
        if not taken:
            raise
        log.exception("work failed", job=taken[0].job, work_id=taken[0].work_id)
        _postpone(services, work_id=taken[0].work_id, error=error)
    return True


def unfinished() -> ScalarSelect[int]:
    """How many pieces of work are not finished."""
    return select(func.count()).select_from(WorkItem).scalar_subquery()


@cache
def _trigger(cron: str, time_zone: str) -> CronTrigger:
    return CronTrigger.from_crontab(cron, timezone=ZoneInfo(time_zone))


def _postpone(services: Services, *, work_id: int, error: Exception) -> None:
    """Let failed work wait, longer each time; not if another worker has it, or has finished it, by now."""
    with services.database.transaction() as session:
        query = select(WorkItem).where(WorkItem.work_id == work_id).with_for_update(skip_locked=True)
        item = session.execute(query).scalar_one_or_none()
        if item is None:
            return
        wait = min(FIRST_RETRY * 2 ** min(item.attempts, MOST_DOUBLINGS), LONGEST_RETRY)
        session.execute(
            update(WorkItem)
            .where(WorkItem.work_id == work_id)
            .values(
                attempts=item.attempts + 1,
                due_at=system_now() + wait,
                last_error=repr(error)[:LONGEST_ERROR],  # escaped: PostgreSQL's text has no NUL
            )
        )
