"""What offers and answers look like on the wire."""

import marshmallow as ma

from exchange.pools.rules import MAX_POOL_ASSETS
from exchange.pools.schemas import InstalmentShown
from exchange.schemas import Id, List, OneOf, PageQuery, Schema, Text


class OfferQuery(PageQuery):
    """Which offers."""

    state = OneOf("open", "committed", "refused", "lapsed")


class OfferShown(ma.Schema):
    """An offer: what it holds, at what price, until when."""

    offer_id = Id("ofr", required=True)
    pool_id = Id("pol", required=True)
    mandate_id = Id("mdt", required=True)
    mandate_version = ma.fields.Integer(required=True)
    currency = ma.fields.String(required=True)
    state = ma.fields.String(required=True)
    made_at = ma.fields.AwareDateTime(required=True)
    valid_until = ma.fields.AwareDateTime(required=True)
    purchased_on = ma.fields.Date(required=True, allow_none=True)
    asset_count = ma.fields.Integer(required=True)
    face_minor = ma.fields.Integer(required=True)
    price_minor = ma.fields.Integer(required=True)


class OffersShown(ma.Schema):
    """A page of offers."""

    items = ma.fields.List(ma.fields.Nested(OfferShown), required=True)
    next = ma.fields.String(allow_none=True, required=True)


class OfferedAsset(ma.Schema):
    """An asset in an offer: its face is price now, discount, and holdback at the end.

    `instalments` are those that the price counts; none where all is due on the due date.
    """

    asset_id = Id("ast", required=True)
    face_minor = ma.fields.Integer(required=True)
    price_minor = ma.fields.Integer(required=True)
    discount_minor = ma.fields.Integer(required=True)
    holdback_minor = ma.fields.Integer(required=True)
    rate_bps = ma.fields.Integer(required=True)
    product = ma.fields.String(required=True)
    due_date = ma.fields.Date(required=True)
    instalments = ma.fields.List(ma.fields.Nested(InstalmentShown), required=True)
    recourse = ma.fields.String(required=True)
    grade = ma.fields.String(required=True)
    pd_ppm = ma.fields.Integer(required=True)


class OfferInFull(OfferShown):
    """An offer with its assets."""

    assets = ma.fields.List(ma.fields.Nested(OfferedAsset), required=True)


class CommitmentSchema(Schema):
    """Take the offer whole, or only the assets named."""

    asset_ids = List(Id("ast"), 1, MAX_POOL_ASSETS)


class OfferRefusalSchema(Schema):
    """Refuse the offer."""

    reason = Text(200, required=True)


class Answered(ma.Schema):
    """The offer's outcome."""

    offer_id = Id("ofr", required=True)
    outcome = ma.fields.String(required=True)
