"""A schedule of instalments as a record holds it: small enough for 120 of them beside everything else that is signed.

`{"first_due_date": "2026-04-01", "days_between": [30, 31], "amounts_minor": [100, 100, 101]}`: an amount for each
instalment, and for each but the first the days since the one before. The amounts sum to the record's `face_minor` or,
where it tells of a debt already paid in part, `outstanding_minor`; the last due date is its `due_date`. A record
without a schedule is about one payment on its due date.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import accumulate, pairwise
from typing import Any

from ledger.errors import RecordRefused

SCHEDULE = "schedule"
"""The member of a record's body."""
_MEMBERS = {"first_due_date", "days_between", "amounts_minor"}
_LONGEST_GAP = 366_000
"""Days; a thousand years."""


class ScheduleMismatch(RecordRefused):
    """The record's schedule is not of its form, or does not come to the record's own amount and due date."""

    code = "schedule_mismatch"

    def __init__(self, message: str) -> None:
        super().__init__(message, field="payload")


def written(instalments: Sequence[tuple[date, int]]) -> dict[str, Any]:
    """The schedule as a record holds it: due dates and amounts in minor units, at least one, in order."""
    days = [due_date for due_date, _ in instalments]
    return {
        "first_due_date": days[0].isoformat(),
        "days_between": [(after - before).days for before, after in pairwise(days)],
        "amounts_minor": [amount_minor for _, amount_minor in instalments],
    }


def read(body: Mapping[str, Any]) -> list[tuple[date, int]] | None:
    """The due dates and amounts of a record's schedule; None when it has none. Refuses `ScheduleMismatch`."""
    if SCHEDULE not in body:
        return None
    days, amounts = _parsed(body[SCHEDULE])
    if sum(amounts) != body.get("face_minor", body.get("outstanding_minor")):
        raise ScheduleMismatch(f"The instalments come to {sum(amounts)}, the record's amount is another.")
    if days[-1].isoformat() != body.get("due_date"):
        raise ScheduleMismatch(f"The last instalment is due on {days[-1]}, the record's due date is another.")
    return list(zip(days, amounts, strict=True))


def _parsed(schedule: object) -> tuple[list[date], list[int]]:
    if not isinstance(schedule, dict) or schedule.keys() != _MEMBERS:
        raise ScheduleMismatch("The schedule has other members than its form.")
    gaps, amounts = schedule["days_between"], schedule["amounts_minor"]
    if not _counts(gaps, most=_LONGEST_GAP) or not _counts(amounts) or len(amounts) != len(gaps) + 1:
        raise ScheduleMismatch("The schedule has not one amount more than gaps, all of them whole and above zero.")
    try:
        first = date.fromisoformat(schedule["first_due_date"])
        days = [first + timedelta(days=passed) for passed in accumulate(gaps, initial=0)]
    except (ValueError, TypeError, OverflowError) as error:
        raise ScheduleMismatch("The schedule's dates are none.") from error
    return days, amounts


def _counts(values: object, *, most: int | None = None) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and value > 0 and (most is None or value <= most) for value in values
    )
