import datetime as dt
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from ledger import books
from tests.ledger.books.sample import ASSET, CNY, NOW, TODAY, balance, hold, move, post, resolve, rows
from tests.ledger.books.test_races import assert_clean, race

LINK = """
    INSERT INTO books_reversals (reversed_id, transfer_id, xid)
    SELECT o.transfer_id, t.transfer_id, t.xid FROM books_transfers o, books_transfers t
    WHERE o.key = %s AND t.key = %s
"""


def undo(connection: Connection, *pairs: tuple[str, str]) -> list[books.Posted]:
    """Reverse by (key, reversed key) at the usual time."""
    return books.reverse(connection, reversals=[books.Reversal(*pair, TODAY) for pair in pairs], now=NOW)


def test_a_reversal_undoes_every_leg(opened: Connection) -> None:
    """Money and title go back, on a day of its own, linked to what it undid; repeating it is a replay."""
    post(opened, move("issue", "issue", "b", 500, ASSET))
    legs = (*move("", "a", "b", 90).legs, *move("", "b", "a", 500, ASSET).legs)
    [bought] = post(opened, books.Transfer("purchase", TODAY, "", legs))
    later = TODAY + dt.timedelta(days=3)
    wanted = [books.Reversal("undone", "purchase", later)]
    [undone] = books.reverse(opened, reversals=wanted, now=NOW)
    assert books.reverse(opened, reversals=wanted * 2, now=NOW) == [undone._replace(replayed=True)] * 2
    assert [balance(opened, "a"), balance(opened, "b")] == [100, 0]
    assert [balance(opened, "a", ASSET), balance(opened, "b", ASSET)] == [0, 500]
    last = books.statement(opened, path="a", commodity=CNY)[-1]
    assert (last.effective_date, last.memo, last.amount_minor) == (later, "reversal of purchase", 90)
    link = opened.exec_driver_sql("SELECT reversed_id, transfer_id FROM books_reversals").one()
    assert link == (bought.transfer_id, undone.transfer_id)
    opened.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    assert books.check(opened) == []


def test_a_transfer_is_reversed_once(opened: Connection) -> None:
    """A second reversal names the first, in a later call and in the same one."""
    post(opened, move("1", "a", "b", 30), move("2", "a", "b", 5))
    undo(opened, ("r1", "1"))
    with pytest.raises(books.AlreadyReversed, match="transfer 1 was reversed by r1 already"):
        undo(opened, ("again", "1"))
    with pytest.raises(books.AlreadyReversed, match="transfer 2 was reversed by x already"):
        undo(opened, ("x", "2"), ("y", "2"))
    assert [balance(opened, "a"), balance(opened, "b")] == [95, 5]


def test_what_cannot_be_reversed(opened: Connection) -> None:
    """A reversal, a hold and the end of a hold: each refusal says what it is."""
    post(opened, move("1", "a", "b", 30))
    undo(opened, ("r1", "1"))
    hold(opened, "h", 10)
    resolve(opened, books.Resolution("h", "voided"))
    for key, kind in (("r1", "reversal"), ("h", "hold"), ("h/void", "end of a hold")):
        with pytest.raises(books.NotReversible, match=f"transfer {key} cannot be reversed: it is a {kind}"):
            undo(opened, ("x", key))
    assert books.check(opened) == []


@pytest.mark.parametrize("key", ["nobody", "", "a b", "refused"])
def test_what_was_never_posted(opened: Connection, key: str) -> None:
    """No transfer, no key at all, and a transfer that was refused."""
    with pytest.raises(books.InsufficientFunds):
        post(opened, move("refused", "a", "b", 101))
    with pytest.raises(books.UnknownTransfer, match="no transfer"):
        undo(opened, ("x", key))
    assert undo(opened) == []


def test_what_was_spent_cannot_go_back(opened: Connection) -> None:
    """The refusal is the reversal's outcome; under another key it may succeed later."""
    post(opened, move("1", "a", "b", 30), move("2", "b", "bank", 10))
    with pytest.raises(books.InsufficientFunds) as refused:
        undo(opened, ("r1", "1"))
    assert (refused.value.needed_minor, refused.value.available_minor) == (30, 20)
    post(opened, move("3", "bank", "b", 10))
    with pytest.raises(books.InsufficientFunds):
        undo(opened, ("r1", "1"))
    undo(opened, ("r2", "1"))
    assert [balance(opened, "a"), balance(opened, "b")] == [100, 0]


def test_a_key_is_one_reversal(opened: Connection) -> None:
    """The key of another request, of a plain transfer with the same legs, and of two reversals at once."""
    post(opened, move("1", "a", "b", 30), move("2", "a", "b", 30))
    with pytest.raises(books.KeyReused, match="opening"):
        undo(opened, ("opening", "1"))
    post(opened, books.Transfer("plain", TODAY, "reversal of 1", move("", "a", "b", -30).legs))
    with pytest.raises(books.KeyReused, match="plain"):
        undo(opened, ("plain", "1"))
    same = [books.Reversal("x", key, TODAY, "both") for key in ("1", "2")]
    with pytest.raises(books.KeyReused, match="x"):
        books.reverse(opened, reversals=same, now=NOW)
    assert rows(opened, "books_reversals") == 0


def test_one_of_many_reversals(opened_engine: Engine) -> None:
    """Of eight at once, each under its own key, one undoes the transfer and seven are told by which."""
    with opened_engine.begin() as connection:
        post(connection, move("1", "a", "b", 30))
    outcomes = race(opened_engine, [partial(undo_one, f"r{number}") for number in range(8)])
    assert sum(isinstance(outcome, books.AlreadyReversed) for outcome in outcomes) == 7
    with opened_engine.connect() as connection:
        assert [balance(connection, "a"), balance(connection, "b")] == [100, 0]
    assert_clean(opened_engine)


def undo_one(key: str, connection: Connection) -> list[books.Posted]:
    """Reverse the transfer 1."""
    return undo(connection, (key, "1"))


def test_the_table_refuses_what_is_no_reversal(opened: Connection) -> None:
    """Another amount, a hold, a second time, backwards in time: whoever writes the row."""
    post(opened, move("1", "a", "b", 30), move("2", "b", "a", 29), move("3", "b", "a", 1))
    hold(opened, "h", 10)
    post(opened, move("back", "reserved", "a", 10))
    for reversed_key, key, error in (
        ("1", "2", "does not reverse"),
        ("h", "back", "does not reverse"),
        ("3", "3", "later"),
        ("3", "1", "later"),
    ):
        with pytest.raises(IntegrityError, match=error), opened.begin_nested():
            opened.exec_driver_sql(LINK, (reversed_key, key))
    post(opened, move("4", "a", "b", 1), move("5", "a", "b", 1))
    opened.exec_driver_sql(LINK, ("3", "4"))
    with pytest.raises(IntegrityError, match="pk_books_reversals"), opened.begin_nested():
        opened.exec_driver_sql(LINK, ("3", "5"))
    post(opened, move("6", "b", "a", 1))
    with pytest.raises(IntegrityError, match="does not reverse"), opened.begin_nested():
        opened.exec_driver_sql(LINK, ("4", "6"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), amounts=st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_to_reverse_all_is_to_begin_again(opened: Connection, data: st.DataObject, amounts: list[int]) -> None:
    """Whatever was posted, undone in any order, leaves every balance where it was."""
    with opened.begin_nested() as savepoint:
        post(opened, move("much", "bank", "a", 1000), move("more", "bank", "b", 1000))
        before = books.trial_balance(opened)
        for number, amount in enumerate(amounts):
            source, target, _ = data.draw(st.permutations(["a", "b", "bank"]))
            post(opened, move(f"t{number}", source, target, amount))
        order = data.draw(st.permutations(range(len(amounts))))
        undo(opened, *[(f"r{number}", f"t{number}") for number in order])
        assert books.trial_balance(opened) == before
        assert [balance(opened, "a"), balance(opened, "b")] == [1100, 1000]
        assert books.check(opened) == []
        savepoint.rollback()
