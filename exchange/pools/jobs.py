"""List what was scored; clear a round at each cut-off."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from exchange.pools import actions
from exchange.services import Services


def list_assets(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Offer the market what was just scored."""
    actions.list_assets(session, asset_ids=payload["asset_ids"], now=services.clock.now(session))


def clear_round(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Clear the round of a cut-off."""
    cut_off_at = datetime.fromisoformat(payload["fire_at"])
    today = services.business_date(cut_off_at)
    now = services.clock.now(session)
    actions.clear_round(session, services=services, cut_off_at=cut_off_at, today=today, now=now)
