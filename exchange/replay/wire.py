"""Canonical rows as the API's bodies."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, TypeVar

from exchange.replay.rows import Company, ReplayRow

BATCH = 1000

T = TypeVar("T")


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Pieces of at most as many items as one request may carry."""
    return (items[first : first + BATCH] for first in range(0, len(items), BATCH))


def submission(row: ReplayRow) -> dict[str, Any]:
    """One item of POST /v1/receivables; a confirmation already in hand goes along."""
    item: dict[str, Any] = {
        **_invoice(row),
        "product": row.product,
        "recourse": row.recourse,
        "documents": [document._asdict() for document in row.documents],
    }
    if row.confirmed_date is not None and row.confirmed_date <= row.submitted_date:
        item["confirmation"] = {"grade": row.confirmation_grade, "confirmed_date": row.confirmed_date}
    return item


def past_trade(row: ReplayRow, *, known_on: date) -> dict[str, Any]:
    """One item of POST /v1/trade-history, with no more than was known at the end of `known_on`."""
    settled = row.settled_date is not None and row.settled_date <= known_on
    return _invoice(row) | ({"settled_date": row.settled_date} if settled else {})


def confirmation(row: ReplayRow, *, asset_id: str) -> dict[str, Any]:
    """One item of POST /v1/confirmations."""
    return {
        "asset_id": asset_id,
        "outcome": "accepted",
        "grade": row.confirmation_grade,
        "confirmed_date": row.confirmed_date,
    }


def credit_note(row: ReplayRow, index: int, *, asset_id: str) -> dict[str, Any]:
    """One item of POST /v1/credit-notes."""
    note = row.credit_notes[index]
    return {
        "asset_id": asset_id,
        "number": f"CN-{row.row_number}-{index + 1}",
        "amount_minor": note.amount_minor,
        "reason": note.reason,
        "issue_date": max(note.credit_date, row.submitted_date),
    }


def receipt(row: ReplayRow, index: int, *, amount_minor: int, reference: str, day: date) -> dict[str, Any]:
    """One item of POST /v1/receipts: a line of the bank's statement."""
    return {
        "bank_reference": f"BANK-{row.row_number}-{index + 1}",
        "value_date": day,
        "amount_minor": amount_minor,
        "currency": row.currency,
        "payer_name": row.obligor.name,
        "reference": reference,
    }


def _invoice(row: ReplayRow) -> dict[str, Any]:
    return {
        "invoice_number": row.invoice_number,
        "seller": _company(row.seller),
        "obligor": _company(row.obligor),
        "currency": row.currency,
        "face_minor": row.face_minor,
        "issue_date": row.issue_date,
        "due_date": row.due_date,
    }


def _company(company: Company) -> dict[str, Any]:
    body: dict[str, Any] = {"scheme": company.scheme, "value": company.value, "name": company.name}
    if company.sector is not None:
        body["sector"] = company.sector
    if company.region is not None:
        body["region"] = company.region
    if company.controller is not None:
        body["controller"] = {"national_id": company.controller}
    return body
