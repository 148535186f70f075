"""Enter receivables and the obligors' answers, many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.db import copy_rows
from exchange.errors import Fault
from exchange.ids import new_id
from exchange.parties.actions import CompanyFacts, CompanyKey, know_companies
from exchange.receivables import rules
from exchange.receivables.models import Confirmation, Likeness, Receivable
from exchange.receivables.schemas import CompanyItem, ConfirmationItem, SubmissionItem
from exchange.registry.actions import Fact, note_many
from exchange.services import Services

CONFIRMED_JOB = "risk.score"
"""Who is next: a confirmed asset is scored."""

NEAR_SHOWN = 20
"""So many near duplicates are told of one receivable; a thousand alike would each name a thousand."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who submits, and when: `today` is the business date of `now`."""

    originator_id: str
    now: datetime
    today: date


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item. Without faults it was entered as `asset_id`."""

    asset_id: str | None
    faults: tuple[Fault, ...] = ()
    duplicate: bool = False
    near_duplicates: tuple[str, ...] = ()


class _Draft(NamedTuple):
    """A valid submission on its way in."""

    place: int
    item: SubmissionItem
    asset_id: str
    seller: CompanyKey
    obligor: CompanyKey
    invoice: bytes
    documents: tuple[bytes, ...]
    likenesses: tuple[bytes, ...]


class _Terms(NamedTuple):
    """What a confirmation needs to know of a receivable."""

    product: str
    currency: str
    face_minor: int
    issue_date: date
    due_date: date
    recourse: str
    seller: tuple[str, str]
    obligor: tuple[str, str]
    invoice_number: str
    documents: list[dict[str, str]]


def submit(
    session: Session, *, services: Services, origin: Origin, items: Sequence[tuple[int, SubmissionItem]]
) -> dict[int, Outcome]:
    """Enter the receivables that are valid and new; the outcome of each by its index.

    Two equal ones in one batch are duplicates of each other: the first is entered. Concurrent batches meet on the
    unique fingerprint, so only one of them enters an invoice.
    """
    outcomes: dict[int, Outcome] = {}
    drafts: list[_Draft] = []
    for index, item in items:
        faults = rules.submission_faults(item, today=origin.today, at=f"/items/{index}")
        if faults:
            outcomes[index] = Outcome(None, tuple(faults))
        else:
            drafts.append(_draft(index, item, services=services, origin=origin))
    fresh = _claim(session, drafts)
    for draft in drafts:
        if draft.place not in fresh:
            message = "an invoice with this number or this document is known already"
            fault = Fault("duplicate_receivable", f"/items/{draft.place}", message, draft.item.invoice_number)
            outcomes[draft.place] = Outcome(None, (fault,), duplicate=True)
    near = _near_duplicates(session, list(fresh.values()))
    _enter(session, list(fresh.values()), services=services, origin=origin)
    _confirm_inline(session, list(fresh.values()), now=origin.now)
    for index, draft in fresh.items():
        outcomes[index] = Outcome(draft.asset_id, near_duplicates=near.get(draft.asset_id, ()))
    return outcomes


def confirm(session: Session, *, origin: Origin, items: Sequence[tuple[int, ConfirmationItem]]) -> dict[int, Outcome]:
    """Keep the obligors' answers; each accepted receivable becomes an asset. The outcome of each by its index."""
    terms = _terms(session, [item.asset_id for _, item in items], originator_id=origin.originator_id)
    outcomes: dict[int, Outcome] = {}
    valid: dict[str, tuple[int, ConfirmationItem]] = {}
    for index, item in items:
        known = terms.get(item.asset_id)
        at = f"/items/{index}"
        if known is None:
            outcomes[index] = Outcome(None, (Fault("not_found", f"{at}/asset_id", "no such asset", item.asset_id),))
            continue
        faults = rules.confirmation_faults(item, issue_date=known.issue_date, today=origin.today, at=at)
        if faults:
            outcomes[index] = Outcome(item.asset_id, tuple(faults))
        elif item.asset_id in valid:
            outcomes[index] = _answered(index, item.asset_id)
        else:
            valid[item.asset_id] = (index, item)
    kept = _keep_answers(session, [item for _, item in valid.values()], now=origin.now)
    for asset_id, (index, _) in valid.items():
        outcomes[index] = Outcome(asset_id) if asset_id in kept else _answered(index, asset_id)
    accepted = [item for asset_id, (_, item) in valid.items() if asset_id in kept and item.outcome == "accepted"]
    _digitise(session, [(item, terms[item.asset_id]) for item in accepted], now=origin.now)
    return outcomes


def _draft(index: int, item: SubmissionItem, *, services: Services, origin: Origin) -> _Draft:
    key = services.keyring.fingerprint_key
    seller, obligor = company_key(item.seller, origin), company_key(item.obligor, origin)
    number = rules.normalised_number(item.invoice_number)
    alike = (*seller, *obligor, item.currency, str(item.face_minor), str(item.issue_date), str(item.due_date))
    return _Draft(
        place=index,
        item=item,
        asset_id=new_id("ast", now=origin.now, entropy=services.entropy, purpose="/".join((*seller, number))),
        seller=seller,
        obligor=obligor,
        invoice=rules.fingerprint(key, kind="invoice", parts=(*seller, number)),
        documents=tuple(
            rules.fingerprint(key, kind="document", parts=(document.sha256,))
            for document in item.documents
            if document.kind == "invoice"
        ),
        likenesses=(
            rules.fingerprint(key, kind="likeness", parts=alike),
            *(
                rules.fingerprint(key, kind="delivery", parts=(document.sha256,))
                for document in item.documents
                if document.kind == "delivery_note"
            ),
        ),
    )


def company_key(company: CompanyItem, origin: Origin) -> CompanyKey:
    """The company's name in the register: its own number belongs to the originator that gave it."""
    return CompanyKey(company.scheme, origin.originator_id if company.scheme == "platform" else "", company.value)


def company_facts(company: CompanyItem) -> CompanyFacts:
    """What the item says of the company."""
    national_id = company.controller.national_id if company.controller else None
    return CompanyFacts(company.name or None, company.sector or None, company.region or None, national_id)


def _claim(session: Session, drafts: Sequence[_Draft]) -> dict[int, _Draft]:
    """Claim every fingerprint; the drafts that got all of theirs, by index. The others give theirs back."""
    first = {draft.asset_id: draft for draft in reversed(drafts)}
    wanted = {asset_id: {draft.invoice, *draft.documents} for asset_id, draft in first.items()}
    rows = sorted((mark, first[asset_id].place, asset_id) for asset_id, marks in wanted.items() for mark in marks)
    insert = text("""
        INSERT INTO fingerprint (fingerprint, asset_id)
        SELECT * FROM unnest(cast(:marks AS bytea[]), cast(:ids AS text[]))
        ON CONFLICT DO NOTHING RETURNING fingerprint, asset_id
    """)
    got: dict[str, set[bytes]] = {}
    for mark, asset_id in session.execute(insert, {"marks": [row[0] for row in rows], "ids": [row[2] for row in rows]}):
        got.setdefault(asset_id, set()).add(bytes(mark))
    losers = [asset_id for asset_id in got if got[asset_id] != wanted[asset_id]]
    if losers:
        marks = [mark for asset_id in losers for mark in got[asset_id]]
        session.execute(text("DELETE FROM fingerprint WHERE fingerprint = ANY(:marks)"), {"marks": marks})
    winners = (first[asset_id] for asset_id in got if asset_id not in losers)
    return {draft.place: draft for draft in sorted(winners, key=lambda draft: draft.place)}


def _near_duplicates(session: Session, drafts: Sequence[_Draft]) -> dict[str, tuple[str, ...]]:
    """For each draft, assets that look like it: same parties, amount and dates, or the same delivery note."""
    query = text("""
        SELECT mark, known.asset_id FROM unnest(cast(:marks AS bytea[])) AS mark
        CROSS JOIN LATERAL (
            SELECT asset_id FROM likeness WHERE likeness = mark ORDER BY asset_id LIMIT :shown
        ) AS known
    """)
    known: dict[bytes, list[str]] = {}
    marks = sorted({mark for draft in drafts for mark in draft.likenesses})
    for mark, asset_id in session.execute(query, {"marks": marks, "shown": NEAR_SHOWN}):
        known.setdefault(bytes(mark), []).append(asset_id)
    near = {}
    for draft in drafts:
        alike = [known.setdefault(mark, []) for mark in draft.likenesses]
        near[draft.asset_id] = tuple(sorted({asset_id for assets in alike for asset_id in assets})[:NEAR_SHOWN])
        for assets in alike:
            if len(assets) < NEAR_SHOWN:
                assets.append(draft.asset_id)
    rows = [(mark, draft.asset_id) for draft in drafts for mark in dict.fromkeys(draft.likenesses)]
    copy_rows(session, Likeness.__tablename__, ("likeness", "asset_id"), rows)
    return near


def _enter(session: Session, drafts: Sequence[_Draft], *, services: Services, origin: Origin) -> None:
    companies = {draft.seller: company_facts(draft.item.seller) for draft in drafts}
    companies |= {draft.obligor: company_facts(draft.item.obligor) for draft in drafts}
    ids = know_companies(
        session, companies=companies, keyring=services.keyring, now=origin.now, entropy=services.entropy
    )
    rows = (
        (
            draft.asset_id,
            origin.originator_id,
            ids[draft.seller],
            ids[draft.obligor],
            draft.item.invoice_number,
            draft.item.product,
            draft.item.currency,
            draft.item.face_minor,
            draft.item.issue_date,
            draft.item.due_date,
            draft.item.recourse,
            orjson.dumps(_documents(draft.item)).decode(),
            origin.now,
        )
        for draft in drafts
    )
    columns = (
        "asset_id originator_id seller_id obligor_id invoice_number product currency face_minor issue_date due_date "
        "recourse documents submitted_at"
    )
    copy_rows(session, Receivable.__tablename__, columns.split(), rows)


def _confirm_inline(session: Session, drafts: Sequence[_Draft], *, now: datetime) -> None:
    """Confirm the receivables whose acceptance came with them."""
    pairs = []
    for draft in drafts:
        if draft.item.confirmation:
            grade, confirmed_date = draft.item.confirmation.grade, draft.item.confirmation.confirmed_date
            pairs.append((ConfirmationItem(draft.asset_id, "accepted", grade, confirmed_date), _drafted_terms(draft)))
    # They were entered in this transaction: nobody else can have answered for them.
    rows = [(one.asset_id, one.outcome, one.grade, one.confirmed_date, now) for one, _ in pairs]
    columns = ("asset_id", "outcome", "grade", "confirmed_date", "recorded_at")
    copy_rows(session, Confirmation.__tablename__, columns, rows)
    _digitise(session, pairs, now=now)


def _keep_answers(session: Session, answers: Sequence[ConfirmationItem], *, now: datetime) -> set[str]:
    """Insert the answers; the assets that had none before."""
    if not answers:
        return set()
    insert = text("""
        INSERT INTO confirmation (asset_id, outcome, grade, confirmed_date, reason, recorded_at)
        SELECT asset_id, outcome, grade, confirmed_date, reason, :now
        FROM unnest(cast(:ids AS text[]), cast(:outcomes AS text[]), cast(:grades AS text[]), cast(:dates AS date[]),
                    cast(:reasons AS text[])) AS answer(asset_id, outcome, grade, confirmed_date, reason)
        ORDER BY asset_id
        ON CONFLICT DO NOTHING RETURNING asset_id
    """)
    parameters = {
        "now": now,
        "ids": [answer.asset_id for answer in answers],
        "outcomes": [answer.outcome for answer in answers],
        "grades": [answer.grade for answer in answers],
        "dates": [answer.confirmed_date for answer in answers],
        "reasons": [answer.reason or None for answer in answers],
    }
    return set(session.execute(insert, parameters).scalars())


def _digitise(session: Session, pairs: Sequence[tuple[ConfirmationItem, _Terms]], *, now: datetime) -> None:
    """Each accepted receivable becomes an asset: the first link of its chain, and then a score."""
    if not pairs:
        return
    note_many(session, facts=[_birth(answer, terms) for answer, terms in pairs], now=now)
    jobs.enqueue(session, job=CONFIRMED_JOB, payload={"asset_ids": [answer.asset_id for answer, _ in pairs]})


def _birth(answer: ConfirmationItem, terms: _Terms) -> Fact:
    body = {
        "product": terms.product,
        "currency": terms.currency,
        "face_minor": terms.face_minor,
        "issue_date": terms.issue_date.isoformat(),
        "due_date": terms.due_date.isoformat(),
        "recourse": terms.recourse,
        "confirmation": {"grade": answer.grade, "date": answer.confirmed_date.isoformat()},
    }
    hidden = {
        "seller": ":".join(terms.seller),
        "obligor": ":".join(terms.obligor),
        "invoice_number": terms.invoice_number,
        "documents": terms.documents,
    }
    return Fact(answer.asset_id, "asset.confirmed", body, hidden)


def _drafted_terms(draft: _Draft) -> _Terms:
    item = draft.item
    return _Terms(
        item.product,
        item.currency,
        item.face_minor,
        item.issue_date,
        item.due_date,
        item.recourse,
        (item.seller.scheme, item.seller.value),
        (item.obligor.scheme, item.obligor.value),
        item.invoice_number,
        _documents(item),
    )


def _terms(session: Session, asset_ids: Sequence[str], *, originator_id: str) -> dict[str, _Terms]:
    query = text("""
        SELECT receivable.*, seller.scheme, seller.value,
               obligor.scheme AS obligor_scheme, obligor.value AS obligor_value
        FROM receivable
        JOIN company AS seller ON seller.company_id = receivable.seller_id
        JOIN company AS obligor ON obligor.company_id = receivable.obligor_id
        WHERE asset_id = ANY(:ids) AND originator_id = :originator_id
    """)
    return {
        row.asset_id: _Terms(
            row.product,
            row.currency,
            row.face_minor,
            row.issue_date,
            row.due_date,
            row.recourse,
            (row.scheme, row.value),
            (row.obligor_scheme, row.obligor_value),
            row.invoice_number,
            row.documents,
        )
        for row in session.execute(query, {"ids": list(asset_ids), "originator_id": originator_id})
    }


def _documents(item: SubmissionItem) -> list[dict[str, str]]:
    return [{"kind": document.kind, "sha256": document.sha256} for document in item.documents]


def _answered(index: int, asset_id: str) -> Outcome:
    fault = Fault("already_answered", f"/items/{index}/asset_id", "the obligor's answer is final", asset_id)
    return Outcome(asset_id, (fault,), duplicate=True)
