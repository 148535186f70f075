"""The challenger: bagged gradient boosting as a scikit-learn classifier, with a model file that needs no pickle."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from scoring import model_file
from scoring.boosting import Floats, Trees, grow
from scoring.errors import ScoringError

KIND = "challenger"
TINY = 1e-12
ROWS_AT_ONCE = 4_000


class ChallengerNotBinary(ScoringError):
    """The target has not exactly two classes."""

    code = "challenger_target_not_binary"


class Challenger(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # the bases have no types
    """The mean chance of a few boosted ensembles, each seeing a random share of the features at every split.

    Bagging over feature draws takes away most of the variance that a single ensemble has where bad outcomes are
    rare. Missing values go, in fitting and scoring alike, to the side that fits better; a feature never missing
    in fitting sends them to the side with more rows. The same rows give the same bytes.

    Parameters: `bags`; `rounds` of `learning_rate`; `max_leaves` and `min_leaf_rows` of a tree; `penalty`, the L2
    weight of a leaf; `feature_share` drawn at a split; `directions`, for each feature -1 (risk falls with the
    value), 0 or 1 (None: all 0); `seed`.
    """

    def __init__(  # noqa: PLR0913 - scikit-learn keeps parameters one by one
        self,
        *,
        bags: int = 4,
        rounds: int = 40,
        learning_rate: float = 0.15,
        max_leaves: int = 8,
        min_leaf_rows: int = 40,
        penalty: float = 5.0,
        feature_share: float = 0.3,
        directions: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        """Store the parameters as given; `fit` judges them."""
        self.bags = bags
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.max_leaves = max_leaves
        self.min_leaf_rows = min_leaf_rows
        self.penalty = penalty
        self.feature_share = feature_share
        self.directions = directions
        self.seed = seed

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 - scikit-learn's Tags has no type information
        """Tell scikit-learn: two classes, missing values welcome."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's name
        """Fit on (n, k) values and n targets of two classes, the second in order being the bad one.

        Refuses: ChallengerNotBinary; infinite values and too few rows by scikit-learn's own ValueError.
        """
        values, target = validate_data(
            self, X, y, ensure_all_finite="allow-nan", dtype=np.float64, ensure_min_samples=2
        )
        check_classification_targets(target)
        self.classes_, codes = np.unique(target, return_inverse=True)
        if len(self.classes_) != 2:  # noqa: PLR2004 - good and bad
            raise ChallengerNotBinary(
                f"Only binary classification is supported: the target holds {len(self.classes_)} class(es)"
            )
        self.bags_ = [
            Trees.of(
                grow(
                    values,
                    events=codes == 1,
                    min_leaf_rows=self.min_leaf_rows,
                    max_iter=self.rounds,
                    learning_rate=self.learning_rate,
                    max_leaf_nodes=self.max_leaves,
                    l2_regularization=self.penalty,
                    max_features=self.feature_share,
                    monotonic_cst=self.directions,
                    random_state=self.seed + bag,
                )
            )
            for bag in range(self.bags)
        ]
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:  # noqa: N803 - scikit-learn's name
        """Return the (n, 2) probabilities of both classes."""
        check_is_fitted(self)
        values = validate_data(self, X, ensure_all_finite="allow-nan", dtype=np.float64, order="C", reset=False)
        bad = np.empty(len(values))
        for start in range(0, len(values), ROWS_AT_ONCE):  # few rows at once stay in the cache for all trees
            rows = np.ascontiguousarray(values[start : start + ROWS_AT_ONCE])
            bad[start : start + ROWS_AT_ONCE] = np.mean([expit(trees.log_odds(rows)) for trees in self.bags_], axis=0)
        return np.column_stack((1 - bad, bad))

    def decision_function(self, X: ArrayLike) -> Floats:  # noqa: N803 - scikit-learn's name
        """Return the log-odds of the second class."""
        return np.asarray(logit(np.clip(self.predict_proba(X)[:, 1], TINY, 1 - TINY)), dtype=np.float64)

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803 - scikit-learn's name
        """Return the likelier class of each row."""
        likelier = self.decision_function(X) > 0
        return np.asarray(self.classes_[likelier.astype(np.int64)])

    def to_json(self) -> str:
        """Return the fitted challenger as a model file."""
        check_is_fitted(self)
        return model_file.write(KIND, self.to_body())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a model file; it scores identically. Refuses: what `model_file.read` refuses, TreesUnreadable."""
        return cls.from_body(model_file.read(text, kind=KIND))

    def to_body(self) -> dict[str, Any]:
        """Return the fitted challenger as JSON values."""
        return {
            "parameters": self.get_params(),
            "classes": self.classes_.tolist(),
            "features": self.n_features_in_,
            "bags": [trees.to_body() for trees in self.bags_],
        }

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> Self:
        """Read what `to_body` wrote. Refuses: ModelFileUnreadable, TreesUnreadable."""
        try:
            made = cls(**body["parameters"])
            made.classes_ = np.array(body["classes"])
            made.n_features_in_ = int(body["features"])
            bags = [*body["bags"]]
        except (KeyError, TypeError, ValueError) as fault:
            raise model_file.ModelFileUnreadable(repr(fault)) from fault
        made.bags_ = [Trees.from_body(trees, width=made.n_features_in_) for trees in bags]
        return made
