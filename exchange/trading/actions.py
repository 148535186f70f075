"""Listings of funders, and what other funders take of them: title against money in one posting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, insert, select, text
from sqlalchemy.orm import Session

from exchange import books, jobs
from exchange.auth import Caller, Role
from exchange.callbacks.actions import Notice, tell_many
from exchange.callbacks.settlements import Proof, prove
from exchange.db import copy_rows
from exchange.errors import Fault, InvalidRequest, NotFound
from exchange.funding.actions import PURCHASED_JOB
from exchange.ids import new_id
from exchange.pools import queries as pools
from exchange.pools.actions import leave_pools, lock_mandates
from exchange.pools.models import Pool, PoolAsset
from exchange.pools.rules import Candidate
from exchange.registry.actions import Fact, record_many
from exchange.services import Services
from exchange.title.actions import lock_titles
from exchange.trading import queries, rules
from exchange.trading.models import Listing, ListingAsset, TradeSide
from exchange.trading.placing import candidates_of, part
from exchange.trading.rules import Held, Sale
from ledger.books import InsufficientFunds, post

OFFERED = ("listing_id", "asset_id", "outstanding_minor", "due_minor", "schedule_version", "open")
SIDES = (
    *("trade_id", "asset_id", "side", "funder_id", "pool_id", "listing_id", "currency", "face_minor", "due_minor"),
    *("price_minor", "earned_minor", "result_minor", "traded_on", "recorded_at"),
)
IN_POOL = (
    *("pool_id", "mandate_id", "asset_id", "face_minor", "price_minor", "discount_minor", "holdback_minor", "rate_bps"),
    *("collected_minor", "diluted_minor", "bought_on", "schedule_version"),
)


@dataclass(frozen=True, slots=True)
class Deal:
    """A trade about to be done."""

    trade_id: str
    pool_id: str
    listing_id: str
    seller_id: str
    buyer: Candidate
    currency: str
    sales: Sequence[Sale]
    today: date
    now: datetime


def offer(
    session: Session, *, services: Services, funder_id: str, terms: Mapping[str, Any], today: date, now: datetime
) -> str:
    """List assets of a funder at a price, whole or in parts; gives the listing's id.

    Refuses `InvalidRequest` for a time that is over or assets named twice, `NotForSale` with every reason.
    """
    ids = terms["asset_ids"]
    if len(set(ids)) < len(ids):
        raise InvalidRequest("Name an asset once.", faults=(Fault("asset_twice", "/asset_ids", "named twice"),))
    if terms["valid_until"] <= now:
        fault = Fault("contradictory_dates", "/valid_until", f"after now, {now}", terms["valid_until"])
        raise InvalidRequest("The listing is over before it begins.", faults=(fault,))
    lock_titles(session, asset_ids=ids)
    held = queries.held(session, funder_id=funder_id, asset_ids=ids, today=today)
    listed = queries.listed(session, asset_ids=ids)
    faults = []
    for at, asset_id in enumerate(ids):
        one = held.get(asset_id)
        why = "not_found" if one is None else rules.why_not_listed(one, currency=terms["currency"])
        if why or asset_id in listed:
            faults.append(Fault(why or "listed_already", f"/asset_ids/{at}", "it cannot be listed", asset_id))
    if faults:
        raise rules.NotForSale("Nothing was listed.", faults=tuple(faults[:100]))
    before = text("SELECT count(*) FROM listing_asset WHERE asset_id = :id")
    purpose = f"{min(ids)}/{session.execute(before, {'id': min(ids)}).scalar_one()}"
    listing_id = new_id("lst", now=now, entropy=services.entropy, purpose=purpose)
    values = {name: terms.get(name) for name in ("currency", "price_ppm", "min_part_minor", "valid_until")}
    session.execute(insert(Listing).values(listing_id=listing_id, funder_id=funder_id, listed_at=now, **values))
    rows = [_offered(listing_id, held[asset_id]) for asset_id in ids]
    copy_rows(session, ListingAsset.__tablename__, OFFERED, rows)
    return listing_id


def withdraw(session: Session, *, funder_id: str, listing_id: str, now: datetime) -> None:
    """Take a listing off the market (`NotFound`, `ListingOver`)."""
    query = select(Listing).where(Listing.listing_id == listing_id, Listing.funder_id == funder_id).with_for_update()
    listing = session.execute(query).scalar_one_or_none()
    if listing is None:
        raise NotFound("There is no such listing of yours.")
    if listing.outcome is not None:
        raise rules.ListingOver(f"It was {listing.outcome}.", outcome=listing.outcome)
    _end(session, [listing_id], outcome="withdrawn", reason="owner", now=now)


def withdraw_changed(session: Session, *, asset_ids: Sequence[str], reason: str, now: datetime) -> None:
    """Take every listing off the market that has one of these assets (locked): its price is stale. Tells its owner."""
    query = text("""
        SELECT DISTINCT listing_id FROM listing_asset WHERE asset_id = ANY(:ids) AND open ORDER BY listing_id
    """)
    _withdraw(session, session.execute(query, {"ids": list(asset_ids)}).scalars().all(), reason=reason, now=now)


def withdraw_stale(session: Session, *, today: date, now: datetime) -> None:
    """Take every listing off the market whose time is over, or whose assets are not what was listed any more."""
    over = select(Listing.listing_id).where(Listing.outcome.is_(None), Listing.valid_until <= now)
    _withdraw(session, session.execute(over).scalars().all(), reason="expired", now=now)
    _withdraw(session, queries.stale(session, today=today), reason="changed", now=now)


def take(
    session: Session,
    *,
    services: Services,
    funder_id: str,
    listing_id: str,
    wanted: Mapping[str, Any],
    today: date,
    now: datetime,
) -> str:
    """Buy a listing, or what is named of it, under a mandate: title, money and books at once. Gives the trade's id.

    Refuses `NotFound`, `ListingOver`, `PartRefused`, `MandateRefuses`, `CashShort`.
    """
    lock_mandates(session, mandate_ids=[wanted["mandate_id"]])
    listing = session.get(Listing, listing_id)
    if listing is None or listing.funder_id == funder_id:
        raise NotFound("There is no such listing of another's.")
    candidate = candidates_of(session, mandate_ids=[wanted["mandate_id"]], now=now).get(wanted["mandate_id"])
    if candidate is None or candidate.funder_id != funder_id:
        raise NotFound("There is no such mandate of yours.")
    offered = _still_offered(session, listing, today=today, now=now)
    amounts = rules.chosen(
        {asset_id: row.outstanding_minor for asset_id, row in offered.items()},
        asset_ids=wanted.get("asset_ids"),
        part_minor=wanted.get("part_minor"),
        least_minor=listing.min_part_minor,
    )
    ids = _parted(session, services, listing, amounts, offered, today=today, now=now)
    held = queries.held(session, funder_id=listing.funder_id, asset_ids=ids, today=today)
    sales = [rules.sale(held[asset_id], price_ppm=listing.price_ppm, on=today) for asset_id in ids]
    _judge(session, candidate, sales, today=today)
    if not queries.open_assets(session, listing_id=listing_id):
        _end(session, [listing_id], outcome="sold", reason=None, now=now)
    purpose = f"{listing_id}/{'/'.join(sorted(ids))}"
    trade_id = new_id("trd", now=now, entropy=services.entropy, purpose=purpose)
    pool_id = new_id("pol", now=now, entropy=services.entropy, purpose=trade_id)
    parties = (listing_id, listing.funder_id, candidate, listing.currency)
    _trade(session, Deal(trade_id, pool_id, *parties, sales, today, now))
    return trade_id


def _offered(listing_id: str, held: Held) -> tuple[object, ...]:
    return (listing_id, held.asset_id, held.outstanding_minor, held.due_minor, held.schedule_version, True)


def _still_offered(session: Session, listing: Listing, *, today: date, now: datetime) -> dict[str, Row[Any]]:
    """What is open on a listing, its claims locked first; refuses (`ListingOver`) one whose price is stale."""
    locked: set[str] = set()
    while not locked.issuperset(offered := queries.open_assets(session, listing_id=listing.listing_id)):
        # Once more where somebody took a part of an asset while we waited: what is left is another one.
        lock_titles(session, asset_ids=list(offered))
        locked |= offered.keys()
    session.refresh(listing, with_for_update=True)
    if listing.outcome is not None or listing.valid_until <= now:
        raise rules.ListingOver("It is over.", outcome=listing.outcome or "expired")
    if queries.stale(session, today=today, listing_id=listing.listing_id):
        raise rules.ListingOver("An asset is not what was listed any more.", outcome="changed")
    return offered


def _parted(
    session: Session,
    services: Services,
    listing: Listing,
    amounts: Mapping[str, int],
    offered: Mapping[str, Row[Any]],
    *,
    today: date,
    now: datetime,
) -> list[str]:
    """Take assets off a listing; of one that is taken in part the rest stays on it, as an asset of its own."""
    off = text("UPDATE listing_asset SET open = false WHERE listing_id = :id AND asset_id = ANY(:assets)")
    session.execute(off, {"id": listing.listing_id, "assets": list(amounts)})
    parted = part(
        session,
        services=services,
        caller=Caller("exchange", Role.FUNDER, listing.funder_id),
        shares={asset_id: [amount_minor] for asset_id, amount_minor in amounts.items()},
        whole_minor={asset_id: offered[asset_id].outstanding_minor for asset_id in amounts},
        today=today,
        now=now,
    )
    rest = [parts[1] for parts in parted.values() if len(parts) > 1]
    held = queries.held(session, funder_id=listing.funder_id, asset_ids=rest, today=today)
    copy_rows(session, ListingAsset.__tablename__, OFFERED, [_offered(listing.listing_id, held[one]) for one in rest])
    return [parts[0] for parts in parted.values()]


def _judge(session: Session, candidate: Candidate, sales: Sequence[Sale], *, today: date) -> None:
    """Refuse (`MandateRefuses`) what the buyer's mandate does not take at this price, all of it counted together."""
    assets = pools.assets(session, asset_ids=[one.held.asset_id for one in sales], today=today)
    priced = [(assets[one.held.asset_id], one.price_minor) for one in sales]
    if refused := rules.why_not_bought(candidate, priced, today=today):
        raise rules.refused_by_mandate([("/mandate_id", why) for why in refused])


def _trade(session: Session, deal: Deal) -> None:
    """Title against money, in one posting, and all that follows from it."""
    ids = [one.held.asset_id for one in deal.sales]
    _post(session, deal, ids)
    _keep_sides(session, deal, sold_from=_change_pools(session, deal, ids))
    day = deal.today.isoformat()
    facts = [
        Fact(
            one.held.asset_id,
            "asset.assigned",
            {"holder": deal.buyer.funder_id, "pool": deal.pool_id, "trade": deal.trade_id, "effective_date": day},
            {"price_minor": one.price_minor, "face_minor": one.held.outstanding_minor},
        )
        for one in deal.sales
    ]
    pending = record_many(session, facts=facts, now=deal.now)
    prove(session, proofs=[Proof(deal.trade_id, pending[-1])])
    jobs.enqueue(session, job=PURCHASED_JOB, payload={"pool_id": deal.pool_id})
    data = {
        "trade_id": deal.trade_id,
        "currency": deal.currency,
        "asset_count": len(deal.sales),
        "face_minor": sum(one.held.outstanding_minor for one in deal.sales),
        "price_minor": sum(one.price_minor for one in deal.sales),
        "effective_date": day,
    }
    result_minor = sum(one.result_minor for one in deal.sales)
    sold = {"side": "sold", "listing_id": deal.listing_id, "result_minor": result_minor}
    told = [
        Notice(deal.seller_id, "trade.settled", data | sold, pending[-1]),
        Notice(deal.buyer.funder_id, "trade.settled", data | {"side": "bought", "pool_id": deal.pool_id}, pending[-1]),
    ]
    tell_many(session, notices=told, now=deal.now)


def _post(session: Session, deal: Deal, asset_ids: Sequence[str]) -> None:
    """Post a trade; refuses `CashShort`."""
    transfer = rules.trade_transfer(
        deal.trade_id,
        seller_id=deal.seller_id,
        buyer_id=deal.buyer.funder_id,
        currency=deal.currency,
        sales=deal.sales,
        effective_date=deal.today,
    )
    books.open_titles(session, asset_ids=asset_ids, holder=books.funder_title(deal.buyer.funder_id))
    books.open_for(session, legs=transfer.legs)
    try:
        with session.begin_nested():
            post(session.connection(), transfers=[transfer], now=deal.now)
    except InsufficientFunds as error:
        raise rules.cash_short(error) from None


def _change_pools(session: Session, deal: Deal, asset_ids: Sequence[str]) -> dict[str, str]:
    """Out of the seller's pools, which got the price, into one of the buyer's; the pool that each was in."""
    got = text("""
        UPDATE pool_asset SET collected_minor = collected_minor + sold.price
        FROM unnest(cast(:ids AS text[]), cast(:prices AS bigint[])) AS sold(asset_id, price)
        WHERE pool_asset.asset_id = sold.asset_id AND released_at IS NULL RETURNING pool_asset.asset_id, pool_id
    """)
    prices = [one.price_minor for one in deal.sales]
    rows = session.execute(got, {"ids": asset_ids, "prices": prices}).all()
    leave_pools(session, asset_ids=asset_ids, now=deal.now)
    values = {
        "pool_id": deal.pool_id,
        "mandate_id": deal.buyer.mandate_id,
        "mandate_version": deal.buyer.version,
        "funder_id": deal.buyer.funder_id,
        "currency": deal.currency,
        "created_at": deal.now,
    }
    session.execute(insert(Pool).values(**values))
    named = (deal.pool_id, deal.buyer.mandate_id)
    entered = [
        (
            *named,
            one.held.asset_id,
            one.held.outstanding_minor,
            one.price_minor,
            one.discount_minor,
            one.holdback_minor,
            one.rate_bps(on=deal.today),
            0,
            0,
            deal.today,
            one.held.schedule_version,
        )
        for one in deal.sales
    ]
    copy_rows(session, PoolAsset.__tablename__, IN_POOL, entered)
    move = text("UPDATE claim SET pool_id = :pool_id, held_since = :day WHERE asset_id = ANY(:ids)")
    session.execute(move, {"pool_id": deal.pool_id, "day": deal.today, "ids": asset_ids})
    return {row.asset_id: row.pool_id for row in rows}


def _keep_sides(session: Session, deal: Deal, *, sold_from: Mapping[str, str]) -> None:
    """A trade as each side has it."""
    rows: list[tuple[object, ...]] = []
    for one in deal.sales:
        held, when = one.held, (deal.today, deal.now)
        amounts = (deal.currency, held.outstanding_minor, held.due_minor, one.price_minor)
        sold = ("sold", deal.seller_id, sold_from[held.asset_id], deal.listing_id, *amounts)
        bought = ("bought", deal.buyer.funder_id, deal.pool_id, None, *amounts)
        rows.append((deal.trade_id, held.asset_id, *sold, one.earned_minor, one.result_minor, *when))
        rows.append((deal.trade_id, held.asset_id, *bought, None, None, *when))
    copy_rows(session, TradeSide.__tablename__, SIDES, rows)


def _withdraw(session: Session, listing_ids: Sequence[str], *, reason: str, now: datetime) -> None:
    rows = _end(session, listing_ids, outcome="withdrawn", reason=reason, now=now)
    told = [
        Notice(row.funder_id, "listing.withdrawn", {"listing_id": row.listing_id, "reason": reason})
        for row in sorted(rows, key=lambda row: row.listing_id)
    ]
    tell_many(session, notices=told, now=now)


def _end(
    session: Session, listing_ids: Sequence[str], *, outcome: str, reason: str | None, now: datetime
) -> Sequence[Row[Any]]:
    """End those of the listings that are open."""
    if not listing_ids:
        return []
    close = text("UPDATE listing_asset SET open = false WHERE listing_id = ANY(:ids) AND open")
    over = text("""
        UPDATE listing SET outcome = :outcome, reason = :reason, ended_at = :now
        WHERE listing_id = ANY(:ids) AND outcome IS NULL RETURNING listing_id, funder_id
    """)
    values = {"ids": list(listing_ids), "outcome": outcome, "reason": reason, "now": now}
    rows = session.execute(over, values).all()
    session.execute(close, {"ids": list(listing_ids)})
    return rows
