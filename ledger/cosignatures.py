"""What witnesses have said about the log's checkpoints, and so which checkpoint is published.

Without a policy every checkpoint is; under one, those its quorum has cosigned.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql

from ledger.log import Checkpoint, latest_checkpoint
from ledger.log_tables import log_checkpoint, log_cosignature, log_publication
from ledger.notes import Verifier
from ledger.policy import Policy, QuorumNotReached

_LOCK = 0x6C6F675F77310000
"""The advisory lock under which words are counted ("log_w1")."""


class Cosignature(NamedTuple):
    """A witness's word on the checkpoint of a size: `line` is the signature line."""

    witness: Verifier
    size: int
    time_s: int
    line: str


def keep(connection: Connection, *, cosignature: Cosignature, policy: Policy, now: datetime) -> bool:
    """Keep a verified cosignature; gives whether the quorum of its checkpoint is reached, which publishes it.

    Of two by one witness the newer one is kept.
    """
    # Two that come at once must not each miss the other's.
    connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    upsert = postgresql.insert(log_cosignature).values(cosignature._asdict() | {"witness": cosignature.witness.vkey})
    renew = upsert.on_conflict_do_update(
        index_elements=["witness", "size"],
        set_={"time_s": upsert.excluded.time_s, "line": upsert.excluded.line},
        where=log_cosignature.c.time_s < upsert.excluded.time_s,
    )
    connection.execute(renew)
    found = cosignatures(connection, size=cosignature.size, policy=policy)
    try:
        policy.check_quorum({one.witness: one.time_s for one in found})
    except QuorumNotReached:
        return False
    publication = postgresql.insert(log_publication).values(size=cosignature.size, published_at=now)
    connection.execute(publication.on_conflict_do_nothing())
    return True


def cosignatures(connection: Connection, *, size: int, policy: Policy) -> list[Cosignature]:
    """What the policy's witnesses have said about the checkpoint of that size, in the policy's order."""
    keys = {one.key.vkey: one.key for one in policy.witnesses}
    query = select(log_cosignature).where(log_cosignature.c.size == size, log_cosignature.c.witness.in_(keys))
    found = {row.witness: Cosignature(keys[row.witness], *row[1:]) for row in connection.execute(query)}
    return [found[vkey] for vkey in keys if vkey in found]


def newest(connection: Connection, *, witness: Verifier) -> Cosignature | None:
    """What a witness has said last, or None when it never did."""
    query = select(log_cosignature).where(log_cosignature.c.witness == witness.vkey)
    row = connection.execute(query.order_by(log_cosignature.c.size.desc()).limit(1)).first()
    return Cosignature(witness, *row[1:]) if row else None


def published_checkpoint(connection: Connection, *, policy: Policy | None) -> Checkpoint | None:
    """The newest checkpoint to show, with its cosignatures in its note; None before the first."""
    if policy is None:
        return latest_checkpoint(connection)
    published = select(log_checkpoint).join(log_publication).order_by(log_checkpoint.c.size.desc()).limit(1)
    row = connection.execute(published).first()
    if row is None:
        return None
    checkpoint = Checkpoint(*row)
    lines = [one.line for one in cosignatures(connection, size=checkpoint.size, policy=policy)]
    return checkpoint._replace(note="".join([checkpoint.note, *lines]))
