"""Reads over all stages."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from scoring.grades import NAMES as GRADES

ASSETS = """
    SELECT receivable.asset_id, receivable.product, receivable.currency, receivable.face_minor, receivable.issue_date,
           receivable.due_date, receivable.recourse, receivable.originator_id,
           confirmation.outcome AS confirmation, confirmation.grade AS confirmation_grade,
           decision.grade, decision.pd_ppm, decision.late_ppm, decision.expected_loss_ppm, decision.reasons,
           decision.model_version, claim.state AS claim, claim.outstanding_minor, claim.pool_id,
           CASE WHEN claim.state IN ('assigned', 'closed') THEN pool.funder_id END AS holder,
           performance.kind AS performance
    FROM receivable
    LEFT JOIN confirmation ON confirmation.asset_id = receivable.asset_id
    LEFT JOIN decision ON decision.asset_id = receivable.asset_id
    LEFT JOIN claim ON claim.asset_id = receivable.asset_id
    LEFT JOIN pool ON pool.pool_id = claim.pool_id
    LEFT JOIN LATERAL (
        SELECT kind FROM servicing_fact
        WHERE servicing_fact.asset_id = receivable.asset_id AND days_past_due > 0
        ORDER BY business_date DESC LIMIT 1
    ) AS performance ON true
"""


def assets(session: Session, *, caller: Caller, after: str | None, limit: int) -> list[dict[str, Any]]:
    """The assets a caller may see, by id."""
    query = text(
        f"{ASSETS} WHERE {_visible(caller)} AND (cast(:after AS text) IS NULL OR receivable.asset_id > :after) "
        "ORDER BY receivable.asset_id LIMIT :limit"
    )
    rows = session.execute(query, {"party": caller.party_id, "after": after, "limit": limit}).mappings()
    return [_shown(dict(row), caller) for row in rows]


def asset(session: Session, *, caller: Caller, asset_id: str) -> dict[str, Any] | None:
    """One asset, if the caller may see it."""
    query = text(f"{ASSETS} WHERE receivable.asset_id = :id AND {_visible(caller)}")
    row = session.execute(query, {"id": asset_id, "party": caller.party_id}).mappings().first()
    return None if row is None else _shown(dict(row), caller)


def positions(session: Session, *, funder_id: str) -> list[dict[str, Any]]:
    """What a funder holds now, by currency and pool."""
    query = text("""
        SELECT pool.currency, pool.pool_id, pool.mandate_id, count(*) AS asset_count,
               sum(claim.outstanding_minor)::bigint AS outstanding_minor,
               sum(pool_asset.price_minor)::bigint AS price_minor,
               sum(pool_asset.price_minor + pool_asset.discount_minor - collected_minor)::bigint AS due_minor
        FROM claim
        JOIN pool ON pool.pool_id = claim.pool_id
        JOIN pool_asset ON pool_asset.pool_id = claim.pool_id AND pool_asset.asset_id = claim.asset_id
        WHERE claim.state = 'assigned' AND pool.funder_id = :funder_id
        GROUP BY pool.currency, pool.pool_id, pool.mandate_id ORDER BY pool.currency, pool.pool_id
    """)
    return [dict(row) for row in session.execute(query, {"funder_id": funder_id}).mappings()]


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
        return "pool.funder_id = :party"
    return "cast(:party AS text) IS NULL"


def _shown(row: dict[str, Any], caller: Caller) -> dict[str, Any]:
    row["grade"] = None if row["grade"] is None else GRADES[row["grade"]]
    row["state"] = _state(row)
    if caller.role is Role.PLATFORM:
        row["holder"] = row["pool_id"] = None
    return row


def _state(row: dict[str, Any]) -> str:
    """The asset's title document: submitted, void, confirmed, extinguished."""
    if row["confirmation"] is None:
        return "submitted"
    if row["confirmation"] == "refused":
        return "void"
    return "extinguished" if row["claim"] == "closed" else "confirmed"
