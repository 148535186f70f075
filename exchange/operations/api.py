"""The clock, the checks, health."""

import time
from typing import Any

from flask import Blueprint, Response, request
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from exchange import jobs
from exchange.auth import Role
from exchange.clock import system_now
from exchange.http import Call, Room, json_response, services
from exchange.operations import actions, queries, rules
from exchange.operations.schemas import (
    ChecksShown,
    ClockQuery,
    ClockSchema,
    ClockShown,
    FailingWork,
    WorkDecided,
    WorkDecisionSchema,
    WorkersShown,
)
from exchange.paging import decode_cursor
from exchange.schemas import PageQuery

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


@public.get("/ready")
def ready() -> Response:
    """Whether requests should come here: the database answers and is of this version. How late work is, is told too."""
    found = queries.readiness(services(), now=system_now())
    right = found["database"] == found["migrations"] == "ok"
    return json_response(found, status=200 if right else 503)


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


@room.operation("/workers", roles=[Role.OPERATOR], result=WorkersShown)
def list_workers(call: Call) -> dict[str, Any]:
    """Workers, and when each said last that it lives."""
    return {"items": queries.workers(call.session)}


@room.operation("/work-items", roles=[Role.OPERATOR], query=PageQuery, result=FailingWork)
def list_failing_work(call: Call) -> dict[str, Any]:
    """Work that was tried in vain and will be tried again, with its last error."""
    position, limit = decode_cursor(call.query.get("after"), int), call.query["limit"]
    items = queries.failing_work(call.session, after=int(position[0]) if position else 0, limit=limit)
    return call.page(items, by="work_id")


@room.operation(
    "/work-items/<work_id>/decisions",
    method="POST",
    roles=[Role.OPERATOR],
    body=WorkDecisionSchema,
    result=WorkDecided,
    idempotent=True,
)
def decide_work(call: Call, work_id: str) -> dict[str, Any]:
    """Try work that fails again at once, or take it off the list for good; who, and why, stays."""
    known = rules.work_number(work_id)
    actions.decide_work(call.session, work_id=known, by=call.caller.client_id, **call.body, now=call.now)
    return {"work_id": known, "decision": call.body["decision"]}


def _quiet_or_late(call: Call) -> dict[str, Any]:
    """The clock's state once the exchange is idle or quiet, or whatever it is when the caller's patience ends."""
    until = time.monotonic() + rules.patience_seconds(request.headers.get("Prefer"), role=call.caller.role)
    while True:
        state = queries.clock_state(call.session, services=call.services)
        if state[call.query["until"]] or time.monotonic() >= until:
            return state
        time.sleep(PAUSE_SECONDS)
