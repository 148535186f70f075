"""Day counts: how many days, of how long a year, lie between two dates. Exact: integers and fractions, no floats.

Sources: 2006 ISDA Definitions, section 4.16: (d) Actual/365 (Fixed), (e) Actual/360, (f) 30/360 (bond basis), (g)
30E/360 (Eurobond basis).
"""

from datetime import date
from enum import StrEnum
from fractions import Fraction

_LAST = 30
"""The last day of a month in which every month has thirty."""


class DayCount(StrEnum):
    """A convention, as contracts write it."""

    ACT_360 = "ACT/360"
    ACT_365F = "ACT/365F"
    THIRTY_360 = "30/360"
    THIRTY_E_360 = "30E/360"

    @property
    def year_days(self) -> int:
        """The days of its year."""
        return 365 if self is DayCount.ACT_365F else 360


def days_between(start: date, end: date, *, convention: DayCount) -> int:
    """The days from `start` (counted) to `end` (not counted): the numerator of the day count fraction.

    Thirty-day months: 360 (Y2 - Y1) + 30 (M2 - M1) + (D2 - D1), where a D1 of 31 becomes 30, and a D2 of 31 becomes 30,
    by 30/360 only if D1 is 30 by then.
    """
    if convention in {DayCount.ACT_360, DayCount.ACT_365F}:
        return (end - start).days
    first, last = min(start.day, _LAST), end.day
    if convention is DayCount.THIRTY_E_360 or first == _LAST:
        last = min(last, _LAST)
    return 360 * (end.year - start.year) + 30 * (end.month - start.month) + last - first


def year_fraction(start: date, end: date, *, convention: DayCount) -> Fraction:
    """The part of a year from `start` to `end`, exact."""
    return Fraction(days_between(start, end, convention=convention), convention.year_days)
