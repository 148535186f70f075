"""What the close of business, its policies, proposals to wait and suspended limits look like on the wire."""

import marshmallow as ma

from exchange.receivables.schemas import PRODUCTS
from exchange.schedules.calendars import CALENDARS, Convention
from exchange.schedules.schedule import MOST_INSTALMENTS
from exchange.schemas import (
    MAX_MINOR,
    Boolean,
    Id,
    Integer,
    IsoDate,
    List,
    Moment,
    Nested,
    OneOf,
    PageQuery,
    Schema,
    Text,
)
from exchange.servicing.consent import KINDS
from exchange.servicing.terms import MOST_DAYS

OUTCOMES = ("accepted", "refused", "withdrawn")
MOST_GRACE = 60


class ServicingBucketSchema(Schema):
    """Days past due after grace, both included. The last bucket has no `to_day`."""

    from_day = Integer(1, MOST_DAYS, required=True)
    to_day = Integer(1, MOST_DAYS)


class LiftingSchema(Schema):
    """Who lifts a suspension of limits: the rule, once the asset is cured, or a person; two, if it says so."""

    by = OneOf("cure", "person", required=True)
    second_person = Boolean()


class ForbearanceLimits(Schema):
    """How far an originator may propose to go, whatever an owner agrees to."""

    max_pause_days = Integer(1, MOST_DAYS, required=True)
    max_extension_days = Integer(1, MOST_DAYS, required=True)
    max_count = Integer(0, 100, required=True)


class ServicingTermsSchema(Schema):
    """What servicing goes by. What is left out is the default.

    That is 3 days of grace, no calendar, reminders 7, 3, 1 and 0 days before, buckets 1-15, 16-30, 31-60 and 61 on,
    near breach on day 75 (0 is none), default on day 90 and charge-off on day 120 past due after grace.
    `suspends_at` names the stage (`late_31`, `near_breach`, `default`, ...) that suspends the obligor's limits;
    `suspends_group` suspends those of its controller's other companies too.
    """

    grace_days = Integer(0, MOST_GRACE, required=True)
    calendar = OneOf(*CALENDARS)
    convention = OneOf(*Convention)
    reminder_days = List(Integer(0, MOST_GRACE), 0, 10)
    buckets = List(Nested(ServicingBucketSchema), 1, 20)
    near_breach_day = Integer(0, MOST_DAYS)
    default_day = Integer(1, MOST_DAYS)
    charge_off_day = Integer(1, MOST_DAYS)
    suspends_at = Text(20, pattern="[a-z_0-9]{1,20}")
    suspends_group = Boolean()
    lifting = Nested(LiftingSchema)
    forbearance = Nested(ForbearanceLimits)


class ServicingPolicySchema(Schema):
    """A version of a servicing policy, from a day after today on. Without `originator_id` and `product`: for all."""

    originator_id = Id("org")
    product = OneOf(*PRODUCTS)
    effective_from = IsoDate(required=True)
    terms = Nested(ServicingTermsSchema, required=True)


class ServicingPolicyShown(ma.Schema):
    """A version of a policy, with every term it holds."""

    originator_id = ma.fields.String(required=True, allow_none=True)
    product = ma.fields.String(required=True, allow_none=True)
    effective_from = ma.fields.Date(required=True)
    terms = ma.fields.Dict(required=True)


class ServicingPoliciesShown(ma.Schema):
    """Every version, and what holds where there is none."""

    items = ma.fields.List(ma.fields.Nested(ServicingPolicyShown), required=True)
    standard = ma.fields.Dict(required=True)


class ClosedDayShown(ma.Schema):
    """How far a business date is closed. Once all chunks are done it has ended."""

    business_date = ma.fields.Date(required=True)
    asset_count = ma.fields.Integer(required=True)
    chunk_count = ma.fields.Integer(required=True)
    chunks_done = ma.fields.Integer(required=True)
    fact_count = ma.fields.Integer(required=True)
    began_at = Moment(required=True)
    ended_at = Moment(required=True, allow_none=True)


class ClosedDaysShown(ma.Schema):
    """Business dates, the last one first."""

    items = ma.fields.List(ma.fields.Nested(ClosedDayShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class AccrualDaysQuery(Schema):
    """Which days."""

    from_date = IsoDate(required=True)
    until_date = IsoDate(required=True)


class AccrualShown(ma.Schema):
    """What a funder's discounts earned on a day, and on all days up to it."""

    funder_id = Id("fnd", required=True)
    currency = ma.fields.String(required=True)
    business_date = ma.fields.Date(required=True)
    earned_minor = ma.fields.Integer(required=True)
    earned_to_date_minor = ma.fields.Integer(required=True)


class AccrualsShown(ma.Schema):
    """The days on which something was earned, oldest first."""

    items = ma.fields.List(ma.fields.Nested(AccrualShown), required=True)


class ForbearanceDueSchema(Schema):
    """An amount and the day on which it is to be due."""

    due_date = IsoDate(required=True)
    amount_minor = Integer(1, MAX_MINOR, required=True)


class ForbearanceSchema(Schema):
    """A proposal to wait.

    `pause`: the days from `from_date` (today, if left out) until before `until_date` do not count as past due, which
    then goes on from where it stood; `resume` ends a pause today; `reschedule`: what is owed is due by `instalments`;
    `reset`: days past due are counted from today on.
    """

    kind = OneOf(*KINDS, required=True)
    from_date = IsoDate()
    until_date = IsoDate()
    instalments = List(Nested(ForbearanceDueSchema), 1, MOST_INSTALMENTS)
    reason = Text(500, required=True)


class ForbearanceShown(ma.Schema):
    """A proposal and its answer. `answered_by` is a client, or the rule by which nobody had to be asked."""

    forbearance_id = Id("fbr", required=True)
    asset_id = Id("ast", required=True)
    kind = ma.fields.String(required=True)
    from_date = ma.fields.Date(required=True)
    until_date = ma.fields.Date(required=True, allow_none=True)
    instalments = ma.fields.List(ma.fields.Nested(ForbearanceDueSchema), required=True, allow_none=True)
    reason = ma.fields.String(required=True)
    proposed_at = Moment(required=True)
    outcome = ma.fields.String(required=True, allow_none=True)
    answered_by = ma.fields.String(required=True, allow_none=True)
    answer_reason = ma.fields.String(required=True, allow_none=True)
    answered_at = Moment(required=True, allow_none=True)
    effective_on = ma.fields.Date(required=True, allow_none=True)


class ForbearancesShown(ma.Schema):
    """A page of proposals, oldest first."""

    items = ma.fields.List(ma.fields.Nested(ForbearanceShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class ForbearanceQuery(PageQuery):
    """Which proposals."""

    asset_id = Id("ast")
    state = OneOf("open", *OUTCOMES)


class ForbearanceAnswerSchema(Schema):
    """An owner accepts or refuses; who proposed it withdraws. Whoever does not accept says why."""

    outcome = OneOf(*OUTCOMES, required=True)
    reason = Text(500)


class ForbearanceConsentSchema(Schema):
    """What you agree to without being asked: kinds, at most how many days, at most how often for one asset."""

    kinds = List(OneOf("pause", "reschedule", "reset"), 0, 3, required=True)
    max_days = Integer(1, MOST_DAYS, required=True)
    max_count = Integer(0, 100, required=True)


class ForbearanceConsentShown(ma.Schema):
    """What you agree to without being asked. Version 0 is nothing."""

    version = ma.fields.Integer(required=True)
    terms = ma.fields.Dict(required=True, allow_none=True)


class SuspensionSchema(Schema):
    """Suspend an obligor's limits by hand."""

    obligor_id = Id("com", required=True)
    reason = Text(500, required=True)


class LiftingReason(Schema):
    """Why a suspension is lifted."""

    reason = Text(500, required=True)


class SuspensionShown(ma.Schema):
    """A suspension of all limits of an obligor. `lifting` says who lifts it; `asked_by` waits for a second person."""

    suspension_id = Id("sus", required=True)
    obligor_id = Id("com", required=True)
    cause = ma.fields.String(required=True)
    reason = ma.fields.String(required=True)
    suspended_on = ma.fields.Date(required=True)
    asset_id = ma.fields.String(required=True, allow_none=True)
    lifting = ma.fields.String(required=True)
    second_person = ma.fields.Boolean(required=True)
    suspended_by = ma.fields.String(required=True, allow_none=True)
    asked_by = ma.fields.String(required=True, allow_none=True)
    lifted_on = ma.fields.Date(required=True, allow_none=True)
    lifted_by = ma.fields.String(required=True, allow_none=True)
    lift_reason = ma.fields.String(required=True, allow_none=True)


class SuspensionsShown(ma.Schema):
    """A page of suspensions, oldest first."""

    items = ma.fields.List(ma.fields.Nested(SuspensionShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class SuspensionQuery(PageQuery):
    """Which suspensions; `at`: those that stood at the end of that day."""

    obligor_id = Id("com")
    at = IsoDate()
