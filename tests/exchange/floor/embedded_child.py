"""Start the server of a home (argument 1), as a user (argument 2, a number); stop it when the input ends."""

import os
import sys
from pathlib import Path

from exchange import embedded


def _become(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def main() -> None:
    """Print whether we own the server, and its URL."""
    if len(sys.argv) > 2:
        _become(int(sys.argv[2]))
    with embedded.start(Path(sys.argv[1])) as server:
        print("owner" if server.owned else "guest", server.url, flush=True)  # noqa: T201 - read by the test
        sys.stdin.read()


main()
