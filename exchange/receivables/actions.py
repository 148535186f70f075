"""Enter receivables, many at a time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy.orm import Session

from exchange.db import copy_rows
from exchange.duplicates import actions as duplicates
from exchange.duplicates.marks import Paper, keys_from, marks_of, normalised_number, stored
from exchange.duplicates.rules import Asked, refusal_fault
from exchange.parties.actions import CompanyFacts, CompanyKey, know_companies
from exchange.receivables import confirmations, queries, rules, schedules
from exchange.receivables.confirmations import Terms
from exchange.receivables.models import Approval, Receivable
from exchange.receivables.outcomes import Origin, Outcome
from exchange.receivables.rules import Answer
from exchange.receivables.schemas import CompanyItem, Policy, SubmissionItem
from exchange.services import Services


class _Draft(NamedTuple):
    """A valid submission on its way in; it has its asset's id when its share of the invoice was free."""

    place: int
    item: SubmissionItem
    seller: CompanyKey
    obligor: CompanyKey
    schedule: list[dict[str, Any]] | None
    asset_id: str = ""


def submit(
    session: Session, *, services: Services, origin: Origin, items: Sequence[tuple[int, SubmissionItem]]
) -> dict[int, Outcome]:
    """Enter the receivables that are valid and whose invoices are free; the outcome of each by its index.

    Two equal ones in one batch are duplicates of each other: the first is entered. Concurrent batches, and
    partners, meet on the invoice's row: its shares never exceed its face.
    """
    policy = queries.policy_in_force(session, originator_id=origin.originator_id)
    outcomes: dict[int, Outcome] = {}
    drafts: list[_Draft] = []
    for index, item in items:
        faults = rules.submission_faults(item, policy=policy, today=origin.today, at=f"/items/{index}")
        schedule, wrong = schedules.agreed(item, at=f"/items/{index}")
        if faults := faults + wrong:
            outcomes[index] = Outcome(None, tuple(faults))
        else:
            companies = company_key(item.seller, origin), company_key(item.obligor, origin)
            drafts.append(_Draft(index, item, *companies, schedules.as_json(schedule)))
    fresh: list[_Draft] = []
    for draft, answer in zip(drafts, _claim(session, drafts, services=services, origin=origin), strict=True):
        outcomes[draft.place] = _outcome(draft, answer)
        if answer.claim_id:
            fresh.append(draft._replace(asset_id=answer.claim_id))
    _enter(session, fresh, services=services, origin=origin)
    _ask_approval(session, fresh, policy=policy, origin=origin)
    _confirm_inline(session, fresh, now=origin.now)
    return outcomes


def _claim(
    session: Session, drafts: Sequence[_Draft], *, services: Services, origin: Origin
) -> list[duplicates.Answer]:
    """Claim the share of its invoice that each draft is about."""
    keys = keys_from(services.keyring.fingerprint_key)
    asked = []
    for draft in drafts:
        item = draft.item
        paper = Paper(
            draft.seller[:],  # a plain tuple
            draft.obligor[:],
            item.invoice_number,
            item.currency,
            item.issue_date,
            item.due_date,
            tuple((document.kind, document.sha256) for document in item.documents),
        )
        marks = stored(keys.secret, marks_of(paper, group_key=keys.group))
        purpose = "/".join((*draft.seller, normalised_number(item.invoice_number)))
        face_minor = item.invoice_face_minor or item.face_minor
        asked.append(Asked(origin.originator_id, purpose, marks, item.currency, face_minor, item.face_minor))
    return duplicates.claim(session, asked=asked, prefix="ast", now=origin.now, entropy=services.entropy)


def _outcome(draft: _Draft, answer: duplicates.Answer) -> Outcome:
    if answer.code is None:
        return Outcome(answer.claim_id, near_duplicates=answer.similar, elsewhere=answer.elsewhere)
    fault = refusal_fault(answer.code, at=f"/items/{draft.place}", value=draft.item.invoice_number)
    return Outcome(None, (fault,), duplicate=True, free_minor=answer.free_minor)


def company_key(company: CompanyItem, origin: Origin) -> CompanyKey:
    """The company's name in the register: its own number belongs to the originator that gave it."""
    return CompanyKey(company.scheme, origin.originator_id if company.scheme == "platform" else "", company.value)


def company_facts(company: CompanyItem) -> CompanyFacts:
    """What the item says of the company."""
    national_id = company.controller.national_id if company.controller else None
    return CompanyFacts(company.name or None, company.sector or None, company.region or None, national_id)


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
            None if draft.schedule is None else orjson.dumps(draft.schedule).decode(),
            draft.item.divisible,
        )
        for draft in drafts
    )
    columns = (
        "asset_id originator_id seller_id obligor_id invoice_number product currency face_minor issue_date due_date "
        "recourse documents submitted_at schedule divisible"
    )
    copy_rows(session, Receivable.__tablename__, columns.split(), rows)


def _ask_approval(session: Session, drafts: Sequence[_Draft], *, policy: Policy, origin: Origin) -> None:
    """Note which of the receivables just entered a second client has to approve."""
    rows = [
        (draft.asset_id, origin.originator_id, origin.client_id)
        for draft in drafts
        if rules.needs_approval(policy, currency=draft.item.currency, face_minor=draft.item.face_minor)
    ]
    if rows:
        copy_rows(session, Approval.__tablename__, ("asset_id", "originator_id", "made_by"), rows)


def _confirm_inline(session: Session, drafts: Sequence[_Draft], *, now: datetime) -> None:
    """Confirm the receivables whose acceptance came with them."""
    pairs = [
        (Answer(draft.asset_id, "accepted", given.grade, given.confirmed_date), _drafted_terms(draft))
        for draft in drafts
        if (given := draft.item.confirmation)
    ]
    confirmations.enter(session, pairs, now=now)


def _drafted_terms(draft: _Draft) -> Terms:
    item = draft.item
    return Terms(
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
        schedule=draft.schedule,
    )


def _documents(item: SubmissionItem) -> list[dict[str, str]]:
    return [{"kind": document.kind, "sha256": document.sha256} for document in item.documents]
