"""Transactions: all or nothing, again when PostgreSQL asks for it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from exchange.db import APP_ROLE, RETRIES, Database, OutcomeUnknown, constraint_of, copy_rows, is_retryable, raw_cursor

DIE = """
    CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'
"""
DIE_AT_COMMIT = """
    CREATE CONSTRAINT TRIGGER die AFTER UPDATE ON counter DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION die()
"""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with two counters."""
    opened = Database(database_url, role=None)
    with opened.transaction() as session:
        session.execute(text("CREATE TABLE counter (name text CONSTRAINT one_each PRIMARY KEY, value int)"))
        copy_rows(session, "counter", ["name", "value"], [("a", 0), ("b", 0)])
    yield opened
    opened.dispose()


def _values(database: Database) -> dict[str, int]:
    with database.transaction() as session:
        return {row.name: row.value for row in session.execute(text("SELECT * FROM counter"))}


def _add(session: Session, name: str) -> None:
    session.execute(text("UPDATE counter SET value = value + 1 WHERE name = :name"), {"name": name})


def test_what_raises_leaves_nothing(database: Database) -> None:
    """A block that raises is undone, COPY included."""

    def fail(session: Session) -> None:
        _add(session, "a")
        copy_rows(session, "counter", ["name", "value"], [("c", 1)])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.run(fail)
    assert _values(database) == {"a": 0, "b": 0}


def test_a_deadlock_is_tried_again(database: Database) -> None:
    """Two that take the same rows in opposite order both end, each exactly once."""
    together = Barrier(2)

    def work(order: str) -> None:
        calls: list[int] = []

        def both(session: Session) -> None:
            _add(session, order[0])
            if not calls:
                calls.append(1)
                together.wait(10)
            _add(session, order[1])

        database.run(both)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ("ab", "ba")))
    assert _values(database) == {"a": 2, "b": 2}


def test_patience_ends(database: Database) -> None:
    """After so many attempts the refusal is passed on; one that is final at once, a lost connection at last."""
    calls = []

    def locked(session: Session) -> None:
        calls.append(1)
        session.execute(text("SELECT * FROM counter FOR UPDATE NOWAIT"))

    with database.transaction() as holder:
        _add(holder, "a")
        with pytest.raises(OperationalError) as refused:
            database.run(locked)
    assert is_retryable(refused.value)
    assert len(calls) == RETRIES

    def broken(session: Session) -> None:
        calls.append(1)
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    calls.clear()
    with pytest.raises(OperationalError) as lost:
        database.run(broken)
    assert is_retryable(lost.value)
    assert len(calls) == RETRIES

    def wrong(session: Session) -> None:
        calls.append(1)
        session.execute(text("SET LOCAL statement_timeout = 1"))
        session.execute(text("SELECT pg_sleep(1)"))

    calls.clear()
    with pytest.raises(OperationalError) as final:
        database.run(wrong)
    assert not is_retryable(final.value)
    assert len(calls) == 1
    assert _values(database) == {"a": 1, "b": 0}


def test_a_lost_connection_is_replaced(database: Database) -> None:
    """What was not committed is done again on a new connection, and once."""
    calls: list[int] = []

    def dies_first(session: Session) -> None:
        _add(session, "a")
        calls.append(1)
        if len(calls) == 1:
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    database.run(dies_first)
    assert (len(calls), _values(database)["a"]) == (2, 1)


def test_a_commit_without_an_answer_is_not_repeated(database: Database) -> None:
    """Whether it was done is unknown here: only a caller whose work has a key may ask again."""
    calls: list[int] = []

    def dies_at_commit(session: Session) -> None:
        calls.append(1)
        session.execute(text(DIE_AT_COMMIT))
        _add(session, "a")

    with database.transaction() as session:
        session.execute(text(DIE))
    with pytest.raises(OutcomeUnknown):
        database.run(dies_at_commit)
    assert (len(calls), _values(database)["a"]) == (1, 0)


def test_the_service_works_as_its_role(database_url: str) -> None:
    """Whoever logs in, the rights are the application's; where there is no such role, the login's own."""
    for role, expected in ((APP_ROLE, APP_ROLE), (None, "postgres"), ("nobody_here", "postgres")):
        database = Database(database_url, role=role)
        for _ in range(2):
            with database.transaction() as session:
                assert session.execute(text("SELECT current_user")).scalar_one() == expected
        database.dispose()


def test_nobody_waits_for_ever(database: Database) -> None:
    """A hog of a lock costs others so many seconds, which the server counts."""
    with database.transaction() as session:
        assert session.execute(text("SHOW lock_timeout")).scalar_one() == "10s"
        assert session.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one() == "10min"


def test_a_snapshot_sees_one_moment(database: Database) -> None:
    """What others commit meanwhile is not seen."""
    with database.snapshot() as session:
        read = text("SELECT sum(value) FROM counter")
        before = session.execute(read).scalar_one()
        database.run(lambda other: _add(other, "a"))
        assert session.execute(read).scalar_one() == before
    assert _values(database)["a"] == 1


def test_the_constraint_that_was_broken(database: Database) -> None:
    """An error names its constraint; another has none."""
    with pytest.raises(IntegrityError) as error:
        database.run(lambda session: session.execute(text("INSERT INTO counter VALUES ('a', 1)")))
    assert constraint_of(error.value) == "one_each"
    assert constraint_of(ValueError()) == ""


def test_copy_quotes_what_it_names(database: Database) -> None:
    """Names are identifiers and values are values, whatever they contain."""
    strange = 'a"; DROP TABLE counter; --\t\\N\n'
    with database.transaction() as session:
        copy_rows(session, "counter", ["name", "value"], [(strange, None)])
        with raw_cursor(session) as cursor:
            cursor.execute("SELECT value FROM counter WHERE name = %s", (strange,))
            assert cursor.fetchone() == (None,)
