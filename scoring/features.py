"""As-of features: what could be known about a trade on its issue day, the same for training and live scoring.

A settlement is known when it happened strictly before the asked issue day; an invoice when it was issued
strictly before it; that an invoice was not paid by day d when d lies strictly before it. Every figure is a
ratio of integer sums over one payer, one seller or one pair, so rows recomputed from truncated history, or
from the history of those parties alone, are the same bit for bit.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.facts import MAX_DAY, Bools, Int64s, Trades
from scoring.timeline import Past, Timeline, oldest_running

Floats = NDArray[np.float64]

SLOW_DAYS = 15
SERIOUS_DAYS = 30
"""More than this many days past due is the bad outcome."""

ARREARS_DAYS = (7, 15, 45, 60)
"""Open invoices are counted once they are more than so many days past due."""

SIZE_STEPS = tuple(step * 10**digits for digits in range(14) for step in (1, 3))
"""Invoices are of one size between two of these faces (minor units): half a decade."""

DAYS_LATE_CAP = 365
"""Days late and early beyond this tell nothing more."""


class Prior(NamedTuple):
    """Average behaviour that a share is mixed with: imagined invoices, and how many in a thousand hit."""

    rows: int
    permille: int


LATE_PRIOR = Prior(rows=5, permille=300)
SLOW_PRIOR = Prior(rows=5, permille=40)
SERIOUS_PRIOR = Prior(rows=20, permille=20)

NAMES: tuple[str, ...] = (
    "face_minor",
    "tenor_days",
    "due_weekday",
    "due_month_day",
    "issue_weekday",
    "payer_issued_count",
    "payer_settled_count",
    "payer_relation_days",
    "payer_gap_days",
    "payer_issued_30d",
    "face_to_payer_mean",
    "payer_late_share",
    "payer_serious_share",
    "payer_slow_share",
    "payer_late_share_90d",
    "payer_serious_share_90d",
    "payer_days_late_mean",
    "payer_days_late_positive_mean",
    "payer_days_late_spread",
    "payer_days_late_max",
    "payer_days_late_last_1",
    "payer_days_late_last_3",
    "payer_days_late_last_10",
    "payer_days_late_last_30",
    "payer_late_share_last_10",
    "payer_slow_share_last_10",
    "payer_serious_share_last_30",
    "payer_days_late_trend",
    "payer_face_days_late_mean",
    "payer_matured_count",
    "payer_serious_count",
    "payer_open_count",
    "payer_open_face_minor",
    "payer_overdue_count",
    "payer_overdue_face_minor",
    "payer_overdue_share",
    "payer_overdue_oldest_days",
    "payer_serious_open_count",
    *(f"payer_open_over_{days}_{what}" for days in ARREARS_DAYS for what in ("count", "face_minor", "share")),
    "seller_late_share",
    "seller_serious_share",
    "pair_settled_count",
    "pair_late_share",
    "pair_serious_share",
    "pair_days_late_mean",
    "same_tenor_late_share",
    "same_tenor_serious_share",
    "same_tenor_days_late_mean",
    "same_weekday_late_share",
    "same_weekday_days_late_mean",
    "payer_size_late_share",
    "payer_size_serious_share",
    "seller_size_late_share",
    "seller_size_serious_share",
)


@dataclass(frozen=True)
class _Side:
    """The columns of one table (history or asked) that groups are made of."""

    payer: Int64s
    seller: Int64s
    pair: Int64s
    payer_tenor: Int64s
    payer_weekday: Int64s
    payer_size: Int64s
    seller_size: Int64s


@dataclass(frozen=True)
class _Outcomes:
    """History rows as integers: how late each was, and when each step became known."""

    issue: Int64s
    due: Int64s
    known: Int64s
    settled: Bools
    days_late: Int64s
    face: Int64s


def build(history: Trades, *, asked: Trades) -> Floats:
    """Return the (n_asked, len(NAMES)) features as of each asked row's issue day; NaN means not known.

    Neither the outcomes of `asked` nor the order of `history` matter. Asked rows may be part of the history.
    """
    order = np.lexsort((asked.issue_day, asked.obligor))
    sorted_asked = asked.take(order)
    in_order = history.take(np.lexsort((history.issue_day, history.obligor)))  # nearly every timeline's own
    past, now = _groups(in_order, asked=sorted_asked)
    outcomes = _outcomes(in_order)
    day = sorted_asked.issue_day.astype(np.int64)
    columns = _own(sorted_asked)
    columns |= _relation(outcomes, past=past, now=now, day=day, face=sorted_asked.face_minor)
    columns |= _settlements(outcomes, past=past, now=now, day=day)
    columns |= _maturity(outcomes, past=past, now=now, day=day)
    columns |= _open_book(outcomes, past=past, now=now, day=day)
    columns |= _circles(outcomes, past=past, now=now, day=day)
    columns |= _sizes(outcomes, past=past, now=now, day=day)
    matrix = np.empty((len(asked), len(NAMES)), dtype=np.float64)
    for at, name in enumerate(NAMES):
        matrix[order, at] = columns[name]
    return matrix


def _groups(history: Trades, *, asked: Trades) -> tuple[_Side, _Side]:
    """Number payers, sellers, pairs and payer habits consistently over both tables."""
    split = len(history)
    _, payer = np.unique(np.concatenate((history.obligor, asked.obligor)), return_inverse=True)
    sellers, seller = np.unique(np.concatenate((history.seller, asked.seller)), return_inverse=True)
    tenors = [(table.due_day - table.issue_day).astype(np.int64) for table in (history, asked)]
    spans, tenor = np.unique(np.concatenate(tenors), return_inverse=True)
    weekday = _weekday(np.concatenate((history.due_day, asked.due_day)).astype(np.int64))
    size = np.searchsorted(SIZE_STEPS, np.concatenate((history.face_minor, asked.face_minor)), side="right")
    columns = (
        payer, seller, payer * len(sellers) + seller, payer * len(spans) + tenor, payer * 7 + weekday,
        payer * (len(SIZE_STEPS) + 1) + size, seller * (len(SIZE_STEPS) + 1) + size,
    )  # fmt: skip
    return _Side(*(column[:split] for column in columns)), _Side(*(column[split:] for column in columns))


def _outcomes(history: Trades) -> _Outcomes:
    """Return the history's outcomes as int64; open rows are known on a day beyond any question."""
    settled = ~history.is_open
    due = history.due_day.astype(np.int64)
    late = np.where(settled, history.settled_day.astype(np.int64) - due, 0)
    return _Outcomes(
        issue=history.issue_day.astype(np.int64),
        due=due,
        known=np.where(settled, history.known_day.astype(np.int64), MAX_DAY + 1),
        settled=settled,
        days_late=np.clip(late, -DAYS_LATE_CAP, DAYS_LATE_CAP),
        face=history.face_minor,
    )


def _weekday(day: Int64s) -> Int64s:
    """Return Monday = 0 .. Sunday = 6; 1970-01-01 was a Thursday."""
    return (day + 3) % 7


def _own(asked: Trades) -> dict[str, NDArray[np.generic]]:
    """Return what the trade itself says."""
    due = asked.due_day.astype(np.int64)
    dates = due.astype("datetime64[D]")
    return {
        "face_minor": asked.face_minor,
        "tenor_days": asked.due_day - asked.issue_day,
        "due_weekday": _weekday(due),
        "due_month_day": (dates - dates.astype("datetime64[M]")).astype(np.int64) + 1,
        "issue_weekday": _weekday(asked.issue_day.astype(np.int64)),
    }


def _ratio(top: Int64s, *, bottom: Int64s) -> Floats:
    """Return top / bottom, NaN where bottom is zero."""
    ratio = np.full(len(top), np.nan)
    np.divide(top, bottom, out=ratio, where=bottom != 0)
    return ratio


def _share(hits: Int64s, *, rows: Int64s, prior: Prior) -> Floats:
    """Return hits / rows mixed with the prior; NaN without any row."""
    mixed = _ratio(hits * 1000 + prior.rows * prior.permille, bottom=(rows + prior.rows) * 1000)
    return np.asarray(np.where(rows > 0, mixed, np.nan), dtype=np.float64)


def _relation(o: _Outcomes, *, past: _Side, now: _Side, day: Int64s, face: Int64s) -> dict[str, Floats | Int64s]:
    """Return how long, how often and in what sizes the payer has bought."""
    line = Timeline(past.payer, day=o.issue, face=o.face)
    all_past = line.before(now.payer, day=day)
    first, last = line.edge_days(all_past)
    known = all_past.count > 0
    return {
        "payer_issued_count": all_past.count,
        "payer_relation_days": np.where(known, day - first, np.nan),
        "payer_gap_days": np.where(known, day - last, np.nan),
        "payer_issued_30d": line.before(now.payer, day=day, window_days=30).count,
        "face_to_payer_mean": _ratio(face, bottom=line.total("face", past=all_past)) * all_past.count,
    }


def _settled_line(o: _Outcomes, *, group: Int64s) -> Timeline:
    """Return the settlements of a grouping, in the order in which they became known."""
    kept = o.settled
    late = o.days_late[kept]
    return Timeline(
        group[kept], day=o.known[kept], by="late", late=late,
        face_late=np.maximum(late, 0) * o.face[kept] // DAYS_LATE_CAP, face=o.face[kept],
        positive=np.maximum(late, 0), square=late * late,
    )  # fmt: skip


def _settlements(o: _Outcomes, *, past: _Side, now: _Side, day: Int64s) -> dict[str, Floats | Int64s]:
    """Return how late (days, negative: early) the payer settled: average, worst, spread, newest, trend."""
    line = _settled_line(o, group=past.payer)
    all_past = line.before(now.payer, day=day)
    count = all_past.count

    def mean(name: str, part: Past) -> Floats:
        return _ratio(line.total(name, past=part), bottom=part.count)

    late = line.total("late", past=all_past)
    newest = {k: all_past.newest(k) for k in (1, 3, 10, 30)}
    columns: dict[str, Floats | Int64s] = {
        f"payer_days_late_last_{k}": mean("late", part) for k, part in newest.items()
    }
    return columns | {
        "payer_settled_count": count,
        "payer_days_late_mean": mean("late", all_past),
        "payer_days_late_positive_mean": mean("positive", all_past),
        "payer_days_late_spread": _ratio(
            count * line.total("square", past=all_past) - late * late, bottom=count * np.maximum(count - 1, 0)
        ),
        "payer_days_late_max": np.where(count > 0, line.largest("late", past=all_past), np.nan),
        "payer_days_late_trend": mean("late", newest[3]) - mean("late", all_past),
        "payer_face_days_late_mean": _ratio(
            line.total("face_late", past=all_past), bottom=line.total("face", past=all_past)
        ),
    }


def _maturity(o: _Outcomes, *, past: _Side, now: _Side, day: Int64s) -> dict[str, Floats | Int64s]:
    """Return shares late, slow and seriously late of invoices whose day of judgement has passed."""
    columns: dict[str, Floats | Int64s] = {}
    graces = (
        ("late", 0, LATE_PRIOR),
        ("slow", SLOW_DAYS, SLOW_PRIOR),
        ("serious", SERIOUS_DAYS, SERIOUS_PRIOR),
    )
    for name, grace, prior in graces:
        missed = (o.known > o.due + grace).astype(np.int64)
        line = Timeline(past.payer, day=np.minimum(o.due + grace, MAX_DAY + 1), by="missed", missed=missed)
        all_past = line.before(now.payer, day=day)
        hits = line.total("missed", past=all_past)
        newest_90d = line.before(now.payer, day=day, window_days=90)
        hits_90d = line.total("missed", past=newest_90d)
        columns[f"payer_{name}_share"] = _share(hits, rows=all_past.count, prior=prior)
        columns[f"payer_{name}_share_90d"] = _share(hits_90d, rows=newest_90d.count, prior=prior)
        columns[f"payer_{name}_count"] = hits
        columns["payer_matured_count"] = all_past.count  # the longest grace comes last and stays
        for events in (10, 30):
            newest = all_past.newest(events)
            share = _ratio(line.total("missed", past=newest), bottom=newest.count)
            columns[f"payer_{name}_share_last_{events}"] = share
    return columns


def _open_book(o: _Outcomes, *, past: _Side, now: _Side, day: Int64s) -> dict[str, Floats | Int64s]:
    """Return what the payer owes on the day: open, overdue, seriously overdue, the oldest overdue's days."""
    issued = _count_and_face(o, group=past.payer, at=o.issue, rows=np.ones(len(o.due), np.bool_), now=now, day=day)
    settled = _count_and_face(o, group=past.payer, at=o.known, rows=o.settled, now=now, day=day)
    late = o.known > o.due
    fell = _count_and_face(o, group=past.payer, at=o.due, rows=late, now=now, day=day)
    cured = _count_and_face(o, group=past.payer, at=o.known, rows=late & o.settled, now=now, day=day)
    sunk = {days: _open_over(o, days=days, past=past, now=now, day=day) for days in (*ARREARS_DAYS, SERIOUS_DAYS)}
    running, start = oldest_running(
        past.payer[late], start=o.due[late], end=o.known[late], asked_group=now.payer, asked_day=day
    )
    columns: dict[str, Floats | Int64s] = {}
    for days in ARREARS_DAYS:
        columns[f"payer_open_over_{days}_count"], columns[f"payer_open_over_{days}_face_minor"] = sunk[days]
        columns[f"payer_open_over_{days}_share"] = _ratio(sunk[days][0], bottom=issued[0] - settled[0])
    return columns | {
        "payer_open_count": issued[0] - settled[0],
        "payer_open_face_minor": issued[1] - settled[1],
        "payer_overdue_count": fell[0] - cured[0],
        "payer_overdue_face_minor": fell[1] - cured[1],
        "payer_overdue_share": _ratio(fell[1] - cured[1], bottom=issued[1] - settled[1]),
        "payer_overdue_oldest_days": np.where(running, day - start, 0),
        "payer_serious_open_count": sunk[SERIOUS_DAYS][0],
    }


def _open_over(o: _Outcomes, *, days: int, past: _Side, now: _Side, day: Int64s) -> tuple[Int64s, Int64s]:
    """Return how many open invoices, and how much face, are more than `days` days past due."""
    sunk = o.known > o.due + days
    sank = _count_and_face(o, group=past.payer, at=o.due + days, rows=sunk, now=now, day=day)
    rose = _count_and_face(o, group=past.payer, at=o.known, rows=sunk & o.settled, now=now, day=day)
    return sank[0] - rose[0], sank[1] - rose[1]


def _count_and_face(
    o: _Outcomes, *, group: Int64s, at: Int64s, rows: Bools, now: _Side, day: Int64s
) -> tuple[Int64s, Int64s]:
    """Return how many of the chosen rows, and how much face, had their event before each asked day."""
    line = Timeline(group[rows], day=np.minimum(at[rows], MAX_DAY + 1), face=o.face[rows])
    part = line.before(now.payer, day=day)
    return part.count, line.total("face", past=part)


def _circles(o: _Outcomes, *, past: _Side, now: _Side, day: Int64s) -> dict[str, Floats | Int64s]:
    """Return late shares of the seller, of the pair, and of the payer at this tenor and this due weekday."""
    columns: dict[str, Floats | Int64s] = {}
    circles = (
        ("seller", past.seller, now.seller),
        ("pair", past.pair, now.pair),
        ("same_tenor", past.payer_tenor, now.payer_tenor),
        ("same_weekday", past.payer_weekday, now.payer_weekday),
    )
    for name, then, today in circles:
        late = o.days_late[o.settled]
        line = Timeline(
            then[o.settled], day=o.known[o.settled], late=late,
            hit=(late > 0).astype(np.int64), serious=(late > SERIOUS_DAYS).astype(np.int64),
        )  # fmt: skip
        part = line.before(today, day=day)
        hits, rows = line.total("hit", past=part), part.count
        columns[f"{name}_late_share"] = _share(hits, rows=rows, prior=LATE_PRIOR)
        columns[f"{name}_serious_share"] = _share(line.total("serious", past=part), rows=rows, prior=SERIOUS_PRIOR)
        columns[f"{name}_days_late_mean"] = _ratio(line.total("late", past=part), bottom=rows)
        columns[f"{name}_settled_count"] = rows
    return columns


def _sizes(o: _Outcomes, *, past: _Side, now: _Side, day: Int64s) -> dict[str, Floats | Int64s]:
    """Return shares late and seriously late among invoices of this size: the payer's, and the seller's."""
    columns: dict[str, Floats | Int64s] = {}
    for name, grace, prior in (("late", 0, LATE_PRIOR), ("serious", SERIOUS_DAYS, SERIOUS_PRIOR)):
        missed = (o.known > o.due + grace).astype(np.int64)
        judged = np.minimum(o.due + grace, MAX_DAY + 1)
        for party, then, today in (
            ("payer", past.payer_size, now.payer_size),
            ("seller", past.seller_size, now.seller_size),
        ):
            line = Timeline(then, day=judged, missed=missed)
            part = line.before(today, day=day)
            columns[f"{party}_size_{name}_share"] = _share(
                line.total("missed", past=part), rows=part.count, prior=prior
            )
    return columns
