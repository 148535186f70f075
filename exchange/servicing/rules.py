"""What a day means for an asset that is not paid: reminders before, buckets after, default, charge-off."""

from datetime import date, timedelta

GRACE_DAYS = 3
"""Days after the due date that do not count as late: money is on its way."""
REMINDER_DAYS = (7, 3, 1, 0)
BUCKET_FLOORS = (1, 16, 31, 61)
"""The first day past due of each bucket: 1-15, 16-30, 31-60, 61 and more."""
DEFAULT_DAYS = 90
CHARGE_OFF_DAYS = 120


def milestones() -> dict[int, str]:
    """What happens on which day past due (negative: before the due date)."""
    found = {-days: f"reminder_{days}" for days in REMINDER_DAYS}
    found |= {GRACE_DAYS + floor: f"late_{floor}" for floor in BUCKET_FLOORS}
    return found | {GRACE_DAYS + DEFAULT_DAYS: "default", GRACE_DAYS + CHARGE_OFF_DAYS: "charge_off"}


MILESTONES = milestones()


def due_dates(business_date: date) -> dict[date, str]:
    """Which due dates have a milestone on `business_date`, and which."""
    return {business_date - timedelta(days=days): kind for days, kind in MILESTONES.items()}


def is_late(kind: str) -> bool:
    """Whether a fact is one that a funder is told of."""
    return kind.startswith("late_")
