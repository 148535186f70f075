"""How an asset performs, from what happened to it alone: in whatever order that became known, the history is the same.

Days past due are the days since the oldest amount owed fell due, without those of a pause and from the last reset on.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

from exchange.schedules.schedule import Schedule, open_instalments, total_minor
from exchange.servicing.terms import CURED, LASTING, STANDARD, Stage, Terms, ladder, moved

DAY = timedelta(days=1)
FOLLOWED = ("late_", "near_breach", "default", "charge_off", "cured")
"""Facts that others follow, by how their kinds begin."""


class Pause(NamedTuple):
    """The days from `start` until before `end` do not count."""

    start: date
    end: date


class Agreed(NamedTuple):
    """A schedule, and the day from which on it counts."""

    start: date
    schedule: Schedule


class Movement(NamedTuple):
    """Less owed since a day; more where it is negative."""

    day: date
    amount_minor: int


class Rule(NamedTuple):
    """A policy's terms, and the day from which on they are in force."""

    start: date
    terms: Terms


@dataclass(frozen=True, slots=True)
class Clock:
    """Everything that an asset's history follows from. The first schedule and the first rule hold since ever."""

    listed_on: date
    face_minor: int
    schedules: tuple[Agreed, ...]
    movements: tuple[Movement, ...] = ()
    pauses: tuple[Pause, ...] = ()
    resets: tuple[date, ...] = ()
    rules: tuple[Rule, ...] = (Rule(date.min, STANDARD),)

    def schedule(self, day: date) -> Schedule:
        """What is agreed on a day."""
        return next(one.schedule for one in reversed(self.schedules) if one.start <= day)

    def terms(self, day: date) -> Terms:
        """The policy on a day."""
        return next(one.terms for one in reversed(self.rules) if one.start <= day)

    def owed_minor(self, day: date) -> int:
        """What is owed at the end of a day."""
        return max(self.face_minor - sum(one.amount_minor for one in self.movements if one.day <= day), 0)

    def open_instalments(self, day: date) -> Schedule:
        """What is owed at the end of a day, by when it is due. A schedule sums to what was owed when it was made."""
        schedule, owed_minor = self.schedule(day), self.owed_minor(day)
        if not owed_minor:
            return ()
        return open_instalments(schedule, paid_minor=max(total_minor(schedule) - owed_minor, 0))

    def is_paused(self, day: date) -> bool:
        """Whether a day does not count."""
        return any(one.start <= day < one.end for one in self.pauses)


class Tag(NamedTuple):
    """What an asset became on a day. Each day has one at most, and those with consequences it went past."""

    day: date
    kind: str
    days_past_due: int
    outstanding_minor: int


class Standing(NamedTuple):
    """How an asset stands at the end of a day: `since` the oldest amount owed is due, or None."""

    since: date | None
    days_past_due: int
    outstanding_minor: int
    stage: Stage | None


def standing(clock: Clock, day: date) -> Standing:
    """How an asset stands at the end of a day."""
    terms, still = clock.terms(day), clock.open_instalments(day)
    owed_minor = clock.owed_minor(day)
    if not still:
        return Standing(None, 0, owed_minor, None)
    since = moved(still[0].due_date, terms)
    days = _counted(clock, max([since, *(one for one in clock.resets if one <= day)]), day)
    return Standing(since, days, owed_minor, _stage(ladder(terms), days))


def history(clock: Clock, *, until: date) -> list[Tag]:
    """Every change of stage from the day an asset was listed until `until`, in the order of days.

    Between two events only days pass: there the days on which stages begin are computed, not looked for.
    """
    found: list[Tag] = []
    before: Stage | None = None
    for start, end in pairwise([*_events(clock, until), until + DAY]):
        at = standing(clock, start)
        if at.stage != before:
            found += _changes(clock, start, before, at)
            before = at.stage
        if at.since is None or clock.is_paused(start):
            continue
        origin = max(start, at.since)
        for stage in ladder(clock.terms(start)):
            day = origin + (stage.day - at.days_past_due) * DAY
            if start < day < end and (before is None or stage.day > before.day):
                found.append(Tag(day, stage.kind, stage.day, at.outstanding_minor))
                before = stage
    return found


def reminders(clock: Clock, *, day: date) -> list[Tag]:
    """What is to be remembered on a day: amounts that fall due in as many days as the policy says."""
    if clock.is_paused(day) or day < clock.listed_on:
        return []
    terms = clock.terms(day)
    ahead = {(moved(one.due_date, terms) - day).days for one in clock.open_instalments(day)}
    return [Tag(day, f"reminder_{days}", 0, clock.owed_minor(day)) for days in terms.reminder_days if days in ahead]


def milestones(terms: Terms, *, day: date) -> set[date]:
    """The due dates, as they stand in contracts, for which a day is a reminder's or the first of a stage."""
    offsets = {-days for days in terms.reminder_days} | {stage.day for stage in ladder(terms)}
    wanted = {day - offset * DAY for offset in offsets}
    if terms.calendar is None:
        return wanted
    near = {one + days * DAY for one in wanted for days in range(-12, 13)}
    return {one for one in near if moved(one, terms) in wanted}


def is_status(kind: str) -> bool:
    """Whether a fact says how an asset stands: one that can turn out untrue. A reminder was sent or not."""
    return not kind.startswith("reminder_")


def is_followed(kind: str) -> bool:
    """Whether collections follow a fact."""
    return kind.startswith(FOLLOWED)


def _counted(clock: Clock, since: date, day: date) -> int:
    """The days after `since` up to `day` that count."""
    counted = max((day - since).days, 0)
    last = since
    for pause in sorted(clock.pauses):  # those that overlap are counted once
        start, end = max(pause.start, last + DAY), min(pause.end, day + DAY)
        if start < end:
            counted -= (end - start).days
            last = end - DAY
    return counted


def _stage(stages: Sequence[Stage], days: int) -> Stage | None:
    return next((stage for stage in reversed(stages) if stage.day <= days), None)


def _events(clock: Clock, until: date) -> list[date]:
    """The days on which anything but time changes, from the listing on."""
    days = {clock.listed_on, *clock.resets}
    days.update(one.start for one in clock.schedules)
    days.update(one.start for one in clock.rules)
    days.update(one.day for one in clock.movements)
    for pause in clock.pauses:
        days.update(pause)
    return sorted(day for day in days if clock.listed_on <= day <= until)


def suspension_day(tags: Sequence[Tag], clock: Clock, *, fresh: Collection[Tag]) -> date | None:
    """The day on which an asset came to the stage that suspends its obligor's limits, if a `fresh` tag says so.

    Going further down suspends nothing again: whoever lifted a suspension knew of it.
    """
    beyond, found = False, None
    for tag in tags:
        terms = clock.terms(tag.day)
        days = {stage.kind: stage.day for stage in ladder(terms)}
        reached = tag.kind != CURED and days[tag.kind] >= days[terms.suspends_at]
        if reached and not beyond and tag in fresh:
            found = tag.day
        beyond = reached or (beyond and tag.kind != CURED)
    return found


def _changes(clock: Clock, day: date, before: Stage | None, at: Standing) -> Iterator[Tag]:
    """The tags of a day on which the stage is another than before."""
    if at.stage is None:
        yield Tag(day, CURED, 0, at.outstanding_minor)
        return
    passed = before.day if before else 0
    for stage in ladder(clock.terms(day)):
        if stage == at.stage or (stage.kind in LASTING and passed < stage.day < at.stage.day):
            yield Tag(day, stage.kind, at.days_past_due, at.outstanding_minor)
