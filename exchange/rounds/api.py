"""Rounds on demand, how they stand, what they came to, and the proof of it."""

from typing import Any

from flask import Response

from exchange.auth import Role
from exchange.errors import NotFound
from exchange.http import JSON, Call, Room
from exchange.pools.api import read_terms
from exchange.pools.rules import why_not
from exchange.pools.schemas import WhyNotOfAll
from exchange.rounds import actions, queries, rehearsals, rules
from exchange.rounds.answers import Answer
from exchange.rounds.market import Inputs
from exchange.rounds.models import Rehearsal, RoundPart
from exchange.rounds.schemas import (
    CostsShown,
    CurrencyQuery,
    RehearsalAsked,
    RehearsalSchema,
    RehearsalShown,
    RoundAsked,
    RoundInFull,
    RoundQuery,
    RoundsShown,
)

room = Room("rounds", __name__, url_prefix="/v1", description="Rounds: what they gave to whom, and the proof of it")
SEES = [Role.OPERATOR, Role.AUDITOR, Role.FUNDER]


@room.operation("/rounds", method="POST", roles=[Role.OPERATOR], result=RoundAsked, status=201, idempotent=True)
def ask_round(call: Call) -> dict[str, Any]:
    """Clear a round now. It is frozen at once, and solved and applied by the worker."""
    round_id = actions.ask(
        call.session, services=call.services, cut_off_at=call.now, asked_by=call.caller.client_id, now=call.now
    )
    return {"round_id": round_id, "state": _shown(call, str(round_id))["state"]}


@room.operation("/rounds", roles=SEES, query=RoundQuery, result=RoundsShown)
def list_rounds(call: Call) -> dict[str, Any]:
    """Rounds, oldest first."""
    items = queries.rounds(
        call.session,
        funder_id=call.caller.party_id,
        state=call.query.get("state"),
        after=call.after,
        limit=call.query["limit"],
    )
    return call.page(items, by="round_id")


@room.operation("/rounds/<round_id>", roles=SEES, result=RoundInFull)
def show_round(call: Call, round_id: str) -> dict[str, Any]:
    """One round: state, progress while it is solved, totals, and what was dropped."""
    return _shown(call, round_id)


@room.operation(
    "/rounds/<round_id>/end", method="POST", roles=[Role.OPERATOR], result=RoundAsked, status=201, idempotent=True
)
def end_round(call: Call, round_id: str) -> dict[str, Any]:
    """Give a round up that cannot be finished; nothing of it is done, and the next one begins."""
    actions.give_up(call.session, round_id=round_id, now=call.now)
    return {"round_id": round_id, "state": "done"}


@room.operation(
    "/rounds/<round_id>/certificate",
    roles=SEES,
    query=CurrencyQuery,
    result={"type": "object", "description": "Canonical JSON; check it with `exchange verify certificate FILE`"},
    content_type=JSON,
)
def show_certificate(call: Call, round_id: str) -> Response:
    """The proof of a currency's answer; to a funder, its own mandates' part of it."""
    if call.caller.role is Role.FUNDER:
        return Response(_part(call, round_id).extract, content_type=JSON)
    return Response(_cleared(call, round_id)[1], content_type=JSON)


@room.operation("/rounds/<round_id>/costs", roles=SEES, query=CurrencyQuery, result=CostsShown)
def show_costs(call: Call, round_id: str) -> dict[str, Any]:
    """What the limits cost that held something back: to a funder, its own."""
    if call.caller.role is Role.FUNDER:
        return {"items": _part(call, round_id).costs}
    inputs, certificate = _cleared(call, round_id)
    return {"items": Answer.of(inputs, certificate).costs(funder_id=None)}


@room.operation("/rounds/<round_id>/why-not/<asset_id>", roles=[Role.FUNDER], result=WhyNotOfAll, across_funders=True)
def explain_round(call: Call, round_id: str, asset_id: str) -> dict[str, Any]:
    """Why a round did not give you an asset: your mandates' rules asked again of what was frozen.

    A mandate that matches and did not get it was worth less than another place for it, or was full.
    """
    own = [
        (inputs, one.candidate, asset)
        for inputs in queries.inputs_with(call.session, round_id=round_id, asset_id=asset_id)
        for asset in inputs.assets
        if asset.asset_id == asset_id
        for one in inputs.mandates
        if one.funder_id == call.caller.party_id
    ]
    if not own:
        raise NotFound("There is no such round, or you had no mandate for that asset in it.")
    told = []
    for inputs, candidate, asset in own:
        reasons = why_not(candidate, asset, room_minor=inputs.room_of(asset), today=inputs.today)
        told.append(
            {
                "mandate_id": candidate.mandate_id,
                "version": candidate.version,
                "matches": not reasons,
                "refusals": [reason.told() for reason in reasons],
            }
        )
    return {"items": told}


@room.operation(
    "/rehearsals",
    method="POST",
    roles=[Role.FUNDER],
    body=RehearsalSchema,
    result=RehearsalAsked,
    status=201,
    idempotent=True,
)
def rehearse_mandate(call: Call) -> dict[str, Any]:
    """Try terms out without putting them in force: on what is free now, and on the rounds of past days."""
    terms = read_terms(call.body, now=call.now)
    period = {name: call.body.get(name) for name in ("from_date", "to_date")}
    rules.check_period(**period, today=call.today)
    rehearsal_id = rehearsals.ask(
        call.session,
        services=call.services,
        funder_id=str(call.caller.party_id),
        terms=terms,
        now=call.now,
        **period,
    )
    return {"rehearsal_id": rehearsal_id}


@room.operation("/rehearsals/<rehearsal_id>", roles=[Role.FUNDER], result=RehearsalShown)
def show_rehearsal(call: Call, rehearsal_id: str) -> dict[str, Any]:
    """What your rehearsal came to, when it is done. You alone: the most that the terms can match."""
    row = call.session.get(Rehearsal, rehearsal_id)
    if row is None or row.funder_id != call.caller.party_id:
        raise NotFound("There is no such rehearsal of yours.")
    return {name: getattr(row, name) for name in RehearsalShown().fields}


def _shown(call: Call, round_id: str) -> dict[str, Any]:
    """A round as the caller may see it (`NotFound`)."""
    found = queries.round_in_full(call.session, round_id=round_id, funder_id=call.caller.party_id)
    if found is None:
        raise NotFound("There is no such round.")
    return found


def _part(call: Call, round_id: str) -> RoundPart:
    """The caller's own part of a currency of a round (`NotFound`, `NoCertificate`)."""
    _shown(call, round_id)
    found = queries.part(
        call.session, round_id=round_id, currency=call.query["currency"], funder_id=str(call.caller.party_id)
    )
    if found is None:
        raise rules.NoCertificate("None of your mandates was cleared in this currency of the round.")
    return found


def _cleared(call: Call, round_id: str) -> tuple[Inputs, bytes]:
    """What a currency of a round took in, and its certificate (`NotFound`, `NoCertificate`)."""
    _shown(call, round_id)
    found = queries.clearing(call.session, round_id=round_id, currency=call.query["currency"])
    if found is None or found[1] is None:
        raise rules.NoCertificate("Nothing was cleared in this currency, or not yet.")
    return found[0], found[1]
