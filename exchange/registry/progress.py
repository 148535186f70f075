"""How far the log is, and whether anything holds it back: for operators, auditors and anybody."""

from typing import Any

from exchange.registry import checkpoints
from exchange.services import Services
from ledger import cosignatures, log


def log_status(services: Services) -> dict[str, Any]:
    """Entries, the sizes of the last signed and published checkpoints, and each witness's last word.

    `halted` says why nothing can be signed over what the guard holds.
    """
    halted = checkpoints.refusal(services)
    policy = services.witness_policy
    with services.database.transaction() as session:
        connection = session.connection()
        signed = log.latest_checkpoint(connection)
        published = checkpoints.published(session, services=services)
        asked = policy.witnesses if policy else ()
        said = [(one.name, one.key.vkey, cosignatures.newest(connection, witness=one.key)) for one in asked]
        return {
            "entries": log.size(connection),
            "signed": signed.size if signed else 0,
            "published": published.size if published else 0,
            "quorum": policy.quorum if policy else "none",
            "witnesses": [
                {"name": name, "vkey": vkey, "size": last.size if last else 0, "time": last.time_s if last else None}
                for name, vkey, last in said
            ],
            "halted": None if halted is None else {"code": halted.code, "detail": str(halted)},
        }
