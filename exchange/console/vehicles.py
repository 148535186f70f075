"""Facilities: the list, and one with tranches, the figures of its last close, and its turns."""

from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.console.lives import CONSOLE, MOST_ROWS
from exchange.errors import NotFound
from exchange.facilities import queries

CLOSE = text("SELECT figures FROM facility_day WHERE facility_id = :id ORDER BY business_date DESC LIMIT 1")


def facilities(session: Session) -> dict[str, Any]:
    """All of them."""
    return {"facilities": queries.facilities(session, caller=CONSOLE, after=None, limit=MOST_ROWS)}


def facility(session: Session, *, facility_id: str, today: date) -> dict[str, Any] | None:
    """One of them."""
    try:
        found = queries.seen(session, caller=CONSOLE, facility_id=facility_id)
    except NotFound:
        return None
    page = {"after": None, "limit": MOST_ROWS}
    return {
        "facility": queries.shown(session, caller=CONSOLE, facility=found, today=today),
        "close": session.execute(CLOSE, {"id": facility_id}).scalar_one_or_none(),
        "facts": queries.facts(session, facility_id=facility_id, **page),  # type: ignore[arg-type]  # of both kinds
        "paid": queries.distributions(session, caller=CONSOLE, facility_id=facility_id, **page),  # type: ignore[arg-type]  # same
    }
