"""Whether what is scored now still looks like what was learned from: the population stability index.

PSI has no fixed threshold: of two samples of one population it is about (1/n + 1/m) times chi-squared with one degree
of freedom less than there are bins (Yurdakul and Naranjo, Statistical properties of the population stability index,
2020). So small samples are not called drift, and in large ones a small drift is seen.
"""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from scoring.errors import ScoringError

Floats = NDArray[np.float64]

BINS = 10
CONFIDENCE = 0.99
HALF_ROW = 0.5
"""An empty bin counts as half a row, so that the index stays finite."""


class DriftUndecidable(ScoringError):
    """There are no rows on one of the sides, so nothing can be compared."""

    code = "drift_undecidable"


class Stability(NamedTuple):
    """A population stability index, the highest that chance explains at these sample sizes, and the sizes."""

    psi: float
    critical: float
    learned_rows: int
    seen_rows: int

    @property
    def drifted(self) -> bool:
        """Whether chance does not explain it."""
        return self.psi > self.critical


class Reference(NamedTuple):
    """How one figure was spread among the rows that were learned from: upper edges of its bins, rows in each.

    The last bin but one is open above; the last one has the missing values.
    """

    edges: list[float]
    counts: list[int]

    @classmethod
    def of(cls, values: ArrayLike) -> Self:
        """Cut at the deciles of what is not missing; equal deciles make one bin."""
        given = np.asarray(values, dtype=np.float64)
        known = given[~np.isnan(given)]
        edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.zeros(0)
        made = cls(edges.tolist(), [])
        return cls(made.edges, made.spread(given))

    def spread(self, values: ArrayLike) -> list[int]:
        """Return the rows in each bin."""
        given = np.asarray(values, dtype=np.float64)
        missing = np.isnan(given)
        bins = np.searchsorted(np.array(self.edges), given[~missing], side="left")
        counted: list[Any] = np.bincount(bins, minlength=len(self.edges) + 1).tolist()
        return [*counted, int(missing.sum())]

    def stability(self, values: ArrayLike) -> Stability:
        """Compare values seen now with those learned from. Refuses: DriftUndecidable."""
        seen, learned = np.array(self.spread(values), np.float64), np.array(self.counts, np.float64)
        if not seen.sum() or not learned.sum():
            raise DriftUndecidable(f"{int(learned.sum())} rows learned from, {int(seen.sum())} seen")
        used = seen + learned > 0
        sizes = int(learned.sum()), int(seen.sum())
        first, second = (np.maximum(side[used], HALF_ROW) / side.sum() for side in (learned, seen))
        psi = float(((second - first) * np.log(second / first)).sum())
        freedom = max(int(used.sum()) - 1, 1)
        critical = float(chi2.ppf(CONFIDENCE, freedom)) * (1 / sizes[0] + 1 / sizes[1])
        return Stability(psi, critical, *sizes)
