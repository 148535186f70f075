"""Which day means what."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.servicing import rules

BY_DAY = {
    -7: "reminder_7",
    -3: "reminder_3",
    -1: "reminder_1",
    0: "reminder_0",
    4: "late_1",
    19: "late_16",
    34: "late_31",
    64: "late_61",
    93: "default",
    123: "charge_off",
}


def test_the_days_by_hand() -> None:
    """Three days of grace, buckets from then on, default 90 and charge-off 120 days after the grace."""
    assert rules.MILESTONES == BY_DAY


@given(st.dates(date(1970, 6, 1), date(2199, 1, 1)), st.integers(-200, 200))
def test_a_due_date_has_its_milestone_on_its_day_only(due_date: date, days: int) -> None:
    """Seen from any day, a due date has the milestone of its distance, or none."""
    assert rules.due_dates(due_date + timedelta(days=days)).get(due_date) == BY_DAY.get(days)


@pytest.mark.parametrize("kind", BY_DAY.values())
def test_only_buckets_are_lateness(kind: str) -> None:
    """Default and charge-off are events of their own."""
    assert rules.is_late(kind) == (kind in {"late_1", "late_16", "late_31", "late_61"})
