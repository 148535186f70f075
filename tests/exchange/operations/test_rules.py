"""Who may be erased, and from when on."""

from datetime import date

import pytest

from exchange.operations.rules import LiveAsset, RetentionDuty, check_erasable

TODAY = date(2036, 3, 1)


def test_who_never_dealt_may_be_erased() -> None:
    """Nothing is kept of somebody whose companies sold and owe nothing."""
    check_erasable(None, alive=False, years=10, today=TODAY)


@pytest.mark.parametrize(
    ("last", "free"), [(date(2024, 2, 29), date(2034, 2, 28)), (date(2024, 3, 1), date(2034, 3, 1))]
)
def test_the_duty_ends_on_its_day(last: date, free: date) -> None:
    """Ten years after the last day, a leap day included; an asset that lives is refused whenever it is."""
    check_erasable(last, alive=False, years=10, today=free)
    with pytest.raises(RetentionDuty):
        check_erasable(
            last, alive=False, years=10, today=free.replace(day=free.day - 1) if free.day > 1 else date(2034, 2, 28)
        )
    with pytest.raises(LiveAsset):
        check_erasable(last, alive=True, years=10, today=TODAY)
