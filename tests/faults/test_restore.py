"""A backup taken in the middle of work, restored: sound by itself, and made whole by those who ask again."""

import subprocess
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from exchange import embedded
from exchange.db import APP_ROLE, Database
from exchange.embedded.programs import binaries_for
from ledger import books
from tests.faults.clients import NOW, PATHS, RICH, TODAY, Journal, ask, draw, furnish, move, storming

KEYS = "SELECT key, transfer_id FROM books_transfers ORDER BY transfer_id"
BALANCES = "SELECT path, balance_minor FROM books_accounts JOIN books_balances USING (account_id) ORDER BY path"
VERY_RICH = 10**9


def read(url: str, statement: str) -> dict[str, int]:
    """The rows of a statement, in their order."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return {str(name): int(number) for name, number in connection.exec_driver_sql(statement)}


def test_a_backup_is_restored(
    server_url: str, database_url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The copy is one moment of the books; asking again for all that came later gives the very same balances."""
    programs = binaries_for(None).folder
    if not (programs / "pg_dump").exists():
        pytest.skip(f"{programs} has no pg_dump")
    furnish(database_url)
    with Database(database_url, pooled=False).transaction() as session:  # so that no order is refused
        legs = tuple(leg for path in PATHS for leg in move("bank", path, VERY_RICH))
        books.post(session.connection(), transfers=[books.Transfer("rich", TODAY, "", legs)], now=NOW)
    with storming(database_url) as journal:
        time.sleep(1)
        run(programs / "pg_dump", database_url, "--format=custom", f"--file={tmp_path / 'backup'}")
        time.sleep(1)
    assert journal.refused == set()
    url = embedded.create_database(server_url, "restored")
    request.addfinalizer(lambda: embedded.drop_database(server_url, "restored"))
    run(programs / "pg_restore", url, "--exit-on-error", str(tmp_path / "backup"))

    before, whole = read(url, KEYS), read(database_url, KEYS)
    assert before.items() < whole.items()
    with create_engine(url, poolclass=NullPool).connect() as connection:
        assert books.check(connection) == []
        connection.exec_driver_sql(f"SET ROLE {APP_ROLE}")
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.exec_driver_sql("DELETE FROM books_entries")

    again, database = Journal(), Database(url)
    for key in whole.keys() - {"opening", "rich"}:
        ask(database, [draw(key)], again, until=threading.Event())
    database.dispose()
    assert again.acknowledged.keys() == journal.acknowledged.keys()
    assert all(again.acknowledged[key] == before[key] for key in before.keys() & again.acknowledged.keys())
    assert read(url, BALANCES) == read(database_url, BALANCES)
    assert read(url, BALANCES)["bank"] == -len(PATHS) * (VERY_RICH + RICH)
    with create_engine(url, poolclass=NullPool).connect() as connection:
        assert books.check(connection) == []


def run(program: Path, url: str, *arguments: str) -> None:
    """Run pg_dump or pg_restore on a database."""
    parsed = make_url(url)
    host, port = parsed.query["host"], parsed.query["port"]
    where = [f"--host={host}", f"--port={port}", f"--username={parsed.username}", f"--dbname={parsed.database}"]
    done = subprocess.run([str(program), *where, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
