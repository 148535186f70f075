"""Ask obligors by a link each; take silence as acceptance where it is one."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from http import HTTPStatus
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from exchange.errors import Fault, Refusal
from exchange.ids import new_id
from exchange.receivables import confirmations, queries, rules
from exchange.receivables.answer_schemas import RequestItem
from exchange.receivables.models import ConfirmationRequest, RequestedAnswer
from exchange.receivables.outcomes import Origin, Outcome
from exchange.receivables.rules import Answer, Silence
from exchange.services import Services

MOST_BEHIND_A_LINK = 50
"""So many receivables a person can read on one page."""

DEEM_BATCH = 500


class LinkUnknown(Refusal):
    """The token is not one that this exchange gave out."""

    code = "link_unknown"
    status = HTTPStatus.NOT_FOUND
    title = "This link is not one of ours"


class LinkExpired(Refusal):
    """The link is genuine, and too old."""

    code = "link_expired"
    status = HTTPStatus.GONE
    title = "This link has expired"


class Asked(NamedTuple):
    """A receivable behind a link."""

    asset_id: str
    request_id: str
    answer_by: date | None


class Link(NamedTuple):
    """What is behind a link that was opened. `evidence` is the SHA-256 of its token."""

    request_id: str
    obligor_id: str
    obligor_name: str
    originator_name: str
    expires_at: datetime
    evidence: str
    receivables: list[dict[str, Any]]


class _Wish(NamedTuple):
    """A receivable to be put behind a new link of one obligor."""

    obligor_id: str
    days: int
    asset_id: str
    silence: Silence | None


def ask(
    session: Session, *, services: Services, origin: Origin, items: Sequence[tuple[int, RequestItem]]
) -> dict[int, Asked | Outcome]:
    """Put receivables behind links, those of one obligor together; by index, where each is or why it is not.

    What waits behind an open link stays there: asking again gives the same link. A link lives at least as long as the
    silence that would be acceptance.
    """
    known = _known(session, [item.asset_id for _, item in items], origin=origin)
    policy = queries.policy_in_force(session, originator_id=origin.originator_id)
    papers = confirmations.uploaded(session, known) if policy.silence else {}
    answers: dict[int, Asked | Outcome] = {}
    wishes: dict[str, _Wish] = {}
    for index, item in items:
        row = known.get(item.asset_id)
        fault = _fault(row, at=f"/items/{index}/asset_id", asset_id=item.asset_id)
        if fault or row is None:
            answers[index] = Outcome(None, (fault,) if fault else ())
        elif row.request_id:
            answers[index] = Asked(item.asset_id, row.request_id, row.answer_by)
        else:
            all_papers = rules.all_papers(row.documents, papers.get(item.asset_id, []))
            quiet = rules.silence(policy, product=row.product, documents=all_papers, asked_on=origin.today)
            days = max(item.valid_days, (quiet.answer_by - origin.today).days + 1 if quiet else 0)
            wishes.setdefault(item.asset_id, _Wish(row.obligor_id, days, item.asset_id, quiet))
    made = {one.asset_id: one for one in _make(session, list(wishes.values()), services=services, origin=origin)}
    return answers | {index: made[item.asset_id] for index, item in items if item.asset_id in made}


def urls(services: Services, links: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The address of each link (rows of `queries.links`), by its request."""
    return {link["request_id"]: f"{services.settings.issuer}/confirm/{_token(services, **link)}" for link in links}


def open_link(session: Session, *, services: Services, token: str, now: datetime) -> Link:
    """What is behind a token. Refuses one we never gave out (`LinkUnknown`) and one that is too old (`LinkExpired`)."""
    request_id = rules.request_of_token(token)
    found = queries.links(session, request_ids=[request_id] if request_id else [])
    if not found or not hmac.compare_digest(_token(services, **found[0]).encode(), token.encode()):
        raise LinkUnknown("Check that the whole address was copied.")
    if found[0]["expires_at"] <= now:
        raise LinkExpired("Ask the platform that sent it for a new one.")
    query = text("""
        SELECT request_id, obligor_id, coalesce(obligor.name, obligor.scheme || ' ' || obligor.value) AS obligor_name,
               originator.name AS originator_name, expires_at
        FROM confirmation_request
        JOIN originator USING (originator_id)
        JOIN company AS obligor ON obligor.company_id = obligor_id
        WHERE request_id = :request_id
    """)
    row = session.execute(query, {"request_id": request_id}).one()
    evidence = hashlib.sha256(token.encode()).hexdigest()
    names = (row.obligor_id, row.obligor_name, row.originator_name)
    return Link(row.request_id, *names, row.expires_at, evidence, _behind(session, row.request_id))


def deem(session: Session, *, answer_by: date, today: date, after: str, now: datetime) -> str | None:
    """Accept for the obligors who had until `answer_by` and said nothing; where to go on, if there is more.

    The paper on which silence counts is the evidence.
    """
    query = text("""
        SELECT DISTINCT ON (asset_id) asset_id, ground FROM requested_answer
        WHERE answer_by = :answer_by AND asset_id > :after
          AND NOT EXISTS (SELECT FROM confirmation WHERE confirmation.asset_id = requested_answer.asset_id)
        ORDER BY asset_id, request_id LIMIT :limit
    """)
    parameters = {"answer_by": answer_by, "after": after, "limit": DEEM_BATCH}
    silent = session.execute(query, parameters).all()
    answers = [Answer(row.asset_id, "accepted", "deemed", answer_by, evidence=row.ground) for row in silent]
    confirmations.keep(session, answers=list(enumerate(answers)), today=today, now=now)
    return silent[-1].asset_id if len(silent) == DEEM_BATCH else None


def _known(session: Session, asset_ids: Sequence[str], *, origin: Origin) -> dict[str, Row[Any]]:
    query = text("""
        SELECT receivable.asset_id, obligor_id, product, documents, confirmation.asset_id IS NOT NULL AS answered,
               CASE WHEN approval.asset_id IS NOT NULL THEN coalesce(approval.outcome, 'awaited') END AS approval,
               asked.request_id, asked.answer_by
        FROM receivable
        LEFT JOIN confirmation ON confirmation.asset_id = receivable.asset_id
        LEFT JOIN approval ON approval.asset_id = receivable.asset_id
        LEFT JOIN LATERAL (
            SELECT request_id, answer_by FROM requested_answer JOIN confirmation_request USING (request_id)
            WHERE requested_answer.asset_id = receivable.asset_id AND expires_at > :now
            ORDER BY request_id DESC LIMIT 1
        ) AS asked ON true
        WHERE receivable.asset_id = ANY(:ids) AND receivable.originator_id = :originator_id
    """)
    parameters = {"ids": list(asset_ids), "originator_id": origin.originator_id, "now": origin.now}
    return {row.asset_id: row for row in session.execute(query, parameters)}


def _fault(row: Row[Any] | None, *, at: str, asset_id: str) -> Fault | None:
    if row is None:
        return Fault("not_found", at, "no such asset", asset_id)
    if row.answered:
        return Fault("already_answered", at, "the obligor's answer is final", asset_id)
    return rules.approval_fault(row.approval, at=at, value=asset_id) if row.approval not in {None, "approved"} else None


def _make(session: Session, wishes: Sequence[_Wish], *, services: Services, origin: Origin) -> Iterator[Asked]:
    """One link for each obligor and lifetime, and another when it is full."""
    ordered = sorted(wishes, key=lambda wish: wish[:3])
    for (obligor_id, days), group in groupby(ordered, key=lambda wish: wish[:2]):
        behind = list(group)
        for start in range(0, len(behind), MOST_BEHIND_A_LINK):
            together = behind[start : start + MOST_BEHIND_A_LINK]
            purpose = hashlib.sha256("/".join(wish.asset_id for wish in together).encode()).hexdigest()
            request_id = new_id("crq", now=origin.now, entropy=services.entropy, purpose=purpose)
            values = {"request_id": request_id, "originator_id": origin.originator_id, "obligor_id": obligor_id}
            times = {"made_at": origin.now, "expires_at": origin.now + timedelta(days=days)}
            session.execute(insert(ConfirmationRequest).values(**values, **times).on_conflict_do_nothing())
            rows = [_requested(wish, request_id) for wish in together]
            session.execute(insert(RequestedAnswer).on_conflict_do_nothing(), rows)
            for wish in together:
                yield Asked(wish.asset_id, request_id, wish.silence.answer_by if wish.silence else None)


def _requested(wish: _Wish, request_id: str) -> dict[str, object]:
    silence = wish.silence._asdict() if wish.silence else dict.fromkeys(Silence._fields)
    return {"asset_id": wish.asset_id, "request_id": request_id, **silence}


def _token(services: Services, *, request_id: str, expires_at: datetime, asset_ids: Sequence[str], **_: object) -> str:
    key = services.keyring.fingerprint_key
    return rules.link_token(key, request_id=request_id, expires_at=expires_at, asset_ids=asset_ids)


def _behind(session: Session, request_id: str) -> list[dict[str, Any]]:
    """The receivables behind a link as their obligor sees them, with the answer where there is one."""
    query = text("""
        SELECT receivable.asset_id, coalesce(seller.name, seller.scheme || ' ' || seller.value) AS seller_name,
               invoice_number, currency, receivable.face_minor, issue_date, receivable.due_date, documents, schedule,
               answer_by, jurisdiction, confirmation.outcome, confirmation.face_minor AS confirmed_minor,
               confirmation.due_date AS confirmed_due, confirmation.grade, reason_code, reason, recorded_at,
               (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'sha256', sha256, 'name', name)), '[]')
                FROM document WHERE document.asset_id = receivable.asset_id) AS uploads
        FROM requested_answer
        JOIN receivable USING (asset_id)
        JOIN company AS seller ON seller.company_id = seller_id
        LEFT JOIN confirmation ON confirmation.asset_id = receivable.asset_id
        WHERE request_id = :request_id ORDER BY receivable.asset_id
    """)
    return [dict(row) for row in session.execute(query, {"request_id": request_id}).mappings()]
