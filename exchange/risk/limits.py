"""The limit ledger: how much each obligor may owe in each currency, and how much of that is taken.

One row for each obligor and currency is the lock on both. Whoever needs several takes them in the order of (obligor,
currency), so no two can wait for each other.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import numpy as np
import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.db import copy_rows
from exchange.risk import rules
from exchange.risk.facts import day_number
from exchange.risk.rules import ObligorStanding, Policy
from exchange.risk.suspensions import suspended
from scoring.facts import Trades
from scoring.limits import LimitDecision
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


GROUPS = text("""
    SELECT FROM controller WHERE controller_id IN (SELECT controller_id FROM company WHERE number = ANY(:obligors))
    ORDER BY controller_id FOR NO KEY UPDATE
""")
"""Held before any line of a group is opened: two newcomers under one controller wait for each other."""


class Basis(NamedTuple):
    """What limits are decided on: the policy, the model that scored, the trade facts."""

    policy: Policy
    model_version: str
    history: Trades


class Change(NamedTuple):
    """The number of a limit's change, what was decided, what is taken beyond it, the longest term in days."""

    number: int
    decided: LimitDecision
    grandfathered_minor: int
    most_tenor_days: int


class _Worst(NamedTuple):
    pd_ppm: int
    lgd_bps: int
    tenor_days: int
    most_tenor_days: int


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


def use_room(session: Session, *, amounts: Mapping[Line, int], cause: str, now: datetime) -> None:
    """Take (positive) or give back (negative) minor units of obligors' limits, in the one order in which all lock.

    `cause` says why in the limit's history: reserved, released, reduced, repurchased, reversed.
    """
    lines = sorted(line for line, amount in amounts.items() if amount)
    if _locked(session, lines).keys() != set(lines):
        raise RuntimeError("a limit to be used was never decided")
    update = text("""
        WITH used AS (
            UPDATE exposure SET used_minor = used_minor + taken.amount
            FROM unnest(cast(:obligors AS bigint[]), cast(:currencies AS text[]), cast(:amounts AS bigint[]))
                 AS taken(obligor, currency, amount)
            WHERE exposure.obligor = taken.obligor AND exposure.currency = taken.currency
            RETURNING exposure.obligor, exposure.currency, taken.amount, exposure.used_minor
        )
        INSERT INTO limit_use (obligor, currency, amount_minor, used_minor, cause, recorded_at)
        SELECT obligor, currency, amount, used_minor, :cause, :now FROM used ORDER BY obligor, currency
    """)
    parameters = {
        "cause": cause,
        "now": now,
        "obligors": [line[0] for line in lines],
        "currencies": [line[1] for line in lines],
        "amounts": [amounts[line] for line in lines],
    }
    session.execute(update, parameters)


def review(
    session: Session,
    *,
    asked: Sequence[Asked],
    scores: Scores,
    terms: Sequence[int],
    basis: Basis,
    today: date,
    now: datetime,
) -> None:
    """Decide anew the limit of every obligor among the assets, on the worst of its assets at hand.

    `terms` are the longest terms in days that the decisions allow. The rows of everybody under the same controller are
    locked with the obligor's own: together they stay within the group's limit. A term that moved alone is a change too,
    which does not put off the limit's next step up.
    """
    worst = _worst_of(asked, scores=scores, terms=terms)
    turnover = _turnover(basis.history, today=today)
    session.execute(GROUPS, {"obligors": sorted({obligor for obligor, _ in worst})})
    _open_exposures(session, sorted(worst), now=now)
    groups = _groups(session, worst)
    rows = _locked(session, sorted({*worst, *(mate for mates in groups.values() for mate in mates)}))
    limit_minor = {line: row.limit_minor for line, row in rows.items()}
    allowed = _terms(session, worst)
    changes = []
    for line in sorted(worst):
        row, found = rows[line], worst[line]
        mates = groups.get(line)
        standing = ObligorStanding(
            pd_ppm=found.pd_ppm,
            lgd_bps=found.lgd_bps,
            annual_turnover_minor=turnover.get(line[0], 0),
            tenor_days=found.tenor_days,
            previous_limit_minor=row.limit_minor if row.changes else None,
            days_since_change=(now - row.changed_at).days,
            group_minor=None if mates is None else sum(limit_minor.get(mate, 0) for mate in mates),
        )
        decided = rules.decide_limit(standing, policy=basis.policy.terms)
        moved = decided.limit_minor != row.limit_minor or found.most_tenor_days != allowed.get(line)
        if not row.changes or moved:
            limit_minor[line] = decided.limit_minor
            excess_minor = max(row.used_minor - decided.limit_minor, 0)
            changes.append((line, Change(row.changes + 1, decided, excess_minor, found.most_tenor_days)))
    _change_limits(session, changes, basis=basis, now=now)


def _worst_of(asked: Sequence[Asked], *, scores: Scores, terms: Sequence[int]) -> dict[Line, _Worst]:
    """By line what is worst among its assets."""
    worst: dict[Line, _Worst] = {}
    told = zip(asked, scores.pd_ppm.tolist(), scores.lgd_bps.tolist(), terms, strict=True)
    for asset, pd_ppm, lgd_bps, most_days in told:
        line = (asset.obligor, asset.currency)
        tenor = min((asset.due_date - asset.issue_date).days, most_days)
        before = worst.get(line, _Worst(0, 0, 0, most_days))
        worst[line] = _Worst(
            max(before.pd_ppm, pd_ppm), max(before.lgd_bps, lgd_bps), max(before.tenor_days, tenor),
            min(before.most_tenor_days, most_days),
        )  # fmt: skip
    return worst


def _groups(session: Session, lines: Collection[Line]) -> dict[Line, list[Line]]:
    """For each line whose company has a controller with other companies: their lines in that currency."""
    query = text("""
        SELECT own.number, exposure.currency, mate.number
        FROM company AS own
        JOIN company AS mate ON mate.controller_id = own.controller_id AND mate.number <> own.number
        JOIN exposure ON exposure.obligor = mate.number
        WHERE own.number = ANY(:obligors) ORDER BY 1, 2, 3
    """)
    groups: dict[Line, list[Line]] = {}
    for own, currency, mate in session.execute(query, {"obligors": sorted({obligor for obligor, _ in lines})}):
        if (own, currency) in lines:
            groups.setdefault((own, currency), []).append((mate, currency))
    return groups


def _terms(session: Session, lines: Collection[Line]) -> dict[Line, int | None]:
    """The longest term in days as each of these (locked) lines has it."""
    query = text("""
        SELECT DISTINCT ON (obligor, currency) obligor, currency, most_tenor_days FROM obligor_limit
        WHERE obligor = ANY(:obligors) ORDER BY obligor, currency, change DESC
    """)
    rows = session.execute(query, {"obligors": sorted({obligor for obligor, _ in lines})})
    return {(row.obligor, row.currency): row.most_tenor_days for row in rows}


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


def _change_limits(session: Session, changes: Sequence[tuple[Line, Change]], *, basis: Basis, now: datetime) -> None:
    if not changes:
        return
    columns = (
        "obligor", "currency", "change", "limit_minor", "cause", "parts", "decided_at", "grandfathered_minor",
        "most_tenor_days", "model_version", "policy_version",
    )  # fmt: skip
    rows = [
        (
            *line, change.number, change.decided.limit_minor, change.decided.cause,
            orjson.dumps(change.decided.parts).decode(), now, change.grandfathered_minor, change.most_tenor_days,
            basis.model_version, basis.policy.version,
        )
        for line, change in changes
    ]  # fmt: skip
    copy_rows(session, "obligor_limit", columns, rows)
    update = text("""
        UPDATE exposure SET limit_minor = new.limit_minor, changes = new.change,
               changed_at = CASE WHEN exposure.limit_minor = new.limit_minor THEN changed_at ELSE :now END
        FROM unnest(cast(:obligors AS bigint[]), cast(:currencies AS text[]), cast(:changes AS int[]),
                    cast(:limits AS bigint[])) AS new(obligor, currency, change, limit_minor)
        WHERE exposure.obligor = new.obligor AND exposure.currency = new.currency
    """)
    parameters = {
        "now": now,
        "obligors": [line[0] for line, _ in changes],
        "currencies": [line[1] for line, _ in changes],
        "changes": [change.number for _, change in changes],
        "limits": [change.decided.limit_minor for _, change in changes],
    }
    session.execute(update, parameters)
