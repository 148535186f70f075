"""Planted fraud with known truth is found: copies in three disguises, round trips, rings; honest trade is let be."""

from dataclasses import replace

import pytest

from exchange.replay.synthetic import make_book
from scoring.copies import Copy, Invoice, copies, plain_number
from tests.benchmarks import planted


@pytest.mark.parametrize("seed", [11, 12])
def test_what_is_planted_is_found(seed: int) -> None:
    """Exact and renumbered copies, near ones, both with papers known and without, round trips and rings."""
    for pattern, (recall, precision) in planted.figures(make_book(seed=seed, start=planted.START)).items():
        assert recall >= planted.RECALL, pattern
        assert precision >= planted.PRECISION, pattern


FIRST = Invoice(10, "a", "s", "b", "XS-0042/7", 100_000, 10, 40, frozenset({"note"}))


@pytest.mark.parametrize(
    "number", ["XS-0042/7", "xs00427", "00 XS.0042-7", "\uff38\uff33-\uff10\uff10\uff14\uff12/\uff17"]
)
def test_a_number_is_one_however_typed(number: str) -> None:
    """Case, separators, leading zeros and full width make no other number."""
    assert plain_number(number) == "XS00427"
    again = replace(FIRST, reference="b", day=12, number=number, buyer="other")
    assert copies([again, FIRST]) == [Copy("b", "a", "number")]


def test_what_is_no_copy() -> None:
    """Another seller or buyer, three days, one in a hundred, and other papers behind a standing order."""
    again = replace(FIRST, reference="b", number="77")
    assert copies([FIRST, again]) == [Copy("b", "a", "paper")]
    assert copies([FIRST, replace(again, papers=frozenset())]) == [Copy("b", "a", "likeness")]
    nearer = replace(again, reference="c", number="78", papers=frozenset(), face_minor=99_901)
    assert copies([FIRST, replace(again, face_minor=99_900), nearer])[1] == Copy("c", "b", "likeness")
    assert copies([FIRST, replace(again, face_minor=99_500, due_day=42)]) == [Copy("b", "a", "paper")]
    for other in (
        replace(again, seller="t"),
        replace(again, buyer="c"),
        replace(again, due_day=43),
        replace(again, issue_day=13),
        replace(again, face_minor=99_000),
        replace(again, papers=frozenset({"other"})),
    ):
        assert copies([FIRST, other]) == []
