"""What parts, transfers, encumbrances, notices and filings look like on the wire."""

from datetime import date
from typing import Annotated, Literal

import marshmallow as ma
from msgspec import Meta, Struct

from exchange.bulk import ItemResult
from exchange.receivables.schemas import AssetId, CompanyItem, CompanySchema, Dated, Minor, Number, Words
from exchange.schemas import MAX_MINOR, Id, Integer, IsoDate, List, Moment, Nested, OneOf, PageQuery, Schema, Text
from exchange.title.rules import KINDS, MAX_PARTS, PRIORITY

MAX_PRIORITY = 1000


class SplitItem(Struct, forbid_unknown_fields=True, frozen=True):
    """One claim and the amounts of its parts."""

    asset_id: AssetId
    amounts_minor: Annotated[list[Minor], Meta(min_length=2, max_length=MAX_PARTS)]


class TransferItem(Dated, frozen=True):
    """One free claim and its next holder."""

    asset_id: AssetId
    holder: CompanyItem
    effective_date: date
    recourse: Literal["with", "without"] = "with"


class EncumbranceItem(Struct, forbid_unknown_fields=True, frozen=True):
    """A right of somebody else in a claim."""

    asset_id: AssetId
    kind: Literal["pledge", "lien", "court_order", "set_off"]
    beneficiary: Words
    ground: Words
    amount_minor: Minor
    priority: Annotated[int, Meta(ge=1, le=MAX_PRIORITY)] = PRIORITY


class FilingItem(Dated, frozen=True):
    """A registration of one assigned asset."""

    asset_id: AssetId
    number: Number
    filed_date: date
    expires_date: date


class SplitSchema(Schema):
    """Split a claim into parts that sum to what is owed. The first part takes over what is encumbered."""

    asset_id = Id("ast", required=True)
    amounts_minor = List(Integer(1, MAX_MINOR), 2, MAX_PARTS, required=True)


class SplitsSchema(Schema):
    """Up to 1,000 splits, each judged by itself."""

    items = List(Nested(SplitSchema), 1, 1000, required=True)


class PartShown(ma.Schema):
    """A part: an asset of its own."""

    asset_id = Id("ast", required=True)
    face_minor = ma.fields.Integer(required=True)


class SplitResult(ItemResult):
    """What became of one split. 201: split; 404, 409, 422: see `errors`."""

    parts = ma.fields.List(ma.fields.Nested(PartShown))


class SplitResults(ma.Schema):
    """One result for each item, in the same order."""

    items = ma.fields.List(ma.fields.Nested(SplitResult), required=True)


class TransferSchema(Schema):
    """Hand a free claim on to another company. With recourse its holder so far answers for the payment."""

    asset_id = Id("ast", required=True)
    holder = Nested(CompanySchema, required=True)
    effective_date = IsoDate(required=True)
    recourse = OneOf("with", "without")


class TransfersSchema(Schema):
    """Up to 1,000 transfers in their order: one batch may hand an asset on several times."""

    items = List(Nested(TransferSchema), 1, 1000, required=True)


class TransferResult(ItemResult):
    """What became of one transfer. 201: done; 404, 409, 422: see `errors`."""

    hop = ma.fields.Integer()


class TransferResults(ma.Schema):
    """One result for each item, in the same order."""

    items = ma.fields.List(ma.fields.Nested(TransferResult), required=True)


class EncumbranceSchema(Schema):
    """Enter a right of somebody else in a claim. Lower `priority` (100 if none is given) goes first, then time."""

    asset_id = Id("ast", required=True)
    kind = OneOf(*KINDS, required=True)
    beneficiary = Text(200, required=True)
    ground = Text(200, required=True)
    amount_minor = Integer(1, MAX_MINOR, required=True)
    priority = Integer(1, MAX_PRIORITY)


class EncumbrancesSchema(Schema):
    """Up to 1,000 encumbrances in their order, each judged by itself."""

    items = List(Nested(EncumbranceSchema), 1, 1000, required=True)


class EncumbranceResult(ItemResult):
    """What became of one encumbrance. 201: entered; 404, 409, 422: see `errors`."""

    encumbrance_id = Id("enc")


class EncumbranceResults(ma.Schema):
    """One result for each item, in the same order."""

    items = ma.fields.List(ma.fields.Nested(EncumbranceResult), required=True)


class ReleaseSchema(Schema):
    """Why the encumbrance ends."""

    reason = Text(200, required=True)


class Released(ma.Schema):
    """What the claim has free now."""

    encumbrance_id = Id("enc", required=True)
    asset_id = Id("ast", required=True)
    free_minor = ma.fields.Integer(required=True)


class HoldersQuery(Schema):
    """As of which day (today where none is given), and as far as was recorded by which moment."""

    at = IsoDate()
    recorded_at = Moment()


class EncumbranceShown(ma.Schema):
    """A right of somebody else, with its rank: 1 goes first."""

    encumbrance_id = Id("enc", required=True)
    rank = ma.fields.Integer(required=True)
    kind = ma.fields.String(required=True)
    beneficiary = ma.fields.String(required=True, allow_none=True)
    amount_minor = ma.fields.Integer(required=True)


class HolderShown(ma.Schema):
    """Who holds how much. A company is written `scheme:value`; null is one that the caller may not know."""

    asset_id = Id("ast", required=True)
    kind = OneOf("company", "funder", required=True)
    holder = ma.fields.String(required=True, allow_none=True)
    since = ma.fields.Date(required=True)
    amount_minor = ma.fields.Integer(required=True)
    encumbrances = ma.fields.List(ma.fields.Nested(EncumbranceShown), required=True)


class EvidenceShown(ma.Schema):
    """A signed record that the statement rests on; without digest and index while it waits for its signature."""

    asset_id = Id("ast", required=True)
    kind = ma.fields.String(required=True)
    sequence = ma.fields.Integer(required=True, allow_none=True)
    digest = ma.fields.String(required=True, allow_none=True)
    log_index = ma.fields.Integer(required=True, allow_none=True)


class HoldersShown(ma.Schema):
    """Who held an asset on a day, and the records that say so."""

    asset_id = Id("ast", required=True)
    at = ma.fields.Date(required=True)
    recorded_at = ma.fields.AwareDateTime(required=True)
    holders = ma.fields.List(ma.fields.Nested(HolderShown), required=True)
    rests_on = ma.fields.List(ma.fields.Nested(EvidenceShown), required=True)


class NoticeShown(ma.Schema):
    """A notice of assignment; `digest` is the SHA-256 of its text in UTF-8."""

    notice_id = Id("ntc", required=True)
    pool_id = ma.fields.String(required=True, allow_none=True)
    currency = ma.fields.String(required=True)
    asset_count = ma.fields.Integer(required=True)
    amount_minor = ma.fields.Integer(required=True)
    digest = ma.fields.String(required=True)
    given_on = ma.fields.Date(required=True)
    acknowledged_on = ma.fields.Date(required=True, allow_none=True)
    evidence = ma.fields.String(required=True, allow_none=True)


class NoticesShown(ma.Schema):
    """A page of notices."""

    items = ma.fields.List(ma.fields.Nested(NoticeShown), required=True)
    next = ma.fields.String(allow_none=True, required=True)


class NoticeInFull(NoticeShown):
    """A notice with its text and the assets it names."""

    text = ma.fields.String(required=True)
    asset_ids = ma.fields.List(Id("ast"), required=True)


class NoticeQuery(PageQuery):
    """Which notices."""

    state = OneOf("open", "acknowledged")


class AcknowledgementSchema(Schema):
    """The obligor's acknowledgement. A platform that records it gives the SHA-256 of what the obligor signed."""

    acknowledged_date = IsoDate(required=True)
    evidence = Text(64, pattern="[0-9a-f]{64}")


class FilingQuery(Schema):
    """Purchases from a day to a day, both included."""

    from_ = IsoDate(required=True, data_key="from")
    to = IsoDate(required=True)


class FilingSchema(Schema):
    """The registry's number for the filing of one asset."""

    asset_id = Id("ast", required=True)
    number = Text(64, required=True)
    filed_date = IsoDate(required=True)
    expires_date = IsoDate(required=True)


class FilingsSchema(Schema):
    """Up to 1,000 filings, each judged by itself."""

    items = List(Nested(FilingSchema), 1, 1000, required=True)


class FilingResults(ma.Schema):
    """One result for each item, in the same order. 201: kept; 404, 409, 422: see `errors`."""

    items = ma.fields.List(ma.fields.Nested(ItemResult), required=True)
