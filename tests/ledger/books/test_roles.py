"""Three locks on every entry: the application has no right to it, triggers refuse, the checker finds."""

from collections.abc import Iterator
from contextlib import contextmanager
from string import Template

import pytest
from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from exchange import embedded
from exchange.db import APP_ROLE, AUDITOR_ROLE
from exchange.migrations import roles, upgrade
from ledger import books
from tests.ledger.books.sample import CNY, NOW, TODAY, balance, hold, move, post, resolve

SEALED = {
    "books_accounts": "path",
    "books_balances": "version",
    "books_transfers": "memo",
    "books_entries": "leg",
    "books_resolutions": "outcome",
    "books_reversals": "xid",
    "log_leaf": "leaf",
    "log_checkpoint": "note",
}
CHANGES = (
    Template("UPDATE $table SET $column = $column"),
    Template("DELETE FROM $table"),
    Template("TRUNCATE $table CASCADE"),
)
FORBIDDEN = {
    "insert an entry": "INSERT INTO books_entries SELECT * FROM books_entries",
    "insert a header": "INSERT INTO books_transfers (key) VALUES ('forged')",
    "insert a balance": "INSERT INTO books_balances (account_id, may_overdraw) VALUES (0, true)",
    "resolve a hold": "INSERT INTO books_resolutions (hold_id, transfer_id, outcome) VALUES (1, 1, 'voided')",
    "reverse": "INSERT INTO books_reversals (reversed_id, transfer_id) VALUES (1, 2)",
    "set a balance": "UPDATE books_balances SET balance_minor = 10",
    "cut a tile": "DELETE FROM log_tile",
    "move a tile": "UPDATE log_tile SET level = 1",
    "switch a trigger off": "ALTER TABLE books_entries DISABLE TRIGGER ALL",
    "switch all triggers off": "SET LOCAL session_replication_role = replica",
    "replace the posting": "CREATE OR REPLACE FUNCTION books_refuse_change() RETURNS trigger LANGUAGE sql AS ''",
    "make a table": "CREATE TABLE public.mine (a int)",
    "change the version": "UPDATE alembic_version SET version_num = '0'",
}
DENIED = "permission denied|must be owner"


@contextmanager
def rights_of(connection: Connection, role: str) -> Iterator[None]:
    """Act as a role for a while."""
    connection.exec_driver_sql(f"SET ROLE {role}")
    yield
    connection.exec_driver_sql("SET ROLE NONE")


def refused(connection: Connection, statement: str) -> None:
    """The server refuses for want of rights, whatever the rows."""
    with pytest.raises(ProgrammingError, match=DENIED), connection.begin_nested():
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize("table", SEALED)
def test_the_application_changes_no_sealed_row(opened: Connection, table: str) -> None:
    """It has no right to UPDATE, DELETE or TRUNCATE, not even of a column it names."""
    with rights_of(opened, APP_ROLE):
        for change in CHANGES:
            refused(opened, change.substitute(table=table, column=SEALED[table]))


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_application_gets_past_nothing(opened: Connection, what: str) -> None:
    """It owns nothing, and writes into the books through the posting function only."""
    with rights_of(opened, APP_ROLE):
        refused(opened, FORBIDDEN[what])


def test_the_application_posts(opened: Connection) -> None:
    """Everything the books offer works with the application's rights."""
    with rights_of(opened, APP_ROLE):
        books.open_accounts(opened, accounts=[books.Account("new", CNY)])
        post(opened, move("1", "a", "new", 10))
        books.reverse(opened, reversals=[books.Reversal("2", "1", TODAY)], now=NOW)
        hold(opened, "h", 10)
        resolve(opened, books.Resolution("h", "voided"))
        opened.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        assert [balance(opened, "a"), balance(opened, "new")] == [100, 0]
        assert books.check(opened) == []


def test_a_table_of_the_same_name_deceives_nobody(opened: Connection) -> None:
    """The posting function reads the books, not what its caller put in front of them."""
    with rights_of(opened, APP_ROLE):
        opened.exec_driver_sql("CREATE TEMP TABLE books_balances AS SELECT * FROM public.books_balances")
        opened.exec_driver_sql("UPDATE pg_temp.books_balances SET balance_minor = 10000")
        with pytest.raises(books.InsufficientFunds):
            post(opened, move("1", "a", "b", 101))
        opened.exec_driver_sql("DROP TABLE pg_temp.books_balances")


def test_the_auditor_reads_books_and_log_only(opened: Connection) -> None:
    """It can recompute everything, sees nothing else and changes nothing."""
    with rights_of(opened, AUDITOR_ROLE):
        assert books.check(opened) == []
        assert len(books.statement(opened, path="a", commodity=CNY)) == 1
        assert books.trial_balance(opened)
        assert opened.exec_driver_sql("SELECT count(*) FROM log_leaf").scalar_one() >= 0
        for statement in (*FORBIDDEN.values(), "SELECT * FROM api_client", "SELECT * FROM receivable"):
            refused(opened, statement)
        with pytest.raises(ProgrammingError, match=DENIED), opened.begin_nested():
            post(opened, move("1", "a", "b", 1))


def test_rights_are_given_anew(connection: Connection) -> None:
    """What somebody gave by hand is taken back by the next `migrate`; running it again changes nothing."""
    connection.exec_driver_sql(f"GRANT ALL ON books_entries TO {APP_ROLE}")
    for _ in range(2):
        assert roles.grant(connection) == ""
        with rights_of(connection, APP_ROLE):
            refused(connection, "DELETE FROM books_entries")


def test_every_sealed_table_is_known_by_its_triggers(connection: Connection) -> None:
    """A table that refuses UPDATE or DELETE by trigger gives the application no such right."""
    rights = roles.rights_by_table(connection)
    assert rights["log_leaf"] == rights["log_checkpoint"] == "SELECT, INSERT"
    assert rights["work_item"] == "SELECT, INSERT, UPDATE, DELETE"
    assert {table for table, given in rights.items() if given == "SELECT"} >= {"books_entries", "alembic_version"}


def test_an_owner_without_the_right_to_make_roles(
    server_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It migrates its own database all the same, and says that the roles are missing or gives them their rights."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CREATE ROLE plain_owner LOGIN")
        connection.exec_driver_sql("CREATE DATABASE of_plain_owner OWNER plain_owner")
        url = make_url(server_url).set(username="plain_owner", database="of_plain_owner")
        try:
            with monkeypatch.context() as patched:
                patched.setattr(roles, "ROLES", ("missing_app", "missing_auditor"))
                assert upgrade(url.render_as_string()) == roles.NO_ROLES
            assert upgrade(url.render_as_string()) == ""
            owner = create_engine(url, poolclass=NullPool)
            with owner.begin() as owned, pytest.raises(ProgrammingError, match="permission denied to set role"):
                owned.exec_driver_sql(f"SET ROLE {APP_ROLE}")
        finally:
            embedded.drop_database(server_url, "of_plain_owner")
            connection.exec_driver_sql("DROP ROLE plain_owner")


def test_two_make_the_roles_at_once(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Roles belong to the whole server: whoever comes second finds them made, or is told so in the middle."""
    assert roles.created(connection, "made_once")
    monkeypatch.setattr(roles, "PRESENT", "SELECT 1 FROM pg_roles WHERE rolname = ANY (%s::text[]) AND false")
    assert roles.created(connection, "made_once")
