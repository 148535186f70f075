"""The door: every operation of the API is declared here with its role, its contract and its transaction.

A view gets a `Call`, reads or acts, and returns what the contract promises. The door reads token and body before
it opens a transaction, keeps the answer of an idempotent request in that same transaction, and commits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial, wraps
from http import HTTPStatus
from typing import Any, cast

import marshmallow as ma
import msgspec
import structlog
from flask import Response, current_app, g, request
from flask_smorest import Blueprint
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from exchange import auth, idempotency
from exchange.admission import admit, next_nonce
from exchange.bodies import json_body, refuse_encoded
from exchange.clock import system_now
from exchange.conventions import (
    IDEMPOTENCY_KEY,
    IF_MATCH,
    PREFER,
    REQUEST_ID,
    Retirement,
    check_match,
    instance,
    read_query,
    request_id,
)
from exchange.db import RETRIES, OutcomeUnknown, is_lost, is_retryable, pause, see_only
from exchange.errors import Fault, Forbidden, NotFound, Refusal, Unavailable, UnsupportedMediaType
from exchange.idempotency import Answer
from exchange.paging import decode_cursor, encode_cursor
from exchange.rates import Meter
from exchange.schemas import load
from exchange.services import Services
from exchange.settings import Settings

JSON = "application/json"
PROBLEM = "application/problem+json"
EXTENSION, METER = "exchange", "exchange.meter"

View = Callable[..., Any]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as a view sees it. `body` and `query` are what their schemas read; `raw` is the body's bytes."""

    services: Services
    session: Session
    now: datetime
    caller: auth.Caller
    body: Any
    query: Any
    raw: bytes
    media_type: str = JSON

    @property
    def today(self) -> date:
        """The business date."""
        return self.services.business_date(self.now)

    @property
    def after(self) -> str | None:
        """The place after which the page that is asked for begins (`BadCursor`)."""
        position = decode_cursor(self.query.get("after"), str)
        return None if position is None else str(position[0])

    def page(self, items: Sequence[Mapping[str, Any]], *, by: str) -> dict[str, Any]:
        """The page as it is answered: where it is full, the next one begins after its last item's `by`."""
        full = len(items) == self.query["limit"]
        return {"items": items, "next": encode_cursor(items[-1][by]) if full else None}


@dataclass(frozen=True, slots=True)
class Operation:
    """What the contract says of one operation, as far as the door has to act on it."""

    roles: frozenset[auth.Role]
    scope: str
    body: ma.Schema | None
    query: ma.Schema | None
    status: int
    idempotent: bool
    reads_body: bool
    across_funders: bool
    uploads: bool
    most_bytes: Callable[[Settings], int] | None = None
    replaces: bool = False
    retirement: Retirement | None = None


class Room(Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """The operations of one stage; `readers` are the views that read, by their rule."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - flask's
        super().__init__(*args, **kwargs)
        self.readers: dict[str, View] = {}

    def operation(  # noqa: PLR0913 - a contract has this many parts
        self,
        rule: str,
        *,
        method: str = "GET",
        roles: Sequence[auth.Role],
        result: type[ma.Schema] | ma.Schema | dict[str, Any],
        body: type[ma.Schema] | None = None,
        bulk: type[ma.Schema] | None = None,
        query: type[ma.Schema] | None = None,
        status: int = 200,
        idempotent: bool = False,
        across_funders: bool = False,
        uploads: bool = False,
        most_bytes: Callable[[Settings], int] | None = None,
        content_type: str | None = None,
        replaces: bool = False,
        retirement: Retirement | None = None,
    ) -> Callable[[View], View]:
        """Declare an operation. `body` is read by the door; `bulk` is only described, the view reads `call.raw`.

        In a funder's request there are no rows of other funders, unless it has to touch them (`across_funders`: a sale
        to another funder). One that `uploads` takes a file of any type as its body, of `most_bytes` if that is not what
        all others take. An answer of another `content_type` than JSON is a `Response` of the view's, and `result`
        describes it. One that `replaces` what a GET of the same rule reads needs that answer's tag in `If-Match`.
        """
        operation = Operation(
            roles=frozenset(roles),
            scope=f"{self.name}:{'read' if method == 'GET' else 'write'}",
            body=body() if body else None,
            query=query() if query else None,
            status=status,
            idempotent=idempotent,
            across_funders=across_funders,
            reads_body=body is not None or bulk is not None,
            uploads=uploads,
            most_bytes=most_bytes,
            replaces=replaces,
            retirement=retirement,
        )

        def decorate(view: View) -> View:
            endpoint = self._endpoint(operation, view, rule=rule, method=method)
            documented = self.response(status, result, content_type=content_type)(endpoint)
            documented = self.doc(**_contract(view, operation, body or bulk, query))(documented)
            return cast("View", self.route(rule, methods=[method])(documented))

        return decorate

    def _endpoint(self, operation: Operation, view: View, *, rule: str, method: str) -> View:
        """The view behind the door; a reader is kept for what replaces its document."""
        if method == "GET":
            self.readers[rule] = view

        @wraps(view)
        def endpoint(**path: str) -> Response:
            g.operation = operation
            acting = partial(_replace, self.readers[rule], view) if operation.replaces else view
            return _answer(operation, acting, path)

        return endpoint


def services() -> Services:
    """The services of the application that answers this request."""
    return cast("Services", current_app.extensions[EXTENSION])


def meter() -> Meter:
    """What counts the requests that this process answers."""
    return cast("Meter", current_app.extensions[METER])


def caller_of_request() -> auth.Caller:
    """Who calls, by token and proof (`Unauthenticated`)."""
    return admit(services(), method=request.method, path=request.path, headers=request.headers, now=system_now())


def finish(response: Response) -> Response:
    """What every answer carries: what is left of the client's minute, a tag of what is read, a nonce for who proves."""
    response.headers.extend(g.get("rate", {}))
    response.headers[REQUEST_ID] = request_id()
    if "operation" in g and g.operation.retirement:
        response.headers.extend(g.operation.retirement.headers())
    if request.method == "GET" and response.status_code == HTTPStatus.OK and not response.is_streamed:
        response.add_etag()
        response.make_conditional(request)
    if "DPoP" in request.headers:  # for its next proof (RFC 9449 section 8.2)
        response.headers["DPoP-Nonce"] = next_nonce(services(), now=system_now())
    return response


def json_response(value: Any, *, status: int = 200, content_type: str = JSON) -> Response:  # noqa: ANN401 - same
    """`value` as a JSON response."""
    return Response(msgspec.json.encode(value), status=status, content_type=content_type)


def problem_response(error: Refusal) -> Response:
    """A refusal as an RFC 9457 response; `instance` names the request that was refused first."""
    response = json_response(error.as_problem() | {"instance": instance()}, status=error.status, content_type=PROBLEM)
    response.headers.extend(error.headers)
    return response


def http_problem_response(error: HTTPException) -> Response:
    """What Flask itself refuses (no such route, wrong method, body too large, a defect), as an RFC 9457 response."""
    original = error.get_response()
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    code = error.name.lower().replace(" ", "_")
    problem = {
        "type": f"urn:exchange:problem:{code}",
        "title": error.name,
        "status": status,
        "code": code,
        "detail": error.description or error.name,
        "instance": instance(),
        "errors": [Fault(code, "", error.description or error.name).as_json()],
    }
    response = json_response(problem, status=status, content_type=PROBLEM)
    for name in ("Allow", "Retry-After", "Location"):
        if name in original.headers:
            response.headers[name] = original.headers[name]
    return response


def unavailable_response(error: SQLAlchemyError) -> Response:
    """The database is out of reach, or all connections are in use: whether the request was done is not known."""
    log.error("database unavailable", error=type(error).__name__)
    return problem_response(Unavailable("The database did not answer.", headers={"Retry-After": "2"}))


def _answer(operation: Operation, view: View, path: dict[str, str]) -> Response:
    """Authenticate, read, and act in one transaction; again as a whole when PostgreSQL asks for that."""
    caller = caller_of_request()
    g.rate = meter().spend(caller.client_id, database=services().database, now=system_now())
    if caller.role not in operation.roles:
        allowed = ", ".join(sorted(operation.roles))
        raise Forbidden(f"This operation is for the role {allowed}; your client has the role {caller.role}.")
    if not caller.may(operation.scope):
        challenge = f'Bearer error="insufficient_scope", scope="{operation.scope}"'
        raise Forbidden(f"Your token is not for {operation.scope}.", headers={"WWW-Authenticate": challenge})
    if any("\0" in part for part in path.values()):
        raise NotFound("There is no such thing.")
    key = idempotency.read_key(request.headers.get("Idempotency-Key")) if operation.idempotent else ""
    raw, body = _read_body(operation)
    query = read_query(operation.query) if operation.query else None
    act = partial(_act, operation, view, path, caller=caller, key=key, raw=raw, body=body, query=query)
    repeatable = operation.idempotent or request.method == "GET"  # others may have been done without saying so
    for attempt in range(RETRIES):
        try:
            return act()
        except OperationalError as error:
            again = is_retryable(error) or (repeatable and isinstance(error, OutcomeUnknown))
            if not again or (attempt == RETRIES - 1 and is_lost(error)):
                raise
            pause(error, attempt=attempt)
    raise Unavailable("Too much happened at once on the same things.", headers={"Retry-After": "1"})


def _act(
    operation: Operation,
    view: View,
    path: dict[str, str],
    *,
    caller: auth.Caller,
    key: str,
    raw: bytes,
    body: Any,  # noqa: ANN401 - what its schema gave
    query: Any,  # noqa: ANN401 - what its schema gave
) -> Response:
    at_hand = services()

    def answer() -> Response:
        result = view(Call(at_hand, session, now, caller, body, query, raw, request.mimetype), **path)
        return result if isinstance(result, Response) else json_response(result, status=operation.status)

    with at_hand.database.transaction() as session:
        if caller.role is auth.Role.FUNDER and not operation.across_funders:
            see_only(session, funder_id=str(caller.party_id))
        now = at_hand.clock.now(session)
        return _once(session, answer, caller=caller, key=key, raw=raw) if operation.idempotent else answer()


def _once(session: Session, answer: Callable[[], Response], *, caller: auth.Caller, key: str, raw: bytes) -> Response:
    """The answer kept under the caller's key, or this first one, kept from now on.

    What a definitive refusal did is undone, but its answer is kept in the same transaction: the key is held until then.
    It is kept for so many of the machine's days: a virtual clock may pass them in a minute.
    """
    mark = idempotency.fingerprint(request.method, request.path, raw)
    kept = idempotency.find(session, client_id=caller.client_id, key=key, fingerprint=mark)
    if kept is not None:
        return _replayed(kept)
    try:
        with session.begin_nested():
            response = answer()
    except Refusal as refusal:
        if not refusal.definitive:
            raise
        response = problem_response(refusal)
    first = Answer(response.status_code, response.content_type or JSON, response.get_data())
    idempotency.keep(session, client_id=caller.client_id, key=key, fingerprint=mark, answer=first, now=system_now())
    return response


def _replace(reader: View, view: View, call: Call, **path: str) -> Any:  # noqa: ANN401 - what the view gives
    """Replace what `reader` shows, for a caller who has seen it (`PreconditionRequired`, `PreconditionFailed`)."""
    check_match(call.session, lambda: json_response(reader(call, **path)))
    return view(call, **path)


def _read_body(operation: Operation) -> tuple[bytes, Any]:
    refuse_encoded(request.headers.get("Content-Encoding"))
    if operation.uploads:
        if operation.most_bytes is not None:
            request.max_content_length = operation.most_bytes(services().settings)
        return request.get_data(cache=False), None
    if not operation.reads_body:
        return b"", None
    if request.mimetype != JSON:
        fault = Fault("unsupported_media_type", "", "send application/json", request.mimetype)
        headers = {"Accept-Post": JSON}
        raise UnsupportedMediaType("Send Content-Type: application/json.", faults=(fault,), headers=headers)
    raw = request.get_data(cache=False)
    return raw, load(operation.body, json_body(raw)) if operation.body else None


def _replayed(kept: Answer) -> Response:
    headers = {"Idempotency-Replayed": "true"}
    return Response(kept.body, status=kept.status, content_type=kept.content_type, headers=headers)


def _contract(
    view: View, operation: Operation, body: type[ma.Schema] | None, query: type[ma.Schema] | None
) -> dict[str, Any]:
    """The OpenAPI parts that flask-smorest does not see by itself."""
    contract: dict[str, Any] = {
        "operationId": view.__name__,
        "security": [{"access_token": [operation.scope]}],
        "x-roles": sorted(operation.roles),
    }
    if body is not None:
        contract["requestBody"] = {"required": True, "content": {JSON: {"schema": body}}}
    if operation.uploads:
        contract["requestBody"] = {"required": True, "content": {"*/*": {"schema": {}}}}
    parameters: list[dict[str, Any]] = []
    if query is not None:
        parameters.append({"in": "query", "schema": query})
    if operation.idempotent:
        parameters += [IDEMPOTENCY_KEY, PREFER]
    if operation.replaces:
        parameters.append(IF_MATCH)
    if operation.retirement:
        contract |= {"deprecated": True, "x-sunset": operation.retirement.until.isoformat()}
    if parameters:
        contract["parameters"] = parameters
    return contract
