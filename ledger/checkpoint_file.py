"""One signed checkpoint kept in a file: read whole, replaced whole, and only by whoever knows what it replaces.

A guard keeps the last checkpoint of its own log here, a witness the last one it cosigned of another's.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol


class Kept(NamedTuple):
    """A checkpoint's note, and since when it is kept (machine time)."""

    note: str
    since: datetime


class CheckpointKeeper(Protocol):
    """Keeps one checkpoint, wherever that may be."""

    def read(self) -> Kept | None:
        """What is kept; None before the first."""

    def swap(self, note: str, *, expected: str | None) -> bool:
        """Keep `note` from now on if `expected` is what is kept; gives whether it was. Done when it returns."""


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """A `CheckpointKeeper` in a file. Not `durable`, it survives any process but not the machine (replays)."""

    path: Path
    durable: bool = True

    def read(self) -> Kept | None:
        """What the file holds; None when it is not there. Raises OSError."""
        try:
            with self.path.open("rb") as file:
                since = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
                # What is no text is no checkpoint either: whoever verifies it says so.
                return Kept(file.read().decode(errors="replace"), since)
        except FileNotFoundError:
            return None

    def swap(self, note: str, *, expected: str | None) -> bool:
        """Replace the file if it holds `expected` (None: is not there). Raises OSError.

        Whatever happens, the file holds the old note or the new one, whole; of two processes that expect the same
        note one is told no.
        """
        with self._locked() as folder:
            kept = self.read()
            if (kept and kept.note) != expected:
                return False
            if note != expected:
                self._write(note, folder)
            return True

    def _write(self, note: str, folder: int) -> None:
        draft = self.path.with_name(f".{self.path.name}.draft")
        with draft.open("wb") as file:
            file.write(note.encode())
            file.flush()
            if self.durable:
                os.fsync(file.fileno())
        draft.replace(self.path)
        if self.durable:
            os.fsync(folder)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The folder, open and locked: the file itself is another one after each swap."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(folder)
