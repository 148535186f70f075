"""Several at once: start together, or hold a row until all of them wait for it."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text

from exchange.services import Services
from tests.exchange.owner import as_owner

PATIENCE_SECONDS = 10
WAITING = text("""
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' ORDER BY pid
""")


@contextmanager
def held_back(services: Services, lock: str, *calls: Callable[[], Any]) -> Iterator[list[Future[Any]]]:
    """Run `lock`, start the calls, and let the block begin when all of them wait; it ends by letting them go."""
    with ThreadPoolExecutor(len(calls)) as pool, as_owner(services.database) as holder:
        holder.execute(text(lock))
        futures = [pool.submit(call) for call in calls]
        wait_for(services, len(calls), futures)
        yield futures


def at_once(services: Services, lock: str, *calls: Callable[[], Any]) -> list[Any]:
    """What the calls give or raise, when all of them came to the same lock before any got it."""
    with held_back(services, lock, *calls) as futures:
        pass
    return [future.exception() or future.result() for future in futures]


def wait_for(services: Services, count: int, futures: Sequence[Future[Any]] = ()) -> list[int]:
    """The server processes that wait for a lock, when there are as many as asked for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    found: list[int] = []
    while time.monotonic() < deadline:
        with as_owner(services.database) as session:  # who waits is shown to the login itself only
            found = list(session.execute(WAITING).scalars())
        if len(found) >= count:
            return found
        time.sleep(0.005)
    raise AssertionError(f"{len(found)} of {count} wait; done: {[future for future in futures if future.done()]}")


def terminate(services: Services) -> None:
    """Kill, as the operating system would, whoever waits for a lock."""
    with as_owner(services.database) as session:
        for pid in wait_for(services, 1):
            session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
