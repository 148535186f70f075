"""Bank lines and credit notes in."""

from typing import Any

from exchange.auth import Role
from exchange.bulk import failed, read_items
from exchange.clock import business_date
from exchange.errors import Fault
from exchange.http import Call, Room
from exchange.receivables.api import origin_of
from exchange.settlement.dilution import enter_credit_notes
from exchange.settlement.receipts import Entered, Refused, enter_receipts
from exchange.settlement.schemas import (
    CreditNoteItem,
    CreditNoteResults,
    CreditNoteSchema,
    CreditNotesSchema,
    ReceiptItem,
    ReceiptResults,
    ReceiptSchema,
    ReceiptsSchema,
)

room = Room("settlement", __name__, url_prefix="/v1", description="Money from the bank, and credit notes")


@room.operation(
    "/receipts",
    method="POST",
    roles=[Role.OPERATOR],
    bulk=ReceiptsSchema,
    result=ReceiptResults,
    idempotent=True,
)
def post_receipts(call: Call) -> dict[str, Any]:
    """Enter up to 1,000 credit lines of the collection account's statement."""
    read = read_items(call.raw, ReceiptItem, ReceiptSchema())
    today = business_date(call.now, time_zone=call.services.settings.time_zone)
    entered = enter_receipts(call.session, services=call.services, items=read.good, today=today, now=call.now)
    return read.answer({index: _receipt_result(index, entered[index], item) for index, item in read.good})


@room.operation(
    "/credit-notes",
    method="POST",
    roles=[Role.PLATFORM],
    bulk=CreditNotesSchema,
    result=CreditNoteResults,
    idempotent=True,
)
def post_credit_notes(call: Call) -> dict[str, Any]:
    """Enter up to 1,000 credit notes."""
    read = read_items(call.raw, CreditNoteItem, CreditNoteSchema())
    refused = enter_credit_notes(call.session, origin=origin_of(call), items=read.good)
    return read.answer({index: _credit_note_result(index, refusal) for index, refusal in refused.items()})


def _receipt_result(index: int, outcome: Entered | Refused, item: ReceiptItem) -> dict[str, Any]:
    if isinstance(outcome, Refused):
        return failed(index, 409 if outcome.duplicate else 422, [outcome.fault])
    result = {
        "index": index,
        "status": 201,
        "receipt_id": outcome.receipt_id,
        "outcome": outcome.outcome,
        "asset_id": outcome.asset_id,
        "funder_id": outcome.funder_id,
        "applied_minor": outcome.applied_minor,
        "unapplied_minor": item.amount_minor - outcome.applied_minor,
    }
    return {name: value for name, value in result.items() if value is not None}


def _credit_note_result(index: int, refused: tuple[int, Fault] | None) -> dict[str, Any]:
    return {"index": index, "status": 201} if refused is None else failed(index, refused[0], [refused[1]])
