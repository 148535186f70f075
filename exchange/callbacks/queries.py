"""Streams and deliveries as funders, operator and console see them. Moments of delivery are machine time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, ScalarSelect, func, or_, select, text
from sqlalchemy.orm import Session

from exchange.callbacks.models import CallbackAttempt, CallbackEndpoint, Delivery, FunderEvent, OutboxRow, StreamHead

A_DAY = timedelta(days=1)
STATISTICS = text("""
    SELECT count(*) AS attempts, count(*) FILTER (WHERE taken) AS delivered,
           count(*) FILTER (WHERE NOT taken) AS failed,
           round(percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds))::integer AS median_milliseconds,
           round(percentile_cont(0.99) WITHIN GROUP (ORDER BY milliseconds))::integer AS p99_milliseconds
    FROM (
        SELECT milliseconds, coalesce(status BETWEEN 200 AND 299, false) AS taken FROM callback_attempt
        WHERE funder_id = :funder_id AND at >= :since
    ) AS attempt
""")


@dataclass(frozen=True, slots=True)
class PendingCounts:
    """Facts not in a stream yet, and events that a working endpoint should be getting right now."""

    unpublished: int
    undelivered_due: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Events in all streams, those taken by their funders, and those that failed and are not taken yet."""

    published: int
    delivered: int
    failing: int


@dataclass(frozen=True, slots=True)
class EndpointView:
    """A funder's endpoint and how far its stream has come."""

    url: str
    created_at: datetime
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: str | None
    last_sequence: int
    undelivered: int
    held: int
    heartbeat_seconds: int | None
    per_minute: int | None
    ordered: bool
    statistics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LastDelivery:
    """One delivered callback."""

    funder_id: str
    sequence: int
    event_id: str
    body: bytes
    attempts: int
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One event of a stream: the bytes that were, or would have been, pushed."""

    sequence: int
    body: bytes


def unpublished() -> ScalarSelect[int]:
    """How many facts are not in a stream yet."""
    return select(func.count()).select_from(OutboxRow).scalar_subquery()


def undelivered(*, now: datetime | BindParameter[datetime]) -> ScalarSelect[int]:
    """How many events working endpoints should be getting at the machine time `now`; those at rest do not count."""
    due = (
        select(func.count())
        .select_from(Delivery)
        .join(CallbackEndpoint, CallbackEndpoint.funder_id == Delivery.funder_id)
        .where(
            Delivery.delivered_at.is_(None),
            Delivery.next_attempt_at <= now,
            CallbackEndpoint.disabled_at.is_(None),
            or_(CallbackEndpoint.rests_until.is_(None), CallbackEndpoint.rests_until <= now),
        )
    )
    return due.scalar_subquery()


def pending_counts(session: Session, *, now: datetime) -> PendingCounts:
    """What there is to publish, and to deliver at the machine time `now`."""
    return PendingCounts(*session.execute(select(unpublished(), undelivered(now=now))).one())


def totals(session: Session) -> Totals:
    """The callbacks of all funders together."""
    published = select(func.coalesce(func.sum(StreamHead.sequence), 0)).scalar_subquery()
    delivered = select(func.count()).where(Delivery.delivered_at.is_not(None)).scalar_subquery()
    failing = select(func.count()).where(Delivery.delivered_at.is_(None), Delivery.attempts > 0).scalar_subquery()
    return Totals(*map(int, session.execute(select(published, delivered, failing)).one()))


def endpoint(session: Session, *, funder_id: str, now: datetime) -> EndpointView | None:
    """The funder's endpoint at the machine time `now`, if it has one."""
    row = session.get(CallbackEndpoint, funder_id)
    if row is None:
        return None
    head = session.scalar(select(StreamHead.sequence).where(StreamHead.funder_id == funder_id)) or 0
    open_ones = select(func.count()).where(Delivery.funder_id == funder_id, Delivery.delivered_at.is_(None))
    last = select(func.coalesce(func.max(Delivery.sequence), 0)).where(Delivery.funder_id == funder_id)
    undelivered = session.execute(open_ones).scalar_one() + head - session.execute(last).scalar_one()
    return EndpointView(
        url=row.url,
        created_at=row.created_at,
        failing_since=row.failing_since,
        disabled_at=row.disabled_at,
        disabled_reason=row.disabled_reason,
        last_sequence=head,
        undelivered=undelivered,
        held=0 if row.disabled_at is None else undelivered,
        heartbeat_seconds=row.heartbeat_seconds,
        per_minute=row.per_minute,
        ordered=row.ordered,
        statistics=dict(session.execute(STATISTICS, {"funder_id": funder_id, "since": now - A_DAY}).mappings().one()),
    )


def attempts(
    session: Session, *, funder_id: str, sequence: int | None, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """The requests to a funder's endpoint (of one event, if named), the newest first, before that attempt."""
    query = select(
        CallbackAttempt.attempt_id,
        CallbackAttempt.event_id,
        CallbackAttempt.sequence,
        CallbackAttempt.at,
        CallbackAttempt.milliseconds,
        CallbackAttempt.status,
        CallbackAttempt.error,
    ).where(CallbackAttempt.funder_id == funder_id)
    if sequence is not None:
        query = query.where(CallbackAttempt.sequence == sequence)
    if before is not None:
        query = query.where(CallbackAttempt.attempt_id < before)
    query = query.order_by(CallbackAttempt.attempt_id.desc()).limit(limit)
    return [dict(row) for row in session.execute(query).mappings()]


def feed(session: Session, *, funder_id: str, after: int, limit: int) -> list[FeedItem]:
    """The funder's events whose sequence is greater than `after`, in order, at most `limit`."""
    query = (
        select(FunderEvent.sequence, FunderEvent.body)
        .where(FunderEvent.funder_id == funder_id, FunderEvent.sequence > after)
        .order_by(FunderEvent.sequence)
        .limit(limit)
    )
    return [FeedItem(*row) for row in session.execute(query)]


def last_deliveries(session: Session, *, limit: int) -> list[LastDelivery]:
    """The callbacks delivered last, the newest first."""
    query = (
        select(
            Delivery.funder_id,
            Delivery.sequence,
            FunderEvent.event_id,
            FunderEvent.body,
            Delivery.attempts,
            Delivery.delivered_at,
        )
        .join(
            FunderEvent,
            (FunderEvent.funder_id == Delivery.funder_id) & (FunderEvent.sequence == Delivery.sequence),
        )
        .where(Delivery.delivered_at.is_not(None))
        .order_by(Delivery.delivered_at.desc(), Delivery.funder_id, Delivery.sequence.desc())
        .limit(limit)
    )
    return [LastDelivery(*row) for row in session.execute(query)]
