"""What payments, their accounts, files and policy look like on the wire."""

from typing import Annotated, Literal

import marshmallow as ma
from msgspec import UNSET, Meta, Struct, UnsetType

from exchange.banking.pain001 import LONGEST_ACCOUNT, LONGEST_NAME, MESSAGES, NEWEST
from exchange.banking.payments import State
from exchange.bulk import ItemResult
from exchange.currencies import MINOR_DIGITS
from exchange.ids import PATTERN
from exchange.payments.rules import Kind
from exchange.receivables.schemas import Words
from exchange.schedules.calendars import CALENDARS
from exchange.schemas import MAX_MINOR, Id, Integer, IsoDate, List, Nested, OneOf, PageQuery, Schema, Text

OUTCOMES = ("approved", "declined")
STATES = tuple(State)

AccountId = Annotated[str, Meta(pattern=PATTERN.format(prefix="poa")[:-1] + r"\Z")]
PaymentId = Annotated[str, Meta(pattern=PATTERN.format(prefix="pay")[:-1] + r"\Z")]


class PayoutDecisionItem(Struct, forbid_unknown_fields=True, frozen=True):
    """What a second person says of an account."""

    account_id: AccountId
    outcome: Literal["approved", "declined"]
    reason: Words | UnsetType = UNSET


class PaymentApprovalItem(Struct, forbid_unknown_fields=True, frozen=True):
    """What a second person says of a payment."""

    payment_id: PaymentId
    outcome: Literal["approved", "declined"]
    reason: Words | UnsetType = UNSET


class SellerSchema(Schema):
    """A seller, as receivables name it."""

    scheme = OneOf("uscc", "lei", "platform", required=True)
    value = Text(64, required=True)


class CreditorSchema(Schema):
    """A bank account: an IBAN, or a number with its bank's BIC or CNAPS code."""

    holder_name = Text(LONGEST_NAME, required=True)
    account = Text(LONGEST_ACCOUNT, pattern="[0-9A-Z]{6,34}", required=True)
    agent = Text(12, pattern="[0-9A-Z]{8,12}")


class NewPayoutAccount(CreditorSchema):
    """Where a party's money shall go. A platform says which seller's."""

    currency = OneOf(*sorted(MINOR_DIGITS), required=True)
    seller = Nested(SellerSchema)


class PayoutAccountEntered(ma.Schema):
    """An account that waits for its second person."""

    account_id = Id("poa", required=True)


class PayoutAccountShown(ma.Schema):
    """A payout account; its number by the last four characters."""

    account_id = Id("poa", required=True)
    party_id = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    holder_name = ma.fields.String(required=True)
    account = ma.fields.String(required=True)
    agent = ma.fields.String(required=True)
    entered_by = ma.fields.String(required=True)
    entered_at = ma.fields.DateTime(required=True)
    outcome = ma.fields.String(required=True, allow_none=True)
    reason = ma.fields.String(required=True, allow_none=True)
    decided_by = ma.fields.String(required=True, allow_none=True)
    decided_at = ma.fields.DateTime(required=True, allow_none=True)
    usable_from = ma.fields.Date(required=True, allow_none=True)
    closed_at = ma.fields.DateTime(required=True, allow_none=True)
    closed_reason = ma.fields.String(required=True, allow_none=True)


class PayoutAccountPage(ma.Schema):
    """A page of payout accounts."""

    items = ma.fields.List(ma.fields.Nested(PayoutAccountShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class PayoutDecisionSchema(Schema):
    """Approve an account that somebody else entered, or decline it and say why."""

    account_id = Id("poa", required=True)
    outcome = OneOf(*OUTCOMES, required=True)
    reason = Text(200)


class PayoutDecisionsSchema(Schema):
    """Up to 1,000 decisions, each judged by itself."""

    items = List(Nested(PayoutDecisionSchema), 1, 1000, required=True)


class PaymentApprovalSchema(Schema):
    """Approve a payment that somebody else proposed, or decline it and say why."""

    payment_id = Id("pay", required=True)
    outcome = OneOf(*OUTCOMES, required=True)
    reason = Text(200)


class PaymentApprovalsSchema(Schema):
    """Up to 1,000 approvals, each judged by itself."""

    items = List(Nested(PaymentApprovalSchema), 1, 1000, required=True)


class PaymentResults(ma.Schema):
    """One result for each item, in the same order. 201: done; 404, 409, 422: see `errors`."""

    items = ma.fields.List(ma.fields.Nested(ItemResult), required=True)


class CallingOffSchema(Schema):
    """Why."""

    reason = Text(200, required=True)


class PayoutAccountClosed(ma.Schema):
    """Nothing more goes to the account; so many payments were cancelled."""

    account_id = Id("poa", required=True)
    cancelled = ma.fields.Integer(required=True)


class NewPayment(Schema):
    """Pay a seller what it is owed: `part_minor` of it, or all."""

    seller = Nested(SellerSchema, required=True)
    currency = OneOf(*sorted(MINOR_DIGITS), required=True)
    part_minor = Integer(1, MAX_MINOR)


class NewWithdrawal(Schema):
    """Pay yourself what of your cash is free: `part_minor` of it, or all."""

    currency = OneOf(*sorted(MINOR_DIGITS), required=True)
    part_minor = Integer(1, MAX_MINOR)


class NewRefund(Schema):
    """Send back what of a receipt is unapplied: `part_minor` of it, or all.

    `creditor` says where to when the bank did not say where it came from.
    """

    receipt_id = Id("rcp", required=True)
    part_minor = Integer(1, MAX_MINOR)
    creditor = Nested(CreditorSchema)


class PaymentMade(ma.Schema):
    """A payment that was proposed: it waits for a second person, or is scheduled already."""

    payment_id = Id("pay", required=True)
    state = OneOf(*STATES, required=True)
    currency = ma.fields.String(required=True)
    amount_minor = ma.fields.Integer(required=True)
    execution_date = ma.fields.Date(required=True, allow_none=True)


class PaymentQuery(PageQuery):
    """Which payments."""

    state = OneOf(*STATES)


class PaymentShown(ma.Schema):
    """A payment. `proposed_by` is empty when the daily job did; account numbers by their last four characters."""

    payment_id = Id("pay", required=True)
    kind = OneOf(*Kind, required=True)
    party_id = ma.fields.String(required=True, allow_none=True)
    currency = ma.fields.String(required=True)
    amount_minor = ma.fields.Integer(required=True)
    account_id = Id("poa", required=True, allow_none=True)
    receipt_id = Id("rcp", required=True, allow_none=True)
    creditor_name = ma.fields.String(required=True)
    creditor_account = ma.fields.String(required=True)
    creditor_agent = ma.fields.String(required=True)
    needs_second = ma.fields.Boolean(required=True)
    proposed_by = ma.fields.String(required=True, allow_none=True)
    proposed_on = ma.fields.Date(required=True)
    state = OneOf(*STATES, required=True)
    execution_date = ma.fields.Date(required=True, allow_none=True)
    file_id = Id("pmf", required=True, allow_none=True)
    line_id = Id("bln", required=True, allow_none=True)
    return_line_id = Id("bln", required=True, allow_none=True)


class StepShown(ma.Schema):
    """A step: by a client, the policy, the daily job or the bank."""

    state = OneOf(*STATES, required=True)
    taken_by = ma.fields.String(required=True)
    reason = ma.fields.String(required=True, allow_none=True)
    effective_date = ma.fields.Date(required=True)
    recorded_at = ma.fields.DateTime(required=True)


class PaymentInFull(PaymentShown):
    """A payment and all its steps."""

    steps = ma.fields.List(ma.fields.Nested(StepShown), required=True)


class PaymentPage(ma.Schema):
    """A page of payments."""

    items = ma.fields.List(ma.fields.Nested(PaymentShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class NewFile(Schema):
    """The collection account that pays, and the message its bank takes."""

    account = Text(64, pattern="[0-9A-Za-z][0-9A-Za-z ./-]{0,63}", required=True)
    message = OneOf(*MESSAGES, load_default=NEWEST)


class FileShown(ma.Schema):
    """A file of instructions."""

    file_id = Id("pmf", required=True)
    message_id = ma.fields.String(required=True)
    account = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    message = ma.fields.String(required=True)
    payment_count = ma.fields.Integer(required=True)
    sum_minor = ma.fields.Integer(required=True)
    sha256 = ma.fields.String(required=True)
    made_by = ma.fields.String(required=True, allow_none=True)
    made_at = ma.fields.DateTime(required=True)


class FileInList(FileShown):
    """A file and how many of its payments are in which state."""

    states = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer(), required=True)


class FilePage(ma.Schema):
    """A page of files."""

    items = ma.fields.List(ma.fields.Nested(FileInList), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class AnswerTaken(ma.Schema):
    """To which file the answer was, and how many payments it moved; `known`: the same bytes came before."""

    file_id = Id("pmf", required=True)
    moved = ma.fields.Integer(required=True)
    known = ma.fields.Boolean(required=True)


class PaymentAmountSchema(Schema):
    """An amount of a currency."""

    currency = OneOf(*sorted(MINOR_DIGITS), required=True)
    amount_minor = Integer(0, MAX_MINOR, required=True)


class PayerSchema(Schema):
    """In whose name a collection account pays, and at which bank it is."""

    account = Text(64, pattern="[0-9A-Za-z][0-9A-Za-z ./-]{0,63}", required=True)
    name = Text(LONGEST_NAME, required=True)
    agent = Text(12, pattern="[0-9A-Z]{8,12}")


class PaymentPolicySchema(Schema):
    """When money leaves, and what is alarming. A currency that `approve_above` does not name always needs two.

    `pay_from`: the cash from which on the daily job pays sellers. `advice_days`: business days after which money that
    was announced, or due, is missed. `late_share_bps`: the share of an originator's obligors late at once.
    """

    approve_above = List(Nested(PaymentAmountSchema), 0, 200, required=True)
    pay_from = List(Nested(PaymentAmountSchema), 0, 200, required=True)
    payers = List(Nested(PayerSchema), 0, 200, required=True)
    cut_off = Text(5, pattern="([01][0-9]|2[0-3]):[0-5][0-9]", required=True)
    cooling_days = Integer(0, 30, required=True)
    calendar = OneOf(*CALENDARS, required=True)
    most_payments = Integer(1, 10_000, required=True)
    advice_days = Integer(1, 30, required=True)
    late_share_bps = Integer(1, 10_000)
    late_obligors = Integer(1, 1_000_000)


class PaymentPolicyShown(PaymentPolicySchema):
    """The policy in force; version 0 before the first."""

    version = ma.fields.Integer(required=True)


class DayQuery(Schema):
    """At the end of which day; without one, now."""

    day = IsoDate()


class OwnedShown(ma.Schema):
    """Whose the money of a currency is. `apart`: it adds up, and no owner is below zero."""

    currency = ma.fields.String(required=True)
    bank_minor = ma.fields.Integer(required=True)
    funders_minor = ma.fields.Integer(required=True)
    sellers_minor = ma.fields.Integer(required=True)
    unapplied_minor = ma.fields.Integer(required=True)
    others_minor = ma.fields.Integer(required=True)
    on_the_way_out_minor = ma.fields.Integer(required=True)
    below_zero = ma.fields.List(ma.fields.String(), required=True)
    apart = ma.fields.Boolean(required=True)


class OwnersShown(ma.Schema):
    """Whose the money on the collection accounts is, by currency."""

    items = ma.fields.List(ma.fields.Nested(OwnedShown), required=True)


class PriceShown(ma.Schema):
    """Leg 1: offered, committed, settled, or refused or lapsed. `paid_out`: the state of the payment it left with."""

    state = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    amount_minor = ma.fields.Integer(required=True)
    settled_on = ma.fields.Date(required=True, allow_none=True)
    paid_out = ma.fields.String(required=True, allow_none=True)
    payment_id = Id("pay", required=True, allow_none=True)


class ReceivedShown(ma.Schema):
    """Leg 2: a receipt, or the asset's share of one."""

    receipt_id = Id("rcp", required=True)
    value_date = ma.fields.Date(required=True)
    amount_minor = ma.fields.Integer(required=True)
    applied_minor = ma.fields.Integer(required=True)
    state = OneOf("allocated", "reversed", required=True)


class SaidShown(ma.Schema):
    """What somebody says was paid."""

    advice_id = Id("adv", required=True)
    paid_on = ma.fields.Date(required=True)
    amount_minor = ma.fields.Integer(required=True)
    expected_by = ma.fields.Date(required=True)
    covered_at = ma.fields.DateTime(required=True, allow_none=True)


class MoneyShown(ma.Schema):
    """Both legs of an asset; `price` is empty before it was first offered."""

    asset_id = Id("ast", required=True)
    price = ma.fields.Nested(PriceShown, required=True, allow_none=True)
    receipts = ma.fields.List(ma.fields.Nested(ReceivedShown), required=True)
    advices = ma.fields.List(ma.fields.Nested(SaidShown), required=True)
