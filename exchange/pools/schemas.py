"""What mandates and pools look like on the wire."""

import marshmallow as ma

from exchange.pools.terms import KEYS, YEARS
from exchange.receivables.rules import GRADES
from exchange.receivables.schemas import PRODUCTS, RECOURSE
from exchange.schemas import MAX_MINOR, Boolean, Id, Integer, List, Moment, Nested, OneOf, Schema, Text
from scoring.grades import NAMES as GRADE_NAMES

MAX_RATE_BPS = 5_000


class ConcentrationSchema(Schema):
    """A concentration limit on each obligor, sector and so on.

    `most_minor` counts the price of all that is offered to, committed by and held under the mandate; `most_permille` is
    a share of each pool by face, and nothing is added to what has more than that of all that is held.
    """

    by = OneOf(*KEYS, required=True)
    most_minor = Integer(0, MAX_MINOR)
    most_permille = Integer(0, 1000)


class TenorSpreadSchema(Schema):
    """What is added to the rate from so many days on, until the next one begins."""

    from_days = Integer(0, 3650, required=True)
    spread_bps = Integer(0, MAX_RATE_BPS, required=True)


class TermsSchema(Schema):
    """What a mandate asks for.

    Amounts are in minor units of `currency`; rates in basis points a year by `day_count`, on the advance: the least
    that it wants to earn. `grade_spreads_bps` is added to `base_rate_bps` by rating grade, best first; its last value
    serves every worse grade. Averages are weighted by face, over each pool.
    """

    currency = Text(3, pattern="[A-Z]{3}", required=True)
    budget_minor = Integer(1, MAX_MINOR, required=True)
    products = List(OneOf(*PRODUCTS), 1, len(PRODUCTS), required=True)
    max_pd_ppm = Integer(0, 1_000_000, required=True)
    min_tenor_days = Integer(0, 3650, required=True)
    max_tenor_days = Integer(0, 3650, required=True)
    min_face_minor = Integer(1, MAX_MINOR, required=True)
    max_face_minor = Integer(1, MAX_MINOR, required=True)
    recourse = List(OneOf(*RECOURSE), 1, len(RECOURSE), required=True)
    confirmation_grades = List(OneOf(*GRADES), 1, len(GRADES), required=True)
    obligor_cap_minor = Integer(1, MAX_MINOR, required=True)
    seller_cap_minor = Integer(1, MAX_MINOR, required=True)
    base_rate_bps = Integer(0, MAX_RATE_BPS, required=True)
    grade_spreads_bps = List(Integer(0, MAX_RATE_BPS), 1, 20)
    advance_bps = Integer(1, 10_000)
    auto_commit = Boolean()
    rank = Integer(1, 100)
    tenor_spreads = List(Nested(TenorSpreadSchema), 0, 20)
    day_count = OneOf(*YEARS)
    worst_grade = OneOf(*GRADE_NAMES)
    sectors = List(Text(200), 1, 100)
    sectors_out = List(Text(200), 0, 100)
    regions = List(Text(200), 1, 100)
    regions_out = List(Text(200), 0, 100)
    max_score_age_days = Integer(0, 3650)
    max_invoice_age_days = Integer(0, 3650)
    max_late_permille = Integer(0, 1000)
    limits = List(Nested(ConcentrationSchema), 0, len(KEYS))
    max_average_pd_ppm = Integer(0, 1_000_000)
    max_average_tenor_days = Integer(0, 3650)
    min_average_rate_bps = Integer(0, 3 * MAX_RATE_BPS)
    min_pool_minor = Integer(0, MAX_MINOR)
    max_pool_minor = Integer(1, MAX_MINOR)


class MandateSchema(TermsSchema):
    """A standing risk appetite. The same name again replaces the version in force, for later rounds only.

    With `effective_at` it begins then; the version before it serves until that moment.
    """

    name = Text(100, required=True)
    effective_at = Moment()


class MandateCreated(ma.Schema):
    """The version now in force."""

    mandate_id = Id("mdt", required=True)
    version = ma.fields.Integer(required=True)


class MandateShown(ma.Schema):
    """A mandate in force, or a version of it to come, and what it has taken up."""

    mandate_id = Id("mdt", required=True)
    version = ma.fields.Integer(required=True)
    name = ma.fields.String(required=True)
    terms = ma.fields.Dict(required=True)
    used_minor = ma.fields.Integer(required=True)
    state = ma.fields.String(required=True)
    effective_at = ma.fields.AwareDateTime(required=True)


class MandatesShown(ma.Schema):
    """All mandates in force, then the versions to come."""

    items = ma.fields.List(ma.fields.Nested(MandateShown), required=True)


class WhyNotReason(ma.Schema):
    """One rule the asset breaks: its limit, and the asset's number. The room in an obligor's limit is not told."""

    code = ma.fields.String(required=True)
    limit = ma.fields.Raw(required=True, allow_none=True)
    actual = ma.fields.Raw(required=True)


class WhyNotShown(ma.Schema):
    """Whether the mandate would take the asset now, and every reason why not."""

    mandate_id = Id("mdt", required=True)
    matches = ma.fields.Boolean(required=True)
    version = ma.fields.Integer(required=True)
    refusals = ma.fields.List(ma.fields.Nested(WhyNotReason), required=True)


class WhyNotOfAll(ma.Schema):
    """What each mandate says."""

    items = ma.fields.List(ma.fields.Nested(WhyNotShown), required=True)


class InstalmentShown(ma.Schema):
    """What is still owed of an instalment; `number` is its place in the whole schedule."""

    number = ma.fields.Integer(required=True)
    due_date = ma.fields.Date(required=True)
    amount_minor = ma.fields.Integer(required=True)


class PoolShown(ma.Schema):
    """What a mandate got in a round, and what is still in it."""

    pool_id = Id("pol", required=True)
    mandate_id = Id("mdt", required=True)
    mandate_version = ma.fields.Integer(required=True)
    funder_id = Id("fnd", required=True)
    round_id = Id("rnd", required=True)
    currency = ma.fields.String(required=True)
    created_at = ma.fields.AwareDateTime(required=True)
    asset_count = ma.fields.Integer(required=True)
    live_count = ma.fields.Integer(required=True)
    face_minor = ma.fields.Integer(required=True)
    price_minor = ma.fields.Integer(required=True)
    collected_minor = ma.fields.Integer(required=True)


class PoolsShown(ma.Schema):
    """A page of pools."""

    items = ma.fields.List(ma.fields.Nested(PoolShown), required=True)
    next = ma.fields.String(allow_none=True, required=True)
