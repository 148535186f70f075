"""Publish checkpoints: the log's signed statement of what it holds, guarded apart from the data it speaks of."""

import structlog
from sqlalchemy.orm import Session

from exchange.jobs import Wakes, wake
from exchange.registry import keys
from exchange.registry.guard import guard_of
from exchange.registry.queries import log_keys
from exchange.services import Services
from ledger import cosignatures
from ledger import log as ledger_log
from ledger.log import Checkpoint, LogRefused

log = structlog.get_logger()


def publish(services: Services) -> None:
    """Sign a checkpoint over every entry of the log that was committed, unless the last one covers them all.

    Refuses (`LogRolledBack`, `LogForked`, `GuardUnreadable`, `GuardMoved`) to sign what does not begin with what was
    signed before, whatever the database remembers of it.
    """
    guard = guard_of(services.settings)
    with services.database.transaction() as session:
        signer = keys.log_signer(session, services=services)
        if signer is None:
            return
        connection = session.connection()
        ledger_log.lock(connection)
        before = ledger_log.latest_checkpoint(connection)
        if before is not None and guard.read() is None:
            log.warning("the checkpoint guard was lost, and starts from the database", size=before.size)
        known = log_keys(session, log_name=services.settings.log_name, denounced=True)
        now = services.clock.now(session)
        after = ledger_log.publish(connection, signer=signer, now=now, guard=guard, keys=known)
        if after != before:
            wake(session, Wakes.CHECKPOINT)


def published(session: Session, *, services: Services) -> Checkpoint | None:
    """The checkpoint to show, with its cosignatures; None before the first."""
    return cosignatures.published_checkpoint(session.connection(), policy=services.witness_policy)


def refusal(services: Services) -> LogRefused | None:
    """Why no checkpoint can be signed now, by what the guard holds; None when nothing stands against it."""
    try:
        with services.database.transaction() as session:
            known = log_keys(session, log_name=services.settings.log_name, denounced=True)
            ledger_log.check_guard(session.connection(), guard=guard_of(services.settings), keys=known)
    except LogRefused as error:
        return error
    return None
