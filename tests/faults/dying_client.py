"""A client that posts the transfer of a key and dies of SIGKILL: `before`, `inside` or `after` its COMMIT."""

import os
import signal
import sys
import threading

from exchange.db import Database
from tests.faults.clients import attempt, draw


def die() -> None:
    """End as by kill -9: nothing is closed, nobody is told."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, phase: str, key: str) -> None:
    """Post and die."""
    with Database(url, pooled=False).transaction() as session:
        attempt(session.connection(), [draw(key)])
        if phase == "before":
            die()
        if phase == "inside":
            threading.Timer(0.03, die).start()  # COMMIT takes a hundred milliseconds
    die()


if __name__ == "__main__":
    main(*sys.argv[1:])
