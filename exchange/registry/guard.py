"""The checkpoint guard: the last signed checkpoint, kept apart from the database it speaks of.

Who brings an old backup of the database back does not bring the guard back with it, and so cannot sign a second
history by mistake. Where workers seal on several hosts the guard has to be one for all: a database of its own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from exchange.settings import Settings
from ledger.checkpoint_file import CheckpointFile, CheckpointKeeper, Kept
from ledger.log import GuardUnreachable

CONNECT_SECONDS = 5
STATEMENT_MS = 10_000

TABLE = """
    CREATE TABLE IF NOT EXISTS checkpoint_guard (
        origin text PRIMARY KEY, note text NOT NULL, since timestamptz NOT NULL DEFAULT now()
    )
"""
KNOWN = "SELECT to_regclass('checkpoint_guard') IS NOT NULL"
READ = "SELECT note, since FROM checkpoint_guard WHERE origin = %s"
FIRST = "INSERT INTO checkpoint_guard (origin, note) VALUES (%s, %s) ON CONFLICT DO NOTHING"
NEXT = "UPDATE checkpoint_guard SET note = %s, since = now() WHERE origin = %s AND note = %s"


@dataclass(frozen=True, slots=True)
class GuardDatabase:
    """A guard in another database, which makes its table on first use; one row for each log."""

    url: str
    origin: str

    def read(self) -> Kept | None:
        """The last checkpoint; None before the first. Raises `psycopg.Error`."""
        with self._connect() as connection:
            if not self._known(connection):
                return None
            row = connection.execute(READ, (self.origin,)).fetchone()
            return Kept(*row) if row else None

    def swap(self, note: str, *, expected: str | None) -> bool:
        """Put `note` in the place of `expected`; gives whether that was there. Raises `psycopg.Error`."""
        with self._connect() as connection:
            if not self._known(connection):
                connection.execute("SELECT pg_advisory_xact_lock(hashtext('checkpoint_guard'))")
                connection.execute(TABLE)
            if expected is None:
                swapped = connection.execute(FIRST, (self.origin, note))
            else:
                swapped = connection.execute(NEXT, (note, self.origin, expected))
            return swapped.rowcount == 1

    def _connect(self) -> psycopg.Connection[Any]:
        options = f"-c statement_timeout={STATEMENT_MS} -c synchronous_commit=on -c timezone=UTC"
        return psycopg.connect(self.url, connect_timeout=CONNECT_SECONDS, options=options)

    @staticmethod
    def _known(connection: psycopg.Connection[Any]) -> bool:
        row = connection.execute(KNOWN).fetchone()
        return bool(row and row[0])


@dataclass(frozen=True, slots=True)
class Guard:
    """A guard that says, as the log's own refusal (`GuardUnreachable`), when its place does not answer."""

    keeper: CheckpointKeeper

    def read(self) -> Kept | None:
        """The last checkpoint; None before the first."""
        try:
            return self.keeper.read()
        except (OSError, psycopg.Error) as error:
            raise _unreachable(error) from error

    def swap(self, note: str, *, expected: str | None) -> bool:
        """Put `note` in the place of `expected`; gives whether that was there."""
        try:
            return self.keeper.swap(note, expected=expected)
        except (OSError, psycopg.Error) as error:
            raise _unreachable(error) from error


def guard_of(settings: Settings) -> Guard:
    """The guard these settings name: a file in `home` unless they say otherwise."""
    if settings.guard and "://" in settings.guard:
        return Guard(GuardDatabase(settings.guard, settings.log_name))
    path = Path(settings.guard) if settings.guard else settings.home / "guard" / "checkpoint"
    # A replay's home is thrown away: its guard has to outlive processes, not the machine.
    return Guard(CheckpointFile(path, durable=not settings.virtual_clock))


def _unreachable(error: Exception) -> GuardUnreachable:
    return GuardUnreachable(f"The checkpoint guard does not answer, and nothing is signed without it: {error}")
