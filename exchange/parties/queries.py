"""Reads of who is who."""

from sqlalchemy.orm import Session

from exchange.parties.models import Originator


def is_originator(session: Session, *, originator_id: str) -> bool:
    """Whether there is such an originator."""
    return session.get(Originator, originator_id) is not None
