"""Whether the exchange is at rest, and whether it is right."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import DateTime, bindparam, select
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.callbacks.queries import undelivered, unpublished
from exchange.clock import system_now
from exchange.jobs import Fired
from exchange.registry import consistency
from exchange.registry.queries import log_keys, set_aside, unsealed
from exchange.services import Services
from ledger import audit, books

PENDING = ("work", "unsealed", "unpublished", "undelivered")
STATE = select(
    select(Fired.until).scalar_subquery(),
    jobs.unfinished(),
    unsealed(),
    unpublished(),
    undelivered(now=bindparam("now", type_=DateTime(timezone=True))),
)


def clock_state(session: Session, *, services: Services) -> dict[str, Any]:
    """The time, and what is pending at it: counted in one statement, so that nothing can slip between two counts."""
    now = services.clock.now(session)
    first, *counts = session.execute(STATE, {"now": system_now()}).one()
    fired_until = cast("datetime | None", first)
    pending = dict(zip(PENDING, counts, strict=True))
    virtual = services.settings.virtual_clock
    caught_up = not virtual or (fired_until is not None and fired_until >= now)
    return {
        "now": now,
        "virtual": virtual,
        "idle": caught_up and not pending["work"],
        "quiet": caught_up and not any(pending.values()),
        "pending": pending,
    }


def checks(session: Session, *, services: Services) -> dict[str, Any]:
    """Everything that is wrong with the books and the log; `session` has to be one snapshot."""
    connection = session.connection()
    breaks = books.check(connection)
    keys = log_keys(session, log_name=services.settings.log_name, denounced=True)
    found = audit.check_log(connection, keys=keys)
    found += [*consistency.check_records(session), *consistency.check_guard(services)]
    return {
        "books": [
            {"kind": one.kind, "where": one.where, "expected": str(one.expected), "found": str(one.found)}
            for one in breaks
        ],
        "log": [{"kind": one.kind, "where": one.where, "detail": one.detail} for one in found] + set_aside(session),
    }
