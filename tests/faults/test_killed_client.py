"""kill -9 of a client before, inside and after its COMMIT; whoever takes over asks again with the same key."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

from exchange.db import Database
from tests.architecture.source import ROOT
from tests.faults.clients import Journal, ask, draw, verify
from tests.faults.machine import Machine

PHASES = ("before", "inside", "after")
TIMES = 2
STORED = "SELECT count(*) FROM books_transfers WHERE key = %s"


def test_a_client_is_killed(tmp_path: Path) -> None:
    """Before: nothing is there. Inside and after: it is there, though nobody was told. The repetition posts it once."""
    slow = {"commit_delay": "100000", "commit_siblings": "0"}
    with Machine(tmp_path / "pg", settings=slow) as machine:
        journal, never, database = Journal(), threading.Event(), Database(machine.url)
        stored: dict[str, list[int]] = {phase: [] for phase in PHASES}
        for phase in PHASES * TIMES:
            key = f"{phase}-{len(stored[phase])}"
            command = [sys.executable, "-m", "tests.faults.dying_client", machine.url, phase, key]
            died = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
            assert died.returncode == -signal.SIGKILL, died.stderr
            journal.asked.add(key)
            if phase != "before":
                journal.ambiguous.append(key)
            with database.transaction() as session:
                session.connection().exec_driver_sql("SELECT pg_sleep(0.2)")  # until its backend has ended
                count = session.connection().exec_driver_sql(STORED, (key,)).scalar_one()
            stored[phase].append(count)
            ask(database, [draw(key)], journal, until=never)
        database.dispose()
        told = journal.tell()
        verify(machine.url, journal)
    assert stored == {"before": [0] * TIMES, "inside": [1] * TIMES, "after": [1] * TIMES}, told
    assert len(journal.acknowledged) + len(journal.refused) == len(PHASES) * TIMES
