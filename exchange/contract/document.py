"""The OpenAPI document completed: what may be refused, limits, headers, examples, webhooks."""

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from exchange import http, idempotency
from exchange.contract.bounds import bounded
from exchange.contract.codes import refusals
from exchange.contract.events import event_schemas, parameters, webhooks
from exchange.contract.examples import Examples
from exchange.errors import (
    InvalidRequest,
    MalformedBody,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    Refusal,
)
from exchange.paging import BadCursor

Document = dict[str, Any]
Views = Mapping[str, Callable[..., Any]]
PROBLEM = {"$ref": "#/components/schemas/Problem"}
DEFECT = ("internal_server_error", "A defect of ours, which we are told of")
TOO_LARGE = ("request_entity_too_large", "The body is longer than what is read")

HEADERS = {
    "RateLimit": "What is left of your minute (draft-ietf-httpapi-ratelimit-headers)",
    "RateLimit-Policy": "What a minute is",
    "Retry-After": "Seconds to wait",
    "DPoP-Nonce": "For your next proof (RFC 9449)",
}
REFUSED_BY_STATUS = {HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After",), HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",)}


def complete(document: Document, *, views: Views) -> Document:
    """`document`, which flask-smorest made of these views (by operationId), as it is published."""
    components = document["components"]
    components["schemas"] |= dict(event_schemas())
    components |= {"parameters": parameters(), "headers": _headers(), "responses": {}}
    document["webhooks"] = webhooks()
    for _, path, operation in operations(document):
        if operation["operationId"] in views:
            _answers(operation, views[operation["operationId"]], path=path, shared=components["responses"])
    components["responses"] = dict(sorted(components["responses"].items()))
    document["paths"] = bounded(document["paths"])
    components["schemas"] = dict(sorted(bounded(components["schemas"]).items()))
    examples = Examples(components["schemas"])
    for item in (*document["paths"].values(), *document["webhooks"].values(), components["responses"]):
        for content in _contents(item):
            content["example"] = examples.of(content["schema"])
    return document


def operations(document: Document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation: its method, its path, and what is said of it."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield method, path, operation


def _answers(
    operation: dict[str, Any], view: Callable[..., Any], *, path: str, shared: dict[str, dict[str, Any]]
) -> None:
    """Every answer by its status: the right one with its headers, and a problem for all that may be refused.

    What only the door refuses, it refuses to many: these answers are `shared`.
    """
    answers = operation["responses"]
    answers.pop("default", None)
    for answer in answers.values():
        answer["headers"] = _refer("RateLimit", "RateLimit-Policy", "DPoP-Nonce")
    common: dict[int, dict[str, str]] = {HTTPStatus.INTERNAL_SERVER_ERROR: dict([DEFECT])}
    if "requestBody" in operation:
        common[HTTPStatus.REQUEST_ENTITY_TOO_LARGE] = dict([TOO_LARGE])
    for refusal in _at_the_door(operation, has_path="{" in path):
        common.setdefault(int(refusal.status), {})[refusal.code] = refusal.title
    own: dict[int, dict[str, str]] = {}
    for refusal in refusals(view):
        own.setdefault(int(refusal.status), {})[refusal.code] = refusal.title
    for status in sorted(common.keys() | own.keys()):
        titles = common.get(status, {}) | own.get(status, {})
        if titles == common.get(status):
            name = "-".join([str(int(status)), *sorted(titles)])
            shared[name] = _problem(status, titles)
            answers[str(int(status))] = {"$ref": f"#/components/responses/{name}"}
        else:
            answers[str(int(status))] = _problem(status, titles)


def _problem(status: int, titles: Mapping[str, str]) -> dict[str, Any]:
    codes = sorted(titles)
    members = {"status": {"const": int(status)}, "code": {"enum": codes}}
    return {
        "description": "; ".join(f"`{code}`: {titles[code]}" for code in codes),
        "headers": _refer("RateLimit", "RateLimit-Policy", *REFUSED_BY_STATUS.get(HTTPStatus(status), ())),
        "content": {http.PROBLEM: {"schema": {"allOf": [PROBLEM, {"type": "object", "properties": members}]}}},
    }


def _at_the_door(operation: dict[str, Any], *, has_path: bool) -> Iterator[type[Refusal]]:
    """What the door itself may refuse to this operation."""
    asked = {one["name"] for one in operation.get("parameters", ()) if "name" in one}
    queried = any(one["in"] == "query" for one in operation.get("parameters", ()) if "in" in one)
    reads_json = http.JSON in operation.get("requestBody", {}).get("content", {})
    only = {
        NotFound: has_path,
        InvalidRequest: reads_json or queried,
        MalformedBody: reads_json,
        idempotency.KeyMissing: "Idempotency-Key" in asked,
        idempotency.KeyReused: "Idempotency-Key" in asked,
        idempotency.StillRunning: "Idempotency-Key" in asked,
    }
    yield from (one for one in refusals(http._answer) if only.get(one, True))  # noqa: SLF001 - what the door does
    if "after" in asked:
        yield BadCursor
    if "If-Match" in asked:
        yield from (PreconditionRequired, PreconditionFailed)


def _headers() -> dict[str, Any]:
    return {
        name: {"description": text, "schema": {"type": "string", "maxLength": 1000}} for name, text in HEADERS.items()
    }


def _refer(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _contents(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - a part of the document
    """Every body in a part of the document: those with a schema."""
    if isinstance(value, dict):
        for key, below in value.items():
            if key == "content":
                yield from (one for one in below.values() if one.get("schema"))
            else:
                yield from _contents(below)
