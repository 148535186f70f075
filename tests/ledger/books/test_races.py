import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TypeVar

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from ledger import books
from ledger.errors import LedgerError
from tests.ledger.books.sample import CNY, NOW, TODAY, balance, hold, move, post, resolve, rows

Outcome = TypeVar("Outcome")
Job = Callable[[Connection], Outcome]


def race(engine: Engine, jobs: Sequence[Job[Outcome]]) -> list[Outcome | LedgerError]:
    """Start all jobs at once, each in its own transaction; refusals are outcomes, other errors are not."""
    start = threading.Barrier(len(jobs))

    def run(job: Job[Outcome]) -> Outcome | LedgerError:
        with engine.connect() as connection:
            start.wait()
            try:
                with connection.begin():
                    return job(connection)
            except LedgerError as refusal:
                return refusal

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def in_background(pool: ThreadPoolExecutor, engine: Engine, job: Job[Outcome]) -> Future[Outcome]:
    """Run a job in a transaction of its own, and return once it waits for a lock."""

    def run() -> Outcome:
        with engine.begin() as connection:
            return job(connection)

    future = pool.submit(run)
    with engine.connect() as connection:
        while not connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar_one():
            time.sleep(0.01)
    return future


def assert_clean(engine: Engine) -> None:
    """The checker finds nothing."""
    with engine.connect() as connection:
        assert books.check(connection) == []


def test_double_spend(opened_engine: Engine) -> None:
    """Of eight who would spend 30 out of 100, three do."""
    jobs = [lambda c, n=n: post(c, move(f"spend{n}", "a", "b", 30)) for n in range(8)]
    outcomes = race(opened_engine, jobs)
    assert sum(isinstance(outcome, books.InsufficientFunds) for outcome in outcomes) == 5
    with opened_engine.connect() as connection:
        assert [balance(connection, "a"), balance(connection, "b")] == [10, 90]
    assert_clean(opened_engine)


def test_a_waiting_spender_sees_what_was_spent(opened_engine: Engine) -> None:
    """Whoever waited for the balance row reads it as the first left it."""
    with ThreadPoolExecutor() as pool, opened_engine.begin() as first:
        post(first, move("1", "a", "b", 60))
        second = in_background(pool, opened_engine, lambda c: post(c, move("2", "a", "b", 60)))
        first.commit()
        with pytest.raises(books.InsufficientFunds) as refused:
            second.result()
        assert refused.value.available_minor == 40


def test_duplicates_of_one_request(opened_engine: Engine) -> None:
    """Of eight at once with one key, one posts and seven get its answer."""
    outcomes = race(opened_engine, [lambda c: post(c, move("once", "a", "b", 30))[0]] * 8)
    posted = [outcome for outcome in outcomes if isinstance(outcome, books.Posted)]
    assert len(posted) == 8
    assert len({outcome.transfer_id for outcome in posted}) == 1
    assert sum(not outcome.replayed for outcome in posted) == 1
    assert_clean(opened_engine)


def test_a_key_taken_meanwhile(opened_engine: Engine) -> None:
    """A different request that took the key first, over other accounts, is found at the last moment."""
    with ThreadPoolExecutor() as pool, opened_engine.begin() as first:
        post(first, move("same", "bank", "a", 1))
        legs = (books.Leg("reserved", CNY, 1), books.Leg("reserved", CNY, -1))
        other = books.Transfer("same", TODAY, "", legs)
        second = in_background(pool, opened_engine, lambda c: post(c, other))
        first.commit()
        with pytest.raises(books.KeyReused, match="key same belongs"):
            second.result()
    assert_clean(opened_engine)


def test_clashing_keys_in_opposite_order(opened_engine: Engine) -> None:
    """Two batches over different accounts that reuse each other's keys do not deadlock: one posts."""
    for number in range(20):
        keys = [f"{number}-{key}" for key in range(10)]

        def batch(path: str, order: list[str]) -> Job[list[books.Posted]]:
            legs = (books.Leg(path, CNY, 1), books.Leg(path, CNY, -1))
            return lambda c: post(c, *[books.Transfer(key, TODAY, "", legs) for key in order])

        outcomes = race(opened_engine, [batch("a", keys), batch("b", keys[::-1])])
        assert sum(isinstance(outcome, books.KeyReused) for outcome in outcomes) == 1
    assert_clean(opened_engine)


def test_a_storm_in_opposite_orders(opened_engine: Engine) -> None:
    """Four clients with many-legged batches over the same accounts, each in its own order: no deadlock."""
    paths = [f"p{number}" for number in range(12)]
    with opened_engine.begin() as connection:
        books.open_accounts(connection, accounts=[books.Account(path, CNY, may_overdraw=True) for path in paths])

    def storm(client: int) -> Job[list[books.Posted]]:
        """Five transfers of eight legs each, in an order of the client's own."""
        rng = random.Random(client)
        transfers = []
        for number in range(5):
            order = rng.sample(paths, 8)
            legs = [move("", *pair, 5).legs for pair in zip(order[::2], order[1::2], strict=True)]
            transfers.append(books.Transfer(f"{client}-{number}", TODAY, "", tuple(chain(*legs))))
        return lambda connection: post(connection, *transfers)

    for number in range(40):
        outcomes = race(opened_engine, [storm(4 * number + client) for client in range(4)])
        assert all(isinstance(outcome, list) for outcome in outcomes)
    assert_clean(opened_engine)


def resolve_one(resolution: books.Resolution, connection: Connection) -> list[books.Posted]:
    """End one hold."""
    return resolve(connection, resolution)


def test_capture_against_void(opened_engine: Engine) -> None:
    """Of a capture and a void at once, one ends the hold and the other is told so."""
    for number in range(10):
        key = f"h{number}"
        with opened_engine.begin() as connection:
            hold(connection, key, 5)
        ends = [
            books.Resolution(key, "voided"),
            books.Resolution(key, "captured", move(f"c{number}", "reserved", "b", 5)),
        ]
        outcomes = race(opened_engine, [partial(resolve_one, end) for end in ends * 2])
        assert sum(isinstance(outcome, books.HoldResolved) for outcome in outcomes) == 2
    with opened_engine.connect() as connection:
        assert rows(connection, "books_resolutions") == 10
        assert balance(connection, "reserved") == 0
    assert_clean(opened_engine)


def test_opening_in_opposite_orders(engine: Engine) -> None:
    """Accounts opened by two at once, in opposite orders, are opened once."""
    accounts = [books.Account(f"p{number}", CNY) for number in range(200)]

    def opening(order: list[books.Account]) -> Job[None]:
        return lambda connection: books.open_accounts(connection, accounts=order)

    jobs = [opening(accounts), opening(accounts[::-1])]
    assert race(engine, jobs) == [None, None]
    with engine.connect() as connection:
        assert rows(connection, "books_accounts") == rows(connection, "books_balances") == 200


def terminate(engine: Engine, pid: int) -> None:
    """Kill one backend and wait until it is gone."""
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def test_a_backend_killed_before_commit_leaves_nothing(opened_engine: Engine) -> None:
    """Posted and not committed is not posted: the key is free and the books are as before."""
    with opened_engine.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        post(connection, move("1", "a", "b", 30), move("2", "b", "a", 10))
        hold(connection, "h", 10)
        terminate(opened_engine, pid)
        with pytest.raises(OperationalError):
            connection.commit()
    assert_clean(opened_engine)
    with opened_engine.begin() as connection:
        assert balance(connection, "a") == 100
        assert post(connection, move("1", "a", "b", 30))[0].replayed is False
    assert_clean(opened_engine)


def test_a_backend_killed_while_posting_leaves_nothing(opened_engine: Engine) -> None:
    """Killed inside the stored call, as it waits for a lock: the retry with the same key posts once."""
    with ThreadPoolExecutor() as pool, opened_engine.connect() as first:
        post(first, move("1", "a", "b", 30))
        second = in_background(pool, opened_engine, lambda c: post(c, move("2", "bank", "a", 1)))
        waiting = "SELECT pid FROM pg_locks WHERE NOT granted"
        terminate(opened_engine, first.exec_driver_sql(waiting).scalar_one())
        with pytest.raises(OperationalError):
            second.result()
        first.commit()
    with opened_engine.begin() as connection:
        assert books.post(connection, transfers=[move("2", "bank", "a", 1)], now=NOW)[0].replayed is False
        assert [balance(connection, "a"), balance(connection, "b")] == [71, 30]
    assert_clean(opened_engine)
