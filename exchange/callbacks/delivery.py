"""Sends what is due: a worker leases an endpoint, sends outside any transaction, then records the outcome.

A worker that dies in between has recorded nothing: when the lease ends, another sends the same events again,
under the same ids.
"""

import ssl
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import structlog
from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session, aliased

from exchange.callbacks import events, rules
from exchange.callbacks.actions import open_secret, tell
from exchange.callbacks.models import CallbackAttempt, CallbackEndpoint, Delivery, FunderEvent, StreamHead
from exchange.callbacks.rules import Attempt, BadEndpointUrl
from exchange.callbacks.transport import Channel
from exchange.clock import system_now
from exchange.db import copy_rows
from exchange.ids import new_id
from exchange.services import Services
from ledger.canonical import canonical_bytes

LANES = 16
LEASE = timedelta(seconds=30)
"""Longer than a lane takes: its time, one attempt more, and the recording."""
LANE_SECONDS = 5.0
LETTERS = 100
MILLISECOND = timedelta(milliseconds=1)
PAUSE_SECONDS = 0.25
ATTEMPTS = ("funder_id", "event_id", "sequence", "at", "milliseconds", "status", "error")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Letter:
    """One event to send; `attempts` were made before. What has no place in the stream has no sequence."""

    sequence: int | None
    event_id: str
    body: bytes
    attempts: int


@dataclass(frozen=True, slots=True)
class Lane:
    """What one endpoint is due, in the order of its stream. Only the holder of `leased_until` sends it."""

    funder_id: str
    url: str
    secrets: Sequence[bytes]
    failing_since: datetime | None
    leased_until: datetime
    letters: Sequence[Letter]
    minute_at: datetime | None = None
    in_minute: int = 0
    per_minute: int | None = None
    heartbeat_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A letter, and what came of sending it at the (machine) time `at`."""

    letter: Letter
    attempt: Attempt
    at: datetime
    milliseconds: int = 0


class Courier:
    """Sends for one worker process: a lane for each endpoint at once, connections kept between calls."""

    def __init__(self, services: Services, *, tls: ssl.SSLContext | None = None) -> None:
        self._services = services
        self._tls = tls or ssl.create_default_context()
        self._pool = ThreadPoolExecutor(LANES, thread_name_prefix="callbacks")
        self._running: set[Future[int]] = set()
        self._channels: dict[str, tuple[str, Channel]] = {}
        self._closing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def busy(self) -> bool:
        """Whether a lane is being sent at this moment."""
        return bool(self._running)

    def deliver(self, *, limit: int = LETTERS) -> int:
        """Start a lane of at most `limit` letters for each endpoint due; returns how many attempts ended.

        Waits a moment for the first lane to end, never for a slow one: a later call counts that.
        Raises what kept a lane from being recorded; its lease then ends by itself.
        """
        for _, channel in list(self._channels.values()):
            channel.abort_overdue()
        free = LANES - len(self._running)
        for lane in claim(self._services, lanes=free, limit=limit) if free else ():
            self._running.add(self._pool.submit(self._run, lane))
        done, self._running = wait(self._running, timeout=PAUSE_SECONDS, return_when=FIRST_COMPLETED)
        return sum(lane.result() for lane in done)

    def close(self) -> None:
        """Let each lane finish the letter it is at, record, and close the connections."""
        self._closing = True
        self._pool.shutdown(wait=True)
        for _, channel in self._channels.values():
            channel.close()

    def _run(self, lane: Lane) -> int:
        """Send until one fails: the rest waits until the endpoint has rested."""
        end = time.monotonic() + LANE_SECONDS
        sent = []
        for letter in lane.letters:
            sent.append(self._send(lane, letter))
            if not sent[-1].attempt.delivered or self._closing or time.monotonic() > end:
                break
        self._services.database.run(lambda session: record(session, services=self._services, lane=lane, sent=sent))
        return len(sent)

    def _send(self, lane: Lane, letter: Letter) -> Sent:
        now = system_now()
        timestamp = int(now.timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "receivables-exchange",
            "webhook-id": letter.event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": rules.signature_header(
                letter.body,
                event_id=letter.event_id,
                timestamp=timestamp,
                secrets=lane.secrets,
                private_key=self._services.keyring.callback_key,
            ),
        }
        try:
            attempt = self._channel(lane).post(letter.body, headers=headers)
        except (BadEndpointUrl, rules.AddressNotAllowed) as refusal:  # the operator allows less than before
            attempt = Attempt(error=refusal.detail)
        at = system_now()
        return Sent(letter, attempt, at, round((at - now) / MILLISECOND))

    def _channel(self, lane: Lane) -> Channel:
        url, channel = self._channels.get(lane.funder_id, (None, None))
        if channel is None or url != lane.url:
            if channel is not None:
                channel.close()
            networks = self._services.settings.callback_networks
            channel = Channel(rules.parse_url(lane.url, networks=networks), networks=networks, tls=self._tls)
            self._channels[lane.funder_id] = lane.url, channel
        return channel


def deliver(services: Services, *, limit: int = LETTERS) -> int:
    """Deliver all that is due and wait for it; returns the number of attempts. A worker keeps a `Courier`."""
    total = 0
    with Courier(services) as courier:
        while (ended := courier.deliver(limit=limit)) or courier.busy:
            total += ended
    return total


def claim(services: Services, *, lanes: int, limit: int) -> list[Lane]:
    """Lease up to `lanes` endpoints that have something due, the one longest not served first, and commit."""
    now = system_now()
    due = (
        Delivery.funder_id == CallbackEndpoint.funder_id,
        Delivery.delivered_at.is_(None),
        Delivery.next_attempt_at <= now,
    )
    query = (
        select(CallbackEndpoint)
        .where(
            CallbackEndpoint.disabled_at.is_(None),
            or_(CallbackEndpoint.leased_until.is_(None), CallbackEndpoint.leased_until <= now),
            or_(CallbackEndpoint.rests_until.is_(None), CallbackEndpoint.rests_until <= now),
            or_(
                select(Delivery.sequence).where(*due).exists(),
                CallbackEndpoint.beat_due_at <= now,
                CallbackEndpoint.example.is_not(None),
            ),
        )
        .order_by(CallbackEndpoint.leased_until.nulls_first(), CallbackEndpoint.funder_id)
        .limit(lanes)
        .with_for_update(skip_locked=True)
    )
    with services.database.transaction() as session:
        endpoints = session.scalars(query).all()
        for endpoint in endpoints:
            endpoint.leased_until = now + LEASE
        return [_lane(services, session, endpoint=endpoint, now=now, limit=limit) for endpoint in endpoints]


def record(session: Session, *, services: Services, lane: Lane, sent: Sequence[Sent]) -> None:
    """Write down what came of a lane, of which only the last letter can have failed, and end its lease."""
    rows = [_delivery_values(one) for one in sent if one.letter.sequence is not None]
    if rows:
        statement = (
            update(Delivery)
            .where(
                Delivery.funder_id == lane.funder_id,
                Delivery.sequence == bindparam("key"),
                Delivery.delivered_at.is_(None),
            )
            .values({name: bindparam(name) for name in rows[0] if name != "key"})
        )
        session.connection().execute(statement, rows)
    attempts = (
        (
            *(lane.funder_id, one.letter.event_id, one.letter.sequence),
            *(one.at, one.milliseconds, one.attempt.status, one.attempt.error),
        )
        for one in sent
    )
    copy_rows(session, CallbackAttempt.__tablename__, ATTEMPTS, attempts)
    # Once the lease has ended or the endpoint was put anew, the endpoint is not ours to judge.
    disabled = session.scalar(
        update(CallbackEndpoint)
        .where(CallbackEndpoint.funder_id == lane.funder_id, CallbackEndpoint.leased_until == lane.leased_until)
        .values(_endpoint_values(lane, sent))
        .returning(CallbackEndpoint.disabled_reason)
        .execution_options(synchronize_session=False)
    )
    if disabled is not None:
        log.warning("callbacks disabled", funder_id=lane.funder_id, reason=disabled)
        since = lane.failing_since or system_now()
        data = {"url": lane.url, "reason": disabled, "since": f"{since:%Y-%m-%dT%H:%M:%SZ}"}
        now = services.clock.now(session)
        tell(session, funder_id=lane.funder_id, type="endpoint.disabled", data=data, pending_id=None, now=now)


def _lane(services: Services, session: Session, *, endpoint: CallbackEndpoint, now: datetime, limit: int) -> Lane:
    sealed = [endpoint.secret_sealed]
    if endpoint.previous_sealed is not None and endpoint.previous_until is not None and endpoint.previous_until > now:
        sealed.append(endpoint.previous_sealed)
    minute_at, in_minute = endpoint.minute_at, endpoint.in_minute
    if minute_at is None or now >= minute_at + rules.MINUTE:
        minute_at, in_minute = now, 0
    left = None if endpoint.per_minute is None else max(endpoint.per_minute - in_minute, 0)
    letters = _due(session, endpoint=endpoint, now=now, limit=limit if left is None else min(limit, left))
    return Lane(
        funder_id=endpoint.funder_id,
        url=endpoint.url,
        secrets=[open_secret(services.keyring, sealed=one, funder_id=endpoint.funder_id) for one in sealed],
        failing_since=endpoint.failing_since,
        leased_until=now + LEASE,
        letters=[*letters, *_loose(services, session, endpoint=endpoint, now=now)],
        per_minute=endpoint.per_minute,
        heartbeat_seconds=endpoint.heartbeat_seconds,
        minute_at=minute_at,
        in_minute=in_minute,
    )


def _due(session: Session, *, endpoint: CallbackEndpoint, now: datetime, limit: int) -> list[Letter]:
    """What is due, in the order of the stream; if order is asked for, nothing of an asset of which something waits."""
    query = (
        select(FunderEvent.sequence, FunderEvent.event_id, FunderEvent.body, Delivery.attempts)
        .join(
            Delivery,
            (Delivery.funder_id == FunderEvent.funder_id) & (Delivery.sequence == FunderEvent.sequence),
        )
        .where(
            Delivery.funder_id == endpoint.funder_id,
            Delivery.delivered_at.is_(None),
            Delivery.next_attempt_at <= now,
        )
        .order_by(Delivery.sequence)
        .limit(limit)
    )
    if endpoint.ordered:
        before = aliased(Delivery)
        waits = select(before.sequence).where(
            before.funder_id == Delivery.funder_id,
            before.asset_id == Delivery.asset_id,
            before.sequence < Delivery.sequence,
            before.delivered_at.is_(None),
            before.next_attempt_at > now,
        )
        query = query.where(~waits.exists())
    return [Letter(*row) for row in session.execute(query)]


def _loose(services: Services, session: Session, *, endpoint: CallbackEndpoint, now: datetime) -> list[Letter]:
    """An example that was asked for, and the heartbeat: how far the stream has come, so that silence is not loss."""
    wanted: list[tuple[str, bytes]] = []
    if endpoint.example is not None:
        wanted.append((endpoint.example, canonical_bytes(events.example(endpoint.example))))
    if endpoint.beat_due_at is not None and endpoint.beat_due_at <= now:
        head = session.get(StreamHead, endpoint.funder_id)
        data = {"last_sequence": head.sequence if head else 0, "last_digest": head.digest.hex() if head else None}
        wanted.append((events.HEARTBEAT, canonical_bytes(data)))
    return [
        Letter(
            sequence=None,
            event_id=new_id("msg", now=now, entropy=services.entropy, purpose=f"{endpoint.funder_id}/{kind}/{now}"),
            body=rules.loose_body(kind, data=data, now=now),
            attempts=0,
        )
        for kind, data in wanted
    ]


def _delivery_values(sent: Sent) -> dict[str, Any]:
    letter, attempt = sent.letter, sent.attempt
    attempts = letter.attempts + 1
    again = None
    if not attempt.delivered:
        again = rules.next_attempt(attempt, event_id=letter.event_id, attempts=attempts, now=sent.at)
    return {
        "key": letter.sequence,
        "attempts": attempts,
        "next_attempt_at": again,
        "delivered_at": sent.at if attempt.delivered else None,
        "last_status": attempt.status,
        "last_error": attempt.error,
    }


def _endpoint_values(lane: Lane, sent: Sequence[Sent]) -> dict[str, Any]:
    """What the endpoint is after a lane: rests after a failure and when its minute is full."""
    if not sent:  # what is due waits for something of the same asset
        now = system_now()
        return {"leased_until": now, "rests_until": now + rules.SHORTEST_REST}
    last, at = sent[-1], sent[-1].at
    beat = None if lane.heartbeat_seconds is None else at + timedelta(seconds=lane.heartbeat_seconds)
    loose = any(one.letter.sequence is None for one in sent)
    values: dict[str, Any] = dict.fromkeys(("failing_since", "rests_until", "disabled_at", "disabled_reason"))
    values |= {"leased_until": at, "minute_at": lane.minute_at, "in_minute": lane.in_minute + len(sent)}
    values |= {"beat_due_at": beat, "example": None} if loose else {}
    if lane.per_minute is not None and lane.minute_at is not None and values["in_minute"] >= lane.per_minute:
        values["rests_until"] = lane.minute_at + rules.MINUTE
    if last.attempt.delivered:
        return values
    since = at if len(sent) > 1 or lane.failing_since is None else lane.failing_since
    reason = rules.reason_to_disable(last.attempt, failing_since=since, now=at)
    return values | {
        "failing_since": since,
        "rests_until": max(values["rests_until"] or at, at + rules.rest(failing_since=since, now=at)),
        "disabled_at": None if reason is None else at,
        "disabled_reason": reason,
    }
