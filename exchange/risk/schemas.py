"""What trade history and models look like on the wire."""

from datetime import date

import marshmallow as ma
from msgspec import UNSET, UnsetType

from exchange.bulk import ItemResult
from exchange.receivables.schemas import CompanyItem, CompanySchema, Currency, Dated, Face, Number
from exchange.schemas import MAX_MINOR, Boolean, Integer, IsoDate, List, Moment, Nested, Schema, Text
from scoring.facts import MAX_FACE_MINOR


class HistoryItem(Dated, frozen=True):
    """One invoice from before the exchange knew the platform."""

    invoice_number: Number
    seller: CompanyItem
    obligor: CompanyItem
    currency: Currency
    face_minor: Face
    issue_date: date
    due_date: date
    settled_date: date | UnsetType = UNSET


class HistorySchema(Schema):
    """One invoice from before the exchange knew the platform.

    Without `settled_date` it is still open: tell it again when it is settled.
    """

    invoice_number = Text(64, required=True)
    seller = Nested(CompanySchema, required=True)
    obligor = Nested(CompanySchema, required=True)
    currency = Text(3, pattern="[A-Z]{3}", required=True)
    face_minor = Integer(1, MAX_FACE_MINOR, required=True)
    issue_date = IsoDate(required=True)
    due_date = IsoDate(required=True)
    settled_date = IsoDate()


class HistoriesSchema(Schema):
    """Up to 1,000 invoices, each judged by itself."""

    items = List(Nested(HistorySchema), 1, 1000, required=True)


class HistoryResults(ma.Schema):
    """One result for each item, in the same order. 201: kept; 409: known already; 422: see `errors`."""

    items = ma.fields.List(ma.fields.Nested(ItemResult), required=True)


class RiskTermsSchema(Schema):
    """The risk appetite; what is left out is as it is without a policy."""

    expected_loss_budget_minor = Integer(1, MAX_MINOR)
    portfolio_minor = Integer(1, MAX_MINOR)
    concentration_bps = Integer(1, 10_000)
    group_bps = Integer(1, 10_000)
    first_line_minor = Integer(0, MAX_MINOR)
    cost_of_funds_bps = Integer(0, 10_000)
    margin_bps = Integer(0, 10_000)
    most_tenor_days = List(Integer(1, 3_650), 11, 11)
    unpaid_tolerated_ppm = Integer(0, 1_000_000)
    automatic = Boolean()
    retrain_days = Integer(1, 365)
    retrain_labels = Integer(100, 1_000_000)
    shadow_days = Integer(1, 365)
    horizon_days = Integer(1, 365)


class RiskPolicyShown(ma.Schema):
    """The risk appetite in force; version 0 before any was set."""

    version = ma.fields.Integer(required=True)
    terms = ma.fields.Dict(required=True)


class ReasonShown(ma.Schema):
    """A reason, in English and Chinese."""

    code = ma.fields.String(required=True)
    en = ma.fields.String(required=True)
    zh = ma.fields.String(required=True)


class DecisionShown(ma.Schema):
    """A decision, whole: `frozen` and the features went in, all else came out; `digest` is the hash of the record.

    `frozen`, `answer` and `digest` are null where it was decided before they were kept.
    """

    asset_id = ma.fields.String(required=True)
    model_version = ma.fields.String(required=True)
    features_sha256 = ma.fields.String(required=True)
    pd_ppm = ma.fields.Integer(required=True)
    late_ppm = ma.fields.Integer(required=True)
    grade = ma.fields.String(required=True)
    days_late = ma.fields.Integer(required=True)
    lgd_bps = ma.fields.Integer(required=True)
    expected_loss_ppm = ma.fields.Integer(required=True)
    reasons = ma.fields.List(ma.fields.Nested(ReasonShown), required=True)
    decided_at = ma.fields.AwareDateTime(required=True)
    frozen = ma.fields.Dict(required=True, allow_none=True)
    answer = ma.fields.Dict(required=True, allow_none=True)
    digest = ma.fields.String(required=True, allow_none=True)


class LimitLine(ma.Schema):
    """A company's limit in a currency as it is now."""

    company_id = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    limit_minor = ma.fields.Integer(required=True)
    used_minor = ma.fields.Integer(required=True)
    changed_at = ma.fields.AwareDateTime(required=True)


class LimitLines(ma.Schema):
    """A page of limits."""

    items = ma.fields.List(ma.fields.Nested(LimitLine), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class AsOfQuery(Schema):
    """As of which moment; now without it."""

    as_of = Moment()


class LineThen(ma.Schema):
    """A limit as it stood: `parts` are its ceilings, `cause` is the one that decided."""

    currency = ma.fields.String(required=True)
    limit_minor = ma.fields.Integer(required=True)
    used_minor = ma.fields.Integer(required=True)
    free_minor = ma.fields.Integer(required=True)
    cause = ma.fields.String(required=True, allow_none=True)
    parts = ma.fields.Dict(required=True, allow_none=True)
    decided_at = ma.fields.AwareDateTime(required=True, allow_none=True)
    most_tenor_days = ma.fields.Integer(required=True, allow_none=True)
    model_version = ma.fields.String(required=True, allow_none=True)
    policy_version = ma.fields.Integer(required=True)


class SuspensionThen(ma.Schema):
    """What suspended the limits; `lifting` says who may end it: the `cure` by itself, or a `person` (two, where so)."""

    suspension_id = ma.fields.String(required=True)
    cause = ma.fields.String(required=True)
    reason = ma.fields.String(required=True)
    suspended_on = ma.fields.Date(required=True)
    lifting = ma.fields.String(required=True)
    second_person = ma.fields.Boolean(required=True)
    lifted_on = ma.fields.Date(required=True, allow_none=True)


class LimitShown(ma.Schema):
    """A company's limits as they stood. While anything is suspended nothing is free."""

    company_id = ma.fields.String(required=True)
    as_of = ma.fields.AwareDateTime(required=True)
    lines = ma.fields.List(ma.fields.Nested(LineThen), required=True)
    suspensions = ma.fields.List(ma.fields.Nested(SuspensionThen), required=True)


class LimitEventShown(ma.Schema):
    """A change of a `limit`, or a `use` of it: reserved, released, reduced, repurchased or reversed."""

    kind = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    amount_minor = ma.fields.Integer(required=True, allow_none=True)
    limit_minor = ma.fields.Integer(required=True, allow_none=True)
    used_minor = ma.fields.Integer(required=True, allow_none=True)
    cause = ma.fields.String(required=True)
    model_version = ma.fields.String(required=True, allow_none=True)
    policy_version = ma.fields.Integer(required=True, allow_none=True)
    grandfathered_minor = ma.fields.Integer(required=True, allow_none=True)
    recorded_at = ma.fields.AwareDateTime(required=True)


class LimitEventsShown(ma.Schema):
    """A page of a company's limit history, oldest first."""

    items = ma.fields.List(ma.fields.Nested(LimitEventShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class GateShown(ma.Schema):
    """A condition: at least `needed`, and what was `found` (null: not known)."""

    code = ma.fields.String(required=True)
    needed = ma.fields.Integer(required=True)
    found = ma.fields.Integer(required=True, allow_none=True)
    open = ma.fields.Boolean(required=True)


class ProductShown(ma.Schema):
    """A product of the ladder with its gates."""

    product = ma.fields.String(required=True)
    open = ma.fields.Boolean(required=True)
    gates = ma.fields.List(ma.fields.Nested(GateShown), required=True)


class TermsShown(ma.Schema):
    """Terms in a currency: by the rule, and to measure where that is open."""

    currency = ma.fields.String(required=True)
    by_rule = ma.fields.Dict(required=True)
    tailored = ma.fields.Dict(required=True, allow_none=True)


class ProductsShown(ma.Schema):
    """Which products are open to a company, and on what terms."""

    company_id = ma.fields.String(required=True)
    policy_version = ma.fields.Integer(required=True)
    products = ma.fields.List(ma.fields.Nested(ProductShown), required=True)
    terms = ma.fields.List(ma.fields.Nested(TermsShown), required=True)
