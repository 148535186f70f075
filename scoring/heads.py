"""One fitted question of a model: a scorecard over some of the features, and the reasons for its answer."""

import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from scoring import features, reasons
from scoring.errors import ScoringError
from scoring.facts import Bools, Int64s
from scoring.scorecard import Scorecard

Floats = NDArray[np.float64]

FREE_SHAPE = frozenset({"tenor_days", "due_weekday", "due_month_day", "issue_weekday"})
"""Features whose risk may rise and fall; all others are held monotone, in the direction the data shows."""

REASONS_MAX = 4


class HeadUnreadable(ScoringError):
    """A head's JSON is damaged or names features that do not exist."""

    code = "head_unreadable"


@dataclass(frozen=True, eq=False)
class Head:
    """A scorecard and the names of the features it reads, in its order."""

    names: tuple[str, ...]
    card: Scorecard

    @classmethod
    def fit(cls, matrix: Floats, *, events: Bools, names: tuple[str, ...]) -> Self:
        """Fit on the named columns of a full feature matrix. Refuses what `Scorecard.fit` refuses."""
        card = Scorecard(directions=["free" if name in FREE_SHAPE else "auto" for name in names])
        return cls(names, card.fit(matrix[:, _columns(names)], events))

    def shift(self, matrix: Floats, *, events: Bools, prior_events: float) -> None:
        """Move the intercept towards the event rate of these rows (see `calibration.shift`)."""
        self.card.shift_intercept(matrix[:, _columns(self.names)], events, prior_events=prior_events)

    def logit_micro(self, matrix: Floats) -> Int64s:
        """Return the log-odds, in millionths, of each row of a full feature matrix."""
        return self.card.logit_micro(matrix[:, _columns(self.names)])

    def explained(self, matrix: Floats) -> tuple[Int64s, list[list[str]]]:
        """Return the log-odds (millionths) and up to four reason codes of each row, the weightiest first.

        A reason's weight is the exact sum of the contributions of its topic's features; missing values count
        towards `no_history`. Reasons that weigh nothing are left out.
        """
        chosen = matrix[:, _columns(self.names)]
        parts = self.card.contributions(chosen)
        topics = (*reasons.TOPICS, reasons.NO_HISTORY)
        weight = np.zeros((len(chosen), len(topics)), dtype=np.int64)
        for at, name in enumerate(self.names):
            missing = np.isnan(chosen[:, at])
            weight[:, topics.index(reasons.TOPIC_OF[name])] += np.where(missing, 0, parts[:, at])
            weight[:, -1] += np.where(missing, parts[:, at], 0)
        logit = parts.sum(axis=1) + self.card.intercept_micro_
        return np.asarray(logit, dtype=np.int64), _weightiest(weight, topics=topics)

    def to_body(self) -> dict[str, Any]:
        """Return the head as JSON values."""
        return {"names": list(self.names), "card": json.loads(self.card.to_json())}

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> Self:
        """Read what `to_body` wrote. Refuses: HeadUnreadable, ScorecardUnreadable."""
        try:
            names, card = tuple(body["names"]), Scorecard.from_json(json.dumps(body["card"]))
        except (KeyError, TypeError) as fault:
            raise HeadUnreadable(repr(fault)) from fault
        if not {*names} <= {*features.NAMES} or card.n_features_in_ != len(names):
            raise HeadUnreadable("the scorecard's features are not the ones named")
        return cls(names, card)


def _columns(names: tuple[str, ...]) -> list[int]:
    """Return the places of the named features."""
    return [features.NAMES.index(name) for name in names]


def _weightiest(weight: Int64s, *, topics: tuple[str, ...]) -> list[list[str]]:
    """Return each row's codes of the heaviest topics; ties go to the topic listed first."""
    codes = np.array(
        [[topic + suffix for topic in topics] for suffix in (reasons.LOWERS, reasons.RAISES)],
        dtype=np.object_,
    )
    order = np.argsort(-np.abs(weight), axis=1, kind="stable")[:, :REASONS_MAX]
    heaviest = np.take_along_axis(weight, order, axis=1)
    named = codes[(heaviest > 0).astype(np.int64), order]
    kept = (heaviest != 0).sum(axis=1)
    return [row[:count] for row, count in zip(named.tolist(), kept.tolist(), strict=True)]
