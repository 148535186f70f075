"""The funders' side of callbacks: a local HTTP receiver that believes nothing it cannot verify."""

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from exchange.callbacks.verifier import Link, VerificationError, follow, verify
from exchange.clock import system_now

_MAX_BODY = 64 * 1024
_PREFIX = "/callbacks/"


@dataclass(slots=True)
class Inbox:
    """One funder's endpoint: what came, what held, and how far the chain was followed."""

    secret: str | None = None
    public_key: str | None = None
    link: Link | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """Take one callback; the HTTP status says whether it was believed."""
        with self.lock:
            self.counts["received"] += 1
            try:
                verify(
                    headers,
                    body,
                    secret=self.secret,
                    public_key=self.public_key,
                    now=int(system_now().timestamp()),
                )
                self.counts["verified"] += 1
                self.link = follow(body, last=self.link)
            except VerificationError as error:
                self.counts[error.code] += 1
                # Seen before is fine: at least once is the contract. Ahead of its turn: let it come again.
                return 204 if error.code == "repeated_event" else 409 if error.code == "missing_events" else 400
            event = json.loads(body)
            self.counts["in_order"] += 1
            self.kinds[event["type"]] += 1
            self.events.append(event)
            return 204

    def take(self) -> list[dict[str, Any]]:
        """The events since the last call, in the order of their sequence."""
        with self.lock:
            taken, self.events = self.events, []
            return taken


class Receiver:
    """Listens on loopback; one inbox for each funder's path."""

    def __init__(self) -> None:
        self._inboxes: dict[str, Inbox] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._inboxes))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="callback receiver", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def open(self, name: str) -> tuple[str, Inbox]:
        """A new endpoint: its URL, and its inbox, which believes nothing until it has its keys."""
        inbox = self._inboxes[name] = Inbox()
        return f"http://127.0.0.1:{self._server.server_address[1]}{_PREFIX}{name}", inbox

    def totals(self) -> Counter[str]:
        """Counts over all endpoints: received, verified, in_order, and refusals by code."""
        return sum((inbox.counts for inbox in self._inboxes.values()), Counter())

    def kinds(self) -> Counter[str]:
        """How many events of each type came."""
        return sum((inbox.kinds for inbox in self._inboxes.values()), Counter())


def _handler(inboxes: dict[str, Inbox]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Takes POSTs on the paths of the inboxes."""

        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 300

        def do_POST(self) -> None:
            """Hand the callback to its inbox."""
            inbox = inboxes.get(self.path.removeprefix(_PREFIX))
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > _MAX_BODY:
                self.close_connection = True
                self._answer(413)
                return
            body = self.rfile.read(int(length))
            self._answer(404 if inbox is None else inbox.receive(dict(self.headers.items()), body))

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing: the counts tell."""

    return Handler
