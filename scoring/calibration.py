"""Honest levels: an intercept moved to the newest rate, isotonic steps where they have earned it, few defaults."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, expit
from sklearn.isotonic import IsotonicRegression

from scoring.errors import ScoringError
from scoring.evaluation import log_loss
from scoring.facts import Bools, Int64s

Floats = NDArray[np.float64]

NEWTON_STEPS = 30
BISECTION_STEPS = 60
ISOTONIC_EVENTS_MIN = 1_000
"""Below this many bad outcomes isotonic steps follow noise."""


class CalibrationInputInvalid(ScoringError):
    """Columns differ in length, are empty, or hold counts or a confidence that cannot be."""

    code = "calibration_input_invalid"


def shift(logit: ArrayLike, *, events: Bools, prior_events: float = 0.0) -> float:
    """Return what to add to the log-odds so that the expected number of events meets the observed one.

    The observed ratio is first drawn towards 1 as if `prior_events` more had come exactly as foretold: with few
    events the model is believed, with many the newest rate. Refuses: CalibrationInputInvalid.
    """
    odds = np.asarray(logit, dtype=np.float64)
    if odds.shape != np.shape(events) or not len(odds) or prior_events < 0:
        raise CalibrationInputInvalid("log-odds and events have to be columns of one length, the prior at least 0")
    expected = float(expit(odds).sum())
    wanted = expected * (float(np.sum(events)) + prior_events) / (expected + prior_events)
    moved = 0.0
    for _ in range(NEWTON_STEPS):  # the sum is smooth and rising in the shift
        chance = expit(odds + moved)
        moved += float(np.clip((wanted - chance.sum()) / (chance * (1 - chance)).sum(), -1, 1))
    return moved


@dataclass(frozen=True, eq=False)
class Isotonic:
    """A rising piecewise-linear correction of probabilities."""

    chance: Floats
    corrected: Floats

    def __call__(self, chance: ArrayLike) -> Floats:
        """Return the corrected probabilities."""
        return np.asarray(np.interp(np.asarray(chance, np.float64), self.chance, self.corrected), dtype=np.float64)


def isotonic(chance: Floats, *, events: Bools, day: Int64s) -> Isotonic | None:
    """Return isotonic steps fitted on all rows, or None where they have not earned it.

    They need ISOTONIC_EVENTS_MIN events and a lower log-loss on the later half of the rows (by `day`) when fitted
    on the earlier. Refuses: CalibrationInputInvalid.
    """
    if not len(chance) == len(events) == len(day):
        raise CalibrationInputInvalid("chances, events and days differ in length")
    if int(events.sum()) < ISOTONIC_EVENTS_MIN:
        return None
    early = day <= np.sort(day)[(len(day) - 1) // 2]
    if early.all() or not 0 < events[early].mean() < 1:
        return None
    tried = _isotonic(chance[early], events=events[early])(chance[~early])
    if log_loss(tried, outcome=events[~early]) >= log_loss(chance[~early], outcome=events[~early]):
        return None
    return _isotonic(chance, events=events)


def _isotonic(chance: Floats, *, events: Bools) -> Isotonic:
    """Fit rising steps; their ends are kept off 0 and 1 by half an event."""
    fitted = IsotonicRegression(out_of_bounds="clip").fit(chance, events)
    room = 0.5 / len(chance)
    return Isotonic(fitted.X_thresholds_, np.clip(fitted.y_thresholds_, room, 1 - room))


def pluto_tasche(rows: ArrayLike, *, defaults: ArrayLike, confidence: float = 0.5) -> Floats:
    """Return an upper bound of each grade's PD from few or no defaults; grades from best to worst.

    The most prudent estimation of Pluto and Tasche (Estimating Probabilities of Default for Low Default
    Portfolios, 2005), independent defaults: grade g may be as risky as all grades from g down together, so its PD
    is the largest p at which so few defaults among them still have the probability 1 - `confidence`. 1.0 for a
    grade with nothing below it. Refuses: CalibrationInputInvalid.
    """
    counts, bad = np.asarray(rows, dtype=np.int64), np.asarray(defaults, dtype=np.int64)
    if counts.shape != bad.shape or counts.ndim != 1 or (bad < 0).any() or (bad > counts).any():
        raise CalibrationInputInvalid("each grade needs rows and, of them, defaults")
    if not 0 < confidence < 1:
        raise CalibrationInputInvalid("the confidence has to lie between 0 and 1")
    below, hit = counts[::-1].cumsum()[::-1], bad[::-1].cumsum()[::-1]
    low, high = np.zeros(len(counts)), np.ones(len(counts))
    for _ in range(BISECTION_STEPS):
        middle = (low + high) / 2
        likely = bdtr(hit, below, middle) > 1 - confidence
        low, high = np.where(likely, middle, low), np.where(likely, high, middle)
    return np.where(hit >= below, 1.0, high)
