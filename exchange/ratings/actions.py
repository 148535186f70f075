"""Grant, revoke, and keep every question."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.errors import Fault, InvalidRequest, NotFound
from exchange.ids import new_id
from exchange.parties.models import Company, Funder
from exchange.ratings import queries
from exchange.ratings.models import RatingAccess, RatingGrant
from exchange.services import Services


def grant(session: Session, *, services: Services, terms: dict[str, Any], client_id: str, now: datetime) -> str:
    """Let a funder ask about a company, or about all; gives the grant's id (`NotFound`, `InvalidRequest`)."""
    if terms["until_date"] < terms["from_date"]:
        message = f"not before {terms['from_date']}"
        fault = Fault("until_before_from", "/until_date", message, terms["until_date"].isoformat())
        raise InvalidRequest("A grant ends after it begins.", faults=(fault,))
    if session.get(Funder, terms["funder_id"]) is None:
        raise NotFound("There is no such funder.")
    company_id = terms.get("company_id")
    if company_id is not None and session.get(Company, company_id) is None:
        raise NotFound("There is no such company.")
    count = session.execute(select(func.count()).where(RatingGrant.funder_id == terms["funder_id"])).scalar_one()
    purpose = f"{terms['funder_id']}/{count}"
    grant_id = new_id("rgr", now=now, entropy=services.entropy, purpose=purpose)
    values = {"grant_id": grant_id, "granted_by": client_id, "granted_at": now} | terms
    session.execute(insert(RatingGrant).values(**values))
    return grant_id


def revoke(session: Session, *, grant_id: str, reason: str, now: datetime) -> None:
    """End a grant at once; a revoked one stays as it is (`NotFound`)."""
    row = session.execute(
        select(RatingGrant).where(RatingGrant.grant_id == grant_id).with_for_update()
    ).scalar_one_or_none()
    if row is None:
        raise NotFound("There is no such grant.")
    if row.revoked_at is None:
        row.revoked_at, row.revoke_reason = now, reason


def ask(session: Session, *, caller: Caller, company_id: str | None, asked: str, today: date, now: datetime) -> Any:  # noqa: ANN401 - a row
    """Keep that the caller asks about a company (None: all of them); gives the company's row.

    A funder needs a grant that holds today; without one there is nothing to be found (`NotFound`).
    """
    found = queries.company(session, company_id=company_id) if company_id is not None else None
    grant_id = None
    if caller.role is Role.FUNDER:
        parameters = {"funder_id": caller.party_id, "company_id": company_id, "today": today}
        grants = session.execute(queries.GRANTED, parameters).all()
        allowed = [one for one in grants if company_id is not None or one.company_id is None]
        grant_id = allowed[0].grant_id if allowed else None
    if (company_id is not None and found is None) or (caller.role is Role.FUNDER and grant_id is None):
        raise NotFound("There is no such company.")
    values = {
        "client_id": caller.client_id,
        "funder_id": caller.party_id if caller.role is Role.FUNDER else None,
        "company_id": company_id,
        "grant_id": grant_id,
        "asked": asked,
        "asked_at": now,
    }
    session.execute(insert(RatingAccess).values(**values))
    return found
