"""A durable PostgreSQL of a test's own, to be killed and brought back."""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sqlalchemy import make_url

from exchange import embedded
from exchange.embedded import EmbeddedPostgres
from exchange.migrations import upgrade
from tests.faults.clients import furnish

SLOW_COMMITS: Mapping[str, str] = {"commit_delay": "20000", "commit_siblings": "0"}
"""Every COMMIT takes 20 ms: time enough to be hit in the middle of one."""


@dataclass
class Machine:
    """The server, its home, and the database `books` on it."""

    home: Path
    settings: Mapping[str, str] = field(default_factory=lambda: SLOW_COMMITS)
    server: EmbeddedPostgres | None = None

    def __enter__(self) -> Self:
        self.start()
        assert self.server is not None
        upgrade(embedded.create_database(self.server.url, "books"))
        furnish(self.url)
        return self

    def __exit__(self, *_: object) -> None:
        if self.server is not None:
            self.server.stop()
        embedded.destroy(self.home)

    @property
    def url(self) -> str:
        """The address of the database; the same after every start."""
        assert self.server is not None
        return make_url(self.server.url).set(database="books").render_as_string(hide_password=False)

    def start(self) -> None:
        """Start the server."""
        self.server = embedded.start(self.home, durable=True, settings=self.settings)

    def revive(self) -> None:
        """Start the server again if it has given up."""
        assert self.server is not None
        assert self.server._server is not None
        if self.server._server.process.poll() is not None:
            self.server.stop()
            self.start()

    def kill(self) -> None:
        """Kill -9 the server with all its processes; what they had in memory is gone.

        Its children first: one that outlives its parent ends the COMMIT it is at, and answers.
        """
        assert self.server is not None
        assert self.server._server is not None
        pid = self.server._server.process.pid
        os.kill(pid, signal.SIGSTOP)  # or it would start others in place of those that die
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        self.server.stop()
