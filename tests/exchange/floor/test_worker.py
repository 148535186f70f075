"""Real workers on a real database: to quiet, nothing twice, nothing lost when one is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from exchange import jobs, logs, worker
from exchange.jobs import WorkItem
from exchange.services import Services
from exchange.settings import to_environment
from tests.exchange.house import House, mandate, receivable
from tests.exchange.owner import as_owner

ROOT = Path(__file__).parents[3]
CHILD = """
from exchange import settings, worker
from exchange.services import open_services
worker.run(open_services(settings.load()))
"""


@pytest.fixture(autouse=True)
def lines() -> Iterator[None]:
    """Failures are told in lines, as in production: pictures of them take a busy machine seconds to draw."""
    logs.configure()
    yield
    structlog.reset_defaults()


@contextmanager
def working(services: Services, *, workers: int = 1) -> Iterator[list[threading.Thread]]:
    """Workers in threads, told to stop and waited for at the end."""
    stop = threading.Event()
    threads = [threading.Thread(target=worker.work, args=(services,), kwargs={"stop": stop}) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)
        assert not any(thread.is_alive() for thread in threads)


def until(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    """Wait for `condition`, but not for ever."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def is_quiet(house: House) -> bool:
    """Whether the exchange says so itself."""
    return bool(house.operator.get("/v1/clock")["quiet"])


def move(house: House, hour: int, *, days: int = 0) -> None:
    """Move the clock and wait until all is done, as a driver does."""
    day = house.today + timedelta(days=days)
    moment = datetime(day.year, day.month, day.day, hour, tzinfo=UTC) - timedelta(hours=8)
    house.operator.put("/v1/clock", {"now": f"{moment:%Y-%m-%dT%H:%M:%SZ}"})
    until(lambda: is_quiet(house))


def _count(house: House, table: str) -> int:
    with house.services.database.transaction() as session:
        return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608 - our own tables


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_live_a_day(house: House, workers: int) -> None:
    """Confirmed to purchased, however many workers: one decision each, one round, one purchase, clean books and log."""
    bank = house.funders[0]
    house.deposit(0, 50_000_000)
    bank.post("/v1/mandates", mandate(auto_commit=True))
    items = [receivable(f"INV-{n}") for n in range(8)]
    with working(house.services, workers=workers):
        house.platform.post("/v1/receivables", {"items": items})
        until(lambda: is_quiet(house))
        move(house, 11)
        move(house, 15)
        positions = bank.get("/v1/positions")["items"]
        move(house, 23)
    assert [position["asset_count"] for position in positions] == [8]
    assert (_count(house, "decision"), _count(house, "work_item")) == (8, 0)
    kinds = [event["type"] for event in house.events(0)]
    assert (kinds.count("offer.made"), kinds.count("purchase.settled")) == (1, 1)
    house.check()


def test_missed_days_are_caught_up_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody worked for five days: two workers that wake together fire each missed moment once, in order."""
    fired: list[tuple[str, str]] = []
    for job in worker.SCHEDULE:
        monkeypatch.setitem(worker.HANDLERS, job, _noting(fired, job))
    start = house.today
    moment = datetime(start.year, start.month, start.day, 4, tzinfo=UTC) + timedelta(days=5)
    house.operator.put("/v1/clock", {"now": f"{moment:%Y-%m-%dT%H:%M:%SZ}"})
    with working(house.services, workers=2):
        until(lambda: is_quiet(house))
    days = [moment[:10] for moment, _ in sorted(fired)]
    zone = house.services.settings.time_zone
    opened = datetime(start.year, start.month, start.day, 1, tzinfo=UTC)
    due = [
        one
        for cron in worker.SCHEDULE.values()
        for one in jobs.moments(cron, after=opened, until=moment, time_zone=zone)
    ]
    assert len(fired) == len(set(fired)) == len(due) > 5 * 4
    assert set(days) == {(start + timedelta(days=n)).isoformat() for n in range(6)}


def _noting(fired: list[tuple[str, str]], job: str) -> jobs.Handler:
    def note(_services: Services, _session: Session, payload: dict[str, Any]) -> None:
        fired.append((payload["fire_at"], job))

    return note


def test_a_failing_job_is_tried_again_and_blocks_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails twice, what comes after it is done meanwhile, and in the end all is quiet."""
    monkeypatch.setattr(jobs, "FIRST_RETRY", timedelta(milliseconds=200))
    attempts: list[str] = []

    def fail_twice(_services: Services, _session: Session, payload: dict[str, Any]) -> None:
        attempts.append(payload["name"])
        if payload["name"] == "bad" and attempts.count("bad") < 3:
            raise ValueError

    monkeypatch.setitem(worker.HANDLERS, "test.flaky", fail_twice)
    with house.services.database.transaction() as session:
        for name in ("bad", "good"):
            jobs.enqueue(session, job="test.flaky", payload={"name": name})
    with working(house.services):
        until(lambda: is_quiet(house))
    assert attempts == ["bad", "good", "bad", "bad"]


def test_work_in_hand_is_finished_at_the_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is told to stop ends its piece, commits it, and takes no other."""
    started, go_on, done = threading.Event(), threading.Event(), list[int]()

    def slow(_services: Services, _session: Session, payload: dict[str, Any]) -> None:
        started.set()
        assert go_on.wait(10)
        done.append(payload["n"])

    monkeypatch.setitem(worker.HANDLERS, "test.slow", slow)
    with house.services.database.transaction() as session:
        for n in range(2):
            jobs.enqueue(session, job="test.slow", payload={"n": n})
    stop = threading.Event()
    thread = threading.Thread(target=worker.work, args=(house.services,), kwargs={"stop": stop})
    thread.start()
    assert started.wait(10)
    stop.set()
    go_on.set()
    thread.join(15)
    assert not thread.is_alive()
    assert done == [0]
    assert _count(house, "work_item") == 1


@pytest.fixture
def unseeded(services: Services) -> Services:
    """Services whose work may be done in any order."""
    return replace(services, settings=replace(services.settings, seed=None))


def test_work_that_hangs_blocks_nobody(unseeded: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one piece hangs in its handler and one in the database another loop does the rest; both are given up."""
    monkeypatch.setattr(worker, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(worker, "GIVE_UP_SECONDS", 2.0)
    released, done = threading.Event(), list[tuple[int, float]]()
    began = time.monotonic()

    def hang(_services: Services, session: Session, payload: dict[str, Any]) -> None:
        if payload["where"] == "database":
            session.execute(text("SELECT pg_sleep(60)"))
        assert released.wait(60)

    def note(_services: Services, _session: Session, payload: dict[str, Any]) -> None:
        done.append((payload["n"], time.monotonic() - began))

    monkeypatch.setitem(worker.HANDLERS, "test.hang", hang)
    monkeypatch.setitem(worker.HANDLERS, "test.note", note)
    with unseeded.database.transaction() as session:
        for where in ("handler", "database"):
            jobs.enqueue(session, job="test.hang", payload={"where": where})
        for n in range(20):
            jobs.enqueue(session, job="test.note", payload={"n": n})

    def given_up() -> bool:
        with unseeded.database.transaction() as session:
            query = select(WorkItem.last_error).where(WorkItem.attempts > 0)
            return len(session.execute(query).all()) == 2

    with working(unseeded):
        until(lambda: len(done) == 20)
        assert max(seconds for _, seconds in done) < 2 + GRACE, "two patiences"
        until(given_up)
        released.set()
    assert sorted(n for n, _ in done) == list(range(20))


GRACE = 8.0
"""For a machine that does other things too."""


def test_a_stop_has_an_end(unseeded: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told to stop in the middle of work that hangs, a worker ends all the same, and the work is free again."""
    monkeypatch.setattr(worker, "STOP_SECONDS", 0.5)
    started, released = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        started.set()
        released.wait(60)

    monkeypatch.setitem(worker.HANDLERS, "test.hang", hang)
    with unseeded.database.transaction() as session:
        jobs.enqueue(session, job="test.hang", payload={})
    stop = threading.Event()
    thread = threading.Thread(target=worker.work, args=(unseeded,), kwargs={"stop": stop})
    thread.start()
    assert started.wait(20)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    with unseeded.database.transaction() as session:
        (item,) = session.execute(select(WorkItem).with_for_update(nowait=True)).scalars()
    assert (item.attempts, item.last_error is not None) == (1, True)
    released.set()


def test_with_a_seed_there_is_one_order(services: Services) -> None:
    """However long a piece takes, a replay's worker starts no other loop; without a seed it does, up to a number."""
    wake, stop = threading.Event(), threading.Event()
    stop.set()
    for settings, most in ((services.settings, 1), (replace(services.settings, seed=None), worker.MOST_LOOPS)):
        loops = worker.Loops(replace(services, settings=settings), wake=wake, stop=stop)
        loops.start()
        for _ in range(worker.MOST_LOOPS + 2):
            for hand in loops.hands:
                hand.since = time.monotonic() - worker.PATIENCE_SECONDS - 1
            loops.watch()
        assert (len(loops.hands), loops.alive()) == (most, True)
        loops.hands = [jobs.Hand(since=time.monotonic() - 2 * worker.GIVE_UP_SECONDS)] * worker.MOST_LOOPS
        assert not loops.alive()


def test_a_watch_that_fails_goes_on(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a database there is no heartbeat, and a worker nevertheless."""
    stop, calls = threading.Event(), list[int]()

    def fail(*_: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            stop.set()
        raise ValueError

    monkeypatch.setattr(worker, "_beat", fail)
    monkeypatch.setattr(worker, "BEAT_SECONDS", 0.0)
    worker._watch(services, worker.Loops(services, wake=threading.Event(), stop=stop), stop)
    assert len(calls) == 3


def test_a_lost_connection_is_not_the_end(house: House) -> None:
    """All connections cut, twice: the worker comes back and goes on."""
    with working(house.services):
        until(lambda: is_quiet(house))
        for n in range(2):
            with as_owner(house.services.database) as session:
                session.execute(
                    text("""
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE datname = current_database() AND pid <> pg_backend_pid()
                    """)
                )
            house.platform.post("/v1/receivables", {"items": [receivable(f"INV-{n}")]})
            until(lambda: is_quiet(house))
    assert _count(house, "decision") == 2
    house.check()


def test_a_step_that_fails_is_tried_again() -> None:
    """A loop outlives whatever goes wrong in it."""
    stop, calls = threading.Event(), list[int]()

    def step() -> bool:
        calls.append(1)
        if len(calls) == 3:
            stop.set()
            return False
        raise ValueError

    wake = threading.Event()
    wake.wait = lambda timeout=None: bool(timeout)  # type: ignore[method-assign]  # no need to wait here
    worker._loop("test", step, wake, stop)
    assert len(calls) == 3


def test_firing_waits_for_its_leader(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another worker fires, this one leaves it to it; what is due is fired once."""
    monkeypatch.setattr(worker, "SCHEDULE", {"pools.round": worker.SCHEDULE["pools.round"]})
    house.operator.put("/v1/clock", {"now": "2026-03-02T03:00:00Z"})
    with house.services.database.transaction() as other:
        other.execute(worker.LEADER)
        worker._fired(house.services)
        assert _count(house, "work_item") == 0
    for _ in range(2):
        worker._fired(house.services)
        assert _count(house, "work_item") == 1


@contextmanager
def process(house: House) -> Iterator[subprocess.Popen[bytes]]:
    """A worker as it runs in production: a process of its own."""
    environment = os.environ | to_environment(house.services.settings) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD]
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def test_a_killed_worker_loses_nothing(house: House) -> None:
    """Killed in the middle of a job: its work is undone and free again; the next one does it, and ends when told."""
    house.platform.post("/v1/receivables", {"items": [receivable(f"INV-{n}") for n in range(5)]})
    database = house.services.database
    with database.transaction() as holder:
        holder.execute(text("LOCK TABLE decision IN SHARE MODE"))  # the job gets as far as its first write
        with process(house) as child:
            until(lambda: _waits_for_lock(house), seconds=40)
            child.send_signal(signal.SIGKILL)
            assert child.wait(10) == -signal.SIGKILL
    until(lambda: not _waits_for_lock(house))
    assert _count(house, "decision") == 0
    with database.transaction() as session:
        assert session.execute(select(func.count()).select_from(WorkItem)).scalar_one() == 1
    _run_until_quiet(house)
    assert (_count(house, "decision"), _count(house, "work_item")) == (5, 0)
    house.check()


def _run_until_quiet(house: House) -> None:
    """Run a worker as the command does, in this process, until SIGTERM: sent when all is done."""

    def stop() -> None:
        until(lambda: is_quiet(house))
        os.kill(os.getpid(), signal.SIGTERM)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    thread = threading.Thread(target=stop)
    thread.start()
    try:
        worker.run(house.services)
    finally:
        thread.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def _waits_for_lock(house: House) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with as_owner(house.services.database) as session:  # who waits is shown to the login itself only
        return bool(session.execute(text(query)).scalar_one())
