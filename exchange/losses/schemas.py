"""What disputes, repurchases, write-offs and recoveries look like on the wire."""

import marshmallow as ma

from exchange.losses.rules import DISPUTED, OUTCOMES
from exchange.schemas import MAX_MINOR, Id, Integer, IsoDate, OneOf, Schema, Text


class DisputeBody(Schema):
    """What the obligor objects to, and why."""

    amount_minor = Integer(1, MAX_MINOR, required=True)
    reason = OneOf(*DISPUTED, required=True)
    statement = Text(1000, required=True)


class DisputeOpened(ma.Schema):
    """The dispute's number on the asset."""

    asset_id = Id("ast", required=True)
    number = ma.fields.Integer(required=True)


class ResolutionBody(Schema):
    """Who is right. What is upheld is credited under `note_number`: all of it, or `credited_minor` of it."""

    outcome = OneOf(*OUTCOMES, required=True)
    finding = Text(1000, required=True)
    credited_minor = Integer(1, MAX_MINOR)
    note_number = Text(64)


class DisputeResolved(ma.Schema):
    """What was credited."""

    asset_id = Id("ast", required=True)
    number = ma.fields.Integer(required=True)
    outcome = OneOf(*OUTCOMES, required=True)
    credited_minor = ma.fields.Integer(required=True)


class DisputeShown(ma.Schema):
    """A dispute; without `outcome` it is open, and nobody is offered the asset."""

    number = ma.fields.Integer(required=True)
    amount_minor = ma.fields.Integer(required=True)
    reason = ma.fields.String(required=True)
    statement = ma.fields.String(required=True)
    opened_on = ma.fields.Date(required=True)
    opened_at = ma.fields.AwareDateTime(required=True)
    outcome = ma.fields.String(required=True, allow_none=True)
    credited_minor = ma.fields.Integer(required=True)
    note_number = ma.fields.String(required=True, allow_none=True)
    finding = ma.fields.String(required=True, allow_none=True)
    resolved_at = ma.fields.AwareDateTime(required=True, allow_none=True)


class DisputesShown(ma.Schema):
    """The disputes of an asset, oldest first."""

    items = ma.fields.List(ma.fields.Nested(DisputeShown), required=True)


class RepurchaseBody(Schema):
    """Why the holder takes the asset back."""

    reason = Text(200, required=True)


class RepurchaseAnswer(Schema):
    """Why the funder keeps the asset."""

    reason = Text(200, required=True)


class RepurchaseState(ma.Schema):
    """What became of it. The price of a proposal is that of today; it is paid as of the day of the answer."""

    repurchase_id = Id("rep", required=True)
    state = OneOf("proposed", "done", "refused", required=True)
    price_minor = ma.fields.Integer(required=True, allow_none=True)


class RepurchaseShown(RepurchaseState):
    """A repurchase, proposed or answered."""

    asset_id = Id("ast", required=True)
    cause = OneOf("agreement", "recourse", required=True)
    reason = ma.fields.String(required=True)
    proposed_at = ma.fields.AwareDateTime(required=True)
    answer = ma.fields.String(required=True, allow_none=True)
    answered_at = ma.fields.AwareDateTime(required=True, allow_none=True)
    done_on = ma.fields.Date(required=True, allow_none=True)


class RepurchasesShown(ma.Schema):
    """A page of repurchases."""

    items = ma.fields.List(ma.fields.Nested(RepurchaseShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class WriteOffBody(Schema):
    """What to give up, and why."""

    amount_minor = Integer(1, MAX_MINOR, required=True)
    reason = Text(200, required=True)


class WriteOffDecision(Schema):
    """A second person's decision."""

    outcome = OneOf("approved", "declined", required=True)


class WriteOffState(ma.Schema):
    """Done, declined, or awaited: then `request` is the number for a second person to decide about."""

    asset_id = Id("ast", required=True)
    state = OneOf("done", "awaited", "declined", required=True)
    request = ma.fields.Integer(required=True, allow_none=True)


class WriteOffShown(ma.Schema):
    """A write-off, what of it was a funder's (null for whoever may not know), and what came back."""

    number = ma.fields.Integer(required=True)
    cause = OneOf("small_difference", "schedule", "decision", required=True)
    reason = ma.fields.String(required=True)
    amount_minor = ma.fields.Integer(required=True)
    funder_minor = ma.fields.Integer(required=True, allow_none=True)
    recovered_minor = ma.fields.Integer(required=True)
    recovered_funder_minor = ma.fields.Integer(required=True, allow_none=True)
    business_date = ma.fields.Date(required=True)


class WriteOffRequestShown(ma.Schema):
    """A write-off by hand above the policy's amount."""

    number = ma.fields.Integer(required=True)
    amount_minor = ma.fields.Integer(required=True)
    reason = ma.fields.String(required=True)
    requested_at = ma.fields.AwareDateTime(required=True)
    state = OneOf("awaited", "approved", "declined", required=True)
    decided_at = ma.fields.AwareDateTime(required=True, allow_none=True)


class WriteOffsShown(ma.Schema):
    """What was given up of an asset, and what waits."""

    items = ma.fields.List(ma.fields.Nested(WriteOffShown), required=True)
    requests = ma.fields.List(ma.fields.Nested(WriteOffRequestShown), required=True)


class RecoveryBody(Schema):
    """A credit line of the collection account for an asset that went wrong, whoever paid it."""

    bank_reference = Text(100, required=True)
    value_date = IsoDate(required=True)
    amount_minor = Integer(1, MAX_MINOR, required=True)
    currency = Text(3, pattern="[A-Z]{3}", required=True)
    payer_name = Text(200)


class RecoveryEntered(ma.Schema):
    """What it paid: of what is still owed, and of what was given up."""

    receipt_id = Id("rcp", required=True)
    applied_minor = ma.fields.Integer(required=True)
    recovered_minor = ma.fields.Integer(required=True)
    unapplied_minor = ma.fields.Integer(required=True)


class RecoveryShown(ma.Schema):
    """What a receipt brought back of a write-off."""

    receipt_id = Id("rcp", required=True)
    write_off = ma.fields.Integer(required=True)
    value_date = ma.fields.Date(required=True)
    amount_minor = ma.fields.Integer(required=True)
    funder_minor = ma.fields.Integer(required=True, allow_none=True)


class RecoveriesShown(ma.Schema):
    """The recoveries of an asset, oldest first."""

    items = ma.fields.List(ma.fields.Nested(RecoveryShown), required=True)


class RecourseCallShown(ma.Schema):
    """One who handed the asset on with recourse: `rank` counts from the first, the latest is called first.

    `waiting` until its turn comes on `due_on`, then `called`; `paid` where it took the asset back for `paid_minor`.
    """

    rank = ma.fields.Integer(required=True)
    debtor = ma.fields.String(required=True)
    due_on = ma.fields.Date(required=True)
    state = OneOf("waiting", "called", "paid", "released", required=True)
    paid_minor = ma.fields.Integer(required=True)
    ended_on = ma.fields.Date(required=True, allow_none=True)


class RecourseCallsShown(ma.Schema):
    """Who answers for an asset in default, in the order of their turns."""

    items = ma.fields.List(ma.fields.Nested(RecourseCallShown), required=True)


class DebtShown(ma.Schema):
    """What a company owes for an asset: the rest of `amount_minor` after what it paid and what was released."""

    asset_id = Id("ast", required=True)
    cause = OneOf("dilution", "default", required=True)
    reference = ma.fields.String(required=True)
    debtor = ma.fields.String(required=True)
    creditor = OneOf("funder", "company", required=True)
    creditor_id = ma.fields.String(required=True, allow_none=True)
    currency = ma.fields.String(required=True)
    amount_minor = ma.fields.Integer(required=True)
    paid_minor = ma.fields.Integer(required=True)
    released_minor = ma.fields.Integer(required=True)
    due_date = ma.fields.Date(required=True)


class DebtsShown(ma.Schema):
    """A page of debts."""

    items = ma.fields.List(ma.fields.Nested(DebtShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)
