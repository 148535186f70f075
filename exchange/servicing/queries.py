"""Reads: how far a day is closed, policies, proposals to wait, suspended limits."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.servicing.models import ServicingPolicy

OWN: Mapping[Role, str] = {Role.PLATFORM: "originator_id", Role.FUNDER: "funder_id"}
"""The column that says whose a proposal is; operators and auditors see all."""

DAYS = """
    SELECT day.business_date, day.asset_count, day.closed_at AS began_at, day.chunk_count,
           count(chunk.chunk) AS chunks_done, coalesce(sum(chunk.fact_count), 0)::bigint AS fact_count,
           CASE WHEN count(chunk.chunk) = day.chunk_count
                THEN coalesce(max(chunk.closed_at), day.closed_at) END AS ended_at
    FROM closed_day AS day LEFT JOIN closed_chunk AS chunk USING (business_date)
"""

SUSPENSIONS = """
    SELECT suspension_id, company.company_id AS obligor_id, cause, limit_suspension.reason, suspended_on,
           root_id AS asset_id, lifting, second_person, suspended_by, asked_by, lifted_on, lifted_by, lift_reason
    FROM limit_suspension JOIN company ON company.number = limit_suspension.obligor
"""


def closed_days(session: Session, *, before: date | None, limit: int) -> list[dict[str, Any]]:
    """The business dates whose close was started, the last one first."""
    query = text(
        f"{DAYS} WHERE cast(:before AS date) IS NULL OR day.business_date < :before "
        "GROUP BY day.business_date ORDER BY day.business_date DESC LIMIT :limit"
    )
    return [dict(row) for row in session.execute(query, {"before": before, "limit": limit}).mappings()]


def closed_day(session: Session, *, day: date) -> dict[str, Any] | None:
    """How far one business date is closed."""
    query = text(f"{DAYS} WHERE day.business_date = :day GROUP BY day.business_date")
    row = session.execute(query, {"day": day}).mappings().first()
    return dict(row) if row else None


def policies(session: Session, *, caller: Caller) -> list[dict[str, Any]]:
    """Every version of the policies; a platform sees what it is serviced by."""
    query = select(ServicingPolicy).order_by(
        ServicingPolicy.originator_id, ServicingPolicy.product, ServicingPolicy.effective_from
    )
    if caller.role is Role.PLATFORM:
        query = query.where(ServicingPolicy.originator_id.in_(["", caller.party_id or ""]))
    return [
        {
            "originator_id": row.originator_id or None,
            "product": row.product or None,
            "effective_from": row.effective_from,
            "terms": row.terms,
        }
        for row in session.execute(query).scalars()
    ]


def forbearances(
    session: Session, *, caller: Caller, asset_id: str | None, state: str | None, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """The proposals that concern a caller, oldest first."""
    own = OWN.get(caller.role)
    query = text(f"""
        SELECT forbearance_id, asset_id, kind, from_date, until_date, instalments, reason, proposed_at,
               outcome, answered_by, answer_reason, answered_at, effective_on
        FROM forbearance
        WHERE {f"{own} = :party" if own else "true"}
          AND (cast(:asset AS text) IS NULL OR asset_id = :asset)
          AND (cast(:state AS text) IS NULL OR coalesce(outcome, 'open') = :state)
          AND (cast(:after AS text) IS NULL OR forbearance_id > :after)
        ORDER BY forbearance_id LIMIT :limit
    """)  # noqa: S608 - a column of ours
    parameters = {"party": caller.party_id, "asset": asset_id, "state": state, "after": after, "limit": limit}
    return [dict(row) for row in session.execute(query, parameters).mappings()]


def suspensions(
    session: Session, *, obligor_id: str | None, at: date | None, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """Suspensions of limits, oldest first; with a day, those that stood at its end."""
    query = text(f"""
        {SUSPENSIONS}
        WHERE (cast(:obligor AS text) IS NULL OR company.company_id = :obligor)
          AND (cast(:at AS date) IS NULL OR (suspended_on <= :at AND coalesce(lifted_on > :at, true)))
          AND (cast(:after AS text) IS NULL OR suspension_id > :after)
        ORDER BY suspension_id LIMIT :limit
    """)
    parameters = {"obligor": obligor_id, "at": at, "after": after, "limit": limit}
    return [dict(row) for row in session.execute(query, parameters).mappings()]


def suspension(session: Session, *, suspension_id: str) -> dict[str, Any]:
    """One suspension."""
    query = text(f"{SUSPENSIONS} WHERE suspension_id = :id")
    return dict(session.execute(query, {"id": suspension_id}).mappings().one())


def obligor_number(session: Session, *, company_id: str) -> int | None:
    """The number of a company in the ledger of limits."""
    query = text("SELECT number FROM company WHERE company_id = :id")
    found: int | None = session.execute(query, {"id": company_id}).scalar_one_or_none()
    return found
