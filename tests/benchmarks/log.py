"""The log in PostgreSQL: appends a second, a proof from a million entries, how both costs and memory grow."""

import os
import random
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, create_engine

from exchange import embedded
from exchange.migrations import upgrade
from ledger import log
from ledger.audit import check_log
from ledger.notes import NoteSigner
from tests.benchmarks.report import Result

BATCH = 5_000
WARM_UP, BATCHES = 4, 30
APPENDS_A_SECOND = 50_000
LARGE, SMALL = 1_000_000, 1_000
PROOFS = 300
PROOFS_A_SECOND = 500
"""Two milliseconds each."""
FEW, MANY = 10_000, 1_000_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def measure() -> list[Result]:
    """All four."""
    return [measure_appends(), measure_proofs(), measure_growth(), measure_memory()]


def measure_appends() -> Result:
    """Entries a second into an empty log, in batches, each committed to the disk."""
    with database() as engine:
        leaves = entries()
        fill(engine, WARM_UP * BATCH)
        began = time.perf_counter()
        for _ in range(BATCHES):
            with engine.begin() as connection:
                log.append(connection, leaves=leaves)
        value = BATCHES * BATCH / (time.perf_counter() - began)
    return Result("log: appends", value, "entries/s", APPENDS_A_SECOND, value / APPENDS_A_SECOND, 1.0)


def measure_proofs() -> Result:
    """Inclusion proofs a second, one at a time, of any entry of a log of a million."""
    value = 1 / costs()[LARGE]
    return Result("log: proofs", value, "proofs/s", PROOFS_A_SECOND, value / PROOFS_A_SECOND, 1.0)


def measure_growth() -> Result:
    """How much more a proof costs in a log a thousand times as large.

    Its logarithm is twice as large. Tiles make steps of that, so twice as much again is allowed; linear is a thousand.
    """
    value, floor = costs()[LARGE] / costs()[SMALL], 4.0
    return Result("log: growth of a proof", value, "times", floor, floor / value, 1.0)


def measure_memory() -> Result:
    """What the log's checker holds at most: a hundred times the entries, the same memory."""
    peaks = {}
    with database() as engine:
        signer = NoteSigner("log.example/ar", Ed25519PrivateKey.generate())
        for size in (FEW, MANY):
            fill(engine, size)
            with engine.begin() as connection:
                log.publish(connection, signer=signer, now=NOW)
                tracemalloc.start()
                if check_log(connection, keys=[signer.verifier]):
                    raise RuntimeError("the log is not sound")
                peaks[size] = tracemalloc.get_traced_memory()[1] / 1024
                tracemalloc.stop()
    return Result("log: checker's memory", peaks[MANY], "KiB", peaks[FEW], peaks[FEW] / peaks[MANY], 0.5)


@cache
def costs() -> dict[int, float]:
    """Seconds an inclusion proof takes, by the log's size: the median, at entries drawn at random."""
    found = {}
    with database() as engine:
        for size in (SMALL, 10_000, 100_000, LARGE):
            fill(engine, size)
            draw = random.Random(size)
            seconds = []
            with engine.connect() as connection:
                for _ in range(PROOFS):
                    began = time.perf_counter()
                    log.inclusion_proof(connection, index=draw.randrange(size), size=size)
                    seconds.append(time.perf_counter() - began)
            found[size] = median(seconds)
    return found


def fill(engine: Engine, size: int) -> None:
    """Append until the log has so many entries."""
    leaves = entries()
    while True:
        with engine.begin() as connection:
            missing = size - log.size(connection)
            if missing <= 0:
                return
            log.append(connection, leaves=leaves[:missing])


@cache
def entries() -> list[bytes]:
    """A batch of entries as long as those of records."""
    return [os.urandom(160).hex().encode() for _ in range(BATCH)]


@contextmanager
def database() -> Iterator[Engine]:
    """A fresh database on this disk, as durable as in production."""
    with (
        tempfile.TemporaryDirectory(prefix="exchange-log-") as home,
        embedded.start(Path(home), durable=True) as server,
    ):
        url = embedded.create_database(server.url, "log")
        upgrade(url)
        engine = create_engine(url)
        try:
            yield engine
        finally:
            engine.dispose()
