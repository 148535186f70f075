"""What servicing noted, and the day of every case: in chunks that any worker can take."""

from datetime import date, datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.collections import actions, queries, steps
from exchange.collections.actions import Noted
from exchange.collections.models import SteppedDay
from exchange.services import Services

CHUNK = 100


def follow(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Bring what the close of a business date noted into the cases."""
    day, now = date.fromisoformat(payload["business_date"]), services.clock.now(session)
    noted = [Noted(one["asset_id"], one["kind"], one["days_past_due"]) for one in payload["items"]]
    actions.follow(session, services=services, noted=noted, day=day, now=now)


def step(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Put the live cases on the list of work for a business date."""
    today = services.business_date(datetime.fromisoformat(payload["fire_at"]))
    case_ids = queries.live_cases(session, before=today)
    values = {"business_date": today, "case_count": len(case_ids)}
    session.execute(insert(SteppedDay).values(**values).on_conflict_do_nothing())
    for start in range(0, len(case_ids), CHUNK):
        chunk = {"business_date": today.isoformat(), "case_ids": case_ids[start : start + CHUNK]}
        jobs.enqueue(session, job="collections.step_cases", payload=chunk)


def step_cases(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Judge one chunk of cases for a business date."""
    today, now = date.fromisoformat(payload["business_date"]), services.clock.now(session)
    cases = queries.lock_live(session, case_ids=payload["case_ids"])
    due = [case for case in cases if case.stepped_on < today]
    steps.advance(session, services=services, cases=due, day=today, now=now)
