"""Reads for originators, their second clients, and obligors."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from exchange.receivables.models import SubmissionPolicy
from exchange.receivables.schemas import Policy

LINKS = """
    SELECT request_id, company.name AS obligor_name, made_at, expires_at,
           array_agg(asset_id ORDER BY asset_id) AS asset_ids,
           count(*) FILTER (WHERE confirmation.asset_id IS NULL) AS waiting
    FROM confirmation_request
    JOIN company ON company.company_id = obligor_id
    JOIN requested_answer USING (request_id)
    LEFT JOIN confirmation USING (asset_id)
    WHERE request_id = ANY(:ids) GROUP BY request_id, company.name ORDER BY request_id
"""


def policy_in_force(session: Session, *, originator_id: str) -> Policy:
    """What an originator asks of its submissions now."""
    return policy(session, originator_id=originator_id)[1]


def policy(session: Session, *, originator_id: str) -> tuple[int, Policy]:
    """The last version of an originator's policy and its terms; version 0, which asks nothing, before the first."""
    query = select(SubmissionPolicy.version, SubmissionPolicy.terms).where(
        SubmissionPolicy.originator_id == originator_id
    )
    row = session.execute(query.order_by(SubmissionPolicy.version.desc()).limit(1)).first()
    return (row.version, msgspec.convert(row.terms, Policy)) if row else (0, Policy())


def awaited_approvals(session: Session, *, originator_id: str, after: str | None, limit: int) -> list[dict[str, Any]]:
    """The receivables that wait for a second client, oldest first."""
    query = text("""
        SELECT asset_id, made_by, invoice_number, currency, face_minor, due_date, submitted_at
        FROM approval JOIN receivable USING (asset_id)
        WHERE approval.originator_id = :originator_id AND outcome IS NULL
          AND (cast(:after AS text) IS NULL OR asset_id > :after)
        ORDER BY asset_id LIMIT :limit
    """)
    rows = session.execute(query, {"originator_id": originator_id, "after": after, "limit": limit})
    return [dict(row) for row in rows.mappings()]


def open_links(
    session: Session, *, originator_id: str, after: str | None, limit: int, now: datetime
) -> list[dict[str, Any]]:
    """An originator's links that have not expired, oldest first, with what is behind each."""
    query = text("""
        SELECT request_id FROM confirmation_request
        WHERE originator_id = :originator_id AND expires_at > :now
          AND (cast(:after AS text) IS NULL OR request_id > :after)
        ORDER BY request_id LIMIT :limit
    """)
    parameters = {"originator_id": originator_id, "after": after, "limit": limit, "now": now}
    return links(session, request_ids=list(session.execute(query, parameters).scalars()))


def links(session: Session, *, request_ids: list[str]) -> list[dict[str, Any]]:
    """These links, with what is behind each."""
    return [dict(row) for row in session.execute(text(LINKS), {"ids": request_ids}).mappings()]


def owed(session: Session, *, obligor_id: str, waiting: bool, after: str | None, limit: int) -> list[dict[str, Any]]:
    """The receivables that name an obligor and may be answered, or were; `waiting` leaves out those with an answer."""
    query = text("""
        SELECT receivable.asset_id, originator.name AS originator_name, seller.name AS seller_name,
               seller.scheme || ' ' || seller.value AS seller_number, invoice_number, currency, receivable.face_minor,
               issue_date, receivable.due_date, documents, receivable.schedule, confirmation.outcome AS answer
        FROM receivable
        JOIN originator USING (originator_id)
        JOIN company AS seller ON seller.company_id = seller_id
        LEFT JOIN confirmation ON confirmation.asset_id = receivable.asset_id
        LEFT JOIN approval ON approval.asset_id = receivable.asset_id
        WHERE obligor_id = :obligor_id AND (cast(:after AS text) IS NULL OR receivable.asset_id > :after)
          AND (NOT :waiting OR confirmation.asset_id IS NULL)
          AND (approval.asset_id IS NULL OR approval.outcome = 'approved')
        ORDER BY receivable.asset_id LIMIT :limit
    """)
    parameters = {"obligor_id": obligor_id, "waiting": waiting, "after": after, "limit": limit}
    return [dict(row) for row in session.execute(query, parameters).mappings()]
