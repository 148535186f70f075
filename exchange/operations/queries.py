"""Whether the exchange is at rest, and whether it is right."""

from typing import Any

from sqlalchemy.orm import Session

from exchange import jobs
from exchange.callbacks.queries import pending_counts
from exchange.clock import system_now
from exchange.registry.queries import unsealed
from exchange.services import Services
from ledger import audit, books


def clock_state(session: Session, *, services: Services) -> dict[str, Any]:
    """The time, and what is pending at it.

    Counted in the direction in which work flows: what leaves one count while we look is seen in a later one.
    """
    now = services.clock.now(session)
    virtual, fired = services.settings.virtual_clock, jobs.fired_until(session)
    caught_up = not virtual or (fired is not None and fired >= now)
    work, facts = jobs.unfinished(session), unsealed(session)
    callbacks = pending_counts(session, now=system_now())
    pending = {
        "work": work,
        "unsealed": facts,
        "unpublished": callbacks.unpublished,
        "undelivered": callbacks.undelivered_due,
    }
    return {"now": now, "virtual": virtual, "quiet": caught_up and not any(pending.values()), "pending": pending}


def checks(session: Session, *, services: Services) -> dict[str, Any]:
    """Everything that is wrong with the books and the log; `session` has to be one snapshot."""
    connection = session.connection()
    breaks = books.check(connection)
    findings = audit.check_log(connection, keys=[services.keyring.note_signer.verifier])
    return {
        "books": [
            {"kind": one.kind, "where": one.where, "expected": str(one.expected), "found": str(one.found)}
            for one in breaks
        ],
        "log": [{"kind": one.kind, "where": one.where, "detail": one.detail} for one in findings],
    }
