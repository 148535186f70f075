"""What is owed, instalment by instalment: how a schedule is made, what of it is still open, how it is shared out.

Amounts are integers in minor units; every sum is exact. What was paid counts for the oldest instalment first.
"""

from calendar import monthrange
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from exchange.schedules.calendars import Convention, adjust
from exchange.schedules.refusals import AmountsTooSmall, DatesNotIncreasing
from exchange.shares import apportion

MOST_INSTALMENTS = 120
"""Ten years of months."""
_MONTHS = 12


class Instalment(NamedTuple):
    """An amount and the day on which it falls due; `number` counts from 1."""

    number: int
    due_date: date
    amount_minor: int


Schedule = tuple[Instalment, ...]
"""Instalments in the order of their dates; a bullet has one."""


class Unit(StrEnum):
    """What an interval is counted in."""

    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"


class Every(NamedTuple):
    """The interval between two instalments, such as every 3 months."""

    unit: Unit
    length: int


def bullet(due_date: date, *, amount_minor: int) -> Schedule:
    """All at once."""
    return (Instalment(1, due_date, amount_minor),)


def explicit(instalments: Iterable[tuple[date, int]]) -> Schedule:
    """Instalments as they were agreed, numbered. Refuses `DatesNotIncreasing` and `AmountsTooSmall`."""
    schedule = tuple(Instalment(number, *one) for number, one in enumerate(instalments, start=1))
    for before, one in pairwise(schedule):
        if one.due_date <= before.due_date:
            raise DatesNotIncreasing(f"Instalment {one.number} is not due after {before.due_date}.")
    if any(one.amount_minor < 1 for one in schedule):
        raise AmountsTooSmall("An instalment is at least one minor unit.")
    return schedule


def due_dates(
    first: date, *, count: int, every: Every, calendar: str = "", convention: Convention = Convention.NONE
) -> list[date]:
    """`count` dates from `first` on, each counted from `first` and then moved to a business day.

    Months keep the day of `first`, or the month's last where it is shorter; a `first` that is the last of its month
    stays at month ends (end-of-month rule). Refuses `DatesNotIncreasing`, `calendars.CalendarUnknown` and
    `calendars.CalendarYearUnknown`.
    """
    found = [adjust(_rolled(first, every, place), calendar=calendar, convention=convention) for place in range(count)]
    for before, after in pairwise(found):
        if after <= before:
            raise DatesNotIncreasing(f"Two instalments would be due on {after}.")
    return found


def equal(total_minor: int, *, due: Sequence[date]) -> Schedule:
    """Equal instalments; what does not divide is in the last. Refuses `AmountsTooSmall`, `DatesNotIncreasing`."""
    each, rest = divmod(total_minor, len(due))
    return explicit((day, each + rest if day == due[-1] else each) for day in due)


def open_instalments(schedule: Schedule, *, paid_minor: int) -> Schedule:
    """What of each instalment is still owed once so much was paid; those that are paid are left out."""
    left_minor, still = paid_minor, []
    for one in schedule:
        applied_minor = min(one.amount_minor, left_minor)
        left_minor -= applied_minor
        if one.amount_minor > applied_minor:
            still.append(one._replace(amount_minor=one.amount_minor - applied_minor))
    return tuple(still)


def oldest_unpaid(schedule: Schedule, *, paid_minor: int) -> Instalment | None:
    """The first instalment on which something is owed, and how much; None when all is paid."""
    return next(iter(open_instalments(schedule, paid_minor=paid_minor)), None)


def due_minor(schedule: Schedule, *, on: date, paid_minor: int) -> int:
    """What should have been paid by the end of a day and was not."""
    return sum(one.amount_minor for one in open_instalments(schedule, paid_minor=paid_minor) if one.due_date <= on)


def total_minor(schedule: Schedule) -> int:
    """The sum of the instalments."""
    return sum(one.amount_minor for one in schedule)


def money_days(schedule: Schedule, *, on: date) -> int:
    """The sum of each instalment times the days from `on` until it is due; what is due already counts no days."""
    return sum(one.amount_minor * max((one.due_date - on).days, 0) for one in schedule)


def average_due_date(schedule: Schedule) -> date:
    """The mean of the due dates weighted by amounts, rounded down to a day: a bullet's own due date."""
    weighted = sum(one.amount_minor * one.due_date.toordinal() for one in schedule)
    return date.fromordinal(weighted // total_minor(schedule))


def split(schedule: Schedule, *, shares_minor: Sequence[int]) -> list[Schedule]:
    """A schedule for each part: parts sum to the whole in each instalment, and each part's instalments to its share.

    `shares_minor` sum to the schedule's total. Instalment after instalment is shared in proportion to what is left of
    the parts' shares, by largest remainder, as its payment will be: who pays the whole's instalments in full pays the
    parts' in full. A part has no instalment where it has no minor unit of it; what it has is numbered from 1.
    """
    left, parts = list(shares_minor), [list[tuple[date, int]]() for _ in shares_minor]
    for one in schedule:
        for place, amount_minor in enumerate(apportion(one.amount_minor, left)):
            left[place] -= amount_minor
            if amount_minor:
                parts[place].append((one.due_date, amount_minor))
    return [explicit(part) for part in parts]


def _rolled(first: date, every: Every, times: int) -> date:
    if every.unit is not Unit.MONTHS:
        return first + timedelta(days=times * every.length * (7 if every.unit is Unit.WEEKS else 1))
    years, month = divmod(first.month - 1 + times * every.length, _MONTHS)
    last = monthrange(first.year + years, month + 1)[1]
    at_end = first.day == monthrange(first.year, first.month)[1]
    return date(first.year + years, month + 1, last if at_end else min(first.day, last))
