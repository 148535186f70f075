"""Reads of the first page: aggregates, and the last few of each kind."""

from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from exchange import books
from exchange.callbacks.queries import LastDelivery, last_deliveries
from exchange.currencies import commodity
from exchange.risk.rules import LATE_DAYS
from ledger.books import balances
from scoring.grades import NAMES as GRADES

Rows = list[dict[str, Any]]

STATES = {
    "submitted": "entered; its obligor is not asked yet",
    "awaiting_approval": "waiting for the originator's second client",
    "awaiting_confirmation": "waiting for the obligor's answer",
    "void": "refused by the obligor, or declined by the originator",
    "free": "confirmed, free to be offered",
    "reserved": "in an open offer",
    "committed": "in an accepted offer",
    "assigned": "held by a funder",
    "split": "split: its parts stand for it",
    "closed": "extinguished: nothing is owed any more",
}
AGES = ("not due", "1–15", "16–30", "31–60", "61–90", "over 90")  # noqa: RUF001 - the en dash of ranges

# The state of a receivable, joined to its confirmation, approval and claim.
STATE = """
    CASE WHEN confirmation.outcome = 'refused' OR approval.outcome = 'declined' THEN 'void'
         WHEN claim.state IS NOT NULL THEN claim.state
         WHEN approval.asset_id IS NOT NULL AND approval.outcome IS NULL THEN 'awaiting_approval'
         WHEN confirmation.asset_id IS NULL AND EXISTS (
             SELECT FROM requested_answer WHERE requested_answer.asset_id = {receivable}.asset_id
         ) THEN 'awaiting_confirmation'
         ELSE 'submitted' END AS state
"""

BY_STATE = f"""
    SELECT receivable.currency, {STATE.format(receivable="receivable")},
           count(*) AS assets,
           sum(coalesce(claim.face_minor, confirmation.face_minor, receivable.face_minor))::bigint AS face_minor,
           sum(claim.outstanding_minor)::bigint AS outstanding_minor
    FROM receivable
    LEFT JOIN confirmation ON confirmation.asset_id = receivable.asset_id
    LEFT JOIN approval ON approval.asset_id = receivable.asset_id
    LEFT JOIN claim ON claim.root_id = receivable.asset_id
    GROUP BY 1, 2
"""  # noqa: S608 - constants of ours

BY_GRADE = """
    SELECT decision.grade, count(*) AS assets, count(bought.asset_id) AS financed,
           round(avg(decision.pd_ppm))::int AS pd_ppm,
           count(*) FILTER (WHERE trade.due_day + :late_days < :today) AS matured,
           count(*) FILTER (WHERE trade.due_day + :late_days < :today
                              AND trade.settled_day > trade.due_day + :late_days) AS serious
    FROM decision
    JOIN trade ON trade.trade_id = decision.asset_id
    LEFT JOIN pool_asset AS bought ON bought.asset_id = decision.asset_id AND bought.bought_on IS NOT NULL
    GROUP BY 1 ORDER BY 1
"""

AGEING = """
    SELECT currency, width_bucket(:day - due_date, ARRAY[1, 16, 31, 61, 91]) AS age,
           count(*) AS assets, sum(outstanding_minor)::bigint AS outstanding_minor
    FROM claim WHERE outstanding_minor > 0 GROUP BY 1, 2
"""

# An asset is `floor` days past due or more from the day it enters to the day it is paid in full. Days are counted
# in periods back from today, so that a sum of deltas over the periods before gives the face at the end of each.
MOVEMENTS = """
    WITH life AS (
        SELECT claim.currency, claim.face_minor, trade.due_day, trade.settled_day,
               (claim.listed_at AT TIME ZONE :zone)::date - DATE '1970-01-01' AS listed_day
        FROM claim JOIN trade ON trade.trade_id = claim.asset_id
    )
    SELECT life.currency, level.floor, (:today - delta.day) / :period_days AS periods_ago,
           sum(delta.face_minor)::bigint AS face_minor
    FROM life
    CROSS JOIN (VALUES (-100000), (1), (31), (91)) AS level(floor)
    CROSS JOIN LATERAL (
        VALUES (greatest(listed_day, due_day + level.floor), life.face_minor), (settled_day, -life.face_minor)
    ) AS delta(day, face_minor)
    WHERE greatest(listed_day, due_day + level.floor) < settled_day AND delta.day <= :today
    GROUP BY 1, 2, 3
"""

VOLUME = """
    SELECT claim.currency, (:today - ((listed_at AT TIME ZONE :zone)::date - DATE '1970-01-01')) / :period_days
               AS periods_ago,
           coalesce(sum(claim.face_minor) FILTER (WHERE bought.asset_id IS NOT NULL), 0)::bigint AS financed_minor,
           coalesce(sum(claim.face_minor) FILTER (WHERE bought.asset_id IS NULL), 0)::bigint AS other_minor
    FROM claim
    LEFT JOIN pool_asset AS bought ON bought.asset_id = claim.asset_id AND bought.bought_on IS NOT NULL
    WHERE claim.state <> 'split'
    GROUP BY 1, 2
"""

FIRST_DAY = "SELECT min((listed_at AT TIME ZONE :zone)::date) FROM claim"

POOLS = """
    SELECT pool.pool_id, pool.created_at, pool.currency, funder.name AS holder, mandate.name AS mandate,
           coalesce(offer.outcome, 'open') AS outcome, offer.purchased_on, inside.*
    FROM (SELECT * FROM pool ORDER BY pool_id DESC LIMIT :limit) AS pool
    JOIN funder ON funder.funder_id = pool.funder_id
    JOIN mandate ON mandate.mandate_id = pool.mandate_id AND mandate.version = pool.mandate_version
    LEFT JOIN offer ON offer.pool_id = pool.pool_id
    CROSS JOIN LATERAL (
        SELECT count(*) AS assets, count(*) FILTER (WHERE bought_on IS NOT NULL) AS bought,
               count(*) FILTER (WHERE released_at IS NULL) AS live,
               coalesce(sum(face_minor), 0)::bigint AS face_minor,
               coalesce(sum(price_minor), 0)::bigint AS price_minor,
               coalesce(sum(collected_minor), 0)::bigint AS collected_minor
        FROM pool_asset WHERE pool_asset.pool_id = pool.pool_id
    ) AS inside
    ORDER BY pool.pool_id DESC
"""

ROUNDS = """
    SELECT round_id, cut_off_at, asset_count, matched_count, matched_face
    FROM clearing_round WHERE matched_count >= :least ORDER BY cut_off_at DESC LIMIT :limit
"""

PAST_DUE = """
    SELECT claim.asset_id, company.name AS obligor, claim.currency, claim.outstanding_minor, claim.due_date,
           :day - claim.due_date AS days_past_due, claim.state, funder.name AS holder
    FROM claim
    JOIN receivable ON receivable.asset_id = claim.root_id
    JOIN company ON company.company_id = receivable.obligor_id
    LEFT JOIN pool ON pool.pool_id = claim.pool_id AND claim.state = 'assigned'
    LEFT JOIN funder ON funder.funder_id = pool.funder_id
    WHERE claim.outstanding_minor > 0 AND claim.due_date < :day
    ORDER BY claim.due_date, claim.asset_id LIMIT :limit
"""

NEWEST = f"""
    SELECT newest.asset_id, company.name AS obligor, newest.currency,
           coalesce(confirmation.face_minor, newest.face_minor) AS face_minor,
           coalesce(confirmation.due_date, newest.due_date) AS due_date, decision.grade,
           {STATE.format(receivable="newest")}
    FROM (SELECT * FROM receivable ORDER BY asset_id DESC LIMIT :limit) AS newest
    JOIN company ON company.company_id = newest.obligor_id
    LEFT JOIN confirmation ON confirmation.asset_id = newest.asset_id
    LEFT JOIN approval ON approval.asset_id = newest.asset_id
    LEFT JOIN claim ON claim.asset_id = newest.asset_id
    LEFT JOIN decision ON decision.asset_id = newest.asset_id
    ORDER BY newest.asset_id DESC
"""  # noqa: S608 - constants of ours

FUNDERS = """
    SELECT funder.funder_id, funder.name, held.currency, held.bought, held.live, held.price_minor,
           held.collected_minor, held.outstanding_minor
    FROM (SELECT * FROM funder ORDER BY funder_id LIMIT :limit) AS funder
    JOIN (
        SELECT pool.funder_id, pool.currency, count(bought_on) AS bought,
               count(*) FILTER (WHERE claim.state = 'assigned' AND claim.pool_id = pool.pool_id) AS live,
               coalesce(sum(price_minor) FILTER (WHERE bought_on IS NOT NULL), 0)::bigint AS price_minor,
               sum(collected_minor)::bigint AS collected_minor,
               coalesce(sum(claim.outstanding_minor)
                   FILTER (WHERE claim.state = 'assigned' AND claim.pool_id = pool.pool_id), 0)::bigint
                   AS outstanding_minor
        FROM pool
        JOIN pool_asset ON pool_asset.pool_id = pool.pool_id
        JOIN claim ON claim.asset_id = pool_asset.asset_id
        GROUP BY 1, 2
    ) AS held ON held.funder_id = funder.funder_id
    ORDER BY funder.funder_id, held.currency
"""

MODEL = """
    SELECT version, recorded_at AS in_force_at, card FROM model_event JOIN scoring_model USING (version)
    WHERE event IN ('promoted', 'restored') ORDER BY number DESC LIMIT 1
"""


def by_state(session: Session) -> Rows:
    """Assets by the state of title and claim, in the order of a life, by currency."""
    order = list(STATES)
    rows = _rows(session, BY_STATE)
    return sorted(rows, key=lambda row: (row["currency"], order.index(row["state"])))


def by_grade(session: Session, *, today: int) -> Rows:
    """Assets by grade: foretold, and for those due over a month ago what came. `today` is days since 1970."""
    rows = _rows(session, BY_GRADE, today=today, late_days=LATE_DAYS)
    return [row | {"grade": GRADES[row["grade"]]} for row in rows]


def ageing(session: Session, *, day: date) -> dict[str, Rows]:
    """What is owed on `day`, by currency, then one row for each of `AGES`."""
    found: dict[str, Rows] = {}
    for row in _rows(session, AGEING + " ORDER BY 1, 2", day=day):
        ages = found.setdefault(row["currency"], [{"assets": 0, "outstanding_minor": 0} for _ in AGES])
        ages[row["age"]] = {"assets": row["assets"], "outstanding_minor": row["outstanding_minor"]}
    return found


def first_day(session: Session, *, zone: str) -> date | None:
    """The day on which the first asset was confirmed."""
    found: date | None = session.execute(text(FIRST_DAY), {"zone": zone}).scalar_one()
    return found


def movements(session: Session, *, today: int, period_days: int, zone: str) -> list[Row[Any]]:
    """Changes of the face alive at each level of lateness: (currency, floor, periods ago, change in minor units)."""
    parameters = {"today": today, "period_days": period_days, "zone": zone}
    return list(session.execute(text(MOVEMENTS), parameters))


def volume(session: Session, *, today: int, period_days: int, zone: str) -> list[Row[Any]]:
    """Face confirmed in each period: (currency, periods ago, financed, not financed)."""
    parameters = {"today": today, "period_days": period_days, "zone": zone}
    return list(session.execute(text(VOLUME), parameters))


def last_pools(session: Session, *, limit: int) -> Rows:
    """The newest pools first, each with its holder and what is in it."""
    return _rows(session, POOLS, limit=limit)


def last_rounds(session: Session, *, limit: int, least: int = 0) -> Rows:
    """The newest rounds first, of those that matched `least` assets or more."""
    return _rows(session, ROUNDS, limit=limit, least=least)


def past_due(session: Session, *, day: date, limit: int) -> Rows:
    """The assets that are unpaid for longest."""
    return _rows(session, PAST_DUE, day=day, limit=limit)


def newest(session: Session, *, limit: int) -> Rows:
    """The receivables that came last."""
    return [_graded(row) for row in _rows(session, NEWEST, limit=limit)]


def funders(session: Session, *, limit: int) -> Rows:
    """Who has bought or was offered what, with its cash in that currency."""
    rows = _rows(session, FUNDERS, limit=limit)
    accounts = {
        (path(row["funder_id"]), commodity(row["currency"]))
        for row in rows
        for path in (books.funder_cash, books.funder_reserved)
    }
    held = balances(session.connection(), accounts=sorted(accounts))
    for row in rows:
        money = commodity(row["currency"])
        row["cash_minor"] = held.get((books.funder_cash(row["funder_id"]), money), 0)
        row["reserved_minor"] = held.get((books.funder_reserved(row["funder_id"]), money), 0)
    return rows


def callbacks(session: Session, *, limit: int) -> Rows:
    """The callbacks delivered last, read for a person."""
    last = last_deliveries(session, limit=limit)
    query = text("SELECT funder_id, name FROM funder WHERE funder_id = ANY(:ids)")
    rows = session.execute(query, {"ids": sorted({one.funder_id for one in last})})
    names: dict[str, str] = {row.funder_id: row.name for row in rows}
    return [_told(one, names[one.funder_id]) for one in last]


def model(session: Session) -> dict[str, Any] | None:
    """The model in force; None while the labelled prior is."""
    rows = _rows(session, MODEL)
    return rows[0] if rows else None


def _told(one: LastDelivery, name: str) -> dict[str, Any]:
    body = msgspec.json.decode(one.body)
    return {
        "funder": name,
        "sequence": one.sequence,
        "event_id": one.event_id,
        "attempts": one.attempts,
        "delivered_at": one.delivered_at,
        "type": body["type"],
        "asset_id": body["data"].get("asset_id"),
        "pool_id": body["data"].get("pool_id"),
        "log_index": body.get("log_index"),
    }


def _graded(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"grade": None if row["grade"] is None else GRADES[row["grade"]]}


def _rows(session: Session, query: str, **parameters: object) -> Rows:
    return [dict(row) for row in session.execute(text(query), parameters).mappings()]
