"""Auctions and bids, co-fundings, listings and trades."""

from typing import Any

from flask import Response

from exchange.auth import Role
from exchange.errors import NotFound
from exchange.http import JSON, Call, Room
from exchange.schemas import PageQuery
from exchange.trading import actions, auctions, placing, queries
from exchange.trading import schemas as wire

SELLERS = [Role.PLATFORM, Role.OPERATOR]
EVERYBODY = [Role.PLATFORM, Role.FUNDER, Role.OPERATOR, Role.AUDITOR]

room = Room("trading", __name__, url_prefix="/v1", description="Auctions, co-funding, and trades between funders")


@room.operation(
    "/auctions",
    method="POST",
    roles=SELLERS,
    body=wire.AuctionSchema,
    result=wire.AuctionInFull,
    status=201,
    idempotent=True,
)
def create_auction(call: Call) -> dict[str, Any]:
    """Put free assets up in lots for sealed bids; no round has them until it is over."""
    auction_id = auctions.put_up(
        call.session, services=call.services, caller=call.caller, terms=call.body, lots=call.body["lots"], now=call.now
    )
    return _auction(call, auction_id)


@room.operation("/auctions", roles=EVERYBODY, query=PageQuery, result=wire.AuctionsShown)
def list_auctions(call: Call) -> dict[str, Any]:
    """Auctions, oldest first: a platform's own, to all others every one."""
    limit = call.query["limit"]
    items = queries.auctions(call.session, caller=call.caller, after=call.after, limit=limit, now=call.now)
    return call.page(items, by="auction_id")


@room.operation("/auctions/<auction_id>", roles=EVERYBODY, result=wire.AuctionInFull)
def show_auction(call: Call, auction_id: str) -> dict[str, Any]:
    """An auction with its lots. Of bids nothing is shown, to nobody."""
    return _auction(call, auction_id)


@room.operation(
    "/auctions/<auction_id>/cancellation",
    method="POST",
    roles=SELLERS,
    result=wire.EndedShown,
    status=201,
    idempotent=True,
)
def cancel_auction(call: Call, auction_id: str) -> dict[str, Any]:
    """Call an auction off before it closes; no bid is opened."""
    auctions.call_off(call.session, caller=call.caller, auction_id=auction_id, today=call.today, now=call.now)
    return {"state": "cancelled"}


@room.operation(
    "/auctions/<auction_id>/certificate",
    roles=[Role.FUNDER, Role.OPERATOR, Role.AUDITOR],
    result={"type": "object", "description": "What `exchange verify certificate` checks"},
    across_funders=True,
)
def show_auction_certificate(call: Call, auction_id: str) -> Response:
    """What proves the outcome of an auction: every bid and the bound; to a funder its own bids, provably part of it."""
    document = queries.certificate(call.session, caller=call.caller, auction_id=auction_id)
    if document is None:
        raise NotFound("There is no certificate of it for you.")
    return Response(document, content_type=JSON)


@room.operation(
    "/auctions/<auction_id>/bids",
    method="POST",
    roles=[Role.FUNDER],
    body=wire.BidSchema,
    result=wire.BidTaken,
    status=201,
    idempotent=True,
)
def bid_in_auction(call: Call, auction_id: str) -> dict[str, Any]:
    """Bid for a lot under seal; what it can cost at most is held until the auction is over or the bid withdrawn."""
    row = auctions.bid(
        call.session,
        services=call.services,
        funder_id=str(call.caller.party_id),
        auction_id=auction_id,
        said=call.body,
        today=call.today,
        now=call.now,
    )
    return {"bid_id": row["bid_id"], "digest": row["digest"].hex(), "held_minor": row["held_minor"]}


@room.operation("/bids", roles=[Role.FUNDER], query=PageQuery, result=wire.BidsShown)
def list_bids(call: Call) -> dict[str, Any]:
    """Your bids, oldest first."""
    own = str(call.caller.party_id)
    items = queries.bids(call.session, funder_id=own, after=call.after, limit=call.query["limit"])
    return call.page(items, by="bid_id")


@room.operation(
    "/bids/<bid_id>/withdrawal",
    method="POST",
    roles=[Role.FUNDER],
    result=wire.EndedShown,
    status=201,
    idempotent=True,
)
def withdraw_bid(call: Call, bid_id: str) -> dict[str, Any]:
    """Take a bid back before the close; its money is free."""
    own = str(call.caller.party_id)
    auctions.withdraw(call.session, funder_id=own, bid_id=bid_id, today=call.today, now=call.now)
    return {"state": "withdrawn"}


@room.operation(
    "/co-fundings",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.CoFundingSchema,
    result=wire.CoFundingShown,
    status=201,
    idempotent=True,
)
def create_co_funding(call: Call) -> dict[str, Any]:
    """Part a free asset among several funders' mandates and offer each its share."""
    shares = placing.co_fund(call.session, services=call.services, **call.body, today=call.today, now=call.now)
    return {"shares": shares}


@room.operation(
    "/listings",
    method="POST",
    roles=[Role.FUNDER],
    body=wire.ListingSchema,
    result=wire.Listed,
    status=201,
    idempotent=True,
)
def create_listing(call: Call) -> dict[str, Any]:
    """Offer assets that you hold to other funders, who are not told whose they are."""
    own = str(call.caller.party_id)
    listing_id = actions.offer(
        call.session, services=call.services, funder_id=own, terms=call.body, today=call.today, now=call.now
    )
    return {"listing_id": listing_id}


@room.operation(
    "/listings", roles=[Role.FUNDER], query=wire.ListingQuery, result=wire.ListingsShown, across_funders=True
)
def list_listings(call: Call) -> dict[str, Any]:
    """What other funders sell and one of your mandates would take now, or your own listings."""
    own, after, limit = str(call.caller.party_id), call.after, call.query["limit"]
    if call.query["of"] == "mine":
        items = queries.listings(call.session, funder_id=own, after=after, limit=limit, today=call.today)
    else:
        items = queries.market(call.session, funder_id=own, after=after, limit=limit, today=call.today, now=call.now)
    return call.page(items, by="listing_id")


@room.operation(
    "/listings/<listing_id>/withdrawal",
    method="POST",
    roles=[Role.FUNDER],
    result=wire.EndedShown,
    status=201,
    idempotent=True,
)
def withdraw_listing(call: Call, listing_id: str) -> dict[str, Any]:
    """Take a listing of yours off the market."""
    actions.withdraw(call.session, funder_id=str(call.caller.party_id), listing_id=listing_id, now=call.now)
    return {"state": "withdrawn"}


@room.operation(
    "/listings/<listing_id>/purchases",
    method="POST",
    roles=[Role.FUNDER],
    body=wire.TakeSchema,
    result=wire.TradeMade,
    status=201,
    idempotent=True,
    across_funders=True,
)
def take_listing(call: Call, listing_id: str) -> dict[str, Any]:
    """Buy what another funder listed, at once: title against money."""
    trade_id = actions.take(
        call.session,
        services=call.services,
        funder_id=str(call.caller.party_id),
        listing_id=listing_id,
        wanted=call.body,
        today=call.today,
        now=call.now,
    )
    return {"trade_id": trade_id}


@room.operation("/trades", roles=[Role.FUNDER], query=PageQuery, result=wire.TradesShown, across_funders=True)
def list_trades(call: Call) -> dict[str, Any]:
    """What you bought from other funders and sold to them, with whom."""
    own = str(call.caller.party_id)
    items = queries.trades(call.session, funder_id=own, after=call.after, limit=call.query["limit"])
    page = call.page(items, by="place")
    return page | {"items": [{name: one[name] for name in one if name != "place"} for one in items]}


def _auction(call: Call, auction_id: str) -> dict[str, Any]:
    found = queries.auction(call.session, caller=call.caller, auction_id=auction_id, today=call.today, now=call.now)
    if found is None:
        raise NotFound("There is no such auction.")
    return found
