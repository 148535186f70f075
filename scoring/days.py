"""Expected days late: a small forest of regression trees whose leaves hold medians, kept as plain numbers."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from scoring.errors import ScoringError
from scoring.facts import Int64s

Floats = NDArray[np.float64]

TREES = 16
DEPTH = 11
LEAF_ROWS = 20
EARLIEST, LATEST = -30, 60
"""Days late are held within this range in training, so that one disaster does not shape the trees."""

MISSING = -1e9
"""Stands for NaN in the trees: below every value, in fitting and in scoring alike."""

MILLI = 1_000


class ForestUnreadable(ScoringError):
    """A forest's JSON is damaged: a node points outside its tree or is missing a part."""

    code = "forest_unreadable"


@dataclass(frozen=True, eq=False)
class _Tree:
    """Nodes as columns; a leaf points to itself. `value_milli` is its median in thousandths of a day."""

    feature: Int64s
    cut: Floats
    left: Int64s
    right: Int64s
    value_milli: Int64s

    def leaf(self, flat: Floats, *, width: int) -> Int64s:
        """Return the leaf of each row of a matrix given flat, row after row."""
        row = np.arange(len(flat) // width, dtype=np.int64) * width
        node = np.zeros(len(row), dtype=np.int64)
        for _ in range(DEPTH):
            goes_left = flat[row + self.feature[node]] <= self.cut[node]
            node = np.where(goes_left, self.left[node], self.right[node])
        return node


@dataclass(frozen=True, eq=False)
class DaysForest:
    """The mean of the trees' leaf medians."""

    trees: tuple[_Tree, ...]

    @classmethod
    def fit(cls, features: Floats, *, days_late: Int64s, seed: int = 0) -> Self:
        """Fit on an (n, k) matrix (NaN allowed) and n days late (negative: early); always the same trees."""
        held = np.clip(days_late, EARLIEST, LATEST)
        known = _filled(features)
        forest = RandomForestRegressor(
            n_estimators=TREES,
            max_depth=DEPTH,
            min_samples_leaf=LEAF_ROWS,
            max_features=0.33,
            max_samples=0.6,
            random_state=seed,
            n_jobs=1,
        ).fit(known, held)
        return cls(tuple(_with_medians(tree.tree_, known=known, held=held) for tree in forest.estimators_))

    def predict(self, features: Floats) -> Int64s:
        """Return the expected days late of each row, rounded half up to whole days."""
        flat = _filled(features).ravel()
        total = np.zeros(len(features), dtype=np.int64)
        for tree in self.trees:
            total += tree.value_milli[tree.leaf(flat, width=features.shape[1])]
        scale = MILLI * len(self.trees)
        return np.asarray((2 * total + scale) // (2 * scale), dtype=np.int64)

    def to_body(self) -> list[dict[str, list[Any]]]:
        """Return the trees as JSON values."""
        return [{name: getattr(tree, name).tolist() for name in _Tree.__annotations__} for tree in self.trees]

    @classmethod
    def from_body(cls, body: list[dict[str, list[Any]]], *, width: int) -> Self:
        """Read what `to_body` wrote for `width` features. Refuses: ForestUnreadable."""
        try:
            trees = tuple(
                _Tree(
                    np.array(tree["feature"], dtype=np.int64),
                    np.array(tree["cut"], dtype=np.float64),
                    *(np.array(tree[name], dtype=np.int64) for name in ("left", "right", "value_milli")),
                )
                for tree in body
            )
        except (KeyError, TypeError, ValueError) as fault:
            raise ForestUnreadable(repr(fault)) from fault
        if not trees or any(not _sound(tree, width=width) for tree in trees):
            raise ForestUnreadable("a node points outside its tree or its features")
        return cls(trees)


def _sound(tree: _Tree, *, width: int) -> bool:
    """Return whether every node points to a node and to a feature."""
    nodes = len(tree.feature)
    sizes = {len(getattr(tree, name)) for name in _Tree.__annotations__}
    pointers = np.concatenate((tree.left, tree.right))
    return (
        sizes == {nodes}
        and nodes > 0
        and bool(((pointers >= 0) & (pointers < nodes)).all() and ((tree.feature >= 0) & (tree.feature < width)).all())
    )


def _filled(features: Floats) -> Floats:
    """Return the matrix in the trees' precision with NaN replaced."""
    return np.where(np.isnan(features), MISSING, features).astype(np.float32).astype(np.float64)


def _with_medians(nodes: Any, *, known: Floats, held: Int64s) -> _Tree:  # noqa: ANN401 - scikit-learn's tree
    """Return a fitted tree with the median of all training rows in each leaf."""
    here = np.arange(nodes.node_count, dtype=np.int64)
    is_leaf = nodes.children_left < 0
    tree = _Tree(
        feature=np.where(is_leaf, 0, nodes.feature).astype(np.int64),
        cut=np.where(is_leaf, 0.0, nodes.threshold).astype(np.float64),
        left=np.where(is_leaf, here, nodes.children_left).astype(np.int64),
        right=np.where(is_leaf, here, nodes.children_right).astype(np.int64),
        value_milli=np.zeros(nodes.node_count, dtype=np.int64),
    )
    leaf = tree.leaf(known.ravel(), width=known.shape[1])
    order = np.argsort(leaf, kind="stable")
    found, start = np.unique(leaf[order], return_index=True)
    for node, rows in zip(found, np.split(held[order], start[1:]), strict=True):
        tree.value_milli[node] = int(np.median(rows) * MILLI)
    return tree
