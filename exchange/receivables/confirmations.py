"""Keep the obligors' answers, whoever brings them; what an obligor owns up to becomes a signed asset."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.db import copy_rows
from exchange.duplicates.actions import reduce_claims, release_claims
from exchange.errors import Fault
from exchange.receivables import rules
from exchange.receivables.models import Confirmation
from exchange.receivables.outcomes import Outcome
from exchange.receivables.rules import Answer, Stated
from exchange.receivables.schedules import pairs
from exchange.registry.actions import Fact, note_many
from ledger.schedules import SCHEDULE, written

CONFIRMED_JOB = "risk.score"
"""Who is next: a confirmed asset is scored."""

COLUMNS = (
    "asset_id",
    "outcome",
    "grade",
    "confirmed_date",
    "face_minor",
    "due_date",
    "reason_code",
    "reason",
    "evidence",
    "recorded_at",
)


class Terms(NamedTuple):
    """What an answer is about: the receivable as stated.

    `approval` is a second client's, where one is asked; `schedule` as it is kept, where not all is due at once.
    """

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
    approval: str | None = None
    schedule: list[dict[str, Any]] | None = None

    @property
    def stated(self) -> Stated:
        """What the answer is judged against."""
        return Stated(self.currency, self.face_minor, self.issue_date, self.due_date, self.schedule is not None)


def keep(
    session: Session,
    *,
    answers: Sequence[tuple[int, Answer]],
    today: date,
    now: datetime,
    originator_id: str | None = None,
    obligor_id: str | None = None,
) -> dict[int, Outcome]:
    """Keep the answers that may be given; the outcome of each by its index. An answer is final.

    Only receivables of `originator_id`, or that name `obligor_id`, are known here; others do not exist.
    """
    terms = _terms(session, [one.asset_id for _, one in answers], originator_id=originator_id, obligor_id=obligor_id)
    outcomes: dict[int, Outcome] = {}
    valid: dict[str, tuple[int, Answer]] = {}
    for index, answer in answers:
        known, at = terms.get(answer.asset_id), f"/items/{index}"
        if known is None:
            outcomes[index] = Outcome(None, (Fault("not_found", f"{at}/asset_id", "no such asset", answer.asset_id),))
        elif known.approval not in {None, "approved"}:
            outcomes[index] = _too_early(index, answer.asset_id, approval=known.approval)
        elif faults := rules.answer_faults(answer, stated=known.stated, today=today, at=at):
            outcomes[index] = Outcome(answer.asset_id, tuple(faults))
        elif answer.asset_id in valid:
            outcomes[index] = _answered(index, answer.asset_id)
        else:
            valid[answer.asset_id] = (index, answer)
    kept = _insert(session, [(answer, terms[answer.asset_id]) for _, answer in valid.values()], now=now)
    for asset_id, (index, _) in valid.items():
        outcomes[index] = Outcome(asset_id) if asset_id in kept else _answered(index, asset_id)
    _take_effect(session, [(valid[asset_id][1], terms[asset_id]) for asset_id in valid if asset_id in kept], now=now)
    return outcomes


def enter(session: Session, pairs: Sequence[tuple[Answer, Terms]], *, now: datetime) -> None:
    """Keep acceptances of receivables that were entered in this transaction: nobody else can have answered for them."""
    copy_rows(session, Confirmation.__tablename__, COLUMNS, (_row(answer, terms, now) for answer, terms in pairs))
    _digitise(session, pairs, now=now)


def _insert(session: Session, pairs: Sequence[tuple[Answer, Terms]], *, now: datetime) -> set[str]:
    """Insert the answers; the assets that had none before."""
    if not pairs:
        return set()
    insert = text(f"""
        INSERT INTO confirmation ({", ".join(COLUMNS)})
        SELECT * FROM unnest(
            cast(:asset_id AS text[]), cast(:outcome AS text[]), cast(:grade AS text[]),
            cast(:confirmed_date AS date[]), cast(:face_minor AS bigint[]), cast(:due_date AS date[]),
            cast(:reason_code AS text[]), cast(:reason AS text[]), cast(:evidence AS text[]),
            cast(:recorded_at AS timestamptz[])
        ) AS answer(asset_id)
        ORDER BY asset_id
        ON CONFLICT DO NOTHING RETURNING asset_id
    """)  # noqa: S608 - columns of ours
    values = zip(*(_row(answer, terms, now) for answer, terms in pairs), strict=True)
    return set(session.execute(insert, dict(zip(COLUMNS, map(list, values), strict=True))).scalars())


def _row(answer: Answer, terms: Terms, now: datetime) -> tuple[object, ...]:
    """An answer as a row of `COLUMNS`: what is owed, and by when, as it was stated unless the obligor corrected it."""
    refused = answer.outcome == "refused"
    return (
        answer.asset_id,
        answer.outcome,
        answer.grade,
        answer.confirmed_date,
        None if refused else answer.face_minor or terms.face_minor,
        None if refused else answer.due_date or terms.due_date,
        answer.reason_code,
        answer.reason,
        answer.evidence,
        now,
    )


def _take_effect(session: Session, pairs: Sequence[tuple[Answer, Terms]], *, now: datetime) -> None:
    """What was not refused becomes an asset, with the papers that were uploaded since it was submitted.

    They are read after the answer was inserted: from then on an upload waits, and then knows that the asset is born.
    The share of the invoice follows the answer: free again when refused, smaller when less is owed.
    """
    refused = [answer.asset_id for answer, _ in pairs if answer.outcome == "refused"]
    if refused:
        release_claims(session, claim_ids=refused, now=now)
    less = {
        answer.asset_id: terms.face_minor - answer.face_minor
        for answer, terms in pairs
        if answer.face_minor and answer.face_minor < terms.face_minor
    }
    if less:
        reduce_claims(session, reductions=less)
    owned_up = [(answer, terms) for answer, terms in pairs if answer.outcome != "refused"]
    papers = uploaded(session, [answer.asset_id for answer, _ in owned_up])
    complete = [
        (answer, terms._replace(documents=rules.all_papers(terms.documents, papers.get(answer.asset_id, []))))
        for answer, terms in owned_up
    ]
    _digitise(session, complete, now=now)


def _digitise(session: Session, pairs: Sequence[tuple[Answer, Terms]], *, now: datetime) -> None:
    """Each confirmed receivable becomes an asset: the first link of its chain, and then a score."""
    if not pairs:
        return
    note_many(session, facts=[_birth(answer, terms) for answer, terms in pairs], now=now)
    jobs.enqueue(session, job=CONFIRMED_JOB, payload={"asset_ids": [answer.asset_id for answer, _ in pairs]})


def _birth(answer: Answer, terms: Terms) -> Fact:
    body = {
        "product": terms.product,
        "currency": terms.currency,
        "face_minor": answer.face_minor or terms.face_minor,
        "issue_date": terms.issue_date.isoformat(),
        "due_date": (answer.due_date or terms.due_date).isoformat(),
        "recourse": terms.recourse,
        "confirmation": _confirmation(answer, terms),
    }
    if terms.schedule is not None:
        body[SCHEDULE] = written(pairs(terms.schedule))
    hidden = {
        "seller": ":".join(terms.seller),
        "obligor": ":".join(terms.obligor),
        "invoice_number": terms.invoice_number,
        "documents": terms.documents,
    }
    return Fact(answer.asset_id, "asset.confirmed", body, hidden)


def _confirmation(answer: Answer, terms: Terms) -> dict[str, Any]:
    """How the obligor owned up to the asset: grade of evidence and date; a partial one says what had been stated."""
    shown: dict[str, Any] = {"grade": answer.grade, "date": answer.confirmed_date.isoformat()}
    if answer.evidence:
        shown["evidence"] = answer.evidence
    if answer.outcome == "corrected":
        stated = {"face_minor": terms.face_minor, "due_date": terms.due_date.isoformat()}
        shown |= {"partial": True, "reason": answer.reason_code, "stated": stated}
    return shown


def _terms(
    session: Session, asset_ids: Sequence[str], *, originator_id: str | None, obligor_id: str | None
) -> dict[str, Terms]:
    query = text("""
        SELECT receivable.*, seller.scheme, seller.value,
               obligor.scheme AS obligor_scheme, obligor.value AS obligor_value,
               CASE WHEN approval.asset_id IS NOT NULL THEN coalesce(approval.outcome, 'awaited') END AS approval
        FROM receivable
        JOIN company AS seller ON seller.company_id = receivable.seller_id
        JOIN company AS obligor ON obligor.company_id = receivable.obligor_id
        LEFT JOIN approval ON approval.asset_id = receivable.asset_id
        WHERE receivable.asset_id = ANY(:ids)
          AND (cast(:originator_id AS text) IS NULL OR receivable.originator_id = :originator_id)
          AND (cast(:obligor_id AS text) IS NULL OR receivable.obligor_id = :obligor_id)
    """)
    parameters = {"ids": list(asset_ids), "originator_id": originator_id, "obligor_id": obligor_id}
    return {
        row.asset_id: Terms(
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
            row.approval,
            row.schedule,
        )
        for row in session.execute(query, parameters)
    }


def uploaded(session: Session, asset_ids: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """Kind and digest of the papers uploaded for each asset."""
    query = text(
        "SELECT asset_id, kind, sha256 FROM document WHERE asset_id = ANY(:ids) ORDER BY asset_id, kind, sha256"
    )
    papers: dict[str, list[dict[str, str]]] = {}
    for asset_id, kind, sha256 in session.execute(query, {"ids": list(asset_ids)}):
        papers.setdefault(asset_id, []).append({"kind": kind, "sha256": sha256})
    return papers


def _answered(index: int, asset_id: str) -> Outcome:
    fault = Fault("already_answered", f"/items/{index}/asset_id", "the obligor's answer is final", asset_id)
    return Outcome(asset_id, (fault,), duplicate=True)


def _too_early(index: int, asset_id: str, *, approval: str | None) -> Outcome:
    """Nobody can answer for what a second client of the originator has not approved."""
    return Outcome(asset_id, (rules.approval_fault(approval, at=f"/items/{index}/asset_id", value=asset_id),))
