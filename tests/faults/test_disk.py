"""A disk that is full, and then is not."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.clients import storming, verify
from tests.faults.machine import SLOW_COMMITS, Machine

SMALL = {"max_wal_size": "32MB", "min_wal_size": "32MB", "shared_buffers": "16MB", **SLOW_COMMITS}
LEFT_BYTES = 2**18


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 200 MB, which the server's own user can reach."""
    place = Path(tempfile.mkdtemp(prefix="exchange-disk-", dir="/var/tmp"))
    place.chmod(0o711)
    options = ["-t", "tmpfs", "-o", "size=200m,mode=0711", "tmpfs", str(place)]
    mounted = subprocess.run(["mount", *options], check=False, capture_output=True)
    try:
        if mounted.returncode != 0:
            pytest.skip("only root may make a small disk")
        yield place
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


def fill(ballast: Path) -> None:
    """Take all the room there is but a little; the server takes from it at the same time."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(2**20))
    os.truncate(ballast, ballast.stat().st_size - LEFT_BYTES)


def test_a_full_disk(small_disk: Path) -> None:
    """Nothing is acknowledged that is not stored; once there is room all goes on, nothing lost and nothing twice."""
    ballast = small_disk / "ballast"
    with Machine(small_disk / "pg", settings=SMALL) as machine:
        assert (machine.home / "data").resolve().is_relative_to(small_disk)
        with storming(machine.url) as journal:
            time.sleep(1)
            fill(ballast)
            deadline = time.monotonic() + 30
            while len(journal.lost) < 20 and time.monotonic() < deadline:
                time.sleep(0.05)
            told, failed = len(journal.acknowledged), len(journal.lost)
            ballast.unlink()
            machine.revive()
            time.sleep(2)
        journal.tell()
        verify(machine.url, journal)
    assert failed >= 20
    assert len(journal.acknowledged) > told
