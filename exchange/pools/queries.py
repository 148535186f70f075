"""Reads for the matcher and for funders."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from exchange.books import funder_cash
from exchange.currencies import commodity
from exchange.pools.models import Mandate
from exchange.pools.rules import Candidate, FreeAsset, Usage
from exchange.pools.terms import KEYS, PERMILLE, Terms
from exchange.risk import limits
from exchange.risk.suspensions import suspended
from exchange.schedules.schedule import Instalment, Schedule, open_instalments, total_minor
from ledger.books import balances

Version = aliased(Mandate)

ASSETS = """
    SELECT claim.asset_id, obligor.number, seller.number, receivable.product, claim.currency, claim.outstanding_minor,
           claim.due_date, receivable.recourse, confirmation.grade, decision.pd_ppm, decision.grade,
           coalesce(obligor.controller_id IN (seller.controller_id, holder.controller_id), false),
           claim.schedule_version, obligor.sector, obligor.region, coalesce(obligor.controller_id, obligor.company_id),
           obligor.controller_id, cast(:today AS date) - decision.decided_at::date,
           cast(:today AS date) - receivable.issue_date, receivable.divisible
    FROM claim
    JOIN receivable ON receivable.asset_id = claim.root_id
    JOIN company AS obligor ON obligor.company_id = receivable.obligor_id
    JOIN company AS seller ON seller.company_id = receivable.seller_id
    JOIN company AS holder ON holder.company_id = claim.holder_id
    JOIN confirmation ON confirmation.asset_id = claim.root_id
    JOIN decision ON decision.asset_id = claim.root_id
"""
FREE = "claim.state = 'free' AND encumbered_minor = 0 AND NOT disputed AND kept_for IS NULL"
"""What is its holder's to be offered, and nobody else has a right in."""


def free_assets(session: Session, *, today: date, late: bool = True) -> list[FreeAsset]:
    """Every free asset that nobody else has a right in; with what its obligor is late with, where that is wanted."""
    query = text(f"{ASSETS} WHERE {FREE} ORDER BY claim.root_id, claim.asset_id")
    return _free(session, session.execute(query, {"today": today}).all(), today=today, late=late)


def asset(session: Session, *, asset_id: str, today: date) -> FreeAsset | None:
    """One listed asset, whatever its state."""
    return assets(session, asset_ids=[asset_id], today=today).get(asset_id)


def assets(session: Session, *, asset_ids: Sequence[str], today: date) -> dict[str, FreeAsset]:
    """The listed ones among the assets, whatever their state, as mandates judge them."""
    parameters = {"today": today, "ids": list(asset_ids)}
    rows = session.execute(text(f"{ASSETS} WHERE claim.asset_id = ANY(:ids)"), parameters).all()
    return {one.asset_id: one for one in _free(session, rows, today=today)}


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
    query = text(f"SELECT {FREE} FROM claim WHERE asset_id = :id")  # noqa: S608 - a constant of ours
    return bool(session.execute(query, {"id": asset_id}).scalar_one())


def mandates(session: Session, *, now: datetime, funder_id: str | None = None) -> list[Mandate]:
    """The version in force of each mandate that is not ended, of one funder or of all."""
    newest = select(Mandate).ext(distinct_on(Mandate.mandate_id)).where(Mandate.effective_at <= now)
    if funder_id is not None:
        newest = newest.where(Mandate.funder_id == funder_id)
    query = newest.order_by(Mandate.mandate_id, Mandate.version.desc())
    return [mandate for mandate in session.execute(query).scalars() if not mandate.ended]


def coming(session: Session, *, now: datetime, funder_id: str) -> list[Mandate]:
    """A funder's versions that are not effective yet, and that no later one that is has overtaken."""
    later = select(Mandate.version).where(
        Mandate.mandate_id == Version.mandate_id, Mandate.version > Version.version, Mandate.effective_at <= now
    )
    query = select(Version).where(Version.funder_id == funder_id, Version.effective_at > now, ~later.exists())
    return list(session.execute(query.order_by(Version.mandate_id, Version.version)).scalars())


def candidates(session: Session, *, now: datetime, funder_id: str | None = None) -> list[Candidate]:
    """Every mandate in force with what it has taken up and what its funder's cash pays for."""
    in_force = mandates(session, now=now, funder_id=funder_id)
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
            usage=Usage(cash_minor=max(0, cash.get(wanted[mandate.mandate_id], 0))),
        )
        for mandate in in_force
    ]
    _add_usage(session, {candidate.mandate_id: candidate.usage for candidate in found})
    return found


def rooms(session: Session, *, lines: Collection[limits.Line]) -> dict[limits.Line, int]:
    """What each obligor's limit leaves free, as far as it has one: 0 where it is suspended. Nothing is locked."""
    query = text("""
        SELECT exposure.obligor, exposure.currency, limit_minor - used_minor AS room FROM exposure
        JOIN unnest(cast(:obligors AS bigint[]), cast(:currencies AS text[])) AS line(obligor, currency)
          ON exposure.obligor = line.obligor AND exposure.currency = line.currency
    """)
    asked = sorted(lines)
    found = session.execute(
        query, {"obligors": [one[0] for one in asked], "currencies": [one[1] for one in asked]}
    ).all()
    barred = suspended(session, obligors={row.obligor for row in found})
    return {(row.obligor, row.currency): min(row.room, 0) if row.obligor in barred else row.room for row in found}


def group_rooms(session: Session, *, lines: Collection[limits.Line]) -> dict[tuple[str, str], int]:
    """What the one limit of each obligor's group leaves free in each currency, by controller; none without one.

    Companies that one person controls are one debtor: all of them together have the highest of their limits.
    """
    query = text("""
        SELECT member.controller_id, exposure.currency, max(limit_minor) - sum(used_minor) AS room
        FROM company AS member JOIN exposure ON exposure.obligor = member.number
        WHERE member.controller_id IN (SELECT controller_id FROM company WHERE number = ANY(:obligors))
          AND exposure.currency = ANY(:currencies)
        GROUP BY 1, 2
    """)
    parameters = {
        "obligors": sorted({obligor for obligor, _ in lines}),
        "currencies": sorted({currency for _, currency in lines}),
    }
    return {(row[0], row[1]): int(row[2]) for row in session.execute(query, parameters)}


def group_lines(session: Session, *, lines: Collection[limits.Line]) -> list[limits.Line]:
    """These lines and those of all companies in the same groups, in the order in which all lock."""
    query = text("""
        SELECT exposure.obligor, exposure.currency FROM company AS member
        JOIN exposure ON exposure.obligor = member.number
        WHERE member.controller_id IN (SELECT controller_id FROM company WHERE number = ANY(:obligors))
    """)
    found = session.execute(query, {"obligors": sorted({obligor for obligor, _ in lines})})
    return sorted({*lines, *((row[0], row[1]) for row in found)})


def room_of(session: Session, *, asset: FreeAsset) -> int:
    """What the limits of an asset's obligor and its group leave free for it."""
    line = (asset.obligor, asset.currency)
    own = rooms(session, lines=[line]).get(line, 0)
    return min(own, group_rooms(session, lines=[line]).get((asset.obligor_group, asset.currency), own))


def _open(rows: Sequence[Any]) -> dict[str, Schedule]:
    """Instalments by asset, less what was paid of them: their sum beyond `open_minor`."""
    schedules: dict[str, Schedule] = {}
    for asset_id, of_asset in groupby(rows, key=lambda row: row.asset_id):
        found = list(of_asset)
        whole = tuple(Instalment(row.number, row.due_date, row.amount_minor) for row in found)
        schedules[asset_id] = open_instalments(whole, paid_minor=total_minor(whole) - found[0].open_minor)
    return schedules


def _free(session: Session, rows: Sequence[Any], *, today: date, late: bool = True) -> list[FreeAsset]:
    free = [FreeAsset(*row) for row in rows]
    schedules = open_schedules(session, asset_ids=[one.asset_id for one in free if one.schedule_version is not None])
    overdue = _late(session, {one.obligor for one in free}, today=today) if late else {}
    return [
        replace(one, schedule=schedules.get(one.asset_id, ()), late_permille=overdue.get(one.obligor, 0))
        if one.asset_id in schedules or one.obligor in overdue
        else one
        for one in free
    ]


def _late(session: Session, obligors: Collection[int], *, today: date) -> dict[int, int]:
    """How much of what each obligor owes is overdue, per mille rounded up; those with nothing overdue are left out."""
    query = text("""
        SELECT company.number, sum(outstanding_minor) FILTER (WHERE claim.due_date < :today) AS late,
               sum(outstanding_minor) AS owed
        FROM company
        JOIN receivable ON receivable.obligor_id = company.company_id
        JOIN claim ON claim.root_id = receivable.asset_id AND outstanding_minor > 0
        WHERE company.number = ANY(:obligors) GROUP BY 1
    """)
    rows = session.execute(query, {"obligors": sorted(obligors), "today": today})
    return {row.number: -(-int(row.late) * PERMILLE // int(row.owed)) for row in rows if row.late}


def _add_usage(session: Session, usages: dict[str, Usage]) -> None:
    """Count what is offered to, committed by and held under each mandate."""
    query = text("""
        SELECT pool_asset.mandate_id, obligor.number AS obligor, seller.number AS seller,
               coalesce(obligor.controller_id, obligor.company_id) AS obligor_group,
               obligor.controller_id AS controller, obligor.sector, obligor.region, decision.grade, receivable.product,
               sum(price_minor)::bigint AS price, sum(pool_asset.face_minor)::bigint AS face
        FROM pool_asset
        JOIN claim ON claim.asset_id = pool_asset.asset_id
        JOIN receivable ON receivable.asset_id = claim.root_id
        JOIN company AS obligor ON obligor.company_id = receivable.obligor_id
        JOIN company AS seller ON seller.company_id = receivable.seller_id
        JOIN decision ON decision.asset_id = claim.root_id
        WHERE released_at IS NULL AND mandate_id = ANY(:ids)
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    """)
    for row in session.execute(query, {"ids": sorted(usages)}):
        keys = [(by, key) for by in KEYS if (key := getattr(row, by)) is not None]
        usages[row.mandate_id].add(keys, price_minor=row.price, face_minor=row.face)


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
