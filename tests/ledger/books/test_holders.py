import datetime as dt
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from ledger import books
from tests.ledger.books.sample import ASSET, CNY, NOW, TODAY, move, post

DAY = dt.timedelta(days=1)
F1, F2 = "funder/f1", "funder/f10"
PATHS = [f"{F1}/cash", f"{F1}/reserved", f"{F2}/cash", "seller/s/cash", "outside"]


@pytest.fixture
def held(connection: Connection) -> Connection:
    """Two funders, one whose path begins like the other's, and who deals with them."""
    accounts = [books.Account(path, name, may_overdraw=path == "outside") for path in PATHS for name in (CNY, ASSET)]
    books.open_accounts(connection, accounts=accounts)
    return connection


def test_a_trial_balance_closes_with_the_counterparties(held: Connection) -> None:
    """What the funder has and what everybody else did to it sum to zero, in each commodity."""
    legs = (*move("", f"{F1}/cash", "seller/s/cash", 60).legs, *move("", "outside", f"{F1}/cash", 9, ASSET).legs)
    post(
        held,
        move("in", "outside", f"{F1}/cash", 100),
        move("other", "outside", f"{F2}/cash", 7),
        books.Transfer("buy", TODAY, "", legs),
        move("set-aside", f"{F1}/cash", f"{F1}/reserved", 15),
    )
    money = books.HolderTotal(CNY, 2, 40, 0, -40)
    assert books.holder_trial_balance(held, holder=F1) == [money, books.HolderTotal(ASSET, 2, 9, 0, -9)]
    assert money.sum_minor == 0
    assert books.holder_trial_balance(held, holder="nobody") == []


def test_a_trial_balance_shows_a_changed_balance(held: Connection) -> None:
    """The two sides come from different rows: one that was changed leaves a difference."""
    post(held, move("in", "outside", f"{F1}/cash", 100))
    held.exec_driver_sql("UPDATE books_balances SET balance_minor = balance_minor + 1 WHERE balance_minor = 100")
    assert [total.sum_minor for total in books.holder_trial_balance(held, holder=F1)] == [0 + 1, 0]


def test_a_journal_names_nobody_else(held: Connection) -> None:
    """The holder's own accounts by path, all others as one line, and nothing of commodities it did not touch."""
    legs = (
        *move("", f"{F1}/cash", "seller/s/cash", 60).legs,
        *move("", f"{F1}/cash", "outside", 5).legs,
        *move("", "outside", f"{F2}/cash", 9, ASSET).legs,
    )
    post(held, move("1-in", "outside", f"{F1}/cash", 100), books.Transfer("2-buy", TODAY + DAY, "a deal", legs))
    first, second = books.journal(held, holder=F1)
    assert (first.key, first.effective_date, first.recorded_at) == ("1-in", TODAY, NOW)
    assert (second.key, second.memo) == ("2-buy", "a deal")
    assert second.lines == (books.JournalLine(f"{F1}/cash", CNY, -65), books.JournalLine(None, CNY, 65))
    assert [entry.key for entry in books.journal(held, holder=F1, from_date=TODAY + DAY)] == ["2-buy"]
    assert [entry.key for entry in books.journal(held, holder=F1, to_date=TODAY)] == ["1-in"]
    assert list(books.journal(held, holder=F1, from_date=TODAY + 2 * DAY)) == []


@pytest.mark.parametrize("holder", ["", "funder/f1/", "a b", "\0"])
def test_what_is_no_holder(held: Connection, holder: str) -> None:
    """A holder is a path, and no part of one."""
    with pytest.raises(books.InvalidHolder):
        books.holder_trial_balance(held, holder=holder)
    with pytest.raises(books.InvalidHolder):
        books.journal(held, holder=holder)


MOVES = st.lists(
    st.tuples(st.lists(st.sampled_from(PATHS), min_size=2, max_size=5), st.integers(1, 9)), min_size=1, max_size=10
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_journals_add_up_to_the_balances(held: Connection, moves: list[tuple[list[str], int]]) -> None:
    """Every entry of a journal is balanced, its own lines add up to the balances, and the trial balance to zero."""
    with held.begin_nested() as savepoint:
        post(held, *[move(f"rich{n}", "outside", path, 1000) for n, path in enumerate(PATHS) if path != "outside"])
        for number, (paths, amount) in enumerate(moves):
            legs = tuple(leg for pair in pairwise(paths) for leg in move("", *pair, amount).legs)
            post(held, books.Transfer(f"t{number}", TODAY, "", legs))
        for holder in (F1, F2, "seller/s"):
            totals: Counter[str] = Counter()
            for entry in books.journal(held, holder=holder):
                assert sum(line.amount_minor for line in entry.lines) == 0
                totals.update({line.path: line.amount_minor for line in entry.lines if line.path})
            own = [(path, CNY) for path in PATHS if path.startswith(f"{holder}/")]
            assert {path: totals[path] for path, _ in own} == {
                path: amount for (path, _), amount in books.balances(held, accounts=own).items()
            }
            assert all(total.sum_minor == 0 for total in books.holder_trial_balance(held, holder=holder))
        savepoint.rollback()


def test_a_long_journal_is_streamed(held: Connection) -> None:
    """Entries come as they are read, beyond one fetch, each whole."""
    post(held, *[move(f"t{number:04}", "outside", f"{F1}/cash", 1) for number in range(1500)])
    entries = list(books.journal(held, holder=F1))
    assert [entry.key for entry in entries] == [f"t{number:04}" for number in range(1500)]
    assert {len(entry.lines) for entry in entries} == {2}
