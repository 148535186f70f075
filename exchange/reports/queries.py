"""Reads over all stages."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.schedules.schedule import Instalment, average_due_date, bullet, open_instalments, total_minor
from scoring.grades import NAMES as GRADES

ASSETS = """
    SELECT known.asset_id, receivable.product, receivable.currency,
           coalesce(claim.face_minor, confirmation.face_minor, receivable.face_minor) AS face_minor,
           receivable.issue_date, coalesce(claim.due_date, confirmation.due_date, receivable.due_date) AS due_date,
           receivable.recourse,
           receivable.originator_id,
           EXISTS (SELECT FROM supersession WHERE supersession.asset_id = receivable.asset_id) AS superseded,
           CASE WHEN approval.asset_id IS NOT NULL THEN coalesce(approval.outcome, 'awaited') END AS approval,
           EXISTS (SELECT FROM requested_answer WHERE requested_answer.asset_id = receivable.asset_id) AS requested,
           confirmation.outcome AS confirmation, confirmation.grade AS confirmation_grade,
           decision.grade, decision.pd_ppm, decision.late_ppm, decision.expected_loss_ppm, decision.reasons,
           decision.model_version, claim.state AS claim, claim.outstanding_minor, claim.pool_id,
           CASE WHEN claim.state IN ('assigned', 'closed') THEN pool.funder_id END AS holder,
           performance.kind AS performance
    FROM (
        SELECT asset_id, asset_id AS root_id FROM receivable
        UNION ALL SELECT asset_id, root_id FROM claim WHERE parent_id IS NOT NULL
    ) AS known
    JOIN receivable ON receivable.asset_id = known.root_id
    LEFT JOIN confirmation ON confirmation.asset_id = receivable.asset_id
    LEFT JOIN approval ON approval.asset_id = receivable.asset_id
    LEFT JOIN decision ON decision.asset_id = receivable.asset_id
    LEFT JOIN claim ON claim.asset_id = known.asset_id
    LEFT JOIN pool ON pool.pool_id = claim.pool_id
    LEFT JOIN LATERAL (
        SELECT kind FROM servicing_fact
        LEFT JOIN servicing_withdrawal AS untrue USING (asset_id, business_date, kind, revision)
        WHERE servicing_fact.asset_id = known.asset_id AND kind NOT LIKE 'reminder%' AND untrue.asset_id IS NULL
        ORDER BY business_date DESC, kind LIMIT 1
    ) AS performance ON true
"""

PART_OF_PARTY = """
    EXISTS (
        WITH RECURSIVE below AS (
            SELECT part.asset_id, part.root_id, part.pool_id, part.state FROM claim AS part
            WHERE part.root_id = claim.root_id AND part.parent_id = claim.asset_id
            UNION ALL
            SELECT part.asset_id, part.root_id, part.pool_id, part.state FROM below
            JOIN claim AS part ON part.root_id = below.root_id AND part.parent_id = below.asset_id
        )
        SELECT FROM below JOIN pool AS own ON own.pool_id = below.pool_id
        WHERE own.funder_id = :party AND below.state IN ('assigned', 'closed')
    )
"""
"""Whether a part of `claim` itself, or of its parts, is the party's; a sibling's parts are others' business."""


def assets(session: Session, *, caller: Caller, after: str | None, limit: int) -> list[dict[str, Any]]:
    """The assets a caller may see, by id."""
    query = text(
        f"{ASSETS} WHERE {_visible(caller)} AND (cast(:after AS text) IS NULL OR known.asset_id > :after) "
        "ORDER BY known.asset_id LIMIT :limit"
    )
    rows = session.execute(query, {"party": caller.party_id, "after": after, "limit": limit}).mappings()
    return [_shown(dict(row), caller) for row in rows]


def asset(session: Session, *, caller: Caller, asset_id: str) -> dict[str, Any] | None:
    """One asset, if the caller may see it."""
    query = text(f"{ASSETS} WHERE known.asset_id = :id AND {_visible(caller)}")
    row = session.execute(query, {"id": asset_id, "party": caller.party_id}).mappings().first()
    return None if row is None else _shown(dict(row), caller)


def positions(session: Session, *, funder_id: str) -> list[dict[str, Any]]:
    """What a funder holds now, by currency and pool."""
    query = text("""
        SELECT pool.currency, pool.pool_id, pool.mandate_id, count(*) AS asset_count,
               sum(claim.outstanding_minor)::bigint AS outstanding_minor,
               sum(pool_asset.price_minor)::bigint AS price_minor,
               sum(pool_asset.price_minor + pool_asset.discount_minor - collected_minor - written_off_minor)::bigint
                   AS due_minor
        FROM claim
        JOIN pool ON pool.pool_id = claim.pool_id
        JOIN pool_asset ON pool_asset.pool_id = claim.pool_id AND pool_asset.asset_id = claim.asset_id
        WHERE claim.state = 'assigned' AND pool.funder_id = :funder_id
        GROUP BY pool.currency, pool.pool_id, pool.mandate_id ORDER BY pool.currency, pool.pool_id
    """)
    return [dict(row) for row in session.execute(query, {"funder_id": funder_id}).mappings()]


def schedule(session: Session, *, asset: dict[str, Any]) -> dict[str, Any]:
    """What of an asset falls due when: its instalments in force, or as submitted before it is listed."""
    query = text("""
        SELECT coalesce(claim.schedule_version, 1) AS version,
               coalesce(claim.due_date, :due_date) AS due_date, number, plan.due_date AS planned, plan.amount_minor
        FROM (SELECT cast(:id AS text) AS asset_id) AS asked
        LEFT JOIN claim ON claim.asset_id = asked.asset_id
        LEFT JOIN LATERAL (
            SELECT number, instalment.due_date, amount_minor FROM instalment
            WHERE instalment.asset_id = claim.asset_id AND instalment.version = claim.schedule_version
            UNION ALL
            SELECT number, stated.due_date, stated.amount_minor
            FROM receivable, ROWS FROM (jsonb_to_recordset(schedule) AS (due_date date, amount_minor bigint))
                WITH ORDINALITY AS stated (due_date, amount_minor, number)
            WHERE receivable.asset_id = asked.asset_id AND claim.asset_id IS NULL
        ) AS plan ON true
        ORDER BY number
    """)
    rows = session.execute(query, {"id": asset["asset_id"], "due_date": asset["due_date"]}).all()
    due = rows[0].due_date
    whole = tuple(Instalment(row.number, row.planned, row.amount_minor) for row in rows if row.number is not None)
    whole = whole or bullet(due, amount_minor=asset["face_minor"])
    owed_minor = asset["outstanding_minor"]
    paid_minor = 0 if owed_minor is None else total_minor(whole) - owed_minor
    still = {one.number: one.amount_minor for one in open_instalments(whole, paid_minor=paid_minor)}
    return {
        "asset_id": asset["asset_id"],
        "version": rows[0].version,
        "average_due_date": average_due_date(whole),
        "instalments": [one._asdict() | {"open_minor": still.get(one.number, 0)} for one in whole],
    }


def holds_part(session: Session, *, funder_id: str, asset_id: str) -> bool:
    """Whether a funder holds a part of an asset that was split: it may see what its part came from."""
    query = text(f"""
        SELECT EXISTS (SELECT FROM claim WHERE asset_id = :id AND state = 'split' AND {PART_OF_PARTY} )
    """)  # noqa: S608 - a constant of ours
    return bool(session.execute(query, {"id": asset_id, "party": funder_id}).scalar_one())


def sees_disclosures(asset: dict[str, Any], caller: Caller) -> bool:
    """Whether the caller may see who owes an asset: its holder and originator, not one to whom it is offered."""
    if caller.role is Role.FUNDER:
        return bool(asset["holder"] == caller.party_id)
    return caller.role in {Role.PLATFORM, Role.OPERATOR}


def _visible(caller: Caller) -> str:
    """The condition that keeps others' assets out of sight."""
    if caller.role is Role.PLATFORM:
        return "receivable.originator_id = :party"
    if caller.role is Role.FUNDER:
        return f"(pool.funder_id = :party OR (claim.state = 'split' AND {PART_OF_PARTY}))"
    return "cast(:party AS text) IS NULL"


def _shown(row: dict[str, Any], caller: Caller) -> dict[str, Any]:
    row["grade"] = None if row["grade"] is None else GRADES[row["grade"]]
    row["state"] = _state(row, approval=row.pop("approval"), requested=row.pop("requested"))
    if row.pop("superseded"):
        row["state"] = "void"
    if caller.role is Role.PLATFORM:
        row["holder"] = row["pool_id"] = None
    return row


def _state(row: dict[str, Any], *, approval: str | None, requested: bool) -> str:
    """The asset's title document: submitted, awaiting approval or confirmation, void, confirmed, extinguished."""
    if approval == "declined" or row["confirmation"] == "refused":
        return "void"
    if row["confirmation"] is not None:
        return "extinguished" if row["claim"] == "closed" else "confirmed"
    if approval == "awaited":
        return "awaiting_approval"
    return "awaiting_confirmation" if requested else "submitted"
