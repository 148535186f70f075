"""What policies and charges look like on the wire."""

import marshmallow as ma

from exchange.receivables.schemas import PRODUCTS
from exchange.schemas import MAX_MINOR, Id, Integer, List, Nested, OneOf, QueryInteger, Schema, Text
from exchange.settlement.policies import MOST_STEPS, PPM
from exchange.waterfalls.orders import MOST_LEGS

WHOLE_BPS = 10_000
MOST_DAYS = 3_650


class LegSchema(Schema):
    """What is paid in a step: one of fees, penalty, discount, principal, holdback; `share_ppm` where several share."""

    due = Text(40, required=True)
    share_ppm = Integer(1, PPM)


class StepSchema(Schema):
    """A place in the order. `remainder` names the due that gets what the shares do not divide."""

    legs = List(Nested(LegSchema), 1, MOST_LEGS, required=True)
    remainder = Text(40)


class OrderSchema(Schema):
    """Who is paid from a collection, in order; backwards, who bears a loss."""

    steps = List(Nested(StepSchema), 1, MOST_STEPS, required=True)


class GivenUpSchema(Schema):
    """From so many days after the due date on, so much of a claim is given up."""

    days_late = Integer(1, MOST_DAYS, required=True)
    share_ppm = Integer(1, PPM, required=True)


class TermsSchema(Schema):
    """How collections are shared and losses taken. What is left out is as it is without a policy."""

    order = Nested(OrderSchema)
    penalty_bps = Integer(0, WHOLE_BPS)
    penalty_grace_days = Integer(0, 365)
    tolerance_minor = Integer(0, MAX_MINOR)
    tolerance_bps = Integer(0, WHOLE_BPS)
    write_offs = List(Nested(GivenUpSchema), 0, MOST_STEPS)
    second_person_minor = Integer(0, MAX_MINOR)
    limited_recourse_ppm = Integer(0, PPM)
    recourse_days = Integer(0, 365)


class SettlementPolicyBody(TermsSchema):
    """Terms for an originator and a product, or for all of them where none is named. They hold from now on."""

    originator_id = Id("org")
    product = OneOf(*PRODUCTS)


class SettlementPolicyEntered(ma.Schema):
    """The number of the version."""

    version = ma.fields.Integer(required=True)


class SettlementPolicyShown(SettlementPolicyEntered):
    """A version of terms. The narrowest that names an asset's originator and product counts, the newest of it."""

    originator_id = Id("org", required=True, allow_none=True)
    product = ma.fields.String(required=True, allow_none=True)
    terms = ma.fields.Dict(required=True)
    set_by = ma.fields.String(required=True)
    set_at = ma.fields.AwareDateTime(required=True)


class SettlementPolicyQuery(Schema):
    """Which versions."""

    after = QueryInteger(0, 2**31 - 1, load_default=0)
    limit = QueryInteger(1, 1000, load_default=100)


class SettlementPoliciesShown(ma.Schema):
    """Versions, oldest first."""

    items = ma.fields.List(ma.fields.Nested(SettlementPolicyShown), required=True)


class FeeBody(Schema):
    """A fee that the obligor owes on top of a claim; `reference` is yours, once for each asset."""

    reference = Text(64, required=True)
    amount_minor = Integer(1, MAX_MINOR, required=True)


class FeeEntered(ma.Schema):
    """The charge."""

    charge_id = Id("chg", required=True)


class ChargeShown(FeeEntered):
    """A fee, or interest for being late from a day to a day, and what of it was paid."""

    kind = OneOf("fee", "penalty", required=True)
    reference = ma.fields.String(required=True)
    amount_minor = ma.fields.Integer(required=True)
    paid_minor = ma.fields.Integer(required=True)
    from_date = ma.fields.Date(required=True, allow_none=True)
    to_date = ma.fields.Date(required=True, allow_none=True)


class ChargesShown(ma.Schema):
    """The charges of an asset, oldest first."""

    items = ma.fields.List(ma.fields.Nested(ChargeShown), required=True)
