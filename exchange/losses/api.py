"""Disputes, repurchases, write-offs, recoveries, and what sellers owe."""

from typing import Any

from exchange.auth import Role
from exchange.errors import InvalidRequest, NotFound
from exchange.http import Call, Room
from exchange.losses import disputes, giving_up, queries, repurchases
from exchange.losses import schemas as wire
from exchange.receivables.api import origin_of
from exchange.schemas import PageQuery
from exchange.settlement.receipts import Refused
from exchange.settlement.schemas import ReceiptItem

EVERYBODY = [Role.PLATFORM, Role.FUNDER, Role.OPERATOR, Role.AUDITOR]
LONGEST_NUMBER = 9

room = Room("losses", __name__, url_prefix="/v1", description="When an asset goes wrong")


@room.operation(
    "/assets/<asset_id>/disputes",
    method="POST",
    roles=[Role.OBLIGOR, Role.PLATFORM],
    body=wire.DisputeBody,
    result=wire.DisputeOpened,
    status=201,
    idempotent=True,
)
def dispute_asset(call: Call, asset_id: str) -> dict[str, Any]:
    """Object to a part of what is owed: until it is resolved, nobody is offered the asset."""
    _check_sight(call, asset_id)
    number = disputes.open_dispute(
        call.session, asset_id=asset_id, client_id=call.caller.client_id, today=call.today, now=call.now, **call.body
    )
    return {"asset_id": asset_id, "number": number}


@room.operation(
    "/assets/<asset_id>/disputes/<number>/resolution",
    method="POST",
    roles=[Role.PLATFORM],
    body=wire.ResolutionBody,
    result=wire.DisputeResolved,
    status=201,
    idempotent=True,
)
def resolve_dispute(call: Call, asset_id: str, number: str) -> dict[str, Any]:
    """Say who is right, and why; what is upheld is credited at once."""
    _check_sight(call, asset_id)
    return disputes.resolve(
        call.session, origin=origin_of(call), asset_id=asset_id, number=_number(number), body=call.body
    )


@room.operation("/assets/<asset_id>/disputes", roles=[*EVERYBODY, Role.OBLIGOR], result=wire.DisputesShown)
def list_disputes(call: Call, asset_id: str) -> dict[str, Any]:
    """The disputes of an asset."""
    _check_sight(call, asset_id)
    return {"items": queries.disputes(call.session, asset_id=asset_id)}


@room.operation(
    "/assets/<asset_id>/repurchases",
    method="POST",
    roles=[Role.PLATFORM],
    body=wire.RepurchaseBody,
    result=wire.RepurchaseState,
    status=201,
    idempotent=True,
)
def repurchase_asset(call: Call, asset_id: str) -> dict[str, Any]:
    """Take an asset back for its holder: at once where it has to after default, else its funder is asked."""
    _check_sight(call, asset_id)
    return repurchases.propose(
        call.session,
        services=call.services,
        asset_id=asset_id,
        reason=call.body["reason"],
        client_id=call.caller.client_id,
        today=call.today,
        now=call.now,
    )


@room.operation(
    "/repurchases/<repurchase_id>/acceptance",
    method="POST",
    roles=[Role.FUNDER],
    result=wire.RepurchaseState,
    status=201,
    idempotent=True,
)
def accept_repurchase(call: Call, repurchase_id: str) -> dict[str, Any]:
    """Give an asset back for what is due on it, less the discount that is not earned yet."""
    return _answer(call, repurchase_id, accept=True)


@room.operation(
    "/repurchases/<repurchase_id>/refusal",
    method="POST",
    roles=[Role.FUNDER],
    body=wire.RepurchaseAnswer,
    result=wire.RepurchaseState,
    status=201,
    idempotent=True,
)
def refuse_repurchase(call: Call, repurchase_id: str) -> dict[str, Any]:
    """Keep an asset."""
    return _answer(call, repurchase_id, accept=False)


@room.operation("/repurchases", roles=EVERYBODY, query=PageQuery, result=wire.RepurchasesShown)
def list_repurchases(call: Call) -> dict[str, Any]:
    """The repurchases that concern you."""
    items = queries.repurchases(call.session, caller=call.caller, after=call.after, limit=call.query["limit"])
    return call.page(items, by="repurchase_id")


@room.operation(
    "/assets/<asset_id>/write-offs",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.WriteOffBody,
    result=wire.WriteOffState,
    status=201,
    idempotent=True,
)
def write_off_asset(call: Call, asset_id: str) -> dict[str, Any]:
    """Give up a part of a claim, or all of it; large ones wait for a second person."""
    return giving_up.request(
        call.session,
        asset_id=asset_id,
        client_id=call.caller.client_id,
        today=call.today,
        now=call.now,
        **call.body,
    )


@room.operation(
    "/assets/<asset_id>/write-offs/<number>/decision",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.WriteOffDecision,
    result=wire.WriteOffState,
    status=201,
    idempotent=True,
)
def decide_write_off(call: Call, asset_id: str, number: str) -> dict[str, Any]:
    """Approve or decline what somebody else wants to give up."""
    return giving_up.decide(
        call.session,
        asset_id=asset_id,
        number=_number(number),
        approve=call.body["outcome"] == "approved",
        client_id=call.caller.client_id,
        today=call.today,
        now=call.now,
    )


@room.operation("/assets/<asset_id>/write-offs", roles=EVERYBODY, result=wire.WriteOffsShown)
def list_write_offs(call: Call, asset_id: str) -> dict[str, Any]:
    """What was given up of an asset."""
    _check_sight(call, asset_id)
    return queries.write_offs(call.session, asset_id=asset_id, caller=call.caller)


@room.operation(
    "/assets/<asset_id>/recoveries",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.RecoveryBody,
    result=wire.RecoveryEntered,
    status=201,
    idempotent=True,
)
def recover_asset(call: Call, asset_id: str) -> dict[str, Any]:
    """Enter money for an asset that was charged off or given up, whoever paid it."""
    item = ReceiptItem(reference=asset_id, **call.body)
    entered = giving_up.recover(call.session, services=call.services, item=item, today=call.today, now=call.now)
    if isinstance(entered, Refused):
        fault = entered.fault
        at = fault.pointer.removeprefix("/items/0")
        raise InvalidRequest(
            "The line cannot be entered.", faults=(type(fault)(fault.code, at, fault.message, fault.value),)
        )
    return {
        "receipt_id": entered.receipt_id,
        "applied_minor": entered.applied_minor - entered.recovered_minor,
        "recovered_minor": entered.recovered_minor,
        "unapplied_minor": item.amount_minor - entered.applied_minor,
    }


@room.operation("/assets/<asset_id>/recoveries", roles=EVERYBODY, result=wire.RecoveriesShown)
def list_recoveries(call: Call, asset_id: str) -> dict[str, Any]:
    """What came back of what was given up of an asset."""
    _check_sight(call, asset_id)
    return {"items": queries.recoveries(call.session, asset_id=asset_id, caller=call.caller)}


@room.operation(
    "/assets/<asset_id>/recourse-calls",
    roles=[Role.PLATFORM, Role.OPERATOR, Role.AUDITOR],
    result=wire.RecourseCallsShown,
)
def list_recourse_calls(call: Call, asset_id: str) -> dict[str, Any]:
    """Who handed the asset on with recourse and answers for it after default, each in turn."""
    _check_sight(call, asset_id)
    return {"items": queries.recourse_calls(call.session, asset_id=asset_id)}


@room.operation("/debts", roles=EVERYBODY, query=PageQuery, result=wire.DebtsShown)
def list_debts(call: Call) -> dict[str, Any]:
    """What sellers and holders owe for assets that went wrong."""
    items = queries.debts(call.session, caller=call.caller, after=call.after, limit=call.query["limit"])
    page = call.page(items, by="place")
    return page | {"items": [{name: one[name] for name in one if name != "place"} for one in items]}


def _answer(call: Call, repurchase_id: str, *, accept: bool) -> dict[str, Any]:
    return repurchases.answer(
        call.session,
        funder_id=str(call.caller.party_id),
        repurchase_id=repurchase_id,
        accept=accept,
        reason=None if accept else call.body["reason"],
        client_id=call.caller.client_id,
        today=call.today,
        now=call.now,
    )


def _check_sight(call: Call, asset_id: str) -> None:
    if not queries.sees(call.session, caller=call.caller, asset_id=asset_id):
        raise NotFound("There is no such asset.")


def _number(text: str) -> int:
    """A number in a path; what is none names nothing."""
    if not text.isascii() or not text.isdigit() or len(text) > LONGEST_NUMBER:
        raise NotFound("There is no such thing.")
    return int(text)
