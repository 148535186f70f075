"""Whoever dies of SIGKILL leaves nobody behind; whoever ends in order ends its children itself."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

PARENT = """
import signal, subprocess, sys, time
from exchange.embedded.leash import leash
with leash() as held:
    child = subprocess.Popen(["sh", "-c", sys.argv[2]], start_new_session=True)
    held.hold(-child.pid, seconds=0.5)
    open(sys.argv[1], "w").write(f"{child.pid} {held.process.pid}")
    time.sleep(float(sys.argv[3]))
"""
OBEDIENT = "sleep 60 & sleep 60"
STUBBORN = "trap '' TERM; while true; do sleep 0.1; done"


def lives(pid: int) -> bool:
    """Whether a process is there, and is more than the memory of one."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def begin(note: Path, child: str, seconds: float) -> tuple[subprocess.Popen[bytes], int, int]:
    """A parent with a child on its leash: the parent, the child's number and the leash's."""
    command = [sys.executable, "-c", PARENT, str(note), child, str(seconds)]
    parent = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + 20
    while not note.exists() or not note.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child_pid, leash_pid = map(int, note.read_text().split())
    return parent, child_pid, leash_pid


@pytest.mark.parametrize("child", [OBEDIENT, STUBBORN])
def test_killed(tmp_path: Path, child: str) -> None:
    """The child's whole group goes soon after, whether it listens or not, and then the leash itself."""
    parent, child_pid, leash_pid = begin(tmp_path / "note", child, 60)
    assert lives(child_pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 20
    while lives(child_pid) or lives(leash_pid):
        assert time.monotonic() < deadline, "left behind"
        time.sleep(0.02)


def test_ended_in_order(tmp_path: Path) -> None:
    """A parent that says it is done keeps its own promises: the leash ends and touches nobody."""
    parent, child_pid, leash_pid = begin(tmp_path / "note", OBEDIENT, 0.1)
    assert parent.wait(20) == 0
    assert not lives(leash_pid)
    assert lives(child_pid)
    os.killpg(child_pid, signal.SIGKILL)


def test_a_leash_that_was_killed(tmp_path: Path) -> None:
    """It holds nobody any more, and its parent does not mind."""
    parent, child_pid, leash_pid = begin(tmp_path / "note", OBEDIENT, 1)
    os.kill(leash_pid, signal.SIGKILL)
    assert parent.wait(20) == 0
    os.killpg(child_pid, signal.SIGKILL)
