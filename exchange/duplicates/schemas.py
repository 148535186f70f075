"""What other platforms send and see: marks, amounts, verdicts."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import marshmallow as ma
from msgspec import Meta, Struct

from exchange.bulk import ItemResult
from exchange.duplicates.marks import SIMILAR
from exchange.schemas import Id, Integer, List, Nested, OneOf, PageQuery, Schema, Text
from scoring.facts import MAX_FACE_MINOR

MOST_DOCUMENTS, MOST_SIMILAR = 20, 60
HEX = "[0-9a-f]{64}"

Mark = Annotated[str, Meta(pattern=f"^{HEX}\\Z")]
Amount = Annotated[int, Meta(ge=1, le=MAX_FACE_MINOR)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]


class SimilarItem(Struct, forbid_unknown_fields=True, frozen=True):
    """A mark that an invoice shares with those that look like it."""

    kind: Literal["terms", "number", "delivery_note", "order", "contract"]
    mark: Mark


class InvoiceItem(Struct, forbid_unknown_fields=True, frozen=True):
    """One invoice, blind."""

    invoice: Mark
    currency: Currency
    invoice_face_minor: Amount
    amount_minor: Amount
    documents: Annotated[list[Mark], Meta(max_length=MOST_DOCUMENTS)] = []
    similar: Annotated[list[SimilarItem], Meta(max_length=MOST_SIMILAR)] = []


class GroupKey(Schema):
    """What a platform computes marks with. Keep it: whoever has it can test guesses at your marks."""

    key = ma.fields.String(required=True, metadata={"description": "32 bytes in hexadecimal: HMAC-SHA-256 key"})
    namespace = Id("ptr", required=True, metadata={"description": "Of companies known by your own numbers"})


class SimilarSchema(Schema):
    """A mark that an invoice shares with those that look like it."""

    kind = OneOf(*SIMILAR, required=True)
    mark = Text(64, pattern=HEX, required=True)


class InvoiceSchema(Schema):
    """One invoice, blind: its marks under the group's key. Amounts are in minor units.

    `invoice_face_minor` is the whole invoice's, `amount_minor` the share that is financed.
    """

    invoice = Text(64, pattern=HEX, required=True, metadata={"description": "The mark of kind `invoice`"})
    currency = Text(3, pattern="[A-Z]{3}", required=True)
    invoice_face_minor = Integer(1, MAX_FACE_MINOR, required=True)
    amount_minor = Integer(1, MAX_FACE_MINOR, required=True)
    documents = List(Text(64, pattern=HEX), 0, MOST_DOCUMENTS, metadata={"description": "Marks of kind `document`"})
    similar = List(Nested(SimilarSchema), 0, MOST_SIMILAR)


class InvoicesSchema(Schema):
    """Up to 1,000 invoices, each judged by itself."""

    items = List(Nested(InvoiceSchema), 1, 1000, required=True)


class CheckResult(ItemResult):
    """Whether an invoice is clear, claimed by somebody, or similar to one that is.

    `code` is the refusal a claim would get now; `free_minor` what is left, for whoever knows the face.
    """

    verdict = ma.fields.String(validate=ma.validate.OneOf(["clear", "claimed", "similar"]))
    code = ma.fields.String()
    free_minor = ma.fields.Integer()
    similar = ma.fields.List(ma.fields.String(validate=ma.validate.OneOf(SIMILAR)))


class CheckResults(ma.Schema):
    """One result for each item, in the same order."""

    items = ma.fields.List(ma.fields.Nested(CheckResult), required=True)


class Elsewhere(Schema):
    """Claims of others that look like yours: in what way, and how many (at most 20 are looked at)."""

    kind = ma.fields.String(required=True, validate=ma.validate.OneOf(SIMILAR))
    count = ma.fields.Integer(required=True)


def elsewhere_json(elsewhere: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """Kinds and counts, as the contract shows them."""
    return [{"kind": kind, "count": count} for kind, count in elsewhere]


class ClaimResult(ItemResult):
    """What became of one claim. 201: entered; 409: refused, with what is free if you know the face; 422: see `errors`.

    `similar_to` are claims of your own that look like it.
    """

    claim_id = Id("icl")
    free_minor = ma.fields.Integer()
    similar_to = ma.fields.List(Id("icl"))
    similar_elsewhere = ma.fields.List(ma.fields.Nested(Elsewhere))


class ClaimResults(ma.Schema):
    """One result for each item, in the same order."""

    items = ma.fields.List(ma.fields.Nested(ClaimResult), required=True)


class EndOfClaim(Schema):
    """Why a claim ends: a `cancelled` one frees its share, the share of a `repaid` one is used up."""

    reason = OneOf("cancelled", "repaid", required=True)


class ClaimEnded(Schema):
    """A claim that has ended."""

    claim_id = Id("icl", required=True)
    state = ma.fields.String(required=True, validate=ma.validate.OneOf(["released", "consumed"]))


class ClaimShown(Schema):
    """A claim of yours."""

    claim_id = Id("icl", required=True)
    state = ma.fields.String(required=True, validate=ma.validate.OneOf(["live", "released", "consumed"]))
    amount_minor = ma.fields.Integer(required=True)
    claimed_at = ma.fields.AwareDateTime(required=True)
    ended_at = ma.fields.AwareDateTime()


class ClaimsShown(Schema):
    """A page of your claims."""

    items = ma.fields.List(ma.fields.Nested(ClaimShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class ClashQuery(PageQuery):
    """Which clashes."""

    claim_id = Text(60, metadata={"description": "Only those of this asset or claim"})


class ClashShown(Schema):
    """Two claims that may be one debt. Of another holder's side you see that there is one, and no more.

    `kinds` says in what way: a code of a refusal (then there is no second claim, or it brought the other's invoice as a
    document) or what the two have in common.
    """

    clash_id = ma.fields.Integer(required=True)
    kinds = ma.fields.List(ma.fields.String(), required=True)
    known_id = ma.fields.String()
    known_holder_id = ma.fields.String()
    asked_id = ma.fields.String()
    asked_holder_id = ma.fields.String()
    clashed_at = ma.fields.AwareDateTime(required=True)


class ClashesShown(Schema):
    """A page of clashes, oldest first."""

    items = ma.fields.List(ma.fields.Nested(ClashShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)
