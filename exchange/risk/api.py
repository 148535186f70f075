"""Trade history in; decisions, limits as of any date, products and the risk appetite."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from exchange.auth import Role
from exchange.bulk import failed, read_items
from exchange.errors import InvalidRequest, NotFound
from exchange.http import Call, Room
from exchange.receivables.api import origin_of
from exchange.receivables.outcomes import Outcome
from exchange.risk import actions, history, losses, queries, rules
from exchange.risk.rules import RiskTerms
from exchange.risk.schemas import (
    AsOfQuery,
    DecisionShown,
    HistoriesSchema,
    HistoryItem,
    HistoryResults,
    HistorySchema,
    LimitEventsShown,
    LimitLines,
    LimitShown,
    ProductsShown,
    RiskPolicyShown,
    RiskTermsSchema,
)
from exchange.schemas import PageQuery

READERS = [Role.OPERATOR, Role.AUDITOR]

room = Room("risk", __name__, url_prefix="/v1", description="Facts about payers, decisions, limits, products")


@room.operation(
    "/trade-history",
    method="POST",
    roles=[Role.PLATFORM],
    bulk=HistoriesSchema,
    result=HistoryResults,
    idempotent=True,
)
def keep_trade_history(call: Call) -> dict[str, Any]:
    """Tell the exchange of up to 1,000 invoices from before it knew the platform."""
    read = read_items(call.raw, HistoryItem, HistorySchema())
    outcomes = history.keep_history(call.session, services=call.services, origin=origin_of(call), items=read.good)
    return read.answer({index: _told(index, outcome) for index, outcome in outcomes.items()})


@room.operation("/risk-policy", roles=READERS, result=RiskPolicyShown)
def show_risk_policy(call: Call) -> dict[str, Any]:
    """The risk appetite in force."""
    return _policy(call)


@room.operation(
    "/risk-policy",
    method="PUT",
    replaces=True,
    roles=[Role.OPERATOR],
    body=RiskTermsSchema,
    result=RiskPolicyShown,
)
def put_risk_policy(call: Call) -> dict[str, Any]:
    """Set the risk appetite from now on, as a new version; what was decided stays as it was decided."""
    terms = msgspec.convert(call.body, RiskTerms)
    faults = rules.policy_faults(terms)
    if faults:
        raise InvalidRequest("These terms contradict themselves.", faults=tuple(faults))
    actions.set_policy(call.session, terms=terms, by=call.caller.client_id, now=call.now)
    return _policy(call)


@room.operation("/assets/<asset_id>/decision", roles=[*READERS, Role.PLATFORM], result=DecisionShown)
def show_decision(call: Call, asset_id: str) -> dict[str, Any]:
    """What was decided about an asset: inputs, model, chances, reasons, term and price with its parts."""
    return queries.decision(call.session, asset_id=asset_id, originator_id=call.caller.party_id)


@room.operation("/limits", roles=READERS, query=PageQuery, result=LimitLines)
def list_limits(call: Call) -> dict[str, Any]:
    """Every company's limits as they are now."""
    return _page(call, queries.limits(call.session, after=call.after, limit=call.query["limit"]))


@room.operation("/limits/<company_id>", roles=READERS, query=AsOfQuery, result=LimitShown)
def show_limit(call: Call, company_id: str) -> dict[str, Any]:
    """A company's limits as they stood at any moment: ceilings, use, what was suspended and who may lift that."""
    return queries.limit(call.session, company_id=company_id, as_of=call.query.get("as_of", call.now))


@room.operation("/limits/<company_id>/history", roles=READERS, query=PageQuery, result=LimitEventsShown)
def list_limit_events(call: Call, company_id: str) -> dict[str, Any]:
    """Every change of a company's limits and every use of them, with its cause."""
    limit = call.query["limit"]
    items = queries.limit_history(call.session, company_id=company_id, after=call.after, limit=limit)
    return _page(call, items)


@room.operation("/companies/<company_id>/products", roles=[*READERS, Role.PLATFORM], result=ProductsShown)
def list_products(call: Call, company_id: str) -> dict[str, Any]:
    """Which products are open to a company, what is missing for the others, and on what terms."""
    if call.caller.party_id is not None and not queries.trades_with(
        call.session, originator_id=call.caller.party_id, company_id=company_id
    ):
        raise NotFound("There is no such company.")
    return queries.products(call.session, company_id=company_id, now=call.now)


def _page(call: Call, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A page in the order of `place`, which is the cursor's alone."""
    page = call.page(items, by="place")
    return page | {"items": [{name: one[name] for name in one if name != "place"} for one in items]}


def _policy(call: Call) -> dict[str, Any]:
    found = losses.policy(call.session)
    return {"version": found.version, "terms": msgspec.to_builtins(found.terms)}


def _told(index: int, outcome: Outcome) -> dict[str, Any]:
    """A past trade has no asset's id to tell."""
    return (
        failed(index, 409 if outcome.duplicate else 422, outcome.faults)
        if outcome.faults
        else {"index": index, "status": 201}
    )
