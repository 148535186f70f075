"""A worker that does what is on the list and dies of SIGKILL in the middle of its n-th chunk."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from exchange import jobs, worker
from exchange.services import Services, open_services
from exchange.servicing import jobs as servicing
from exchange.settings import Settings


def main(url: str, home: str, chunks: int) -> None:
    """Work until the chunk that is the last."""
    services = open_services(Settings(home=Path(home), database_url=url, seed=7, virtual_clock=True))
    left = chunks

    def close_assets(services: Services, session: Session, payload: dict[str, Any]) -> None:
        nonlocal left
        servicing.close_assets(services, session, payload)
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)  # all is written, nothing is committed

    while jobs.run_one(services, worker.HANDLERS | {"servicing.close_assets": close_assets}):
        pass


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
