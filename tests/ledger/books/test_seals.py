from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from ledger import books
from tests.ledger.books.sample import NOW, TODAY, hold, move, post, resolve, rows

SEALED = ["books_accounts", "books_transfers", "books_entries", "books_resolutions", "books_reversals"]
CHANGES = [
    "UPDATE books_accounts SET path = path",
    "UPDATE books_transfers SET memo = memo",
    "UPDATE books_entries SET leg = leg",
    "UPDATE books_resolutions SET outcome = outcome",
    "UPDATE books_reversals SET xid = xid",
    "DELETE FROM books_accounts",
    "DELETE FROM books_balances",
    "DELETE FROM books_transfers",
    "DELETE FROM books_entries",
    "DELETE FROM books_resolutions",
    "DELETE FROM books_reversals",
    "TRUNCATE books_accounts CASCADE",
    "TRUNCATE books_balances CASCADE",
    "TRUNCATE books_transfers CASCADE",
    "TRUNCATE books_entries",
    "TRUNCATE books_resolutions",
    "TRUNCATE books_reversals",
]
HEADER = """
    INSERT INTO books_transfers (key, fingerprint, effective_date, recorded_at, memo)
    VALUES ('forged', '', '2026-01-01', '2026-01-01', '') RETURNING transfer_id
"""
LEG = """
    INSERT INTO books_entries
        (account_id, version, transfer_id, amount_minor, balance_after_minor, recorded_at, effective_date,
         leg)
    SELECT account_id, 99, %s, amount, 0, '2026-01-01', '2026-01-01', 90 + n
    FROM books_accounts a JOIN (VALUES ('a', 1, 1), ('b', -1, 2)) AS l (path, amount, n) USING (path)
    WHERE commodity = 'CNY/2' AND path = ANY (%s::text[])
"""


@pytest.fixture
def used(opened: Connection) -> Connection:
    """Books with a row in every table."""
    hold(opened, "h", 10)
    resolve(opened, books.Resolution("h", "voided"))
    books.reverse(opened, reversals=[books.Reversal("r", "opening", TODAY)], now=NOW)
    opened.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    return opened


@pytest.mark.parametrize("change", CHANGES)
def test_rows_are_sealed(used: Connection, change: str) -> None:
    """Even the owner's UPDATE, DELETE and TRUNCATE are refused."""
    with (
        pytest.raises(IntegrityError, match=f"is sealed: {change.partition(' ')[0]} refused"),
        used.begin_nested(),
    ):
        used.exec_driver_sql(change)
    assert [rows(used, table) for table in SEALED] == [8, 4, 8, 1, 1]
    assert books.check(used) == []


def test_a_balance_is_never_negative_without_the_right(opened: Connection) -> None:
    """The table refuses what the posting function would never write."""
    with pytest.raises(IntegrityError, match="not_overdrawn"):
        opened.exec_driver_sql("UPDATE books_balances SET balance_minor = -1 WHERE NOT may_overdraw")


def test_late_legs_are_refused(opened_engine: Engine) -> None:
    """No leg, balanced or not, is added to the transfer of an earlier transaction."""
    with opened_engine.begin() as connection:
        transfer_id = connection.exec_driver_sql("SELECT max(transfer_id) FROM books_transfers").scalar_one()
        for paths in (["a"], ["a", "b"]):
            with pytest.raises(IntegrityError, match="books_entries"), connection.begin_nested():
                connection.exec_driver_sql(LEG, (transfer_id, paths))
    with opened_engine.connect() as connection:
        assert books.check(connection) == []


def test_a_header_without_legs_is_refused_at_commit(opened: Connection) -> None:
    """A transfer that moves nothing does not commit."""
    opened.exec_driver_sql(HEADER)
    with pytest.raises(IntegrityError, match="does not balance"):
        opened.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")


def test_unbalanced_legs_are_refused_at_once(opened: Connection) -> None:
    """Also in the transfer's own transaction, and after its own check was made to run early."""
    transfer_id = opened.exec_driver_sql(HEADER).scalar_one()
    opened.exec_driver_sql(LEG, (transfer_id, ["a", "b"]))
    opened.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError, match="do not balance"):
        opened.exec_driver_sql(LEG.replace("99", "100").replace("90 + n", "95 + n"), (transfer_id, ["a"]))


def test_legs_of_no_account_are_refused(opened: Connection) -> None:
    """Though they sum to zero."""
    transfer_id = opened.exec_driver_sql(HEADER).scalar_one()
    with pytest.raises(IntegrityError, match="do not balance"):
        opened.exec_driver_sql(LEG.replace("SELECT account_id,", "SELECT -n,"), (transfer_id, ["a", "b"]))


def test_a_borrowed_transaction_number_is_refused(opened_engine: Engine) -> None:
    """A later leg does not get in by naming the transaction of its header."""
    forged = LEG.replace("leg)", "leg, xid)").replace("90 + n", "90 + n, h.xid").replace(
        "FROM books_accounts a", "FROM books_transfers h CROSS JOIN books_accounts a"
    )  # fmt: skip
    with opened_engine.connect() as connection:
        transfer_id = connection.exec_driver_sql("SELECT max(transfer_id) FROM books_transfers").scalar_one()
        with pytest.raises(IntegrityError, match="is not of this transaction"):
            connection.exec_driver_sql(f"{forged} AND h.transfer_id = %s", (transfer_id, ["a", "b"], transfer_id))


@pytest.mark.parametrize(
    "late",
    [
        "INSERT INTO books_resolutions (hold_id, transfer_id, outcome) VALUES (%s, %s, 'voided')",
        "INSERT INTO books_reversals (reversed_id, transfer_id) VALUES (%s, %s + 1)",
    ],
)
def test_late_ends_and_reversals_are_refused(opened_engine: Engine, late: str) -> None:
    """What a transfer does to another it does in its own transaction."""
    with opened_engine.begin() as connection:
        post(connection, move("first", "a", "b", 1), move("second", "b", "a", 1))
        found = "SELECT transfer_id FROM books_transfers WHERE key = 'first'"
        transfer_id = connection.exec_driver_sql(found).scalar_one()
    with opened_engine.begin() as connection, pytest.raises(IntegrityError, match="is not of this transaction"):
        connection.exec_driver_sql(late, (transfer_id, transfer_id))


def test_a_refused_header_has_no_legs(opened: Connection) -> None:
    """An outcome is either a movement or a refusal."""
    forged = HEADER.replace("memo)", "memo, refusal)").replace("'')", "'', '{}')")
    transfer_id = opened.exec_driver_sql(forged).scalar_one()
    opened.exec_driver_sql(LEG, (transfer_id, ["a", "b"]))
    with pytest.raises(IntegrityError, match="does not balance"):
        opened.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize("edition", ["books_v1.sql", "books_v2.sql", "books_v3.sql"])
def test_the_script_has_no_percent_sign(edition: str) -> None:
    """A driver may take one for a placeholder when the migration runs the script."""
    script = Path(books.__file__).parents[1] / "sql" / edition
    assert "%" not in script.read_text()
