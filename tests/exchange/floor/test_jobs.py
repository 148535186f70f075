"""The list of work and the schedule: nothing twice, nothing lost, nothing in the way."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Barrier, Event
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.clock import system_now
from exchange.jobs import Fired, Handler, WorkItem
from exchange.operations.actions import decide_work
from exchange.operations.queries import failing_work
from exchange.services import Services
from tests.exchange.owner import as_owner

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
SHANGHAI, BERLIN = "Asia/Shanghai", "Europe/Berlin"


def _put(services: Services, *names: str, job: str = "note") -> None:
    with services.database.transaction() as session:
        for name in names:
            jobs.enqueue(session, job=job, payload={"name": name})


def _left(services: Services) -> list[WorkItem]:
    with services.database.transaction() as session:
        return list(session.execute(select(WorkItem).order_by(WorkItem.work_id)).scalars())


def _due_now(services: Services) -> None:
    with services.database.transaction() as session:
        session.execute(update(WorkItem).values(due_at=system_now()))


def _notes(done: list[str]) -> dict[str, Handler]:
    def note(_services: Services, _session: Session, payload: dict[str, Any]) -> None:
        done.append(payload["name"])

    return {"note": note}


def test_work_is_done_in_order(services: Services) -> None:
    """First come, first served, and then there is none."""
    done: list[str] = []
    _put(services, "a", "b", "c")
    while jobs.run_one(services, _notes(done)):
        pass
    assert (done, _left(services)) == (["a", "b", "c"], [])


def test_asking_for_work_is_part_of_the_transaction(services: Services) -> None:
    """Who rolls back has asked for nothing."""

    def ask_and_fail(session: Session) -> None:
        jobs.enqueue(session, job="note", payload={})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        services.database.run(ask_and_fail)
    assert not jobs.run_one(services, {})


def test_without_a_database_there_is_no_work(services: Services) -> None:
    """What fails before a piece is taken is the caller's to hear: there is nothing to put off."""
    with as_owner(services.database) as session:
        session.execute(text("ALTER TABLE work_item RENAME TO elsewhere"))
    with pytest.raises(ProgrammingError):
        jobs.run_one(services, {})


def test_failing_work_waits_and_lets_others_pass(services: Services) -> None:
    """Its own writes are undone, the next piece is done, and it comes again when its time comes."""
    done: list[str] = []

    def fail(_services: Services, session: Session, _payload: dict[str, Any]) -> None:
        session.execute(delete(WorkItem))
        raise ValueError("no\0text \ud800 \N{SNOWMAN}")

    _put(services, "bad", job="fail")
    _put(services, "good")
    handlers = _notes(done) | {"fail": fail}
    assert [jobs.run_one(services, handlers) for _ in range(3)] == [True, True, False]
    (item,) = _left(services)
    assert (item.job, item.attempts, done) == ("fail", 1, ["good"])
    assert item.last_error is not None
    assert item.last_error.startswith("ValueError('no\\x00text")
    assert item.due_at > system_now()
    _due_now(services)
    assert jobs.run_one(services, _notes(done) | {"fail": _notes(done)["note"]})
    assert (done, _left(services)) == (["good", "bad"], [])


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 1), (1, 2), (9, 512), (10, 600), (60, 600), (100_000, 600)])
def test_the_wait_grows_and_ends_growing(services: Services, attempts: int, seconds: int) -> None:
    """Doubled each time up to ten minutes: after a week of failures it is still put off, not in everybody's way."""
    _put(services, "x", job="nobody knows this job")
    with services.database.transaction() as session:
        session.execute(update(WorkItem).values(attempts=attempts))
    before = system_now()
    assert jobs.run_one(services, {})
    (item,) = _left(services)
    assert item.attempts == attempts + 1
    assert timedelta(seconds=seconds) <= item.due_at - before < timedelta(seconds=seconds + 5)
    assert item.last_error == "KeyError('nobody knows this job')"


def test_work_that_kills_its_worker_is_set_aside(services: Services) -> None:
    """Each beginning counts though nothing of it is left; after some in a row it lets others pass, until retried."""

    def die(*_: object) -> None:
        raise SystemExit  # no `Exception`: as a process that ends, it leaves the rows as they are

    done: list[str] = []
    _put(services, "poison", job="die")
    _put(services, "good")
    for _ in range(jobs.MOST_LOST):
        with pytest.raises(SystemExit):
            jobs.run_one(services, {"die": die})
        _due_now(services)
    assert [jobs.run_one(services, _notes(done)) for _ in range(2)] == [True, False]
    (item,) = _left(services)
    assert (item.lost, item.attempts, item.last_error) == (jobs.MOST_LOST, jobs.MOST_LOST - 1, jobs.LOST)
    with services.database.transaction() as session:
        assert [row["set_aside"] for row in failing_work(session, after=0, limit=10)] == [True]
        decide_work(
            session, work_id=item.work_id, decision="retry", by="cli_operator", reason="mended", now=system_now()
        )
    assert jobs.run_one(services, {"die": _notes(done)["note"]})
    assert (done, _left(services)) == (["good", "poison"], [])


def test_an_error_is_no_death(services: Services) -> None:
    """Work that fails and says so is tried without end."""
    _put(services, "x", job="nobody knows this job")
    for _ in range(jobs.MOST_LOST + 1):
        assert jobs.run_one(services, {})
        _due_now(services)
    (item,) = _left(services)
    assert (item.attempts, item.lost) == (jobs.MOST_LOST + 1, 0)


def test_work_begun_twice_is_done_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is slow to take what it began finds that another has it."""
    done: list[str] = []
    _put(services, "x")
    monkeypatch.setattr(jobs, "TAKE", text("SELECT WHERE :work_id < 0"))
    assert jobs.run_one(services, _notes(done))
    assert (done, len(_left(services))) == ([], 1)


def test_work_another_has_finished_is_not_put_off(services: Services) -> None:
    """Between my failure and my note of it another worker may have done it: then there is nothing to note."""
    _put(services, "x")
    (item,) = _left(services)
    assert jobs.run_one(services, _notes([]))
    jobs._postpone(services, work_id=item.work_id, error=ValueError())
    assert _left(services) == []
    _put(services, "y")
    (item,) = _left(services)
    with services.database.transaction() as other:
        assert other.execute(jobs.TAKE, {"work_id": item.work_id}).first() is not None
        jobs._postpone(services, work_id=item.work_id, error=ValueError())
    assert _left(services) == []


def test_many_workers_do_nothing_twice(services: Services) -> None:
    """Four threads, sixty pieces, each done once; none waits for a slow one."""
    done: list[str] = []
    names = [str(n) for n in range(60)]
    _put(services, *names)

    def drain(_: int) -> None:
        while jobs.run_one(services, _notes(done)):
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(drain, range(4)))
    assert Counter(done) == Counter(names)
    assert _left(services) == []


def test_a_slow_piece_blocks_nobody(services: Services) -> None:
    """While one worker is at it, another takes the next."""
    started, go_on, done = Event(), Event(), list[str]()

    def slow(*_: object) -> None:
        started.set()
        assert go_on.wait(10)

    _put(services, "s", job="slow")
    _put(services, "n")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(jobs.run_one, services, {"slow": slow})
        assert started.wait(10)
        assert jobs.run_one(services, _notes(done))
        assert not jobs.run_one(services, _notes(done))
        go_on.set()
        assert first.result()
    assert (done, _left(services)) == (["n"], [])


def test_the_first_firing_only_marks_the_beginning(services: Services) -> None:
    """An exchange that starts today owes nothing for yesterday; missed days are caught up once, oldest first."""
    schedule = {"late": "0 22 * * *", "early": "0 10 * * *"}

    def fire(now: datetime) -> int:
        with services.database.transaction() as session:
            return jobs.fire(session, schedule=schedule, now=now, time_zone=SHANGHAI)

    assert fire(NOW) == 0
    assert fire(NOW) == 0
    assert fire(NOW + timedelta(days=3)) == 6
    assert fire(NOW + timedelta(days=3)) == 0
    assert fire(NOW + timedelta(days=1)) == 0, "a clock that went back fires nothing"
    assert fire(NOW + timedelta(days=3, hours=1)) == 1, "ten o'clock sharp is due"
    days = [(item.job, item.payload["fire_at"]) for item in _left(services)]
    assert days == [
        (job, (datetime(2026, 3, day, hour, tzinfo=UTC)).isoformat())
        for day in (2, 3, 4)
        for job, hour in (("early", 2), ("late", 14))
    ] + [("early", datetime(2026, 3, 5, 2, tzinfo=UTC).isoformat())]


def test_many_fire_once(services: Services) -> None:
    """Eight at once: one firing each day, and the mark stands at the latest moment."""
    together = Barrier(8)
    with services.database.transaction() as session:
        jobs.fire(session, schedule={}, now=NOW, time_zone=SHANGHAI)

    def fire(hours: int) -> int:
        together.wait()
        with services.database.transaction() as session:
            now = NOW + timedelta(hours=hours)
            return jobs.fire(session, schedule={"x": "0 * * * *"}, now=now, time_zone=SHANGHAI)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(fire, range(1, 9))) == 8
    assert len({item.payload["fire_at"] for item in _left(services)}) == 8
    with services.database.transaction() as session:
        assert session.execute(select(Fired.until)).scalar_one() == NOW + timedelta(hours=8)


CRONS = st.sampled_from(["0 10 * * *", "30 2 * * *", "*/7 1-3 * * *", "0 0 31 * *", "59 23 * * sun", "0 0 29 2 *"])
STEPS = st.lists(st.timedeltas(timedelta(), timedelta(days=3)), min_size=1, max_size=4)
BEGINNINGS = st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


@given(CRONS, st.sampled_from([SHANGHAI, BERLIN, "UTC"]), BEGINNINGS, STEPS)
def test_however_often_one_looks(cron: str, zone: str, begin: datetime, steps: list[timedelta]) -> None:
    """Looking once at the end or many times on the way gives the same moments, each once and in order."""
    ends = [begin + sum(steps[:n], timedelta()) for n in range(len(steps) + 1)]
    once = list(jobs.moments(cron, after=ends[0], until=ends[-1], time_zone=zone))
    often = [
        moment
        for after, until in pairwise(ends)
        for moment in jobs.moments(cron, after=after, until=until, time_zone=zone)
    ]
    assert once == often
    assert once == sorted(set(once))
    assert all(ends[0] < moment <= ends[-1] for moment in once)


def test_daily_at_ten_in_the_zone() -> None:
    """Ten o'clock on the wall, on both sides of a change to summer time."""
    begin = datetime(2026, 3, 28, tzinfo=UTC)
    found = list(jobs.moments("0 10 * * *", after=begin, until=begin + timedelta(days=3), time_zone=BERLIN))
    assert [moment.astimezone(ZoneInfo(BERLIN)).hour for moment in found] == [10, 10, 10]
    assert [moment.hour for moment in found] == [9, 8, 8]


def test_the_virtual_clock_never_goes_back(services: Services) -> None:
    """Ten threads set it, in any order: what stands at the end is the latest, and the losers are told."""
    together = Barrier(10)

    def move(hours: int) -> bool:
        together.wait()
        moment = NOW + timedelta(hours=hours)
        work: Callable[[Session], bool] = lambda session: jobs.set_virtual_time(session, moment=moment)  # noqa: E731 - typed
        return services.database.run(work)

    with ThreadPoolExecutor(10) as pool:
        moved = list(pool.map(move, range(10)))
    with services.database.transaction() as session:
        assert services.clock.now(session) == NOW + timedelta(hours=9)
        assert not jobs.set_virtual_time(session, moment=NOW)
    assert moved[9]
