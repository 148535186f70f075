"""Mandates in, pools out, and why not."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from exchange.auth import Role
from exchange.errors import InvalidRequest, NotFound
from exchange.http import Call, Room
from exchange.pools import actions, queries, rules
from exchange.pools.schemas import (
    MandateCreated,
    MandateSchema,
    MandatesShown,
    PoolsShown,
    WhyNotOfAll,
    WhyNotShown,
)
from exchange.pools.terms import Terms, faults_of
from exchange.schemas import PageQuery

room = Room("pools", __name__, url_prefix="/v1", description="Mandates, and the pools that rounds make for them")


@room.operation(
    "/mandates",
    method="POST",
    roles=[Role.FUNDER],
    body=MandateSchema,
    result=MandateCreated,
    status=201,
    idempotent=True,
)
def create_mandate(call: Call) -> dict[str, Any]:
    """Put a mandate in force for the rounds to come."""
    terms = read_terms(call.body, effective_at=call.body.get("effective_at"), now=call.now)
    mandate_id, version = actions.create_mandate(
        call.session,
        services=call.services,
        funder_id=str(call.caller.party_id),
        name=call.body["name"],
        terms=terms,
        now=call.now,
        effective_at=call.body.get("effective_at"),
    )
    return {"mandate_id": mandate_id, "version": version}


@room.operation("/mandates", roles=[Role.FUNDER], result=MandatesShown)
def list_mandates(call: Call) -> dict[str, Any]:
    """Your mandates in force, and the versions of them that are to come."""
    funder_id = str(call.caller.party_id)
    found = queries.candidates(call.session, now=call.now, funder_id=funder_id)
    used = {one.mandate_id: one.usage.total.price_minor for one in found}
    in_force = queries.mandates(call.session, now=call.now, funder_id=funder_id)
    coming = queries.coming(call.session, now=call.now, funder_id=funder_id)
    items = [
        {
            "mandate_id": mandate.mandate_id,
            "version": mandate.version,
            "name": mandate.name,
            "terms": mandate.terms,
            "used_minor": used.get(mandate.mandate_id, 0),
            "state": state,
            "effective_at": mandate.effective_at,
        }
        for state, mandates in (("in_force", in_force), ("coming", coming))
        for mandate in mandates
    ]
    return {"items": items}


@room.operation(
    "/mandates/<mandate_id>/end", method="POST", roles=[Role.FUNDER], result=MandateCreated, status=201, idempotent=True
)
def end_mandate(call: Call, mandate_id: str) -> dict[str, Any]:
    """Let a mandate take nothing more; what was offered under it stays offered. Enter its name again to begin anew."""
    funder_id = str(call.caller.party_id)
    version = actions.end_mandate(call.session, funder_id=funder_id, mandate_id=mandate_id, now=call.now)
    return {"mandate_id": mandate_id, "version": version}


@room.operation("/mandates/<mandate_id>/why-not/<asset_id>", roles=[Role.FUNDER], result=WhyNotShown)
def explain_mandate(call: Call, mandate_id: str, asset_id: str) -> dict[str, Any]:
    """Why the next round would not give you this asset: the same rules as the matcher's, with the numbers compared."""
    found = next((one for one in _why_not(call, asset_id) if one["mandate_id"] == mandate_id), None)
    if found is None:
        raise NotFound("There is no such mandate of yours, or no such asset.")
    return found


@room.operation("/assets/<asset_id>/why-not", roles=[Role.FUNDER], result=WhyNotOfAll)
def explain_asset(call: Call, asset_id: str) -> dict[str, Any]:
    """What each of your mandates in force says of this asset."""
    return {"items": _why_not(call, asset_id)}


@room.operation("/pools", roles=[Role.FUNDER, Role.OPERATOR, Role.AUDITOR], query=PageQuery, result=PoolsShown)
def list_pools(call: Call) -> dict[str, Any]:
    """Pools, oldest first: a funder sees its own."""
    items = queries.pools(
        call.session,
        funder_id=call.caller.party_id,
        after=call.after,
        limit=call.query["limit"],
    )
    return call.page(items, by="pool_id")


def _why_not(call: Call, asset_id: str) -> list[dict[str, Any]]:
    """What the caller's mandates say of an asset (`NotFound`)."""
    today = call.today
    asset = queries.asset(call.session, asset_id=asset_id, today=today)
    if asset is None:
        raise NotFound("There is no such mandate of yours, or no such asset.")
    room_minor = queries.room_of(call.session, asset=asset)
    free = queries.is_free(call.session, asset_id=asset_id)
    told = []
    for one in queries.candidates(call.session, now=call.now, funder_id=str(call.caller.party_id)):
        reasons = rules.why_not(one, asset, room_minor=room_minor, today=today)
        if not free:
            reasons.insert(0, rules.WhyNot("not_free", limit=True, actual=False))
        told.append(
            {
                "mandate_id": one.mandate_id,
                "matches": not reasons,
                "version": one.version,
                "refusals": [reason.told() for reason in reasons],
            }
        )
    return told


def read_terms(body: Mapping[str, Any], *, now: datetime, effective_at: datetime | None = None) -> Terms:
    """The terms in a body that fits the contract; refuses (`InvalidRequest`) what contradicts itself, all at once."""
    named = {name: value for name, value in body.items() if name in Terms.__struct_fields__}
    terms = msgspec.convert(named, Terms)
    faults = faults_of(terms, effective_at=effective_at, now=now)
    if faults:
        raise InvalidRequest("The mandate contradicts itself.", faults=tuple(faults))
    return terms
