"""What corrections look like on the wire."""

from datetime import date
from typing import Annotated, Literal

import marshmallow as ma
from msgspec import UNSET, Meta, Struct, UnsetType

from exchange.bulk import ItemResult
from exchange.receivables.schemas import AssetId, Dated, Digest, Number, SubmissionItem, SubmissionSchema
from exchange.schemas import Id, IsoDate, List, Nested, OneOf, Schema, Text

CORRECTED = ("clerical_error", "wrong_document", "missing_document")
SUPERSEDED = ("wrong_terms", "wrong_party", "wrong_invoice", "not_a_receivable")
PAPERS = ("order", "delivery_note", "contract")


class PaperItem(Struct, forbid_unknown_fields=True, frozen=True):
    """The digest of a paper beside the invoice."""

    kind: Literal["order", "delivery_note", "contract"]
    sha256: Digest


class CorrectionItem(Dated, frozen=True):
    """What was wrong about one asset."""

    asset_id: AssetId
    reason: Literal["clerical_error", "wrong_document", "missing_document"]
    invoice_number: Number | UnsetType = UNSET
    documents: Annotated[list[PaperItem], Meta(max_length=20)] | UnsetType = UNSET
    confirmed_date: date | UnsetType = UNSET


class SupersessionItem(Struct, forbid_unknown_fields=True, frozen=True):
    """An asset that should not have been, and what should."""

    asset_id: AssetId
    reason: Literal["wrong_terms", "wrong_party", "wrong_invoice", "not_a_receivable"]
    replacement: SubmissionItem | UnsetType = UNSET


class PaperSchema(Schema):
    """The digest of a paper beside the invoice. Another invoice is another asset."""

    kind = OneOf(*PAPERS, required=True)
    sha256 = Text(64, pattern="[0-9a-f]{64}", required=True)


class CorrectionSchema(Schema):
    """The right values of what was entered wrongly, at least one.

    `invoice_number` spells the same number otherwise; `documents` are all papers beside the invoice.
    """

    asset_id = Id("ast", required=True)
    reason = OneOf(*CORRECTED, required=True)
    invoice_number = Text(64)
    documents = List(Nested(PaperSchema), 0, 20)
    confirmed_date = IsoDate()


class CorrectionsSchema(Schema):
    """Up to 1,000 corrections, each judged by itself."""

    items = List(Nested(CorrectionSchema), 1, 1000, required=True)


class CorrectionResult(ItemResult):
    """What became of one. 201: kept; 404, 409, 422: see `errors`. `corrects` is the record's place in the chain."""

    asset_id = Id("ast")
    corrects = ma.fields.Integer()


class CorrectionResults(ma.Schema):
    """One result for each item, in the same order."""

    items = ma.fields.List(ma.fields.Nested(CorrectionResult), required=True)


class SupersessionSchema(Schema):
    """An asset that is nobody's but its seller's and should not have been; `replacement` is submitted in its place."""

    asset_id = Id("ast", required=True)
    reason = OneOf(*SUPERSEDED, required=True)
    replacement = Nested(SubmissionSchema)


class SupersessionsSchema(Schema):
    """Up to 1,000 supersessions; each happens whole, with its replacement, or not at all."""

    items = List(Nested(SupersessionSchema), 1, 1000, required=True)


class SupersessionResult(ItemResult):
    """What became of one. 201: the asset is void, and `by` stands in its place; 404, 409, 422: see `errors`."""

    asset_id = Id("ast")
    by = Id("ast")


class SupersessionResults(ma.Schema):
    """One result for each item, in the same order."""

    items = ma.fields.List(ma.fields.Nested(SupersessionResult), required=True)
