"""Offers, as their funders see them."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.pools.queries import as_rows, priced_schedules
from scoring.grades import NAMES as GRADES

OFFERS = """
    SELECT offer.offer_id, offer.pool_id, pool.mandate_id, pool.mandate_version, pool.currency, offer.made_at,
           offer.valid_until, coalesce(offer.outcome, 'open') AS state, offer.purchased_on,
           offered.asset_count, offered.face_minor, offered.price_minor
    FROM offer
    JOIN pool ON pool.pool_id = offer.pool_id
    JOIN LATERAL (
        SELECT count(*) AS asset_count, sum(face_minor)::bigint AS face_minor, sum(price_minor)::bigint AS price_minor
        FROM pool_asset WHERE pool_asset.pool_id = offer.pool_id
    ) AS offered ON true
    WHERE offer.funder_id = :funder_id
"""


def offers(
    session: Session, *, funder_id: str, state: str | None, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """A funder's offers, oldest first."""
    query = text(
        f"{OFFERS} AND (cast(:state AS text) IS NULL OR coalesce(offer.outcome, 'open') = :state) "
        "AND (cast(:after AS text) IS NULL OR offer.offer_id > :after) ORDER BY offer.offer_id LIMIT :limit"
    )
    rows = session.execute(query, {"funder_id": funder_id, "state": state, "after": after, "limit": limit})
    return [dict(row) for row in rows.mappings()]


def offer(session: Session, *, funder_id: str, offer_id: str) -> dict[str, Any] | None:
    """One offer with its assets."""
    query = text(f"{OFFERS} AND offer.offer_id = :offer_id")
    row = session.execute(query, {"funder_id": funder_id, "offer_id": offer_id}).mappings().first()
    return None if row is None else dict(row) | {"assets": _assets(session, pool_id=row["pool_id"])}


def _assets(session: Session, *, pool_id: str) -> list[dict[str, Any]]:
    query = text("""
        SELECT pool_asset.asset_id, pool_asset.face_minor, price_minor, discount_minor, holdback_minor, rate_bps,
               receivable.product, claim.due_date, receivable.recourse, decision.grade, decision.pd_ppm
        FROM pool_asset
        JOIN claim ON claim.asset_id = pool_asset.asset_id
        JOIN receivable ON receivable.asset_id = claim.root_id
        JOIN decision ON decision.asset_id = claim.root_id
        WHERE pool_asset.pool_id = :pool_id ORDER BY pool_asset.asset_id
    """)
    rows = session.execute(query, {"pool_id": pool_id}).mappings().all()
    schedules = priced_schedules(session, pool_id=pool_id)
    return [
        dict(row) | {"grade": GRADES[row["grade"]], "instalments": as_rows(schedules.get(row["asset_id"], ()))}
        for row in rows
    ]
