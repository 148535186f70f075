"""Reads for the matcher and for funders."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from exchange.books import funder_cash
from exchange.currencies import commodity
from exchange.pools.models import Mandate
from exchange.pools.rules import Candidate, FreeAsset, Terms, Usage
from exchange.schedules.schedule import Instalment, Schedule, open_instalments, total_minor
from ledger.books import balances

ASSETS = """
    SELECT claim.asset_id, obligor.number, seller.number, receivable.product, claim.currency, claim.outstanding_minor,
           claim.due_date, receivable.recourse, confirmation.grade, decision.pd_ppm, decision.grade,
           coalesce(obligor.controller_id IN (seller.controller_id, holder.controller_id), false),
           claim.schedule_version
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
        f"{ASSETS} WHERE claim.state = 'free' AND encumbered_minor = 0 AND NOT disputed AND kept_for IS NULL "
        "ORDER BY claim.root_id, claim.asset_id FOR UPDATE OF claim"
    )
    return _free(session, session.execute(query).all())


def asset(session: Session, *, asset_id: str) -> FreeAsset | None:
    """One listed asset, whatever its state."""
    return assets(session, asset_ids=[asset_id]).get(asset_id)


def assets(session: Session, *, asset_ids: Sequence[str]) -> dict[str, FreeAsset]:
    """The listed ones among the assets, whatever their state, as mandates judge them."""
    rows = session.execute(text(f"{ASSETS} WHERE claim.asset_id = ANY(:ids)"), {"ids": list(asset_ids)}).all()
    return {one.asset_id: one for one in _free(session, rows)}


def open_schedules(session: Session, *, asset_ids: Sequence[str]) -> dict[str, Schedule]:
    """What is still owed of each instalment, of those among the assets that are not due all at once."""
    query = text("""
        SELECT claim.asset_id, number, instalment.due_date, amount_minor, outstanding_minor AS open_minor FROM claim
        JOIN instalment ON instalment.asset_id = claim.asset_id AND version = schedule_version
        WHERE claim.asset_id = ANY(:ids) ORDER BY claim.asset_id, number
    """)
    return _open(session.execute(query, {"ids": list(asset_ids)}).all())


def priced_schedules(session: Session, *, pool_id: str) -> dict[str, Schedule]:
    """The instalments that the prices in a pool count, of assets that are not due all at once and were not split."""
    query = text("""
        SELECT pool_asset.asset_id, number, instalment.due_date, amount_minor, pool_asset.face_minor AS open_minor
        FROM pool_asset
        JOIN claim ON claim.asset_id = pool_asset.asset_id
        JOIN instalment ON instalment.asset_id = pool_asset.asset_id AND version = pool_asset.schedule_version
        WHERE pool_asset.pool_id = :pool_id AND claim.state <> 'split' ORDER BY pool_asset.asset_id, number
    """)
    return _open(session.execute(query, {"pool_id": pool_id}).all())


def as_rows(schedule: Schedule) -> list[dict[str, Any]]:
    """Instalments as they are shown."""
    return [one._asdict() for one in schedule]


def is_free(session: Session, *, asset_id: str) -> bool:
    """Whether a listed asset is its holder's to be offered: only such assets are in a round."""
    query = text("""
        SELECT state = 'free' AND encumbered_minor = 0 AND NOT disputed AND kept_for IS NULL
        FROM claim WHERE asset_id = :id
    """)
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


def _open(rows: Sequence[Any]) -> dict[str, Schedule]:
    """Instalments by asset, less what was paid of them: their sum beyond `open_minor`."""
    schedules: dict[str, Schedule] = {}
    for asset_id, of_asset in groupby(rows, key=lambda row: row.asset_id):
        found = list(of_asset)
        whole = tuple(Instalment(row.number, row.due_date, row.amount_minor) for row in found)
        schedules[asset_id] = open_instalments(whole, paid_minor=total_minor(whole) - found[0].open_minor)
    return schedules


def _free(session: Session, rows: Sequence[Any]) -> list[FreeAsset]:
    free = [FreeAsset(*row) for row in rows]
    schedules = open_schedules(session, asset_ids=[one.asset_id for one in free if one.schedule_version is not None])
    return [replace(one, schedule=schedules[one.asset_id]) if one.asset_id in schedules else one for one in free]


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
