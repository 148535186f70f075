"""Dated integer events of many groups: sums and extremes over any group's past, as of any day.

Everything is a difference of integer prefix sums, so an answer as of a day does not depend, in any bit, on
what happened later or on the order in which the events were given.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from scoring.facts import Bools, Int64s

SPAN = 1 << 20
"""Days per group in the combined key; above `facts.MAX_DAY`."""


@dataclass(frozen=True)
class Past:
    """For each question, the half-open range [low, high) of positions in a timeline."""

    low: Int64s
    high: Int64s

    @property
    def count(self) -> Int64s:
        """Events in each range."""
        return self.high - self.low

    def newest(self, events: int) -> Self:
        """Keep at most the newest `events` of each range."""
        return type(self)(np.maximum(self.low, self.high - events), self.high)


class Timeline:
    """Events sorted by group, day and value, with prefix sums of integer columns."""

    def __init__(self, group: Int64s, *, day: Int64s, by: str | None = None, **columns: Int64s) -> None:
        """Sort the events; ties on a day are broken by the column `by`, the only one to ask `newest` about.

        All other answers begin and end between days, so input order cannot matter.
        """
        key = group * SPAN + day
        order = np.argsort(key, kind="stable") if by is None else np.lexsort((columns[by], key))
        self.key = key[order]
        self.columns = {name: column[order] for name, column in columns.items()}
        self.sums = {
            name: np.concatenate((np.zeros(1, np.int64), np.cumsum(column, dtype=np.int64)))
            for name, column in self.columns.items()
        }

    def before(self, group: Int64s, *, day: Int64s, window_days: int | None = None) -> Past:
        """Return each group's events strictly before `day`, and at most `window_days` before it."""
        first = group * SPAN
        if window_days is not None:
            first = first + np.maximum(day - window_days, 0)
        return Past(np.searchsorted(self.key, first), np.searchsorted(self.key, group * SPAN + day))

    def total(self, name: str, *, past: Past) -> Int64s:
        """Return the sum of a column over each range."""
        sums = self.sums[name]
        return np.asarray(sums[past.high] - sums[past.low], dtype=np.int64)

    def largest(self, name: str, *, past: Past) -> Int64s:
        """Return a column's maximum from each group's first event on; 0 where the range is empty."""
        if not len(self.key):
            return np.zeros_like(past.high)
        lift = (self.key // SPAN) * (2 * SPAN)
        running = np.maximum.accumulate(self.columns[name] + lift) - lift
        return np.where(past.count > 0, running[np.maximum(past.high - 1, 0)], 0)

    def edge_days(self, past: Past) -> tuple[Int64s, Int64s]:
        """Return the days of the first and the last event of each range; 0 where the range is empty."""
        if not len(self.key):
            return np.zeros_like(past.low), np.zeros_like(past.high)
        last = len(self.key) - 1
        days = [self.key[np.clip(at, 0, last)] % SPAN for at in (past.low, past.high - 1)]
        return np.where(past.count > 0, days[0], 0), np.where(past.count > 0, days[1], 0)


def oldest_running(
    group: Int64s, *, start: Int64s, end: Int64s, asked_group: Int64s, asked_day: Int64s
) -> tuple[Bools, Int64s]:
    """Return, for each question, whether an interval start < day <= end runs, and the earliest such start.

    With intervals in order of start, the first whose running maximum of `end` reaches the day is the oldest
    that still runs: had an earlier one reached it, the maximum would have reached it there.
    """
    if not len(group):
        return np.zeros(len(asked_group), np.bool_), np.zeros(len(asked_group), np.int64)
    order = np.lexsort((end, start, group))
    by_group, by_start = group[order], start[order]
    reach = np.maximum.accumulate(by_group * SPAN + end[order])
    at = np.searchsorted(reach, asked_group * SPAN + asked_day)
    inside = np.minimum(at, len(reach) - 1)
    running = (at < len(reach)) & (by_group[inside] == asked_group) & (by_start[inside] < asked_day)
    return running, np.where(running, by_start[inside], 0)
