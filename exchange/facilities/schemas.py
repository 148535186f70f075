"""What facilities look like on the wire."""

import marshmallow as ma

from exchange.facilities.terms import BPS, KEYS, PPM, STATES, TESTS, TURNS
from exchange.pools.schemas import MAX_RATE_BPS, MandateSchema
from exchange.receivables.rules import GRADES
from exchange.receivables.schemas import PRODUCTS, RECOURSE
from exchange.schedules.calendars import CALENDARS, Convention
from exchange.schedules.daycount import DayCount
from exchange.schemas import (
    MAX_MINOR,
    Id,
    Integer,
    IsoDate,
    List,
    Nested,
    OneOf,
    QueryInteger,
    Schema,
    Text,
)
from exchange.waterfalls.orders import MOST_LEGS, MOST_STEPS

NAME = "[a-z][a-z0-9]{0,20}"
TAKEN = ("all", "exchange", "fees", "nobody", "reserve")
MOST_DAYS = 3_650
MOST_TIMES_BPS = 1_000_000


def _name() -> Text:
    """The name of a tranche: a word that orders of payment do not use otherwise."""
    name = Text(21, pattern=NAME, required=True)
    name.validators.append(ma.validate.NoneOf(TAKEN, error="name_taken: another word, orders use this one"))
    return name


class WaterfallLegSchema(Schema):
    """Who is paid in a step: a due like `fees`, `senior_interest`, `senior_principal`, `reserve`, or `all` the rest."""

    due = Text(40, required=True)
    payee = Text(40)
    share_ppm = Integer(1, PPM)


class WaterfallStepSchema(Schema):
    """A place in an order; `when` and `unless` name a state, `unhealthy`, or a test whose trigger is on."""

    legs = List(Nested(WaterfallLegSchema), 1, MOST_LEGS, required=True)
    remainder = Text(40)
    when = Text(40)
    unless = Text(40)


class WaterfallOrderSchema(Schema):
    """Who is paid, in order."""

    steps = List(Nested(WaterfallStepSchema), 1, MOST_STEPS, required=True)


class CutSchema(Schema):
    """From so many days on, so much of the value is gone."""

    days = Integer(1, MOST_DAYS, required=True)
    share_ppm = Integer(1, PPM, required=True)


class EligibilitySchema(Schema):
    """Which assets count for the base; what is left out lets all pass."""

    products = List(OneOf(*PRODUCTS), 1, len(PRODUCTS))
    recourse = List(OneOf(*RECOURSE), 1, len(RECOURSE))
    confirmation_grades = List(OneOf(*GRADES), 1, len(GRADES))
    max_pd_ppm = Integer(0, PPM)
    max_tenor_days = Integer(0, MOST_DAYS)
    max_days_late = Integer(0, MOST_DAYS, required=True)
    max_score_age_days = Integer(0, MOST_DAYS)
    max_silence_days = Integer(0, MOST_DAYS)
    max_late_share_ppm = Integer(0, PPM)


class LimitSchema(Schema):
    """How much one obligor, seller, ... may have of what is eligible: a share, an amount, or the less of both.

    With `of`, only the one of that name is limited.
    """

    by = OneOf(*KEYS, required=True)
    share_ppm = Integer(0, PPM)
    amount_minor = Integer(0, MAX_MINOR)
    of = Text(100)


class TriggerSchema(Schema):
    """Above its threshold a test stops purchases; `amortising` and `accelerated` turn the facility for good."""

    test = OneOf(*TESTS, required=True)
    threshold = Integer(0, MAX_MINOR, required=True)
    turns = OneOf(*TURNS, required=True)


class PaymentsSchema(Schema):
    """Payment dates: from `first_date` on, every so many months, moved to business days of a calendar."""

    first_date = IsoDate(required=True)
    every_months = Integer(1, 12)
    calendar = OneOf(*CALENDARS)
    convention = OneOf(*Convention)


class PurchasesSchema(MandateSchema):
    """What a facility buys: a mandate's terms; every offer is taken."""

    class Meta(MandateSchema.Meta):
        """The exchange names it."""

        exclude = ("name", "auto_commit")


class RulesSchema(Schema):
    """The rules of a facility. `purchases` is its mandate; orders that are left out are the standard ones."""

    purchases = Nested(PurchasesSchema, required=True)
    payments = Nested(PaymentsSchema, required=True)
    eligibility = Nested(EligibilitySchema)
    limits = List(Nested(LimitSchema), 0, 20)
    triggers = List(Nested(TriggerSchema), 0, 20)
    profit = Nested(WaterfallOrderSchema)
    principal = Nested(WaterfallOrderSchema)
    losses = List(Text(21, pattern=NAME), 1, 20)
    advance_bps = Integer(0, BPS)
    dilution_bps = Integer(0, MOST_TIMES_BPS)
    discount_bps = Integer(0, BPS)
    late = List(Nested(CutSchema), 0, 20)
    silence = List(Nested(CutSchema), 0, 20)
    stale = List(Nested(CutSchema), 0, 20)
    late_days = Integer(1, MOST_DAYS)
    window_days = Integer(1, MOST_DAYS)
    reserve_minor = Integer(0, MAX_MINOR)
    reserve_ppm = Integer(0, PPM)
    fee_bps = Integer(0, MAX_RATE_BPS)
    notice_days = Integer(0, 365)
    revolving_from = IsoDate()
    revolving_until = IsoDate()


class TrancheSchema(Schema):
    """A tranche: rank 1 is paid first. A `cover` is money beside the pool that bears losses within its caps."""

    name = _name()
    kind = OneOf("tranche", "cover", required=True)
    rank = Integer(1, 20, required=True)
    size_minor = Integer(1, MAX_MINOR, required=True)
    rate_bps = Integer(0, MAX_RATE_BPS, required=True)
    day_count = OneOf(*DayCount, required=True)
    min_subordination_bps = Integer(0, BPS - 1, load_default=0)
    per_loss_minor = Integer(0, MAX_MINOR)
    per_loss_ppm = Integer(0, PPM)


class FacilityBody(Schema):
    """A facility to open: its name, its tranches, its first rules."""

    name = Text(200, required=True)
    tranches = List(Nested(TrancheSchema), 1, 20, required=True)
    rules = Nested(RulesSchema, required=True)


class CommitmentBody(Schema):
    """What a funder committed to a tranche by contract; more of it later adds up."""

    tranche = _name()
    funder_id = Id("fnd", required=True)
    amount_minor = Integer(1, MAX_MINOR, required=True)


class CallBody(Schema):
    """Capital to be paid in by the holders of a tranche, by what each has uncalled."""

    tranche = _name()
    amount_minor = Integer(1, MAX_MINOR, required=True)
    due_date = IsoDate(required=True)


class RedemptionBody(Schema):
    """How much principal to pay back at the next payment dates, as far as the rules let it go."""

    tranche = _name()
    amount_minor = Integer(1, MAX_MINOR, required=True)


class StateBody(Schema):
    """Where to turn the facility, and why."""

    state = OneOf(*STATES[1:], required=True)
    reason = Text(200, required=True)


class AsOf(Schema):
    """Of which day: today, if none is said, or the close of another one."""

    as_of = IsoDate()


class StressQuery(Schema):
    """What if: PD, LGD and dilution times so much (10,000: as it is), and so much paid at once."""

    pd_bps = QueryInteger(0, MOST_TIMES_BPS, load_default=BPS)
    lgd_bps = QueryInteger(0, MOST_TIMES_BPS, load_default=BPS)
    dilution_bps = QueryInteger(0, MOST_TIMES_BPS, load_default=BPS)
    prepaid_ppm = QueryInteger(0, PPM, load_default=0)


class DayQuery(Schema):
    """Which payment date: the next one, if none is said."""

    date = IsoDate()


class ReportBody(Schema):
    """What a servicer says it services for facilities in a currency."""

    currency = Text(3, pattern="[A-Z]{3}", required=True)
    asset_count = Integer(0, MAX_MINOR, required=True)
    outstanding_minor = Integer(0, MAX_MINOR, required=True)
