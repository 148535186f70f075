"""What makes a receivable acceptable, and what makes two of them the same."""

import hmac
import unicodedata
from datetime import date, timedelta

from exchange.currencies import MINOR_DIGITS
from exchange.errors import Fault
from exchange.parties.rules import identifier_fault
from exchange.receivables.schemas import CompanyItem, ConfirmationItem, SubmissionItem

LONGEST_TENOR_DAYS = 3650


def submission_faults(item: SubmissionItem, *, today: date, at: str) -> list[Fault]:
    """Everything that is wrong with a well-formed submission, each with a pointer that begins with `at`."""
    faults = [
        *_company_faults(item.seller, at=f"{at}/seller"),
        *_company_faults(item.obligor, at=f"{at}/obligor"),
        *_date_faults(item, today=today, at=at),
    ]
    if item.currency not in MINOR_DIGITS:
        faults.append(Fault("unknown_currency", f"{at}/currency", "a currency in use, ISO 4217", item.currency))
    if (item.seller.scheme, item.seller.value) == (item.obligor.scheme, item.obligor.value):
        message = "seller and obligor are the same company"
        faults.append(Fault("self_dealing", f"{at}/obligor/value", message, item.obligor.value))
    if not normalised_number(item.invoice_number):
        message = "at least one letter or digit"
        faults.append(Fault("bad_invoice_number", f"{at}/invoice_number", message, item.invoice_number))
    if item.confirmation:
        faults += _confirmed_faults(item.confirmation.confirmed_date, item.issue_date, today, at=f"{at}/confirmation")
    return faults


def confirmation_faults(item: ConfirmationItem, *, issue_date: date, today: date, at: str) -> list[Fault]:
    """Everything that is wrong with a well-formed answer of an obligor."""
    faults = _confirmed_faults(item.confirmed_date, issue_date, today, at=at)
    if item.outcome == "refused" and not item.reason:
        faults.append(Fault("reason_missing", f"{at}/reason", "a refusal says why"))
    if item.outcome == "accepted" and item.reason:
        faults.append(Fault("reason_unexpected", f"{at}/reason", "an acceptance has no reason", item.reason))
    return faults


def normalised_number(invoice_number: str) -> str:
    """The invoice number without what people write differently: width, case, punctuation, leading zeros."""
    folded = unicodedata.normalize("NFKC", invoice_number).casefold()
    # Letters that punctuation held apart (Hangul) grow together once it is gone, so they are composed again.
    kept = unicodedata.normalize("NFKC", "".join(character for character in folded if character.isalnum()))
    return kept.lstrip("0") or kept[-1:]


def fingerprint(key: bytes, *, kind: str, parts: tuple[str, ...]) -> bytes:
    """A keyed hash that tells whether two invoices agree in `parts`, and tells nobody without the key anything.

    HMAC-SHA-256 over the parts, each with its length before it, so that no two lists of parts read the same.
    """
    message = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in (kind, *parts))
    return hmac.digest(key, message, "sha256")


def _company_faults(company: CompanyItem, *, at: str) -> list[Fault]:
    fault = identifier_fault(company.scheme, company.value)
    return [] if fault is None else [Fault(fault[0], f"{at}/value", fault[1], company.value)]


def _date_faults(item: SubmissionItem, *, today: date, at: str) -> list[Fault]:
    faults = []
    if item.issue_date > today:
        message = f"not after today, {today}"
        faults.append(Fault("issue_in_future", f"{at}/issue_date", message, item.issue_date))
    if item.due_date < item.issue_date:
        message = f"not before the issue date, {item.issue_date}"
        faults.append(Fault("due_before_issue", f"{at}/due_date", message, item.due_date))
    if item.due_date - item.issue_date > timedelta(days=LONGEST_TENOR_DAYS):
        message = f"at most {LONGEST_TENOR_DAYS} days after the issue date"
        faults.append(Fault("tenor_too_long", f"{at}/due_date", message, item.due_date))
    return faults


def _confirmed_faults(confirmed_date: date, issue_date: date, today: date, *, at: str) -> list[Fault]:
    if issue_date <= confirmed_date <= today:
        return []
    message = f"between the issue date, {issue_date}, and today, {today}"
    return [Fault("confirmed_date_out_of_range", f"{at}/confirmed_date", message, confirmed_date)]
