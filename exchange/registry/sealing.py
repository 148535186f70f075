"""Seal the facts that wait: sign, chain, put into the log, publish a checkpoint. No business waits for it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from exchange.db import copy_rows
from exchange.entropy import Entropy
from exchange.registry import checkpoints, keys
from exchange.registry.models import AssetEvent, PendingEvent, SetAsideEvent, SigningKey
from exchange.registry.queries import signing_keys
from exchange.services import Services
from ledger import disclosures, log, records
from ledger.canonical import NotCanonical
from ledger.errors import RecordRefused
from ledger.key_history import SUBJECT, KeyEvent, Use
from ledger.keys import Signer

SEAL_BATCH = 2000
COLUMNS = ("asset_id", "sequence", "kind", "jws", "digest", "disclosures", "pending_id", "log_index", "recorded_at")
SEALER = text("SELECT pg_try_advisory_xact_lock(hashtext('registry.seal'))")

CANNOT_BE_SIGNED = (RecordRefused, NotCanonical, records.MalformedLeaf, orjson.JSONDecodeError)
"""What is wrong with a fact itself; whatever else fails is tried again."""


class Overtaken(Exception):
    """Another sealer put a key in force meanwhile: this one had lost its lock. Nothing of its batch is stored."""


class _Pending(NamedTuple):
    """A pending fact as the sealer reads it: columns of `PendingEvent`."""

    pending_id: int
    asset_id: str
    kind: str
    body: str
    disclosable: str
    recorded_at: datetime


class _Sealed(NamedTuple):
    """A pending fact with its signature and its place in the asset's chain; `in_force` is the key it activates."""

    pending: _Pending
    sequence: int
    record: records.SealedRecord
    leaf: bytes
    in_force: str | None = None


class _Work(NamedTuple):
    """What there is to seal, the last link of each asset's chain (sequence, digest), and the keys, at one moment."""

    batch: Sequence[_Pending]
    heads: dict[str, tuple[int, bytes]]
    keys: Sequence[SigningKey]


class _Result(NamedTuple):
    """What was signed, and by asset the fact that cannot be."""

    sealed: list[_Sealed]
    refused: dict[str, tuple[_Pending, Exception]]


def seal(services: Services) -> int:
    """Sign the next facts, log them, publish a checkpoint; gives how many were dealt with. One sealer works at a time.

    The sealer's advisory lock is held by a transaction that writes nothing while keys sign, so no row of the business
    waits for a key store; exact rows are sealed, never a range. The checkpoint follows in a transaction of its own:
    what it covers is committed before anybody signs it. A process that does not hold the current key leaves all to
    others.
    """
    with services.database.transaction() as holder:
        if not holder.execute(SEALER).scalar_one():
            return 0
        work = _next_work(services)
        if not work.keys:
            with services.database.transaction() as session:
                keys.found(session, services=services, now=services.clock.now(session))
            work = _next_work(services)
        dealt_with = _seal_batch(work, services=services) if work.batch else 0
        checkpoints.publish(services)
    return dealt_with


def _seal_batch(work: _Work, *, services: Services) -> int:
    sealed, refused = result = _sign(work, services=services)
    if sealed or refused:
        with services.database.transaction() as session:
            _store(session, result, work=work, now=services.clock.now(session))
    return len(sealed) + len(refused)


def _next_work(services: Services) -> _Work:
    """The next facts: key events before all others, and nothing of an asset of which a fact is set aside."""
    with services.database.snapshot() as session:
        waiting = select(SetAsideEvent.asset_id).join(PendingEvent, PendingEvent.pending_id == SetAsideEvent.pending_id)
        skipped = [SUBJECT, *session.scalars(waiting)]
        batch = _pending(session, PendingEvent.asset_id == SUBJECT, limit=SEAL_BATCH)
        others = PendingEvent.asset_id != func.all(skipped)
        batch += _pending(session, others, limit=SEAL_BATCH - len(batch))
        heads = _heads(session, {pending.asset_id for pending in batch if pending.kind != "asset.confirmed"})
        work = _Work(batch, heads, signing_keys(session))
        session.expunge_all()  # the keys outlive the snapshot
        return work


def _pending(session: Session, where: Any, *, limit: int) -> list[_Pending]:  # noqa: ANN401 - any condition
    query = select(*(getattr(PendingEvent, name) for name in _Pending._fields))
    rows = session.execute(query.where(where).order_by(PendingEvent.pending_id).limit(limit))
    return [_Pending(*row) for row in rows]


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


class _Hand:
    """The key that signs the next fact. The log's order decides: from its activation's entry on a key signs all.

    An activation is signed by the key before it; by the key itself where there was none or that one is denounced.
    """

    def __init__(self, held: Sequence[SigningKey], *, services: Services) -> None:
        self._keys = {key.kid: key for key in held}
        self._services = services
        self._key = keys.current_record_key(held)
        self.signer = self._signer()

    def before(self, kind: str, body: Mapping[str, Any]) -> None:
        """Make ready to sign a fact about keys."""
        activates = kind == KeyEvent.ACTIVATED and body["use"] == Use.RECORD
        if self._key is None or (activates and self._key.compromised_since is not None):
            self._pass_to(body["kid"])

    def after(self, kind: str, body: Mapping[str, Any]) -> str | None:
        """Act on a fact about keys, now that it is signed; gives the key that it put in force."""
        if kind != KeyEvent.ACTIVATED:
            return None
        if body["use"] == Use.RECORD:
            self._pass_to(body["kid"])
        return str(body["kid"])

    def _pass_to(self, kid: str) -> None:
        self._key = self._keys[kid]
        self.signer = self._signer()

    def _signer(self) -> Signer | None:
        return keys.held_key(self._key, services=self._services) if self._key else None


def _sign(work: _Work, *, services: Services) -> _Result:
    """Chain and sign the facts in order, as far as keys are held here; `work.heads` is brought forward on the way."""
    hand = _Hand(work.keys, services=services)
    result = _Result([], {})
    for pending in work.batch:
        if pending.asset_id in result.refused:
            continue
        try:
            body = orjson.loads(pending.body)
            about_keys = pending.asset_id == SUBJECT
            if about_keys:
                hand.before(pending.kind, body)
            if hand.signer is None:
                break
            one = _sealed(
                pending, body, head=work.heads.get(pending.asset_id), signer=hand.signer, entropy=services.entropy
            )
        except CANNOT_BE_SIGNED as error:
            result.refused[pending.asset_id] = pending, error
            continue
        work.heads[pending.asset_id] = one.sequence, one.record.digest
        result.sealed.append(one._replace(in_force=hand.after(pending.kind, body)) if about_keys else one)
    return result


def _sealed(
    pending: _Pending, body: dict[str, Any], *, head: tuple[int, bytes] | None, signer: Signer, entropy: Entropy
) -> _Sealed:
    """One fact as a signed link of its chain, and the log's entry for it."""
    last, prev = head or (0, None)
    sequence = last + 1
    body["type"] = pending.kind
    body["asset"] = pending.asset_id
    body["sequence"] = sequence
    body["prev"] = prev.hex() if prev else None
    body["recorded_at"] = int(pending.recorded_at.timestamp())
    salt = partial(_salt, entropy, f"{pending.asset_id}/{sequence}")
    signed = records.seal(body, disclosable=orjson.loads(pending.disclosable), signer=signer, salt=salt)
    leaf = records.leaf(
        pending.asset_id,
        kind=pending.kind,
        sequence=sequence,
        prev=prev,
        digest=signed.digest,
        kid=signer.kid,
        recorded_at=pending.recorded_at,
    )
    return _Sealed(pending, sequence, signed, leaf)


def _salt(entropy: Entropy, place: str, name: str) -> bytes:
    return entropy(disclosures.SALT_BYTES, "salt", place, name)


def _store(session: Session, result: _Result, *, work: _Work, now: datetime) -> None:
    """Keep what was signed, in the log and in the chains, and put aside what cannot be."""
    connection = session.connection()
    log.lock(connection)
    _check_not_overtaken(session, work.keys)
    indexes = log.append(connection, leaves=[item.leaf for item in result.sealed])
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
        for item, index in zip(result.sealed, indexes, strict=True)
    )
    copy_rows(session, AssetEvent.__tablename__, COLUMNS, rows)
    for item, index in zip(result.sealed, indexes, strict=True):
        if item.in_force is not None:
            session.execute(update(SigningKey).where(SigningKey.kid == item.in_force).values(in_force_index=index))
    gone = [item.pending.pending_id for item in result.sealed]
    session.execute(text("DELETE FROM pending_event WHERE pending_id = ANY(:ids)"), {"ids": gone})
    for pending, error in result.refused.values():
        _set_aside(session, pending, error, now=now)


def _check_not_overtaken(session: Session, held: Sequence[SigningKey]) -> None:
    """Refuse (`Overtaken`) to store what was signed before a key came into force behind what comes after it."""
    latest = session.scalar(select(func.max(SigningKey.in_force_index)))
    if latest != max((key.in_force_index for key in held if key.in_force_index is not None), default=None):
        raise Overtaken("another sealer put a key in force meanwhile")


def _set_aside(session: Session, pending: _Pending, error: Exception, *, now: datetime) -> None:
    row = {
        "pending_id": pending.pending_id,
        "code": getattr(error, "code", "malformed_fact"),
        "detail": str(error),
        "set_aside_at": now,
    }
    statement = insert(SetAsideEvent).values(asset_id=pending.asset_id, **row)
    session.execute(statement.on_conflict_do_update(index_elements=["asset_id"], set_=row))
