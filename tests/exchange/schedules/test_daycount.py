"""Day counts against the examples that ISDA published beside its definitions."""

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.schedules.daycount import DayCount, days_between, year_fraction

EXAMPLES = [
    # start, end, 30/360, 30E/360: from "30/360 - 2006 ISDA Definitions" (ISDA, worked examples).
    ("2007-01-15", "2007-01-30", 15, 15),
    ("2007-01-15", "2007-02-15", 30, 30),
    ("2007-01-15", "2007-07-15", 180, 180),
    ("2007-09-30", "2008-03-31", 180, 180),
    ("2007-09-30", "2007-10-31", 30, 30),
    ("2007-09-30", "2008-09-30", 360, 360),
    ("2007-01-15", "2007-01-31", 16, 15),
    ("2007-01-31", "2007-02-28", 28, 28),
    ("2007-02-28", "2007-03-31", 33, 32),
    ("2006-08-31", "2007-02-28", 178, 178),
    ("2007-02-28", "2007-08-31", 183, 182),
    ("2007-02-14", "2007-02-28", 14, 14),
    ("2007-02-26", "2008-02-29", 363, 363),
    ("2008-02-29", "2009-02-28", 359, 359),
    ("2008-02-29", "2008-03-30", 31, 31),
    ("2008-02-29", "2008-03-31", 32, 31),
    ("2007-02-28", "2007-03-05", 7, 7),
    ("2007-10-31", "2007-11-28", 28, 28),
    ("2007-08-31", "2008-02-29", 179, 179),
    ("2008-02-29", "2008-08-31", 182, 181),
    ("2008-08-31", "2009-02-28", 178, 178),
    ("2009-02-28", "2009-08-31", 183, 182),
]


@pytest.mark.parametrize(("start", "end", "bond", "eurobond"), EXAMPLES)
def test_isda_examples(start: str, end: str, bond: int, eurobond: int) -> None:
    """Thirty-day months by both rules."""
    first, last = date.fromisoformat(start), date.fromisoformat(end)
    assert days_between(first, last, convention=DayCount.THIRTY_360) == bond
    assert days_between(first, last, convention=DayCount.THIRTY_E_360) == eurobond
    assert year_fraction(first, last, convention=DayCount.THIRTY_E_360) == Fraction(eurobond, 360)


def test_actual_days() -> None:
    """A leap year has 366 days, of a year of 360 or of 365."""
    start, end = date(2024, 1, 1), date(2025, 1, 1)
    assert year_fraction(start, end, convention=DayCount.ACT_360) == Fraction(366, 360)
    assert year_fraction(start, end, convention=DayCount.ACT_365F) == Fraction(366, 365)


@given(
    day=st.dates(date(1970, 1, 1), date(2199, 12, 31)),
    years=st.integers(1, 30),
    convention=st.sampled_from([DayCount.THIRTY_360, DayCount.THIRTY_E_360]),
)
def test_whole_years_are_whole(day: date, years: int, convention: DayCount) -> None:
    """From a date to the same one years later is that many years, leap days aside."""
    if (day.month, day.day) != (2, 29):
        later = day.replace(year=day.year + years)
        assert year_fraction(day, later, convention=convention) == years
