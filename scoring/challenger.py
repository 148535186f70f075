"""The challenger: bagged gradient boosting as a scikit-learn classifier, with a model file that needs no pickle."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from sklearn.utils.validation import check_is_fitted

from scoring import model_file
from scoring.binning import fit_bins
from scoring.boosting import LEAVES_MAX, Trees, grow
from scoring.errors import ScoringError
from scoring.estimator import BinaryClassifier, Floats

KIND = "challenger"
TINY = 1e-12


class LeavesOutOfRange(ScoringError):
    """A tree is asked to have fewer than two leaves or more than a word has bits."""

    code = "challenger_leaves_out_of_range"


class Challenger(BinaryClassifier):
    """The mean chance of a few boosted ensembles, each seeing a random share of the features at every split.

    Bagging over feature draws takes away most of the variance that a single ensemble has where bad outcomes are
    rare. Some of the ensembles are held to a direction a feature, so that risk only rises or only falls with it: they
    err less where there is little to learn from, the others where there is more to say. Missing values go, in fitting
    and scoring alike, to the side that fits better; a feature never missing in fitting sends them to the side with
    more rows. The same rows give the same bytes.

    Parameters: `bags`; `held_share` of them, rounded down, that are held to directions; `rounds` of `learning_rate`;
    `max_leaves` and `min_leaf_rows` of a tree; `penalty`, the L2 weight of a leaf; `feature_share` drawn at a split;
    `directions`, for each feature -1 (risk falls with the value), 0 or 1, for all bags (None: those that the rows
    show, for the held ones); `seed`.
    """

    def __init__(  # noqa: PLR0913 - scikit-learn keeps parameters one by one
        self,
        *,
        bags: int = 6,
        held_share: float = 0.5,
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
        self.held_share = held_share
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.max_leaves = max_leaves
        self.min_leaf_rows = min_leaf_rows
        self.penalty = penalty
        self.feature_share = feature_share
        self.directions = directions
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's name
        """Fit on (n, k) values and n targets of two classes, the second in order being the bad one.

        Refuses: TableInvalid, NotBinary, TableUninformative, LeavesOutOfRange.
        """
        if not 2 <= self.max_leaves <= LEAVES_MAX:  # noqa: PLR2004 - a split has two sides
            raise LeavesOutOfRange(f"{self.max_leaves} leaves; give 2 to {LEAVES_MAX}")
        values, events = self._to_learn(X, y)
        ways = [self.directions] * self.bags
        held = int(self.bags * self.held_share)
        if self.directions is None and held:
            shown = [fit_bins(column, events=events, direction="auto").turn for column in values.T]
            ways[:held] = [shown] * held
        self.trees_ = Trees.of(
            [
                grow(
                    values,
                    events=events,
                    min_leaf_rows=self.min_leaf_rows,
                    max_iter=self.rounds,
                    learning_rate=self.learning_rate,
                    max_leaf_nodes=self.max_leaves,
                    l2_regularization=self.penalty,
                    max_features=self.feature_share,
                    monotonic_cst=way,
                    random_state=self.seed + bag,
                )
                for bag, way in enumerate(ways)
            ]
        )
        return self

    def decision_function(self, X: ArrayLike) -> Floats:  # noqa: N803 - scikit-learn's name
        """Return the log-odds of the second class: those of the mean chance."""
        values = self._values(X)
        bad = expit(self.trees_.log_odds(values)).mean(axis=1)
        return np.asarray(logit(np.clip(bad, TINY, 1 - TINY)), dtype=np.float64)

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
            "bags": self.trees_.to_body(),
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
        made.trees_ = Trees.from_body(bags, width=made.n_features_in_)
        return made
