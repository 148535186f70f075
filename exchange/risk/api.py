"""Trade history in, models trained."""

from typing import Any

from exchange import jobs
from exchange.auth import Role
from exchange.bulk import read_items
from exchange.http import Call, Room
from exchange.receivables.api import item_result, origin_of
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
    good = [(index, item) for index, item in enumerate(read) if isinstance(item, HistoryItem)]
    outcomes = history.keep_history(call.session, services=call.services, origin=origin_of(call), items=good)
    results = [item_result(index, outcomes.get(index, item)) for index, item in enumerate(read)]
    return {"items": [{name: value for name, value in result.items() if name != "asset_id"} for result in results]}


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
