"""Level rentals of a lease: an ordinary annuity, worked out to the minor unit."""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from exchange.schedules.refusals import AmountsTooSmall
from exchange.schedules.schedule import Every, Schedule, Unit, explicit

_BPS = 10_000
_YEAR = {Unit.DAYS: 360, Unit.WEEKS: 52, Unit.MONTHS: 12}


class Rental(NamedTuple):
    """One rental: interest on what was still lent, and the principal that it pays back."""

    due_date: date
    interest_minor: int
    principal_minor: int

    @property
    def amount_minor(self) -> int:
        """What the lessee pays."""
        return self.interest_minor + self.principal_minor


def level_rentals(principal_minor: int, *, rate_bps: int, every: Every, due: Sequence[date]) -> list[Rental]:
    """Equal rentals, each at the end of its period, that pay back the principal exactly; the last takes the roundings.

    With i the nominal yearly rate over the periods in a year (360 days, 52 weeks, 12 months) and n rentals, a rental is
    P i / (1 - (1 + i)^-n), without interest P / n (Brealey, Myers, Allen: Principles of Corporate Finance, ch. 2).
    Rental and interest are rounded to the nearest minor unit, halves up. Refuses `AmountsTooSmall`.
    """
    rate = Fraction(rate_bps * every.length, _BPS * _YEAR[every.unit])
    level_minor = _rounded(_level(principal_minor, rate, len(due)))
    rentals, left_minor = [], principal_minor
    for day in due[:-1]:
        interest_minor = _rounded(left_minor * rate)
        rentals.append(Rental(day, interest_minor, level_minor - interest_minor))
        left_minor -= rentals[-1].principal_minor
    rentals.append(Rental(due[-1], _rounded(left_minor * rate), left_minor))
    if any(one.principal_minor < 1 for one in rentals):
        raise AmountsTooSmall("The principal does not reach for so many rentals.")
    return rentals


def schedule_of(rentals: Sequence[Rental]) -> Schedule:
    """The rentals as what is owed. Refuses `DatesNotIncreasing`."""
    return explicit((one.due_date, one.amount_minor) for one in rentals)


def _level(principal_minor: int, rate: Fraction, count: int) -> Fraction:
    if not rate:
        return Fraction(principal_minor, count)
    growth: Fraction = (1 + rate) ** count
    return principal_minor * rate * growth / (growth - 1)


def _rounded(amount: Fraction | int) -> int:
    """The nearest integer, halves up."""
    return int((2 * amount + 1) // 2)
