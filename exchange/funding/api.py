"""Offers out, answers in."""

from typing import Any

from exchange.auth import Role
from exchange.errors import NotFound
from exchange.funding import actions, queries
from exchange.funding.schemas import (
    Answered,
    CommitmentSchema,
    OfferInFull,
    OfferQuery,
    OfferRefusalSchema,
    OffersShown,
)
from exchange.http import Call, Room
from exchange.parties.signatures import keep_signature

room = Room("funding", __name__, url_prefix="/v1", description="Offers, and what funders answer")


@room.operation("/offers", roles=[Role.FUNDER], query=OfferQuery, result=OffersShown)
def list_offers(call: Call) -> dict[str, Any]:
    """Your offers, oldest first."""
    items = queries.offers(
        call.session,
        funder_id=str(call.caller.party_id),
        state=call.query.get("state"),
        after=call.after,
        limit=call.query["limit"],
    )
    return call.page(items, by="offer_id")


@room.operation("/offers/<offer_id>", roles=[Role.FUNDER], result=OfferInFull)
def show_offer(call: Call, offer_id: str) -> dict[str, Any]:
    """One of your offers, with its assets."""
    found = queries.offer(call.session, funder_id=str(call.caller.party_id), offer_id=offer_id)
    if found is None:
        raise NotFound("There is no such offer.")
    return found


@room.operation(
    "/offers/<offer_id>/commitment",
    method="POST",
    roles=[Role.FUNDER],
    body=CommitmentSchema,
    result=Answered,
    status=201,
    idempotent=True,
)
def commit_to_offer(call: Call, offer_id: str) -> dict[str, Any]:
    """Take an offer; it is bought at the next cut-off. Signed (RFC 9421), the request itself is kept as your word."""
    keep_signature(call, subject=offer_id)
    actions.commit(
        call.session,
        offer_id=offer_id,
        funder_id=str(call.caller.party_id),
        asset_ids=call.body.get("asset_ids"),
        answered_by=call.caller.client_id,
        now=call.now,
    )
    return {"offer_id": offer_id, "outcome": "committed"}


@room.operation(
    "/offers/<offer_id>/refusal",
    method="POST",
    roles=[Role.FUNDER],
    body=OfferRefusalSchema,
    result=Answered,
    status=201,
    idempotent=True,
)
def refuse_offer(call: Call, offer_id: str) -> dict[str, Any]:
    """Refuse an offer; its assets go to the next round."""
    actions.refuse(
        call.session,
        offer_id=offer_id,
        funder_id=str(call.caller.party_id),
        reason=call.body["reason"],
        answered_by=call.caller.client_id,
        today=call.today,
        now=call.now,
    )
    return {"offer_id": offer_id, "outcome": "refused"}
