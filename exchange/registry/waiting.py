"""`Prefer: wait=<seconds>` (RFC 7240) on a POST: the answer comes once a published checkpoint covers what it did.

The waiting comes after the request's transaction, holds no connection between two looks, and never more than a few
threads of a process: whoever comes beyond that is answered at once, without `Preference-Applied`.
"""

import re
import threading
import time
from dataclasses import dataclass

from flask import Response, g, request
from sqlalchemy import text

from exchange.registry import checkpoints
from exchange.services import Services

LONGEST_WAIT_SECONDS = 30
PAUSE_SECONDS = 0.02
MOST_WAITERS = 2

WAIT = re.compile(r"(?:^|[,;\s])wait=([0-9]{1,4})(?![0-9])", re.ASCII)
LAST_FACT = text("SELECT coalesce(pg_sequence_last_value('pending_event_pending_id_seq'), 0)")
OPEN = text("SELECT EXISTS (SELECT FROM pending_event WHERE pending_id > :after AND pending_id <= :until)")
LAST_ENTRY = text("SELECT max(log_index) FROM asset_event WHERE pending_id > :after AND pending_id <= :until")

_waiters = threading.BoundedSemaphore(MOST_WAITERS)


@dataclass(frozen=True, slots=True)
class _Patience:
    """A request that waits: how long, and the last fact there was before it."""

    seconds: int
    after: int


def patience_seconds(prefer: str | None) -> int:
    """How long a `Prefer` header asks to wait, at most half a minute; 0 without `wait`."""
    asked = WAIT.search(prefer or "")
    return min(int(asked.group(1)), LONGEST_WAIT_SECONDS) if asked else 0


def mark(services: Services) -> None:
    """Before a request: note where the facts stand, if the caller wants to wait for those to come."""
    seconds = patience_seconds(request.headers.get("Prefer")) if request.method == "POST" else 0
    if seconds:
        g.patience = _Patience(seconds, _last_fact(services))


def wait(services: Services, response: Response) -> Response:
    """After it: wait, and say in the answer if everything recorded meanwhile is covered."""
    patience: _Patience | None = g.pop("patience", None)
    if patience is None or response.status_code >= 400 or not _waiters.acquire(blocking=False):  # noqa: PLR2004 - errors
        return response
    try:
        deadline = time.monotonic() + patience.seconds
        until = _last_fact(services)
        while not (covered := _is_covered(services, after=patience.after, until=until)) and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)
    finally:
        _waiters.release()
    if covered:
        response.headers["Preference-Applied"] = "wait"
    return response


def _last_fact(services: Services) -> int:
    with services.database.transaction() as session:
        return int(session.execute(LAST_FACT).scalar_one())


def _is_covered(services: Services, *, after: int, until: int) -> bool:
    """Whether every fact in between is sealed, and a published checkpoint covers it."""
    with services.database.transaction() as session:
        window = {"after": after, "until": until}
        if session.execute(OPEN, window).scalar_one():
            return False
        last = session.execute(LAST_ENTRY, window).scalar_one()
        if last is None:
            return True
        published = checkpoints.published(session, services=services)
        return published is not None and last < published.size
