"""Facilities: pools with tranches."""

from typing import Any

from exchange.auth import Role
from exchange.errors import NotFound
from exchange.facilities import actions, capital, closing, distributions, queries
from exchange.facilities import answer_schemas as shown
from exchange.facilities import schemas as wire
from exchange.facilities.figures import Figures, figures
from exchange.facilities.models import Facility
from exchange.facilities.positions import At
from exchange.facilities.terms import BPS
from exchange.facilities.valuation import CALM, Stress
from exchange.http import Call, Room
from exchange.registry.queries import chain
from exchange.schemas import PageQuery

READERS = [Role.OPERATOR, Role.AUDITOR, Role.FUNDER]
STAFF = [Role.OPERATOR, Role.AUDITOR]
ONE = "/facilities/<facility_id>"
"""What is computed from the pool itself is `across_funders`: the pool's rows are those of its own funder."""
LONGEST_NUMBER = 9

room = Room("facilities", __name__, url_prefix="/v1", description="Pools with tranches")


@room.operation(
    "/facilities",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.FacilityBody,
    result=shown.FacilityOpened,
    status=201,
    idempotent=True,
)
def open_facility(call: Call) -> dict[str, Any]:
    """Open a facility: a funder that buys by its own mandate, with tranches that other funders hold."""
    made = actions.create(
        call.session, services=call.services, body=call.body, client_id=call.caller.client_id, at=_at(call)
    )
    return {"facility_id": made.facility_id, "funder_id": made.funder_id, "mandate_id": made.mandate_id}


@room.operation("/facilities", roles=READERS, query=PageQuery, result=shown.FacilitiesShown)
def list_facilities(call: Call) -> dict[str, Any]:
    """The facilities you may see: a funder those it committed to."""
    items = queries.facilities(call.session, caller=call.caller, after=call.after, limit=call.query["limit"])
    return call.page(items, by="facility_id")


@room.operation(ONE, roles=READERS, across_funders=True, result=shown.FacilityShown)
def show_facility(call: Call, facility_id: str) -> dict[str, Any]:
    """A facility: state and health, tranches with your own part, the rules in force."""
    return queries.shown(call.session, caller=call.caller, facility=_seen(call, facility_id), today=call.today)


@room.operation(
    f"{ONE}/commitments",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.CommitmentBody,
    result=shown.TrancheHoldingsShown,
    status=201,
    idempotent=True,
)
def enter_commitment(call: Call, facility_id: str) -> dict[str, Any]:
    """Enter what a funder committed to a tranche; no money moves before it pays in itself."""
    body = call.body
    capital.commit(
        call.session,
        facility_id=facility_id,
        name=body["tranche"],
        funder_id=body["funder_id"],
        amount_minor=body["amount_minor"],
    )
    return {"items": queries.holdings(call.session, facility_id=facility_id, today=call.today)}


@room.operation(f"{ONE}/holdings", roles=STAFF, result=shown.TrancheHoldingsShown)
def list_holdings(call: Call, facility_id: str) -> dict[str, Any]:
    """Who holds what of a facility's tranches."""
    _seen(call, facility_id)
    return {"items": queries.holdings(call.session, facility_id=facility_id, today=call.today)}


@room.operation(
    f"{ONE}/capital-calls",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.CallBody,
    result=shown.CapitalCalled,
    status=201,
    idempotent=True,
)
def call_capital(call: Call, facility_id: str) -> dict[str, Any]:
    """Call capital of a tranche: each holder's share by what it has uncalled."""
    call_id, shares = capital.call(
        call.session,
        services=call.services,
        facility_id=facility_id,
        body=call.body,
        client_id=call.caller.client_id,
        at=_at(call),
    )
    return {"call_id": call_id, "shares": [{"funder_id": one, "amount_minor": amount} for one, amount in shares]}


@room.operation(f"{ONE}/capital-calls", roles=READERS, result=shown.CapitalCallsShown)
def list_capital_calls(call: Call, facility_id: str) -> dict[str, Any]:
    """What was called, share by share: a holder sees its own."""
    _seen(call, facility_id)
    items = queries.calls(call.session, caller=call.caller, facility_id=facility_id, today=call.today)
    return {"items": items}


@room.operation(
    "/capital-calls/<call_id>/payment",
    method="POST",
    roles=[Role.FUNDER],
    result=shown.SharePaidIn,
    status=201,
    idempotent=True,
    across_funders=True,
)
def pay_capital(call: Call, call_id: str) -> dict[str, Any]:
    """Pay your share of a call from your money here: notes against money, in one transfer."""
    funder_id = str(call.caller.party_id)
    return capital.pay_in(call.session, services=call.services, call_id=call_id, funder_id=funder_id, at=_at(call))


@room.operation(
    f"{ONE}/redemptions",
    method="POST",
    roles=[Role.FUNDER],
    body=wire.RedemptionBody,
    result=shown.RedemptionState,
    status=201,
    idempotent=True,
)
def redeem_principal(call: Call, facility_id: str) -> dict[str, Any]:
    """Ask for principal back at the next payment dates; until then the rules do not change."""
    _seen(call, facility_id)
    redemption_id = capital.redeem(
        call.session,
        services=call.services,
        facility_id=facility_id,
        name=call.body["tranche"],
        funder_id=str(call.caller.party_id),
        amount_minor=call.body["amount_minor"],
        at=_at(call),
    )
    return {"redemption_id": redemption_id}


@room.operation(f"{ONE}/redemptions", roles=READERS, result=shown.RedemptionsShown)
def list_redemptions(call: Call, facility_id: str) -> dict[str, Any]:
    """Redemptions: a holder sees its own."""
    _seen(call, facility_id)
    return {"items": queries.redemptions(call.session, caller=call.caller, facility_id=facility_id)}


@room.operation(
    "/redemptions/<redemption_id>/withdrawal",
    method="POST",
    roles=[Role.FUNDER],
    result=shown.RedemptionState,
    status=201,
    idempotent=True,
)
def withdraw_redemption(call: Call, redemption_id: str) -> dict[str, Any]:
    """Leave the rest of your money in."""
    funder_id = str(call.caller.party_id)
    capital.withdraw_redemption(call.session, redemption_id=redemption_id, funder_id=funder_id, at=_at(call))
    return {"redemption_id": redemption_id}


@room.operation(
    f"{ONE}/states",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.StateBody,
    result=shown.FacilityState,
    status=201,
    idempotent=True,
)
def turn_facility(call: Call, facility_id: str) -> dict[str, Any]:
    """Turn a facility on; closing pays out all that is left."""
    to, reason = call.body["state"], call.body["reason"]
    closing.set_state(call.session, services=call.services, facility_id=facility_id, to=to, reason=reason, at=_at(call))
    return {"facility_id": facility_id, "state": to}


@room.operation(f"{ONE}/facts", roles=READERS, query=PageQuery, result=shown.FacilityFactsShown)
def list_facility_facts(call: Call, facility_id: str) -> dict[str, Any]:
    """Every turn of state, health and triggers, with the numbers compared."""
    _seen(call, facility_id)
    limit = call.query["limit"]
    return _page(call, queries.facts(call.session, facility_id=facility_id, after=call.after, limit=limit))


@room.operation(f"{ONE}/base", roles=READERS, across_funders=True, query=wire.AsOf, result=shown.FiguresShown)
def show_borrowing_base(call: Call, facility_id: str) -> dict[str, Any]:
    """The borrowing base: what counts, what does not and by which rule, the excess over each limit."""
    return _figures(call, facility_id, "assets", "base", "money")


@room.operation(f"{ONE}/nav", roles=READERS, across_funders=True, query=wire.AsOf, result=shown.FiguresShown)
def show_net_asset_value(call: Call, facility_id: str) -> dict[str, Any]:
    """The net asset value, what value was lost to, and what of it is each tranche's."""
    return _figures(call, facility_id, "assets", "nav", "money", "tranches")


@room.operation(f"{ONE}/tests", roles=READERS, across_funders=True, query=wire.AsOf, result=shown.FiguresShown)
def show_facility_tests(call: Call, facility_id: str) -> dict[str, Any]:
    """Each test with its number, its threshold, and what it turns."""
    return _figures(call, facility_id, "tests")


@room.operation(f"{ONE}/stress", roles=READERS, across_funders=True, query=wire.StressQuery, result=shown.StressShown)
def stress_facility(call: Call, facility_id: str) -> dict[str, Any]:
    """What base, value and tests would be; nothing changes."""
    facility, wanted = _seen(call, facility_id), call.query
    stress = Stress(wanted["pd_bps"], wanted["lgd_bps"], 0, wanted["prepaid_ppm"])
    more_bps = max(wanted["dilution_bps"] - BPS, 0)
    stressed = _computed(call, facility, stress=stress, dilution_bps=more_bps)
    return {"calm": _computed(call, facility).shown(), "stressed": stressed.shown()}


@room.operation(
    f"{ONE}/waterfall", roles=READERS, across_funders=True, query=wire.DayQuery, result=shown.WaterfallShown
)
def preview_waterfall(call: Call, facility_id: str) -> dict[str, Any]:
    """What a payment date would pay with what there is now."""
    facility = _seen(call, facility_id)
    found = _computed(call, facility)
    day = call.query.get("date") or call.today
    return distributions.preview(call.session, facility=facility, figures=found, day=day)


@room.operation(f"{ONE}/distributions", roles=READERS, query=PageQuery, result=shown.DistributionsShown)
def list_distributions(call: Call, facility_id: str) -> dict[str, Any]:
    """What was paid on each payment date, and what of it to you."""
    _seen(call, facility_id)
    key = {"caller": call.caller, "facility_id": facility_id, "after": call.after, "limit": call.query["limit"]}
    return _page(call, queries.distributions(call.session, **key))


@room.operation(f"{ONE}/losses", roles=READERS, query=PageQuery, result=shown.FacilityLossesShown)
def list_facility_losses(call: Call, facility_id: str) -> dict[str, Any]:
    """Who bore each loss, and who was made whole by each recovery."""
    _seen(call, facility_id)
    limit = call.query["limit"]
    return _page(call, queries.losses(call.session, facility_id=facility_id, after=call.after, limit=limit))


@room.operation(
    f"{ONE}/rules",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.RulesSchema,
    result=shown.RulesAnnounced,
    status=201,
    idempotent=True,
)
def announce_rules(call: Call, facility_id: str) -> dict[str, Any]:
    """Announce other rules: they wait for their notice, and while money waits to leave."""
    row = actions.change_rules(
        call.session, facility_id=facility_id, body=call.body, client_id=call.caller.client_id, at=_at(call)
    )
    return {"version": row.version, "effective_on": row.effective_on}


@room.operation(f"{ONE}/rules", roles=READERS, result=shown.RulesVersions)
def list_rules(call: Call, facility_id: str) -> dict[str, Any]:
    """Every version of the rules."""
    _seen(call, facility_id)
    return {"items": queries.rules_versions(call.session, facility_id=facility_id, today=call.today)}


@room.operation(
    f"{ONE}/rules/<version>/withdrawal",
    method="POST",
    roles=[Role.OPERATOR],
    result=shown.RulesWithdrawn,
    status=201,
    idempotent=True,
)
def withdraw_rules(call: Call, facility_id: str, version: str) -> dict[str, Any]:
    """Withdraw rules that wait."""
    if not version.isascii() or not version.isdigit() or len(version) > LONGEST_NUMBER:
        raise NotFound("There is no such version.")
    actions.withdraw_rules(call.session, facility_id=facility_id, version=int(version), at=_at(call))
    return {"version": int(version)}


@room.operation(
    "/servicer-reports",
    method="POST",
    roles=[Role.PLATFORM],
    body=wire.ReportBody,
    result=shown.ReportTaken,
    status=201,
    idempotent=True,
)
def report_servicing(call: Call) -> dict[str, Any]:
    """Say what you service for facilities; a servicer that is silent makes its assets worth less."""
    originator_id = str(call.caller.party_id)
    client_id = call.caller.client_id
    taken = actions.report(call.session, originator_id=originator_id, body=call.body, client_id=client_id, at=_at(call))
    names = ("report_date", "asset_count", "outstanding_minor", "known_count", "known_minor")
    return {name: taken[name] for name in names}


@room.operation(f"{ONE}/records", roles=READERS, result=shown.FacilityRecords)
def show_facility_records(call: Call, facility_id: str) -> dict[str, Any]:
    """A facility's signed life, to be verified without us."""
    _seen(call, facility_id)
    return {"items": chain(call.session, asset_id=facility_id, disclosed=True)}


def _at(call: Call) -> At:
    return At(call.today, call.now)


def _seen(call: Call, facility_id: str) -> Facility:
    return queries.seen(call.session, caller=call.caller, facility_id=facility_id)


def _computed(call: Call, facility: Facility, *, stress: Stress = CALM, dilution_bps: int = 0) -> Figures:
    zone = call.services.settings.time_zone
    return figures(
        call.session, facility=facility, today=call.today, zone=zone, stress=stress, dilution_bps=dilution_bps
    )


def _figures(call: Call, facility_id: str, *parts: str) -> dict[str, Any]:
    """Parts of the figures of today, or of the close of the day that is asked for."""
    facility, day = _seen(call, facility_id), call.query.get("as_of", call.today)
    if day == call.today:
        found = _computed(call, facility).shown()
    else:
        found = queries.kept(call.session, facility_id=facility_id, day=day)
    return {name: found[name] for name in ("as_of", "state", *parts)}


def _page(call: Call, items: list[dict[str, Any]]) -> dict[str, Any]:
    page = call.page(items, by="place")
    return page | {"items": [{name: one[name] for name in one if name != "place"} for one in items]}
