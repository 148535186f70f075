"""Record a fact in a business transaction; later seal it: sign, chain, put in the log, publish a checkpoint."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from exchange.db import copy_rows
from exchange.entropy import Entropy
from exchange.jobs import Wakes, wake
from exchange.keyring import Keyring
from exchange.registry import checkpoints
from exchange.registry.models import AssetEvent, PendingEvent
from exchange.services import Services
from ledger import log, records

SEAL_BATCH = 2000
COLUMNS = ("asset_id", "kind", "body", "disclosable", "recorded_at")
"""What a fact is made of, as `PendingEvent` names it."""


class Fact(NamedTuple):
    """What happened to an asset: `body` is shown to everybody who may see the asset, `disclosable` field by field."""

    asset_id: str
    kind: str
    body: Mapping[str, Any]
    disclosable: Mapping[str, Any] | None = None


class _Pending(NamedTuple):
    """A pending fact as the sealer reads it: columns of `PendingEvent`."""

    pending_id: int
    asset_id: str
    kind: str
    body: str
    disclosable: str
    recorded_at: datetime


class _Sealed(NamedTuple):
    """A pending fact with its signature and its place in the asset's chain."""

    pending: _Pending
    sequence: int
    record: records.SealedRecord
    leaf: bytes


def record_many(session: Session, *, facts: Sequence[Fact], now: datetime) -> list[int]:
    """Keep many facts for signing, in their order; gives their `pending_id`s, by which callbacks name them."""
    if not facts:
        return []
    sequence = "pg_get_serial_sequence('pending_event', 'pending_id')"
    claim = text(f"SELECT nextval({sequence}) FROM generate_series(1, :n)")  # noqa: S608 - a constant of ours
    pending_ids = list(session.execute(claim, {"n": len(facts)}).scalars())
    rows = ((pending_id, *_row(fact, now)) for pending_id, fact in zip(pending_ids, facts, strict=True))
    copy_rows(session, PendingEvent.__tablename__, ("pending_id", *COLUMNS), rows)
    wake(session, Wakes.FACTS)
    return pending_ids


def note_many(session: Session, *, facts: Sequence[Fact], now: datetime) -> None:
    """Keep many facts for signing, in their order, of which no callback tells."""
    if facts:
        copy_rows(session, PendingEvent.__tablename__, COLUMNS, (_row(fact, now) for fact in facts))
        wake(session, Wakes.FACTS)


def _row(fact: Fact, now: datetime) -> tuple[object, ...]:
    body, disclosable = orjson.dumps(fact.body).decode(), orjson.dumps(fact.disclosable or {}).decode()
    return fact.asset_id, fact.kind, body, disclosable, now


def seal(services: Services) -> int:
    """Sign the next facts, log them and publish a checkpoint; gives how many. One sealer works at a time.

    The sealer's advisory lock is held by a transaction that writes nothing while keys sign, so no row of the business
    waits for a key store; exact rows are sealed, never a range. The checkpoint follows in a transaction of its own: what it
    covers is committed before anybody signs it.
    """
    with services.database.transaction() as holder:
        if not holder.execute(text("SELECT pg_try_advisory_xact_lock(hashtext('registry.seal'))")).scalar_one():
            return 0
        batch = _next_batch(holder)
        if batch:
            _seal_batch(holder, batch, services=services)
        checkpoints.publish(services)
    return len(batch)


def _seal_batch(holder: Session, batch: Sequence[_Pending], *, services: Services) -> None:
    heads = _heads(holder, {pending.asset_id for pending in batch if pending.kind != "asset.confirmed"})
    sealed = _sign(batch, heads, keyring=services.keyring, entropy=services.entropy)
    with services.database.transaction() as session:
        _store(session, sealed)


def _next_batch(session: Session) -> list[_Pending]:
    query = select(*(getattr(PendingEvent, name) for name in _Pending._fields))
    return [_Pending(*row) for row in session.execute(query.order_by(PendingEvent.pending_id).limit(SEAL_BATCH))]


def _heads(session: Session, asset_ids: Iterable[str]) -> dict[str, tuple[int, bytes]]:
    """The last link of each asset's chain: (sequence, digest)."""
    query = text("""
        SELECT asset.id, head.sequence, head.digest
        FROM unnest(cast(:ids AS text[])) AS asset(id)
        CROSS JOIN LATERAL (
            SELECT sequence, digest FROM asset_event
            WHERE asset_id = asset.id ORDER BY sequence DESC LIMIT 1
        ) AS head
    """)
    rows = session.execute(query, {"ids": sorted(asset_ids)})
    return {asset_id: (sequence, bytes(digest)) for asset_id, sequence, digest in rows}


def _sign(
    batch: Sequence[_Pending],
    heads: dict[str, tuple[int, bytes]],
    *,
    keyring: Keyring,
    entropy: Entropy,
) -> list[_Sealed]:
    """Chain and sign the facts in order; `heads` is brought forward on the way."""
    sealed = []
    for pending in batch:
        last, prev = heads.get(pending.asset_id, (0, None))
        sequence = last + 1
        body = orjson.loads(pending.body) | {
            "type": pending.kind,
            "asset": pending.asset_id,
            "sequence": sequence,
            "prev": prev.hex() if prev else None,
            "recorded_at": int(pending.recorded_at.timestamp()),
        }
        salt = partial(_salt, entropy, f"{pending.asset_id}/{sequence}")
        signed = records.seal(
            body, disclosable=orjson.loads(pending.disclosable), signer=keyring.record_signer, salt=salt
        )
        leaf = records.leaf(
            pending.asset_id,
            kind=pending.kind,
            sequence=sequence,
            prev=prev,
            digest=signed.digest,
            kid=keyring.record_signer.kid,
            recorded_at=pending.recorded_at,
        )
        heads[pending.asset_id] = (sequence, signed.digest)
        sealed.append(_Sealed(pending, sequence, signed, leaf))
    return sealed


def _salt(entropy: Entropy, place: str, name: str) -> bytes:
    return entropy(records.SALT_BYTES, "salt", place, name)


def _store(session: Session, sealed: Sequence[_Sealed]) -> None:
    connection = session.connection()
    log.lock(connection)
    indexes = log.append(connection, leaves=[item.leaf for item in sealed])
    rows = (
        (
            item.pending.asset_id,
            item.sequence,
            item.pending.kind,
            item.record.jws,
            item.record.digest,
            "~".join(item.record.disclosures),
            item.pending.pending_id,
            index,
            item.pending.recorded_at,
        )
        for item, index in zip(sealed, indexes, strict=True)
    )
    columns = ["asset_id", "sequence", "kind", "jws", "digest", "disclosures", "pending_id", "log_index", "recorded_at"]
    copy_rows(session, AssetEvent.__tablename__, columns, rows)
    gone = [item.pending.pending_id for item in sealed]
    session.execute(text("DELETE FROM pending_event WHERE pending_id = ANY(:ids)"), {"ids": gone})
