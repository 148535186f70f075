"""Measures of probabilities agree with scikit-learn and with their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from scoring import evaluation

pairs = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=60).filter(
    lambda drawn: len({bad for _, bad in drawn}) == 2
)


@given(pairs)
def test_measures_agree_with_scikit_learn(drawn: list[tuple[int, bool]]) -> None:
    """AUC, KS, log-loss and Brier score are those of scikit-learn, ties and certainties included."""
    chance = np.array([value / 20 for value, _ in drawn])
    bad = np.array([event for _, event in drawn])
    false_rate, true_rate, _ = metrics.roc_curve(bad, chance, drop_intermediate=False)
    assert evaluation.auc(chance, outcome=bad) == pytest.approx(metrics.roc_auc_score(bad, chance))
    assert evaluation.ks(chance, outcome=bad) == pytest.approx(np.abs(true_rate - false_rate).max())
    held = np.clip(chance, 1e-15, 1 - 1e-15)
    assert evaluation.log_loss(chance, outcome=bad) == pytest.approx(metrics.log_loss(bad, held))
    assert evaluation.brier(chance, outcome=bad) == pytest.approx(metrics.brier_score_loss(bad, chance))


@given(pairs, st.integers(1, 12))
def test_calibration_table_loses_no_row(drawn: list[tuple[int, bool]], bins: int) -> None:
    """The bins hold every row and event once, in order of prediction, in nearly equal parts."""
    bad = np.array([event for _, event in drawn])
    table = evaluation.calibration_table([value * 50_000 for value, _ in drawn], outcome=bad, bins=bins)
    assert sum(part.rows for part in table) == len(drawn)
    assert sum(part.events for part in table) == bad.sum()
    assert [part.predicted_ppm for part in table] == sorted(part.predicted_ppm for part in table)
    assert max(part.rows for part in table) - min(part.rows for part in table) <= 1


def test_calibration_error_by_hand() -> None:
    """Two bins off by 0.1 and 0.3 are 0.2 off."""
    chance, bad = [0.1, 0.1, 0.8, 0.8], [False, False, True, False]
    assert evaluation.expected_calibration_error(chance, outcome=bad, bins=2) == pytest.approx(0.2)
    table = evaluation.calibration_table([100_000, 100_000, 800_000, 800_000], outcome=bad, bins=2)
    assert table[1] == evaluation.CalibrationBin(rows=2, predicted_ppm=800_000, events=1, observed_ppm=500_000)


def test_what_cannot_be_judged_is_refused() -> None:
    """Nothing, unlike lengths, gaps, non-probabilities and a single class are refused."""
    for chance, bad in (([], []), ([0.5], [True, False]), ([[0.5]], [[True]])):
        with pytest.raises(evaluation.JudgementUneven):
            evaluation.brier(chance, outcome=bad)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(evaluation.PredictionNotProbability):
            evaluation.log_loss([0.5, wrong], outcome=[True, False])
    for same in (True, False):
        with pytest.raises(evaluation.OutcomeSingleClass):
            evaluation.auc([0.5, 0.6], outcome=[same, same])
