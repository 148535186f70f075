"""Over HTTP: API, workers and PostgreSQL killed at every point of a COMMIT and under load; a hog; three days missed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from tests.architecture.source import ROOT
from tests.exchange.floor.test_leash import lives
from tests.faults.clients import Journal
from tests.faults.town import MONDAY, Depositor, Town, depositing, town, until

COMMITTING = """
    SELECT count(*) FROM pg_stat_activity JOIN pg_locks USING (pid)
    WHERE locktype = 'advisory' AND objid = cast(hashtext('settlement.receipts') AS bigint) & 4294967295
      AND query = 'COMMIT' AND state = 'active'
"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
ROUNDS = [pytest.param(1, id="short"), pytest.param(20, id="long", marks=pytest.mark.long)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One exchange for all tests here; whatever was killed is started again by whoever did it."""
    with town(tmp_path_factory.mktemp("town")) as found:
        yield found


@pytest.fixture(scope="module")
def journal(place: Town) -> Iterator[Journal]:
    """What all clients together were told; in the end it says how many commits were ambiguous."""
    journal = Journal()
    yield journal
    journal.tell()
    place.quiet()
    place.verify(journal)
    assert journal.ambiguous
    assert journal.late


def count_of(place: Town, reference: str) -> int:
    """How many receipts of a line are stored."""
    return int(place.rows(f"SELECT count(*) FROM receipt WHERE bank_reference = '{reference}'")[0][0])  # noqa: S608 - ours


PHASES = ["before", pytest.param("inside", marks=pytest.mark.long), "after"]


@pytest.mark.parametrize("phase", PHASES)
def test_the_api_is_killed(place: Town, journal: Journal, phase: str) -> None:
    """Before its COMMIT nothing is there; in it, or after it and before the answer, it is: the repetition says so."""
    depositor = Depositor(place, journal)
    with ThreadPoolExecutor(1) as pool:
        if phase == "before":
            with place.holding("LOCK TABLE receipt IN SHARE MODE"):
                asked = pool.submit(depositor.once, phase)
                until(lambda: bool(place.rows(WAITING)[0][0]))
                place.kill("api")
        else:
            with place.slow_commits(100_000):
                asked = pool.submit(depositor.once, phase)
                until(lambda: bool(place.rows(COMMITTING)[0][0]))
                if phase == "after":
                    os.killpg(place.exchange.children["api"].pid, signal.SIGSTOP)
                    until(lambda: count_of(place, phase) == 1)
                place.kill("api")
        assert not asked.result()
    until(lambda: not place.rows(WAITING)[0][0])
    if phase != "before":
        until(lambda: count_of(place, phase) == 1)
    assert count_of(place, phase) == (phase != "before")
    place.start("api")
    depositor.once(phase, unanswered=True)
    assert (phase in journal.late, phase in journal.acknowledged) == (phase != "before", True)
    place.verify(journal)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_killed_under_load(place: Town, journal: Journal, rounds: int) -> None:
    """PostgreSQL and the API in the middle of COMMITs, again and again; clients repeat their keys until answered."""
    before = len(journal.late)
    with place.slow_commits(20_000), depositing(place, journal, prefix=f"load{rounds}"):
        for number in range(5 * rounds):
            if number >= rounds and len(journal.late) > before:
                break
            time.sleep(0.5)
            place.machine.kill()
            place.machine.start()
            time.sleep(0.5)
            until(lambda: bool(place.rows(COMMITTING)[0][0]))
            place.kill("api")
            place.start("api")
        time.sleep(0.5)
    place.quiet()
    told = journal.tell()
    place.verify(journal)
    assert len(journal.late) > before, told


def test_a_hog(place: Town, journal: Journal) -> None:
    """Who needs what somebody holds waits and is served in the end; who does not is served meanwhile."""
    depositor, operator = Depositor(place, journal), place.operator()
    with ThreadPoolExecutor(1) as pool:
        with place.holding("SELECT pg_advisory_xact_lock(hashtext('settlement.receipts'))"):
            asked = pool.submit(depositor.once, "hogged")
            until(lambda: bool(place.rows(WAITING)[0][0]))
            began = time.monotonic()
            operator.get("/v1/clock")
            operator.post("/v1/originators", {"name": "P", "public_jwk": KEY}, key="hog")
            served = time.monotonic() - began
            assert not asked.done()
        assert asked.result()
    operator.close()
    assert served < 5
    assert count_of(place, "hogged") == 1


KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


def test_the_scheduler_is_killed(place: Town) -> None:
    """Killed while it fires three missed days; two that start at once after it fire each moment once."""
    moment = f"{MONDAY + timedelta(days=3, hours=14):%Y-%m-%dT%H:%M:%SZ}"
    operator = place.operator()
    with place.holding("SELECT FROM schedule_fired FOR UPDATE"):
        operator.put("/v1/clock", {"now": moment})
        until(lambda: bool(place.rows(WAITING)[0][0]))
        place.kill("worker-1")
    place.start("worker-1")
    place.start("worker-2")
    place.quiet()
    operator.close()
    days = place.rows("SELECT business_date FROM reconciliation_run WHERE asked_by = 'schedule'")
    assert sorted(day.day for (day,) in days) == [2, 3, 4]
    rounds = place.rows("SELECT cut_off_at FROM clearing_round")
    assert len({moment for (moment,) in rounds}) == len(rounds) == 4


def test_a_callback_is_not_lost(place: Town, journal: Journal) -> None:
    """The worker is killed while it delivers: the event was committed, and comes again under its id."""
    told: list[bytes] = []
    hangs = threading.Event()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.rfile.read(int(self.headers["Content-Length"])))
            if len(told) == 1:
                hangs.wait(60)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        funder = place.funder()
        funder.put("/v1/callback-endpoint", {"url": f"http://127.0.0.1:{server.server_address[1]}/"})
        Depositor(place, journal).ask("told")
        until(lambda: bool(told))
        place.kill("worker-1")
        place.kill("worker-2")
        del place.exchange.children["worker-2"]
        hangs.set()
        with place.holding("UPDATE callback_endpoint SET leased_until = now()"):
            pass  # the dead worker's lease, half a minute long, is over
        place.start("worker-1")
        until(lambda: len(told) > 1)
        place.quiet()
        server.shutdown()
    first, second = (msgspec.json.decode(body) for body in told[:2])
    assert first == second
    events = funder.get("/v1/events?limit=1000")["items"]
    funder.close()
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert sum(event["data"].get("amount_minor", 0) for event in events) == 100 * len(place.rows("SELECT FROM receipt"))


PARENT = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from exchange.replay.supervisor import running
from exchange.settings import Settings
settings = Settings(home=Path(sys.argv[1]), seed=1, virtual_clock=True)
with running(settings, fresh_at=datetime(2026, 3, 2, 1, tzinfo=UTC)) as exchange:
    server = (settings.home / "pg" / "data" / "postmaster.pid").resolve().read_text().split()[0]
    print(server, *(child.pid for child in exchange.children.values()), flush=True)
    time.sleep(60)
"""


def test_whoever_runs_it_is_killed(tmp_path: Path) -> None:
    """PostgreSQL, API and worker end with the process that started them, though nobody could tell them."""
    command = [sys.executable, "-c", PARENT, str(tmp_path / "home")]
    parent = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(children) == 3
    assert all(map(lives, children))
    parent.kill()
    parent.communicate()
    until(lambda: not any(map(lives, children)))
