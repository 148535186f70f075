"""What is measured, in the form that Prometheus reads, on a port of its own: the business is not served there.

What happens in this process is counted here; what stands in the database is read when somebody asks, once in some
seconds. Labels are names of operations, jobs and kinds: there are few of each, and none says who or what.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec
import structlog
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from exchange.clock import system_now
from exchange.operations import queries
from exchange.services import Services

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""Where the processes of one host add up (prometheus_client); empty it before they start."""
FRESH_SECONDS = 5.0
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
JSON = "application/json"

REQUESTS = Histogram(
    "exchange_request_seconds", "Requests by operation and status.", ["operation", "status"], buckets=SECONDS
)
WORK = Histogram("exchange_work_seconds", "Pieces of work by job and outcome.", ["job", "outcome"], buckets=SECONDS)
STEPS_FAILED = Counter("exchange_loop_failures", "Steps of a worker's loops that failed.", ["loop"])

log = structlog.get_logger()


def answered(operation: str | None, *, status: int, seconds: float) -> None:
    """Count a request; what no route knows is one operation."""
    REQUESTS.labels(operation or "none", str(status)).observe(seconds)


def worked(job: str, *, seconds: float, failed: bool) -> None:
    """Count a piece of work."""
    WORK.labels(job, "failed" if failed else "done").observe(seconds)


def failed_step(loop: str) -> None:
    """Count a step of a loop that failed."""
    STEPS_FAILED.labels(loop).inc()


class Standing(Collector):
    """What stands in the database, and how this process uses it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._kept: list[Metric] = []
        self._until = 0.0

    def collect(self) -> Iterable[Metric]:
        """Everything, at most some seconds old; without a database only that there is none."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._kept = list(self._read())
                self._until = time.monotonic() + FRESH_SECONDS
            yield from self._kept
        yield from _pool(self._services)

    def describe(self) -> Iterable[Metric]:
        """Nothing is read only to register."""
        return ()

    def _read(self) -> Iterator[Metric]:
        try:
            with self._services.database.snapshot() as session:
                found = queries.standing(session, services=self._services, now=system_now())
        except SQLAlchemyError:
            yield _gauge("exchange_database_up", "Whether the database answers.", [((), 0)])
            return
        yield _gauge("exchange_database_up", "Whether the database answers.", [((), 1)])
        for name, (help_text, labels, values) in found.items():
            yield _gauge(f"exchange_{name}", help_text, values, labels)


def open_door(services: Services, *, alive: Callable[[], bool]) -> WSGIServer | None:
    """Answer `/metrics`, `/health` and `/ready` on the settings' port, if they name one, until the server is closed.

    Of several processes that are given one port the first has it; with `PROMETHEUS_MULTIPROC_DIR` it counts for all.
    """
    host, port = services.settings.metrics_host, services.settings.metrics_port
    if port is None:
        return None
    try:
        server = make_server(host, port, _application(services, alive), _Server, _Quiet)
    except OSError as error:
        log.warning("no metrics from this process", port=port, error=str(error), counted=MULTIPROCESS in os.environ)
        return None
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


@contextmanager
def door(services: Services, *, alive: Callable[[], bool]) -> Iterator[None]:
    """The door, open for the length of the block."""
    server = open_door(services, alive=alive)
    try:
        yield
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    """One slow reader does not keep others waiting."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """A scrape every few seconds is not worth a line."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _application(services: Services, alive: Callable[[], bool]) -> Callable[..., Iterable[bytes]]:
    registry: CollectorRegistry = CollectorRegistry()
    if MULTIPROCESS in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client's
    else:
        registry.register(_Own())
    registry.register(Standing(services))
    metrics = make_wsgi_app(registry)

    def health() -> tuple[bool, object]:
        well = alive()
        return well, {"status": "ok" if well else "every loop hangs"}

    def ready() -> tuple[bool, object]:
        found = queries.readiness(services, now=system_now())
        return set(found.values()) == {"ok"}, found

    answers = {"/health": health, "/ready": ready}

    def application(environ: dict[str, str], start: Callable[..., object]) -> Iterable[bytes]:
        answer = answers.get(environ["PATH_INFO"])
        if answer is None:
            shown: Iterable[bytes] = metrics(environ, start)
            return shown
        well, body = answer()
        start("200 OK" if well else "503 Service Unavailable", [("Content-Type", JSON)])
        return [msgspec.json.encode(body)]

    return application


class _Own(Collector):
    """What this process counted, and what it uses."""

    def collect(self) -> Iterable[Metric]:
        """As prometheus_client's own registry has it."""
        return REGISTRY.collect()

    def describe(self) -> Iterable[Metric]:
        """Nothing is read only to register."""
        return ()


def _pool(services: Services) -> Iterator[Metric]:
    pool = services.database.engine.pool
    if isinstance(pool, QueuePool):
        used = [(("in_use",), pool.checkedout()), (("idle",), pool.checkedin()), (("most",), pool.size() + 10)]
        yield _gauge("exchange_database_connections", "Connections of this process.", used, ("state",))


def _gauge(
    name: str, help_text: str, values: Iterable[tuple[tuple[str, ...], float]], labels: tuple[str, ...] = ()
) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for at, value in values:
        family.add_metric(at, value)
    return family
