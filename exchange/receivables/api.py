"""Receivables in, obligors' answers in, assets out."""

from typing import Any

from exchange.auth import Role
from exchange.bulk import failed, read_items
from exchange.clock import business_date
from exchange.http import Call, Room
from exchange.receivables import actions
from exchange.receivables.actions import Origin, Outcome
from exchange.receivables.schemas import (
    ConfirmationItem,
    ConfirmationResults,
    ConfirmationSchema,
    ConfirmationsSchema,
    SubmissionItem,
    SubmissionResults,
    SubmissionSchema,
    SubmissionsSchema,
)

room = Room("receivables", __name__, url_prefix="/v1", description="Submit receivables and pass on obligors' answers")


@room.operation(
    "/receivables",
    method="POST",
    roles=[Role.PLATFORM],
    bulk=SubmissionsSchema,
    result=SubmissionResults,
    idempotent=True,
)
def submit_receivables(call: Call) -> dict[str, Any]:
    """Submit up to 1,000 receivables; each is judged by itself."""
    read = read_items(call.raw, SubmissionItem, SubmissionSchema())
    outcomes = actions.submit(call.session, services=call.services, origin=origin_of(call), items=read.good)
    return read.answer({index: item_result(index, outcome) for index, outcome in outcomes.items()})


@room.operation(
    "/confirmations",
    method="POST",
    roles=[Role.PLATFORM],
    bulk=ConfirmationsSchema,
    result=ConfirmationResults,
    idempotent=True,
)
def confirm_receivables(call: Call) -> dict[str, Any]:
    """Pass on up to 1,000 answers of obligors; an accepted receivable becomes a signed asset."""
    read = read_items(call.raw, ConfirmationItem, ConfirmationSchema())
    outcomes = actions.confirm(call.session, origin=origin_of(call), items=read.good)
    return read.answer({index: item_result(index, outcome) for index, outcome in outcomes.items()})


def origin_of(call: Call) -> Origin:
    """The originator that calls, and its business date."""
    today = business_date(call.now, time_zone=call.services.settings.time_zone)
    return Origin(str(call.caller.party_id), call.now, today)


def item_result(index: int, outcome: Outcome) -> dict[str, Any]:
    """What an item of a bulk answer says."""
    if outcome.faults:
        not_found = outcome.faults[0].code == "not_found"
        return failed(index, 409 if outcome.duplicate else 404 if not_found else 422, outcome.faults)
    result: dict[str, Any] = {"index": index, "status": 201, "asset_id": outcome.asset_id}
    return result | ({"near_duplicate_of": list(outcome.near_duplicates)} if outcome.near_duplicates else {})
