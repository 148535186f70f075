"""Ratings, grants and questions on the wire."""

import marshmallow as ma

from exchange.risk.schemas import ReasonShown
from exchange.schemas import Id, IsoDate, OneOf, PageQuery, QueryInteger, Schema, Text
from scoring.grades import NAMES as GRADES


class AsOf(Schema):
    """As of which day; today without it."""

    as_of = IsoDate()


class HistoryQuery(AsOf):
    """So many ratings back."""

    limit = QueryInteger(1, 1000, load_default=100)


class NumberQuery(Schema):
    """A registered number."""

    scheme = OneOf("uscc", "lei", required=True)
    value = Text(64, required=True)


class CompanyFound(ma.Schema):
    """The company behind a registered number."""

    company_id = Id("com", required=True)


class RatingShown(ma.Schema):
    """A rating: the chance in ppm of paying very late, its grade, why, by which model, and the occasion."""

    rated_on = ma.fields.Date(required=True)
    grade = OneOf(*GRADES, required=True)
    pd_ppm = ma.fields.Integer(required=True)
    reasons = ma.fields.List(ma.fields.Nested(ReasonShown), required=True)
    model_version = ma.fields.String(required=True)
    cause = ma.fields.String(required=True)


class PeerGroup(ma.Schema):
    """How many rated peers there are, and how many per cent of them are riskier; null among fewer than five."""

    peers = ma.fields.Integer(required=True)
    percentile = ma.fields.Integer(required=True, allow_none=True)


class Peers(ma.Schema):
    """Peers by what they buy on credit, by sector and by size."""

    product = ma.fields.Nested(PeerGroup, required=True)
    sector = ma.fields.Nested(PeerGroup, required=True)
    size = ma.fields.Nested(PeerGroup, required=True)


class PaymentIndex(ma.Schema):
    """Of a year's invoices, weighted by amount: 80 is prompt, 70 is 15 days beyond terms, 50 is 30."""

    index = ma.fields.Integer(required=True, allow_none=True)
    invoices = ma.fields.Integer(required=True)
    amount_minor = ma.fields.Integer(required=True)


class CompanyRating(ma.Schema):
    """A company as it is rated on a day: no rating where it was not looked at within 400 days."""

    company_id = Id("com", required=True)
    as_of = ma.fields.Date(required=True)
    rating = ma.fields.Nested(RatingShown, required=True, allow_none=True)
    peers = ma.fields.Nested(Peers, required=True)
    payment_index = ma.fields.Nested(PaymentIndex, required=True)


class RatingHistory(ma.Schema):
    """A company's ratings, newest first."""

    items = ma.fields.List(ma.fields.Nested(RatingShown), required=True)


class PeriodQuery(Schema):
    """From one day to another."""

    from_date = IsoDate(required=True)
    until_date = IsoDate(required=True)


class GradeMoves(ma.Schema):
    """Where the obligors of one grade went."""

    grade = OneOf(*GRADES, required=True)
    to = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer(), required=True)
    not_rated = ma.fields.Integer(required=True)
    obligors = ma.fields.Integer(required=True)


class Migration(ma.Schema):
    """By grade on the first day: how many obligors are in which grade on the second."""

    items = ma.fields.List(ma.fields.Nested(GradeMoves), required=True)


class GrantSchema(Schema):
    """A funder may ask about a company, or about all without one. `consent` is the SHA-256 of the paper it rests on."""

    funder_id = Id("fnd", required=True)
    company_id = Id("com")
    purpose = OneOf("credit", "monitoring", "collection", required=True)
    consent = Text(64, pattern="[0-9a-f]{64}", required=True)
    from_date = IsoDate(required=True)
    until_date = IsoDate(required=True)


class GrantMade(ma.Schema):
    """A grant by its id."""

    grant_id = Id("rgr", required=True)


class RevocationSchema(Schema):
    """Why a grant ends."""

    reason = Text(500, required=True)


class GrantShown(GrantMade):
    """A grant."""

    funder_id = ma.fields.String(required=True)
    company_id = ma.fields.String(required=True, allow_none=True)
    purpose = ma.fields.String(required=True)
    consent = ma.fields.String(required=True)
    from_date = ma.fields.Date(required=True)
    until_date = ma.fields.Date(required=True)
    granted_at = ma.fields.AwareDateTime(required=True)
    revoked_at = ma.fields.AwareDateTime(required=True, allow_none=True)
    revoke_reason = ma.fields.String(required=True, allow_none=True)


class GrantsShown(ma.Schema):
    """A page of grants."""

    items = ma.fields.List(ma.fields.Nested(GrantShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class AccessQuery(PageQuery):
    """Which questions."""

    company_id = Id("com")


class AccessShown(ma.Schema):
    """Who asked what about whom, by which grant."""

    access_id = ma.fields.Integer(required=True)
    client_id = ma.fields.String(required=True)
    funder_id = ma.fields.String(required=True, allow_none=True)
    company_id = ma.fields.String(required=True, allow_none=True)
    grant_id = ma.fields.String(required=True, allow_none=True)
    asked = ma.fields.String(required=True)
    asked_at = ma.fields.AwareDateTime(required=True)


class AccessesShown(ma.Schema):
    """A page of questions, oldest first."""

    items = ma.fields.List(ma.fields.Nested(AccessShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)
