"""What may be corrected in place, and what has to give way to another asset.

The terms by which an asset was screened, scored, matched and priced are never corrected in place: face, dates, parties,
product, the invoice itself. A corrected invoice is another asset, judged anew. What a correction may touch is evidence:
how the number is spelt, which papers lie beside the invoice, on which day the obligor confirmed.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from msgspec import UNSET

from exchange.corrections.schemas import CorrectionItem
from exchange.errors import Fault

UNFINISHED = "not_sealed_yet"
"""The code of a fault that time mends: the same item is right in a moment."""


class Known(NamedTuple):
    """An asset as it stands: `last` is its last correctable record, None before it is sealed; `state` its claim's."""

    invoice_number: str
    issue_date: date
    confirmed_date: date
    documents: list[dict[str, str]]
    last: tuple[int, str] | None
    superseded: bool
    state: str | None = None
    outstanding_minor: int = 0
    face_minor: int = 0
    encumbered_minor: int = 0
    listed: bool = False


def refuse_correction(item: CorrectionItem, known: Known, *, same_number: bool, today: date, at: str) -> Fault | None:
    """Why the asset cannot be corrected so, or None. `same_number`: both spellings name one invoice."""
    if known.superseded:
        return Fault("superseded", f"{at}/asset_id", "another asset stands in its place", item.asset_id)
    if known.last is None:
        message = "its last record waits for its signature: send this again in a moment"
        return Fault(UNFINISHED, f"{at}/asset_id", message, item.asset_id)
    if item.invoice_number is not UNSET and not same_number:
        message = f"another spelling of {known.invoice_number}; another number is another asset: supersede this one"
        return Fault("another_invoice", f"{at}/invoice_number", message, item.invoice_number)
    if item.confirmed_date is not UNSET and not known.issue_date <= item.confirmed_date <= today:
        message = f"between the issue date, {known.issue_date}, and today, {today}"
        return Fault("confirmed_date_out_of_range", f"{at}/confirmed_date", message, item.confirmed_date)
    if not changes(item, known):
        return Fault("nothing_corrected", at, "at least one value other than what is known")
    return None


def changes(item: CorrectionItem, known: Known) -> dict[str, Any]:
    """The corrected values by field, where they differ from what is known. The invoice stays among the papers."""
    told: dict[str, Any] = {}
    if item.invoice_number is not UNSET:
        told["invoice_number"] = item.invoice_number
    if item.documents is not UNSET:
        invoices = [paper for paper in known.documents if paper["kind"] == "invoice"]
        told["documents"] = invoices + [{"kind": paper.kind, "sha256": paper.sha256} for paper in item.documents]
    if item.confirmed_date is not UNSET:
        told["confirmed_date"] = item.confirmed_date.isoformat()
    was: Mapping[str, Any] = {
        "invoice_number": known.invoice_number,
        "documents": known.documents,
        "confirmed_date": known.confirmed_date.isoformat(),
    }
    return {name: value for name, value in told.items() if value != was[name]}


def refuse_supersession(asset_id: str, known: Known, *, at: str) -> Fault | None:
    """Why the asset cannot be superseded, or None: it has to be its seller's, whole and unencumbered."""
    pointer = f"{at}/asset_id"
    if known.superseded:
        return Fault("superseded", pointer, "another asset stands in its place", asset_id)
    if not known.listed:
        return Fault("not_listed_yet", pointer, "it is being scored: send this again in a moment", asset_id)
    if known.state != "free" or known.outstanding_minor != known.face_minor or known.encumbered_minor:
        message = "offered, sold, split, encumbered or paid on: too late to say that it never was"
        return Fault("not_free", pointer, message, asset_id)
    return None
