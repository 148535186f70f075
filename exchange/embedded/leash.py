"""Processes that are not left behind: when whoever started them dies, even of SIGKILL, they are told to end.

A small process of its own reads what to end from a pipe: a line for each, `signal target seconds`, a negative target
for a whole group. The pipe's other end is its parent's alone; once that is closed without the word `done` the parent is
dead, and it ends them, the last one first, each after the one before has gone.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

DONE = "done"
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Leash:
    """The parent's end."""

    process: subprocess.Popen[bytes]

    def hold(self, target: int, *, by: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> None:
        """End `target`, a process or (negative) a group, with a signal; after `seconds` of patience with SIGKILL."""
        self._say(f"{by.value} {target} {seconds}")

    def let_go(self) -> None:
        """All were ended in good order."""
        self._say(DONE)
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()

    def _say(self, line: str) -> None:
        with suppress(BrokenPipeError):  # somebody killed it: nothing is held any more
            if self.process.stdin is not None:
                self.process.stdin.write(f"{line}\n".encode())


@contextmanager
def leash() -> Iterator[Leash]:
    """A leash for what is started in the block, and ended by its end."""
    process = subprocess.Popen(  # noqa: S603 - this file
        [sys.executable, "-I", "-S", __file__],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # neither Ctrl-C nor a closed terminal is for it
    )
    held = Leash(process)
    try:
        yield held
    finally:
        held.let_go()


def wait_for_the_end() -> None:
    """Read what is held; at the end of the pipe end it, unless all is done."""
    lines = [line.strip() for line in sys.stdin]
    if not lines or lines[-1] != DONE:
        for line in reversed(lines):
            number, target, seconds = line.split()
            end(int(target), by=int(number), seconds=float(seconds))


def end(target: int, *, by: int, seconds: float) -> None:
    """Signal a process or group and wait until it is gone; SIGKILL if it does not go."""
    kill = os.killpg if target < 0 else os.kill
    until = time.monotonic() + seconds
    with suppress(ProcessLookupError):
        kill(abs(target), by)
        while time.monotonic() < until:
            kill(abs(target), 0)
            time.sleep(POLL_SECONDS)
        kill(abs(target), signal.SIGKILL)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait_for_the_end()
