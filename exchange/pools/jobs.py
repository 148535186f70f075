"""List what was scored."""

from typing import Any

from sqlalchemy.orm import Session

from exchange.pools import actions
from exchange.services import Services


def list_assets(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Offer the market what was just scored."""
    actions.list_assets(session, asset_ids=payload["asset_ids"], now=services.clock.now(session))
