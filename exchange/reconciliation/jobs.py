"""Reconcile every day: a run is asked for, and any worker takes it a piece further at a time."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from exchange import jobs
from exchange.reconciliation import actions
from exchange.services import Services


def reconcile(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Ask for the comparison of the business date on which this was due."""
    day = services.business_date(datetime.fromisoformat(payload["fire_at"]))
    now = services.clock.now(session)
    actions.begin(session, services=services, business_date=day, asked_by=actions.SCHEDULE, now=now, wait=True)


def go_on(services: Services, session: Session, _payload: dict[str, Any]) -> None:
    """Take the oldest unfinished run a piece further; the next piece is work of its own."""
    advanced = actions.go_on(session, services=services, now=services.clock.now(session))
    if advanced is not None and advanced.more:
        jobs.enqueue(session, job=actions.GO_ON_JOB, payload={})
