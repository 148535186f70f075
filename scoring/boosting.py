"""Gradient boosting on one thread with one policy for missing values, and its trees as plain numbers.

scikit-learn grows the trees; what they say is kept as columns of nodes, which a model file can hold and which
score without an estimator around them.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no types

from scoring.errors import ScoringError
from scoring.facts import Bools

Floats = NDArray[np.float64]

LEAF_SHARE = 20
"""A table too small for the wanted rows in a leaf has them in a twentieth of its rows."""

_NODES = ("value", "feature_idx", "num_threshold", "missing_go_to_left", "left", "right", "is_leaf")
_NO_BITSETS = np.zeros((0, 8), dtype=np.uint32)
_NO_CATEGORIES = np.zeros(0, dtype=np.uint32)


class TreesUnreadable(ScoringError):
    """Trees read from a file are damaged: a node points outside its tree or its features."""

    code = "boosted_trees_unreadable"


def grow(values: Floats, *, events: Bools, min_leaf_rows: int, **parameters: Any) -> HistGradientBoostingClassifier:  # noqa: ANN401 - scikit-learn's own parameters
    """Fit boosted trees on one thread, so that the same rows give the same bits on every machine of a kind."""
    leaf_rows = max(1, min(min_leaf_rows, len(values) // LEAF_SHARE))
    learner = HistGradientBoostingClassifier(early_stopping=False, min_samples_leaf=leaf_rows, **parameters)
    # A column of nothing but gaps cannot be binned; as a constant it is never split, so its gaps are never asked.
    known = np.where(np.isnan(values).all(axis=0), 0.0, values)
    with threadpool_limits(1):
        return learner.fit(known, events)


class Trees:
    """A sum of trees: the log-odds of the bad class."""

    def __init__(self, baseline: float, nodes: Sequence[NDArray[Any]]) -> None:
        """Take scikit-learn's node records."""
        self.baseline = baseline
        self._nodes = [_finite(tree) for tree in nodes]
        self._predictors = [TreePredictor(tree, _NO_BITSETS, _NO_BITSETS) for tree in self._nodes]

    @classmethod
    def of(cls, learner: HistGradientBoostingClassifier) -> Self:
        """Take the trees out of a fitted learner."""
        baseline = float(np.ravel(learner._baseline_prediction)[0])  # noqa: SLF001 - has no public name
        return cls(baseline, [stage[0].nodes for stage in learner._predictors])  # noqa: SLF001 - has no public name

    def log_odds(self, values: Floats) -> Floats:
        """Return the log-odds of each row of a float64 matrix."""
        total = np.full(len(values), self.baseline)
        for tree in self._predictors:
            total += tree.predict(values, _NO_BITSETS, _NO_CATEGORIES, 1)
        return total

    def to_body(self) -> dict[str, Any]:
        """Return the trees as JSON values."""
        return {
            "baseline": self.baseline,
            "trees": [{name: tree[name].tolist() for name in _NODES} for tree in self._nodes],
        }

    @classmethod
    def from_body(cls, body: dict[str, Any], *, width: int) -> Self:
        """Read what `to_body` wrote for `width` features. Refuses: TreesUnreadable."""
        try:
            trees = cls(float(body["baseline"]), [_records(columns) for columns in body["trees"]])
        except (KeyError, TypeError, ValueError, OverflowError) as fault:
            raise TreesUnreadable(repr(fault)) from fault
        if not all(_sound(tree, width=width) for tree in trees._nodes):
            raise TreesUnreadable("a node points outside its tree or its features")
        return trees


def _finite(nodes: NDArray[Any]) -> NDArray[Any]:
    """Return the nodes with cuts that JSON can hold: one that parts all values from gaps lies above every value."""
    held = nodes.copy()
    held["num_threshold"] = np.minimum(nodes["num_threshold"], np.finfo(np.float64).max)
    return held


def _records(columns: dict[str, list[Any]]) -> NDArray[Any]:
    """Return one tree's columns as scikit-learn's node records."""
    if {len(columns[name]) for name in _NODES} != {len(columns["value"])}:
        raise TreesUnreadable("the columns of a tree differ in length")
    nodes = np.zeros(len(columns["value"]), dtype=PREDICTOR_RECORD_DTYPE)
    for name in _NODES:
        nodes[name] = columns[name]
    return nodes


def _sound(nodes: NDArray[Any], *, width: int) -> bool:
    """Return whether each inner node points to two later nodes and to a feature: scoring ends, inside the tree."""
    inner = nodes[nodes["is_leaf"] == 0]
    here = np.flatnonzero(nodes["is_leaf"] == 0)
    below = np.minimum(inner["left"], inner["right"]) > here
    inside = np.maximum(inner["left"], inner["right"]) < len(nodes)
    known = (inner["feature_idx"] >= 0) & (inner["feature_idx"] < width)
    return len(nodes) > 0 and bool((below & inside & known).all())
