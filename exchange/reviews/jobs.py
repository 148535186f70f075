"""Screen what was scored; look again at who has to be looked at."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.reviews import screening, watching
from exchange.services import Services

CHUNK = 200
LOOK_JOB = "reviews.look"
OWING = text("""
    SELECT DISTINCT obligor_id FROM claim JOIN receivable ON receivable.asset_id = claim.root_id
    WHERE outstanding_minor > 0 ORDER BY obligor_id
""")
LATE_TODAY = text("""
    SELECT DISTINCT obligor_id FROM servicing_fact AS fact
    JOIN claim ON claim.asset_id = fact.asset_id JOIN receivable ON receivable.asset_id = claim.root_id
    WHERE fact.kind = ANY(:kinds) AND fact.business_date = :today ORDER BY obligor_id
""")


def screen(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Screen the assets that were just scored."""
    now = services.clock.now(session)
    today = services.business_date(now)
    screening.screen(session, services=services, asset_ids=payload["asset_ids"], today=today, now=now)


def look(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Look again at companies: their turn came, or something new is known of them."""
    now = services.clock.now(session)
    cause = payload.get("cause", "event")
    watching.look(
        session,
        services=services,
        company_ids=payload["company_ids"],
        cause=cause,
        today=services.business_date(now),
        now=now,
    )


def sweep(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Put everybody who owes something on the list to be looked at."""
    del services, payload
    _enqueue(session, list(session.execute(OWING).scalars()), cause="periodic")


def follow(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Put those on the list whose claims went wrong at today's close of business."""
    today = services.business_date(datetime.fromisoformat(payload["fire_at"]))
    late = session.execute(LATE_TODAY, {"kinds": list(watching.LATE_KINDS), "today": today})
    _enqueue(session, list(late.scalars()), cause="event")


def _enqueue(session: Session, company_ids: list[str], *, cause: str) -> None:
    for start in range(0, len(company_ids), CHUNK):
        jobs.enqueue(session, job=LOOK_JOB, payload={"company_ids": company_ids[start : start + CHUNK], "cause": cause})
