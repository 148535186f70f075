"""Work to do is rows. Any worker takes the next row that no other holds; a dead worker's row is free again.

The scheduler only says when (`fire`); an action says what (`enqueue`) in the transaction that makes it necessary.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import psycopg
import structlog
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Identity,
    Row,
    ScalarSelect,
    String,
    delete,
    func,
    select,
    text,
    update,
)
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
AHEAD_SECONDS = 0.1
HEARTBEATS_KEPT = timedelta(days=1)
MOST_LOST = 5
"""So many times in a row a worker may die of the same work; then it is set aside, until an operator decides."""
LOST = "The worker died with it in hand."

Handler = Callable[[Services, Session, dict[str, Any]], None]
"""Does one row of work inside the transaction that takes the row off the list."""

NOTIFY = text("SELECT pg_notify(:channel, :what)")
ENQUEUE = text("""
    WITH listed AS (
        INSERT INTO work_item (job, payload, attempts, due_at) VALUES (:job, cast(:payload AS jsonb), 0, :due_at)
    )
    SELECT pg_notify(:channel, :what)
""")
BEGIN = text("""
    UPDATE work_item SET lost = lost + 1, attempts = attempts + least(lost, 1), due_at = :later,
           last_error = CASE WHEN lost > 0 THEN :error ELSE last_error END
    WHERE work_id = (
        SELECT work_id FROM work_item WHERE due_at <= :now AND lost < :most ORDER BY work_id LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
    RETURNING work_id, set_config('synchronous_commit', 'off', true)
""")
"""Says beforehand that the work is begun: who dies of it leaves that behind. Only the server's death may lose it."""
TAKE = text("""
    DELETE FROM work_item WHERE work_id = (
        SELECT work_id FROM work_item WHERE work_id = :work_id FOR UPDATE SKIP LOCKED
    )
    RETURNING work_id, job, payload, pg_backend_pid() AS backend
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
    """One piece of work nobody has finished. `due_at` is machine time: when to try (again).

    `lost` counts how often it was begun since it last ended in any way: above 1, workers die of it.
    """

    __tablename__ = "work_item"

    work_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    job: Mapped[str] = mapped_column(String)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    last_error: Mapped[str | None] = mapped_column(String)
    lost: Mapped[int] = mapped_column(server_default=text("0"))


class WorkDecision(Base):
    """What an operator decided of work that fails, with the work as it was. Rows are only added."""

    __tablename__ = "work_decision"
    __table_args__ = (CheckConstraint("decision IN ('retry', 'discard')", name="decision_known"),)

    decision_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    work_id: Mapped[int] = mapped_column(BigInteger)
    job: Mapped[str] = mapped_column(String)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    attempts: Mapped[int]
    last_error: Mapped[str | None] = mapped_column(String)
    decision: Mapped[str] = mapped_column(String)
    decided_by: Mapped[str] = mapped_column(String)
    reason: Mapped[str] = mapped_column(String)
    decided_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Heartbeat(Base):
    """A worker process (host and process id) and when it said last that it lives: machine time."""

    __tablename__ = "worker_heartbeat"

    worker: Mapped[str] = mapped_column(String, primary_key=True)
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Fired(Base):
    """The one row that says up to when the schedule was fired: what was missed is caught up, nothing fires twice."""

    __tablename__ = "schedule_fired"

    schedule_id: Mapped[int] = mapped_column(primary_key=True)
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class TookTooLong(Exception):
    """Work that was given up."""


@dataclass(slots=True)
class Hand:
    """What a worker's loop has in hand, for whoever watches it; and what it had last."""

    work_id: int = 0
    job: str = ""
    backend: int = 0
    since: float | None = None
    failed: bool = False
    seconds: float = 0.0

    def busy_seconds(self) -> float:
        """For how long it has been at the same piece; 0 when it is at none."""
        since = self.since
        return 0.0 if since is None else time.monotonic() - since

    def take(self, item: Row[Any]) -> None:
        """Note a piece of work as begun."""
        self.work_id, self.job, self.backend, self.failed = item.work_id, item.job, item.backend, False
        self.since = time.monotonic()

    def put_down(self, *, failed: bool) -> None:
        """Note it as done, or failed."""
        self.failed, self.seconds = failed, self.busy_seconds()
        self.since = None


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


def run_one(services: Services, handlers: Mapping[str, Handler], *, hand: Hand | None = None) -> bool:
    """Do the next due piece of work; False when there is none. A failing one waits and lets others pass.

    The row is taken off the list in the transaction that does the work: either both happen or neither. That it was
    begun is committed before: work that kills its worker is tried `MOST_LOST` times. `hand` shows what is being done.
    """
    taken: list[Row[Any]] = []
    hand = hand or Hand()
    now = system_now()
    begin = {"now": now, "later": now + FIRST_RETRY, "most": MOST_LOST, "error": LOST}
    with services.database.transaction() as session:
        begun = session.execute(BEGIN, begin).first()
    if begun is None:
        return False
    try:
        with services.database.transaction() as session:
            item = session.execute(TAKE, {"work_id": begun.work_id}).first()
            if item is None:  # we were so slow that another began it too
                return True
            taken.append(item)
            hand.take(item)
            handlers[item.job](services, session, item.payload)
    except Exception as error:
        if not taken:
            raise
        hand.put_down(failed=True)
        log.exception("work failed", job=taken[0].job, work_id=taken[0].work_id)
        _postpone(services, work_id=taken[0].work_id, error=error)
    else:
        hand.put_down(failed=False)
    return True


def give_up(services: Services, hand: Hand) -> None:
    """End the transaction of work that hangs, wherever it hangs: what it did is undone, and it waits as if it failed.

    Asked of the server by the login itself: the role of the service may not end what a login with more rights began.
    """
    url = services.database.url.replace("postgresql+psycopg://", "postgresql://")
    error = TookTooLong(f"given up after {hand.busy_seconds():.0f} s")
    log.error("work given up", job=hand.job, work_id=hand.work_id, seconds=hand.busy_seconds())

    def end() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", [hand.backend])

    ending = threading.Timer(AHEAD_SECONDS, end)
    ending.start()
    _postpone(services, work_id=hand.work_id, error=error, in_line=True)  # first in the line when the row is let go
    ending.join()


def beat(session: Session, *, worker: str, started_at: datetime, now: datetime) -> None:
    """Say that a worker lives at the machine time `now`; forget those that have not for a day."""
    row = insert(Heartbeat).values(worker=worker, started_at=started_at, seen_at=now)
    session.execute(
        row.on_conflict_do_update(index_elements=["worker"], set_={"seen_at": now, "started_at": started_at})
    )
    session.execute(delete(Heartbeat).where(Heartbeat.seen_at < now - HEARTBEATS_KEPT))


def unfinished() -> ScalarSelect[int]:
    """How many pieces of work are not finished."""
    return select(func.count()).select_from(WorkItem).scalar_subquery()


@cache
def _trigger(cron: str, time_zone: str) -> CronTrigger:
    return CronTrigger.from_crontab(cron, timezone=ZoneInfo(time_zone))


def _postpone(services: Services, *, work_id: int, error: Exception, in_line: bool = False) -> None:
    """Let failed work wait, longer each time; not if another has it (unless to wait `in_line`), or has finished it."""
    with services.database.transaction() as session:
        query = select(WorkItem).where(WorkItem.work_id == work_id).with_for_update(skip_locked=not in_line)
        item = session.execute(query).scalar_one_or_none()
        if item is None:
            return
        wait = min(FIRST_RETRY * 2 ** min(item.attempts, MOST_DOUBLINGS), LONGEST_RETRY)
        session.execute(
            update(WorkItem)
            .where(WorkItem.work_id == work_id)
            .values(
                attempts=item.attempts + 1,
                lost=0,
                due_at=system_now() + wait,
                last_error=repr(error)[:LONGEST_ERROR],  # escaped: PostgreSQL's text has no NUL
            )
        )
