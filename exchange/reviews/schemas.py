"""Findings, decisions and policies on the wire."""

import marshmallow as ma

from exchange.reviews.rules import KINDS, SEVERITIES
from exchange.schemas import Boolean, Id, Integer, Nested, OneOf, PageQuery, Schema, Text

OUTCOMES = ("dismissed", "confirmed")


class ReviewQuery(PageQuery):
    """Which findings."""

    state = OneOf("open", *OUTCOMES)
    severity = OneOf(*SEVERITIES)
    kind = OneOf(*KINDS)
    company_id = Id("com")
    asset_id = Id("ast")


class ReviewShown(ma.Schema):
    """A finding with its evidence: the numbers that the rule compared, the facts and claims it was found in."""

    item_id = Id("rvw", required=True)
    kind = ma.fields.String(required=True)
    severity = ma.fields.String(required=True)
    company_id = ma.fields.String(required=True)
    asset_id = ma.fields.String(required=True, allow_none=True)
    evidence = ma.fields.Dict(required=True)
    found_on = ma.fields.Date(required=True)
    age_days = ma.fields.Integer(required=True)
    state = ma.fields.String(required=True, metadata={"description": "open, dismissed or confirmed"})
    reason = ma.fields.String(required=True, allow_none=True)
    decided_by = ma.fields.String(required=True, allow_none=True)
    decided_at = ma.fields.AwareDateTime(required=True, allow_none=True)


class ReviewsShown(ma.Schema):
    """A page of findings, oldest first."""

    items = ma.fields.List(ma.fields.Nested(ReviewShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class ReviewDecisionSchema(Schema):
    """What a finding is, and why. Confirmed, it may suspend the obligor's limits."""

    decision = OneOf(*OUTCOMES, required=True)
    reason = Text(200, required=True)
    suspend = Boolean(load_default=False)


_SEVERITIES = Schema.from_dict({kind: OneOf(*SEVERITIES, required=True) for kind in KINDS}, name="Severities")


class ReviewPolicySchema(Schema):
    """How severe each kind of finding is, and from where on something is found."""

    severity = Nested(_SEVERITIES, required=True)
    order_z = Integer(10, 1_000, required=True, metadata={"description": "Robust deviations, in tenths"})
    least_orders = Integer(3, 1_000, required=True)
    price_bps = Integer(1, 100_000, required=True)
    breach_days = Integer(1, 365, required=True)
    breach_ppm = Integer(1, 1_000_000, required=True)
    near_limit_bps = Integer(1, 10_000, required=True)
    grades_down = Integer(1, 10, required=True)
    velocity_times = Integer(2, 100, required=True)
    velocity_least = Integer(1, 10_000, required=True)
    score_drop = Integer(1, 1_000, required=True)


class ReviewPolicyShown(ReviewPolicySchema):
    """A policy with its version; 0 is the one that comes with the code."""

    version = ma.fields.Integer(required=True)
