"""The scorecard: a well-behaved estimator with monotone bins, exact contributions and an exact JSON."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.utils.estimator_checks import parametrize_with_checks

from scoring import scorecard
from scoring.binning import SMOOTHING_ROWS, fit_bins, weight_of_evidence
from scoring.estimator import NotBinary
from scoring.scorecard import Scorecard

Floats = NDArray[np.float64]
Table = tuple[Floats, NDArray[np.bool_]]


def table(*, rows: int = 3_000, seed: int = 3) -> Table:
    """Return five columns (rising, falling, noise, constant, rising with gaps) and the events they cause."""
    chance = np.random.default_rng(seed)
    values = chance.normal(size=(rows, 5))
    values[:, 3] = 1.0
    values[chance.random(rows) < 0.3, 4] = np.nan
    logit = -2 + values[:, 0] - values[:, 1] + np.where(np.isnan(values[:, 4]), 1.0, 0.5 * values[:, 4])
    return values, chance.random(rows) < 1 / (1 + np.exp(-logit))


@pytest.fixture(scope="module")
def fitted() -> Scorecard:
    """Return a card fitted on `table`."""
    return Scorecard().fit(*table())


@parametrize_with_checks([Scorecard()])  # type: ignore[untyped-decorator]  # scikit-learn has no types
def test_scikit_learn_checks(estimator: Scorecard, check: Any) -> None:  # noqa: ANN401 - a partial
    """scikit-learn's own checks of an estimator pass."""
    check(estimator)


def test_contributions_sum_to_the_score(fitted: Scorecard) -> None:
    """Intercept plus contributions is the log-odds, to the last millionth."""
    values, _ = table(seed=4)
    assert (fitted.contributions(values).sum(axis=1) + fitted.intercept_micro_ == fitted.logit_micro(values)).all()


def test_risk_moves_one_way(fitted: Scorecard) -> None:
    """Rising columns never lower the risk and falling ones never raise it; directions are reported."""
    assert [bins.direction for bins in fitted.bins_][:2] == ["up", "down"]
    for at, sign in ((0, 1), (1, -1), (4, 1)):
        assert (np.diff(fitted.contributions_micro_[at][:-1]) * sign >= 0).all()
        assert len(fitted.bins_[at].cuts) > 1


def test_what_decides_nothing_is_named(fitted: Scorecard) -> None:
    """A constant column is dropped with its reason, not silently."""
    assert fitted.dropped_[3] == "no_split"
    assert not {0, 1, 4} & {*fitted.dropped_}


def test_a_wrong_direction_is_named_not_hidden() -> None:
    """A feature held to a trend that the data contradict is reported as having no split."""
    values, events = table()
    card = Scorecard(directions=["down", "up", "free", "free", "up"]).fit(values, events)
    assert {0, 1} <= {*card.dropped_}
    assert card.dropped_[0] == "no_split"


def test_missing_is_a_bin_of_its_own(fitted: Scorecard) -> None:
    """A missing value gets the evidence of missing values, in fit and predict alike."""
    values, events = table()
    missing = np.isnan(values[:, 4])
    assert (fitted.bin_index(values)[missing, 4] == len(fitted.bins_[4].cuts) + 1).all()
    assert events[missing].mean() > events.mean()
    assert fitted.contributions_micro_[4][-1] > 0
    assert fitted.contributions_micro_[0][-1] == 0


def test_all_missing_is_scored(fitted: Scorecard) -> None:
    """A row and a column of nothing but gaps are scored, not refused."""
    assert 0 < fitted.predict_proba(np.full((1, 5), np.nan))[0, 1] < 1
    values, events = table()
    values[:, 0] = np.nan
    assert Scorecard().fit(values, events).dropped_[0] == "no_split"


def test_json_round_trip_is_exact(fitted: Scorecard) -> None:
    """A card read back predicts the same bits and writes the same text."""
    values, _ = table(seed=5)
    again = Scorecard.from_json(fitted.to_json())
    assert again.to_json() == fitted.to_json()
    assert again.predict_proba(values).tobytes() == fitted.predict_proba(values).tobytes()
    assert again.dropped_ == fitted.dropped_
    assert again.get_params() == fitted.get_params()


def test_same_input_same_bytes(fitted: Scorecard) -> None:
    """Fitting twice gives the same text."""
    assert Scorecard().fit(*table()).to_json() == fitted.to_json()


def break_order(body: dict[str, Any]) -> None:
    """Reverse the cuts of the first feature."""
    body["features"][0]["cuts"].reverse()


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: body.update(format=99),
        lambda body: body.pop("classes"),
        lambda body: body["parameters"].update(unheard_of=1),
        lambda body: body["features"][0]["contributions_micro"].append(1),
        lambda body: body["features"][0].update(cuts="text"),
        break_order,
    ],
)
def test_damaged_json_is_refused(fitted: Scorecard, damage: Any) -> None:  # noqa: ANN401 - a lambda
    """A card of another format, with parts missing or out of step, is refused."""
    body = json.loads(fitted.to_json())
    damage(body)
    with pytest.raises(scorecard.ScorecardUnreadable):
        Scorecard.from_json(json.dumps(body))


def test_no_json_at_all_is_refused() -> None:
    """Text that is no JSON object is refused."""
    for text in ("", "[]", "null", "{"):
        with pytest.raises(scorecard.ScorecardUnreadable):
            Scorecard.from_json(text)


def test_rows_of_one_class_shift_nothing(fitted: Scorecard) -> None:
    """Rows to shift to that hold one class only are refused."""
    values, events = table()
    with pytest.raises(NotBinary):
        fitted.shift_intercept(values[~events], events[~events])


def test_directions_must_fit() -> None:
    """There must be one known direction per feature."""
    values, events = table()
    for directions in (["up"], ["up"] * 4 + ["sideways"]):
        with pytest.raises(scorecard.DirectionsUneven):
            Scorecard(directions=directions).fit(values, events)  # type: ignore[arg-type]  # the wrong type is what is tried


def test_shift_meets_the_rate() -> None:
    """After a shift the mean chance over the given rows is their event rate."""
    values, events = table()
    card = Scorecard().fit(values, events)
    later = np.random.default_rng(1).random(len(events)) < 0.4
    card.shift_intercept(values, later)
    assert card.predict_proba(values)[:, 1].mean() == pytest.approx(later.mean(), abs=1e-6)


def test_points_follow_the_odds(fitted: Scorecard) -> None:
    """The points of a row sum to 600 at odds of 50 to 1, and 20 more double them, within rounding."""
    values, _ = table(seed=6)
    total = fitted.points(values).sum(axis=1)
    expected = 600 + 20 * (-fitted.decision_function(values) - np.log(50)) / np.log(2)
    assert np.abs(total - expected).max() <= (values.shape[1] + 2) / 2


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60),
    st.sampled_from([0.02, 0.2]),
)
@settings(max_examples=60, deadline=None)
def test_any_bins_are_monotone_and_finite(pairs: list[tuple[int, bool]], share: float) -> None:
    """Whatever the counts, cuts rise, the event rate moves one way over the bins, and evidence is finite."""
    values = np.array([float(value) for value, _ in pairs])
    events = np.array([event for _, event in pairs])
    if events.all() or not events.any():
        return
    bins = fit_bins(values, events=events, direction="up", max_bins=5, min_bin_share=share)
    index = bins.index(values)
    rates = [events[index == at].mean() for at in range(len(bins.cuts) + 1)]
    assert (np.diff(bins.cuts) > 0).all()
    assert (np.diff(rates) >= -1e-12).all()
    assert np.isfinite(bins.evidence).all()


def test_evidence_is_the_smoothed_log_ratio() -> None:
    """Two bins worked by hand: 30 of 100 bad against 10 of 100."""
    events = np.repeat([True, False, True, False], [30, 70, 10, 90])
    found = weight_of_evidence(np.repeat([0, 1], 100), events=events, bins=3)
    bad, good = 30 + SMOOTHING_ROWS * 0.2, 70 + SMOOTHING_ROWS * 0.8
    assert found[0] == pytest.approx(np.log(bad / good) - np.log(0.25))
    assert found[1] < 0
    assert found[2] == pytest.approx(0)
