"""Days late: a forest whose leaves hold medians and outer deciles, kept as plain numbers, with an honest band."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from scoring.errors import ScoringError
from scoring.facts import Int64s

Floats = NDArray[np.float64]

TREES = 32
DEPTH = 14
LEAF_ROWS = 8
EARLIEST, LATEST = -30, 60
"""Days late are held within this range in training, so that one disaster does not shape the trees."""

BAND_PERCENT = 80
"""The band is meant to hold so many of a hundred invoices."""

LEVELS = (0.1, 0.5, 0.9)

MISSING = -1e9
"""Stands for NaN in the trees: below every value, in fitting and in scoring alike."""

MILLI = 1_000
ROWS_AT_ONCE = 4_096
TIME_PARTS = 5
PART_TREES = 16
"""The margin is learned in so many parts of the time, from forests of so many trees."""

GOLDEN = 0.6180339887498949

_COLUMNS = ("feature", "cut", "left", "right", "low_milli", "middle_milli", "high_milli")
_WHOLE = tuple(name for name in _COLUMNS if name != "cut")


class ForestUnreadable(ScoringError):
    """A forest's JSON is damaged: a node points outside its tree or is missing a part."""

    code = "forest_unreadable"


class Band(NamedTuple):
    """The first and the last day (late, negative: early) of each row's band, both inside it."""

    low: Int64s
    high: Int64s


@dataclass(frozen=True, eq=False)
class DaysForest:
    """The trees' leaf figures, averaged. Nodes of all trees as columns; a leaf points to itself.

    `roots` are the trees' first nodes; the figures are in thousandths of a day. `margin_milli` widens (or, below
    zero, narrows) the averaged deciles into the band.
    """

    roots: Int64s
    feature: Int64s
    cut: Floats
    left: Int64s
    right: Int64s
    low_milli: Int64s
    middle_milli: Int64s
    high_milli: Int64s
    margin_milli: int

    @classmethod
    def fit(cls, features: Floats, *, days_late: Int64s, day: Int64s, trees: int = TREES, seed: int = 0) -> Self:
        """Fit on an (n, k) matrix (NaN allowed), n days late (negative: early) and the n days of issue.

        Always the same trees. The margin is conformal (Romano, Patterson, Candes, Conformalized quantile
        regression, 2019): the 80 % quantile of how far each row lies outside the deciles of a forest that has not
        seen its part of the time. Leaving out rows at random would do so too well: a payer's neighbouring
        invoices tell on each other.
        """
        held = np.clip(days_late, EARLIEST, LATEST)
        known = _filled(features)
        part = np.argsort(np.argsort(day, kind="stable"), kind="stable") * TIME_PARTS // len(day)
        outside = np.zeros(len(held))
        for at in np.unique(part):
            here = part == at
            others = ~here if len(np.unique(part)) > 1 else here
            blind = cls._grown(known[others], held=held[others], trees=PART_TREES, seed=seed)
            low, high = blind.means(known[here], names=("low_milli", "high_milli"))
            outside[here] = np.maximum(low - held[here] * MILLI, held[here] * MILLI - high)
        margin_milli = round(float(np.quantile(outside, BAND_PERCENT / 100)))
        return replace(cls._grown(known, held=held, trees=trees, seed=seed), margin_milli=margin_milli)

    @classmethod
    def _grown(cls, known: Floats, *, held: Int64s, trees: int, seed: int) -> Self:
        """Grow the trees; the margin is not known yet."""
        forest = RandomForestRegressor(
            n_estimators=trees,
            max_depth=DEPTH,
            min_samples_leaf=LEAF_ROWS,
            max_features=0.2,
            max_samples=max(1, len(known) * 3 // 5),
            random_state=seed,
            n_jobs=1,
        ).fit(known, held)
        reached = forest.apply(known)
        # Days are whole numbers; spread evenly over their day, so that the deciles between them mean something.
        spread = held + (np.arange(len(held)) * GOLDEN % 1 - 0.5)
        parts = [_columns(tree.tree_, leaf=reached[:, at], spread=spread) for at, tree in enumerate(forest.estimators_)]
        sizes = np.array([len(part["cut"]) for part in parts])
        roots = np.cumsum(sizes) - sizes
        for part, root in zip(parts, roots, strict=True):
            part["left"] += root
            part["right"] += root
        whole = {name: np.concatenate([part[name] for part in parts]) for name in _COLUMNS}
        return cls(roots=roots, margin_milli=0, **whole)

    def predict(self, features: Floats) -> Int64s:
        """Return the expected days late of each row, rounded half up to whole days."""
        total = self._totals(_filled(features), names=("middle_milli",))[0]
        scale = MILLI * len(self.roots)
        return np.asarray((2 * total + scale) // (2 * scale), dtype=np.int64)

    def band(self, features: Floats) -> Band:
        """Return the days that are meant to hold four of five invoices; never an empty range."""
        low, high = self._totals(_filled(features), names=("low_milli", "high_milli"))
        trees = len(self.roots)
        first = -((self.margin_milli * trees - low) // (MILLI * trees))
        return Band(first, np.maximum((high + self.margin_milli * trees) // (MILLI * trees), first))

    def means(self, known: Floats, *, names: tuple[str, ...]) -> list[Floats]:
        """Return the means over all trees of the named figures, for each row."""
        return [total / len(self.roots) for total in self._totals(known, names=names)]

    def _totals(self, known: Floats, *, names: tuple[str, ...]) -> list[Int64s]:
        """Return the sums over all trees of the named figures, for each row."""
        totals = [np.empty(len(known), dtype=np.int64) for _ in names]
        for start in range(0, len(known), ROWS_AT_ONCE):
            leaf = self._leaves(known[start : start + ROWS_AT_ONCE])
            for name, total in zip(names, totals, strict=True):
                total[start : start + ROWS_AT_ONCE] = getattr(self, name)[leaf].sum(axis=1)
        return totals

    def _leaves(self, rows: Floats) -> Int64s:
        """Return the leaf of each row in each tree."""
        flat, start = rows.ravel(), np.arange(len(rows), dtype=np.int64)[:, None] * rows.shape[1]
        node = np.tile(self.roots, (len(rows), 1))
        for _ in range(DEPTH):
            goes_left = flat[start + self.feature[node]] <= self.cut[node]
            node = np.where(goes_left, self.left[node], self.right[node])
        return node

    def to_body(self) -> dict[str, Any]:
        """Return the trees as JSON values."""
        columns = {name: getattr(self, name).tolist() for name in ("roots", *_COLUMNS)}
        return {**columns, "margin_milli": self.margin_milli}

    @classmethod
    def from_body(cls, body: dict[str, Any], *, width: int) -> Self:
        """Read what `to_body` wrote for `width` features. Refuses: ForestUnreadable."""
        try:
            whole = {name: np.array(body[name], dtype=np.int64) for name in ("roots", *_WHOLE)}
            forest = cls(cut=np.array(body["cut"], dtype=np.float64), margin_milli=int(body["margin_milli"]), **whole)
        except (KeyError, TypeError, ValueError, OverflowError) as fault:
            raise ForestUnreadable(repr(fault)) from fault
        if not forest._is_sound(width):
            raise ForestUnreadable("a node points outside its tree or its features")
        return forest

    def _is_sound(self, width: int) -> bool:
        """Return whether there are trees and every node points to a node and to a feature."""
        nodes = len(self.feature)
        pointers = np.concatenate((self.left, self.right, self.roots))
        return (
            {getattr(self, name).shape for name in _COLUMNS} == {(nodes,)}
            and min(nodes, len(self.roots)) > 0
            and bool(((pointers >= 0) & (pointers < nodes)).all())
            and bool(((self.feature >= 0) & (self.feature < width)).all())
        )


def _filled(features: Floats) -> Floats:
    """Return the matrix in the trees' precision with NaN replaced."""
    return np.where(np.isnan(features), MISSING, features).astype(np.float32).astype(np.float64)


def _columns(nodes: Any, *, leaf: Int64s, spread: Floats) -> dict[str, NDArray[Any]]:  # noqa: ANN401 - scikit-learn's tree
    """Return a fitted tree with the deciles of all training rows in each leaf."""
    here = np.arange(nodes.node_count, dtype=np.int64)
    is_leaf = nodes.children_left < 0
    figures = np.zeros((len(LEVELS), nodes.node_count), dtype=np.int64)
    order = np.argsort(leaf, kind="stable")
    found, start = np.unique(leaf[order], return_index=True)
    for node, rows in zip(found, np.split(spread[order], start[1:]), strict=True):
        figures[:, node] = np.rint(np.quantile(rows, LEVELS) * MILLI)
    return {
        "feature": np.where(is_leaf, 0, nodes.feature).astype(np.int64),
        "cut": np.where(is_leaf, 0.0, nodes.threshold).astype(np.float64),
        "left": np.where(is_leaf, here, nodes.children_left).astype(np.int64),
        "right": np.where(is_leaf, here, nodes.children_right).astype(np.int64),
        "low_milli": figures[0],
        "middle_milli": figures[1],
        "high_milli": figures[2],
    }
