"""Forget what is kept only for a while."""

from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from exchange import idempotency, jobs
from exchange.clock import system_now
from exchange.services import Services


def forget(_: Services, session: Session, payload: dict[str, Any]) -> None:
    """Drop the answers that nobody can ask for again by the machine's time, a part in each transaction."""
    if idempotency.forget(session, before=system_now() - timedelta(days=idempotency.KEPT_DAYS)):
        jobs.enqueue(session, job="parties.forget", payload=payload)
