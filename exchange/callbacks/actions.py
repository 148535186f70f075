"""Telling a funder: a row in the business transaction, then a link in its stream, then a delivery."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.callbacks import rules
from exchange.callbacks.models import CallbackEndpoint, Delivery, FunderEvent, OutboxRow, StreamHead
from exchange.db import copy_rows
from exchange.entropy import Entropy
from exchange.ids import new_id
from exchange.keyring import Keyring
from exchange.registry.models import AssetEvent
from exchange.settings import Network
from ledger.canonical import canonical_bytes

PUBLISHER_LOCK = 0x63616C6C  # "call": one publisher at a time
BATCH = 5_000
SECRET_BYTES = 32
NONCE_BYTES = 12

OUTBOX = ("funder_id", "type", "data", "pending_id", "recorded_at")
EVENTS = ("funder_id", "sequence", "event_id", "body", "digest", "recorded_at")
DELIVERIES = ("funder_id", "sequence", "attempts", "next_attempt_at")


@dataclass(frozen=True, slots=True)
class Notice:
    """A fact for one funder. `pending_id`, from `registry.actions.record_many`, ties it to an entry in the log."""

    funder_id: str
    type: str
    data: dict[str, Any]
    pending_id: int | None = None


def tell(
    session: Session,
    *,
    funder_id: str,
    type: str,  # noqa: A002 - the envelope's own word
    data: dict[str, Any],
    pending_id: int | None,
    now: datetime,
) -> None:
    """Tell one funder one fact once this transaction commits; refuses what `tell_many` refuses."""
    tell_many(session, notices=[Notice(funder_id, type, data, pending_id)], now=now)


def tell_many(session: Session, *, notices: Iterable[Notice], now: datetime) -> None:
    """Tell funders facts once this transaction commits, in this order; `now` is business time.

    Refuses `UnknownEventType`, `EventTooLarge`, and the ledger's `NotCanonical` (floats in `data`, dates).
    """
    rows = []
    for notice in notices:
        data = canonical_bytes(notice.data)
        rules.check_event(notice.type, data=data)
        rows.append((notice.funder_id, notice.type, data, notice.pending_id, now))
    if rows:
        copy_rows(session, OutboxRow.__tablename__, OUTBOX, rows)
        jobs.wake(session, jobs.Wakes.FACTS)


def publish(session: Session, *, entropy: Entropy, now: datetime, limit: int = BATCH) -> int:
    """Move up to `limit` facts from the outbox into their funders' streams; returns how many.

    A funder's facts keep their order: one whose asset event is not sealed yet holds back those after it.
    Exact rows are taken, never "all up to". While another worker publishes, nothing is done. `now` is machine
    time: the first delivery is due at once; a funder without a working endpoint has none until it puts one.
    """
    if not session.execute(select(func.pg_try_advisory_xact_lock(PUBLISHER_LOCK))).scalar_one():
        return 0
    ready = _ready(session, limit=limit)
    if not ready:
        return 0
    funder_ids = {row.funder_id for row in ready}
    heads = _heads(session, funder_ids=funder_ids)
    events = []
    for row in ready:
        sequence, prev = heads.get(row.funder_id, (0, None))
        sequence += 1
        body = rules.event_body(
            row.type,
            data=row.data,
            recorded_at=row.recorded_at,
            sequence=sequence,
            prev=prev,
            log_index=row.log_index,
        )
        digest = hashlib.sha256(body).digest()
        event_id = new_id("evt", now=row.recorded_at, entropy=entropy, purpose=f"{row.funder_id}/{sequence}")
        events.append((row.funder_id, sequence, event_id, body, digest, row.recorded_at))
        heads[row.funder_id] = sequence, digest
    copy_rows(session, FunderEvent.__tablename__, EVENTS, events)
    working = _working(session, funder_ids=funder_ids)
    due = [(funder_id, sequence, 0, now) for funder_id, sequence, *_ in events if funder_id in working]
    copy_rows(session, Delivery.__tablename__, DELIVERIES, due)
    _advance(session, heads=heads)
    session.execute(delete(OutboxRow).where(OutboxRow.outbox_id == func.any([row.outbox_id for row in ready])))
    return len(events)


def put_endpoint(
    session: Session,
    *,
    funder_id: str,
    url: str,
    networks: tuple[Network, ...],
    keyring: Keyring,
    entropy: Entropy,
    now: datetime,
    machine_now: datetime,
) -> str:
    """Send the funder's callbacks to `url`, also those not delivered yet; returns the secret, `whsec_...`.

    The secret is made with the first endpoint and stays. Refuses `BadEndpointUrl` and `AddressNotAllowed`.
    """
    rules.parse_url(url, networks=networks)
    # The publisher looks at endpoints under this lock too: no event can fall between the two of us.
    session.execute(select(func.pg_advisory_xact_lock(PUBLISHER_LOCK)))
    sealed = session.scalar(select(CallbackEndpoint.secret_sealed).where(CallbackEndpoint.funder_id == funder_id))
    if sealed is None:
        nonce = entropy(NONCE_BYTES, "callback nonce", funder_id)
        secret = entropy(SECRET_BYTES, "callback secret", funder_id)
        sealed = nonce + keyring.vault.encrypt(nonce, secret, funder_id.encode())
    row = insert(CallbackEndpoint).values(funder_id=funder_id, url=url, secret_sealed=sealed, created_at=now)
    fresh = dict.fromkeys(("leased_until", "rests_until", "failing_since", "disabled_at", "disabled_reason"))
    session.execute(row.on_conflict_do_update(index_elements=["funder_id"], set_={"url": url, **fresh}))
    _schedule(session, funder_id=funder_id, now=machine_now)
    jobs.wake(session, jobs.Wakes.MAIL)
    return rules.secret_text(open_secret(keyring, sealed=sealed, funder_id=funder_id))


def open_secret(keyring: Keyring, *, sealed: bytes, funder_id: str) -> bytes:
    """The secret that `put_endpoint` sealed for this funder."""
    return keyring.vault.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], funder_id.encode())


def _ready(session: Session, *, limit: int) -> list[Any]:
    """The outbox rows that may be published, with their `log_index`, in the order in which they were told."""
    unsealed = (
        select(OutboxRow.funder_id, func.min(OutboxRow.outbox_id).label("first_id"))
        .where(
            OutboxRow.pending_id.is_not(None),
            ~select(AssetEvent.pending_id).where(AssetEvent.pending_id == OutboxRow.pending_id).exists(),
        )
        .group_by(OutboxRow.funder_id)
        .subquery()
    )
    query = (
        select(
            OutboxRow.outbox_id,
            OutboxRow.funder_id,
            OutboxRow.type,
            OutboxRow.data,
            OutboxRow.recorded_at,
            AssetEvent.log_index,
        )
        .outerjoin(AssetEvent, AssetEvent.pending_id == OutboxRow.pending_id)
        .outerjoin(unsealed, unsealed.c.funder_id == OutboxRow.funder_id)
        .where(unsealed.c.first_id.is_(None) | (OutboxRow.outbox_id < unsealed.c.first_id))
        .order_by(OutboxRow.outbox_id)
        .limit(limit)
    )
    return list(session.execute(query))


def _heads(session: Session, *, funder_ids: set[str]) -> dict[str, tuple[int, bytes | None]]:
    query = select(StreamHead).where(StreamHead.funder_id.in_(funder_ids))
    return {head.funder_id: (head.sequence, head.digest) for head in session.scalars(query)}


def _working(session: Session, *, funder_ids: set[str]) -> set[str]:
    """The funders among these whose endpoint exists and is enabled."""
    query = select(CallbackEndpoint.funder_id)
    return set(
        session.scalars(query.where(CallbackEndpoint.funder_id.in_(funder_ids), CallbackEndpoint.disabled_at.is_(None)))
    )


def _advance(session: Session, *, heads: dict[str, tuple[int, bytes | None]]) -> None:
    rows = [{"funder_id": key, "sequence": sequence, "digest": digest} for key, (sequence, digest) in heads.items()]
    statement = insert(StreamHead).values(rows)
    moved = {"sequence": statement.excluded.sequence, "digest": statement.excluded.digest}
    session.execute(statement.on_conflict_do_update(index_elements=["funder_id"], set_=moved))


def _schedule(session: Session, *, funder_id: str, now: datetime) -> None:
    """Make every event the funder has not taken due `now`: held ones, failing ones, and those given up."""
    held = (
        select(FunderEvent.funder_id, FunderEvent.sequence, literal(0), literal(now))
        .where(FunderEvent.funder_id == funder_id)
        .order_by(FunderEvent.sequence)
    )
    session.execute(insert(Delivery).from_select(list(DELIVERIES), held).on_conflict_do_nothing())
    session.execute(
        update(Delivery)
        .where(Delivery.funder_id == funder_id, Delivery.delivered_at.is_(None))
        .values(attempts=0, next_attempt_at=now)
    )
