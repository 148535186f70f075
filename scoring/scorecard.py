"""A scorecard as a scikit-learn classifier: monotone bins, weight of evidence, logistic; exact reasons."""

import json
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from scoring.binning import Bins, Direction, Floats, fit_bins
from scoring.errors import ScoringError
from scoring.facts import Bools, Int64s
from scoring.odds import MICRO

LN2_MICRO = 693_147
FORMAT = 1
SHIFT_STEPS = 30


class NotBinary(ScoringError):
    """The target has not exactly two classes."""

    code = "scorecard_target_not_binary"


class DirectionsUneven(ScoringError):
    """There is not one known direction per feature."""

    code = "scorecard_directions_uneven"


class ScorecardUnreadable(ScoringError):
    """A scorecard's JSON is damaged or of another format."""

    code = "scorecard_unreadable"


class Scorecard(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # the bases have no types
    """Logistic regression on the weights of evidence of monotone tree bins.

    Coefficients are kept at or above zero, so a riskier bin never improves a score. Missing values are a bin
    of their own. After `fit`, each bin holds its contribution to the log-odds in integer millionths: a row's
    score is their exact sum plus the intercept, and its reasons are those same integers. Features left
    without a split or without weight are named in `dropped_` with why, never silently.

    Parameters: `directions`, one of up/down/auto/free per feature (None: auto for all); `max_bins` per
    feature without the missing one; `min_bin_share` of rows; `penalty`, the L2 weight in rows; `base_points`
    at `base_odds` good to one bad, and `points_to_double` those odds.
    """

    def __init__(
        self,
        *,
        directions: Sequence[Direction] | None = None,
        max_bins: int = 10,
        min_bin_share: float = 0.02,
        penalty: float = 30.0,
        base_points: int = 600,
        base_odds: int = 50,
        points_to_double: int = 20,
    ) -> None:
        """Store the parameters as given; `fit` judges them."""
        self.directions = directions
        self.max_bins = max_bins
        self.min_bin_share = min_bin_share
        self.penalty = penalty
        self.base_points = base_points
        self.base_odds = base_odds
        self.points_to_double = points_to_double

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 - scikit-learn's Tags has no type information
        """Tell scikit-learn: two classes, missing values welcome."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's name
        """Fit on (n, k) values and n targets of two classes, the second in order being the bad one.

        Refuses: NotBinary, DirectionsUneven; infinite values and too few rows by scikit-learn's own
        ValueError.
        """
        values, target = validate_data(
            self, X, y, ensure_all_finite="allow-nan", dtype=np.float64, ensure_min_samples=2
        )
        check_classification_targets(target)
        self.classes_, codes = np.unique(target, return_inverse=True)
        if len(self.classes_) != 2:  # noqa: PLR2004 - good and bad
            raise NotBinary(f"Only binary classification is supported: the target holds {len(self.classes_)} class(es)")
        events = codes == 1
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
        evidence = np.column_stack([bins.evidence[bins.index(values[:, at])] for at, bins in enumerate(self.bins_)])
        weights, intercept = _fit_logistic(evidence, events=events, penalty=self.penalty)
        self.intercept_micro_ = _micro(np.array([intercept]))[0]
        self.contributions_micro_ = [
            _micro(weight * bins.evidence) for weight, bins in zip(weights, self.bins_, strict=True)
        ]
        self.dropped_ = _dropped(self.bins_, contributions=self.contributions_micro_)
        return self

    def shift_intercept(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's name
        """Move the intercept until the mean chance over these rows is their rate. Refuses: NotBinary."""
        logit = self.decision_function(X)
        rate = float((np.asarray(y) == self.classes_[1]).mean())
        if not 0 < rate < 1:
            raise NotBinary("the rows to shift to hold one class only")
        shift = 0.0
        for _ in range(SHIFT_STEPS):  # Newton; the mean is smooth and rising in the shift
            chance = expit(logit + shift)
            shift += float(np.clip((rate - chance.mean()) / (chance * (1 - chance)).mean(), -1, 1))
        self.intercept_micro_ += _micro(np.array([shift]))[0]
        return self

    def _directions(self, features: int) -> Sequence[Direction]:
        """Return one direction per feature."""
        ways: Sequence[Direction] = ["auto"] * features if self.directions is None else self.directions
        if len(ways) != features or not {*ways} <= {"up", "down", "auto", "free"}:
            raise DirectionsUneven(f"{features} features need as many directions of up, down, auto or free")
        return ways

    def bin_index(self, X: ArrayLike) -> Int64s:  # noqa: N803 - scikit-learn's name
        """Return the (n, k) bin of each value; the last bin of a feature is the missing one."""
        check_is_fitted(self)
        values = validate_data(self, X, ensure_all_finite="allow-nan", dtype=np.float64, reset=False)
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
        return np.asarray(self.contributions(X).sum(axis=1) + self.intercept_micro_, dtype=np.int64)

    def decision_function(self, X: ArrayLike) -> Floats:  # noqa: N803 - scikit-learn's name
        """Return the log-odds of the second class."""
        return np.asarray(self.logit_micro(X) / MICRO, dtype=np.float64)

    def predict_proba(self, X: ArrayLike) -> Floats:  # noqa: N803 - scikit-learn's name
        """Return the (n, 2) probabilities of both classes."""
        bad = expit(self.decision_function(X))
        return np.column_stack((1 - bad, bad))

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803 - scikit-learn's name
        """Return the likelier class of each row."""
        likelier = self.decision_function(X) > 0
        return np.asarray(self.classes_[likelier.astype(np.int64)])

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


def _fit_logistic(evidence: Floats, *, events: Bools, penalty: float) -> tuple[Floats, float]:
    """Return the L2-penalised logistic weights, all at or above zero, and the intercept."""
    bad = events.astype(np.float64)
    design = np.column_stack((evidence, np.ones(len(bad))))

    def loss(weights: Floats) -> tuple[float, Floats]:
        # einsum sums in one order on one thread, unlike BLAS: the same input gives the same bytes.
        logit = np.einsum("ij,j->i", design, weights)
        value = np.logaddexp(0.0, logit).sum() - (bad * logit).sum() + 0.5 * penalty * (weights[:-1] @ weights[:-1])
        slope = np.einsum("ij,i->j", design, expit(logit) - bad)
        slope[:-1] += penalty * weights[:-1]
        return float(value), slope

    start = np.append(np.zeros(evidence.shape[1]), np.log(bad.mean() / (1 - bad.mean())))
    bounds = [(0.0, None)] * evidence.shape[1] + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 300})
    return found.x[:-1], float(found.x[-1])
