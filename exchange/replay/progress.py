"""What a person sees while a long command works: one line on a terminal, plain lines of stages elsewhere."""

import sys
import time
from typing import IO


class Progress:
    """Writes to `stream` (standard error). Without a terminal only stages are shown; nothing when `quiet`."""

    def __init__(self, *, quiet: bool = False, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._terminal = self._stream.isatty() and not quiet
        self._shown_at = self._began_at = time.monotonic()

    def stage(self, text: str) -> None:
        """Say what comes next."""
        self._began_at = time.monotonic()
        if not self._quiet:
            self._write(f"\r\x1b[K{text}\n" if self._terminal else f"{text}\n")

    def step(self, done: int, *, of: int, what: str) -> None:
        """Show how far the stage is, at most ten times a second."""
        now = time.monotonic()
        if not self._terminal or (now - self._shown_at < 0.1 and done < of):  # noqa: PLR2004 - seconds
            return
        self._shown_at = now
        rate = done / max(now - self._began_at, 1e-9)
        left = (of - done) / max(rate, 1e-9)
        self._write(f"\r\x1b[K  {done * 100 // max(of, 1):3} %  {what}  {rate:.1f} days/s  {left:.0f} s left")

    def close(self) -> None:
        """Leave a clean line."""
        if self._terminal:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
