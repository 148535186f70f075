"""The page says in words what the summary holds in numbers, and does not stumble over nothing."""

from typing import Any

import pytest

from exchange.replay.page import money, page
from exchange.replay.summary import Summary, Timing

NOTHING: dict[str, Any] = {
    "volume": {},
    "financed_share_bps": {},
    "grades": {},
    "yields": {},
    "lateness": {"settled": 0, "overdue_now": 2},
    "losses": {},
    "dilution": {},
    "unapplied": {},
    "calibration": {"matured": 0},
    "log": {"size": 0, "root": None},
}


def summary(**told: Any) -> Summary:  # noqa: ANN401 - any section of the exchange's summary
    """A summary in which almost nothing happened."""
    return Summary(
        file="book.csv",
        seed=1,
        period={"from": "2026-01-05", "to": "2026-01-06", "days": 2},
        rows={"live": 1, "history": 0, "after_the_period": 0, "bad": {}},
        submissions={"entered": 0, "refused_by_code": {}},
        requests={},
        bank={},
        planted={},
        models=[{"version": "mdl_1"}],
        funders=[],
        callbacks={"counts": {}},
        exchange=NOTHING | told,
        checks={"books": 0, "log": 1},
        timing=Timing(1.0, 2.0, 3.0),
    )


def test_nothing_happened() -> None:
    """Empty sections are left out or say so."""
    text = page(summary())
    assert "nothing settled, 2 overdue now" in text
    assert "nothing matured" in text
    assert "checks       log 1" in text
    assert "bad rows" not in text
    assert not summary().is_clean()


@pytest.mark.parametrize(("auc_bps", "ece_ppm"), [(None, None), (9000, 12_345)])
def test_losses_and_calibration(auc_bps: int | None, ece_ppm: int | None) -> None:
    """Losses in whole units; measures that the outcomes do not allow are left out."""
    told = {"matured": 5, "predicted_events_milli": 1500, "events": 1, "auc_bps": auc_bps, "ece_ppm": ece_ppm}
    lost = {"CNY": {"defaulted_minor": 123_456, "defaulted": 1, "funder_loss_minor": 99}}
    text = page(summary(calibration=told, losses=lost))
    assert "1 defaults, CNY 1,234; charged off to funders CNY 0" in text
    assert ("AUC 0.900" in text) == ("calibration error 0.0123" in text) == (auc_bps is not None)


def test_money() -> None:
    """Whole units, by the currency's own digits."""
    assert (money(123_456, "CNY"), money(123_456, "JPY")) == ("CNY 1,234", "JPY 123,456")
