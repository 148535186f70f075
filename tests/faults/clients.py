"""Clients of the books that keep a journal of what they were told, and what must be true of it afterwards."""

import datetime as dt
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from exchange.db import Database, OutcomeUnknown, is_retryable
from ledger import books

NOW = dt.datetime(2026, 3, 2, 9, 30, tzinfo=dt.UTC)
TODAY = NOW.date()
CNY = "CNY/2"
PATHS = [f"p{number}" for number in range(12)]
RICH = 1000
DISK_FULL = "53100"
STORED = "SELECT key, transfer_id, refusal FROM books_transfers"
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@dataclass
class Journal:
    """What clients asked for, and what they were told: acknowledged, refused, or nothing (yet). They share one."""

    asked: set[str] = field(default_factory=set)
    acknowledged: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    ambiguous: list[str] = field(default_factory=list)
    """Keys whose COMMIT got no answer, once for each time."""
    lost: list[str] = field(default_factory=list)
    """Keys of tries that failed before their COMMIT: the connection was lost, or the disk full."""
    late: list[str] = field(default_factory=list)
    """Keys whose ambiguous COMMIT turned out to have happened."""

    def tell(self) -> str:
        """Say what the run was like; one without an ambiguous commit has shown nothing about those."""
        told = f"{len(self.acknowledged)} acknowledged, {len(self.refused)} refused, {len(self.lost)} tries lost, "
        told += f"{len(self.ambiguous)} commits ambiguous, of which {len(self.late)} had happened"
        print(told if self.ambiguous else f"{told}: this run proves nothing of those")  # noqa: T201 - the run's report
        return told


def furnish(url: str) -> None:
    """Open the accounts and make them rich."""
    with Database(url, pooled=False).transaction() as session:
        accounts = [books.Account("bank", CNY, may_overdraw=True), *[books.Account(path, CNY) for path in PATHS]]
        books.open_accounts(session.connection(), accounts=accounts)
        legs = tuple(leg for path in PATHS for leg in move("bank", path, RICH))
        books.post(session.connection(), transfers=[books.Transfer("opening", TODAY, "", legs)], now=NOW)


def move(source: str, target: str, amount_minor: int) -> tuple[books.Leg, books.Leg]:
    """One amount from one account to another."""
    return books.Leg(source, CNY, -amount_minor), books.Leg(target, CNY, amount_minor)


def draw(key: str, *, legs: int = 8) -> books.Transfer:
    """The transfer of a key: a few amounts between a few accounts, in an order of its own."""
    rng = random.Random(key)
    order = rng.sample(PATHS, rng.randrange(2, legs + 1, 2))
    pairs = zip(order[::2], order[1::2], strict=True)
    drawn = tuple(leg for pair in pairs for leg in move(*pair, rng.randrange(1, 200)))
    return books.Transfer(key, TODAY, "storm", drawn)


def ask(database: Database, transfers: Sequence[books.Transfer], journal: Journal, *, until: threading.Event) -> None:
    """Post a batch, again and again with the same keys until there is an answer, or until it is time to give up."""
    keys = [transfer.key for transfer in transfers]
    journal.asked.update(keys)
    ambiguous = False
    while True:
        try:
            with database.transaction() as session:
                posted, refusal = attempt(session.connection(), transfers)
        except OutcomeUnknown:
            journal.ambiguous.append(keys[0])
            ambiguous = True
        except OperationalError as error:
            if not is_retryable(error) and getattr(error.orig, "sqlstate", None) != DISK_FULL:
                raise
            journal.lost.append(keys[0])
        else:
            journal.acknowledged.update({one.key: one.transfer_id for one in posted})
            journal.refused.update([refusal] if refusal else [])
            if ambiguous and posted and all(one.replayed for one in posted):
                journal.late.append(keys[0])
            return
        if until.is_set():
            return
        time.sleep(0.02)


def attempt(connection: Connection, transfers: Sequence[books.Transfer]) -> tuple[list[books.Posted], str]:
    """Post; a lack of funds is an answer to be kept."""
    try:
        return books.post(connection, transfers=transfers, now=NOW), ""
    except books.InsufficientFunds as refused:
        return [], refused.key


def storm(url: str, client: int, journal: Journal, stop: threading.Event) -> None:
    """Post one request after the other: some under keys that all clients use, some in batches."""
    database = Database(url)
    for number in count():
        if stop.is_set():
            break
        keys = [f"shared-{number}"] if number % 3 == 0 else [f"{client}-{number}"]
        if number % 5 == 0:
            keys += [f"{client}-{number}-{part}" for part in range(4)]
        ask(database, [draw(key) for key in keys], journal, until=stop)
    database.dispose()


@contextmanager
def storming(url: str, *, clients: int = 4) -> Iterator[Journal]:
    """Clients at work for the length of the block, and the journal they keep."""
    journal, stop, failures = Journal(), threading.Event(), list[BaseException]()

    def run(client: int) -> None:
        try:
            storm(url, client, journal, stop)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield journal
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


def verify(url: str, journal: Journal) -> None:
    """What was acknowledged is stored, once; what is stored was asked for; refusals stand; the checker is content."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(STORED).all()
        stored = {row.key: row for row in rows if row.key != "opening"}
        assert len(stored) == len(rows) - 1
        assert {key: stored[key].transfer_id for key in journal.acknowledged} == journal.acknowledged
        assert all(stored[key].refusal is None for key in journal.acknowledged)
        assert all(stored[key].refusal["code"] == "insufficient_funds" for key in journal.refused)
        assert stored.keys() <= journal.asked
        assert not journal.acknowledged.keys() & journal.refused
        assert books.check(connection) == []
        [total] = books.trial_balance(connection)
        assert total.sum_minor == 0
        assert total.positive_minor == RICH * len(PATHS)


def deadlocks(url: str) -> int:
    """How many the server counted in this database since it was started."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        return int(connection.exec_driver_sql(DEADLOCKS).scalar_one())
