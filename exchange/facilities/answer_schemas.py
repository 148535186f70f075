"""What facilities answer."""

import marshmallow as ma

from exchange.schemas import Id, OneOf


class FacilityOpened(ma.Schema):
    """The facility, and the funder as which it buys."""

    facility_id = Id("fac", required=True)
    funder_id = Id("fnd", required=True)
    mandate_id = Id("mdt", required=True)


class OwnHolding(ma.Schema):
    """What the caller has of a tranche."""

    committed_minor = ma.fields.Integer(required=True)
    principal_minor = ma.fields.Integer(required=True)
    lost_minor = ma.fields.Integer(required=True)
    interest_due_minor = ma.fields.Integer(required=True)
    redeeming_minor = ma.fields.Integer(required=True)


class TrancheShown(OwnHolding):
    """A tranche, its holders together; `own` is the caller's part, null for whoever holds none."""

    tranche_id = Id("trn", required=True)
    name = ma.fields.String(required=True)
    kind = ma.fields.String(required=True)
    rank = ma.fields.Integer(required=True)
    size_minor = ma.fields.Integer(required=True)
    rate_bps = ma.fields.Integer(required=True)
    day_count = ma.fields.String(required=True)
    min_subordination_bps = ma.fields.Integer(required=True)
    own = ma.fields.Nested(OwnHolding, required=True, allow_none=True)


class TriggerOn(ma.Schema):
    """A trigger that is on."""

    test = ma.fields.String(required=True)
    turns = ma.fields.String(required=True)


class FacilityListed(ma.Schema):
    """A facility: how it stands."""

    facility_id = Id("fac", required=True)
    name = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    opened_on = ma.fields.Date(required=True)
    state = ma.fields.String(required=True)
    health = ma.fields.String(required=True)
    reason = ma.fields.String(required=True)


class FacilitiesShown(ma.Schema):
    """A page of facilities."""

    items = ma.fields.List(ma.fields.Nested(FacilityListed), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class FacilityShown(FacilityListed):
    """A facility with tranches, rules in force and the triggers that are on."""

    funder_id = Id("fnd", required=True)
    mandate_id = Id("mdt", required=True)
    tranches = ma.fields.List(ma.fields.Nested(TrancheShown), required=True)
    triggers = ma.fields.List(ma.fields.Nested(TriggerOn), required=True)
    rules = ma.fields.Dict(required=True)


class TrancheHoldingShown(OwnHolding):
    """A holder of a tranche."""

    tranche = ma.fields.String(required=True)
    funder_id = Id("fnd", required=True)


class TrancheHoldingsShown(ma.Schema):
    """Who holds what."""

    items = ma.fields.List(ma.fields.Nested(TrancheHoldingShown), required=True)


class CalledShareShown(ma.Schema):
    """A holder's share of a call."""

    funder_id = Id("fnd", required=True)
    amount_minor = ma.fields.Integer(required=True)


class CapitalCalled(ma.Schema):
    """The call and its shares."""

    call_id = Id("cll", required=True)
    shares = ma.fields.List(ma.fields.Nested(CalledShareShown), required=True)


class CapitalCallShown(ma.Schema):
    """A share of a call: one's own, or everybody's for an operator."""

    call_id = Id("cll", required=True)
    tranche = ma.fields.String(required=True)
    funder_id = Id("fnd", required=True)
    amount_minor = ma.fields.Integer(required=True)
    called_on = ma.fields.Date(required=True)
    due_date = ma.fields.Date(required=True)
    state = OneOf("open", "overdue", "paid", required=True)
    paid_on = ma.fields.Date(required=True, allow_none=True)


class CapitalCallsShown(ma.Schema):
    """Shares of calls, oldest first."""

    items = ma.fields.List(ma.fields.Nested(CapitalCallShown), required=True)


class SharePaidIn(ma.Schema):
    """Paid: the notes are there."""

    call_id = Id("cll", required=True)
    amount_minor = ma.fields.Integer(required=True)
    paid_on = ma.fields.Date(required=True)


class RedemptionState(ma.Schema):
    """The redemption."""

    redemption_id = Id("rdm", required=True)


class RedemptionShown(RedemptionState):
    """A redemption; without `outcome` it waits."""

    tranche = ma.fields.String(required=True)
    funder_id = Id("fnd", required=True)
    amount_minor = ma.fields.Integer(required=True)
    paid_minor = ma.fields.Integer(required=True)
    asked_on = ma.fields.Date(required=True)
    outcome = ma.fields.String(required=True, allow_none=True)
    ended_on = ma.fields.Date(required=True, allow_none=True)


class RedemptionsShown(ma.Schema):
    """Redemptions, oldest first."""

    items = ma.fields.List(ma.fields.Nested(RedemptionShown), required=True)


class FacilityState(ma.Schema):
    """Where it is."""

    facility_id = Id("fac", required=True)
    state = ma.fields.String(required=True)


class FacilityFactShown(ma.Schema):
    """A turn of the state, the health or a trigger, with the numbers compared."""

    number = ma.fields.Integer(required=True)
    axis = ma.fields.String(required=True)
    value = ma.fields.String(required=True)
    test = ma.fields.String(required=True, allow_none=True)
    reason = ma.fields.String(required=True)
    numbers = ma.fields.Dict(required=True)
    business_date = ma.fields.Date(required=True)
    recorded_at = ma.fields.AwareDateTime(required=True)


class FacilityFactsShown(ma.Schema):
    """A page of facts, oldest first."""

    items = ma.fields.List(ma.fields.Nested(FacilityFactShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class FiguresShown(ma.Schema):
    """What a facility comes to: `assets`, `money`, `nav`, `base`, `tests` and `tranches`, as asked."""

    as_of = ma.fields.Date(required=True)
    state = ma.fields.String(required=True)
    assets = ma.fields.Dict()
    money = ma.fields.Dict()
    nav = ma.fields.Dict()
    base = ma.fields.Dict()
    tests = ma.fields.List(ma.fields.Dict())
    tranches = ma.fields.List(ma.fields.Dict())


class StressShown(ma.Schema):
    """The figures as they are, and under the stress."""

    calm = ma.fields.Nested(FiguresShown, required=True)
    stressed = ma.fields.Nested(FiguresShown, required=True)


class PaymentLine(ma.Schema):
    """A line of a waterfall."""

    due = ma.fields.String(required=True)
    payee = ma.fields.String(required=True)
    amount_minor = ma.fields.Integer(required=True)


class WaterfallShown(ma.Schema):
    """What a payment date pays: from cash, of it profit, and from the reserve; what stays unpaid and what is left."""

    payment_date = ma.fields.Date(required=True)
    state = ma.fields.String(required=True)
    on = ma.fields.List(ma.fields.String(), required=True)
    cash_minor = ma.fields.Integer(required=True)
    profit_minor = ma.fields.Integer(required=True)
    released_minor = ma.fields.Integer(required=True)
    payments = ma.fields.List(ma.fields.Nested(PaymentLine), required=True)
    drawn = ma.fields.List(ma.fields.Nested(PaymentLine), required=True)
    unpaid = ma.fields.Dict(required=True)
    reserve_minor = ma.fields.Integer(required=True)
    left_minor = ma.fields.Integer(required=True)


class OwnPayment(ma.Schema):
    """What the caller got."""

    tranche = ma.fields.String(required=True)
    kind = ma.fields.String(required=True)
    amount_minor = ma.fields.Integer(required=True)


class DistributionShown(WaterfallShown):
    """A distribution, and what of it was the caller's."""

    paid_on = ma.fields.Date(required=True)
    own = ma.fields.List(ma.fields.Nested(OwnPayment), required=True)


class DistributionsShown(ma.Schema):
    """A page of distributions, oldest first."""

    items = ma.fields.List(ma.fields.Nested(DistributionShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class FacilityLossShown(ma.Schema):
    """A loss and who bore it, or (negative) a recovery and who was made whole."""

    asset_id = Id("ast", required=True)
    amount_minor = ma.fields.Integer(required=True)
    parts = ma.fields.List(ma.fields.Raw(), required=True)
    business_date = ma.fields.Date(required=True)


class FacilityLossesShown(ma.Schema):
    """A page of losses, oldest first."""

    items = ma.fields.List(ma.fields.Nested(FacilityLossShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class FacilityRulesShown(ma.Schema):
    """A version of the rules."""

    version = ma.fields.Integer(required=True)
    announced_on = ma.fields.Date(required=True)
    effective_on = ma.fields.Date(required=True)
    state = OneOf("waiting", "blocked", "in_force", "past", "withdrawn", required=True)
    applied_on = ma.fields.Date(required=True, allow_none=True)
    terms = ma.fields.Dict(required=True)


class RulesVersions(ma.Schema):
    """All versions, oldest first."""

    items = ma.fields.List(ma.fields.Nested(FacilityRulesShown), required=True)


class RulesAnnounced(ma.Schema):
    """The version, and from when on it may apply."""

    version = ma.fields.Integer(required=True)
    effective_on = ma.fields.Date(required=True)


class RulesWithdrawn(ma.Schema):
    """The version that applies no more."""

    version = ma.fields.Integer(required=True)


class ReportTaken(ma.Schema):
    """The report beside what the exchange has: where they differ, somebody is wrong."""

    report_date = ma.fields.Date(required=True)
    asset_count = ma.fields.Integer(required=True)
    outstanding_minor = ma.fields.Integer(required=True)
    known_count = ma.fields.Integer(required=True)
    known_minor = ma.fields.Integer(required=True)


class FacilityRecord(ma.Schema):
    """One link of a facility's signed chain: a JWS, and its place in the log."""

    sequence = ma.fields.Integer(required=True)
    kind = ma.fields.String(required=True)
    jws = ma.fields.String(required=True)
    disclosures = ma.fields.List(ma.fields.String(), required=True)
    log_index = ma.fields.Integer(required=True)


class FacilityRecords(ma.Schema):
    """A facility's signed life so far."""

    items = ma.fields.List(ma.fields.Nested(FacilityRecord), required=True)
