"""Mandates in, pools out, and why not."""

from typing import Any

import msgspec

from exchange.auth import Role
from exchange.currencies import MINOR_DIGITS
from exchange.errors import Fault, InvalidRequest, NotFound
from exchange.http import Call, Room
from exchange.pools import actions, queries, rules
from exchange.pools.rules import Terms
from exchange.pools.schemas import MandateCreated, MandateSchema, MandatesShown, PoolsShown, WhyNotShown
from exchange.risk import limits
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
    name = call.body.pop("name")
    terms = msgspec.convert(call.body, Terms)
    _check(terms)
    mandate_id, version = actions.create_mandate(
        call.session,
        services=call.services,
        funder_id=str(call.caller.party_id),
        name=name,
        terms=terms,
        now=call.now,
    )
    return {"mandate_id": mandate_id, "version": version}


@room.operation("/mandates", roles=[Role.FUNDER], result=MandatesShown)
def list_mandates(call: Call) -> dict[str, Any]:
    """Your mandates in force."""
    funder_id = str(call.caller.party_id)
    used = {one.mandate_id: one.usage.total_minor for one in queries.candidates(call.session, funder_id=funder_id)}
    items = [
        {
            "mandate_id": mandate.mandate_id,
            "version": mandate.version,
            "name": mandate.name,
            "terms": mandate.terms,
            "used_minor": used[mandate.mandate_id],
        }
        for mandate in queries.mandates(call.session, funder_id=funder_id)
    ]
    return {"items": items}


@room.operation("/mandates/<mandate_id>/why-not/<asset_id>", roles=[Role.FUNDER], result=WhyNotShown)
def explain_mandate(call: Call, mandate_id: str, asset_id: str) -> dict[str, Any]:
    """Why the next round would not give you this asset: the same rules as the matcher's, with the numbers compared."""
    own = queries.candidates(call.session, funder_id=str(call.caller.party_id))
    candidate = next((one for one in own if one.mandate_id == mandate_id), None)
    asset = queries.asset(call.session, asset_id=asset_id)
    if candidate is None or asset is None:
        raise NotFound("There is no such mandate of yours, or no such asset.")
    room_minor = limits.room_of(call.session, line=(asset.obligor, asset.currency))
    today = call.today
    reasons = rules.why_not(candidate, asset, room_minor=room_minor, today=today)
    if not queries.is_free(call.session, asset_id=asset_id):
        reasons.insert(0, rules.WhyNot("not_free", limit=True, actual=False))
    return {
        "matches": not reasons,
        "version": candidate.version,
        "refusals": [_told(one) for one in reasons],
    }


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


def _told(reason: rules.WhyNot) -> dict[str, Any]:
    """A reason with its numbers, but what the obligor's limit leaves: that would tell of other funders' positions."""
    limit = None if reason.code == "obligor_limit" else reason.limit
    return {"code": reason.code, "limit": limit, "actual": reason.actual}


def _check(terms: Terms) -> None:
    """Refuse (`InvalidRequest`) limits that contradict each other, all of them at once."""
    faults = []
    if terms.currency not in MINOR_DIGITS:
        faults.append(Fault("unknown_currency", "/currency", "a currency in use, ISO 4217", terms.currency))
    if terms.min_tenor_days > terms.max_tenor_days:
        message = f"not above max_tenor_days, {terms.max_tenor_days}"
        faults.append(Fault("contradictory_limits", "/min_tenor_days", message, terms.min_tenor_days))
    if terms.min_face_minor > terms.max_face_minor:
        message = f"not above max_face_minor, {terms.max_face_minor}"
        faults.append(Fault("contradictory_limits", "/min_face_minor", message, terms.min_face_minor))
    if faults:
        raise InvalidRequest("The mandate contradicts itself.", faults=tuple(faults))
