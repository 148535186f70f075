"""What receivables look like on the wire: the contract, and the same shapes for fast decoding."""

from datetime import date
from typing import Annotated, Literal

import marshmallow as ma
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from exchange.bulk import ItemResult
from exchange.duplicates.schemas import Elsewhere
from exchange.ids import PATTERN
from exchange.schedules.calendars import CALENDARS, Convention
from exchange.schedules.schedule import MOST_INSTALMENTS, Unit
from exchange.schemas import MAX_MINOR, Boolean, Id, Integer, IsoDate, List, Nested, OneOf, Schema, Text
from scoring.facts import MAX_FACE_MINOR

PRODUCTS = ("procurement_credit", "receivable_factoring", "working_capital", "equipment_lease")
RECOURSE = ("with", "limited", "without")
GRADES = ("explicit", "deemed")
"""The grades of an answer that an originator passes on; those the exchange sees for itself are in `rules.GRADES`."""
REASON_CODES = (
    "quantity_short",
    "quality",
    "price",
    "credit_note_due",
    "paid_already",
    "due_date",
    "not_ordered",
    "not_delivered",
    "other",
)
"""Why an obligor corrects or refuses what a seller says it is owed."""
DOCUMENT_KINDS = ("order", "delivery_note", "invoice", "contract")

NO_CONTROL = r"^[^\x00-\x1f\x7f]+\Z"

LONGEST_INTERVAL = 366
MAX_LEASE_BPS = 10_000

EARLIEST, LATEST = date(1970, 1, 1), date(2199, 12, 31)

Minor = Annotated[int, Meta(ge=1, le=MAX_MINOR)]
Face = Annotated[int, Meta(ge=1, le=MAX_FACE_MINOR)]
Words = Annotated[str, Meta(min_length=1, max_length=200, pattern=NO_CONTROL)]
Number = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_CONTROL)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
AssetId = Annotated[str, Meta(pattern=PATTERN.format(prefix="ast")[:-1] + r"\Z")]
ReasonCode = Literal[
    "quantity_short",
    "quality",
    "price",
    "credit_note_due",
    "paid_already",
    "due_date",
    "not_ordered",
    "not_delivered",
    "other",
]


class Dated(Struct, forbid_unknown_fields=True, frozen=True):
    """Base of an item with dates: of the years that the contract's `IsoDate` takes."""

    def __post_init__(self) -> None:
        """Refuse (`ValueError`) any other date."""
        if any(isinstance(value, date) and not EARLIEST <= value <= LATEST for value in structs.astuple(self)):
            raise ValueError(f"a date is not between {EARLIEST} and {LATEST}")


class CompanyItem(Struct, forbid_unknown_fields=True, frozen=True):
    """A company as a submission names it."""

    scheme: Literal["uscc", "lei", "platform"]
    value: Number
    name: Words | UnsetType = UNSET
    sector: Words | UnsetType = UNSET
    region: Words | UnsetType = UNSET
    controller: "ControllerItem | UnsetType" = UNSET


class ControllerItem(Struct, forbid_unknown_fields=True, frozen=True):
    """The person who controls a company."""

    national_id: Number


class DocumentItem(Struct, forbid_unknown_fields=True, frozen=True):
    """The digest of a document behind the receivable."""

    kind: Literal["order", "delivery_note", "invoice", "contract"]
    sha256: Digest


class InlineConfirmation(Dated, frozen=True):
    """The obligor's acceptance that the originator already has in hand."""

    grade: Literal["explicit", "deemed"]
    confirmed_date: date


class InstalmentItem(Dated, frozen=True):
    """A part of the face with a due date of its own."""

    due_date: date
    amount_minor: Face


class EveryItem(Struct, forbid_unknown_fields=True, frozen=True):
    """The time between two instalments."""

    unit: Literal["days", "weeks", "months"]
    length: Annotated[int, Meta(ge=1, le=LONGEST_INTERVAL)]


class GeneratedItem(Dated, frozen=True):
    """The terms from which instalments are worked out."""

    first_due_date: date
    count: Annotated[int, Meta(ge=2, le=MOST_INSTALMENTS)]
    every: EveryItem
    calendar: Annotated[str, Meta(min_length=1, max_length=60, pattern=NO_CONTROL)] | UnsetType = UNSET
    convention: Literal["none", "following", "modified_following", "preceding"] = "none"
    principal_minor: Face | UnsetType = UNSET
    rate_bps: Annotated[int, Meta(ge=0, le=MAX_LEASE_BPS)] | UnsetType = UNSET


class ScheduleItem(Struct, forbid_unknown_fields=True, frozen=True):
    """When what is owed falls due, if not all at once."""

    instalments: Annotated[list[InstalmentItem], Meta(min_length=2, max_length=MOST_INSTALMENTS)] | UnsetType = UNSET
    generate: GeneratedItem | UnsetType = UNSET


class SubmissionItem(Dated, frozen=True):
    """One receivable of a submission."""

    invoice_number: Number
    seller: CompanyItem
    obligor: CompanyItem
    product: Literal["procurement_credit", "receivable_factoring", "working_capital", "equipment_lease"]
    currency: Currency
    face_minor: Face
    issue_date: date
    due_date: date
    recourse: Literal["with", "limited", "without"]
    invoice_face_minor: Face | UnsetType = UNSET
    documents: Annotated[list[DocumentItem], Meta(max_length=20)] = []
    schedule: ScheduleItem | UnsetType = UNSET
    confirmation: InlineConfirmation | UnsetType = UNSET
    divisible: bool = False


class AnswerItem(Dated, frozen=True):
    """One answer that an obligor gives itself."""

    asset_id: AssetId
    outcome: Literal["accepted", "corrected", "refused"]
    face_minor: Face | UnsetType = UNSET
    due_date: date | UnsetType = UNSET
    reason_code: ReasonCode | UnsetType = UNSET
    reason: Words | UnsetType = UNSET


class ConfirmationItem(Dated, frozen=True):
    """One answer of an obligor that the originator passes on."""

    asset_id: AssetId
    outcome: Literal["accepted", "corrected", "refused"]
    grade: Literal["explicit", "deemed"]
    confirmed_date: date
    face_minor: Face | UnsetType = UNSET
    due_date: date | UnsetType = UNSET
    reason_code: ReasonCode | UnsetType = UNSET
    reason: Words | UnsetType = UNSET


class ApprovalItem(Struct, forbid_unknown_fields=True, frozen=True):
    """What a second client says to a receivable that the first one submitted."""

    asset_id: AssetId
    outcome: Literal["approved", "declined"]
    reason: Words | UnsetType = UNSET


class ApprovalRule(Struct, forbid_unknown_fields=True, frozen=True):
    """Submissions in this currency above an amount need a second client's approval."""

    currency: str
    over_minor: int


class SilenceRule(Struct, forbid_unknown_fields=True, frozen=True):
    """Receivables of this product count as accepted when their obligor, asked, says nothing for so many days."""

    product: str
    jurisdiction: str
    after_days: int | None = None


class Policy(Struct, forbid_unknown_fields=True, frozen=True):
    """What an originator asks of its submissions. Empty: nobody approves, and silence is no answer."""

    approvals: tuple[ApprovalRule, ...] = ()
    silence: tuple[SilenceRule, ...] = ()


class ControllerSchema(Schema):
    """The person who controls a company. Personal data: kept as a keyed hash and a sealed value, shown to nobody."""

    national_id = Text(64, required=True)


class CompanySchema(Schema):
    """A company: by USCC (China), LEI, or the originator's own customer number (`platform`)."""

    scheme = OneOf("uscc", "lei", "platform", required=True)
    value = Text(64, required=True)
    name = Text(200)
    sector = Text(200)
    region = Text(200)
    controller = Nested(ControllerSchema)


class DocumentSchema(Schema):
    """The digest of a document behind the receivable."""

    kind = OneOf(*DOCUMENT_KINDS, required=True)
    sha256 = Text(64, pattern="[0-9a-f]{64}", required=True)


class InlineConfirmationSchema(Schema):
    """The obligor's acceptance that the originator already has in hand."""

    grade = OneOf(*GRADES, required=True)
    confirmed_date = IsoDate(required=True)


class InstalmentSchema(Schema):
    """A part of the face with a due date of its own."""

    due_date = IsoDate(required=True)
    amount_minor = Integer(1, MAX_FACE_MINOR, required=True)


class EverySchema(Schema):
    """The time between two instalments, such as 3 months."""

    unit = OneOf(*Unit, required=True)
    length = Integer(1, LONGEST_INTERVAL, required=True)


class GeneratedSchema(Schema):
    """Terms from which instalments are worked out: `count` of them from `first_due_date` on, one `every` so often.

    Equal, with what does not divide in the last; or, for a lease, level rentals that pay back `principal_minor` at
    `rate_bps` a year, each at the end of its period. Dates that are no business days in `calendar` are moved by the
    `convention`; a year that the calendar does not know is refused.
    """

    first_due_date = IsoDate(required=True)
    count = Integer(2, MOST_INSTALMENTS, required=True)
    every = Nested(EverySchema, required=True)
    calendar = Text(60, metadata={"description": f"One of {', '.join(CALENDARS)}"})
    convention = OneOf(*Convention, metadata={"default": "none"})
    principal_minor = Integer(1, MAX_FACE_MINOR)
    rate_bps = Integer(0, MAX_LEASE_BPS)


class ScheduleSchema(Schema):
    """When the face falls due, if not all at once: `instalments` as agreed, or terms to `generate` them.

    They sum to the face; the last is due on the receivable's due date.
    """

    instalments = List(Nested(InstalmentSchema), 2, MOST_INSTALMENTS)
    generate = Nested(GeneratedSchema)


class SubmissionSchema(Schema):
    """One receivable. Amounts are in minor units of the currency (fen, cents).

    `invoice_face_minor` is the whole invoice's face, where only a part of it is submitted. Without a `schedule` all of
    it is due on the due date. A `divisible` one may go to several funders in parts.
    """

    invoice_number = Text(64, required=True)
    seller = Nested(CompanySchema, required=True)
    obligor = Nested(CompanySchema, required=True)
    product = OneOf(*PRODUCTS, required=True)
    currency = Text(3, pattern="[A-Z]{3}", required=True)
    face_minor = Integer(1, MAX_FACE_MINOR, required=True)
    issue_date = IsoDate(required=True)
    due_date = IsoDate(required=True)
    recourse = OneOf(*RECOURSE, required=True)
    invoice_face_minor = Integer(1, MAX_FACE_MINOR)
    documents = List(Nested(DocumentSchema), 0, 20)
    schedule = Nested(ScheduleSchema)
    confirmation = Nested(InlineConfirmationSchema)
    divisible = Boolean()


class SubmissionsSchema(Schema):
    """Up to 1,000 receivables, each judged by itself."""

    items = List(Nested(SubmissionSchema), 1, 1000, required=True)


class SubmissionResult(ItemResult):
    """What became of one receivable. 201: entered; 409: a duplicate, or more than is free; 422: see `errors`.

    `near_duplicate_of` are assets of your own that look like it; of others you learn in `similar_elsewhere` only that
    there are some. `free_minor` is what is free of an invoice whose face you stated right.
    """

    asset_id = Id("ast")
    near_duplicate_of = ma.fields.List(Id("ast"))
    similar_elsewhere = ma.fields.List(ma.fields.Nested(Elsewhere))
    free_minor = ma.fields.Integer()


class SubmissionResults(ma.Schema):
    """One result for each item, in the same order."""

    items = ma.fields.List(ma.fields.Nested(SubmissionResult), required=True)


class AnswerSchema(Schema):
    """An obligor's own answer: accepted as stated; corrected to a lower amount or another due date; or refused.

    A correction names a `reason_code`, a refusal that or its `reason` in words; `other` needs words.
    """

    asset_id = Id("ast", required=True)
    outcome = OneOf("accepted", "corrected", "refused", required=True)
    face_minor = Integer(1, MAX_FACE_MINOR)
    due_date = IsoDate()
    reason_code = OneOf(*REASON_CODES)
    reason = Text(200)


class AnswersSchema(Schema):
    """Up to 1,000 answers, each judged by itself."""

    items = List(Nested(AnswerSchema), 1, 1000, required=True)


class ConfirmationSchema(AnswerSchema):
    """An obligor's answer as the originator passes it on, with its grade of evidence and its date."""

    grade = OneOf(*GRADES, required=True)
    confirmed_date = IsoDate(required=True)


class ConfirmationsSchema(Schema):
    """Up to 1,000 answers, each judged by itself."""

    items = List(Nested(ConfirmationSchema), 1, 1000, required=True)


class ConfirmationResult(ItemResult):
    """What became of one answer. 201: kept; 404, 409, 422: see `errors`."""

    asset_id = Id("ast")


class ConfirmationResults(ma.Schema):
    """One result for each item, in the same order."""

    items = ma.fields.List(ma.fields.Nested(ConfirmationResult), required=True)
