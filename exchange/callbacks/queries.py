"""Streams and deliveries as funders, operator and console see them. Moments of delivery are machine time."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BindParameter, ScalarSelect, func, or_, select
from sqlalchemy.orm import Session

from exchange.callbacks.models import CallbackEndpoint, Delivery, FunderEvent, OutboxRow, StreamHead


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


def endpoint(session: Session, *, funder_id: str) -> EndpointView | None:
    """The funder's endpoint, if it has one."""
    row = session.get(CallbackEndpoint, funder_id)
    if row is None:
        return None
    head = session.scalar(select(StreamHead.sequence).where(StreamHead.funder_id == funder_id)) or 0
    taken = select(func.count()).where(Delivery.funder_id == funder_id, Delivery.delivered_at.is_not(None))
    return EndpointView(
        url=row.url,
        created_at=row.created_at,
        failing_since=row.failing_since,
        disabled_at=row.disabled_at,
        disabled_reason=row.disabled_reason,
        last_sequence=head,
        undelivered=head - session.execute(taken).scalar_one(),
    )


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
