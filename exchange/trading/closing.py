"""The close of an auction: bids opened, lots given to the lowest, pooled and offered as what is committed already."""

import hmac
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, insert, select, text
from sqlalchemy.orm import Session

from exchange.callbacks.actions import tell_many
from exchange.clearing.certificate import certificate_bytes, head_digest
from exchange.funding.actions import offer_pools
from exchange.pools import queries as pools
from exchange.pools.actions import lock_mandates
from exchange.registry.actions import Fact, note_many
from exchange.risk import limits
from exchange.services import Services
from exchange.title.actions import lock_titles
from exchange.title.rules import Title
from exchange.trading.allotment import Allotment, Auctioned, Bid, allot, lot_rates
from exchange.trading.auctions import at, end, give_back, live_bids, notice
from exchange.trading.models import Auction, AuctionCertificate
from exchange.trading.placing import EXCHANGE, Placement, candidates_of, part, place
from exchange.trading.proofs import certificate
from ledger import log
from ledger.canonical import parse_canonical

TAKEN_BY = "auction"
"""Who answers the offers of an auction: a bid is a commitment."""


class Opened(NamedTuple):
    """A bid at the close: its row, and what was under its seal, as written and as read."""

    row: Row[Any]
    text: str
    said: Mapping[str, Any]


class Won(NamedTuple):
    """What a bid got."""

    rate_bps: int
    taken_minor: int
    pool_id: str


def clear(session: Session, *, services: Services, auction_id: str, today: date, now: datetime) -> None:
    """Open the bids of an auction whose time is over and give each lot to the lowest: offered and committed, once.

    Purchase follows at the next cut-off, as of every commitment. An asset that changed since it was put up is not sold,
    nor a whole lot with it. All of it is one transaction.
    """
    auction = session.execute(select(Auction).where(Auction.auction_id == auction_id).with_for_update()).scalar_one()
    if auction.outcome is not None or now < auction.closes_at:
        return
    rows = live_bids(session, auction_id)
    lock_mandates(session, mandate_ids={row.mandate_id for row in rows})
    gone, auctioned = _at_close(session, auction, today=today)
    give_back(session, [row.bid_id for row in rows], today=today, now=now)
    opened = [_open(services, row) for row in rows]
    checkpoint = log.latest_checkpoint(session.connection())
    seed = checkpoint.root if checkpoint else b""
    bids = _bids(session, auction, opened, now=now)
    allotment = allot(auctioned, bids, seed=seed, today=today)
    end(session, auction, outcome="cleared", seed=seed, now=now)
    secret = hmac.digest(services.keyring.fingerprint_key, auction_id.encode(), "sha256")
    proof = certificate(auctioned, bids, allotment, seed=seed, secret=secret, today=today)
    document = {"auction_id": auction_id, "document": certificate_bytes(proof)}
    session.execute(insert(AuctionCertificate).values(**document))
    # In the chain of an asset before it is parted, which ends it.
    facts = _keep_assets(session, auction_id, allotment, gone, digest=head_digest(proof), today=today)
    note_many(session, facts=facts, now=now)
    won = _placed(session, services, auction, opened, allotment, today=today, now=now)
    _keep_bids(session, auctioned, opened, allotment, won, now=now)
    pool_ids = [one.pool_id for one in won.values()]
    offer_pools(session, services=services, pool_ids=pool_ids, taken_by=TAKEN_BY, today=today, now=now)


def _at_close(session: Session, auction: Auction, *, today: date) -> tuple[dict[str, str], Auctioned]:
    """The assets that are still what was put up, locked with their obligors' limits; the others, and why."""
    query = text("""
        SELECT asset_id, lot, holder_id, outstanding_minor FROM auction_asset
        WHERE auction_id = :id ORDER BY lot, asset_id
    """)
    rows = session.execute(query, {"id": auction.auction_id}).all()
    titles = lock_titles(session, asset_ids=[row.asset_id for row in rows])
    gone = {row.asset_id: why for row in rows if (why := _changed(titles[row.asset_id], row, today=today))}
    if auction.min_part_minor is None:
        broken = {row.lot for row in rows if row.asset_id in gone}
        gone = {row.asset_id: gone.get(row.asset_id, "lot_changed") for row in rows if row.lot in broken}
    assets = pools.assets(session, asset_ids=[row.asset_id for row in rows if row.asset_id not in gone], today=today)
    lots = {
        lot: [assets[row.asset_id] for row in rows if row.lot == lot and row.asset_id in assets]
        for lot in {row.lot: None for row in rows}
    }
    lines = sorted({(asset.obligor, asset.currency) for asset in assets.values()})
    rooms = {obligor: room for (obligor, _), room in limits.lock_room(session, lines=lines).items()}
    return gone, Auctioned(lots, auction.reserve_bps, auction.advance_bps, auction.min_part_minor, rooms)


def _changed(title: Title, row: Row[Any], *, today: date) -> str | None:
    """Why an asset is not what was put up any more."""
    checks = (
        (f"claim_{title.state}", title.state == "free"),
        ("claim_disputed", not title.disputed),
        ("claim_encumbered", not title.encumbered_minor),
        ("holder_changed", title.holder_id == row.holder_id),
        ("amount_changed", title.outstanding_minor == row.outstanding_minor),
        ("past_due", title.due_date > today),
    )
    return next((why for why, same in checks if not same), None)


def _open(services: Services, row: Row[Any]) -> Opened:
    opened = services.keyring.vault.open(row.sealed, place=row.bid_id.encode())
    return Opened(row, opened.decode(), parse_canonical(opened))


def _bids(session: Session, auction: Auction, opened: Sequence[Opened], *, now: datetime) -> list[Bid]:
    """The bids as their mandates stand now; those of one mandate count together."""
    known = candidates_of(session, mandate_ids=[one.row.mandate_id for one in opened], now=now)
    return [
        Bid(
            one.row.bid_id,
            one.row.lot,
            at(known[one.row.mandate_id], auction, one.said["discount_bps"]),
            one.said["discount_bps"],
            one.said["amount_minor"],
        )
        for one in opened
    ]


def _placed(
    session: Session,
    services: Services,
    auction: Auction,
    opened: Sequence[Opened],
    allotment: Allotment,
    *,
    today: date,
    now: datetime,
) -> dict[str, Won]:
    """Part what several get of one asset, and pool what each bid won, at the price of the auction."""
    shares: dict[str, list[int]] = {}
    whole = dict(allotment.left_minor)
    for award in allotment.awards:
        shares.setdefault(award.asset_id, []).append(award.amount_minor)
        whole[award.asset_id] += award.amount_minor
    parted = part(session, services=services, caller=EXCHANGE, shares=shares, whole_minor=whole, today=today, now=now)
    got: dict[str, dict[str, int]] = {}
    for award in allotment.awards:
        got.setdefault(award.bid_id, {})[parted[award.asset_id].pop(0)] = award.amount_minor
    bids = _bids(session, auction, opened, now=now)
    own = {bid.bid_id: bid.discount_bps for bid in bids}
    of_lot = lot_rates(bids, allotment.awards) if auction.pricing == "uniform" else {}
    rates = {bid.bid_id: of_lot.get(bid.lot, own[bid.bid_id]) for bid in bids}
    placements = [
        Placement(bid.bid_id, at(bid.candidate, auction, rates[bid.bid_id]), list(got[bid.bid_id]))
        for bid in bids
        if bid.bid_id in got
    ]
    placed = place(session, services=services, placements=placements, today=today, now=now)
    return {
        bid_id: Won(
            rates[bid_id],
            sum(amount for asset_id, amount in got[bid_id].items() if asset_id not in placed.refusals),
            pool_id,
        )
        for bid_id, pool_id in placed.pools.items()
    }


def _keep_bids(
    session: Session,
    auctioned: Auctioned,
    opened: Sequence[Opened],
    allotment: Allotment,
    won: Mapping[str, Won],
    *,
    now: datetime,
) -> None:
    """Open every bid for good, and tell its funder what became of it."""
    rows, told = [], []
    for one in opened:
        bid_id, got = one.row.bid_id, won.get(one.row.bid_id)
        if got is None:
            refused = allotment.refusals.get(bid_id)
            reason = refused[0][1].code if refused else ("outbid" if auctioned.lots[one.row.lot] else "lot_changed")
            rows.append({"id": bid_id, "outcome": "lost", "reason": reason, "opened": one.text, "now": now})
            rows[-1] |= dict.fromkeys(Won._fields)
            told.append(notice(one.row, {"outcome": "lost", "reason": reason}))
        else:
            rows.append({"id": bid_id, "outcome": "won", "reason": None, "opened": one.text, "now": now})
            rows[-1] |= got._asdict()
            told.append(notice(one.row, {"outcome": "won"} | got._asdict()))
    keep = text("""
        UPDATE bid SET outcome = :outcome, reason = :reason, opened = :opened, sealed = NULL, ended_at = :now,
               rate_bps = :rate_bps, taken_minor = :taken_minor, pool_id = :pool_id
        WHERE bid_id = :id
    """)
    if rows:
        session.execute(keep, rows)
    tell_many(session, notices=told, now=now)


def _keep_assets(
    session: Session, auction_id: str, allotment: Allotment, gone: Mapping[str, str], *, digest: str, today: date
) -> list[Fact]:
    """What of each asset was sold; the facts of it, with the digest of what proves the auction's outcome."""
    sold: dict[str, int] = dict.fromkeys([*allotment.left_minor, *gone], 0)
    for award in allotment.awards:
        sold[award.asset_id] += award.amount_minor
    keep = text("""
        UPDATE auction_asset SET sold_minor = :sold, reason = :reason WHERE auction_id = :auction AND asset_id = :asset
    """)
    rows = [
        {"auction": auction_id, "asset": asset_id, "sold": amount, "reason": gone.get(asset_id)}
        for asset_id, amount in sold.items()
    ]
    session.execute(keep, rows)
    body = {"auction": auction_id, "certificate": digest, "effective_date": today.isoformat()}
    return [Fact(asset_id, "asset.auctioned", body | {"sold_minor": amount}) for asset_id, amount in sold.items()]
