"""Reads of auctions, bids, listings and trades."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.clearing.certificate import extract_bytes
from exchange.pools import queries as pools
from exchange.pools.rules import FreeAsset
from exchange.trading import rules
from exchange.trading.rules import Held
from ledger.canonical import parse_canonical
from scoring.grades import NAMES as GRADES

HELD = """
    SELECT claim.asset_id, claim.outstanding_minor,
           price_minor + discount_minor - collected_minor - diluted_minor - written_off_minor AS due_minor,
           discount_minor, bought_on, claim.due_date, claim.schedule_version, claim.currency,
           NOT disputed AND encumbered_minor = 0 AND charged_off_on IS NULL AND written_off_minor = 0 AS sound,
           claim.due_date <= :today OR coalesce((
               SELECT sum(amount_minor) FILTER (WHERE instalment.due_date > :today) < claim.outstanding_minor
               FROM instalment WHERE instalment.asset_id = claim.asset_id AND version = claim.schedule_version
           ), false) AS late
    FROM claim
    JOIN pool ON pool.pool_id = claim.pool_id
    JOIN pool_asset ON pool_asset.pool_id = claim.pool_id AND pool_asset.asset_id = claim.asset_id
    WHERE claim.state = 'assigned' AND released_at IS NULL
"""

STALE = f"""
    SELECT FROM listing_asset AS listed
    LEFT JOIN LATERAL (
        {HELD} AND claim.asset_id = listed.asset_id AND pool.funder_id = listing.funder_id
    ) AS held ON true
    WHERE listed.listing_id = listing.listing_id AND open
      AND (held.asset_id IS NULL OR NOT sound OR late
           OR (held.outstanding_minor, held.due_minor, held.schedule_version)
               IS DISTINCT FROM (listed.outstanding_minor, listed.due_minor, listed.schedule_version))
"""  # noqa: S608 - a constant of ours
"""An asset that is not what was listed any more, of the `listing` at hand."""

LISTINGS = """
    SELECT listing_id, currency, price_ppm, min_part_minor, listed_at, valid_until, coalesce(outcome, 'open') AS state,
           reason FROM listing
"""
PAGE = "(cast(:after AS text) IS NULL OR {id} > :after)"
WINDOW = 200
"""Listings judged at a time."""

AUCTIONS = """
    SELECT auction_id, currency, opens_at, closes_at, reserve_bps, advance_bps, pricing, min_part_minor,
           coalesce(outcome, CASE WHEN :now < opens_at THEN 'announced' WHEN :now < closes_at THEN 'open'
                                  ELSE 'closed' END) AS state, encode(seed, 'hex') AS seed
    FROM auction WHERE (cast(:originator AS text) IS NULL OR originator_id = :originator)
"""

BIDS = """
    SELECT bid_id, auction_id, lot, mandate_id, held_minor, encode(digest, 'hex') AS digest, entered_at,
           coalesce(outcome, 'sealed') AS state, reason, opened, rate_bps, taken_minor, pool_id
    FROM bid WHERE funder_id = :funder_id
"""

TRADES = """
    SELECT mine.trade_id, mine.asset_id, mine.side, other.funder_id AS counterparty_id, mine.pool_id, mine.currency,
           mine.face_minor, mine.due_minor, mine.price_minor, mine.earned_minor, mine.result_minor, mine.traded_on
    FROM trade_side AS mine
    JOIN trade_side AS other
      ON other.trade_id = mine.trade_id AND other.asset_id = mine.asset_id AND other.side <> mine.side
    WHERE mine.funder_id = :funder_id
"""


def held(session: Session, *, funder_id: str, asset_ids: Sequence[str], today: date) -> dict[str, Held]:
    """Those of the assets that a funder holds, as they can be sold."""
    query = text(f"{HELD} AND claim.asset_id = ANY(:ids) AND pool.funder_id = :funder_id")
    rows = session.execute(query, {"ids": list(asset_ids), "funder_id": funder_id, "today": today})
    return {row.asset_id: Held(*row) for row in rows}


def listed(session: Session, *, asset_ids: Sequence[str]) -> set[str]:
    """Those of the assets that are on a listing that is open."""
    query = text("SELECT asset_id FROM listing_asset WHERE asset_id = ANY(:ids) AND open")
    return set(session.execute(query, {"ids": list(asset_ids)}).scalars())


def open_assets(session: Session, *, listing_id: str) -> dict[str, Row[Any]]:
    """What is still for sale on a listing."""
    query = text("""
        SELECT asset_id, outstanding_minor, due_minor FROM listing_asset WHERE listing_id = :id AND open
        ORDER BY asset_id
    """)
    return {row.asset_id: row for row in session.execute(query, {"id": listing_id})}


def stale(session: Session, *, today: date, listing_id: str | None = None) -> Sequence[str]:
    """The open listings, or this one, whose price is not for what the assets are now."""
    query = text(f"""
        SELECT listing_id FROM listing
        WHERE outcome IS NULL AND (cast(:id AS text) IS NULL OR listing_id = :id) AND EXISTS ({STALE})
        ORDER BY listing_id
    """)  # noqa: S608 - constants of ours
    return session.execute(query, {"today": today, "id": listing_id}).scalars().all()


def market(
    session: Session, *, funder_id: str, after: str | None, limit: int, today: date, now: datetime
) -> list[dict[str, Any]]:
    """What other funders sell and a mandate of this one would take now; never who sells."""
    query = text(f"""
        {LISTINGS} WHERE outcome IS NULL AND valid_until > :now AND funder_id <> :funder_id
          AND {PAGE.format(id="listing_id")} AND NOT EXISTS ({STALE}) ORDER BY listing_id LIMIT :limit
    """)
    own = pools.candidates(session, now=now, funder_id=funder_id)
    found: list[dict[str, Any]] = []
    while own and len(found) < limit:
        values = {"now": now, "today": today, "funder_id": funder_id, "after": after, "limit": WINDOW}
        page = [dict(row) for row in session.execute(query, values).mappings()]
        for one, assets in zip(page, _assets(session, page, today=today), strict=True):
            priced = [(asset, due_minor * one["price_ppm"] // rules.PPM) for asset, due_minor in assets]
            takers = [
                mine.mandate_id
                for mine in own
                if rules.would_take(mine, priced, in_parts=one["min_part_minor"] is not None, today=today)
            ]
            if takers:
                found.append(one | {"mandate_ids": takers, "assets": [_shown(*pair) for pair in assets]})
        if len(page) < WINDOW:
            break
        after = page[-1]["listing_id"]
    return found[:limit]


def listings(session: Session, *, funder_id: str, after: str | None, limit: int, today: date) -> list[dict[str, Any]]:
    """A funder's own listings, oldest first, with what is still for sale."""
    query = text(f"{LISTINGS} WHERE funder_id = :funder_id AND {PAGE.format(id='listing_id')} ORDER BY 1 LIMIT :limit")
    values = {"funder_id": funder_id, "after": after, "limit": limit}
    page = [dict(row) for row in session.execute(query, values).mappings()]
    return [
        one | {"mandate_ids": [], "assets": [_shown(*pair) for pair in assets]}
        for one, assets in zip(page, _assets(session, page, today=today), strict=True)
    ]


def auctions(session: Session, *, caller: Caller, after: str | None, limit: int, now: datetime) -> list[dict[str, Any]]:
    """Auctions, oldest first: a platform's own, everybody else all."""
    query = text(f"{AUCTIONS} AND {PAGE.format(id='auction_id')} ORDER BY auction_id LIMIT :limit")
    values = {"now": now, "originator": _originator(caller), "after": after, "limit": limit}
    return [dict(row) for row in session.execute(query, values).mappings()]


def auction(session: Session, *, caller: Caller, auction_id: str, today: date, now: datetime) -> dict[str, Any] | None:
    """One auction with its lots; nothing of any bid."""
    query = text(f"{AUCTIONS} AND auction_id = :id")
    values = {"now": now, "originator": _originator(caller), "id": auction_id}
    found = session.execute(query, values).mappings().first()
    if found is None:
        return None
    lots = text("""
        SELECT lot, asset_id, outstanding_minor, sold_minor, reason FROM auction_asset
        WHERE auction_id = :id ORDER BY lot, asset_id
    """)
    rows = session.execute(lots, {"id": auction_id}).all()
    known = pools.assets(session, asset_ids=[row.asset_id for row in rows], today=today)
    shown = [
        _shown(known[row.asset_id], None)
        | {"lot": row.lot, "face_minor": row.outstanding_minor, "sold_minor": row.sold_minor, "reason": row.reason}
        for row in rows
    ]
    return dict(found) | {"assets": shown}


def certificate(session: Session, *, caller: Caller, auction_id: str) -> bytes | None:
    """What proves an auction's outcome: all of it, or to a funder its own bids' part."""
    query = text("SELECT document FROM auction_certificate WHERE auction_id = :id")
    document = session.execute(query, {"id": auction_id}).scalar_one_or_none()
    if document is None or caller.role is not Role.FUNDER:
        return None if document is None else bytes(document)
    bids = text("SELECT funder_id FROM bid WHERE auction_id = :id AND outcome <> 'withdrawn' ORDER BY bid_id")
    owners = session.execute(bids, {"id": auction_id}).scalars()
    own = [place for place, owner in enumerate(owners) if owner == caller.party_id]
    return extract_bytes(parse_canonical(bytes(document)), own) if own else None


def bids(session: Session, *, funder_id: str, after: str | None, limit: int) -> list[dict[str, Any]]:
    """A funder's bids, oldest first; what a bid says is shown once it is not sealed any more."""
    query = text(f"{BIDS} AND {PAGE.format(id='bid_id')} ORDER BY bid_id LIMIT :limit")
    values = {"funder_id": funder_id, "after": after, "limit": limit}
    return [dict(row) for row in session.execute(query, values).mappings()]


def trades(session: Session, *, funder_id: str, after: str | None, limit: int) -> list[dict[str, Any]]:
    """What a funder bought from others and sold to them, oldest first; `place` is where a row stands in the list."""
    query = text(f"""
        SELECT * FROM (SELECT trade_id || '/' || asset_id AS place, one.* FROM ({TRADES}) AS one) AS placed
        WHERE {PAGE.format(id="place")} ORDER BY place LIMIT :limit
    """)  # noqa: S608 - constants of ours
    values = {"funder_id": funder_id, "after": after, "limit": limit}
    return [dict(row) for row in session.execute(query, values).mappings()]


def _originator(caller: Caller) -> str | None:
    return caller.party_id if caller.role is Role.PLATFORM else None


def _assets(session: Session, page: Sequence[dict[str, Any]], *, today: date) -> list[list[tuple[FreeAsset, int]]]:
    """Of each listing what is still for sale, and what is due on it."""
    query = text("""
        SELECT listing_id, asset_id, due_minor FROM listing_asset WHERE listing_id = ANY(:ids) AND open
        ORDER BY listing_id, asset_id
    """)
    rows = session.execute(query, {"ids": [one["listing_id"] for one in page]}).all()
    known = pools.assets(session, asset_ids=[row.asset_id for row in rows], today=today)
    return [
        [(known[row.asset_id], row.due_minor) for row in rows if row.listing_id == one["listing_id"]] for one in page
    ]


def _shown(asset: FreeAsset, due_minor: int | None) -> dict[str, Any]:
    """An asset as a buyer may judge it: what it is and how good, not who owes it."""
    return {
        "asset_id": asset.asset_id,
        "face_minor": asset.face_minor,
        "due_minor": due_minor,
        "product": asset.product,
        "due_date": asset.due_date,
        "instalments": pools.as_rows(asset.schedule),
        "recourse": asset.recourse,
        "confirmation_grade": asset.confirmation_grade,
        "grade": GRADES[asset.grade],
        "pd_ppm": asset.pd_ppm,
    }
