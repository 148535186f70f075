"""Whatever no classifier can learn from or answer is refused, by each of them, with the same codes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scoring import estimator
from scoring.challenger import Challenger
from scoring.errors import ScoringError
from scoring.estimator import BinaryClassifier
from scoring.scorecard import Scorecard

Floats = NDArray[np.float64]

ROWS = 200
VALUES = np.random.default_rng(1).normal(size=(ROWS, 3))
EVENTS = VALUES[:, 0] > 1


@pytest.fixture(scope="module", params=[Scorecard(rounds=5), Challenger(bags=1, rounds=5)], ids=["card", "challenger"])
def learner(request: pytest.FixtureRequest) -> BinaryClassifier:
    """Return each classifier, fitted."""
    made: Scorecard | Challenger = request.param
    return made.fit(VALUES, EVENTS)


def with_first(value: float) -> Floats:
    """Return the table with another first value."""
    values = VALUES.copy()
    values[0, 0] = value
    return values


@pytest.mark.parametrize(
    ("values", "target", "refusal"),
    [
        (VALUES, np.zeros(ROWS), estimator.NotBinary),
        (VALUES, np.arange(ROWS) % 3, estimator.NotBinary),
        (np.full((ROWS, 3), np.nan), EVENTS, estimator.TableUninformative),
        (np.tile([1.0, np.nan, 0.0], (ROWS, 1)), EVENTS, estimator.TableUninformative),
        (with_first(np.inf), EVENTS, estimator.TableInvalid),
        (with_first(-np.inf), EVENTS, estimator.TableInvalid),
        (VALUES, np.where(EVENTS, np.nan, 1.0), estimator.TableInvalid),
        (VALUES, EVENTS[1:], estimator.TableInvalid),
        (VALUES[:1], EVENTS[:1], estimator.TableInvalid),
        (VALUES[:, :0], EVENTS, estimator.TableInvalid),
        (np.full((ROWS, 3), "x"), EVENTS, estimator.TableInvalid),
    ],
)
def test_what_teaches_nothing_is_refused(
    learner: BinaryClassifier, values: Floats, target: Floats, refusal: type[ScoringError]
) -> None:
    """One class or three, nothing that varies, infinity, gaps in the target, uneven columns, no rows, text."""
    with pytest.raises(refusal) as caught:
        type(learner)(**learner.get_params()).fit(values, target)
    assert caught.value.code == refusal.code != "scoring_error"


@pytest.mark.parametrize("values", [with_first(np.inf), VALUES[:, :2], VALUES[0], np.full((1, 3), "x")])
def test_what_cannot_be_answered_is_refused(learner: BinaryClassifier, values: Floats) -> None:
    """Infinity, another width, no table and text cannot be scored."""
    with pytest.raises(estimator.TableInvalid):
        learner.predict_proba(values)


def test_one_column_that_varies_is_enough(learner: BinaryClassifier) -> None:
    """Constant and empty columns beside one that varies are let be; gaps in all of them are answered."""
    values = VALUES * [1, 0, np.nan]
    made = type(learner)(**learner.get_params()).fit(values, EVENTS)
    assert np.isfinite(made.predict_proba(np.full((2, 3), np.nan))).all()
