"""Models: trained, watched, promoted, taken back."""

from typing import Any

from exchange import jobs
from exchange.auth import Role
from exchange.http import Call, Room
from exchange.models import actions, queries
from exchange.models.actions import By
from exchange.models.rules import ShadowNeeded
from exchange.models.schemas import (
    CurrentModel,
    InForce,
    LossRatesShown,
    ModelsShown,
    ReasonSchema,
    RestoreSchema,
    TrainingSchema,
    WholeModel,
    WorkAccepted,
)
from exchange.schemas import PageQuery

READERS = [Role.OPERATOR, Role.AUDITOR]

room = Room("models", __name__, url_prefix="/v1", description="The closed loop: models trained, watched, promoted")


@room.operation(
    "/models",
    method="POST",
    roles=[Role.OPERATOR],
    body=TrainingSchema,
    result=WorkAccepted,
    status=202,
    idempotent=True,
)
def train_model(call: Call) -> dict[str, Any]:
    """Train a model on everything known by now. The first one scores at once, a later one in shadow."""
    at_once = call.body.get("at_once", False)
    if at_once and actions.works(call.session) and not call.services.settings.virtual_clock:
        raise ShadowNeeded("Leave out at_once: the model begins its time in shadow.")
    told = {"horizon_days": call.body["horizon_days"], "at_once": at_once, "by": call.caller.client_id}
    jobs.enqueue(call.session, job="models.train", payload=told | {"reason": call.body.get("reason", "asked for")})
    return {"job": "models.train"}


@room.operation("/models", roles=READERS, query=PageQuery, result=ModelsShown)
def list_models(call: Call) -> dict[str, Any]:
    """Every model, by version."""
    return call.page(queries.models(call.session, after=call.after, limit=call.query["limit"]), by="version")


@room.operation("/models/current", roles=READERS, result=CurrentModel)
def show_model(call: Call) -> dict[str, Any]:
    """The model in force."""
    return queries.current(call.session)


@room.operation("/models/<version>", roles=READERS, result=WholeModel)
def show_whole_model(call: Call, version: str) -> dict[str, Any]:
    """One model, what became of it and what was found of it."""
    return queries.model(call.session, version=version)


@room.operation(
    "/models/<version>/evaluation",
    method="POST",
    roles=[Role.OPERATOR],
    body=ReasonSchema,
    result=WorkAccepted,
    status=202,
    idempotent=True,
)
def evaluate_model(call: Call, version: str) -> dict[str, Any]:
    """Compare a model with the one in force, on outcomes that came after both were trained."""
    queries.model(call.session, version=version)
    told = {"version": version, "by": call.caller.client_id, "reason": call.body["reason"]}
    jobs.enqueue(call.session, job="models.evaluate", payload=told)
    return {"job": "models.evaluate"}


@room.operation(
    "/models/<version>/promotion",
    method="POST",
    roles=[Role.OPERATOR],
    body=ReasonSchema,
    result=InForce,
    idempotent=True,
)
def promote_model(call: Call, version: str) -> dict[str, Any]:
    """Put a candidate in force whose shadow is over and whose comparison shows that it is better."""
    return {"version": actions.promote(call.session, version=version, by=_by(call))}


@room.operation(
    "/models/rollback", method="POST", roles=[Role.OPERATOR], body=RestoreSchema, result=InForce, idempotent=True
)
def roll_back_model(call: Call) -> dict[str, Any]:
    """Go back to a model that was in force before."""
    return {"version": actions.restore(call.session, version=call.body.get("version"), by=_by(call))}


@room.operation("/loss-rates", roles=READERS, result=LossRatesShown)
def list_loss_rates(call: Call) -> dict[str, Any]:
    """What is lost of what defaults, and credited of what is invoiced, as it was learned."""
    return {"items": queries.loss_history(call.session)}


def _by(call: Call) -> By:
    return By(call.caller.client_id, call.body["reason"], call.today, call.now)
