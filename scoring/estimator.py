"""What every classifier of two classes shares: how it takes a table in, what it refuses, how it names the classes."""

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from scoring.errors import ScoringError
from scoring.facts import Bools

Floats = NDArray[np.float64]


class NotBinary(ScoringError):
    """The target has not exactly two classes."""

    code = "target_not_binary"


class TableInvalid(ScoringError):
    """A table holds text or infinite values, has too few rows or columns, or others than were fitted."""

    code = "table_invalid"


class TableUninformative(ScoringError):
    """No column of a table to learn from has two different values: all are constant or missing."""

    code = "table_uninformative"


class BinaryClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # the bases have no types
    """A scikit-learn classifier of two classes that has `decision_function`; missing values are welcome."""

    classes_: NDArray[Any]

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 - scikit-learn's Tags has no type information
        """Tell scikit-learn: two classes, missing values welcome."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        return tags

    def _to_learn(self, X: ArrayLike, y: ArrayLike) -> tuple[Floats, Bools]:  # noqa: N803 - scikit-learn's name
        """Return the table and which rows are of the second class.

        Refuses: TableInvalid, NotBinary, TableUninformative.
        """
        values, target = self._valid(X, y=y, ensure_min_samples=2)
        check_classification_targets(target)
        self.classes_, codes = np.unique(target, return_inverse=True)
        if len(self.classes_) != 2:  # noqa: PLR2004 - good and bad
            raise NotBinary(f"Only binary classification is supported: the target holds {len(self.classes_)} class(es)")
        if (np.isnan(values).all(axis=0) | (np.fmin.reduce(values) == np.fmax.reduce(values))).all():
            raise TableUninformative("every column is missing, or the same in every row")
        return values, codes == 1

    def _values(self, X: ArrayLike) -> Floats:  # noqa: N803 - scikit-learn's name
        """Return a table as it was fitted. Refuses: TableInvalid."""
        check_is_fitted(self)
        return np.asarray(self._valid(X, reset=False), dtype=np.float64)

    def _valid(self, X: ArrayLike, **asked: Any) -> Any:  # noqa: ANN401, N803 - scikit-learn's own parameters
        try:
            return validate_data(self, X, ensure_all_finite="allow-nan", dtype=np.float64, **asked)
        except ValueError as fault:
            raise TableInvalid(str(fault)) from fault

    @abstractmethod
    def decision_function(self, X: ArrayLike) -> Floats:  # noqa: N803 - scikit-learn's name
        """Return the log-odds of the second class."""

    def predict_proba(self, X: ArrayLike) -> Floats:  # noqa: N803 - scikit-learn's name
        """Return the (n, 2) probabilities of both classes."""
        bad = expit(self.decision_function(X))
        return np.column_stack((1 - bad, bad))

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803 - scikit-learn's name
        """Return the likelier class of each row."""
        likelier = self.decision_function(X) > 0
        return np.asarray(self.classes_[likelier.astype(np.int64)])
