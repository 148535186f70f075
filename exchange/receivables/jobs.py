"""The day after an obligor's last day to speak."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from exchange import jobs
from exchange.receivables import requests
from exchange.services import Services

DEEM_JOB = "receivables.deem"


def deem(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Take yesterday's silence as acceptance, a batch at a time."""
    today = services.business_date(datetime.fromisoformat(payload["fire_at"]))
    answer_by: date = today - timedelta(days=1)
    now = services.clock.now(session)
    last = requests.deem(session, answer_by=answer_by, today=today, after=payload.get("after", ""), now=now)
    if last is not None:
        jobs.enqueue(session, job=DEEM_JOB, payload=payload | {"after": last})
