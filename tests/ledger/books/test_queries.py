import datetime as dt
from contextlib import suppress
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from ledger import books
from ledger.books.queries import CommodityTotal
from tests.ledger.books.sample import ASSET, CNY, NOW, TODAY, move, post

DAY = dt.timedelta(days=1)
BAD_NAMES = ["nobody", "", "a\0", "\ud800"]


def test_balances_leave_out_what_is_not_open(opened: Connection) -> None:
    """A missing account never reads as zero."""
    wanted = [("a", CNY), ("b", CNY), *[(name, CNY) for name in BAD_NAMES]]
    assert books.balances(opened, accounts=wanted) == {("a", CNY): 100, ("b", CNY): 0}
    assert books.balances(opened, accounts=[]) == {}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_readings_of_unknown_accounts_are_refused(opened: Connection, name: str) -> None:
    """Neither a balance as of any time nor a statement is invented."""
    with pytest.raises(books.UnknownAccount):
        books.balance_as_of(opened, path=name, commodity=CNY)
    with pytest.raises(books.UnknownAccount):
        books.statement(opened, path=name, commodity=CNY)


MOVES = st.lists(
    st.tuples(st.integers(1, 99), st.booleans(), st.integers(-3, 3), st.integers(0, 3)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_as_of_agrees_with_a_sum_over_entries(opened: Connection, moves: list[tuple[int, bool, int, int]]) -> None:
    """At every recorded moment and effective day, alone and together, also when entries are backdated."""
    with opened.begin_nested() as savepoint:
        for number, (amount, into, days, hours) in enumerate(moves):
            source, target = ("bank", "b") if into else ("b", "bank")
            transfer = move(f"t{number}", source, target, amount)._replace(effective_date=TODAY + days * DAY)
            with suppress(books.InsufficientFunds):
                post(opened, transfer, now=NOW + dt.timedelta(hours=hours))
        entries = books.statement(opened, path="b", commodity=CNY)
        moments = [None, NOW - DAY, *[entry.recorded_at for entry in entries]]
        for at, day in product(moments, [None, *[TODAY + days * DAY for days in range(-4, 4)]]):
            counted = sum(
                entry.amount_minor
                for entry in entries
                if (at is None or entry.recorded_at <= at) and (day is None or entry.effective_date <= day)
            )
            found = books.balance_as_of(opened, path="b", commodity=CNY, recorded_at=at, effective_date=day)
            assert found == counted
        savepoint.rollback()


def test_a_backdated_entry_counts_from_its_day(opened: Connection) -> None:
    """What was known at a moment and what was in effect on a day are two questions."""
    late = move("late", "bank", "a", 5)._replace(effective_date=TODAY - 3 * DAY)
    post(opened, late, now=NOW + DAY)

    def as_of(recorded_at: dt.datetime | None, effective_date: dt.date | None) -> int:
        return books.balance_as_of(
            opened, path="a", commodity=CNY, recorded_at=recorded_at, effective_date=effective_date
        )

    assert as_of(None, None) == 105
    assert as_of(NOW, None) == 100
    assert as_of(None, TODAY - DAY) == 5
    assert as_of(NOW, TODAY - DAY) == 0


def test_a_statement_is_read_in_pages(opened: Connection) -> None:
    """Pages follow one another by version, without gap or overlap."""
    post(opened, *[move(f"t{number}", "bank", "a", number) for number in range(1, 10)])
    whole = books.statement(opened, path="a", commodity=CNY)
    assert [entry.version for entry in whole] == list(range(1, 11))
    assert [entry.balance_after_minor for entry in whole][-1] == 145
    assert whole[1].key == "t1"
    assert whole[1].memo == "bank to a"
    pages = [books.statement(opened, path="a", commodity=CNY, after_version=after, limit=4) for after in (0, 4, 8)]
    assert [entry for page in pages for entry in page] == whole
    assert books.statement(opened, path="a", commodity=CNY, after_version=10) == []


@pytest.mark.parametrize(("after_version", "limit"), [(-1, 10), (0, 0), (0, 10_001)])
def test_bad_pages_are_refused(opened: Connection, after_version: int, limit: int) -> None:
    """A page starts at a version and has a size."""
    with pytest.raises(books.InvalidPage):
        books.statement(opened, path="a", commodity=CNY, after_version=after_version, limit=limit)


def test_the_trial_balance_sums_to_zero(opened: Connection) -> None:
    """One row per commodity, in order."""
    post(opened, move("issue", "issue", "b", 500, ASSET), move("1", "a", "b", 30))
    total, title = books.trial_balance(opened)
    assert total == CommodityTotal(CNY, 4, 100, -100)
    assert title == CommodityTotal(ASSET, 4, 500, -500)
    assert total.sum_minor == title.sum_minor == 0
