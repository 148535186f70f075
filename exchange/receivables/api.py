"""Receivables in, obligors' answers in, assets out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Response

from exchange.auth import Role
from exchange.bulk import failed, read_items
from exchange.duplicates.schemas import elsewhere_json
from exchange.errors import NotFound, Refusal
from exchange.http import Call, Room, problem_response
from exchange.parties.queries import is_originator
from exchange.receivables import actions, approvals, confirmations, documents, queries, requests
from exchange.receivables.answer_schemas import (
    ApprovalSchema,
    ApprovalsSchema,
    AwaitedApprovals,
    OwedPage,
    OwedQuery,
    PolicySchema,
    PolicyShown,
    RequestItem,
    RequestResults,
    RequestSchema,
    RequestsSchema,
    RequestsShown,
    Uploaded,
    UploadQuery,
)
from exchange.receivables.documents import Paper
from exchange.receivables.outcomes import Origin, Outcome
from exchange.receivables.requests import Asked
from exchange.receivables.rules import Answer
from exchange.receivables.schemas import (
    AnswerItem,
    AnswerSchema,
    AnswersSchema,
    ApprovalItem,
    ConfirmationItem,
    ConfirmationResults,
    ConfirmationSchema,
    ConfirmationsSchema,
    Policy,
    SubmissionItem,
    SubmissionResults,
    SubmissionSchema,
    SubmissionsSchema,
)
from exchange.schemas import PageQuery

STATUS = {
    "not_found": HTTPStatus.NOT_FOUND,
    "own_submission": HTTPStatus.FORBIDDEN,
    "already_answered": HTTPStatus.CONFLICT,
    "already_decided": HTTPStatus.CONFLICT,
    "approval_declined": HTTPStatus.CONFLICT,
    "awaiting_approval": HTTPStatus.CONFLICT,
}
"""How an item reads that fits the contract and cannot be: every other fault of an item is 422."""

room = Room(
    "receivables", __name__, url_prefix="/v1", description="Submit receivables, ask their obligors, keep their answers"
)


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
    """Pass on up to 1,000 answers of obligors; what is not refused becomes a signed asset."""
    read = read_items(call.raw, ConfirmationItem, ConfirmationSchema())
    answers = [(index, _answer(item, grade=item.grade, on=item.confirmed_date)) for index, item in read.good]
    origin = origin_of(call)
    outcomes = confirmations.keep(
        call.session, answers=answers, today=origin.today, now=call.now, originator_id=origin.originator_id
    )
    return read.answer({index: item_result(index, outcome) for index, outcome in outcomes.items()})


@room.operation(
    "/answers",
    method="POST",
    roles=[Role.OBLIGOR],
    bulk=AnswersSchema,
    result=ConfirmationResults,
    idempotent=True,
)
def answer_receivables(call: Call) -> dict[str, Any]:
    """Answer up to 1,000 receivables that name you, with your own key; what you do not refuse becomes an asset."""
    read = read_items(call.raw, AnswerItem, AnswerSchema())
    today = call.today
    evidence = call.caller.key
    answers = [(index, _answer(item, grade="explicit_key", on=today, evidence=evidence)) for index, item in read.good]
    outcomes = confirmations.keep(
        call.session, answers=answers, today=today, now=call.now, obligor_id=str(call.caller.party_id)
    )
    return read.answer({index: item_result(index, outcome) for index, outcome in outcomes.items()})


@room.operation("/answers", roles=[Role.OBLIGOR], query=OwedQuery, result=OwedPage)
def list_owed(call: Call) -> dict[str, Any]:
    """The receivables that name you, with your answers."""
    items = queries.owed(
        call.session,
        obligor_id=str(call.caller.party_id),
        waiting=call.query["waiting"] == "yes",
        after=call.after,
        limit=call.query["limit"],
    )
    return call.page(items, by="asset_id")


@room.operation(
    "/confirmation-requests",
    method="POST",
    roles=[Role.PLATFORM],
    bulk=RequestsSchema,
    result=RequestResults,
)
def create_confirmation_requests(call: Call) -> dict[str, Any]:
    """Ask obligors: a link for each, which you send to it. Asking again for the same gives the link that is open."""
    read = read_items(call.raw, RequestItem, RequestSchema())
    asked = requests.ask(call.session, services=call.services, origin=origin_of(call), items=read.good)
    wanted = sorted({one.request_id for one in asked.values() if isinstance(one, Asked)})
    links = {link["request_id"]: link for link in _links(call, queries.links(call.session, request_ids=wanted))}
    return read.answer({index: _asked_result(index, one, links) for index, one in asked.items()})


@room.operation("/confirmation-requests", roles=[Role.PLATFORM], query=PageQuery, result=RequestsShown)
def list_confirmation_requests(call: Call) -> dict[str, Any]:
    """Your links that have not expired."""
    items = queries.open_links(
        call.session,
        originator_id=str(call.caller.party_id),
        after=call.after,
        limit=call.query["limit"],
        now=call.now,
    )
    return call.page(_links(call, items), by="request_id")


@room.operation(
    "/approvals",
    method="POST",
    roles=[Role.PLATFORM],
    bulk=ApprovalsSchema,
    result=ConfirmationResults,
    idempotent=True,
)
def approve_receivables(call: Call) -> dict[str, Any]:
    """Approve up to 1,000 receivables that another client of yours submitted, or decline them."""
    read = read_items(call.raw, ApprovalItem, ApprovalSchema())
    outcomes = approvals.decide(call.session, origin=origin_of(call), items=read.good)
    return read.answer({index: item_result(index, outcome) for index, outcome in outcomes.items()})


@room.operation("/approvals", roles=[Role.PLATFORM], query=PageQuery, result=AwaitedApprovals)
def list_approvals(call: Call) -> dict[str, Any]:
    """The receivables of yours that wait for approval."""
    originator_id, limit = str(call.caller.party_id), call.query["limit"]
    items = queries.awaited_approvals(call.session, originator_id=originator_id, after=call.after, limit=limit)
    return call.page(items, by="asset_id")


@room.operation(
    "/originators/<originator_id>/policy",
    method="PUT",
    replaces=True,
    roles=[Role.OPERATOR],
    body=PolicySchema,
    result=PolicyShown,
)
def put_policy(call: Call, originator_id: str) -> dict[str, Any]:
    """Say what an originator's submissions need: approval by a second client, and when silence is acceptance."""
    policy = msgspec.convert(call.body, Policy)
    origin = replace(origin_of(call), originator_id=originator_id)
    version = approvals.set_policy(call.session, origin=origin, policy=policy)
    return _policy(version, policy)


@room.operation("/originators/<originator_id>/policy", roles=[Role.OPERATOR, Role.PLATFORM], result=PolicyShown)
def get_policy(call: Call, originator_id: str) -> dict[str, Any]:
    """What an originator's submissions need."""
    own = call.caller.role is Role.OPERATOR or call.caller.party_id == originator_id
    if not own or not is_originator(call.session, originator_id=originator_id):
        raise NotFound("There is no such originator.")
    return _policy(*queries.policy(call.session, originator_id=originator_id))


@room.operation(
    "/receivables/<asset_id>/documents/<kind>",
    method="POST",
    roles=[Role.PLATFORM],
    query=UploadQuery,
    result=Uploaded,
    status=201,
    idempotent=True,
    uploads=True,
)
def upload_document(call: Call, asset_id: str, kind: str) -> dict[str, Any] | Response:
    """Upload an order, delivery note, invoice or contract of up to 5 MB: its digest is kept, its bytes are not."""
    paper = Paper(kind, call.raw, call.media_type, call.query.get("name"))
    origin = origin_of(call)
    added = documents.add(call.session, services=call.services, origin=origin, asset_id=asset_id, paper=paper)
    return problem_response(added) if isinstance(added, Refusal) else added


def origin_of(call: Call) -> Origin:
    """The originator that calls, its client, and its business date."""
    today = call.today
    return Origin(str(call.caller.party_id), call.now, today, call.caller.client_id)


def item_result(index: int, outcome: Outcome) -> dict[str, Any]:
    """What an item of a bulk answer says."""
    if outcome.faults:
        status = HTTPStatus.CONFLICT if outcome.duplicate else STATUS.get(outcome.faults[0].code, 422)
        free = {} if outcome.free_minor is None else {"free_minor": outcome.free_minor}
        return failed(index, status, outcome.faults) | free
    result: dict[str, Any] = {"index": index, "status": 201, "asset_id": outcome.asset_id}
    if outcome.near_duplicates:
        result["near_duplicate_of"] = list(outcome.near_duplicates)
    if outcome.elsewhere:
        result["similar_elsewhere"] = elsewhere_json(outcome.elsewhere)
    return result


def _answer(item: AnswerItem | ConfirmationItem, *, grade: str, on: date, evidence: str | None = None) -> Answer:
    """An answer as it was sent. Words alone are a reason of the kind `other`."""
    words = item.reason or None
    code = item.reason_code or ("other" if words and item.outcome == "refused" else None)
    face_minor, due_date = item.face_minor or None, item.due_date or None
    return Answer(item.asset_id, item.outcome, grade, on, face_minor, due_date, code, words, evidence)


def _asked_result(index: int, asked: Asked | Outcome, links: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if isinstance(asked, Outcome):
        return item_result(index, asked)
    link = {name: links[asked.request_id][name] for name in ("request_id", "url", "expires_at")}
    silence = {"answer_by": asked.answer_by} if asked.answer_by else {}
    return {"index": index, "status": 201, "asset_id": asked.asset_id, **link, **silence}


def _links(call: Call, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each link with its address."""
    urls = requests.urls(call.services, rows)
    return [row | {"url": urls[row["request_id"]]} for row in rows]


def _policy(version: int, policy: Policy) -> dict[str, Any]:
    terms = msgspec.to_builtins(policy)
    silence = [{name: value for name, value in one.items() if value is not None} for one in terms["silence"]]
    return {"version": version, "approvals": terms["approvals"], "silence": silence}
