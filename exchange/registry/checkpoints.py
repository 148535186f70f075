"""Publish checkpoints: the log's signed statement of what it holds."""

from exchange.services import Services
from ledger import log


def publish(services: Services) -> None:
    """Sign a checkpoint over every entry of the log that was committed, unless the last one covers them all."""
    with services.database.transaction() as session:
        now = services.clock.now(session)
        log.publish(session.connection(), signer=services.keyring.note_signer, now=now)
