"""What makes a receivable acceptable, and what makes two of them the same; whose answer counts, and for how much."""

import base64
import hmac
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from exchange.currencies import MINOR_DIGITS
from exchange.duplicates.marks import normalised_number
from exchange.duplicates.rules import face_faults
from exchange.errors import Fault
from exchange.parties.rules import identifier_fault
from exchange.receivables.schemas import ApprovalItem, CompanyItem, Policy, SubmissionItem

LONGEST_TENOR_DAYS = 3650

GRADES = ("deemed", "explicit", "explicit_link", "explicit_key")
"""Grades of evidence, the weakest first: silence when a clock ran out; an acceptance that the originator passed on;
one given through the obligor's own link; one given with the obligor's own key."""

STATUTORY_DAYS = {"BR": 10, "CL": 8}
"""Where the law makes silence an acceptance, and after how many days: Brazil, Lei 5.474/1968, articles 7 and 8;
Chile, Ley 19.983, article 3. Elsewhere (China) silence counts only where the contract says so."""

GROUNDS = {True: ("delivery_note", "contract"), False: ("contract",)}
"""The papers on which silence can count, the best first, by whether the law itself makes it an acceptance."""

TOKEN = re.compile(r"([0-7][0-9a-hjkmnp-tv-z]{25})[A-Za-z0-9_-]{22}", re.ASCII)
AMOUNT = re.compile(r"([0-9]{1,3}(?:,[0-9]{3}){1,4}|[0-9]{1,15})(?:\.([0-9]{0,3}))?", re.ASCII)


class Answer(NamedTuple):
    """What an obligor says to a receivable, with the grade of evidence for it. Terms it does not name stay as stated.

    `evidence` names what proves the grade: the thumbprint of a key (RFC 7638), the SHA-256 of a link's token, or of the
    paper on which silence counts.
    """

    asset_id: str
    outcome: str
    grade: str
    confirmed_date: date
    face_minor: int | None = None
    due_date: date | None = None
    reason_code: str | None = None
    reason: str | None = None
    evidence: str | None = None


class Stated(NamedTuple):
    """What the seller says it is owed, by when; `in_instalments` if it is not all due at once."""

    currency: str
    face_minor: int
    issue_date: date
    due_date: date
    in_instalments: bool = False


class Silence(NamedTuple):
    """Where silence is acceptance: the last day to speak, the digest of the paper that says so, and by whose rule."""

    answer_by: date
    ground: str
    jurisdiction: str


def submission_faults(item: SubmissionItem, *, policy: Policy, today: date, at: str) -> list[Fault]:
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
    if item.invoice_face_minor:
        at_face = f"{at}/invoice_face_minor"
        faults += face_faults(item.invoice_face_minor, amount_minor=item.face_minor, at=at_face)
    if not normalised_number(item.invoice_number):
        message = "at least one letter or digit"
        faults.append(Fault("bad_invoice_number", f"{at}/invoice_number", message, item.invoice_number))
    if item.confirmation:
        faults += _confirmed_faults(item.confirmation.confirmed_date, item.issue_date, today, at=f"{at}/confirmation")
        if needs_approval(policy, currency=item.currency, face_minor=item.face_minor):
            message = (
                "a second client of yours approves this one first: leave the confirmation out, and pass it on then"
            )
            faults.append(Fault("awaiting_approval", f"{at}/confirmation", message))
    return faults


def at_least(grade: str, wanted: Iterable[str]) -> bool:
    """Whether evidence of `grade` is as strong as any of the grades `wanted`."""
    return any(GRADES.index(grade) >= GRADES.index(one) for one in wanted)


def answer_faults(answer: Answer, *, stated: Stated, today: date, at: str) -> list[Fault]:
    """Everything that is wrong with a well-formed answer of an obligor to what was `stated`."""
    faults = _confirmed_faults(answer.confirmed_date, stated.issue_date, today, at=at)
    if answer.outcome == "corrected":
        return faults + _correction_faults(answer, stated, at=at)
    for name, value in (("face_minor", answer.face_minor), ("due_date", answer.due_date)):
        if value is not None:
            faults.append(Fault("terms_unexpected", f"{at}/{name}", "only a correction names other terms", value))
    if answer.outcome == "refused":
        return faults + _reason_faults(answer, at=at)
    for name, words in (("reason_code", answer.reason_code), ("reason", answer.reason)):
        if words is not None:
            faults.append(Fault("reason_unexpected", f"{at}/{name}", "an acceptance has no reason", words))
    return faults


def approval_fault(approval: str | None, *, at: str, value: str) -> Fault:
    """Why nobody can be asked, or answer, for a receivable whose approval is still awaited or was declined."""
    if approval == "declined":
        return Fault("approval_declined", at, "a second client of the originator declined this receivable", value)
    return Fault(
        "awaiting_approval", at, "a second client of the originator has to approve this receivable first", value
    )


def decision_fault(item: ApprovalItem, *, made_by: str | None, decided: bool, client_id: str, at: str) -> Fault | None:
    """Why a client cannot decide on what `made_by` submitted (None: nothing waits for approval under this id)."""
    if made_by is None:
        return Fault("not_found", f"{at}/asset_id", "nothing of yours waits for approval under this id", item.asset_id)
    if decided:
        return Fault("already_decided", f"{at}/asset_id", "this was approved or declined before", item.asset_id)
    if made_by == client_id:
        message = "another client of yours has to decide on what this one submitted"
        return Fault("own_submission", f"{at}/asset_id", message, item.asset_id)
    if item.outcome == "declined" and not item.reason:
        return Fault("reason_missing", f"{at}/reason", "declining says why")
    if item.outcome == "approved" and item.reason:
        return Fault("reason_unexpected", f"{at}/reason", "an approval has no reason", item.reason)
    return None


def needs_approval(policy: Policy, *, currency: str, face_minor: int) -> bool:
    """Whether a second client has to approve a submission of this amount."""
    return any(one.currency == currency and face_minor > one.over_minor for one in policy.approvals)


def policy_faults(policy: Policy) -> list[Fault]:
    """Everything that is wrong with a well-formed policy."""
    faults = []
    for index, one in enumerate(policy.approvals):
        at = f"/approvals/{index}/currency"
        if one.currency not in MINOR_DIGITS:
            faults.append(Fault("unknown_currency", at, "a currency in use, ISO 4217", one.currency))
        if one.currency in {before.currency for before in policy.approvals[:index]}:
            faults.append(Fault("named_twice", at, "one rule for each currency", one.currency))
    for index, clock in enumerate(policy.silence):
        at = f"/silence/{index}"
        statutory = STATUTORY_DAYS.get(clock.jurisdiction)
        if clock.product in {before.product for before in policy.silence[:index]}:
            faults.append(Fault("named_twice", f"{at}/product", "one clock for each product", clock.product))
        if statutory is None and not clock.after_days:
            message = "no law counts silence there: say after how many days the contract does"
            faults.append(Fault("days_missing", f"{at}/after_days", message))
        if statutory and clock.after_days and clock.after_days < statutory:
            message = f"the law gives {statutory} days: as many, or more"
            faults.append(Fault("days_too_few", f"{at}/after_days", message, clock.after_days))
    return faults


def silence_days(policy: Policy, *, product: str) -> int | None:
    """After how many days without an answer a receivable of this product counts as accepted; None for never."""
    for clock in policy.silence:
        if clock.product == product:
            return clock.after_days or STATUTORY_DAYS[clock.jurisdiction]
    return None


def silence(policy: Policy, *, product: str, documents: Sequence[dict[str, str]], asked_on: date) -> Silence | None:
    """When silence becomes acceptance for a receivable whose obligor is asked on a day; None for never.

    Days are counted from the day after. The law needs proof of delivery or a contract; where only a contract can make
    silence count, the contract has to be among the papers.
    """
    days = silence_days(policy, product=product)
    if days is None:
        return None
    jurisdiction = next(clock.jurisdiction for clock in policy.silence if clock.product == product)
    for kind in GROUNDS[jurisdiction in STATUTORY_DAYS]:
        for document in documents:
            if document["kind"] == kind:
                return Silence(asked_on + timedelta(days=days), document["sha256"], jurisdiction)
    return None


def all_papers(stated: Sequence[dict[str, str]], uploaded: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The papers named at submission, then those uploaded since; none twice."""
    return [*stated, *(paper for paper in uploaded if paper not in stated)]


def as_written(minor: int, *, currency: str) -> str:
    """An amount in minor units as a person reads it: `9,500.00`."""
    digits = MINOR_DIGITS[currency]
    whole, part = divmod(minor, 10**digits)
    return f"{whole:,}" + (f".{part:0{digits}}" if digits else "")


def link_token(key: bytes, *, request_id: str, expires_at: datetime, asset_ids: Iterable[str]) -> str:
    """What opens a link: the request's own random part, and 128 bits of HMAC-SHA-256 over all it stands for.

    A link cannot be guessed without `key`, opens nothing else, and lives no longer than it says. It is kept nowhere:
    who can read the database cannot answer for an obligor.
    """
    parts = ("confirmation link", request_id, str(int(expires_at.timestamp())), *sorted(asset_ids))
    mac = hmac.digest(key, "\0".join(parts).encode(), "sha256")[:16]
    return request_id.partition("_")[2] + base64.urlsafe_b64encode(mac).decode().rstrip("=")


def request_of_token(token: str) -> str | None:
    """The request a well-formed token names; whether the token is genuine is another question."""
    match = TOKEN.fullmatch(token)
    return f"crq_{match[1]}" if match else None


def minor_units(written: str, *, currency: str) -> int | None:
    """An amount as a person writes it (`9,500.00`, wide digits) in minor units; None when it cannot be read exactly."""
    match = AMOUNT.fullmatch(unicodedata.normalize("NFKC", written).replace(" ", ""))
    digits = MINOR_DIGITS[currency]
    if match is None or len(match[2] or "") > digits:
        return None
    whole, part = match[1].replace(",", ""), (match[2] or "").ljust(digits, "0")
    return int(whole + part)


def _company_faults(company: CompanyItem, *, at: str) -> list[Fault]:
    fault = identifier_fault(company.scheme, company.value)
    return [] if fault is None else [Fault(fault[0], f"{at}/value", fault[1], company.value)]


def _date_faults(item: SubmissionItem, *, today: date, at: str) -> list[Fault]:
    faults = _due_faults(item.issue_date, item.due_date, at=at)
    if item.issue_date > today:
        message = f"not after today, {today}"
        faults.insert(0, Fault("issue_in_future", f"{at}/issue_date", message, item.issue_date))
    return faults


def _due_faults(issue_date: date, due_date: date, *, at: str) -> list[Fault]:
    if due_date < issue_date:
        message = f"not before the issue date, {issue_date}"
        return [Fault("due_before_issue", f"{at}/due_date", message, due_date)]
    if due_date - issue_date > timedelta(days=LONGEST_TENOR_DAYS):
        message = f"at most {LONGEST_TENOR_DAYS} days after the issue date"
        return [Fault("tenor_too_long", f"{at}/due_date", message, due_date)]
    return []


def _confirmed_faults(confirmed_date: date, issue_date: date, today: date, *, at: str) -> list[Fault]:
    if issue_date <= confirmed_date <= today:
        return []
    message = f"between the issue date, {issue_date}, and today, {today}"
    return [Fault("confirmed_date_out_of_range", f"{at}/confirmed_date", message, confirmed_date)]


def _correction_faults(answer: Answer, stated: Stated, *, at: str) -> list[Fault]:
    """A correction names a lower amount or another day, and why; what the obligor does not own up to is no asset."""
    faults = _reason_faults(answer, at=at) if answer.reason_code else [_no_reason(f"{at}/reason_code")]
    face_minor, due_date = answer.face_minor or stated.face_minor, answer.due_date or stated.due_date
    if stated.in_instalments:
        message = "it is owed in instalments: refuse it, and let it be submitted anew with another schedule"
        return [*faults, Fault("schedule_fixed", f"{at}/outcome", message)]
    if (face_minor, due_date) == (stated.face_minor, stated.due_date):
        faults.append(Fault("nothing_corrected", f"{at}/outcome", "name another amount or another due date"))
    if face_minor > stated.face_minor:
        message = f"at most what was stated, {stated.face_minor}"
        faults.append(Fault("face_above_stated", f"{at}/face_minor", message, face_minor))
    return faults + _due_faults(stated.issue_date, due_date, at=at)


def _reason_faults(answer: Answer, *, at: str) -> list[Fault]:
    """A reason is a code, or words, or both; `other` says nothing without words."""
    needs_words = answer.reason_code in {None, "other"}
    return [_no_reason(f"{at}/reason")] if needs_words and not answer.reason else []


def _no_reason(pointer: str) -> Fault:
    return Fault("reason_missing", pointer, "a refusal or a correction says why")
