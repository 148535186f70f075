"""The master scale: eleven grades, each twice as risky as the one before, from the PD floor of 0.05 %."""

import numpy as np

from scoring.errors import ScoringError
from scoring.facts import Int64s

PD_FLOOR_PPM = 500
"""No obligor is safer than 0.05 % (Basel III final reforms, 2017, floor for corporate exposures)."""

NAMES = ("A1", "A2", "A3", "B1", "B2", "B3", "C1", "C2", "C3", "D1", "D2")
"""Grades from safest to riskiest; a grade's integer index is its place here."""

UPPER_PPM = (1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000, 1_000_000)
"""The highest PD of each grade; the lowest is just above the grade before."""


class ProbabilityOutOfRange(ScoringError):
    """A probability is not within 0 .. 1,000,000 ppm."""

    code = "probability_out_of_range"


def grade_of(pd_ppm: Int64s | int) -> Int64s:
    """Return the grade index of each PD in ppm (any shape). Refuses: ProbabilityOutOfRange."""
    given = np.asarray(pd_ppm, dtype=np.int64)
    if given.size and (given.min() < 0 or given.max() > UPPER_PPM[-1]):
        raise ProbabilityOutOfRange("a probability of default lies outside 0 .. 1,000,000 ppm")
    return np.asarray(np.searchsorted(np.array(UPPER_PPM, dtype=np.int64), given, side="left"), dtype=np.int64)
