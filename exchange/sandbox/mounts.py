"""The way into sandboxes: what comes to `/sandboxes/<id>/...` goes to the application on that sandbox's database.

Everything of the API is there under that prefix, and works as in the main exchange: tokens, proofs and signatures are
for that address. Reading is always possible; what may change something holds the sandbox's row meanwhile, so that its
clock moves only when nobody is at it, and wakes the keeper.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response

from exchange import http
from exchange.clock import system_now
from exchange.errors import NotFound, Refusal, Unavailable
from exchange.sandbox import actions
from exchange.sandbox.models import Sandbox
from exchange.sandbox.places import services_of
from exchange.sandbox.players import Make
from exchange.services import Services

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PLACE = re.compile(r"/sandboxes/(sbx_[0-9a-z]{26})(/.*)?", re.ASCII)
METADATA = "/.well-known/oauth-authorization-server"
TOKEN = "/oauth/token"  # noqa: S105 - an address
READS = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_OPEN = 16
"""So many applications a process has at hand; it makes another in a moment."""


class Mounts:
    """The main application, and those of the sandboxes. `make` makes one on given services, when it is first needed."""

    def __init__(self, main: "WSGIApplication", services: Services, make: Make) -> None:
        self._main, self._services, self._make = main, services, make
        self._open: OrderedDict[tuple[str, int], WSGIApplication] = OrderedDict()
        self._lock = Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request."""
        path: str = environ.get("PATH_INFO", "")
        # RFC 8414 section 3.1: an issuer's path comes after the well-known one.
        told = path.startswith(f"{METADATA}/sandboxes/")
        match = PLACE.fullmatch(path.removeprefix(METADATA) if told else path)
        if match is None:
            return self._main(environ, start_response)
        inside = METADATA if told else match[2] or "/"
        script = environ.get("SCRIPT_NAME", "") + f"/sandboxes/{match[1]}"
        environ = environ | {"PATH_INFO": inside, "SCRIPT_NAME": script}
        try:
            if environ["REQUEST_METHOD"] in READS or inside == TOKEN:
                return self._application(self._row(match[1]))(environ, start_response)
            return self._changed(match[1], environ)(environ, start_response)
        except Refusal as refused:
            return _problem(refused)(environ, start_response)
        except SQLAlchemyError:
            refusal = Unavailable("The database did not answer.", headers={"Retry-After": "2"})
            return _problem(refusal)(environ, start_response)

    def _row(self, sandbox_id: str) -> Sandbox:
        with self._services.database.transaction() as session:
            return _open(session.get(Sandbox, sandbox_id))

    def _changed(self, sandbox_id: str, environ: "WSGIEnvironment") -> Response:
        """The answer to a request that may change something; the clock stands still until it is given."""
        with self._services.database.transaction() as session:
            query = select(Sandbox).where(Sandbox.sandbox_id == sandbox_id).with_for_update(read=True, key_share=True)
            row = _open(session.scalars(query).first())
            actions.check_still(row)
            answer = Response.from_app(self._application(row), environ, buffered=True)
            session.execute(update(Sandbox).where(Sandbox.sandbox_id == sandbox_id).values(due_at=system_now()))
        return answer

    def _application(self, row: Sandbox) -> "WSGIApplication":
        """The application of a sandbox as it is since its last reset."""
        key = (row.sandbox_id, row.generation)
        with self._lock:
            found = self._open.pop(key, None)
            if found is None:
                found = self._make(services_of(self._services, row, pooled=False))
            self._open[key] = found
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        return found


def _problem(refusal: Refusal) -> Response:
    """A refusal outside of any application's request (RFC 9457)."""
    body = msgspec.json.encode(refusal.as_problem())
    return Response(body, status=refusal.status, content_type=http.PROBLEM, headers=refusal.headers)


def _open(row: Sandbox | None) -> Sandbox:
    """The row of a sandbox that can be entered. Refuses `NotFound` and `SandboxNotReady`."""
    if row is None or row.state == "ended":
        raise NotFound("There is no such sandbox.")
    if row.state != "open":
        raise actions.not_ready(row)
    return row
