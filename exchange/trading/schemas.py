"""What auctions, bids, co-fundings, listings and trades look like on the wire."""

import marshmallow as ma

from exchange.pools.schemas import InstalmentShown
from exchange.schemas import MAX_MINOR, Id, Integer, List, Moment, Nested, OneOf, PageQuery, Schema, Text

MOST_LOTS, MOST_IN_LOT, MOST_SHARES = 100, 100, 49
MOST_BPS = 10_000


class AuctionSchema(Schema):
    """Put free assets up in lots. With `min_part_minor` lots go in parts of at least so much, else whole.

    `reserve_bps` is the highest discount (bps a year, ACT/360) that is taken; `advance_bps` of what is owed, less the
    discount, is paid at purchase. `pricing`: each winner gets its own discount, or all of a lot the highest that won.
    """

    currency = Text(3, pattern="[A-Z]{3}", required=True)
    opens_at = Moment()
    closes_at = Moment(required=True)
    reserve_bps = Integer(0, MOST_BPS, required=True)
    advance_bps = Integer(1, MOST_BPS, load_default=MOST_BPS)
    pricing = OneOf("bid", "uniform", load_default="bid")
    min_part_minor = Integer(1, MAX_MINOR)
    lots = List(List(Id("ast"), 1, MOST_IN_LOT), 1, MOST_LOTS, required=True)


class AssetOffered(ma.Schema):
    """An asset as a buyer may judge it. Its face is what is owed; `due_minor` what of it is due to who lists it."""

    asset_id = Id("ast", required=True)
    face_minor = ma.fields.Integer(required=True)
    due_minor = ma.fields.Integer(required=True, allow_none=True)
    product = ma.fields.String(required=True)
    due_date = ma.fields.Date(required=True)
    instalments = ma.fields.List(ma.fields.Nested(InstalmentShown), required=True)
    recourse = ma.fields.String(required=True)
    confirmation_grade = ma.fields.String(required=True)
    grade = ma.fields.String(required=True)
    pd_ppm = ma.fields.Integer(required=True)


class AssetInLot(AssetOffered):
    """An asset in a lot, counted from 0. Once the auction is over: what of it was sold, or why it left."""

    lot = ma.fields.Integer(required=True)
    sold_minor = ma.fields.Integer(required=True)
    reason = ma.fields.String(required=True, allow_none=True)


class AuctionShown(ma.Schema):
    """An auction. `seed` settled equal bids: the root of the last checkpoint before the close."""

    auction_id = Id("auc", required=True)
    currency = ma.fields.String(required=True)
    opens_at = ma.fields.AwareDateTime(required=True)
    closes_at = ma.fields.AwareDateTime(required=True)
    reserve_bps = ma.fields.Integer(required=True)
    advance_bps = ma.fields.Integer(required=True)
    pricing = ma.fields.String(required=True)
    min_part_minor = ma.fields.Integer(required=True, allow_none=True)
    state = OneOf("announced", "open", "closed", "cleared", "cancelled", required=True)
    seed = ma.fields.String(required=True, allow_none=True)


class AuctionsShown(ma.Schema):
    """A page of auctions."""

    items = ma.fields.List(ma.fields.Nested(AuctionShown), required=True)
    next = ma.fields.String(allow_none=True, required=True)


class AuctionInFull(AuctionShown):
    """An auction with its lots."""

    assets = ma.fields.List(ma.fields.Nested(AssetInLot), required=True)


class BidSchema(Schema):
    """A bid for a lot under one of your mandates, whose own rates do not count here.

    `amount_minor` is the face wanted at most: all of a lot that goes whole. `salt` are 32 random hexadecimal digits of
    yours: with them nobody can guess the bid from its digest.
    """

    lot = Integer(0, MOST_LOTS - 1, required=True)
    mandate_id = Id("mdt", required=True)
    discount_bps = Integer(0, MOST_BPS, required=True)
    amount_minor = Integer(1, MAX_MINOR, required=True)
    salt = Text(32, pattern="[0-9a-f]{32}", required=True)


class BidTaken(ma.Schema):
    """A bid under seal: the SHA-256 of what it says (canonical JSON), and the money held for it."""

    bid_id = Id("bid", required=True)
    digest = ma.fields.String(required=True)
    held_minor = ma.fields.Integer(required=True)


class BidShown(BidTaken):
    """One of your bids; `opened` is what was under the seal, once the auction is over."""

    auction_id = Id("auc", required=True)
    lot = ma.fields.Integer(required=True)
    mandate_id = Id("mdt", required=True)
    entered_at = ma.fields.AwareDateTime(required=True)
    state = OneOf("sealed", "won", "lost", "withdrawn", required=True)
    reason = ma.fields.String(required=True, allow_none=True)
    opened = ma.fields.String(required=True, allow_none=True)
    rate_bps = ma.fields.Integer(required=True, allow_none=True)
    taken_minor = ma.fields.Integer(required=True, allow_none=True)
    pool_id = ma.fields.String(required=True, allow_none=True)


class BidsShown(ma.Schema):
    """A page of bids."""

    items = ma.fields.List(ma.fields.Nested(BidShown), required=True)
    next = ma.fields.String(allow_none=True, required=True)


class EndedShown(ma.Schema):
    """What it came to."""

    state = ma.fields.String(required=True)


class ShareSchema(Schema):
    """A mandate, and how much of the asset it is to get."""

    mandate_id = Id("mdt", required=True)
    amount_minor = Integer(1, MAX_MINOR, required=True)


class CoFundingSchema(Schema):
    """Part a free asset among mandates; each is offered its share at its own price. The rest stays its holder's."""

    asset_id = Id("ast", required=True)
    shares = List(Nested(ShareSchema), 2, MOST_SHARES, required=True)


class ShareShown(ma.Schema):
    """A share: an asset of its own, in a pool of its mandate's."""

    asset_id = Id("ast", required=True)
    mandate_id = Id("mdt", required=True)
    amount_minor = ma.fields.Integer(required=True)
    pool_id = Id("pol", required=True)


class CoFundingShown(ma.Schema):
    """The shares, in the order asked for."""

    shares = ma.fields.List(ma.fields.Nested(ShareShown), required=True)


class ListingSchema(Schema):
    """Offer assets of yours for `price_ppm` of what is due to you on each; whole, or in parts of at least so much."""

    asset_ids = List(Id("ast"), 1, MOST_IN_LOT, required=True)
    currency = Text(3, pattern="[A-Z]{3}", required=True)
    price_ppm = Integer(1, 1_000_000, required=True)
    min_part_minor = Integer(1, MAX_MINOR)
    valid_until = Moment(required=True)


class ListingQuery(PageQuery):
    """Which listings: what others sell and a mandate of yours would take, or your own."""

    of = OneOf("others", "mine", load_default="others")


class ListingShown(ma.Schema):
    """A listing and what is still for sale, never who sells; `mandate_ids` are those of yours that would take it."""

    listing_id = Id("lst", required=True)
    currency = ma.fields.String(required=True)
    price_ppm = ma.fields.Integer(required=True)
    min_part_minor = ma.fields.Integer(required=True, allow_none=True)
    listed_at = ma.fields.AwareDateTime(required=True)
    valid_until = ma.fields.AwareDateTime(required=True)
    state = OneOf("open", "sold", "withdrawn", required=True)
    reason = ma.fields.String(required=True, allow_none=True)
    mandate_ids = ma.fields.List(ma.fields.String(), required=True)
    assets = ma.fields.List(ma.fields.Nested(AssetOffered), required=True)


class ListingsShown(ma.Schema):
    """A page of listings."""

    items = ma.fields.List(ma.fields.Nested(ListingShown), required=True)
    next = ma.fields.String(allow_none=True, required=True)


class Listed(ma.Schema):
    """The listing."""

    listing_id = Id("lst", required=True)


class TakeSchema(Schema):
    """Buy a listing under one of your mandates: all of it, or if it goes in parts the assets named, or part of one."""

    mandate_id = Id("mdt", required=True)
    asset_ids = List(Id("ast"), 1, MOST_IN_LOT)
    part_minor = Integer(1, MAX_MINOR)


class TradeMade(ma.Schema):
    """The trade: done, title and money."""

    trade_id = Id("trd", required=True)


class TradeShown(ma.Schema):
    """One asset that you bought or sold. The seller had earned `earned_minor`, and gained `result_minor` by selling."""

    trade_id = Id("trd", required=True)
    asset_id = Id("ast", required=True)
    side = OneOf("bought", "sold", required=True)
    counterparty_id = Id("fnd", required=True)
    pool_id = Id("pol", required=True)
    currency = ma.fields.String(required=True)
    face_minor = ma.fields.Integer(required=True)
    due_minor = ma.fields.Integer(required=True)
    price_minor = ma.fields.Integer(required=True)
    earned_minor = ma.fields.Integer(required=True, allow_none=True)
    result_minor = ma.fields.Integer(required=True, allow_none=True)
    traded_on = ma.fields.Date(required=True)


class TradesShown(ma.Schema):
    """A page of trades."""

    items = ma.fields.List(ma.fields.Nested(TradeShown), required=True)
    next = ma.fields.String(allow_none=True, required=True)
