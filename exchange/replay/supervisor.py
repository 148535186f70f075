"""The whole exchange in child processes: embedded PostgreSQL, API and worker, and none left behind.

Not even by a supervisor that is killed with SIGKILL: they are on a leash (`exchange.embedded.leash`).
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from types import FrameType

import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import make_url

from exchange import embedded
from exchange.auth import Role
from exchange.jobs import set_virtual_time
from exchange.migrations import upgrade
from exchange.parties.clients import register_client
from exchange.registry import keys
from exchange.replay.client import ApiClient, party_key, public_jwk
from exchange.services import open_services
from exchange.settings import Settings, SettingsError, to_environment

DATABASE = "exchange"
LOOPBACK = "127.0.0.1"
_PROJECT = Path(__file__).parents[2]
_HEALTHY_WITHIN_SECONDS = 60
_STOP_WITHIN_SECONDS = 10
_POSTGRES_STOPS_WITHIN_SECONDS = 60
_TAIL_LINES = 30


class ChildDied(Exception):
    """A process of the exchange ended by itself; the message holds the end of its log."""


@dataclass(slots=True)
class Exchange:
    """A running exchange."""

    base_url: str
    settings: Settings
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    logs: dict[str, Path] = field(default_factory=dict)
    leash: embedded.Leash | None = None

    def check(self) -> None:
        """Refuse to go on when a child is dead (`ChildDied`)."""
        for name, child in self.children.items():
            if (code := child.poll()) is not None:
                raise ChildDied(f"{name} ended with code {code}; {self.tail(name)}")

    def tail(self, name: str) -> str:
        """The end of a child's log."""
        lines = self.logs[name].read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join([f"the end of {self.logs[name]}:", *lines])


@contextmanager
def running(
    settings: Settings,
    *,
    port: int | None = None,
    fresh_at: datetime | None = None,
    workers: int = 1,
    sandboxes: bool = False,
) -> Iterator[Exchange]:
    """Start everything for `settings`, wait until it answers, and stop all of it at the end.

    Without a database in the settings an embedded one is brought up in `home`. `fresh_at` makes it anew (a
    database of the settings has to be empty), moves its virtual clock there and enters an operator whose key
    is `operator_key`. More `workers` do more at once; one alone does all in a fixed order. With `sandboxes` there is
    a keeper of those, on the same server unless the settings name another.
    Raises `ChildDied`, and `SettingsError` for a port in use.
    """
    with ExitStack() as stack:
        stack.enter_context(_terminated_like_interrupted())
        held = stack.enter_context(embedded.leash())
        if settings.database_url is None:
            url = stack.enter_context(_embedded(settings.home, held, fresh=fresh_at is not None))
            settings = replace(settings, database_url=url)
        port = free_port(port or 0)
        settings = replace(settings, issuer=f"http://{LOOPBACK}:{port}", callback_networks=(ip_network("127.0.0.0/8"),))
        if sandboxes:
            settings = replace(settings, sandbox_server=settings.sandbox_server or settings.database_url)
        exchange = Exchange(settings.issuer, settings, leash=held)
        upgrade(settings.database_url or "")
        if fresh_at is not None:
            _enter_operator(settings, now=fresh_at)
        stack.callback(_stop, exchange.children)
        _spawn(exchange, "api", _api_command(port))
        for number in range(1, workers + 1):
            _spawn(exchange, f"worker-{number}", [sys.executable, "-m", "exchange", "worker"])
        if sandboxes:
            _spawn(exchange, "sandboxes", [sys.executable, "-m", "exchange", "sandboxes"])
        _wait_healthy(exchange)
        try:
            yield exchange
        except Exception as error:
            try:
                exchange.check()
            except ChildDied as died:
                raise died from error
            for name in exchange.children:
                error.add_note(exchange.tail(name))  # the home and its logs may be gone when this is read
            raise


def operator_key(settings: Settings) -> Ed25519PrivateKey:
    """The key of the operator that `running(fresh_at=...)` enters."""
    return party_key(settings.seed or 0, name="operator")


def operator_client(exchange: Exchange) -> ApiClient:
    """The door of that operator."""
    key = operator_key(exchange.settings)
    client_id = (exchange.settings.home / "operator-client-id").read_text()
    return ApiClient(exchange.base_url, client_id=client_id, key=key)


@contextmanager
def _embedded(home: Path, held: embedded.Leash, *, fresh: bool) -> Iterator[str]:
    if fresh and (home / "pg").exists():
        embedded.destroy(home / "pg")
    with embedded.start(home / "pg", durable=not fresh) as server:
        if server.pid is not None:
            held.hold(server.pid, by=signal.SIGINT, seconds=_POSTGRES_STOPS_WITHIN_SECONDS)
        if fresh:
            yield embedded.create_database(server.url, DATABASE)
        else:
            yield make_url(server.url).set(database=DATABASE).render_as_string(hide_password=False)


def _enter_operator(settings: Settings, *, now: datetime) -> None:
    services = open_services(settings)
    with services.database.transaction() as session:
        set_virtual_time(session, moment=now)
        keys.found(session, services=services, now=now)
        client_id = register_client(
            session,
            role=Role.OPERATOR,
            party_id=None,
            public_jwk=public_jwk(operator_key(settings)),
            now=now,
            entropy=services.entropy,
        )
    services.database.dispose()
    (settings.home / "operator-client-id").write_text(client_id)


def _api_command(port: int) -> list[str]:
    options = [
        "--interface",
        "wsgi",
        "--no-ws",
        "--host",
        LOOPBACK,
        "--port",
        str(port),
        "--workers",
        "1",
        "--blocking-threads",
        "4",
    ]
    return [sys.executable, "-m", "granian", *options, "wsgi:app"]


def _environment(settings: Settings) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EXCHANGE_")}
    return kept | to_environment(settings) | {"PYTHONPATH": str(_PROJECT), "PYTHONUNBUFFERED": "1"}


def _start(exchange: Exchange, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
    log = exchange.logs[name] = exchange.settings.home / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - our own programs
            command,
            cwd=_PROJECT,
            env=_environment(exchange.settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone; we stop the children in order
        )


def _spawn(exchange: Exchange, name: str, command: Sequence[str]) -> None:
    child = exchange.children[name] = _start(exchange, name, command)
    if exchange.leash is not None:
        exchange.leash.hold(-child.pid, seconds=_STOP_WITHIN_SECONDS)


def _wait_healthy(exchange: Exchange) -> None:
    deadline = time.monotonic() + _HEALTHY_WITHIN_SECONDS
    pool = urllib3.PoolManager(timeout=5, retries=False)
    while True:
        exchange.check()
        try:
            if pool.request("GET", f"{exchange.base_url}/health").status == 200:  # noqa: PLR2004 - OK
                return
        except urllib3.exceptions.HTTPError as error:
            if time.monotonic() > deadline:
                raise ChildDied(f"the API does not answer; see {exchange.logs['api']}") from error
        time.sleep(0.05)


def _stop(children: dict[str, subprocess.Popen[bytes]]) -> None:
    """Ask all to end, then end those that do not; each with the processes it started."""
    for child in children.values():
        _signal(child, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_WITHIN_SECONDS
    for child in children.values():
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, deadline - time.monotonic()))
        _signal(child, signal.SIGKILL)
        child.wait()


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return


def free_port(wanted: int) -> int:
    """The wanted port, or any for 0. Refuses one in use (`SettingsError`): it would be shared with whoever has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError:
            raise SettingsError(f"port {wanted} is in use: stop what listens there") from None
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that no child is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
