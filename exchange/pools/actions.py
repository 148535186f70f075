"""List scored assets as free claims, keep mandates, reserve what a round gives, let claims go."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from exchange.db import copy_rows
from exchange.errors import NotFound
from exchange.ids import new_id
from exchange.pools.models import Mandate, Pool, PoolAsset
from exchange.pools.rules import MAX_POOL_ASSETS, Candidate, Match
from exchange.pools.terms import Terms
from exchange.risk import limits
from exchange.services import Services


def list_assets(session: Session, *, asset_ids: Sequence[str], now: datetime) -> None:
    """Enter a free claim for each asset that has none, with its instalments where it has a schedule."""
    statement = text("""
        INSERT INTO claim (asset_id, root_id, holder_id, held_since, currency, due_date, face_minor,
                           outstanding_minor, encumbered_minor, state, listed_at, schedule_version)
        SELECT receivable.asset_id, receivable.asset_id, seller_id, issue_date, currency, confirmation.due_date,
               confirmation.face_minor, confirmation.face_minor, 0, 'free', :now,
               CASE WHEN schedule IS NOT NULL THEN 1 END
        FROM receivable JOIN confirmation ON confirmation.asset_id = receivable.asset_id
        WHERE receivable.asset_id = ANY(:ids) ORDER BY receivable.asset_id
        ON CONFLICT DO NOTHING
    """)
    instalments = text("""
        INSERT INTO instalment (asset_id, version, number, due_date, amount_minor)
        SELECT asset_id, 1, number, one.due_date, one.amount_minor
        FROM receivable, ROWS FROM (jsonb_to_recordset(schedule) AS (due_date date, amount_minor bigint))
            WITH ORDINALITY AS one (due_date, amount_minor, number)
        WHERE asset_id = ANY(:ids) AND schedule IS NOT NULL
        ON CONFLICT DO NOTHING
    """)
    session.execute(statement, {"ids": list(asset_ids), "now": now})
    session.execute(instalments, {"ids": list(asset_ids)})


def create_mandate(
    session: Session,
    *,
    services: Services,
    funder_id: str,
    name: str,
    terms: Terms,
    now: datetime,
    effective_at: datetime | None = None,
) -> tuple[str, int]:
    """Enter a mandate; the same name again is a new version of it. Gives its id and version."""
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:mandate, 0))")
    session.execute(lock, {"mandate": f"pools.mandate {funder_id} {name}"})
    last = select(Mandate.mandate_id, func.max(Mandate.version)).where(
        Mandate.funder_id == funder_id, Mandate.name == name
    )
    row = session.execute(last.group_by(Mandate.mandate_id)).first()
    mandate_id, version = (row[0], row[1] + 1) if row else (_new_mandate_id(services, funder_id, name, now), 1)
    values = {
        "mandate_id": mandate_id,
        "version": version,
        "funder_id": funder_id,
        "name": name,
        "effective_at": effective_at or now,
        "entered_at": now,
    }
    session.execute(insert(Mandate).values(terms=msgspec.to_builtins(terms), **values))
    return mandate_id, version


def end_mandate(session: Session, *, funder_id: str, mandate_id: str, now: datetime) -> int:
    """Let a mandate take nothing more, until another version of it is entered; gives the version that says so.

    What was offered under it stays offered. Ending twice is ending once. Refuses `NotFound`.
    """
    query = select(Mandate).where(Mandate.mandate_id == mandate_id, Mandate.funder_id == funder_id)
    first = session.execute(query.order_by(Mandate.version).limit(1)).scalar_one_or_none()
    if first is None:
        raise NotFound("There is no such mandate of yours.")
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:mandate, 0))")
    session.execute(lock, {"mandate": f"pools.mandate {funder_id} {first.name}"})
    last = session.execute(query.order_by(Mandate.version.desc()).limit(1)).scalar_one()
    if last.ended:
        return last.version
    values = {name: getattr(last, name) for name in ("mandate_id", "funder_id", "name", "terms")}
    times = {"effective_at": now, "entered_at": now}
    session.execute(insert(Mandate).values(version=last.version + 1, ended=True, **values, **times))
    return last.version + 1


def reserve(
    session: Session,
    *,
    round_id: str,
    got: Sequence[tuple[Candidate, Sequence[Match]]],
    services: Services,
    now: datetime,
) -> None:
    """Write the pools of what mandates got, reserve their assets and take of the obligors' limits.

    The caller holds the locks on the claims and on the limits. A mandate that got more than `MAX_POOL_ASSETS` has
    several pools.
    """
    used: dict[limits.Line, int] = {}
    for candidate, matches in got:
        for begin in range(0, len(matches), MAX_POOL_ASSETS):
            purpose = f"{round_id}/{candidate.mandate_id}" + (f"/{begin}" if begin else "")
            pool_id = new_id("pol", now=now, entropy=services.entropy, purpose=purpose)
            some = matches[begin : begin + MAX_POOL_ASSETS]
            write_pool(session, candidate, some, pool_id=pool_id, round_id=round_id, now=now)
        for match in matches:
            line = (match.asset.obligor, match.asset.currency)
            used[line] = used.get(line, 0) + match.asset.face_minor
    limits.use_room(session, amounts=used, cause="reserved", now=now)


def lock_mandates(session: Session, *, mandate_ids: Collection[str] | None = None) -> None:
    """Until the transaction ends nobody else places anything with these mandates; with none named, with any.

    Taken before every other lock: whoever counts what a mandate has room for has to be the one who fills it.
    """
    if mandate_ids is None:
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext('pools.round'))"))
        return
    session.execute(text("SELECT pg_advisory_xact_lock_shared(hashtext('pools.round'))"))
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
    for mandate_id in sorted(set(mandate_ids)):
        session.execute(lock, {"name": f"pools.fill {mandate_id}"})


def set_state(session: Session, *, pool_id: str, asset_ids: Sequence[str], state: str) -> None:
    """Move claims of a pool to `state`."""
    update = text("UPDATE claim SET state = :state WHERE pool_id = :pool_id AND asset_id = ANY(:ids)")
    session.execute(update, {"state": state, "pool_id": pool_id, "ids": list(asset_ids)})


def assign(session: Session, *, pool_id: str, asset_ids: Sequence[str], bought_on: date) -> None:
    """Note that a pool's committed assets were bought: they are its funder's now."""
    claim = text("""
        UPDATE claim SET state = 'assigned', held_since = :day WHERE pool_id = :pool_id AND asset_id = ANY(:ids)
    """)
    session.execute(claim, {"day": bought_on, "pool_id": pool_id, "ids": list(asset_ids)})
    update = text("UPDATE pool_asset SET bought_on = :day WHERE pool_id = :pool_id AND asset_id = ANY(:ids)")
    session.execute(update, {"day": bought_on, "pool_id": pool_id, "ids": list(asset_ids)})


def release(session: Session, *, asset_ids: Sequence[str], now: datetime) -> None:
    """Let reserved or committed assets go from their pools: free again, and their obligors' limits with them."""
    if not asset_ids:
        return
    query = text("""
        SELECT claim.asset_id, claim.currency, claim.outstanding_minor, company.number
        FROM claim
        JOIN receivable ON receivable.asset_id = claim.root_id
        JOIN company ON company.company_id = receivable.obligor_id
        WHERE claim.asset_id = ANY(:ids) AND claim.state IN ('reserved', 'committed')
        ORDER BY claim.root_id, claim.asset_id
        FOR UPDATE OF claim
    """)
    rows = session.execute(query, {"ids": sorted(asset_ids)}).all()
    ids = [row.asset_id for row in rows]
    session.execute(text("UPDATE claim SET state = 'free', pool_id = NULL WHERE asset_id = ANY(:ids)"), {"ids": ids})
    leave_pools(session, asset_ids=ids, now=now)
    give_back: dict[limits.Line, int] = {}
    for row in rows:
        line = (row.number, row.currency)
        give_back[line] = give_back.get(line, 0) - row.outstanding_minor
    limits.use_room(session, amounts=give_back, cause="released", now=now)


def leave_pools(session: Session, *, asset_ids: Sequence[str], now: datetime) -> None:
    """Note that assets left the pools they were in."""
    update = text("UPDATE pool_asset SET released_at = :now WHERE asset_id = ANY(:ids) AND released_at IS NULL")
    session.execute(update, {"ids": list(asset_ids), "now": now})


def write_pool(
    session: Session,
    candidate: Candidate,
    matches: Sequence[Match],
    *,
    pool_id: str,
    round_id: str | None,
    now: datetime,
) -> None:
    """Reserve free assets, locked, for a mandate as a pool of its own; their obligors' limits are the caller's."""
    values: Mapping[str, Any] = {
        "pool_id": pool_id,
        "round_id": round_id,
        "mandate_id": candidate.mandate_id,
        "mandate_version": candidate.version,
        "funder_id": candidate.funder_id,
        "currency": candidate.terms.currency,
        "created_at": now,
    }
    session.execute(insert(Pool).values(**values))
    rows = [
        (
            pool_id,
            match.asset.asset_id,
            candidate.mandate_id,
            match.asset.face_minor,
            match.price.price_minor,
            match.price.discount_minor,
            match.price.holdback_minor,
            match.price.rate_bps,
            0,
            0,
            match.asset.schedule_version,
        )
        for match in matches
    ]
    columns = (
        "pool_id asset_id mandate_id face_minor price_minor discount_minor holdback_minor rate_bps collected_minor "
        "diluted_minor schedule_version"
    )
    copy_rows(session, PoolAsset.__tablename__, columns.split(), rows)
    update = text("""
        UPDATE claim SET state = 'reserved', pool_id = :pool_id
        WHERE asset_id = ANY(:ids) AND state = 'free' RETURNING asset_id
    """)
    ids = [match.asset.asset_id for match in matches]
    reserved = session.execute(update, {"pool_id": pool_id, "ids": ids}).scalars().all()
    if len(reserved) != len(ids):
        raise RuntimeError("an asset of the round is not free any more")


def _new_mandate_id(services: Services, funder_id: str, name: str, now: datetime) -> str:
    return new_id("mdt", now=now, entropy=services.entropy, purpose=f"{funder_id}/{name}")
