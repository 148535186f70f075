import re
from string import Template

import pytest
from sqlalchemy import Connection

from ledger import books
from tests.ledger.books.sample import CNY, NOW, TODAY, balance, hold, move, post, resolve

# What an owner does to the rows with all triggers off, and every break that this must give.
CASES = {
    "UPDATE books_entries t SET amount_minor = 99 FROM $of_a 1": {
        ("unbalanced", "transfer opening in CNY/2"),
        ("running_balance", "account a CNY/2 version 1"),
        ("fingerprint", "transfer opening"),
    },
    "UPDATE books_entries t SET balance_after_minor = 91 FROM $of_a 2": {
        ("running_balance", "account a CNY/2 version 2"),
        ("running_balance", "account a CNY/2 version 3"),
    },
    "UPDATE books_entries t SET version = 9 FROM $of_a 5": {
        ("version_gap", "account a CNY/2 version 9"),
        ("balance_row", "account a CNY/2"),
    },
    "UPDATE books_entries t SET account_id = ($b), version = 2 FROM $of_a 5": {
        ("running_balance", "account b CNY/2 version 2"),
        ("balance_row", "account a CNY/2"),
        ("balance_row", "account b CNY/2"),
        ("fingerprint", "transfer h2"),
    },
    "DELETE FROM books_entries t USING $of_a 2": {
        ("unbalanced", "transfer paid in CNY/2"),
        ("version_gap", "account a CNY/2 version 3"),
        ("running_balance", "account a CNY/2 version 3"),
        ("fingerprint", "transfer paid"),
    },
    "DELETE FROM books_entries WHERE transfer_id = ($id 'h2')": {
        ("legs", "transfer h2"),
        ("balance_row", "account a CNY/2"),
        ("balance_row", "account reserved CNY/2"),
        ("reserved", "account reserved CNY/2"),
    },
    "DELETE FROM books_transfers WHERE key = 'paid'": {
        ("leg", "account a CNY/2 version 2"),
        ("leg", "account b CNY/2 version 1"),
    },
    "UPDATE books_transfers SET refusal = '{}' WHERE key = 'paid'": {("legs", "transfer paid")},
    "UPDATE books_transfers SET refusal = NULL WHERE key = 'refused'": {("legs", "transfer refused")},
    "UPDATE books_entries t SET xid = xid + 1 FROM $of_a 2": {("leg", "account a CNY/2 version 2")},
    "UPDATE books_entries t SET effective_date = '2020-01-01' FROM $of_a 2": {("leg", "account a CNY/2 version 2")},
    """
        UPDATE books_transfers SET effective_date = '2020-01-01' WHERE key = 'paid';
        UPDATE books_entries SET effective_date = '2020-01-01' WHERE transfer_id = ($id 'paid')
    """: {("fingerprint", "transfer paid")},
    "UPDATE books_transfers SET memo = 'gift' WHERE key = 'paid'": {("fingerprint", "transfer paid")},
    "UPDATE books_transfers SET key = 'unpaid' WHERE key = 'paid'": {("fingerprint", "transfer unpaid")},
    "UPDATE books_transfers SET hold = false WHERE key = 'h'": {
        ("fingerprint", "transfer h"),
        ("resolutions", "hold h"),
    },
    """
        UPDATE books_transfers SET recorded_at = '2020-01-01' WHERE key = 'paid';
        UPDATE books_entries SET recorded_at = '2020-01-01' WHERE transfer_id = ($id 'paid')
    """: {("time_order", "account a CNY/2 version 2"), ("balance_row", "account b CNY/2")},
    "UPDATE books_accounts SET may_overdraw = false WHERE path = 'bank'": {
        ("overdraft", "account bank CNY/2 version 1"),
        ("balance_row", "account bank CNY/2"),
    },
    "UPDATE books_balances SET balance_minor = 1000 WHERE account_id = ($b)": {("balance_row", "account b CNY/2")},
    "DELETE FROM books_balances WHERE account_id = ($b)": {("balance_row", "account b CNY/2")},
    "DELETE FROM books_accounts WHERE path = 'b' AND commodity = 'CNY/2'": {
        ("unbalanced", "transfer paid in CNY/2"),
        ("leg", "account 0 version 1"),
        ("fingerprint", "transfer paid"),
    },
    """
        ALTER TABLE books_resolutions DROP CONSTRAINT pk_books_resolutions;
        INSERT INTO books_resolutions (hold_id, transfer_id, outcome)
        VALUES (($id 'h'), ($id 'paid'), 'captured')
    """: {("resolutions", "hold h"), ("resolution_amount", "transfer paid from reserved CNY/2")},
    "DELETE FROM books_resolutions": {("reserved", "account reserved CNY/2")},
    "UPDATE books_resolutions SET hold_id = ($id 'paid')": {
        ("resolutions", "hold paid"),
        ("resolution_amount", "transfer h/void from b CNY/2"),
        ("reserved", "account reserved CNY/2"),
    },
    "UPDATE books_transfers SET expires_at = '2026-03-03' WHERE key = 'h2'": {("fingerprint", "transfer h2")},
    "UPDATE books_reversals SET reversed_id = ($id 'paid')": {("reversal", "transfer r")},
    "UPDATE books_reversals SET reversed_id = ($id 'h2')": {("reversal", "transfer r")},
    "UPDATE books_reversals SET reversed_id = 0": {("reversal", "transfer r")},
    "UPDATE books_resolutions SET hold_id = 0": {
        ("resolutions", "hold"),
        ("reserved", "account reserved CNY/2"),
    },
}
NAMES = {
    "of_a": """
        books_accounts a
        WHERE a.account_id = t.account_id AND a.path = 'a' AND a.commodity = 'CNY/2' AND t.version =
    """,
    "b": "SELECT account_id FROM books_accounts WHERE path = 'b' AND commodity = 'CNY/2'",
    "id": "SELECT transfer_id FROM books_transfers WHERE key =",
}


def tamper(connection: Connection, change: str) -> None:
    """Write with all triggers off."""
    connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
    connection.exec_driver_sql(Template(change).substitute(NAMES))


@pytest.fixture
def used(opened: Connection) -> Connection:
    """Books with a payment, a refusal, a voided hold of 20 and an open hold of 30."""
    post(opened, move("paid", "a", "b", 10))
    hold(opened, "h", 20)
    with pytest.raises(books.InsufficientFunds):
        post(opened, move("refused", "a", "b", 1000))
    resolve(opened, books.Resolution("h", "voided"))
    hold(opened, "h2", 30)
    books.open_accounts(opened, accounts=[books.Account(path, CNY, may_overdraw=True) for path in ("x", "y")])
    post(opened, move("wrong", "x", "y", 40))
    books.reverse(opened, reversals=[books.Reversal("r", "wrong", TODAY)], now=NOW)
    return opened


def test_sound_books_are_clean(used: Connection) -> None:
    """Payments, refusals and holds in every state break nothing."""
    assert books.check(used) == []


@pytest.mark.parametrize("change", CASES)
def test_tampering_is_named(used: Connection, change: str) -> None:
    """Whatever an owner changes, with all triggers off, the checker names the row, and no other."""
    tamper(used, change)
    found = {(b.kind, re.sub(r" +\(id \d+\)", "", b.where)) for b in books.check(used)}
    assert {(kind, re.sub(r"account \d+", "account 0", where)) for kind, where in found} == CASES[change]


def test_a_break_tells_what_should_be_there(used: Connection) -> None:
    """A break gives the number recomputed and the number found."""
    tamper(used, "UPDATE books_entries t SET balance_after_minor = 91 FROM $of_a 2")
    tamper(used, "DELETE FROM books_balances WHERE account_id = ($b)")
    chain = [
        books.Break("running_balance", "account a CNY/2 version 2", "90", "91"),
        books.Break("running_balance", "account a CNY/2 version 3", "71", "70"),
    ]
    *found, row = books.check(used)
    assert found == chain
    assert row.found == "no row"
    assert row.expected.startswith("version 1 balance 10 at 2026-03-02 09:30:00.000001")


def test_money_taken_past_the_holds_is_named(used: Connection) -> None:
    """A plain transfer out of a reservation account leaves its holds without cover."""
    post(used, move("past", "reserved", "b", 1))
    assert books.check(used) == [books.Break("reserved", "account reserved CNY/2", "30", "29")]


def test_a_flood_of_breaks_is_cut(opened: Connection) -> None:
    """A check reports its first thousand breaks and no more."""
    post(opened, *[move(f"t{number:04}", "bank", "b", 1) for number in range(1100)])
    tamper(opened, "UPDATE books_transfers SET memo = 'x'")
    assert len(books.check(opened)) == 1000
    assert balance(opened, "b", CNY) == 1100
