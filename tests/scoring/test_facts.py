"""Facts are refused when they cannot be, and never change once taken."""

from collections.abc import Sequence

import numpy as np
import pytest

from scoring import facts
from scoring.errors import ScoringError
from scoring.facts import MAX_DAY, MAX_FACE_MINOR, NOT_SETTLED, Trades

GOOD = (1, 2, 500, 100, 130, 140)


def test_rows_become_columns() -> None:
    """A row's cells land in their columns and an open row reads as NOT_SETTLED."""
    trades = Trades.from_rows([GOOD, (1, 2, 500, 100, 130, None)])
    assert len(trades) == 2
    assert trades.settled_day.tolist() == [140, NOT_SETTLED]
    assert trades.is_open.tolist() == [False, True]
    assert trades.face_minor.dtype == np.int64
    assert trades.due_day.dtype == np.int32


def test_no_rows_are_a_book_too() -> None:
    """An empty book has typed columns, and so has the join of nothing."""
    assert len(Trades.from_rows([])) == 0
    assert Trades.concat([]).settled_day.dtype == np.int32


def test_concat_keeps_order() -> None:
    """Joined books keep the order of their parts."""
    first, second = Trades.from_rows([GOOD]), Trades.from_rows([(9, 2, 500, 100, 130, None)])
    assert Trades.concat([first, second, first]).obligor.tolist() == [1, 9, 1]


def test_columns_cannot_be_written() -> None:
    """Neither the book nor the array it was made from can change it."""
    days = np.array([100], dtype=np.int32)
    trades = Trades(np.array([1]), np.array([2]), np.array([5]), days, days, days)
    days[0] = 7
    assert trades.issue_day[0] == 100
    with pytest.raises(ValueError, match="read-only"):
        trades.issue_day[0] = 7


def test_prepayment_is_known_with_its_invoice() -> None:
    """A settlement before issue is accepted and becomes known on the issue day."""
    trades = Trades.from_rows([(1, 2, 500, 100, 130, 90)])
    assert trades.known_day.tolist() == [100]
    assert len(trades.known_by(99)) == 0
    assert trades.known_by(100).settled_day.tolist() == [90]


def test_known_by_hides_what_came_later() -> None:
    """Later invoices vanish and later settlements are open again."""
    trades = Trades.from_rows([GOOD, (1, 2, 500, 101, 130, None), (1, 2, 500, 139, 150, 139)])
    assert trades.known_by(139).settled_day.tolist() == [NOT_SETTLED, NOT_SETTLED, 139]
    assert len(trades.known_by(100)) == 1
    assert trades.known_by(140).settled_day[0] == 140


@pytest.mark.parametrize(
    ("row", "refusal"),
    [
        ((-1, 2, 500, 100, 130, None), facts.CodeOutOfRange),
        ((1, -2, 500, 100, 130, None), facts.CodeOutOfRange),
        ((1, 2, 0, 100, 130, None), facts.FaceOutOfRange),
        ((1, 2, MAX_FACE_MINOR + 1, 100, 130, None), facts.FaceOutOfRange),
        ((1, 2, 500, -1, 130, None), facts.DayOutOfRange),
        ((1, 2, 500, 100, MAX_DAY + 1, None), facts.DayOutOfRange),
        ((1, 2, 500, 100, 130, -1), facts.DayOutOfRange),
        ((1, 2, 500, 100, 130, NOT_SETTLED - 1), facts.DayOutOfRange),
        ((1, 2, 500, 100, 99, None), facts.DueBeforeIssue),
        ((1, 2, 500, 100, 2**31, None), facts.ColumnNotInteger),
        ((1, 2, 2**63, 100, 130, None), facts.ColumnNotInteger),
        ((1, 2, 2**70, 100, 130, None), facts.ColumnNotInteger),
        ((1, 2, 500, 100, 130), facts.ColumnsUneven),
    ],
)
def test_impossible_rows_are_refused(row: Sequence[int | None], refusal: type[ScoringError]) -> None:
    """Each impossible row is refused by its own code."""
    with pytest.raises(refusal) as caught:
        Trades.from_rows([GOOD, row])
    assert caught.value.code.startswith("facts_")


def test_uneven_and_wrong_columns_are_refused() -> None:
    """Columns of unlike length, of two dimensions, or of fractions are refused."""
    one, two = np.array([1]), np.array([1, 1])
    with pytest.raises(facts.ColumnsUneven):
        Trades(one, one, two, one, one, one)
    with pytest.raises(facts.ColumnsUneven):
        Trades(two[None], two, two, two, two, two)
    with pytest.raises(facts.ColumnNotInteger):
        Trades(np.array([1.5]), one, one, one, one, one)


def test_a_refusal_names_the_row() -> None:
    """The first offending row's number is in the message."""
    with pytest.raises(facts.FaceOutOfRange, match="row 1"):
        Trades.from_rows([GOOD, (1, 2, 0, 100, 130, None)])
