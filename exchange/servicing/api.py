"""Policies, closed days, what discounts earned, proposals to wait, suspended limits."""

from datetime import date
from typing import Any

import msgspec

from exchange.auth import Role
from exchange.errors import InvalidRequest, NotFound
from exchange.http import Call, Room
from exchange.risk import suspensions
from exchange.risk.suspensions import Cause
from exchange.schemas import DATE, PageQuery
from exchange.servicing import accruals, actions, forbearances, queries
from exchange.servicing import schemas as wire
from exchange.servicing.consent import Consent, Due, Proposal
from exchange.servicing.terms import STANDARD, Terms

room = Room("servicing", __name__, url_prefix="/v1", description="Following assets day by day, and waiting for them")


@room.operation(
    "/servicing-policies",
    method="PUT",
    roles=[Role.OPERATOR],
    body=wire.ServicingPolicySchema,
    result=wire.ServicingPolicyShown,
)
def put_servicing_policy(call: Call) -> dict[str, Any]:
    """Put a version of a servicing policy in force from a day after today on."""
    policy = msgspec.convert(call.body["terms"], Terms)
    effective_from = call.body["effective_from"]
    actions.set_policy(
        call.session,
        originator_id=call.body.get("originator_id", ""),
        product=call.body.get("product", ""),
        effective_from=effective_from,
        terms=policy,
        client_id=call.caller.client_id,
        today=call.today,
        now=call.now,
    )
    scope = {name: call.body.get(name) for name in ("originator_id", "product")}
    return scope | {"effective_from": effective_from, "terms": msgspec.to_builtins(policy)}


@room.operation(
    "/servicing-policies",
    roles=[Role.OPERATOR, Role.PLATFORM, Role.AUDITOR],
    result=wire.ServicingPoliciesShown,
)
def list_servicing_policies(call: Call) -> dict[str, Any]:
    """Every version of the servicing policies, and what holds where there is none."""
    return {
        "items": queries.policies(call.session, caller=call.caller),
        "standard": msgspec.to_builtins(STANDARD),
    }


@room.operation("/closed-days", roles=[Role.OPERATOR, Role.AUDITOR], query=PageQuery, result=wire.ClosedDaysShown)
def list_closed_days(call: Call) -> dict[str, Any]:
    """The business dates whose close was started, the last one first."""
    before = None if call.after is None else _day(call.after)
    items = queries.closed_days(call.session, before=before, limit=call.query["limit"])
    return call.page([one | {"business_date": str(one["business_date"])} for one in items], by="business_date")


@room.operation("/closed-days/<business_date>", roles=[Role.OPERATOR, Role.AUDITOR], result=wire.ClosedDayShown)
def show_closed_day(call: Call, business_date: str) -> dict[str, Any]:
    """How far a business date is closed: chunks done of all."""
    found = queries.closed_day(call.session, day=_day(business_date))
    if found is None:
        raise NotFound("The close of that day was not started.")
    return found


@room.operation("/accruals", roles=[Role.FUNDER, Role.OPERATOR], query=wire.AccrualDaysQuery, result=wire.AccrualsShown)
def list_accruals(call: Call) -> dict[str, Any]:
    """What the discounts you bought earned, day by day; an operator sees every funder's."""
    days = {"start": call.query["from_date"], "until": call.query["until_date"]}
    return {"items": accruals.accruals(call.session, funder_id=call.caller.party_id, **days)}


@room.operation(
    "/assets/<asset_id>/forbearances",
    method="POST",
    roles=[Role.PLATFORM],
    body=wire.ForbearanceSchema,
    result=wire.ForbearanceShown,
    status=201,
    idempotent=True,
)
def propose_forbearance(call: Call, asset_id: str) -> dict[str, Any]:
    """Propose to pause, resume, reschedule or reset an asset that you service; its owner has to agree."""
    body = call.body
    proposal = Proposal(
        kind=body["kind"],
        from_date=body.get("from_date", call.today),
        until_date=body.get("until_date"),
        instalments=tuple(Due(one["due_date"], one["amount_minor"]) for one in body.get("instalments", ())),
        reason=body["reason"],
    )
    row = forbearances.propose(
        call.session,
        services=call.services,
        caller=call.caller,
        asset_id=asset_id,
        proposal=proposal,
        today=call.today,
        now=call.now,
    )
    return _forbearance(row)


@room.operation(
    "/forbearances",
    roles=[Role.PLATFORM, Role.FUNDER, Role.OPERATOR, Role.AUDITOR],
    query=wire.ForbearanceQuery,
    result=wire.ForbearancesShown,
)
def list_forbearances(call: Call) -> dict[str, Any]:
    """The proposals that concern you, oldest first."""
    items = queries.forbearances(
        call.session,
        caller=call.caller,
        asset_id=call.query.get("asset_id"),
        state=call.query.get("state"),
        after=call.after,
        limit=call.query["limit"],
    )
    return call.page(items, by="forbearance_id")


@room.operation(
    "/forbearances/<forbearance_id>/answer",
    method="POST",
    roles=[Role.FUNDER, Role.PLATFORM],
    body=wire.ForbearanceAnswerSchema,
    result=wire.ForbearanceShown,
    status=201,
    idempotent=True,
)
def answer_forbearance(call: Call, forbearance_id: str) -> dict[str, Any]:
    """Accept or refuse a proposal for an asset that you own, or withdraw your own proposal."""
    outcome, reason = call.body["outcome"], call.body.get("reason")
    if outcome != "accepted" and reason is None:
        raise InvalidRequest("Say why.", faults=(forbearances.REASON_MISSING,))
    row = forbearances.answer(
        call.session,
        services=call.services,
        caller=call.caller,
        forbearance_id=forbearance_id,
        outcome=outcome,
        reason=reason,
        today=call.today,
        now=call.now,
    )
    return _forbearance(row)


@room.operation(
    "/forbearance-consent",
    method="PUT",
    replaces=True,
    roles=[Role.FUNDER],
    body=wire.ForbearanceConsentSchema,
    result=wire.ForbearanceConsentShown,
)
def put_forbearance_consent(call: Call) -> dict[str, Any]:
    """Say which proposals you agree to without being asked, from now on."""
    version = forbearances.set_consent(
        call.session,
        funder_id=str(call.caller.party_id),
        agreed=msgspec.convert(call.body, Consent),
        client_id=call.caller.client_id,
        now=call.now,
    )
    return {"version": version, "terms": call.body}


@room.operation("/forbearance-consent", roles=[Role.FUNDER], result=wire.ForbearanceConsentShown)
def show_forbearance_consent(call: Call) -> dict[str, Any]:
    """Which proposals you agree to without being asked."""
    version, agreed = forbearances.consent_of(call.session, funder_id=str(call.caller.party_id))
    return {"version": version, "terms": msgspec.to_builtins(agreed)}


@room.operation(
    "/limit-suspensions",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.SuspensionSchema,
    result=wire.SuspensionShown,
    status=201,
    idempotent=True,
)
def suspend_limits(call: Call) -> dict[str, Any]:
    """Suspend all limits of an obligor by hand: nothing new of it is offered or bought until that is lifted."""
    number = queries.obligor_number(call.session, company_id=call.body["obligor_id"])
    if number is None:
        raise NotFound("There is no such company.")
    cause = Cause(number, "person", call.body["reason"], call.today, by=call.caller.client_id)
    (suspension_id,) = suspensions.suspend(call.session, services=call.services, causes=[cause], now=call.now)
    return queries.suspension(call.session, suspension_id=suspension_id)


@room.operation(
    "/limit-suspensions",
    roles=[Role.OPERATOR, Role.AUDITOR],
    query=wire.SuspensionQuery,
    result=wire.SuspensionsShown,
)
def list_limit_suspensions(call: Call) -> dict[str, Any]:
    """Suspensions of limits, oldest first; with `at`, those that stood at the end of that day."""
    items = queries.suspensions(
        call.session,
        obligor_id=call.query.get("obligor_id"),
        at=call.query.get("at"),
        after=call.after,
        limit=call.query["limit"],
    )
    return call.page(items, by="suspension_id")


@room.operation(
    "/limit-suspensions/<suspension_id>/lifting",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.LiftingReason,
    result=wire.SuspensionShown,
    status=201,
    idempotent=True,
)
def lift_suspension(call: Call, suspension_id: str) -> dict[str, Any]:
    """Lift a suspension; where two have to agree, the first call asks and another operator's lifts."""
    suspensions.lift(
        call.session,
        suspension_id=suspension_id,
        client_id=call.caller.client_id,
        reason=call.body["reason"],
        today=call.today,
        now=call.now,
    )
    return queries.suspension(call.session, suspension_id=suspension_id)


def _day(written: str) -> date:
    """The date in a path or a cursor; what is none names no day that was closed."""
    try:
        if DATE.fullmatch(written):
            return date.fromisoformat(written)
    except ValueError:
        pass
    raise NotFound("There is no such day.")


def _forbearance(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row
    names = wire.ForbearanceShown._declared_fields  # noqa: SLF001 - the contract's own names
    return {name: getattr(row, name) for name in names}
