"""Auctions: put up, bid for under seal, called off; `closing` opens the bids."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, insert, select, text
from sqlalchemy.orm import Session

from exchange import books
from exchange.auth import Caller, Role
from exchange.callbacks.actions import Notice, tell_many
from exchange.currencies import commodity
from exchange.db import copy_rows
from exchange.errors import Fault, InvalidRequest, NotFound
from exchange.ids import new_id
from exchange.pools import queries as pools
from exchange.pools.actions import lock_mandates
from exchange.pools.rules import Candidate, FreeAsset
from exchange.pools.terms import BPS
from exchange.services import Services
from exchange.title.actions import lock_titles
from exchange.title.rules import Title
from exchange.trading import rules
from exchange.trading.allotment import Auctioned, Bid, allot, at_discount
from exchange.trading.models import Auction, AuctionAsset
from exchange.trading.models import Bid as BidRow
from exchange.trading.placing import candidates_of
from ledger.books import HoldRequest, InsufficientFunds, Resolution, hold, resolve_holds
from ledger.canonical import canonical_bytes

NONCE_BYTES = 12


def put_up(
    session: Session,
    *,
    services: Services,
    caller: Caller,
    terms: Mapping[str, Any],
    lots: Sequence[Sequence[str]],
    now: datetime,
) -> str:
    """Put free assets up in lots; they are in no round until the auction is over. Gives its id.

    Refuses `InvalidRequest` for a window that is none or assets named twice, `NotForAuction` with every reason.
    """
    places = {asset_id: (lot, at) for lot, held in enumerate(lots) for at, asset_id in enumerate(held)}
    if len(places) < sum(map(len, lots)):
        raise InvalidRequest("An asset is in one lot, once.", faults=(Fault("asset_twice", "/lots", "named twice"),))
    opens_at = max(terms.get("opens_at") or now, now)
    if terms["closes_at"] <= opens_at:
        fault = Fault("contradictory_dates", "/closes_at", f"after it opens, {opens_at}", terms["closes_at"])
        raise InvalidRequest("It closes before it opens.", faults=(fault,))
    titles = lock_titles(session, asset_ids=list(places))
    first = min(places)
    before = text("SELECT count(*) FROM auction_asset WHERE asset_id = :id")
    purpose = f"{first}/{session.execute(before, {'id': first}).scalar_one()}"
    auction_id = new_id("auc", now=now, entropy=services.entropy, purpose=purpose)
    last_day = services.business_date(terms["closes_at"])
    faults = [
        Fault(code, f"/lots/{lot}/{at}", message, asset_id)
        for asset_id, (lot, at) in places.items()
        for code, message in _why_not_put_up(titles.get(asset_id), caller, terms, last_day)
    ]
    keep = text("UPDATE claim SET kept_for = :id WHERE asset_id = ANY(:ids) AND kept_for IS NULL RETURNING asset_id")
    kept = set(session.execute(keep, {"id": auction_id, "ids": list(places)}).scalars())
    for asset_id in titles.keys() - kept:
        lot, at = places[asset_id]
        faults.append(Fault("kept_for_auction", f"/lots/{lot}/{at}", "it is in an auction already", asset_id))
    if faults:
        raise rules.NotForAuction("Nothing was put up.", faults=tuple(faults[:100]))
    values = {name: terms.get(name) for name in ("currency", "reserve_bps", "advance_bps", "pricing", "min_part_minor")}
    values |= {"auction_id": auction_id, "opens_at": opens_at, "closes_at": terms["closes_at"]}
    session.execute(insert(Auction).values(originator_id=caller.party_id, **values))
    columns = ("auction_id", "asset_id", "lot", "holder_id", "outstanding_minor", "sold_minor")
    rows = (
        (auction_id, asset_id, lot, titles[asset_id].holder_id, titles[asset_id].outstanding_minor, 0)
        for asset_id, (lot, _) in places.items()
    )
    copy_rows(session, AuctionAsset.__tablename__, columns, rows)
    return auction_id


def bid(
    session: Session,
    *,
    services: Services,
    funder_id: str,
    auction_id: str,
    said: Mapping[str, Any],
    today: date,
    now: datetime,
) -> dict[str, Any]:
    """Take a bid under seal and hold the money it can cost at most, which tells nothing of its discount.

    Refuses `NotFound`, `AuctionNotOpen`, `BidRefused`, `MandateRefuses`, `BidExists`, `CashShort`.
    """
    auction = _open_auction(session, auction_id, now=now)
    assets = _lot(session, auction_id, said["lot"], today=today)
    candidate = candidates_of(session, mandate_ids=[said["mandate_id"]], now=now).get(said["mandate_id"])
    if candidate is None or candidate.funder_id != funder_id:
        raise NotFound("There is no such mandate of yours.")
    whole_minor = sum(asset.face_minor for asset in assets)
    amount_minor = said["amount_minor"]
    _check_bid(auction, said, amount_minor=amount_minor, whole_minor=whole_minor)
    _check_mandate(auction, assets, candidate, said, amount_minor=amount_minor, today=today)
    row = _sealed(session, services, auction, said, funder_id=funder_id, now=now)
    live = select(BidRow.bid_id).where(
        BidRow.auction_id == auction_id,
        BidRow.lot == said["lot"],
        BidRow.mandate_id == said["mandate_id"],
        BidRow.outcome.is_(None),
    )
    lock_mandates(session, mandate_ids=[said["mandate_id"]])
    if session.execute(live).first() is not None:
        raise rules.BidExists("Withdraw it first.")
    session.execute(insert(BidRow).values(**row))
    _hold(session, row, currency=auction.currency, today=today, now=now)
    return row


def _sealed(
    session: Session, services: Services, auction: Auction, said: Mapping[str, Any], *, funder_id: str, now: datetime
) -> dict[str, Any]:
    """A bid's row: what it says encrypted, bound by a digest that its bidder can recompute."""
    terms = {name: said[name] for name in ("lot", "mandate_id", "discount_bps", "salt")}
    opened = canonical_bytes(terms | {"auction_id": auction.auction_id, "amount_minor": said["amount_minor"]})
    digest = hashlib.sha256(opened).digest()
    before = text("SELECT count(*) FROM bid WHERE auction_id = :id AND funder_id = :funder")
    ordinal = session.execute(before, {"id": auction.auction_id, "funder": funder_id}).scalar_one()
    purpose = f"{auction.auction_id}/{funder_id}/{ordinal}"
    bid_id = new_id("bid", now=now, entropy=services.entropy, purpose=purpose)
    nonce = services.entropy(NONCE_BYTES, "seal bid", bid_id)
    return {
        "bid_id": bid_id,
        "auction_id": auction.auction_id,
        "lot": said["lot"],
        "funder_id": funder_id,
        "mandate_id": said["mandate_id"],
        "held_minor": said["amount_minor"] * auction.advance_bps // BPS,
        "digest": digest,
        "sealed": services.keyring.vault.seal(opened, place=bid_id.encode(), nonce=nonce),
        "entered_at": now,
    }


def withdraw(session: Session, *, funder_id: str, bid_id: str, today: date, now: datetime) -> None:
    """Take a bid back before the close; its money is free again (`NotFound`, `AuctionNotOpen`, `BidOver`)."""
    mine = select(BidRow).where(BidRow.bid_id == bid_id, BidRow.funder_id == funder_id)
    row = session.execute(mine).scalar_one_or_none()
    if row is None:
        raise NotFound("There is no such bid of yours.")
    _open_auction(session, row.auction_id, now=now)
    row = session.execute(mine.with_for_update().execution_options(populate_existing=True)).scalar_one()
    if row.outcome is not None:
        raise rules.BidOver(f"It was {row.outcome}.", outcome=row.outcome)
    row.outcome, row.sealed, row.ended_at = "withdrawn", None, now
    session.flush()
    give_back(session, [bid_id], today=today, now=now)


def call_off(session: Session, *, caller: Caller, auction_id: str, today: date, now: datetime) -> None:
    """Call an auction off before its close; no bid is opened, all money and assets are free (`AuctionNotOpen`)."""
    query = select(Auction).where(Auction.auction_id == auction_id).with_for_update()
    auction = session.execute(query).scalar_one_or_none()
    if auction is None or (caller.role is not Role.OPERATOR and auction.originator_id != caller.party_id):
        raise NotFound("There is no such auction of yours.")
    rules.check_auction_open(outcome=auction.outcome, opens_at=now, closes_at=auction.closes_at, now=now)
    rows = live_bids(session, auction_id)
    end(session, auction, outcome="cancelled", seed=None, now=now)
    give_back(session, [row.bid_id for row in rows], today=today, now=now)
    lost = text("""
        UPDATE bid SET outcome = 'lost', reason = 'auction_cancelled', sealed = NULL, ended_at = :now
        WHERE auction_id = :id AND outcome IS NULL
    """)
    session.execute(lost, {"id": auction_id, "now": now})
    told = [notice(row, {"outcome": "lost", "reason": "auction_cancelled"}) for row in rows]
    tell_many(session, notices=told, now=now)


def live_bids(session: Session, auction_id: str) -> Sequence[Row[Any]]:
    """The bids that stand, in the order in which they came."""
    query = text("""
        SELECT bid_id, auction_id, lot, funder_id, mandate_id, sealed, digest FROM bid
        WHERE auction_id = :id AND outcome IS NULL ORDER BY bid_id FOR UPDATE
    """)
    return session.execute(query, {"id": auction_id}).all()


def give_back(session: Session, bid_ids: Sequence[str], *, today: date, now: datetime) -> None:
    """The money held for bids is free again."""
    voids = [Resolution(f"{bid_id}/hold", "voided") for bid_id in bid_ids]
    resolve_holds(session.connection(), resolutions=voids, effective_date=today, now=now)


def end(session: Session, auction: Auction, *, outcome: str, seed: bytes | None, now: datetime) -> None:
    """The auction is over: what of its assets is free may go into rounds again."""
    auction.outcome, auction.seed, auction.ended_at = outcome, seed, now
    session.flush()
    kept = text("SELECT asset_id FROM auction_asset WHERE auction_id = :id")
    lock_titles(session, asset_ids=session.execute(kept, {"id": auction.auction_id}).scalars().all())
    free = text("""
        UPDATE claim SET kept_for = NULL FROM auction_asset
        WHERE auction_id = :id AND auction_asset.asset_id = claim.asset_id AND kept_for = :id
    """)
    session.execute(free, {"id": auction.auction_id})


def notice(row: Row[Any], data: dict[str, Any]) -> Notice:
    """What a bidder is told of its bid."""
    named = {"auction_id": row.auction_id, "bid_id": row.bid_id, "lot": row.lot}
    return Notice(row.funder_id, f"bid.{data.pop('outcome')}", named | data)


def _open_auction(session: Session, auction_id: str, *, now: datetime) -> Auction:
    """An auction that takes bids; whoever ends it waits until this transaction ends."""
    query = select(Auction).where(Auction.auction_id == auction_id).with_for_update(read=True)
    auction = session.execute(query).scalar_one_or_none()
    if auction is None:
        raise NotFound("There is no such auction.")
    rules.check_auction_open(outcome=auction.outcome, opens_at=auction.opens_at, closes_at=auction.closes_at, now=now)
    return auction


def _lot(session: Session, auction_id: str, lot: int, *, today: date) -> list[FreeAsset]:
    query = text("SELECT asset_id FROM auction_asset WHERE auction_id = :id AND lot = :lot ORDER BY asset_id")
    ids = session.execute(query, {"id": auction_id, "lot": lot}).scalars().all()
    if not ids:
        fault = Fault("no_such_lot", "/lot", "lots count from 0", lot)
        raise rules.BidRefused("The auction has no such lot.", faults=(fault,))
    assets = pools.assets(session, asset_ids=ids, today=today)
    return [assets[asset_id] for asset_id in ids]


def _check_bid(auction: Auction, said: Mapping[str, Any], *, amount_minor: int, whole_minor: int) -> None:
    faults = []
    if said["discount_bps"] > auction.reserve_bps:
        message = f"not above the reserve, {auction.reserve_bps}"
        faults.append(
            Fault("above_reserve", "/discount_bps", message)
        )  # the number is not kept: the bid may come again
    least_minor = whole_minor if auction.min_part_minor is None else auction.min_part_minor
    if not least_minor <= amount_minor <= whole_minor:
        message = f"from {least_minor} to the whole lot, {whole_minor}"
        faults.append(Fault("amount_out_of_range", "/amount_minor", message, amount_minor))
    if faults:
        raise rules.BidRefused("The bid does not fit the auction.", faults=tuple(faults))


def _check_mandate(
    auction: Auction,
    assets: Sequence[FreeAsset],
    candidate: Candidate,
    said: Mapping[str, Any],
    *,
    amount_minor: int,
    today: date,
) -> None:
    """Refuse (`MandateRefuses`) a bid that would get nothing even if there were no other."""
    rooms = dict.fromkeys((asset.obligor for asset in assets), sum(asset.face_minor for asset in assets))
    auctioned = Auctioned(
        {said["lot"]: assets}, auction.reserve_bps, auction.advance_bps, auction.min_part_minor, rooms
    )
    alone = Bid("", said["lot"], at(candidate, auction, said["discount_bps"]), said["discount_bps"], amount_minor)
    allotment = allot(auctioned, [alone], seed=b"", today=today)
    if not allotment.awards:
        raise rules.refused_by_mandate([("/mandate_id", why) for _, why in allotment.refusals.get("", ())])


def at(candidate: Candidate, auction: Auction, discount_bps: int) -> Candidate:
    """A mandate that buys at a discount in an auction; what it has taken up stays one with the mandate's."""
    return replace(
        candidate, terms=at_discount(candidate.terms, discount_bps=discount_bps, advance_bps=auction.advance_bps)
    )


def _hold(session: Session, row: Mapping[str, Any], *, currency: str, today: date, now: datetime) -> None:
    cash, reserved = books.funder_cash(row["funder_id"]), books.funder_reserved(row["funder_id"])
    books.open_money(session, currency=currency, paths=[cash, reserved])
    request = HoldRequest(
        key=f"{row['bid_id']}/hold",
        source_path=cash,
        reservation_path=reserved,
        commodity=commodity(currency),
        amount_minor=row["held_minor"],
        effective_date=today,
        memo=f"bid in {row['auction_id']}",
    )
    try:
        with session.begin_nested():
            hold(session.connection(), requests=[request], now=now)
    except InsufficientFunds as error:
        raise rules.cash_short(error) from None


def _why_not_put_up(
    title: Title | None, caller: Caller, terms: Mapping[str, Any], last_day: date
) -> Iterator[tuple[str, str]]:
    """Why an asset cannot be put up: codes and words."""
    if title is None or not title.may_be_moved_by(caller):
        yield "not_found", "no such asset"
        return
    if title.state != "free":
        yield "claim_not_free", f"the claim is {title.state}"
        return
    if title.disputed:
        yield "claim_disputed", "its obligor disputes it"
    if title.encumbered_minor:
        yield "claim_encumbered", "release what encumbers it first"
    if title.currency != terms["currency"]:
        yield "currency_differs", f"it is in {title.currency}"
    if title.due_date <= last_day:
        yield "due_before_the_close", f"it is due on {title.due_date}"
    if title.outstanding_minor < (terms.get("min_part_minor") or 0):
        yield "below_least_part", f"only {title.outstanding_minor} is owed"
