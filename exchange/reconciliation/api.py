"""Runs and breaks: to ask for one, to look at them, to say something of one."""

from typing import Any

from exchange.auth import Role
from exchange.errors import NotFound
from exchange.http import Call, Room
from exchange.reconciliation import actions, queries
from exchange.reconciliation.schemas import (
    BreakDecisionSchema,
    BreakInFull,
    BreakQuery,
    BreaksShown,
    RunShown,
    RunsShown,
)
from exchange.schemas import PageQuery

READERS = [Role.OPERATOR, Role.AUDITOR]

room = Room("reconciliation", __name__, url_prefix="/v1", description="What should be the same and is not")


@room.operation("/reconciliations", method="POST", roles=[Role.OPERATOR], result=RunShown, status=201, idempotent=True)
def start_reconciliation(call: Call) -> dict[str, Any]:
    """Compare everything now, for today; a worker does it. What is gone is closed, what is new is a break."""
    run_id = actions.begin(
        call.session,
        services=call.services,
        business_date=call.today,
        asked_by=call.caller.client_id,
        now=call.now,
    )
    return _known(queries.run(call.session, run_id=run_id))


@room.operation("/reconciliations", roles=READERS, query=PageQuery, result=RunsShown)
def list_reconciliations(call: Call) -> dict[str, Any]:
    """Runs, oldest first."""
    return call.page(queries.runs(call.session, after=call.after or "", limit=call.query["limit"]), by="run_id")


@room.operation("/reconciliations/<run_id>", roles=READERS, result=RunShown)
def show_reconciliation(call: Call, run_id: str) -> dict[str, Any]:
    """One run, and how far it is."""
    return _known(queries.run(call.session, run_id=run_id))


@room.operation("/breaks", roles=READERS, query=BreakQuery, result=BreaksShown)
def list_breaks(call: Call) -> dict[str, Any]:
    """Breaks, oldest first; those that are `open` are the work list."""
    asked = {name: value for name, value in call.query.items() if name not in {"after", "limit"}}
    found = queries.breaks(
        call.session, asked=asked, after=call.after or "", limit=call.query["limit"], today=call.today
    )
    return call.page(found, by="break_id")


@room.operation("/breaks/<break_id>", roles=READERS, result=BreakInFull)
def show_break(call: Call, break_id: str) -> dict[str, Any]:
    """One break and all that happened to it."""
    return _known(queries.break_in_full(call.session, break_id=break_id, today=call.today))


@room.operation(
    "/breaks/<break_id>/decisions",
    method="POST",
    roles=[Role.OPERATOR],
    body=BreakDecisionSchema,
    result=BreakInFull,
    idempotent=True,
)
def decide_break(call: Call, break_id: str) -> dict[str, Any]:
    """Say whose a break is, or why it is. Nobody closes one but a run that does not find it any more."""
    decision = actions.Decision(by=call.caller.client_id, **call.body)
    actions.decide(call.session, break_id=break_id, decision=decision, now=call.now)
    return _known(queries.break_in_full(call.session, break_id=break_id, today=call.today))


def _known(found: dict[str, Any] | None) -> dict[str, Any]:
    if found is None:
        raise NotFound("There is no such thing.")
    return found
