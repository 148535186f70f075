"""The schedule of a submission: as it was agreed, or worked out from its terms; and what is wrong with it."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from msgspec import UNSET

from exchange.errors import Fault
from exchange.receivables.schemas import GeneratedItem, InstalmentItem, SubmissionItem
from exchange.schedules import schedule as schedules
from exchange.schedules.calendars import Convention
from exchange.schedules.refusals import CalendarUnknown, ScheduleRefused
from exchange.schedules.rentals import level_rentals, schedule_of
from exchange.schedules.schedule import Every, Schedule, Unit

LEASE = "equipment_lease"
"""The product whose instalments may be rentals."""

Agreed = tuple[Schedule | None, list[Fault]]


def agreed(item: SubmissionItem, *, at: str) -> Agreed:
    """The instalments of a submission, None for a payment on its due date; and its faults, each beginning with `at`."""
    if item.schedule is UNSET:
        return None, []
    at = f"{at}/schedule"
    if (item.schedule.instalments is UNSET) == (item.schedule.generate is UNSET):
        return None, [Fault("schedule_unclear", at, "either `instalments`, or the terms to `generate` them")]
    if item.schedule.instalments is not UNSET:
        at = f"{at}/instalments"
        found = _explicit(item.schedule.instalments, at=at)
    else:
        at = f"{at}/generate"
        found = _generated(item, item.schedule.generate, at=at)  # type: ignore[arg-type]  # one of the two is set
    if isinstance(found, Fault):
        return None, [found]
    faults = _faults(found, item, at=at)
    return (None, faults) if faults else (found, [])


def as_json(schedule: Schedule | None) -> list[dict[str, Any]] | None:
    """A schedule as it is kept and shown."""
    if schedule is None:
        return None
    return [{"due_date": one.due_date.isoformat(), "amount_minor": one.amount_minor} for one in schedule]


def pairs(rows: Sequence[dict[str, Any]]) -> list[tuple[date, int]]:
    """A kept schedule's due dates and amounts."""
    return [(date.fromisoformat(row["due_date"]), row["amount_minor"]) for row in rows]


def _explicit(instalments: Sequence[InstalmentItem], *, at: str) -> Schedule | Fault:
    days = [one.due_date for one in instalments]
    for place in range(1, len(days)):
        if days[place] <= days[place - 1]:
            message = f"after the one before, {days[place - 1]}"
            return Fault("dates_not_increasing", f"{at}/{place}/due_date", message, days[place])
    return schedules.explicit((one.due_date, one.amount_minor) for one in instalments)


def _generated(item: SubmissionItem, terms: GeneratedItem, *, at: str) -> Schedule | Fault:
    try:
        return _unclear(item, terms, at=at) or _worked_out(item, terms)
    except CalendarUnknown as refusal:
        return Fault(refusal.code, f"{at}/calendar", str(refusal), terms.calendar)
    except ScheduleRefused as refusal:
        return Fault(refusal.code, at, str(refusal))


def _unclear(item: SubmissionItem, terms: GeneratedItem, *, at: str) -> Fault | None:
    """What has to be said, or not to be said, before anything can be worked out."""
    if terms.convention != "none" and not terms.calendar:
        return Fault("calendar_missing", f"{at}/calendar", "name the calendar whose business days count")
    if (terms.principal_minor is UNSET) != (terms.rate_bps is UNSET):
        return Fault("rentals_unclear", at, "rentals follow from `principal_minor` and `rate_bps` together")
    if terms.principal_minor and item.product != LEASE:
        return Fault("rentals_of_a_lease", f"{at}/principal_minor", f"only {LEASE} has rentals", terms.principal_minor)
    return None


def _worked_out(item: SubmissionItem, terms: GeneratedItem) -> Schedule:
    """Equal instalments, or rentals. Refuses every subclass of `ScheduleRefused`."""
    every = Every(Unit(terms.every.unit), terms.every.length)
    due = schedules.due_dates(
        terms.first_due_date,
        count=terms.count,
        every=every,
        calendar=terms.calendar or "",
        convention=Convention(terms.convention),
    )
    if terms.principal_minor is UNSET:
        return schedules.equal(item.face_minor, due=due)
    return schedule_of(level_rentals(terms.principal_minor, rate_bps=terms.rate_bps or 0, every=every, due=due))


def _faults(schedule: Schedule, item: SubmissionItem, *, at: str) -> list[Fault]:
    """What about a schedule does not fit the receivable: its sum, its end, its beginning."""
    faults = []
    total_minor, last = schedules.total_minor(schedule), schedule[-1].due_date
    if total_minor != item.face_minor:
        faults.append(Fault("schedule_sum_differs", at, f"instalments sum to the face, {item.face_minor}", total_minor))
    if last != item.due_date:
        faults.append(Fault("schedule_end_differs", at, f"the last is due on the due date, {item.due_date}", last))
    if schedule[0].due_date < item.issue_date:
        message = f"not before the issue date, {item.issue_date}"
        faults.append(Fault("due_before_issue", at, message, schedule[0].due_date))
    return faults
