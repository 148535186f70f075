"""What receipts and credit notes look like on the wire."""

from datetime import date
from typing import Annotated, Literal

import marshmallow as ma
from msgspec import UNSET, Meta, Struct, UnsetType

from exchange.bulk import ItemResult
from exchange.receivables.schemas import NO_CONTROL, AssetId, Currency, Minor, Number, Words
from exchange.schemas import MAX_MINOR, Id, Integer, IsoDate, List, Nested, OneOf, Schema, Text

REASONS = ("return", "price_adjustment", "short_delivery", "set_off")

BankReference = Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_CONTROL)]


class ReceiptItem(Struct, forbid_unknown_fields=True, frozen=True):
    """One credit line of the collection account."""

    bank_reference: BankReference
    value_date: date
    amount_minor: Minor
    currency: Currency
    reference: Words
    payer_name: Words | UnsetType = UNSET


class CreditNoteItem(Struct, forbid_unknown_fields=True, frozen=True):
    """One credit note."""

    asset_id: AssetId
    number: Number
    amount_minor: Minor
    reason: Literal["return", "price_adjustment", "short_delivery", "set_off"]
    issue_date: date


class ReceiptSchema(Schema):
    """One credit line of the collection account. `reference` is what the payer wrote: an asset's id, a deposit's."""

    bank_reference = Text(100, required=True)
    value_date = IsoDate(required=True)
    amount_minor = Integer(1, MAX_MINOR, required=True)
    currency = Text(3, pattern="[A-Z]{3}", required=True)
    reference = Text(200, required=True)
    payer_name = Text(200)


class ReceiptsSchema(Schema):
    """Up to 1,000 lines, each entered once."""

    items = List(Nested(ReceiptSchema), 1, 1000, required=True)


class ReceiptResult(ItemResult):
    """What became of one line. 201: entered; 409: entered before; 422: see `errors`."""

    receipt_id = Id("rcp")
    outcome = ma.fields.String()
    asset_id = Id("ast")
    funder_id = Id("fnd")
    applied_minor = ma.fields.Integer()
    unapplied_minor = ma.fields.Integer()


class ReceiptResults(ma.Schema):
    """One result for each item, in the same order."""

    items = ma.fields.List(ma.fields.Nested(ReceiptResult), required=True)


class CreditNoteSchema(Schema):
    """One credit note: the seller takes something off what the obligor owes."""

    asset_id = Id("ast", required=True)
    number = Text(64, required=True)
    amount_minor = Integer(1, MAX_MINOR, required=True)
    reason = OneOf(*REASONS, required=True)
    issue_date = IsoDate(required=True)


class CreditNotesSchema(Schema):
    """Up to 1,000 credit notes, each judged by itself."""

    items = List(Nested(CreditNoteSchema), 1, 1000, required=True)


class CreditNoteResults(ma.Schema):
    """One result for each item, in the same order. 201: kept; 404, 409, 422: see `errors`."""

    items = ma.fields.List(ma.fields.Nested(ItemResult), required=True)
