"""One PostgreSQL for the whole run, started by whoever controls it; a fresh database for whoever asks."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from exchange import embedded
from exchange.migrations import upgrade

settings.register_profile("exchange", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("exchange")

SERVER = "EXCHANGE_TEST_SERVER"
TEMPLATE = "template_exchange"
MEMORY = Path("/dev/shm")  # noqa: S108 - tests may
ROOM_BYTES = 4 * 1024**3

_stack = ExitStack()
_counter = iter(range(10**9))


def pytest_configure(config: pytest.Config) -> None:
    """Start the server and migrate the template, once: workers of a parallel run inherit its address."""
    if hasattr(config, "workerinput") or SERVER in os.environ or config.option.collectonly:
        return
    folder = tempfile.TemporaryDirectory(prefix="exchange-tests-", dir=_memory(), ignore_cleanup_errors=True)
    home = Path(_stack.enter_context(folder))
    home.chmod(0o711)  # the server's own user comes in, where root may not be one
    server = _stack.enter_context(embedded.start(home, durable=False))
    _stack.callback(os.environ.pop, SERVER, None)
    os.environ[SERVER] = server.url
    upgrade(embedded.create_database(server.url, TEMPLATE))


def _memory() -> Path | None:
    """The file system in memory, where it has room: there a database is made ten times as quickly."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES else None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server."""
    if not hasattr(config, "workerinput"):
        _stack.close()


@pytest.fixture(scope="session")
def server_url() -> str:
    """The address of the test server."""
    return os.environ[SERVER]


@pytest.fixture
def database_url(server_url: str) -> Iterator[str]:
    """A fresh, migrated database."""
    name = f"test_{os.getpid()}_{next(_counter)}"
    yield embedded.create_database(server_url, name, template=TEMPLATE)
    embedded.drop_database(server_url, name)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on a fresh, migrated database."""
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def _shared_engine(server_url: str) -> Iterator[Engine]:
    name = f"shared_{os.getpid()}"
    engine = create_engine(embedded.create_database(server_url, name, template=TEMPLATE), poolclass=NullPool)
    yield engine
    embedded.drop_database(server_url, name)


@pytest.fixture
def connection(_shared_engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that is rolled back at the end."""
    with _shared_engine.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()
