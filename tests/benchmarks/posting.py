"""Posting into the books of a durable PostgreSQL, and django-hordak doing the same on the same server.

Measured with a few clients at once, with the service's own rights: batches of a hundred on ten thousand accounts,
single transfers, single transfers that all take from one account; bytes on disk a transfer, indexes and all.
"""

import json
import random
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import make_url

from exchange import embedded
from exchange.db import Database
from exchange.migrations import upgrade
from ledger import books
from tests.architecture.source import ROOT
from tests.benchmarks.report import Result

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CNY = "CNY/2"
PATHS = [f"funder/fnd_{number:026}/cash" for number in range(10_000)]
HOT = PATHS[0]
CLIENTS = 4
BATCH = 100
HORDAK = ("django-hordak==2.0.0", "psycopg[binary]>=3.2,<4")
HORDAK_EACH = 300
BYTES = """
    SELECT sum(pg_total_relation_size(name::regclass)) / (SELECT count(*) FROM books_transfers)
    FROM unnest(ARRAY['books_transfers', 'books_entries', 'books_resolutions', 'books_reversals']) name
"""
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


def measure() -> list[Result]:
    """Rates and size, each against its target; the last two against hordak's rates."""
    with (
        tempfile.TemporaryDirectory(prefix="exchange-posting-") as home,
        embedded.start(Path(home) / "pg", durable=True) as server,
    ):
        url = embedded.create_database(server.url, "posting")
        upgrade(url)
        database = Database(url)
        with database.transaction() as session:
            accounts = [books.Account(path, CNY, may_overdraw=True) for path in PATHS]
            books.open_accounts(session.connection(), accounts=accounts)
        _rate(database, "warm", count=10, size=BATCH, draw=_spread)
        batches = _rate(database, "batch", count=100, size=BATCH, draw=_spread)
        single = _rate(database, "single", count=500, size=1, draw=_spread)
        hot = _rate(database, "hot", count=300, size=1, draw=_from_hot)
        with database.transaction() as session:
            size = float(session.connection().exec_driver_sql(BYTES).scalar_one())
            deadlocks = session.connection().exec_driver_sql(DEADLOCKS).scalar_one()
            assert books.check(session.connection()) == []
        assert deadlocks == 0
        database.dispose()
        embedded.create_database(server.url, "hordak")
        hordak, hordak_batched = _hordak(Path(home) / "venv", socket=str(make_url(server.url).query["host"]))
    return [
        Result("posting, batches of 100", batches, "transfers/s", 5_000, batches / 5_000, 1),
        Result("posting, single", single, "transfers/s", 500, single / 500, 1),
        Result("posting, one hot account", hot, "transfers/s", 200, hot / 200, 1),
        Result("posting, size", size, "bytes/transfer", 1_024, 1_024 / size, 1),
        Result("posting, hordak", batches, "transfers/s", hordak, batches / hordak, 20),
        Result("posting, hordak batched", batches, "transfers/s", hordak_batched, batches / hordak_batched, 5),
    ]


def _spread(rng: random.Random) -> tuple[str, str]:
    source, target = rng.sample(PATHS, 2)
    return source, target


def _from_hot(rng: random.Random) -> tuple[str, str]:
    return HOT, rng.choice(PATHS[1:])


def _rate(
    database: Database, name: str, *, count: int, size: int, draw: Callable[[random.Random], tuple[str, str]]
) -> float:
    """Transfers a second by all clients, each posting `count` batches of `size`, each batch in its own transaction."""

    def client(number: int) -> None:
        rng = random.Random(number)
        for batch in range(count):
            transfers = []
            for place in range(size):
                source, target = draw(rng)
                legs = (books.Leg(source, CNY, -5), books.Leg(target, CNY, 5))
                key = f"{name}-{number}-{batch}-{place}"
                transfers.append(books.Transfer(key, NOW.date(), "payment of a receivable", legs))
            with database.transaction() as session:
                books.post(session.connection(), transfers=transfers, now=NOW)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return CLIENTS * count * size / (time.perf_counter() - began)


def _hordak(home: Path, *, socket: str) -> tuple[float, float]:
    """Hordak's rates, as it is documented and with a hundred transfers in a transaction, in a Python of its own."""
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *HORDAK], check=True, stdout=sys.stderr)
    script = str(ROOT / "tests" / "benchmarks" / "hordak_transfers.py")
    arguments = [python, "-P", script, socket, str(CLIENTS), str(HORDAK_EACH)]
    done = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True)
    alone, batched = json.loads(done.stdout)
    return alone, batched
