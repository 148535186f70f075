"""The work list of findings, what people decide of them, and the policy by which they are found."""

from typing import Any

import msgspec

from exchange.auth import Role
from exchange.errors import NotFound
from exchange.http import Call, Room
from exchange.reviews import actions, queries
from exchange.reviews import schemas as wire
from exchange.reviews.rules import Policy

READERS = [Role.OPERATOR, Role.AUDITOR]

room = Room("reviews", __name__, url_prefix="/v1", description="What is worth a second look")


@room.operation("/reviews", roles=READERS, query=wire.ReviewQuery, result=wire.ReviewsShown)
def list_reviews(call: Call) -> dict[str, Any]:
    """Findings, oldest first; those that are `open` are the work list."""
    asked = {name: value for name, value in call.query.items() if name not in {"after", "limit"}}
    limit = call.query["limit"]
    found = queries.items(call.session, asked=asked, after=call.after or "", limit=limit, today=call.today)
    return call.page(found, by="item_id")


@room.operation("/reviews/<item_id>", roles=READERS, result=wire.ReviewShown)
def show_review(call: Call, item_id: str) -> dict[str, Any]:
    """One finding with its evidence, and what was decided."""
    return _item(call, item_id)


@room.operation(
    "/reviews/<item_id>/decision",
    method="POST",
    roles=[Role.OPERATOR],
    body=wire.ReviewDecisionSchema,
    result=wire.ReviewShown,
    status=201,
    idempotent=True,
)
def decide_review(call: Call, item_id: str) -> dict[str, Any]:
    """Dismiss a finding, which lets go of the asset that it held back, or confirm it; once, with a reason."""
    actions.decide(
        call.session,
        services=call.services,
        item_id=item_id,
        **call.body,
        client_id=call.caller.client_id,
        now=call.now,
    )
    return _item(call, item_id)


@room.operation("/review-policy", roles=READERS, result=wire.ReviewPolicyShown)
def get_review_policy(call: Call) -> dict[str, Any]:
    """How severe each kind of finding is, and from where on something is found."""
    return _policy(*actions.policy_in_force(call.session))


@room.operation(
    "/review-policy",
    method="PUT",
    replaces=True,
    roles=[Role.OPERATOR],
    body=wire.ReviewPolicySchema,
    result=wire.ReviewPolicyShown,
)
def put_review_policy(call: Call) -> dict[str, Any]:
    """Say how severe each kind of finding is, and from where on something is found, from now on."""
    policy = msgspec.convert(call.body, Policy)
    return _policy(
        actions.put_policy(call.session, policy=policy, client_id=call.caller.client_id, now=call.now), policy
    )


def _item(call: Call, item_id: str) -> dict[str, Any]:
    found = queries.items(call.session, asked={"item_id": item_id}, today=call.today)
    if not found:
        raise NotFound("There is no such finding.")
    return found[0]


def _policy(version: int, policy: Policy) -> dict[str, Any]:
    terms: dict[str, Any] = msgspec.to_builtins(policy)
    return {"version": version} | terms
