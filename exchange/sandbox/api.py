"""Sandboxes, as the funder who has them asks for them in the main exchange."""

from datetime import date
from typing import Any

from exchange.auth import Role
from exchange.http import Call, Room
from exchange.paging import BadCursor, decode_cursor
from exchange.parties.clients import check_key
from exchange.sandbox import actions, queries, rules
from exchange.sandbox import schemas as wire
from exchange.sandbox.models import Sandbox
from exchange.schemas import PageQuery

room = Room("sandbox", __name__, url_prefix="/v1", description="An exchange of your own, and its clock")

SEES = [Role.FUNDER, Role.OPERATOR]
Shown = dict[str, Any]


@room.operation(
    "/sandboxes",
    method="POST",
    roles=[Role.FUNDER],
    body=wire.NewSandbox,
    result=wire.SandboxShown,
    status=201,
    idempotent=True,
)
def create_sandbox(call: Call) -> Shown:
    """Ask for an exchange of your own. It is `making` for a moment, then `open`."""
    if "public_jwk" in call.body:
        check_key(call.body["public_jwk"])
    row = actions.ask(
        call.session,
        services=call.services,
        caller=call.caller,
        name=call.body["name"],
        start_on=rules.check_start(call.body.get("start_date", call.today)),
        seed=call.body.get("seed"),
        public_jwk=call.body.get("public_jwk"),
    )
    return queries.shown(row, settings=call.services.settings)


@room.operation("/sandboxes", roles=SEES, query=PageQuery, result=wire.SandboxPage)
def list_sandboxes(call: Call) -> Shown:
    """Your sandboxes."""
    found = queries.sandboxes(call.session, caller=call.caller, after=call.after, limit=call.query["limit"])
    return call.page([queries.shown(one, settings=call.services.settings) for one in found], by="sandbox_id")


@room.operation("/sandboxes/<sandbox_id>", roles=SEES, result=wire.SandboxShown)
def show_sandbox(call: Call, sandbox_id: str) -> Shown:
    """A sandbox, and how far its clock is."""
    return queries.shown(_row(call, sandbox_id), settings=call.services.settings)


@room.operation(
    "/sandboxes/<sandbox_id>/clock/advance",
    method="POST",
    roles=[Role.FUNDER],
    body=wire.Advance,
    result=wire.SandboxShown,
    status=202,
    idempotent=True,
)
def advance_clock(call: Call, sandbox_id: str) -> Shown:
    """Move the clock. Day by day everything that falls due happens; meanwhile the sandbox can be read, not changed."""
    row = _row(call, sandbox_id, lock=True)
    actions.advance(
        row,
        days=call.body.get("days"),
        until=call.body.get("until"),
        stop_at=call.body.get("stop_at", ()),
        zone=call.services.settings.time_zone,
    )
    return queries.shown(row, settings=call.services.settings)


@room.operation("/sandboxes/<sandbox_id>/days", roles=SEES, query=PageQuery, result=wire.DayPage)
def list_days(call: Call, sandbox_id: str) -> Shown:
    """What each day brought so far."""
    _row(call, sandbox_id)
    try:
        after = None if call.after is None else date.fromisoformat(call.after)
    except ValueError:
        raise BadCursor("The cursor is of another list.") from None
    return call.page(
        queries.days(call.session, sandbox_id=sandbox_id, after=after, limit=call.query["limit"]), by="day"
    )


@room.operation(
    "/sandboxes/<sandbox_id>/scenarios",
    method="POST",
    roles=[Role.FUNDER],
    body=wire.NewScenario,
    result=wire.ScenarioShown,
    status=202,
    idempotent=True,
)
def begin_scenario(call: Call, sandbox_id: str) -> Shown:
    """Have something happen: it begins in a moment, today in the sandbox, and goes on as its clock does."""
    row = _row(call, sandbox_id, lock=True)
    said = call.body.get("parameters", {})
    return queries.shown_scenario(actions.add_scenario(call.session, row=row, kind=call.body["kind"], parameters=said))


@room.operation("/sandboxes/<sandbox_id>/scenarios", roles=SEES, query=PageQuery, result=wire.ScenarioPage)
def list_scenarios(call: Call, sandbox_id: str) -> Shown:
    """The scenarios of a sandbox, and the assets that each began with."""
    _row(call, sandbox_id)
    position, limit = decode_cursor(call.query.get("after"), int), call.query["limit"]
    after = int(position[0]) if position else 0
    return call.page(queries.scenarios(call.session, sandbox_id=sandbox_id, after=after, limit=limit), by="number")


@room.operation(
    "/sandboxes/<sandbox_id>/reset",
    method="POST",
    roles=[Role.FUNDER],
    result=wire.SandboxShown,
    status=202,
    idempotent=True,
)
def reset_sandbox(call: Call, sandbox_id: str) -> Shown:
    """Go back to the first morning: what was done since is gone, and the same calls give the same ids again."""
    return _end(call, sandbox_id, "resetting")


@room.operation(
    "/sandboxes/<sandbox_id>/end", method="POST", roles=SEES, result=wire.SandboxShown, status=202, idempotent=True
)
def end_sandbox(call: Call, sandbox_id: str) -> Shown:
    """Drop a sandbox, with all that is in it."""
    return _end(call, sandbox_id, "ending")


def _end(call: Call, sandbox_id: str, state: str) -> Shown:
    row = _row(call, sandbox_id, lock=True)
    actions.end(row, state=state)
    return queries.shown(row, settings=call.services.settings)


def _row(call: Call, sandbox_id: str, *, lock: bool = False) -> Sandbox:
    return queries.sandbox(call.session, sandbox_id=sandbox_id, caller=call.caller, lock=lock)
