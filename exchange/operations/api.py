"""The clock, the checks, health."""

import time
from typing import Any

from flask import Blueprint, Response, request
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from exchange import jobs
from exchange.auth import Role
from exchange.http import Call, Room, json_response, services
from exchange.operations import queries, rules
from exchange.operations.schemas import ChecksShown, ClockQuery, ClockSchema, ClockShown

public = Blueprint("health", __name__)
PAUSE_SECONDS = 0.01

room = Room("operations", __name__, url_prefix="/v1", description="The clock and the checks")


@public.get("/health")
def health() -> Response:
    """Whether this process answers and reaches its database."""
    try:
        with services().database.transaction() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return json_response({"status": "database unreachable"}, status=503)
    return json_response({"status": "ok"})


@room.operation("/clock", roles=list(Role), query=ClockQuery, result=ClockShown)
def show_clock(call: Call) -> dict[str, Any]:
    """The exchange's time, and whether everything up to it is done. `Prefer: wait=10` waits until it is (RFC 7240)."""
    return _quiet_or_late(call)


@room.operation("/clock", method="PUT", roles=[Role.OPERATOR], body=ClockSchema, query=ClockQuery, result=ClockShown)
def move_clock(call: Call) -> dict[str, Any]:
    """Move the virtual clock forward. `Prefer: wait=10` waits until everything due by then is done."""
    rules.check_move(virtual=call.services.settings.virtual_clock, now=call.now, to=call.body["now"])
    # In a transaction of its own: workers act on a move only when they see it.
    with call.services.database.transaction() as session:
        if not jobs.set_virtual_time(session, moment=call.body["now"]):
            raise rules.backwards(call.body["now"])
    return _quiet_or_late(call)


@room.operation("/checks", roles=[Role.OPERATOR, Role.AUDITOR], result=ChecksShown)
def run_checks(call: Call) -> dict[str, Any]:
    """Recompute the books and the log from their first entry."""
    with call.services.database.snapshot() as session:
        return queries.checks(session, services=call.services)


def _quiet_or_late(call: Call) -> dict[str, Any]:
    """The clock's state once the exchange is idle or quiet, or whatever it is when the caller's patience ends."""
    until = time.monotonic() + rules.patience_seconds(request.headers.get("Prefer"), role=call.caller.role)
    while True:
        state = queries.clock_state(call.session, services=call.services)
        if state[call.query["until"]] or time.monotonic() >= until:
            return state
        time.sleep(PAUSE_SECONDS)
