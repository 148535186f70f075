"""Personal data: shown for a reason, to be found again; erased where the law allows it."""

from typing import Any

from exchange.auth import Role
from exchange.errors import NotFound
from exchange.http import Call, Room
from exchange.operations import erasures, queries, schemas
from exchange.operations.erasures import Decider
from exchange.paging import decode_cursor
from exchange.parties import privacy
from exchange.parties.privacy import Why

READERS = [Role.OPERATOR, Role.AUDITOR]

room = Room("privacy", __name__, url_prefix="/v1", description="Personal data: shown for a reason, noted, erased")


@room.operation("/controllers/<controller_id>", roles=READERS, result=schemas.ControllerShown)
def show_controller(call: Call, controller_id: str) -> dict[str, Any]:
    """A person who controls companies, masked: which companies, whether anything of the person is kept."""
    found = queries.controller(call.session, controller_id=controller_id)
    if found is None:
        raise NotFound("There is no such controller.")
    return found


@room.operation(
    "/controllers/<controller_id>/accesses",
    method="POST",
    roles=[Role.OPERATOR],
    body=schemas.AccessBody,
    result=schemas.NationalIdShown,
    status=201,
)
def read_national_id(call: Call, controller_id: str) -> dict[str, Any]:
    """Read a person's national id, for a purpose that is noted with your name for auditors to see."""
    why = Why(call.caller, call.now, call.body["purpose"], call.body["reason"])
    keyring = call.services.keyring
    number, value = privacy.national_id(call.session, controller_id=controller_id, keyring=keyring, why=why)
    return {"access_id": number, "controller_id": controller_id, "national_id": value}


@room.operation(
    "/personal-accesses", roles=READERS, query=schemas.PersonalAccessQuery, result=schemas.PersonalAccessesShown
)
def list_personal_accesses(call: Call) -> dict[str, Any]:
    """Who was shown personal data: of whom, which, why and when; oldest first."""
    position = decode_cursor(call.query.get("after"), int)
    asked = {"subject": call.query.get("subject"), "client_id": call.query.get("client_id")}
    after, limit = int(position[0]) if position else 0, call.query["limit"]
    return call.page(queries.accesses(call.session, **asked, after=after, limit=limit), by="access_id")


@room.operation(
    "/controllers/<controller_id>/erasures",
    method="POST",
    roles=[Role.OPERATOR],
    body=schemas.ErasureBody,
    result=schemas.ErasureShown,
    status=201,
    idempotent=True,
)
def ask_erasure(call: Call, controller_id: str) -> dict[str, Any]:
    """Ask that a person be erased; another client decides. Refused while an asset lives or the law has it kept."""
    asked = {"controller_id": controller_id, "reason": call.body["reason"]}
    return erasures.ask(call.session, services=call.services, **asked, by=_decider(call))


@room.operation("/erasures", roles=READERS, query=schemas.ErasureQuery, result=schemas.ErasuresShown)
def list_erasures(call: Call) -> dict[str, Any]:
    """Requests to erase persons, and what was decided of them; oldest first."""
    state, limit = call.query.get("state"), call.query["limit"]
    return call.page(queries.erasures(call.session, state=state, after=call.after, limit=limit), by="erasure_id")


@room.operation(
    "/erasures/<erasure_id>/decision",
    method="POST",
    roles=[Role.OPERATOR],
    body=schemas.ErasureDecision,
    result=schemas.ErasureShown,
    status=201,
    idempotent=True,
)
def decide_erasure(call: Call, erasure_id: str) -> dict[str, Any]:
    """Erase for good what is kept of a person, or decline; what was signed of assets stays and still verifies."""
    decision = call.body["decision"]
    return erasures.decide(
        call.session, services=call.services, erasure_id=erasure_id, decision=decision, by=_decider(call)
    )


def _decider(call: Call) -> Decider:
    return Decider(call.caller.client_id, call.today, call.now)
