"""The payment policy, whose the money is, both legs of an asset; advices of payments, and alarms."""

from typing import Any

import msgspec

from exchange.auth import Role
from exchange.bulk import read_items
from exchange.errors import NotFound
from exchange.http import Call, Room
from exchange.payments import actions, alarm_schemas, alarms, money, queries
from exchange.payments import schemas as wire
from exchange.payments.rules import Policy

room = Room("money", __name__, url_prefix="/v1", description="Whose the money is, and what is missing")

WATCHERS = [Role.OPERATOR, Role.AUDITOR, Role.PLATFORM]


@room.operation(
    "/payment-policy",
    method="PUT",
    replaces=True,
    roles=[Role.OPERATOR],
    body=wire.PaymentPolicySchema,
    result=wire.PaymentPolicyShown,
)
def put_payment_policy(call: Call) -> dict[str, Any]:
    """Put a policy in force for what is proposed from now on."""
    policy = msgspec.convert(call.body, Policy)
    version = actions.set_policy(call.session, policy=policy, client_id=call.caller.client_id, now=call.now)
    return _policy(version, policy)


@room.operation("/payment-policy", roles=[Role.OPERATOR, Role.AUDITOR], result=wire.PaymentPolicyShown)
def show_payment_policy(call: Call) -> dict[str, Any]:
    """The policy in force."""
    return _policy(*queries.policy(call.session))


@room.operation("/money", roles=[Role.OPERATOR, Role.AUDITOR], query=wire.DayQuery, result=wire.OwnersShown)
def show_owners(call: Call) -> dict[str, Any]:
    """Whose the money on the collection accounts is, at the end of a day or now."""
    return {"items": money.owners(call.session, day=call.query.get("day") or call.today)}


@room.operation("/assets/<asset_id>/money", roles=[*WATCHERS, Role.FUNDER], result=wire.MoneyShown)
def show_asset_money(call: Call, asset_id: str) -> dict[str, Any]:
    """Both legs of an asset: its price to the seller, and what came from its obligor."""
    if not queries.sees_money(call.session, caller=call.caller, asset_id=asset_id):
        raise NotFound("There is no such asset.")
    funder_id = call.caller.party_id if call.caller.role is Role.FUNDER else None
    return money.legs(call.session, asset_id=asset_id, funder_id=funder_id)


@room.operation(
    "/payment-advices",
    method="POST",
    roles=[Role.OBLIGOR, Role.OPERATOR, Role.PLATFORM],
    bulk=alarm_schemas.AdvicesSchema,
    result=alarm_schemas.AdviceResults,
    idempotent=True,
)
def advise_payments(call: Call) -> dict[str, Any]:
    """Say of up to 1,000 assets what was paid, when, and to which account."""
    read = read_items(call.raw, alarm_schemas.AdviceItem, alarm_schemas.AdviceSchema())
    kept = alarms.keep_advices(call.session, services=call.services, items=read.good, caller=call.caller, now=call.now)
    return read.judged(kept)


@room.operation("/alarms", roles=WATCHERS, query=alarm_schemas.AlarmQuery, result=alarm_schemas.AlarmPage)
def list_alarms(call: Call) -> dict[str, Any]:
    """Money that is missing or went elsewhere, oldest first."""
    state, limit = call.query.get("state"), call.query["limit"]
    items = queries.alarms(call.session, caller=call.caller, state=state, after=call.after, limit=limit)
    return call.page(items, by="alarm_id")


@room.operation(
    "/alarms/acknowledgements",
    method="POST",
    roles=[Role.OPERATOR],
    bulk=alarm_schemas.AlarmAcknowledgementsSchema,
    result=alarm_schemas.AlarmAcknowledgementResults,
    idempotent=True,
)
def acknowledge_alarms(call: Call) -> dict[str, Any]:
    """Say of up to 1,000 alarms that somebody looks into them, and why they are no worse."""
    read = read_items(call.raw, alarm_schemas.AlarmAcknowledgementItem, alarm_schemas.AlarmAcknowledgementSchema())
    noted = alarms.acknowledge(call.session, items=read.good, client_id=call.caller.client_id, now=call.now)
    return read.judged(noted)


def _policy(version: int, policy: Policy) -> dict[str, Any]:
    terms: dict[str, Any] = msgspec.to_builtins(policy)
    return {"version": version} | {name: value for name, value in terms.items() if value is not None}
