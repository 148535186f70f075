"""Trade history in, models trained."""

from typing import Any

from exchange import jobs
from exchange.auth import Role
from exchange.bulk import failed, read_items
from exchange.http import Call, Room
from exchange.receivables.api import origin_of
from exchange.receivables.outcomes import Outcome
from exchange.risk import actions, history
from exchange.risk.schemas import (
    HistoriesSchema,
    HistoryItem,
    HistoryResults,
    HistorySchema,
    ModelSchema,
    TrainingAccepted,
    TrainingSchema,
)

room = Room("risk", __name__, url_prefix="/v1", description="Facts about payers, and the model that judges them")


@room.operation(
    "/trade-history",
    method="POST",
    roles=[Role.PLATFORM],
    bulk=HistoriesSchema,
    result=HistoryResults,
    idempotent=True,
)
def keep_trade_history(call: Call) -> dict[str, Any]:
    """Tell the exchange of up to 1,000 invoices from before it knew the platform."""
    read = read_items(call.raw, HistoryItem, HistorySchema())
    outcomes = history.keep_history(call.session, services=call.services, origin=origin_of(call), items=read.good)
    return read.answer({index: _told(index, outcome) for index, outcome in outcomes.items()})


@room.operation(
    "/models",
    method="POST",
    roles=[Role.OPERATOR],
    body=TrainingSchema,
    result=TrainingAccepted,
    status=202,
    idempotent=True,
)
def train_model(call: Call) -> dict[str, Any]:
    """Train a model on everything known by now and put it in force."""
    jobs.enqueue(call.session, job="risk.train", payload=call.body)
    return {"job": "risk.train"}


@room.operation("/models/current", roles=[Role.OPERATOR, Role.AUDITOR], result=ModelSchema)
def show_model(call: Call) -> dict[str, Any]:
    """The model in force."""
    model = actions.model_in_force(call.session)
    return {"version": model.version, "card": model.card}


def _told(index: int, outcome: Outcome) -> dict[str, Any]:
    """A past trade has no asset's id to tell."""
    return (
        failed(index, 409 if outcome.duplicate else 422, outcome.faults)
        if outcome.faults
        else {"index": index, "status": 201}
    )
