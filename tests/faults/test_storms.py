"""Many at once on the same accounts: duplicates, double spends, opposite orders, a hog, and who commits late."""

import threading
import time

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from exchange.db import Database, is_retryable
from ledger import books
from tests.faults.clients import CNY, NOW, PATHS, TODAY, Journal, ask, deadlocks, draw, furnish, move, storming, verify

SECONDS = [pytest.param(4, id="short"), pytest.param(300, id="long", marks=pytest.mark.long)]


@pytest.mark.parametrize("seconds", SECONDS)
def test_a_storm(database_url: str, seconds: int) -> None:
    """Eight clients, many legs in opposite orders, keys in common, too little money: no deadlock, nothing twice."""
    furnish(database_url)
    with storming(database_url, clients=8) as journal:
        time.sleep(seconds)
    verify(database_url, journal)
    shared = [key for key in journal.acknowledged if key.startswith("shared-")]
    assert min(len(journal.acknowledged), 10 * len(journal.refused), 10 * len(shared)) > 50 * seconds
    assert deadlocks(database_url) == 0
    assert journal.lost == journal.ambiguous == []


def test_one_answer_to_all_who_ask_the_same(database_url: str) -> None:
    """Eight clients with the same two hundred requests, each in an order of its own: each request has one outcome."""
    furnish(database_url)
    keys = [f"k{number}" for number in range(200)]
    journals = [Journal() for _ in range(8)]
    never = threading.Event()

    def run(client: int) -> None:
        database = Database(database_url)
        turned = keys[25 * client :] + keys[: 25 * client]
        for key in turned:
            ask(database, [draw(key)], journals[client], until=never)
        database.dispose()

    threads = [threading.Thread(target=run, args=(client,)) for client in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(journal == journals[0] for journal in journals)
    assert len(journals[0].acknowledged) + len(journals[0].refused) == 200
    assert journals[0].refused
    verify(database_url, journals[0])
    assert deadlocks(database_url) == 0


def test_a_lock_hog(database_url: str) -> None:
    """Who waits too long for a balance is told to try again, not that there are no funds; and then it is done once."""
    furnish(database_url)
    database = Database(database_url)
    tries: list[float] = []
    released = threading.Event()

    def work(session: Session) -> list[books.Posted]:
        tries.append(time.monotonic())
        session.connection().exec_driver_sql("SET LOCAL lock_timeout = '200ms'")
        if len(tries) == 3:
            released.set()
        transfer = books.Transfer("waits", TODAY, "", move("p0", "p1", 10))
        return books.post(session.connection(), transfers=[transfer], now=NOW)

    def hog() -> None:
        with database.transaction() as session:
            session.connection().exec_driver_sql("SELECT set_config('application_name', 'hog', false)")
            books.post(session.connection(), transfers=[books.Transfer("hog", TODAY, "", move("p0", "p2", 1))], now=NOW)
            holding.set()
            released.wait(20)

    holding = threading.Event()
    hogging = threading.Thread(target=hog)
    hogging.start()
    assert holding.wait(20)
    [posted] = database.run(work)
    hogging.join()
    assert (len(tries), posted.replayed) == (3, False)
    database.dispose()
    journal = Journal({"hog", "waits"}, {"waits": posted.transfer_id})
    verify(database_url, journal)


def test_a_hog_that_stays(database_url: str) -> None:
    """At the end of patience the error is the server's own, and one to be tried again."""
    furnish(database_url)
    database = Database(database_url)

    def work(session: Session) -> None:
        session.connection().exec_driver_sql("SET LOCAL lock_timeout = '20ms'")
        books.post(session.connection(), transfers=[draw("waits")], now=NOW)

    with database.transaction() as session:
        session.connection().exec_driver_sql("SELECT 1")
        everything = tuple(leg for path in PATHS for leg in move("bank", path, 1))
        books.post(session.connection(), transfers=[books.Transfer("hog", TODAY, "", everything)], now=NOW)
        with pytest.raises(OperationalError) as refused:
            database.run(work)
    assert getattr(refused.value.orig, "sqlstate", None) == "55P03"
    assert is_retryable(refused.value)
    database.dispose()


def test_a_late_commit_behind_a_higher_id(engine: Engine, database_url: str) -> None:
    """A transfer with a lower id commits after one with a higher: no reader who goes by version ever misses it."""
    furnish(database_url)

    def read(after: int) -> list[books.Entry]:
        with engine.connect() as connection:
            return books.statement(connection, path="p0", commodity=CNY, after_version=after)

    with engine.connect() as late, engine.connect() as early:
        seen = read(0)
        [low] = books.post(late, transfers=[books.Transfer("late", TODAY, "", move("p0", "p1", 10))], now=NOW)
        [high] = books.post(early, transfers=[books.Transfer("early", TODAY, "", move("p2", "p3", 10))], now=NOW)
        assert low.transfer_id < high.transfer_id
        early.commit()
        seen += read(seen[-1].version)
        with engine.connect() as connection:
            assert books.check(connection) == []
        late.commit()
    seen += read(seen[-1].version)
    assert [entry.key for entry in seen] == ["opening", "late"]
    assert [entry.version for entry in seen] == [1, 2]
    verify(database_url, Journal({"late", "early"}, {"late": low.transfer_id, "early": high.transfer_id}))
