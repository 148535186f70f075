"""What every operation keeps, whatever it does: ids of requests, filters, documents that are replaced, farewells."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import marshmallow as ma
import structlog
from flask import Response, g, request
from sqlalchemy import text
from sqlalchemy.orm import Session
from werkzeug.http import http_date

from exchange.entropy import system_entropy
from exchange.errors import Fault, InvalidRequest, NotFound, PreconditionFailed, PreconditionRequired
from exchange.schemas import escaped, faults_of

REQUEST_ID = "X-Request-Id"
ID_BROUGHT = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
ONE_AFTER_ANOTHER = text("SELECT pg_advisory_xact_lock(hashtextextended(:path, 0))")


@dataclass(frozen=True, slots=True)
class Retirement:
    """An operation that is on its way out: since when, until when at least it answers, and what to call instead."""

    since: datetime
    until: datetime
    successor: str

    def headers(self) -> dict[str, str]:
        """What every answer says of it (RFC 9745, RFC 8594, RFC 5829)."""
        return {
            "Deprecation": f"@{int(self.since.timestamp())}",
            "Sunset": http_date(self.until),
            "Link": f'<{self.successor}>; rel="successor-version"',
        }


def begin() -> None:
    """Let everything that is logged on the way of a request name it."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id())


def request_id() -> str:
    """The id that the request brought, or one of its own."""
    if "request_id" not in g:
        brought = request.headers.get(REQUEST_ID, "")
        g.request_id = brought if ID_BROUGHT.fullmatch(brought) else system_entropy(16).hex()
    return str(g.request_id)


def check_match(session: Session, read: Callable[[], Response]) -> None:
    """Refuse to replace a document that is there unless the caller says which one it has seen (RFC 9110, RFC 6585).

    Who replaces the same at the same time waits here. Refuses `PreconditionRequired`, `PreconditionFailed`.
    """
    session.execute(ONE_AFTER_ANOTHER, {"path": request.path})
    try:
        present = read()
    except NotFound:
        return  # the first one replaces nothing
    present.add_etag()
    tag = present.get_etag()[0] or ""
    if "If-Match" not in request.headers:
        raise PreconditionRequired("Read it, and send its ETag as If-Match.")
    if tag not in request.if_match:
        raise PreconditionFailed("Somebody replaced it since you read it.", headers={"ETag": f'"{tag}"'})


def repr_digest(sha256: bytes) -> str:
    """The `Repr-Digest` of a file that is downloaded (RFC 9530), from its SHA-256."""
    return f"sha-256=:{base64.b64encode(sha256).decode()}:"


def instance() -> str:
    """What names the request in a problem."""
    return f"urn:exchange:request:{request_id()}"


def read_query(schema: ma.Schema) -> Any:  # noqa: ANN401 - what its schema gave
    """The query read by its schema; refuses with every fault at once (`InvalidRequest`)."""
    sent = request.args.to_dict()
    faults = [
        replace(fault, code="unknown_filter", message="this list has no such filter")
        if fault.code == "unknown_field"
        else fault
        for fault in faults_of(schema, sent)
    ]
    faults += [
        Fault("repeated_filter", f"/{escaped(name)}", "write it once")
        for name, values in request.args.lists()
        if len(values) > 1
    ]
    if faults:
        raise InvalidRequest(f"{len(faults)} value(s) of the query do not fit the contract.", faults=tuple(faults))
    return schema.load(sent)


IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 130},
    "description": "A new value for each new request; the same value repeats the first answer.",
}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "description": "The `ETag` of what you read and now replace, or `*` for whatever is there.",
}
PREFER = {
    "in": "header",
    "name": "Prefer",
    "required": False,
    "schema": {"type": "string", "maxLength": 200},
    "description": "`wait=<seconds>`, at most 30: answer once a published checkpoint of the log covers what was done. "
    "The answer has `Preference-Applied: wait` if it came to that.",
}
