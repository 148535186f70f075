"""Score what was confirmed."""

from typing import Any

from sqlalchemy.orm import Session

from exchange.risk import actions
from exchange.services import Services


def score(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Decide about the assets that were just confirmed."""
    now = services.clock.now(session)
    today = services.business_date(now)
    actions.score(session, asset_ids=payload["asset_ids"], today=today, now=now)
