"""`exchange books`, as somebody types it who has an auditor's rights and the address of the database."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from exchange.operations import bookkeeping
from exchange.settings import SettingsError
from ledger import books
from ledger.errors import LedgerError
from tests.ledger.books.sample import ACCOUNTS, ASSET, CNY, NOW, TODAY, move, post

FUNDER = "funder/f1"
Ask = Callable[..., Result]


@pytest.fixture
def ask(engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """The command on books with a few transfers."""
    with engine.begin() as connection:
        own = [books.Account(f"{FUNDER}/{name}", CNY) for name in ("cash", "reserved")]
        books.open_accounts(connection, accounts=[*ACCOUNTS, *own])
        post(connection, move("in", "bank", f"{FUNDER}/cash", 100), move("issue", "issue", "b", 7, ASSET))
        books.hold(
            connection,
            requests=[books.HoldRequest("held", f"{FUNDER}/cash", f"{FUNDER}/reserved", CNY, 30, TODAY)],
            now=NOW,
        )
        post(connection, *[move(f"t{number:04}", "bank", "a", 1) for number in range(1100)])
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg", ""))
    return lambda *arguments: CliRunner().invoke(bookkeeping.group, arguments)


def lines(result: Result) -> list[list[str]]:
    """The cells of the answer."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return [line.split("\t") for line in result.output.splitlines()]


def test_sound_books(ask: Ask) -> None:
    """Nothing wrong, and every commodity sums to zero."""
    checked = ask("check")
    assert (checked.exit_code, lines(checked)) == (0, [["kind", "where", "expected", "found"]])
    totals = ask("trial-balance")
    assert totals.exit_code == 0
    assert lines(totals)[1:] == [[CNY, "6", "1200", "-1200", "0"], [ASSET, "4", "7", "-7", "0"]]


def test_tampered_books(ask: Ask, engine: Engine) -> None:
    """What is wrong is named, and the exit code says so."""
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("UPDATE books_balances SET balance_minor = 71 WHERE balance_minor = 70")
    checked = ask("check")
    assert checked.exit_code == 1
    assert lines(checked)[1][:2] == ["balance_row", f"account {FUNDER}/cash {CNY}"]
    for arguments in ([], ["--holder", FUNDER]):
        totals = ask("trial-balance", *arguments)
        assert (totals.exit_code, lines(totals)[1][-1]) == (1, "1")


def test_one_holder(ask: Ask) -> None:
    """Its balances close with everybody else's legs, and its journal names nobody."""
    totals = ask("trial-balance", "--holder", FUNDER)
    assert (totals.exit_code, lines(totals)[1:]) == (0, [[CNY, "2", "100", "0", "-100", "0"]])
    rows = [[key, path, amount] for _, key, *_, path, _, amount in lines(ask("journal", FUNDER))[1:]]
    assert rows == [
        ["in", f"{FUNDER}/cash", "100"],
        ["in", "", "-100"],
        ["held", f"{FUNDER}/cash", "-30"],
        ["held", f"{FUNDER}/reserved", "30"],
    ]
    assert len(lines(ask("journal", FUNDER, "--from", "2026-03-03"))) == 1
    assert len(lines(ask("journal", FUNDER, "--to", "2026-03-02"))) == 5


def test_a_statement_is_whole(ask: Ask) -> None:
    """However many pages it takes; or from the version already known."""
    rows = lines(ask("statement", "a", CNY))
    assert rows[0][0] == "version"
    assert [int(row[0]) for row in rows[1:]] == list(range(1, 1101))
    assert rows[-1][2:4] + rows[-1][-2:] == ["t1099", "bank to a", "1", "1100"]
    assert [row[0] for row in lines(ask("statement", "a", CNY, "--after", "1098"))[1:]] == ["1099", "1100"]


def test_what_is_refused(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such account, no holder, no database."""
    for arguments in (["statement", "nobody", CNY], ["journal", "a/"]):
        assert isinstance(ask(*arguments).exception, LedgerError)
    monkeypatch.delenv("DATABASE_URL")
    refused = ask("check")
    assert isinstance(refused.exception, SettingsError)
    assert "DATABASE_URL" in str(refused.exception)
