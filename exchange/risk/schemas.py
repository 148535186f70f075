"""What trade history and models look like on the wire."""

from datetime import date

import marshmallow as ma
from msgspec import UNSET, UnsetType

from exchange.bulk import ItemResult
from exchange.receivables.schemas import CompanyItem, CompanySchema, Currency, Dated, Face, Number
from exchange.schemas import Integer, IsoDate, List, Nested, Schema, Text
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


class TrainingSchema(Schema):
    """How to train: more than `horizon_days` late is the outcome that a model predicts."""

    horizon_days = Integer(1, 365, required=True)


class TrainingAccepted(ma.Schema):
    """The training has been put on the list of work."""

    job = ma.fields.String(required=True)


class ModelSchema(ma.Schema):
    """The model in force: `version` is the hash of its content, `card` says what it was made of."""

    version = ma.fields.String(required=True)
    card = ma.fields.Dict(required=True)
