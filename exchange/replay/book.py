"""A file as the days to live: what is history, and what comes on which day."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from exchange.errors import Refusal
from exchange.replay.rows import ReplayRow, RowRefusal

RUN_OFF_DAYS = 180
LATE_DAYS = 30


class NothingToReplay(Refusal):
    """No receivable of the file lies in the period asked for."""

    code = "nothing_to_replay"
    title = "There is nothing to replay"


@dataclass(slots=True)
class Day:
    """What the outside world does on one day, in this order."""

    submitted: list[ReplayRow] = field(default_factory=list)
    confirmed: list[ReplayRow] = field(default_factory=list)
    credited: list[tuple[ReplayRow, int]] = field(default_factory=list)
    paid: list[tuple[ReplayRow, int, int]] = field(default_factory=list)
    history: list[ReplayRow] = field(default_factory=list)

    def is_empty(self) -> bool:
        """Whether nothing happens."""
        return not (self.submitted or self.confirmed or self.credited or self.paid or self.history)


@dataclass(frozen=True, slots=True)
class Book:
    """The rows of a file, ordered for living. `last_day` is where the run-off ends."""

    history: list[ReplayRow]
    live: list[ReplayRow]
    later: int
    bad: Counter[str]
    days: dict[date, Day]
    first_day: date
    last_submission: date
    last_day: date


def make_book(
    rows: Iterable[ReplayRow | RowRefusal],
    *,
    first_day: date,
    last_submission: date | None,
    run_off_days: int = RUN_OFF_DAYS,
) -> Book:
    """Sort a file's rows into history (submitted before `first_day`), life, and later than `last_submission`.

    Life ends when nothing is left to happen, at most `run_off_days` after the last submission. A bad row is counted
    under the code of each of its faults. Raises `NothingToReplay`.
    """
    history: list[ReplayRow] = []
    live: list[ReplayRow] = []
    later, bad = 0, Counter[str]()
    for row in rows:
        if isinstance(row, RowRefusal):
            bad.update(f"{fault.code} ({fault.field})" if fault.field else fault.code for fault in row)
            bad["rows"] += 1
        elif row.submitted_date < first_day:
            history.append(row)
        elif last_submission is None or row.submitted_date <= last_submission:
            live.append(_as_confirmed(row))
        else:
            later += 1
    if not live:
        past = sorted(row.submitted_date for row in history)
        known = f"; earlier ones are of {past[0]} to {past[-1]}" if past else ""
        raise NothingToReplay(f"no receivable was submitted in the period from {first_day} on{known}")
    history.sort(key=_order)
    live.sort(key=_order)
    end = last_submission or live[-1].submitted_date
    days = _days(live, history, first_day=first_day, last_day=end + timedelta(days=run_off_days))
    lived = [day for day, plan in days.items() if plan.submitted or plan.confirmed or plan.credited or plan.paid]
    return Book(history, live, later, bad, days, first_day, end, max([end, *lived]))


def owed_minor(row: ReplayRow) -> int:
    """What is left to pay on the settlement day, in minor units."""
    credited = sum(note.amount_minor for note in row.credit_notes)
    return row.face_minor - credited - sum(part.amount_minor for part in row.part_payments)


def _as_confirmed(row: ReplayRow) -> ReplayRow:
    """The row without a confirmation that would come after its settlement: nothing is left to accept then."""
    if row.confirmed_date is None or row.settled_date is None or row.settled_date >= row.confirmed_date:
        return row
    return replace(row, confirmed_date=None, confirmation_grade=None)


def _order(row: ReplayRow) -> tuple[date, int]:
    return row.submitted_date, row.row_number


def _days(live: list[ReplayRow], history: list[ReplayRow], *, first_day: date, last_day: date) -> dict[date, Day]:
    days: defaultdict[date, Day] = defaultdict(Day)
    for row in live:
        born = row.submitted_date
        days[born].submitted.append(row)
        if row.confirmed_date is not None and row.confirmed_date > born:
            days[row.confirmed_date].confirmed.append(row)
        for index, note in enumerate(row.credit_notes):
            days[max(note.credit_date, born)].credited.append((row, index))
        if row.confirmed_date is None:
            continue  # nobody told its obligor to pay into the collection account: it pays the seller
        for index, (day, amount_minor) in enumerate(_payments(row)):
            days[max(day, born, row.confirmed_date)].paid.append((row, index, amount_minor))
    for row in history:
        for day in _told_on(row):
            if day >= first_day:
                days[day].history.append(row)
    return {day: plan for day, plan in sorted(days.items()) if day <= last_day}


def is_known(row: ReplayRow, day: date) -> bool:
    """Whether the outcome of a past invoice is known by the end of `day`: settled, or late by over LATE_DAYS.

    Open ones are told no sooner: an open invoice that is never heard of again would look like a loss.
    """
    return any(told <= day for told in _told_on(row))


def _told_on(row: ReplayRow) -> list[date]:
    """The days on which an outcome of a past invoice becomes known."""
    late = row.due_date + timedelta(days=LATE_DAYS + 1)
    if row.settled_date is None:
        return [late]
    return [row.settled_date] if row.settled_date <= late else [late, row.settled_date]


def _payments(row: ReplayRow) -> list[tuple[date, int]]:
    paid = [(part.paid_date, part.amount_minor) for part in row.part_payments]
    rest = owed_minor(row)
    return [*paid, (row.settled_date, rest)] if row.settled_date is not None and rest > 0 else paid
