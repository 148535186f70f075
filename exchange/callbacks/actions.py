"""Telling a funder: a row in the business transaction, then a link in its stream, then a delivery."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Row, delete, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.callbacks import rules, settlements
from exchange.callbacks.models import CallbackEndpoint, Delivery, FunderEvent, OutboxRow, Settlement, StreamHead
from exchange.db import copy_rows
from exchange.ids import new_id
from exchange.keyring import NONCE_BYTES, Keyring
from exchange.services import Services
from ledger.canonical import canonical_bytes

BATCH = 5_000
SECRET_BYTES = 32

OUTBOX = ("funder_id", "type", "data", "pending_id", "recorded_at")
EVENTS = ("funder_id", "sequence", "event_id", "body", "digest", "recorded_at")
DELIVERIES = ("funder_id", "sequence", "attempts", "next_attempt_at", "asset_id")
SETTLEMENTS = ("funder_id", "sequence", "transfer_id", "type", "log_index", "business_date", "recorded_at")
READY = text("""
    WITH waiting AS (
        SELECT outbox_id, funder_id, type, data, row.recorded_at, transfer_id, proof.asset_id, log_index,
               log_index IS NULL AND coalesce(row.pending_id, proof.pending_id) IS NOT NULL AS unsealed
        FROM callback_outbox AS row
        LEFT JOIN books_transfers USING (transfer_id)
        LEFT JOIN settlement_proof AS proof ON proof.transfer_key = key
        LEFT JOIN asset_event ON asset_event.pending_id = coalesce(row.pending_id, proof.pending_id)
    ), first AS (
        SELECT funder_id, min(outbox_id) AS first_id FROM waiting WHERE unsealed GROUP BY funder_id
    )
    SELECT waiting.* FROM waiting LEFT JOIN first USING (funder_id)
    WHERE first_id IS NULL OR outbox_id < first_id ORDER BY outbox_id LIMIT :limit
""")
"""What may be published, in the order in which it was told: of each funder what is before the first unsealed fact."""


HELD = text("""
    INSERT INTO callback_delivery (funder_id, sequence, attempts, next_attempt_at, asset_id)
    SELECT funder_id, sequence, 0, :now, convert_from(body, 'UTF8')::json -> 'data' ->> 'asset_id'
    FROM funder_event WHERE funder_id = :funder_id AND sequence > (
        SELECT coalesce(max(sequence), 0) FROM callback_delivery WHERE funder_id = :funder_id
    )
""")


class _About(msgspec.Struct):
    asset_id: str | None = None


@dataclass(slots=True)
class _Head:
    """How far a funder's stream has come, and its settlements are closed."""

    sequence: int = 0
    digest: bytes | None = None
    settled_until: date | None = None

    def open_day(self, day: date) -> date:
        """The day for which a settlement counts: what is late is of the first day that is open."""
        return day if self.settled_until is None else max(day, self.settled_until + timedelta(days=1))


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


def publish(session: Session, *, services: Services, now: datetime, limit: int = BATCH) -> int:
    """Move up to `limit` facts from the outbox into their funders' streams; returns how many.

    A funder's facts keep their order: one whose asset event is not sealed yet holds back those after it.
    Exact rows are taken, never "all up to". While another worker publishes, nothing is done. `now` is machine
    time: the first delivery is due at once; a funder without a working endpoint has none until it puts one.
    """
    if not session.execute(select(func.pg_try_advisory_xact_lock(rules.PUBLISHER_LOCK))).scalar_one():
        return 0
    ready = session.execute(READY, {"limit": limit}).all()
    if not ready:
        return 0
    funder_ids = {row.funder_id for row in ready}
    heads = _heads(session, funder_ids=funder_ids)
    working = _working(session, funder_ids=funder_ids)
    transfer_ids = [row.transfer_id for row in ready if row.transfer_id is not None]
    told = settlements.told(session, transfer_ids=transfer_ids)
    events, due, settled = [], [], []
    for row in ready:
        head, kind, data = heads[row.funder_id], row.type, row.data
        if row.transfer_id is not None:
            kind, about = told[row.transfer_id, row.funder_id]
            data = canonical_bytes(about | ({"asset_id": row.asset_id} if row.asset_id else {}))
            rules.check_event(kind, data=data)
        body = _linked(head, kind, data, row)
        place, recorded_at = (row.funder_id, head.sequence), row.recorded_at
        event_id = new_id("evt", now=recorded_at, entropy=services.entropy, purpose="{}/{}".format(*place))
        events.append((*place, event_id, body, head.digest, recorded_at))
        if row.funder_id in working:
            due.append((*place, 0, now, msgspec.json.decode(data, type=_About).asset_id))
        if rules.is_settlement(kind):
            day = head.open_day(services.business_date(recorded_at))
            settled.append((*place, row.transfer_id, kind, row.log_index, day, recorded_at))
    copy_rows(session, FunderEvent.__tablename__, EVENTS, events)
    copy_rows(session, Delivery.__tablename__, DELIVERIES, due)
    copy_rows(session, Settlement.__tablename__, SETTLEMENTS, settled)
    _advance(session, heads=heads)
    session.execute(delete(OutboxRow).where(OutboxRow.outbox_id == func.any([row.outbox_id for row in ready])))
    settlements.forget_proofs(session, transfer_ids=transfer_ids)
    return len(events)


def put_endpoint(
    session: Session,
    *,
    funder_id: str,
    url: str,
    services: Services,
    now: datetime,
    machine_now: datetime,
    options: Mapping[str, Any] | None = None,
) -> str:
    """Send the funder's callbacks to `url`, also those not delivered yet; returns the secret, `whsec_...`.

    The secret is made with the first endpoint and stays. `options`: `heartbeat_seconds`, `per_minute` (None: none),
    `ordered`. Refuses `BadEndpointUrl` and `AddressNotAllowed`.
    """
    rules.parse_url(url, networks=services.settings.callback_networks)
    # The publisher looks at endpoints under this lock too: no event can fall between the two of us.
    session.execute(select(func.pg_advisory_xact_lock(rules.PUBLISHER_LOCK)))
    sealed = session.scalar(select(CallbackEndpoint.secret_sealed).where(CallbackEndpoint.funder_id == funder_id))
    if sealed is None:
        sealed, _ = seal_secret(services, funder_id=funder_id, purpose="")
    row = insert(CallbackEndpoint).values(funder_id=funder_id, secret_sealed=sealed, created_at=now, url=url)
    fresh: dict[str, Any] = dict.fromkeys(
        ("leased_until", "rests_until", "failing_since", "disabled_at", "disabled_reason", "minute_at")
    )
    fresh |= {"url": url, **(options or {})}
    session.execute(row.on_conflict_do_update(index_elements=["funder_id"], set_=fresh))
    beat = func.make_interval(0, 0, 0, 0, 0, 0, CallbackEndpoint.heartbeat_seconds)
    own = update(CallbackEndpoint).where(CallbackEndpoint.funder_id == funder_id)
    session.execute(own.values(beat_due_at=literal(machine_now) + beat, **(options or {})))
    schedule(session, funder_id=funder_id, now=machine_now)
    jobs.wake(session, jobs.Wakes.MAIL)
    return rules.secret_text(open_secret(services.keyring, sealed=sealed, funder_id=funder_id))


def seal_secret(services: Services, *, funder_id: str, purpose: str) -> tuple[bytes, bytes]:
    """A new secret for a funder: sealed, and as it is."""
    nonce = services.entropy(NONCE_BYTES, "callback nonce", funder_id + purpose)
    secret = services.entropy(SECRET_BYTES, "callback secret", funder_id + purpose)
    return services.keyring.vault.seal(secret, place=funder_id.encode(), nonce=nonce), secret


def open_secret(keyring: Keyring, *, sealed: bytes, funder_id: str) -> bytes:
    """The secret that `put_endpoint` sealed for this funder."""
    return keyring.vault.open(sealed, place=funder_id.encode())


def _heads(session: Session, *, funder_ids: set[str]) -> dict[str, _Head]:
    heads = {funder_id: _Head() for funder_id in funder_ids}
    for head in session.scalars(select(StreamHead).where(StreamHead.funder_id.in_(funder_ids))):
        heads[head.funder_id] = _Head(head.sequence, head.digest, head.settled_until)
    return heads


def _linked(head: _Head, kind: str, data: bytes, row: Row[Any]) -> bytes:
    """The next link of a stream, whose head moves on to it."""
    prev, head.sequence = head.digest, head.sequence + 1
    body = rules.event_body(
        kind, data=data, recorded_at=row.recorded_at, sequence=head.sequence, prev=prev, log_index=row.log_index
    )
    head.digest = hashlib.sha256(body).digest()
    return body


def _working(session: Session, *, funder_ids: set[str]) -> set[str]:
    """The funders among these whose endpoint exists and is enabled."""
    query = select(CallbackEndpoint.funder_id)
    return set(
        session.scalars(query.where(CallbackEndpoint.funder_id.in_(funder_ids), CallbackEndpoint.disabled_at.is_(None)))
    )


def _advance(session: Session, *, heads: Mapping[str, _Head]) -> None:
    rows = [{"funder_id": key, "sequence": head.sequence, "digest": head.digest} for key, head in heads.items()]
    statement = insert(StreamHead).values(rows)
    moved = {"sequence": statement.excluded.sequence, "digest": statement.excluded.digest}
    session.execute(statement.on_conflict_do_update(index_elements=["funder_id"], set_=moved))


def schedule(session: Session, *, funder_id: str, now: datetime) -> None:
    """Make every event the funder has not taken due `now`: held ones, failing ones, and those given up.

    Deliveries are made in the order of the stream: what has none comes after the last that has.
    """
    session.execute(HELD, {"funder_id": funder_id, "now": now})
    session.execute(
        update(Delivery)
        .where(Delivery.funder_id == funder_id, Delivery.delivered_at.is_(None))
        .values(attempts=0, next_attempt_at=now)
    )
