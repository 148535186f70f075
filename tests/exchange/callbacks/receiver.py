"""A real HTTP receiver on loopback."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Received:
    """One request as the receiver saw it."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def sequence(self) -> int:
        """The event's place in its stream."""
        return int(json.loads(self.body)["sequence"])


@dataclass
class Receiver:
    """A receiver that answers by path; `answers` overrides the first answers, in order."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def ids(self) -> list[str]:
        """The webhook ids in the order in which they came."""
        return [one.headers["webhook-id"] for one in self.received]

    def sequences(self) -> list[int]:
        """The sequences in the order in which they came."""
        return [one.sequence for one in self.received]


@contextmanager
def listening() -> Iterator[Receiver]:
    """Answers 204; /slow only when released, /drip byte by byte, /close without keeping alive."""
    book = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            book.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if self.path == "/slow":
                book.release.wait(10)
            if self.path == "/drip":
                self._drip()
                return
            status, headers = book.answers.pop(0) if book.answers else (204, {})
            content = b"x" * int(headers.pop("x-size", "0"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = self.path == "/close"

        def _drip(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            while not book.release.wait(0.02):
                self.wfile.write(b"x")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that goes away is what some tests are about."""

    server = Server((own_address(), 0), Handler)
    book.url = f"http://{own_address()}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield book
    book.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


def own_address() -> str:
    """An address of this process alone: a test in another may still call a port that is closed there by now."""
    return ".".join(map(str, (127, *(os.getpid() % 2**22).to_bytes(3))))
