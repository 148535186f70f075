"""What the page of collections shows: the work list of a team, how collections do, the oldest cases."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from exchange.collections.figures import report
from exchange.collections.lists import cases, tasks
from exchange.collections.policies import TEAMS
from exchange.collections.rules import AGE_NAMES
from exchange.paging import decode_cursor, encode_cursor

PAGE = 100
CASES = 20
STATES = ("waiting", "overdue", "done", "skipped")


def collecting(session: Session, *, wanted: Mapping[str, str], today: date) -> dict[str, Any]:
    """The page for a team and a state of tasks (`BadCursor`); what the address does not name rightly is left open."""
    team = wanted.get("team") if wanted.get("team") in TEAMS else None
    state = wanted.get("state") if wanted.get("state") in STATES else STATES[0]
    after = decode_cursor(wanted.get("after"), str, str)
    asked = {"team": team, "state": state, "limit": PAGE}
    found = tasks(session, originator_id=None, wanted=asked, after=after, today=today)
    last = found[-1] if len(found) == PAGE else None
    chosen = ({"team": team} if team else {}) | {"state": str(state)}
    place = {"after": encode_cursor(last["due_on"].isoformat(), last["task_id"])} if last else None
    figures = report(session, originator_id=None, today=today)
    live = {"state": "live", "limit": CASES}
    return {
        "tasks": found,
        "teams": TEAMS,
        "states": STATES,
        "team": team,
        "state": state,
        "today": today,
        "next": f"/collections?{urlencode(chosen | place)}" if place else None,
        "figures": figures,
        "ages": AGE_NAMES,
        "aged": _aged(figures["teams"]),
        "cases": cases(session, originator_id=None, wanted=live, after=None, today=today),
    }


def _aged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each team and currency, its amounts by age."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["team"], row["currency"])
        line = found.setdefault(key, {"team": key[0], "currency": key[1], "cases": 0, "by_age": {}})
        line["cases"] += row["cases"]
        line["by_age"][row["age"]] = row["outstanding_minor"]
    return list(found.values())
