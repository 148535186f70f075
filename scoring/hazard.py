"""Time to pay: a discrete-time hazard, and from it the whole term structure of not having been paid yet."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring import model_file
from scoring.challenger import Challenger
from scoring.errors import ScoringError
from scoring.facts import Int64s

Floats = NDArray[np.float64]

KIND = "time_to_pay"
FARTHEST = -(10**6)
"""The first interval begins before any payment."""


class EdgesNotRising(ScoringError):
    """The edges of the intervals are not at least one, each later than the one before."""

    code = "hazard_edges_not_rising"


class IntervalsUnobserved(ScoringError):
    """No row was observed over a whole interval, or all of them ended, or none did."""

    code = "hazard_intervals_unobserved"


class TimeToPay:
    """The chance of being unpaid at each edge, in days (of any clock: since issue, since due), given features.

    A row is a witness of each interval that it entered unpaid and that had ended, paid or not, when it was last
    seen. An interval seen in part is left out, even where a payment was seen in it: were the unpaid rows of it
    counted, recent rows would look safe; were only its payments counted, they would look too good to be true.
    """

    def __init__(self, edges: Sequence[int] = (0, 7, 15, 30, 60, 90), *, learner: Challenger | None = None) -> None:
        """Take the intervals' last days and the estimator of the hazard. Refuses: EdgesNotRising."""
        self.edges = np.array(edges, dtype=np.int64)
        if not len(self.edges) or (np.diff(self.edges) <= 0).any():
            raise EdgesNotRising("give one or more days, each later than the one before")
        self.learner = learner or Challenger(bags=1, rounds=100, learning_rate=0.08)

    def fit(self, values: Floats, *, paid_day: ArrayLike, seen_day: ArrayLike) -> Self:
        """Fit on (n, k) values, the day on which each row was paid and the last day on which it was looked at.

        A payment after that day is not known, so any later day stands for unpaid. Refuses: IntervalsUnobserved.
        """
        paid, seen = np.asarray(paid_day, dtype=np.int64), np.asarray(seen_day, dtype=np.int64)
        rows, ended = [], []
        for interval, edge in enumerate(self.edges):
            start = int(self.edges[interval - 1]) if interval else FARTHEST
            witness = (paid > start) & (seen >= edge)
            rows.append(_beside(values[witness], interval))
            ended.append(paid[witness] <= edge)
        events = np.concatenate(ended)
        if not len(events) or events.all() or not events.any():
            raise IntervalsUnobserved(f"{len(events)} whole intervals, {int(events.sum())} of them with a payment")
        self.learner.fit(np.vstack(rows), events)
        return self

    def unpaid(self, values: Floats) -> Floats:
        """Return the (n, edges) chances of being unpaid after each edge; they never rise along a row."""
        stayed = [1 - self.learner.predict_proba(_beside(values, at))[:, 1] for at in range(len(self.edges))]
        return np.asarray(np.cumprod(np.column_stack(stayed), axis=1), dtype=np.float64)

    def unpaid_after(self, values: Floats, *, age_days: ArrayLike) -> Floats:
        """Return the same chances given that each row is unpaid at the end of its day `age_days`: S(t) / S(age).

        Inside an interval payments are taken to come at a constant rate; edges already passed have the chance 1.
        """
        age = np.asarray(age_days, dtype=np.int64)
        curve = np.log(np.maximum(self.unpaid(values), np.finfo(np.float64).tiny))
        whole = np.column_stack((np.zeros(len(curve)), curve))
        at = np.searchsorted(self.edges, age, side="right")
        here = np.arange(len(curve))
        start = np.where(at > 0, self.edges[np.maximum(at - 1, 0)], age)
        end = self.edges[np.minimum(at, len(self.edges) - 1)]
        into = np.where((at > 0) & (end > start), (age - start) / np.maximum(end - start, 1), 0.0)
        following = whole[here, np.minimum(at + 1, len(self.edges))]
        reached = whole[here, at] + into * (following - whole[here, at])
        return np.asarray(np.exp(np.minimum(curve - reached[:, None], 0.0)), dtype=np.float64)

    def to_json(self) -> str:
        """Return the fitted curve as a model file."""
        return model_file.write(KIND, {"edges": self.edges.tolist(), "learner": self.learner.to_body()})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a model file; it answers identically. Refuses: what `model_file.read` and `Challenger` refuse."""
        body: Any = model_file.read(text, kind=KIND)
        try:
            edges, learner = [int(edge) for edge in body["edges"]], body["learner"]
        except (KeyError, TypeError, ValueError) as fault:
            raise model_file.ModelFileUnreadable(repr(fault)) from fault
        return cls(edges, learner=Challenger.from_body(learner))


def tenor_cap(unpaid: Floats, *, edges: ArrayLike, tolerated: float) -> Int64s:
    """Return for each row the earliest edge by which the chance of being unpaid has fallen to `tolerated`; else -1."""
    within = unpaid <= tolerated
    return np.where(within.any(axis=1), np.asarray(edges)[within.argmax(axis=1)], -1).astype(np.int64)


def _beside(values: Floats, interval: int) -> Floats:
    """Return the values with the interval's number as a column."""
    return np.column_stack((values, np.full(len(values), float(interval))))
