"""The seeded synthetic plastics book: a platform that sells resin on credit, hidden risk and known truth.

About 190 processors buy PP, PE, PVC, ABS and PET from ten distributors. How each really pays is hidden; some
turn and fail. In it are a fraud ring, duplicates in three disguises, honest look-alikes, dilution and
disputes; `hidden` of each row says what is what.
"""

from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random

from exchange.errors import Refusal
from exchange.replay.canonical import json_line
from exchange.replay.rows import ReplayRow
from exchange.replay.synthetic_firms import Obligor, make_firms
from exchange.replay.synthetic_plants import (
    RING_FIRST_DAY,
    RING_VANISHES,
    copies_planned,
    planted_copies,
    ring_rows,
)
from exchange.replay.synthetic_trade import Trade, make_calendar, make_prices

_LEAST_RECEIVABLES, _LEAST_DAYS = 200, 30
_LONGEST_TENOR_DAYS = 180
_LATEST_DAY_COPIED = 14  # days before the end of issue: a copy comes later than its original


class BookTooSmall(Refusal):
    """A book below this size cannot hold what is planted in it."""

    code = "book_too_small"
    title = "The synthetic book would be too small"


def make_book(
    *,
    seed: int,
    receivables: int = 2400,
    start: date,
    days: int = 120,
    history: int = 1800,
    history_days: int = 180,
) -> list[ReplayRow]:
    """Make the book, in order of submission.

    `receivables` of it are submitted in the `days` from `start` (planted ones included; at most 12 days spill
    over) and about `history` were issued in the `history_days` before. The same arguments give the same rows.
    Raises `BookTooSmall`.
    """
    if min(receivables, history) < _LEAST_RECEIVABLES or min(days, history_days) < _LEAST_DAYS:
        raise BookTooSmall(
            f"at least {_LEAST_RECEIVABLES} receivables and {_LEAST_DAYS} days each, live and in history"
        )
    rng = Random(seed)
    firms = make_firms(rng, history_days=history_days, days=days)
    prices = make_prices(rng, days=history_days + days + _LONGEST_TENOR_DAYS)
    trade = Trade(rng, seed, make_calendar(start, history_days=history_days, days=days), prices)
    ring = ring_rows(
        trade,
        firms.ring,
        first_day=max(RING_FIRST_DAY, -history_days),
        vanishes=min(RING_VANISHES, days),
    )
    ring_live = sum(row.issue_date >= start for row in ring)
    honest = receivables - ring_live - copies_planned(receivables)
    past = _orders(trade, firms.obligors, first=-history_days, last=-1, count=history - (len(ring) - ring_live))
    live = _orders(trade, firms.obligors, first=0, last=days - 1, count=honest)
    copied = [row for row in live if (row.issue_date - start).days < days - _LATEST_DAY_COPIED]
    rows = [*past, *live, *ring, *planted_copies(trade, copied, receivables=receivables)]
    rows.sort(key=lambda row: row.submitted_date)  # stable: a copy stays behind its original
    return [replace(row, row_number=number) for number, row in enumerate(rows, start=1)]


def write_book(
    path: Path, *, seed: int, receivables: int = 2400, start: date, days: int = 120, history: int = 1800
) -> None:
    """Write the book as canonical NDJSON, which needs no mapping; the same arguments give the same bytes."""
    rows = make_book(seed=seed, receivables=receivables, start=start, days=days, history=history)
    path.write_bytes(b"".join(map(json_line, rows)))


def _orders(trade: Trade, obligors: tuple[Obligor, ...], *, first: int, last: int, count: int) -> list[ReplayRow]:
    """`count` honest orders from day `first` to `last`, by obligors that are customers by then."""
    ordered = sorted(trade.calendar.draw(trade.rng, first=first, last=last) for _ in range(count))
    rows = []
    for sequence, day in enumerate(ordered, start=1):
        known = [obligor for obligor in obligors if obligor.buys_on(day)]
        obligor = trade.rng.choices(known, weights=[obligor.weight for obligor in known])[0]
        rows.append(trade.order(obligor, sequence=sequence if first >= 0 else sequence + 300_000, day=day))
    return rows
