"""Gradient boosting on one thread with one policy for missing values, and its trees as plain numbers.

scikit-learn grows the trees; what they say is kept as columns of nodes, which a model file can hold. They score
without an estimator around them and without walking: QuickScorer (Lucchese and others, SIGIR 2015) turned to columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no types

from scoring.errors import ScoringError
from scoring.facts import Bools, Int64s

Floats = NDArray[np.float64]

LEAF_SHARE = 20
"""A table too small for the wanted rows in a leaf has them in a twentieth of its rows."""

_NODES = ("value", "feature_idx", "num_threshold", "missing_go_to_left", "left", "right", "is_leaf")
_FLOATS = frozenset({"value", "num_threshold"})
LEAVES_MAX = 64
"""A tree has no more leaves than a word has bits."""

ROWS_AT_ONCE = 2_048
"""Few rows at once stay in the cache for all trees."""

Tree = dict[str, NDArray[Any]]
"""The nodes of one tree as columns named as in _NODES; children come after their parent."""


class TreesUnreadable(ScoringError):
    """Trees read from a file are damaged: a node points outside its tree or its features, or there are too many."""

    code = "boosted_trees_unreadable"


def grow(values: Floats, *, events: Bools, min_leaf_rows: int, **parameters: Any) -> HistGradientBoostingClassifier:  # noqa: ANN401 - scikit-learn's own parameters
    """Fit boosted trees on one thread, so that the same rows give the same bits on every machine of a kind."""
    leaf_rows = max(1, min(min_leaf_rows, len(values) // LEAF_SHARE))
    learner = HistGradientBoostingClassifier(early_stopping=False, min_samples_leaf=leaf_rows, **parameters)
    # A column of nothing but gaps cannot be binned; as a constant it is never split, so its gaps are never asked.
    known = np.where(np.isnan(values).all(axis=0), 0.0, values)
    with threadpool_limits(1):
        return learner.fit(known, events)


@dataclass(frozen=True, eq=False)
class Trees:
    """Ensembles side by side, each a baseline and a sum of trees: its log-odds of the bad class."""

    baselines: tuple[float, ...]
    bags: tuple[tuple[Tree, ...], ...]

    @classmethod
    def of(cls, learners: Sequence[HistGradientBoostingClassifier]) -> Self:
        """Take the trees out of fitted learners."""
        return cls(
            tuple(float(np.ravel(one._baseline_prediction)[0]) for one in learners),  # noqa: SLF001 - has no public name
            tuple(tuple(_finite(stage[0].nodes) for stage in one._predictors) for one in learners),  # noqa: SLF001 - has no public name
        )

    @cached_property
    def _table(self) -> "_Table":
        return _Table.of([tree for bag in self.bags for tree in bag])

    def log_odds(self, values: Floats) -> Floats:
        """Return the (n, bags) log-odds of each row of a float64 matrix."""
        starts = np.cumsum([0, *(len(bag) for bag in self.bags[:-1])])
        total = np.empty((len(values), len(self.bags)))
        for start in range(0, len(values), ROWS_AT_ONCE):
            leaves = self._table.leaf_values(values[start : start + ROWS_AT_ONCE])
            total[start : start + ROWS_AT_ONCE] = np.add.reduceat(leaves, starts, axis=1)
        return np.asarray(total + self.baselines, dtype=np.float64)

    def to_body(self) -> list[dict[str, Any]]:
        """Return the ensembles as JSON values."""
        return [
            {"baseline": baseline, "trees": [{name: tree[name].tolist() for name in _NODES} for tree in bag]}
            for baseline, bag in zip(self.baselines, self.bags, strict=True)
        ]

    @classmethod
    def from_body(cls, body: list[dict[str, Any]], *, width: int) -> Self:
        """Read what `to_body` wrote for `width` features. Refuses: TreesUnreadable."""
        try:
            trees = cls(
                tuple(float(bag["baseline"]) for bag in body),
                tuple(tuple(_columns(tree) for tree in bag["trees"]) for bag in body),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as fault:
            raise TreesUnreadable(repr(fault)) from fault
        if not trees.bags or not all(bag and all(_sound(tree, width=width) for tree in bag) for bag in trees.bags):
            raise TreesUnreadable("a node points outside its tree or its features, or there is no tree")
        return trees


@dataclass(frozen=True, eq=False)
class _Table:
    """What each value rules out. Leaves are numbered from the left, a bit each; a row's leaf is the lowest bit left.

    `masks[at][bin]` says, for each tree, which leaves a value of feature `features[at]` leaves open: each node that it
    passes on the right rules out the leaves below on the left. Bins are as in `binning.Bins`, gaps last.
    """

    features: tuple[int, ...]
    cuts: tuple[Floats, ...]
    masks: tuple[NDArray[Any], ...]
    leaf_value: Floats

    @classmethod
    def of(cls, trees: Sequence[Tree]) -> Self:
        """Number the leaves and note what every cut rules out."""
        inner = [tree["is_leaf"] == 0 for tree in trees]
        spans = [_leaf_spans(tree) for tree in trees]
        widest = max(int(below.sum()) + 1 for below in inner)
        kind = np.dtype(f"u{max(8, 1 << (widest - 1).bit_length()) // 8}")
        column = {name: np.concatenate([tree[name][below] for tree, below in zip(trees, inner, strict=True)])
                  for name in ("feature_idx", "num_threshold", "missing_go_to_left")}  # fmt: skip
        tree_of = np.repeat(np.arange(len(trees)), [below.sum() for below in inner])
        left = np.concatenate(
            [span[tree["left"][below]] for tree, span, below in zip(trees, spans, inner, strict=True)]
        )
        shut = [kind.type(((1 << high) - (1 << low)) ^ np.iinfo(kind).max) for low, high in left.tolist()]
        features = np.unique(column["feature_idx"])
        cuts, masks = [], []
        for feature in features:
            nodes = np.flatnonzero(column["feature_idx"] == feature)
            edges, rank = np.unique(column["num_threshold"][nodes], return_inverse=True)
            mask = np.full((len(edges) + 2, len(trees)), np.iinfo(kind).max, dtype=kind)
            for node, at in zip(nodes, rank, strict=True):
                mask[at + 1 : -1, tree_of[node]] &= shut[node]
                if not column["missing_go_to_left"][node]:
                    mask[-1, tree_of[node]] &= shut[node]
            cuts.append(np.append(edges, np.inf))
            masks.append(mask)
        value = np.zeros((len(trees), 8 * kind.itemsize))
        for at, (tree, span, below) in enumerate(zip(trees, spans, inner, strict=True)):
            value[at, span[~below, 0]] = tree["value"][~below]
        return cls(tuple(features.tolist()), tuple(cuts), tuple(masks), value)

    def leaf_values(self, rows: Floats) -> Floats:
        """Return the (n, trees) values of the leaves that the rows reach."""
        trees, width = self.leaf_value.shape
        columns = np.asfortranarray(rows)
        left = np.full((len(rows), trees), -1, dtype=f"i{width // 8}").view(f"u{width // 8}")
        for feature, cuts, masks in zip(self.features, self.cuts, self.masks, strict=True):
            left &= masks.take(np.searchsorted(cuts, columns[:, feature], side="left"), axis=0)
        lowest = np.bitwise_count((left & -left) - 1)
        return np.asarray(self.leaf_value.take(lowest + np.arange(trees) * width), dtype=np.float64)


def _leaf_spans(tree: Tree) -> Int64s:
    """Return for each node the first leaf below it, counted from the left, and the one after its last."""
    inner = np.flatnonzero(tree["is_leaf"] == 0)
    spans = np.ones((len(tree["value"]), 2), dtype=np.int64)
    for node in inner[::-1]:  # children come after their parent: first how many leaves, then from where on
        spans[node, 1] = spans[tree["left"][node], 1] + spans[tree["right"][node], 1]
    spans[0, 0] = 0
    for node in inner:
        spans[tree["left"][node], 0] = spans[node, 0]
        spans[tree["right"][node], 0] = spans[node, 0] + spans[tree["left"][node], 1]
    return np.column_stack((spans[:, 0], spans.sum(axis=1)))


def _finite(nodes: NDArray[Any]) -> Tree:
    """Return scikit-learn's nodes with cuts that JSON can hold: one that parts gaps from values lies above them."""
    tree: Tree = {name: nodes[name].copy() for name in _NODES}
    tree["num_threshold"] = np.minimum(tree["num_threshold"], np.finfo(np.float64).max)
    return tree


def _columns(told: dict[str, list[Any]]) -> Tree:
    """Return one tree's columns as arrays."""
    if {len(told[name]) for name in _NODES} != {len(told["value"])}:
        raise TreesUnreadable("the columns of a tree differ in length")
    return {name: np.array(told[name], dtype=np.float64 if name in _FLOATS else np.int64) for name in _NODES}


def _sound(tree: Tree, *, width: int) -> bool:
    """Return whether it is a tree: each node but the first is the child of one earlier, and asks a feature there is."""
    here = np.flatnonzero(tree["is_leaf"] == 0)
    below = np.stack((tree["left"][here], tree["right"][here]))
    whole = np.array_equal(np.sort(below, axis=None), np.arange(1, len(tree["value"])))
    known = (tree["feature_idx"][here] >= 0) & (tree["feature_idx"][here] < width)
    return whole and len(here) < LEAVES_MAX and bool((below > here).all() and known.all())
