"""Forget what is kept only for a while."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from exchange import idempotency, jobs
from exchange.services import Services


def forget(_: Services, session: Session, payload: dict[str, Any]) -> None:
    """Drop the answers that nobody can ask for again, a part in each transaction."""
    fired_at = datetime.fromisoformat(payload["fire_at"])
    if idempotency.forget(session, before=fired_at - timedelta(days=idempotency.KEPT_DAYS)):
        jobs.enqueue(session, job="parties.forget", payload=payload)
