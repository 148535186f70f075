"""What the page of breaks shows: the last comparison, and where it found two places to differ."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from exchange.paging import decode_cursor, encode_cursor
from exchange.reconciliation import queries
from exchange.reconciliation.rules import Kind, Team

PAGE = 100
STATES = ("open", "explained", "resolved")
CHOICES: Mapping[str, tuple[str, ...]] = {"state": STATES, "team": tuple(Team), "kind": tuple(Kind)}


def comparing(session: Session, *, wanted: Mapping[str, str], today: date) -> dict[str, Any]:
    """The page (`BadCursor`); what the address does not name rightly is left open."""
    asked = {name: wanted[name] for name, choices in CHOICES.items() if wanted.get(name) in choices}
    after = decode_cursor(wanted.get("after"), str)
    found = queries.breaks(session, asked=asked, after=str(after[0]) if after else "", limit=PAGE, today=today)
    place = {"after": encode_cursor(found[-1]["break_id"])} if len(found) == PAGE else None
    return {
        "breaks": found,
        "asked": asked,
        "states": STATES,
        "teams": CHOICES["team"],
        "kinds": CHOICES["kind"],
        "last": queries.last_run(session),
        "next": f"/breaks?{urlencode(asked | place)}" if place else None,
    }
