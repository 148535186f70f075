"""A scorecard as a scikit-learn classifier: monotone bins, boosted points, exact reasons."""

import json
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from scoring.binning import MAX_BINS, MIN_BIN_SHARE, Bins, Direction, Floats, fit_bins
from scoring.boosting import Trees, grow
from scoring.calibration import shift
from scoring.errors import ScoringError
from scoring.estimator import BinaryClassifier, NotBinary
from scoring.facts import Bools, Int64s
from scoring.odds import MICRO

LN2_MICRO = 693_147
FORMAT = 2
ROWS_AT_ONCE = 4_096
LEAF_ROWS = 40
"""Either side of a step holds at least so many training rows."""


class DirectionsUneven(ScoringError):
    """There is not one known direction per feature."""

    code = "scorecard_directions_uneven"


class ScorecardUnreadable(ScoringError):
    """A scorecard's JSON is damaged or of another format."""

    code = "scorecard_unreadable"


class Scorecard(BinaryClassifier):
    """The sum of one step function per feature, fitted together by boosting over monotone tree bins.

    Every step of the boosting splits one feature's bins once and is shrunk, so that features which say the same
    share the weight; steps that would turn a bin's risk against the feature's direction are not taken. Missing
    values are a bin of their own. After `fit`, each bin holds its contribution to the log-odds in integer
    millionths, centred on the training rows: a row's score is their exact sum plus the intercept, and its
    reasons are those same integers. Features left without a split or without weight are named in `dropped_`
    with why, never silently.

    Parameters: `directions`, one of up/down/auto/free per feature (None: auto for all); `max_bins` per feature
    without the missing one; `min_bin_share` of rows; `rounds` of `learning_rate`, with the L2 weight `penalty`
    on each step; `base_points` at `base_odds` good to one bad, and `points_to_double` those odds.
    """

    def __init__(  # noqa: PLR0913 - scikit-learn keeps parameters one by one
        self,
        *,
        directions: Sequence[Direction] | None = None,
        max_bins: int = MAX_BINS,
        min_bin_share: float = MIN_BIN_SHARE,
        rounds: int = 150,
        learning_rate: float = 0.08,
        penalty: float = 20.0,
        base_points: int = 600,
        base_odds: int = 50,
        points_to_double: int = 20,
    ) -> None:
        """Store the parameters as given; `fit` judges them."""
        self.directions = directions
        self.max_bins = max_bins
        self.min_bin_share = min_bin_share
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.penalty = penalty
        self.base_points = base_points
        self.base_odds = base_odds
        self.points_to_double = points_to_double

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's name
        """Fit on (n, k) values and n targets of two classes, the second in order being the bad one.

        Refuses: TableInvalid, NotBinary, TableUninformative, DirectionsUneven.
        """
        values, events = self._to_learn(X, y)
        self.bins_ = [
            fit_bins(
                values[:, at],
                events=events,
                direction=way,
                max_bins=self.max_bins,
                min_bin_share=self.min_bin_share,
            )
            for at, way in enumerate(self._directions(values.shape[1]))
        ]
        steps, intercept = self._boosted(values, events=events)
        self.intercept_micro_ = _micro(np.array([intercept]))[0]
        self.contributions_micro_ = [_micro(per_bin) for per_bin in steps]
        self.dropped_ = _dropped(self.bins_, contributions=self.contributions_micro_)
        return self

    def _boosted(self, values: Floats, *, events: Bools) -> tuple[list[Floats], float]:
        """Return each feature's log-odds per bin, centred on the rows, and the intercept."""
        index = [bins.index(values[:, at]) for at, bins in enumerate(self.bins_)]
        codes = np.column_stack([_code(at, bins=bins) for at, bins in zip(index, self.bins_, strict=True)])
        learner = grow(
            codes, events=events, min_leaf_rows=LEAF_ROWS, max_iter=self.rounds, learning_rate=self.learning_rate,
            max_leaf_nodes=2, l2_regularization=self.penalty, random_state=0,
            monotonic_cst=[bins.turn for bins in self.bins_],
        )  # fmt: skip
        trees = Trees.of([learner])
        steps, intercept = [np.zeros(len(bins.cuts) + 2) for bins in self.bins_], trees.baselines[0]
        for tree in trees.bags[0]:  # of one split, or none: they add up by feature
            if tree["is_leaf"][0]:
                intercept += float(tree["value"][0])
                continue
            at = int(tree["feature_idx"][0])
            code = _code(np.arange(len(steps[at])), bins=self.bins_[at])
            left = np.where(np.isnan(code), tree["missing_go_to_left"][0], code <= tree["num_threshold"][0])
            steps[at] += np.where(left, tree["value"][tree["left"][0]], tree["value"][tree["right"][0]])
        for at, rows in enumerate(index):
            counts = np.bincount(rows, minlength=len(steps[at]))
            centre = float(counts @ steps[at]) / len(values)
            steps[at] = np.where(counts > 0, steps[at] - centre, 0.0)
            intercept += centre
        return steps, intercept

    def shift_intercept(self, X: ArrayLike, y: ArrayLike, *, prior_events: float = 0.0) -> Self:  # noqa: N803 - scikit-learn's name
        """Move the intercept towards the rate of these rows (see `calibration.shift`). Refuses: NotBinary."""
        events = np.asarray(y) == self.classes_[1]
        if not 0 < events.mean() < 1:
            raise NotBinary("the rows to shift to hold one class only")
        moved = shift(self.decision_function(X), events=events, prior_events=prior_events)
        self.intercept_micro_ += _micro(np.array([moved]))[0]
        return self

    def _directions(self, features: int) -> Sequence[Direction]:
        """Return one direction per feature."""
        ways: Sequence[Direction] = ["auto"] * features if self.directions is None else self.directions
        if len(ways) != features or not {*ways} <= {"up", "down", "auto", "free"}:
            raise DirectionsUneven(f"{features} features need as many directions of up, down, auto or free")
        return ways

    def bin_index(self, X: ArrayLike) -> Int64s:  # noqa: N803 - scikit-learn's name
        """Return the (n, k) bin of each value; the last bin of a feature is the missing one."""
        values = self._values(X)
        index = np.empty(values.shape, dtype=np.int64, order="F")
        for at, bins in enumerate(self.bins_):
            index[:, at] = bins.index(values[:, at])
        return index

    def contributions(self, X: ArrayLike) -> Int64s:  # noqa: N803 - scikit-learn's name
        """Return the (n, k) exact contributions to the log-odds in millionths; positive is riskier."""
        index = self.bin_index(X)
        parts = np.empty_like(index)
        for at, per_bin in enumerate(self.contributions_micro_):
            parts[:, at] = per_bin[index[:, at]]
        return parts

    def logit_micro(self, X: ArrayLike) -> Int64s:  # noqa: N803 - scikit-learn's name
        """Return the log-odds of the bad class in integer millionths: intercept plus contributions."""
        values = self._values(X)
        total = np.full(len(values), self.intercept_micro_, dtype=np.int64)
        speaking = [at for at, per_bin in enumerate(self.contributions_micro_) if per_bin.any()]
        for start in range(0, len(values), ROWS_AT_ONCE):
            rows = np.asfortranarray(values[start : start + ROWS_AT_ONCE])
            for at in speaking:
                total[start : start + ROWS_AT_ONCE] += self.contributions_micro_[at][self.bins_[at].index(rows[:, at])]
        return total

    def decision_function(self, X: ArrayLike) -> Floats:  # noqa: N803 - scikit-learn's name
        """Return the log-odds of the second class."""
        return np.asarray(self.logit_micro(X) / MICRO, dtype=np.float64)

    def points(self, X: ArrayLike) -> Int64s:  # noqa: N803 - scikit-learn's name
        """Return the (n, k + 1) integer points, the base first, then one per feature; more is less risk."""
        logs = np.column_stack((np.full(len(parts := self.contributions(X)), self.intercept_micro_), parts))
        points = -((2 * logs * self.points_to_double + LN2_MICRO) // (2 * LN2_MICRO))
        base_odds_micro = _micro(np.log(np.array([float(self.base_odds)])))[0]
        points[:, 0] += self.base_points - round(int(base_odds_micro) * self.points_to_double / LN2_MICRO)
        return np.asarray(points, dtype=np.int64)

    def to_json(self) -> str:
        """Return the fitted card as canonical JSON; floats are written so that they read back bit for bit."""
        check_is_fitted(self)
        body = {
            "format": FORMAT,
            "parameters": self.get_params(),
            "classes": self.classes_.tolist(),
            "intercept_micro": int(self.intercept_micro_),
            "features": [
                {
                    "cuts": bins.cuts.tolist(),
                    "direction": bins.direction,
                    "evidence": bins.evidence.tolist(),
                    "contributions_micro": parts.tolist(),
                }
                for bins, parts in zip(self.bins_, self.contributions_micro_, strict=True)
            ],
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a card written by `to_json`; it scores identically. Refuses: ScorecardUnreadable."""
        try:
            body = json.loads(text)
            known = body["format"] == FORMAT
            card = cls(**body["parameters"])
            card._restore(body)
        except (KeyError, TypeError, ValueError) as fault:
            raise ScorecardUnreadable(repr(fault)) from fault
        if not known or not card._is_sound():
            raise ScorecardUnreadable("of another format, or bins and contributions differ in number")
        return card

    def _restore(self, body: dict[str, Any]) -> None:
        """Set the fitted attributes from parsed JSON."""
        features = body["features"]
        self.classes_ = np.array(body["classes"])
        self.n_features_in_ = len(features)
        self.intercept_micro_ = np.int64(body["intercept_micro"])
        self.bins_ = [
            Bins(
                np.array(f["cuts"], dtype=np.float64),
                np.array(f["evidence"], dtype=np.float64),
                f["direction"],
            )
            for f in features
        ]
        self.contributions_micro_ = [np.array(f["contributions_micro"], dtype=np.int64) for f in features]
        self.dropped_ = _dropped(self.bins_, contributions=self.contributions_micro_)

    def _is_sound(self) -> bool:
        """Return whether every feature has ordered cuts and one contribution per bin."""
        return all(
            bins.cuts.ndim == 1 and parts.shape == (len(bins.cuts) + 2,) and bool((np.diff(bins.cuts) > 0).all())
            for bins, parts in zip(self.bins_, self.contributions_micro_, strict=True)
        )


def _micro(values: Floats) -> Int64s:
    """Return values in integer millionths."""
    return np.rint(values * MICRO).astype(np.int64)


def _dropped(bins: list[Bins], *, contributions: list[Int64s]) -> dict[int, str]:
    """Name the features that decide nothing, and why: nothing to split, or no weight beside the others."""
    silent = [at for at, parts in enumerate(contributions) if not parts.any()]
    return {at: "no_weight" if len(bins[at].cuts) else "no_split" for at in silent}


def _code(index: Int64s, *, bins: Bins) -> Floats:
    """Return bins as the learner sees them: their number, the missing one as NaN."""
    return np.where(index == len(bins.cuts) + 1, np.nan, index.astype(np.float64))
