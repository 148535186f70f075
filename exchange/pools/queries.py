"""Reads for the matcher and for funders."""

from typing import Any

import msgspec
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from exchange.books import funder_cash
from exchange.currencies import commodity
from exchange.pools.models import Mandate
from exchange.pools.rules import Candidate, FreeAsset, Terms, Usage
from ledger.books import balances

ASSETS = """
    SELECT claim.asset_id, obligor.number, seller.number, receivable.product, claim.currency, claim.outstanding_minor,
           claim.due_date, receivable.recourse, confirmation.grade, decision.pd_ppm, decision.grade,
           coalesce(obligor.controller_id IN (seller.controller_id, holder.controller_id), false)
    FROM claim
    JOIN receivable ON receivable.asset_id = claim.root_id
    JOIN company AS obligor ON obligor.company_id = receivable.obligor_id
    JOIN company AS seller ON seller.company_id = receivable.seller_id
    JOIN company AS holder ON holder.company_id = claim.holder_id
    JOIN confirmation ON confirmation.asset_id = claim.root_id
    JOIN decision ON decision.asset_id = claim.root_id
"""


def free_assets(session: Session) -> list[FreeAsset]:
    """Every free asset that nobody else has a right in, locked until the transaction ends."""
    query = text(
        f"{ASSETS} WHERE claim.state = 'free' AND encumbered_minor = 0 "
        "ORDER BY claim.root_id, claim.asset_id FOR UPDATE OF claim"
    )
    return [FreeAsset(*row) for row in session.execute(query)]


def asset(session: Session, *, asset_id: str) -> FreeAsset | None:
    """One listed asset, whatever its state."""
    row = session.execute(text(f"{ASSETS} WHERE claim.asset_id = :id"), {"id": asset_id}).first()
    return FreeAsset(*row) if row else None


def is_free(session: Session, *, asset_id: str) -> bool:
    """Whether a listed asset is its holder's to be offered: only such assets are in a round."""
    query = text("SELECT state = 'free' AND encumbered_minor = 0 FROM claim WHERE asset_id = :id")
    return bool(session.execute(query, {"id": asset_id}).scalar_one())


def mandates(session: Session, *, funder_id: str | None = None) -> list[Mandate]:
    """The version in force of each mandate, of one funder or of all."""
    query = select(Mandate).ext(distinct_on(Mandate.mandate_id)).order_by(Mandate.mandate_id, Mandate.version.desc())
    if funder_id is not None:
        query = query.where(Mandate.funder_id == funder_id)
    return list(session.execute(query).scalars())


def candidates(session: Session, *, funder_id: str | None = None) -> list[Candidate]:
    """Every mandate in force with what it has taken up and what its funder's cash pays for."""
    in_force = mandates(session, funder_id=funder_id)
    terms = {mandate.mandate_id: msgspec.convert(mandate.terms, Terms) for mandate in in_force}
    wanted = {
        mandate.mandate_id: (funder_cash(mandate.funder_id), commodity(terms[mandate.mandate_id].currency))
        for mandate in in_force
    }
    cash = balances(session.connection(), accounts=sorted(set(wanted.values())))
    found = [
        Candidate(
            mandate_id=mandate.mandate_id,
            version=mandate.version,
            funder_id=mandate.funder_id,
            terms=terms[mandate.mandate_id],
            usage=Usage(cash_minor=cash.get(wanted[mandate.mandate_id], 0)),
        )
        for mandate in in_force
    ]
    _add_usage(session, {candidate.mandate_id: candidate.usage for candidate in found})
    return found


def _add_usage(session: Session, usages: dict[str, Usage]) -> None:
    """Count what is offered to, committed by and held under each mandate, in price."""
    query = text("""
        SELECT pool_asset.mandate_id, obligor.number AS obligor, seller.number AS seller, sum(price_minor) AS price
        FROM pool_asset
        JOIN claim ON claim.asset_id = pool_asset.asset_id
        JOIN receivable ON receivable.asset_id = claim.root_id
        JOIN company AS obligor ON obligor.company_id = receivable.obligor_id
        JOIN company AS seller ON seller.company_id = receivable.seller_id
        WHERE released_at IS NULL AND mandate_id = ANY(:ids)
        GROUP BY 1, 2, 3
    """)
    for mandate_id, obligor, seller, price in session.execute(query, {"ids": sorted(usages)}):
        usage = usages[mandate_id]
        usage.total_minor += int(price)
        usage.by_obligor[obligor] = usage.by_obligor.get(obligor, 0) + int(price)
        usage.by_seller[seller] = usage.by_seller.get(seller, 0) + int(price)


def pools(session: Session, *, funder_id: str | None, after: str | None, limit: int) -> list[dict[str, Any]]:
    """Pools with what is still in them, newest last."""
    query = text("""
        SELECT pool.pool_id, pool.mandate_id, pool.mandate_version, pool.funder_id, pool.round_id, pool.currency,
               pool.created_at, count(pool_asset.asset_id) AS asset_count,
               count(pool_asset.asset_id) FILTER (WHERE released_at IS NULL) AS live_count,
               coalesce(sum(pool_asset.face_minor), 0)::bigint AS face_minor,
               coalesce(sum(pool_asset.price_minor), 0)::bigint AS price_minor,
               coalesce(sum(pool_asset.collected_minor), 0)::bigint AS collected_minor
        FROM pool LEFT JOIN pool_asset ON pool_asset.pool_id = pool.pool_id
        WHERE (cast(:funder_id AS text) IS NULL OR funder_id = :funder_id)
          AND (cast(:after AS text) IS NULL OR pool.pool_id > :after)
        GROUP BY pool.pool_id ORDER BY pool.pool_id LIMIT :limit
    """)
    rows = session.execute(query, {"funder_id": funder_id, "after": after, "limit": limit})
    return [dict(row) for row in rows.mappings()]
