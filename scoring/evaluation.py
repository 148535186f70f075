"""How good probabilities are: ranking (AUC, KS), sharpness (log-loss, Brier) and honesty (calibration)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.errors import ScoringError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

TINY = 1e-15
PPM = 1_000_000


class JudgementUneven(ScoringError):
    """Predictions and outcomes differ in length, or there are none."""

    code = "evaluation_uneven"


class OutcomeSingleClass(ScoringError):
    """A ranking needs at least one good and one bad outcome."""

    code = "evaluation_single_class"


class PredictionNotProbability(ScoringError):
    """A prediction is missing or outside 0 .. 1."""

    code = "evaluation_not_probability"


@dataclass(frozen=True)
class CalibrationBin:
    """One group of rows of similar prediction: what was foretold and what came, in ppm."""

    rows: int
    predicted_ppm: int
    events: int
    observed_ppm: int


def auc(predicted: ArrayLike, *, outcome: ArrayLike) -> float:
    """Return the chance that a bad row is ranked above a good one, ties counting half (Mann-Whitney)."""
    scores, bad = _ranking(predicted, outcome=outcome)
    _, code, size = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(size) - (size - 1) / 2
    events = int(bad.sum())
    surplus = mean_rank[code][bad].sum() - events * (events + 1) / 2
    return float(surplus / (events * (len(bad) - events)))


def ks(predicted: ArrayLike, *, outcome: ArrayLike) -> float:
    """Return the largest gap between the cumulative shares of bad and good rows (Kolmogorov-Smirnov)."""
    scores, bad = _ranking(predicted, outcome=outcome)
    values, code = np.unique(scores, return_inverse=True)
    per_value = [np.bincount(code[mask], minlength=len(values)).cumsum() for mask in (bad, ~bad)]
    return float(np.abs(per_value[0] / per_value[0][-1] - per_value[1] / per_value[1][-1]).max())


def log_loss(predicted: ArrayLike, *, outcome: ArrayLike) -> float:
    """Return the mean of -ln(probability given to what happened), held 1e-15 away from 0 and 1."""
    chance, bad = _chances(predicted, outcome=outcome)
    held = np.clip(chance, TINY, 1 - TINY)
    return float(-np.where(bad, np.log(held), np.log1p(-held)).mean())


def brier(predicted: ArrayLike, *, outcome: ArrayLike) -> float:
    """Return the mean squared distance between probability and outcome."""
    chance, bad = _chances(predicted, outcome=outcome)
    return float(((chance - bad) ** 2).mean())


def expected_calibration_error(predicted: ArrayLike, *, outcome: ArrayLike, bins: int = 10) -> float:
    """Return the row-weighted mean gap between predicted and observed rate, over bins of equal row count."""
    chance, bad = _chances(predicted, outcome=outcome)
    parts = _equal_parts(chance, bins=bins)
    return float(sum(abs(chance[part].sum() - bad[part].sum()) for part in parts) / len(bad))


def calibration_table(predicted_ppm: ArrayLike, *, outcome: ArrayLike, bins: int = 10) -> list[CalibrationBin]:
    """Return up to `bins` groups of equal row count, from the lowest prediction (ppm) to the highest."""
    chance, bad = _chances(np.asarray(predicted_ppm, dtype=np.float64) / PPM, outcome=outcome)
    return [
        CalibrationBin(
            rows=len(part),
            predicted_ppm=round(float(chance[part].mean()) * PPM),
            events=int(bad[part].sum()),
            observed_ppm=round(float(bad[part].mean()) * PPM),
        )
        for part in _equal_parts(chance, bins=bins)
    ]


def _equal_parts(chance: Floats, *, bins: int) -> list[NDArray[np.intp]]:
    """Return row positions in order of prediction, cut into non-empty parts of equal size."""
    order = np.argsort(chance, kind="stable")
    return [part for part in np.array_split(order, bins) if len(part)]


def _pair(predicted: ArrayLike, *, outcome: ArrayLike) -> tuple[Floats, Bools]:
    """Return both columns in their types. Refuses: JudgementUneven, PredictionNotProbability (NaN)."""
    scores = np.asarray(predicted, dtype=np.float64)
    bad = np.asarray(outcome, dtype=np.bool_)
    if scores.ndim != 1 or scores.shape != bad.shape or not len(bad):
        raise JudgementUneven(f"{scores.shape} predictions for {bad.shape} outcomes")
    if np.isnan(scores).any():
        raise PredictionNotProbability("a prediction is missing")
    return scores, bad


def _ranking(predicted: ArrayLike, *, outcome: ArrayLike) -> tuple[Floats, Bools]:
    """Return both columns for a ranking. Refuses also: OutcomeSingleClass."""
    scores, bad = _pair(predicted, outcome=outcome)
    if bad.all() or not bad.any():
        raise OutcomeSingleClass("every outcome is the same")
    return scores, bad


def _chances(predicted: ArrayLike, *, outcome: ArrayLike) -> tuple[Floats, Bools]:
    """Return both columns for probabilities. Refuses also: PredictionNotProbability (outside 0 .. 1)."""
    scores, bad = _pair(predicted, outcome=outcome)
    if scores.min() < 0 or scores.max() > 1:
        raise PredictionNotProbability("a prediction lies outside 0 .. 1")
    return scores, bad
