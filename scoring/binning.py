"""Monotone bins of one feature by a small decision tree, and the weight of evidence of each bin."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from scoring.facts import Bools, Int64s

Floats = NDArray[np.float64]
Direction = Literal["up", "down", "auto", "free"]
"""How risk moves with the value: up, down, whichever fits better, or any shape."""

PRE_BINS = 200
"""Values are first cut at this many quantiles; the tree then sees at most two weighted rows per cut."""

MAX_BINS, MIN_BIN_SHARE = 10, 0.005
"""Unless told otherwise: bins of a feature without the missing one, and the least share of rows in each."""

SMOOTHING_ROWS = 20.0
"""Each bin is mixed with this many imagined rows of average risk, so a tiny bin says nearly nothing."""


@dataclass(frozen=True)
class Bins:
    """Cut points (a value equal to its cut lies below) and weight of evidence per bin; missing is last."""

    cuts: Floats
    evidence: Floats
    direction: Direction

    def index(self, values: Floats) -> Int64s:
        """Return each value's bin; missing (NaN) is bin len(cuts) + 1."""
        return np.searchsorted(self._ends, values, side="left").astype(np.int64, copy=False)

    @property
    def turn(self) -> int:
        """1 where risk is held to rise with the value, -1 where to fall; 0 where it is free, or nothing is split."""
        return {"up": 1, "down": -1}.get(self.direction, 0) if len(self.cuts) else 0

    @cached_property
    def _ends(self) -> Floats:
        """The cuts and, above every value, infinity: NaN sorts behind it, into a bin of its own."""
        return np.append(self.cuts, np.inf)


def fit_bins(
    values: Floats,
    *,
    events: Bools,
    direction: Direction,
    max_bins: int = MAX_BINS,
    min_bin_share: float = MIN_BIN_SHARE,
) -> Bins:
    """Cut one feature (n values, NaN allowed) so that the event rate moves in the given direction only.

    Weight of evidence is ln((bad_i / bad) / (good_i / good)), smoothed: positive means riskier than average
    (Siddiqi, Credit Risk Scorecards, ch. 6; sign turned). Missing values never seen in training weigh 0.
    """
    known = ~np.isnan(values)
    seen = values[known]
    edges = np.unique(np.quantile(seen, np.linspace(0, 1, PRE_BINS + 1)[1:-1], method="lower")) if len(seen) else seen
    code = np.searchsorted(edges, seen, side="left")
    bad = np.bincount(code[events[known]], minlength=len(edges) + 1).astype(np.float64)
    good = np.bincount(code[~events[known]], minlength=len(edges) + 1).astype(np.float64)

    def grow(sign: int) -> tuple[Floats, float]:
        return _grow(bad, good=good, sign=sign, max_bins=max_bins, min_bin_share=min_bin_share)

    splits, chosen = _choose(direction, grow=grow)
    # A split at code c + 0.5 separates codes <= c; their values are <= edges[c].
    cuts = edges[np.floor(splits).astype(np.int64)]
    index = Bins(cuts, np.empty(0), chosen).index(values)
    return Bins(cuts, weight_of_evidence(index, events=events, bins=len(cuts) + 2), chosen)


def weight_of_evidence(index: Int64s, *, events: Bools, bins: int) -> Floats:
    """Return the smoothed weight of evidence of each of `bins` bins."""
    rows = np.bincount(index, minlength=bins)
    bad = np.bincount(index[events], minlength=bins)
    rate = events.mean()
    mixed_bad = bad + SMOOTHING_ROWS * rate
    mixed_good = rows - bad + SMOOTHING_ROWS * (1 - rate)
    return np.asarray(np.log(mixed_bad / mixed_good) - np.log(rate / (1 - rate)), dtype=np.float64)


def _choose(direction: Direction, *, grow: Callable[[int], tuple[Floats, float]]) -> tuple[Floats, Direction]:
    """Return the splits in the wanted direction; `auto` grows both and keeps the purer."""
    if direction != "auto":
        return grow({"up": 1, "down": -1, "free": 0}[direction])[0], direction
    up, down = grow(1), grow(-1)
    return (up[0], "up") if up[1] <= down[1] else (down[0], "down")


def _grow(bad: Floats, *, good: Floats, sign: int, max_bins: int, min_bin_share: float) -> tuple[Floats, float]:
    """Grow one monotone tree on counts per code; return its splits in order and its leaves' total entropy."""
    if len(bad) < 2 or not (bad.any() and good.any()):  # noqa: PLR2004 - one code cannot be split
        return np.empty(0), 0.0
    code = np.arange(len(bad), dtype=np.float64)[:, None]
    tree = DecisionTreeClassifier(
        criterion="entropy",
        max_leaf_nodes=max_bins,
        min_weight_fraction_leaf=min_bin_share,
        monotonic_cst=[sign],
        random_state=0,
    )
    tree.fit(np.vstack((code, code)), np.repeat([1, 0], len(bad)), sample_weight=np.concatenate((bad, good)))
    nodes = tree.tree_
    leaf = nodes.children_left == -1
    entropy = float((nodes.impurity * nodes.weighted_n_node_samples)[leaf].sum())
    return np.sort(np.asarray(nodes.threshold, dtype=np.float64)[~leaf]), entropy
