"""The limit ledger: how much each obligor may owe in each currency, and how much of that is taken.

One row for each obligor and currency is the lock on both. Whoever needs several takes them in the order of (obligor,
currency), so no two can wait for each other.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import numpy as np
import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.db import copy_rows
from exchange.risk import rules
from exchange.risk.facts import day_number
from exchange.risk.rules import ObligorStanding
from exchange.risk.suspensions import suspended
from scoring.facts import Trades
from scoring.model import Scores

Line = tuple[int, str]
"""An obligor's number and a currency: what a limit is for."""


class Asked(NamedTuple):
    """An asset that is being scored."""

    asset_id: str
    obligor: int
    seller: int
    currency: str
    face_minor: int
    issue_date: date
    due_date: date
    originator_id: str


def room_of(session: Session, *, line: Line) -> int:
    """What one obligor's limit leaves free now, in minor units; 0 where it has none, or it is suspended."""
    query = text("SELECT limit_minor - used_minor FROM exposure WHERE obligor = :obligor AND currency = :currency")
    room_minor = session.execute(query, {"obligor": line[0], "currency": line[1]}).scalar_one_or_none() or 0
    return min(room_minor, 0) if suspended(session, obligors=[line[0]]) else room_minor


def lock_room(session: Session, *, lines: Sequence[Line]) -> dict[Line, int]:
    """What each obligor's limit leaves free, in minor units (negative after a cut); locked from here on.

    Of a suspended one nothing is free. That is read once the lock is held: whoever suspends waits for it.
    """
    rooms = {line: row.limit_minor - row.used_minor for line, row in _locked(session, lines).items()}
    barred = suspended(session, obligors=[obligor for obligor, _ in rooms])
    return {line: min(room, 0) if line[0] in barred else room for line, room in rooms.items()}


def use_room(session: Session, *, amounts: Mapping[Line, int]) -> None:
    """Take (positive) or give back (negative) minor units of obligors' limits, in the one order in which all lock."""
    lines = sorted(line for line, amount in amounts.items() if amount)
    if _locked(session, lines).keys() != set(lines):
        raise RuntimeError("a limit to be used was never decided")
    update = text("""
        UPDATE exposure SET used_minor = used_minor + taken.amount
        FROM unnest(cast(:obligors AS bigint[]), cast(:currencies AS text[]), cast(:amounts AS bigint[]))
             AS taken(obligor, currency, amount)
        WHERE exposure.obligor = taken.obligor AND exposure.currency = taken.currency
    """)
    parameters = {
        "obligors": [line[0] for line in lines],
        "currencies": [line[1] for line in lines],
        "amounts": [amounts[line] for line in lines],
    }
    session.execute(update, parameters)


def review(
    session: Session, *, asked: Sequence[Asked], scores: Scores, history: Trades, today: date, now: datetime
) -> None:
    """Decide anew the limit of every obligor among the assets, on the worst of its assets at hand."""
    worst: dict[Line, tuple[int, int, int]] = {}
    for asset, pd_ppm, lgd_bps in zip(asked, scores.pd_ppm.tolist(), scores.lgd_bps.tolist(), strict=True):
        line = (asset.obligor, asset.currency)
        tenor = (asset.due_date - asset.issue_date).days
        before = worst.get(line, (0, 0, 0))
        worst[line] = (max(before[0], pd_ppm), max(before[1], lgd_bps), max(before[2], tenor))
    turnover = _turnover(history, today=today)
    lines = sorted(worst)
    _open_exposures(session, lines, now=now)
    changes = []
    for line, row in _locked(session, lines).items():
        pd_ppm, lgd_bps, tenor_days = worst[line]
        standing = ObligorStanding(
            pd_ppm=pd_ppm,
            lgd_bps=lgd_bps,
            annual_turnover_minor=turnover.get(line[0], 0),
            tenor_days=tenor_days,
            previous_limit_minor=row.limit_minor if row.changes else None,
            days_since_change=(now - row.changed_at).days,
        )
        decided = rules.decide_limit(standing)
        if not row.changes or decided.limit_minor != row.limit_minor:
            changes.append((line, row.changes + 1, decided))
    _change_limits(session, changes, now=now)


def _turnover(history: Trades, *, today: date) -> dict[int, int]:
    """Each obligor's purchases in the year before `today`, in minor units."""
    year = history.take(history.issue_day > day_number(today) - rules.LATEST_DAYS)
    obligors, place = np.unique(year.obligor, return_inverse=True)
    sums = np.zeros(len(obligors), dtype=np.int64)
    np.add.at(sums, place, year.face_minor)
    return dict(zip(obligors.tolist(), sums.tolist(), strict=True))


def _open_exposures(session: Session, lines: Sequence[Line], *, now: datetime) -> None:
    statement = text("""
        INSERT INTO exposure (obligor, currency, used_minor, limit_minor, changes, changed_at)
        SELECT obligor, currency, 0, 0, 0, :now
        FROM unnest(cast(:obligors AS bigint[]), cast(:currencies AS text[])) AS line(obligor, currency)
        ORDER BY obligor, currency
        ON CONFLICT DO NOTHING
    """)
    parameters = {
        "obligors": [line[0] for line in lines],
        "currencies": [line[1] for line in lines],
        "now": now,
    }
    session.execute(statement, parameters)


def _locked(session: Session, lines: Sequence[Line]) -> dict[Line, Any]:
    query = text("""
        SELECT exposure.obligor, exposure.currency, used_minor, limit_minor, changes, changed_at
        FROM exposure
        JOIN unnest(cast(:obligors AS bigint[]), cast(:currencies AS text[])) AS line(obligor, currency)
          ON exposure.obligor = line.obligor AND exposure.currency = line.currency
        ORDER BY exposure.obligor, exposure.currency
        FOR UPDATE OF exposure
    """)
    parameters = {"obligors": [line[0] for line in lines], "currencies": [line[1] for line in lines]}
    return {(row.obligor, row.currency): row for row in session.execute(query, parameters)}


def _change_limits(session: Session, changes: Sequence[tuple[Line, int, Any]], *, now: datetime) -> None:
    if not changes:
        return
    columns = ("obligor", "currency", "change", "limit_minor", "cause", "parts", "decided_at")
    rows = [
        (*line, change, decided.limit_minor, decided.cause, orjson.dumps(decided.parts).decode(), now)
        for line, change, decided in changes
    ]
    copy_rows(session, "obligor_limit", columns, rows)
    update = text("""
        UPDATE exposure SET limit_minor = new.limit_minor, changes = new.change, changed_at = :now
        FROM unnest(cast(:obligors AS bigint[]), cast(:currencies AS text[]), cast(:changes AS int[]),
                    cast(:limits AS bigint[])) AS new(obligor, currency, change, limit_minor)
        WHERE exposure.obligor = new.obligor AND exposure.currency = new.currency
    """)
    parameters = {
        "now": now,
        "obligors": [line[0] for line, _, _ in changes],
        "currencies": [line[1] for line, _, _ in changes],
        "changes": [change for _, change, _ in changes],
        "limits": [decided.limit_minor for _, _, decided in changes],
    }
    session.execute(update, parameters)
