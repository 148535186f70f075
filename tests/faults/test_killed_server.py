"""kill -9 of PostgreSQL, of one of its backends, and a backend ended in good order, all under load."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from exchange.db import Database
from tests.faults.clients import Journal, ask, draw, storming, verify
from tests.faults.machine import Machine

ROUNDS = [pytest.param(3, id="short"), pytest.param(40, id="long", marks=pytest.mark.long)]
BACKENDS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
TERMINATE = f"SELECT count(pg_terminate_backend(pid)) FROM ({BACKENDS} ORDER BY random() LIMIT 1) one"  # noqa: S608 - ours


@pytest.mark.parametrize("rounds", ROUNDS)
def test_the_server_is_killed(tmp_path: Path, rounds: int) -> None:
    """Again and again, in the middle of commits: what was acknowledged is there, nothing is there twice."""
    with Machine(tmp_path / "pg") as machine:
        with storming(machine.url) as journal:
            for _ in until_ambiguous(journal, rounds):
                time.sleep(random.uniform(0.5, 1.0))
                machine.kill()
                machine.start()
            time.sleep(1)
        told = journal.tell()
        verify(machine.url, journal)
    assert journal.ambiguous, told
    assert len(journal.acknowledged) > 20 * rounds, told


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_backend_is_killed(tmp_path: Path, rounds: int) -> None:
    """One process of the server dies of SIGKILL: it takes all connections with it and recovers by itself."""
    with Machine(tmp_path / "pg") as machine:
        with storming(machine.url) as journal:
            for _ in until_ambiguous(journal, rounds):
                time.sleep(random.uniform(0.5, 1.0))
                with create_engine(machine.url, poolclass=NullPool).connect() as connection:
                    pids = connection.exec_driver_sql(BACKENDS).scalars().all()
                os.kill(random.choice(pids), signal.SIGKILL)
                wait_for(machine.url)
            time.sleep(1)
        told = journal.tell()
        verify(machine.url, journal)
    assert journal.ambiguous, told


@pytest.mark.parametrize(
    "rounds", [pytest.param(60, id="short"), pytest.param(2000, id="long", marks=pytest.mark.long)]
)
def test_a_backend_is_ended(tmp_path: Path, rounds: int) -> None:
    """An administrator ends one connection at a time, whatever it is doing."""
    with Machine(tmp_path / "pg") as machine:
        with storming(machine.url) as journal, create_engine(machine.url, poolclass=NullPool).connect() as connection:
            for _ in range(rounds):
                time.sleep(0.05)
                connection.exec_driver_sql(TERMINATE)
                connection.rollback()
        told = journal.tell()
        verify(machine.url, journal)
    assert len(journal.lost) + len(journal.ambiguous) > rounds / 3, told


def test_an_ambiguous_commit_is_told_apart(tmp_path: Path) -> None:
    """The server dies inside one COMMIT: the client does not know, asks again with its key, and then knows."""
    with Machine(tmp_path / "pg", settings={"commit_delay": "100000", "commit_siblings": "0"}) as machine:
        journal, never = Journal(), threading.Event()
        database = Database(machine.url)
        ask(database, [draw("first")], journal, until=never)
        killer = threading.Timer(0.06, machine.kill)
        back = threading.Timer(1.5, machine.start)
        killer.start()
        back.start()
        ask(database, [draw("second")], journal, until=never)
        back.join()
        database.dispose()
        told = journal.tell()
        verify(machine.url, journal)
    assert journal.ambiguous[:1] == ["second"], told
    assert {*journal.acknowledged} | journal.refused == {"first", "second"}


def until_ambiguous(journal: Journal, rounds: int) -> Iterator[int]:
    """So many rounds, and some more if no commit was hit in the middle: that would prove nothing."""
    for number in range(5 * rounds):
        if number >= rounds and journal.ambiguous:
            return
        yield number


def wait_for(url: str) -> None:
    """Wait until the server takes connections again."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with create_engine(url, poolclass=NullPool).connect():
                return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
