"""Corrections and supersessions in."""

from typing import Any

from exchange.auth import Role
from exchange.bulk import failed, read_items
from exchange.corrections import actions, rules
from exchange.corrections.schemas import (
    CorrectionItem,
    CorrectionResults,
    CorrectionSchema,
    CorrectionsSchema,
    SupersessionItem,
    SupersessionResults,
    SupersessionSchema,
    SupersessionsSchema,
)
from exchange.errors import Fault
from exchange.http import Call, Room
from exchange.receivables.api import origin_of

TOO_LATE = {rules.UNFINISHED, "superseded", "not_listed_yet", "not_free", "duplicate_receivable"}

room = Room("corrections", __name__, url_prefix="/v1", description="What was entered wrongly")


@room.operation(
    "/corrections",
    method="POST",
    roles=[Role.PLATFORM],
    bulk=CorrectionsSchema,
    result=CorrectionResults,
    idempotent=True,
)
def correct_assets(call: Call) -> dict[str, Any]:
    """Correct up to 1,000 assets: each by a new record that names the one it corrects."""
    read = read_items(call.raw, CorrectionItem, CorrectionSchema())
    outcomes = actions.correct(call.session, origin=origin_of(call), items=read.good)
    items = dict(read.good)
    return read.answer({index: _corrected(index, items[index], one) for index, one in outcomes.items()})


@room.operation(
    "/supersessions",
    method="POST",
    roles=[Role.PLATFORM],
    bulk=SupersessionsSchema,
    result=SupersessionResults,
    idempotent=True,
)
def supersede_assets(call: Call) -> dict[str, Any]:
    """Void up to 1,000 assets that are still their sellers', each together with the submission in its place."""
    read = read_items(call.raw, SupersessionItem, SupersessionSchema())
    outcomes = actions.supersede(call.session, services=call.services, origin=origin_of(call), items=read.good)
    items = dict(read.good)
    return read.answer({index: _superseded(index, items[index], one) for index, one in outcomes.items()})


def _corrected(index: int, item: CorrectionItem, outcome: actions.Corrected) -> dict[str, Any]:
    if outcome.fault:
        return failed(index, _status(outcome.fault), [outcome.fault])
    return {"index": index, "status": 201, "asset_id": item.asset_id, "corrects": outcome.corrects}


def _superseded(index: int, item: SupersessionItem, outcome: actions.Superseded) -> dict[str, Any]:
    if outcome.faults:
        return failed(index, _status(outcome.faults[0]), outcome.faults)
    result = {"index": index, "status": 201, "asset_id": item.asset_id}
    return result | ({"by": outcome.by_id} if outcome.by_id else {})


def _status(fault: Fault) -> int:
    return 404 if fault.code == "not_found" else 409 if fault.code in TOO_LATE else 422
