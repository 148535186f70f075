"""Work that follows a claim."""

from typing import Any

from sqlalchemy.orm import Session

from exchange.duplicates import actions
from exchange.duplicates.similar import Suspect
from exchange.services import Services


def screen(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Look again for likenesses of claims that were entered while others were."""
    suspects = [Suspect.from_json(values) for values in payload["suspects"]]
    actions.screen(session, suspects=suspects, now=services.clock.now(session))
