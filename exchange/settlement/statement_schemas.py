"""What accounts, statements, their lines and decisions about them look like on the wire."""

from typing import Annotated, Literal

import marshmallow as ma
from msgspec import UNSET, Meta, Struct, UnsetType

from exchange.bulk import ItemResult
from exchange.currencies import MINOR_DIGITS
from exchange.ids import PATTERN
from exchange.paging import DEFAULT_LIMIT
from exchange.receivables.schemas import AssetId, Minor, Words
from exchange.schemas import MAX_MINOR, Boolean, Id, Integer, List, Nested, OneOf, PageQuery, QueryInteger, Schema, Text

DECISIONS = ("accept", "allocate", "take_back", "leave", "refund")
STATES = ("new", "duplicate", "booked", "open", "left", "refund", "reversed")
ENCODINGS = ("utf-8", "utf-8-sig", "gb18030", "latin-1")
MOST_ALLOCATIONS = 100
MOST_LINES = 200

ACCOUNT = "[0-9A-Za-z][0-9A-Za-z ./-]{0,63}"
NUMBER = "[0-9A-Za-z]{6,64}"

AccountNumber = Annotated[str, Meta(pattern=f"^{ACCOUNT}\\Z")]
VirtualNumber = Annotated[str, Meta(pattern=f"^{NUMBER}\\Z")]
CompanyId = Annotated[str, Meta(pattern=PATTERN.format(prefix="com")[:-1] + r"\Z")]
LineId = Annotated[str, Meta(pattern=PATTERN.format(prefix="bln")[:-1] + r"\Z")]


class AllocationItem(Struct, forbid_unknown_fields=True, frozen=True):
    """A part of a line for an asset or a deposit."""

    reference: Words
    amount_minor: Minor


class DecisionItem(Struct, forbid_unknown_fields=True, frozen=True):
    """What is decided about a line."""

    line_id: LineId
    decision: Literal["accept", "allocate", "take_back", "leave", "refund"]
    allocations: Annotated[list[AllocationItem], Meta(min_length=1, max_length=MOST_ALLOCATIONS)] | UnsetType = UNSET
    reverses: LineId | UnsetType = UNSET


class VirtualAccountItem(Struct, forbid_unknown_fields=True, frozen=True):
    """A number and what it stands for."""

    number: VirtualNumber
    account: AccountNumber
    asset_id: AssetId | UnsetType = UNSET
    company_id: CompanyId | UnsetType = UNSET
    closed: bool = False


class VirtualAccountSchema(Schema):
    """A number of a collection account that stands for one asset, or for whatever one company owes; or is closed."""

    number = Text(64, pattern=NUMBER, required=True)
    account = Text(64, pattern=ACCOUNT, required=True)
    asset_id = Id("ast")
    company_id = Id("com")
    closed = Boolean()


class VirtualAccountsSchema(Schema):
    """Up to 1,000 numbers, each judged by itself."""

    items = List(Nested(VirtualAccountSchema), 1, 1000, required=True)


class VirtualAccountResults(ma.Schema):
    """One result for each item, in the same order. 201: entered; 404, 409, 422: see `errors`."""

    items = ma.fields.List(ma.fields.Nested(ItemResult), required=True)


class VirtualAccountShown(ma.Schema):
    """A number, and what it stands for."""

    number = ma.fields.String(required=True)
    account = ma.fields.String(required=True)
    asset_id = Id("ast", required=True, allow_none=True)
    company_id = Id("com", required=True, allow_none=True)
    entered_by = ma.fields.String(required=True)
    entered_at = ma.fields.DateTime(required=True)
    closed_at = ma.fields.DateTime(required=True, allow_none=True)


class VirtualAccountPage(ma.Schema):
    """A page of numbers."""

    items = ma.fields.List(ma.fields.Nested(VirtualAccountShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class AllocationSchema(Schema):
    """A part of a line for an asset, by its id, or a funder's deposit, by its reference."""

    reference = Text(200, required=True)
    amount_minor = Integer(1, MAX_MINOR, required=True)


class DecisionSchema(Schema):
    """What is decided about a line.

    accept what is proposed; allocate it as `allocations` say; take_back the line that it `reverses`; leave it as it is;
    refund: mark it to be sent back.
    """

    line_id = Id("bln", required=True)
    decision = OneOf(*DECISIONS, required=True)
    allocations = List(Nested(AllocationSchema), 1, MOST_ALLOCATIONS)
    reverses = Id("bln")


class DecisionsSchema(Schema):
    """Up to 1,000 decisions, each judged by itself."""

    items = List(Nested(DecisionSchema), 1, 1000, required=True)


class DecisionResults(ma.Schema):
    """One result for each item, in the same order. 201: done; 404, 409, 422: see `errors`."""

    items = ma.fields.List(ma.fields.Nested(ItemResult), required=True)


class ColumnsSchema(Schema):
    """The bank's name of each column. The amount is one signed column, or one for each direction."""

    booking_date = Text(100, required=True)
    value_date = Text(100)
    amount = Text(100)
    money_in = Text(100)
    money_out = Text(100)
    balance = Text(100)
    currency = Text(100)
    bank_reference = Text(100)
    counterparty_name = Text(100)
    counterparty_account = Text(100)
    remittance = Text(100)
    end_to_end_id = Text(100)
    transaction_code = Text(100)

    @ma.validates_schema
    def check_amount(self, data: dict[str, str], **_: object) -> None:
        """One column or two, not both and not half."""
        if {"amount", "money_in", "money_out"} & data.keys() not in ({"amount"}, {"money_in", "money_out"}):
            raise ma.ValidationError("no_amount: name `amount`, or `money_in` and `money_out`")


class TableSchema(Schema):
    """How the account's CSV files are written."""

    columns = Nested(ColumnsSchema, required=True)
    date_format = Text(40)
    decimal_mark = OneOf(".", ",")
    thousands_mark = OneOf(".", ",", "'")
    delimiter = OneOf(",", ";", "|")
    newest_first = Boolean()


class AccountBody(Schema):
    """A collection account: statements of it are taken."""

    account = Text(64, pattern=ACCOUNT, required=True)
    currency = OneOf(*sorted(MINOR_DIGITS), required=True)
    table = Nested(TableSchema)


class AccountShown(ma.Schema):
    """A collection account as it is kept."""

    account = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    has_table = ma.fields.Boolean(required=True)


class StatementQuery(Schema):
    """How to read the file."""

    account = Text(64, metadata={"description": "Whose table a CSV file is"})
    encoding = OneOf(*ENCODINGS, load_default="utf-8-sig")


class StatementEntered(ma.Schema):
    """A statement that was kept; its lines are matched in a moment."""

    statement_id = Id("stm", required=True)
    account = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    line_count = ma.fields.Integer(required=True)


class StatementsEntered(ma.Schema):
    """The statements of the file, in its order."""

    items = ma.fields.List(ma.fields.Nested(StatementEntered), required=True)


class StatementShown(StatementEntered):
    """A statement and how many of its lines became what. `statement_gap`: the one before it is missing."""

    bank_id = ma.fields.String(required=True)
    sequence = ma.fields.String(required=True, allow_none=True)
    opening_minor = ma.fields.Integer(required=True, allow_none=True)
    closing_minor = ma.fields.Integer(required=True, allow_none=True)
    first_date = ma.fields.Date(required=True, allow_none=True)
    last_date = ma.fields.Date(required=True, allow_none=True)
    entered_at = ma.fields.DateTime(required=True)
    statement_gap = ma.fields.Boolean(required=True)
    states = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer(), required=True)


class StatementPage(ma.Schema):
    """A page of statements."""

    items = ma.fields.List(ma.fields.Nested(StatementShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class LineQuery(PageQuery):
    """Which lines."""

    state = OneOf(*STATES)
    limit = QueryInteger(1, MOST_LINES, load_default=DEFAULT_LIMIT)


class ProposalShown(ma.Schema):
    """What a line seems to be, how well it fits (0 to 100) and why."""

    kind = ma.fields.String(required=True)
    score = ma.fields.Integer(required=True)
    reasons = ma.fields.List(ma.fields.String(), required=True)
    allocations = ma.fields.List(ma.fields.Nested(AllocationSchema), required=True)
    payer_id = Id("com", required=True, allow_none=True)
    reverses = Id("bln", required=True, allow_none=True)
    payments = ma.fields.List(Id("pay"), metadata={"description": "Payments of ours that it names"})


class LineShown(ma.Schema):
    """A line as the bank wrote it, and what became of it."""

    line_id = Id("bln", required=True)
    statement_id = Id("stm", required=True)
    account = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    bank_reference = ma.fields.String(required=True)
    booking_date = ma.fields.Date(required=True)
    value_date = ma.fields.Date(required=True)
    amount_minor = ma.fields.Integer(required=True)
    counterparty_name = ma.fields.String(required=True)
    counterparty_account = ma.fields.String(required=True)
    remittance = ma.fields.String(required=True)
    references = ma.fields.List(ma.fields.String(), required=True)
    end_to_end_id = ma.fields.String(required=True)
    transaction_code = ma.fields.String(required=True)
    is_reversal = ma.fields.Boolean(required=True)
    return_reason = ma.fields.String(required=True)
    state = OneOf(*STATES, required=True)
    proposal = ma.fields.Nested(ProposalShown, required=True, allow_none=True)
    decision = ma.fields.String(required=True, allow_none=True)
    decided_by = ma.fields.String(required=True, allow_none=True)
    decided_at = ma.fields.DateTime(required=True, allow_none=True)


class LinePage(ma.Schema):
    """A page of lines."""

    items = ma.fields.List(ma.fields.Nested(LineShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)
