"""Time to pay: the curve is the true one, censored rows do not bend it, and unpaid rows are scored anew."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from scoring import hazard, model_file
from scoring.hazard import TimeToPay, tenor_cap

EDGES = (0, 10, 20, 40)


def book(*, rows: int = 6_000, seed: int = 1) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return one feature (slow payers are 1) and days to pay, geometric at 10 % a day or 3 % for the slow."""
    chance = np.random.default_rng(seed)
    slow = (np.arange(rows) % 2).astype(np.float64)
    return slow[:, None], chance.geometric(np.where(slow > 0, 0.03, 0.10), rows).astype(np.int64)


@pytest.fixture(scope="module")
def fitted() -> TimeToPay:
    """Return a curve fitted on a book half of which is seen for some days only."""
    values, days = book()
    seen = np.random.default_rng(2).integers(1, 80, len(days))
    return TimeToPay(EDGES).fit(values, paid_day=days, seen_day=seen)


def test_the_curve_is_the_true_one(fitted: TimeToPay) -> None:
    """From censored rows: within three points of 0.9^t and 0.97^t, and never rising."""
    curve = fitted.unpaid(np.array([[0.0], [1.0]]))
    for row, rate in zip(curve, (0.10, 0.03), strict=True):
        assert row == pytest.approx([(1 - rate) ** edge for edge in EDGES], abs=0.03)
        assert (np.diff(row) <= 0).all()


def test_who_is_unpaid_today_is_scored_anew(fitted: TimeToPay) -> None:
    """S(t) / S(age): by memorylessness the wait from day 10 to 20 is that from 0 to 10; what has passed is certain."""
    values = np.array([[1.0]])
    after = fitted.unpaid_after(values, age_days=[10])[0]
    whole = fitted.unpaid(values)[0]
    assert after[:2].tolist() == [1.0, 1.0]
    assert after[2] == pytest.approx(whole[2] / whole[1])
    between = fitted.unpaid_after(values, age_days=[15])[0]
    assert between[2] == pytest.approx(np.sqrt(whole[2] / whole[1]))
    assert (fitted.unpaid_after(values, age_days=[-5])[0] == whole).all()
    assert fitted.unpaid_after(values, age_days=[400])[0].tolist() == [1.0] * 4


def test_what_came_after_the_last_look_teaches_nothing(fitted: TimeToPay) -> None:
    """Payments after each row's last look can be any later day: the file is the same, byte for byte."""
    values, days = book()
    seen = np.random.default_rng(2).integers(1, 80, len(days))
    blind = TimeToPay(EDGES).fit(values, paid_day=np.where(days > seen, 9_999, days), seen_day=seen)
    assert blind.to_json() == fitted.to_json()


def test_the_tenor_is_capped_where_risk_is_tolerated(fitted: TimeToPay) -> None:
    """The earliest edge by which few enough are unpaid; -1 where there is none."""
    curve = fitted.unpaid(np.array([[0.0], [1.0]]))
    assert tenor_cap(curve, edges=EDGES, tolerated=0.2).tolist() == [20, -1]


def test_the_file_gives_the_same_answers(fitted: TimeToPay) -> None:
    """Read back, the curve is the same bit for bit; a damaged file is refused."""
    values, _ = book(rows=20)
    again = TimeToPay.from_json(fitted.to_json())
    assert again.unpaid(values).tobytes() == fitted.unpaid(values).tobytes()
    body = json.loads(fitted.to_json())["content"]["body"]
    del body["learner"]
    with pytest.raises(model_file.ModelFileUnreadable):
        TimeToPay.from_json(model_file.write(hazard.KIND, body))


def test_what_cannot_be_learned_is_refused() -> None:
    """No edges, edges out of order, and rows of which none, or all, were paid in a whole interval."""
    for edges in ((), (5, 5), (9, 3)):
        with pytest.raises(hazard.EdgesNotRising):
            TimeToPay(edges)
    values = np.zeros((3, 1))
    for paid, seen in ((99, 1), (99, 90), (1, 90), (1, 4)):
        with pytest.raises(hazard.IntervalsUnobserved):
            TimeToPay((5, 10)).fit(values, paid_day=[paid] * 3, seen_day=[seen] * 3)
