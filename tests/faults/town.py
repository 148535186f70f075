"""A whole exchange whose processes can be killed, and HTTP clients that keep a journal of what they were told."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import urllib3
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from exchange import embedded
from exchange.operations.queries import checks
from exchange.replay import supervisor
from exchange.replay.client import ApiClient, party_key, public_jwk
from exchange.replay.supervisor import Exchange, operator_client, running
from exchange.services import open_services
from exchange.settings import Settings
from tests.faults.clients import Journal
from tests.faults.machine import Machine

MONDAY = datetime(2026, 3, 2, 1, tzinfo=UTC)
SEED = 11
STORED = """
    SELECT bank_reference, receipt_id, count(books_transfers.key) AS posted
    FROM receipt LEFT JOIN books_transfers ON books_transfers.key = receipt_id || '/receipt' GROUP BY 1, 2
"""


@dataclass
class Town:
    """The exchange on a machine of its own, and the reference under which its funder deposits."""

    machine: Machine
    exchange: Exchange
    funder_id: str
    funder_client: str
    reference: str

    @property
    def url(self) -> str:
        """The exchange's database, for its owner."""
        return str(self.exchange.settings.database_url)

    def operator(self) -> ApiClient:
        """A door of the operator's: each thread needs one of its own."""
        return operator_client(self.exchange)

    def funder(self) -> ApiClient:
        """A door of the funder's."""
        key = party_key(SEED, name="funder")
        return ApiClient(self.exchange.base_url, client_id=self.funder_client, key=key)

    def kill(self, name: str) -> None:
        """Kill -9 the API, or a worker, with all its processes."""
        child = self.exchange.children[name]
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def start(self, name: str) -> None:
        """Start it (again)."""
        command = [sys.executable, "-m", "exchange", "worker"]
        if name == "api":
            command = supervisor._api_command(int(self.exchange.base_url.rpartition(":")[2]))
        supervisor._spawn(self.exchange, name, command)
        if name == "api":
            until(self._answers)

    def rows(self, statement: str) -> list[Any]:
        """What the owner reads in the database."""
        with create_engine(self.url, poolclass=NullPool).connect() as connection:
            return list(connection.execute(text(statement)))

    @contextmanager
    def holding(self, statement: str) -> Iterator[Connection]:
        """Somebody's open transaction with a lock that others need."""
        with create_engine(self.url, poolclass=NullPool).begin() as connection:
            connection.execute(text(statement))
            yield connection

    @contextmanager
    def slow_commits(self, microseconds: int) -> Iterator[None]:
        """Every COMMIT takes that long: time enough to be hit in the middle of one."""
        self._set("commit_delay", microseconds)
        try:
            yield
        finally:
            self._set("commit_delay", 0)

    def quiet(self) -> None:
        """Wait until everything is done and told."""
        operator = self.operator()
        until(lambda: bool(operator.get("/v1/clock", wait_seconds=5)["quiet"]))
        operator.close()

    def verify(self, journal: Journal) -> None:
        """What was acknowledged is stored under the very id that was told; nothing twice; books and log are right."""
        stored = {row.bank_reference: row for row in self.rows(STORED)}
        assert journal.acknowledged.keys() <= stored.keys(), "acknowledged and not stored"
        assert stored.keys() <= journal.asked, "stored and never asked for"
        assert all(row.posted == 1 for row in stored.values()), "not booked once"
        assert len({row.receipt_id for row in stored.values()}) == len(stored)
        services = open_services(self.exchange.settings)
        with services.database.snapshot() as session:
            assert checks(session, services=services) == {"books": [], "log": []}
        services.database.dispose()

    def _answers(self) -> bool:
        try:
            answer = urllib3.request("GET", f"{self.exchange.base_url}/health", timeout=2, retries=False)
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status == 200

    def _set(self, name: str, value: int) -> None:
        engine = create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"ALTER SYSTEM SET {name} = {value}")
            connection.exec_driver_sql("SELECT pg_reload_conf()")


@contextmanager
def town(home: Path) -> Iterator[Town]:
    """PostgreSQL, API and a worker, each in processes of their own."""
    machine = Machine(home / "pg", settings={"commit_siblings": "0"})
    machine.start()
    try:
        assert machine.server is not None
        embedded.create_database(machine.server.url, "exchange")
        url = make_url(machine.server.url).set(database="exchange").render_as_string(hide_password=False)
        settings = Settings(home=home / "exchange", database_url=url, seed=SEED, virtual_clock=True)
        settings.home.mkdir()
        with running(settings, fresh_at=MONDAY) as exchange:
            operator = operator_client(exchange)
            key = public_jwk(party_key(SEED, name="funder"))
            entered = operator.post("/v1/funders", {"name": "Funder", "public_jwk": key})
            operator.close()
            yield Town(machine, exchange, entered["funder_id"], entered["client_id"], entered["deposit_reference"])
    finally:
        machine.__exit__()


def until(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    """Wait for something, but not for ever."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


class Depositor:
    """A client that enters deposits, each under a key that it repeats until it is answered."""

    def __init__(self, town: Town, journal: Journal) -> None:
        self._town, self._journal = town, journal
        door = town.operator()
        self._token = door._access_token()
        door.close()
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=60), retries=False)

    def ask(self, key: str, *, stop: threading.Event | None = None) -> None:
        """Enter the deposit `key`, again and again until there is an answer or it is time to give up."""
        unanswered = False
        while not self.once(key, unanswered=unanswered):
            unanswered = True
            if stop is not None and stop.is_set():
                return
            time.sleep(0.02)

    def once(self, key: str, *, unanswered: bool = False) -> bool:
        """Ask once; whether there was an answer. `unanswered`: it was asked before, and who knows what came of it."""
        self._journal.asked.add(key)
        line = {"bank_reference": key, "value_date": "2026-03-02", "amount_minor": 100, "currency": "CNY"}
        body = msgspec.json.encode({"items": [line | {"reference": self._town.reference}]})
        headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": key, "Content-Type": "application/json"}
        url = f"{self._town.exchange.base_url}/v1/receipts"
        try:
            response = self._http.request("POST", url, body=body, headers=headers)
        except urllib3.exceptions.NewConnectionError:
            self._journal.lost.append(key)
            return False
        except urllib3.exceptions.HTTPError:
            self._journal.ambiguous.append(key)
            return False
        if response.status == 503:
            self._journal.ambiguous.append(key)
            return False
        if b"idempotency_in_progress" in response.data:  # somebody else's try of a key that all use
            return False
        assert response.status == 200, response.data
        (item,) = msgspec.json.decode(response.data)["items"]
        assert item["status"] == 201, item
        known = self._journal.acknowledged.setdefault(key, item["receipt_id"])
        assert known == item["receipt_id"], "two answers to one key"
        if unanswered and response.headers.get("Idempotency-Replayed") == "true":
            self._journal.late.append(key)
        return True


@contextmanager
def depositing(town: Town, journal: Journal, *, prefix: str, clients: int = 3) -> Iterator[None]:
    """Clients at work for the length of the block; some of their keys they have in common."""
    stop, failures = threading.Event(), list[BaseException]()

    def run(client: int) -> None:
        try:
            depositor = Depositor(town, journal)
            for number in count():
                if stop.is_set():
                    return
                mine = f"{prefix}-all-{number}" if number % 4 == 0 else f"{prefix}-{client}-{number}"
                depositor.ask(mine, stop=stop)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
