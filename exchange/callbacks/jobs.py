"""Work about callbacks that nobody waits for."""

from datetime import date, timedelta
from typing import Any

from sqlalchemy.orm import Session

from exchange import jobs
from exchange.callbacks import days, endpoints
from exchange.clock import system_now
from exchange.services import Services


def close_days(services: Services, session: Session, _: dict[str, Any]) -> None:
    """Have the days before today closed, funder by funder; forget old attempts."""
    until = services.business_date(services.clock.now(session)) - timedelta(days=1)
    for funder_id in days.due(session, until=until):
        payload = {"funder_id": funder_id, "until": until.isoformat()}
        jobs.enqueue(session, job="callbacks.close_stream", payload=payload)
    endpoints.forget_attempts(session, now=system_now())


def close_stream(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Close the days of one funder; what waits for its seal is left to the next night."""
    until, now = date.fromisoformat(payload["until"]), services.clock.now(session)
    days.close(session, services=services, funder_id=payload["funder_id"], until=until, now=now)
