"""Whether a candidate is better: the log-loss difference on later outcomes, resampled by whole payers.

Invoices of one payer come late together, so rows are not independent; payers are drawn, each with all its rows.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.errors import ScoringError

DRAWS = 2_000
PAYERS_MIN = 30
EVENTS_MIN = 10
PPM = 1_000_000


class EvidenceTooThin(ScoringError):
    """Too few payers or bad outcomes have come since the candidate was trained to compare it."""

    code = "evidence_too_thin"


class Comparison(NamedTuple):
    """Candidate minus incumbent in mean log-loss, with its 95 % interval; below zero the candidate is better."""

    rows: int
    payers: int
    events: int
    incumbent: float
    candidate: float
    difference: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """Whether the whole interval is below zero."""
        return self.high < 0


def compare(
    incumbent_ppm: ArrayLike, candidate_ppm: ArrayLike, *, outcome: ArrayLike, payer: ArrayLike, seed: int = 0
) -> Comparison:
    """Compare two models' chances (ppm, above 0 and below 1,000,000) on the same rows, payers being drawn DRAWS times.

    The same rows give the same interval. Refuses: EvidenceTooThin.
    """
    bad = np.asarray(outcome, dtype=np.bool_)
    _, place = np.unique(np.asarray(payer), return_inverse=True)
    payers = int(place.max()) + 1 if len(place) else 0
    events = int(bad.sum())
    if payers < PAYERS_MIN or min(events, len(bad) - events) < EVENTS_MIN:
        raise EvidenceTooThin(
            f"{payers} payers and {events} bad of {len(bad)} outcomes; at least {PAYERS_MIN} payers and {EVENTS_MIN} "
            "outcomes of either kind are needed"
        )
    first, second = (_losses(chance, bad) for chance in (incumbent_ppm, candidate_ppm))
    gain = np.bincount(place, weights=second - first, minlength=payers)
    size = np.bincount(place, minlength=payers).astype(np.float64)
    drawn = np.random.default_rng(seed).multinomial(payers, np.full(payers, 1 / payers), size=DRAWS)
    means = (drawn * gain).sum(axis=1) / (drawn * size).sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    difference = float((second - first).mean())
    return Comparison(
        len(bad), payers, events, float(first.mean()), float(second.mean()), difference, float(low), float(high)
    )


def _losses(chance_ppm: ArrayLike, bad: NDArray[np.bool_]) -> NDArray[np.float64]:
    chance = np.clip(np.asarray(chance_ppm, dtype=np.float64), 1, PPM - 1) / PPM
    return np.asarray(-np.where(bad, np.log(chance), np.log1p(-chance)), dtype=np.float64)
