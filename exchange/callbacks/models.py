"""What waits to be told, each funder's stream as it was told, and how its delivery stands.

Moments of `Delivery` and an endpoint's lease, rest, failure and disabling are machine time, all others
business time.
"""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class CallbackEndpoint(Base):
    """Where a funder receives. One worker at a time holds the lease, so a stream is sent in its order."""

    __tablename__ = "callback_endpoint"
    __table_args__ = (
        CheckConstraint("(disabled_at IS NULL) = (disabled_reason IS NULL)", name="disabled_with_reason"),
    )

    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), primary_key=True)
    url: Mapped[str] = mapped_column(String)
    secret_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    leased_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    rests_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    failing_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disabled_reason: Mapped[str | None] = mapped_column(String)


class OutboxRow(Base):
    """A fact to tell, written by the transaction that made it true. `data` is canonical JSON.

    `pending_id` names the asset event to be sealed first: then the funder can find the fact in the log.
    """

    __tablename__ = "callback_outbox"

    outbox_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"))
    type: Mapped[str] = mapped_column(String)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    pending_id: Mapped[int | None] = mapped_column(BigInteger)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class FunderEvent(Base):
    """One link of a funder's stream: `body` is what is sent, its SHA-256 `digest` the next one's `prev`."""

    __tablename__ = "funder_event"
    __table_args__ = (UniqueConstraint("event_id"),)

    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[str] = mapped_column(String)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class StreamHead(Base):
    """The last link of a funder's stream."""

    __tablename__ = "funder_stream_head"

    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes] = mapped_column(LargeBinary)


class Delivery(Base):
    """The sending of one event: open until `delivered_at`, given up when it has no `next_attempt_at`."""

    __tablename__ = "callback_delivery"
    __table_args__ = (
        ForeignKeyConstraint(["funder_id", "sequence"], ["funder_event.funder_id", "funder_event.sequence"]),
        # In the order of the stream, because that is how a lane reads it.
        Index(
            "ix_callback_delivery_open",
            "funder_id",
            "sequence",
            postgresql_where=text("delivered_at IS NULL"),
        ),
        Index("ix_callback_delivery_delivered_at", "delivered_at"),
    )

    funder_id: Mapped[str] = mapped_column(String, primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    delivered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_status: Mapped[int | None]
    last_error: Mapped[str | None] = mapped_column(String)
