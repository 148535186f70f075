"""What waits to be told, each funder's stream as it was told, and how its delivery stands.

Moments of `Delivery` and an endpoint's lease, rest, failure and disabling are machine time, all others
business time.
"""

from datetime import date, datetime

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
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class CallbackEndpoint(Base):
    """Where a funder receives. One worker at a time holds the lease, so a stream is sent in its order.

    `previous_sealed` signs beside the secret until `previous_until`. `in_minute` letters left since `minute_at`, of
    `per_minute` at most. `example` is the type of an example to be sent once.
    """

    __tablename__ = "callback_endpoint"
    __table_args__ = (
        CheckConstraint("(disabled_at IS NULL) = (disabled_reason IS NULL)", name="disabled_with_reason"),
        CheckConstraint("(previous_sealed IS NULL) = (previous_until IS NULL)", name="previous_ends"),
        CheckConstraint("heartbeat_seconds BETWEEN 10 AND 86400", name="heartbeat_bounded"),
        CheckConstraint("per_minute > 0", name="per_minute_positive"),
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
    previous_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    heartbeat_seconds: Mapped[int | None] = mapped_column(server_default=text("300"))
    beat_due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    per_minute: Mapped[int | None]
    minute_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    in_minute: Mapped[int] = mapped_column(server_default=text("0"))
    ordered: Mapped[bool] = mapped_column(server_default=text("false"))
    example: Mapped[str | None] = mapped_column(String)


class OutboxRow(Base):
    """A fact to tell, written by the transaction that made it true. `data` is canonical JSON.

    `pending_id` names the asset event to be sealed first: then the funder can find the fact in the log. A row with a
    `transfer_id` is written by the books themselves (a trigger on their legs), for each funder whose accounts move.
    """

    __tablename__ = "callback_outbox"
    __table_args__ = (
        Index("ix_callback_outbox_transfer_id", "transfer_id", postgresql_where=text("transfer_id IS NOT NULL")),
    )

    outbox_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"))
    type: Mapped[str] = mapped_column(String)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    pending_id: Mapped[int | None] = mapped_column(BigInteger)
    transfer_id: Mapped[int | None] = mapped_column(BigInteger)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class SettlementProof(Base):
    """The signed fact of a transfer, until the transfer is told; of which asset, if of one."""

    __tablename__ = "settlement_proof"

    transfer_key: Mapped[str] = mapped_column(String, primary_key=True)
    pending_id: Mapped[int] = mapped_column(BigInteger)
    asset_id: Mapped[str | None] = mapped_column(String)


class Settlement(Base):
    """A settlement event of a stream, the day it counts for, and what its funder answered: nothing yet, or once."""

    __tablename__ = "settlement"
    __table_args__ = (
        ForeignKeyConstraint(["funder_id", "sequence"], ["funder_event.funder_id", "funder_event.sequence"]),
        CheckConstraint("answer IN ('acknowledged', 'disputed')", name="answer_known"),
        CheckConstraint("(answer = 'disputed') = (reason IS NOT NULL)", name="dispute_with_reason"),
        CheckConstraint(
            "(answer IS NULL) = (answered_at IS NULL) AND (answer IS NULL) = (answered_by IS NULL)", name="answer_whole"
        ),
        Index("ix_settlement_business_date", "funder_id", "business_date", "sequence"),
        Index("ix_settlement_transfer_id", "transfer_id"),
        Index("ix_settlement_open", "recorded_at", "funder_id", "sequence", postgresql_where=text("answer IS NULL")),
        Index(
            "ix_settlement_disputed",
            "recorded_at",
            "funder_id",
            "sequence",
            postgresql_where=text("answer = 'disputed'"),
        ),
        Index("ix_settlement_answer", "funder_id", "answer", "sequence"),
    )

    funder_id: Mapped[str] = mapped_column(String, primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    transfer_id: Mapped[int | None] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(String)
    log_index: Mapped[int | None] = mapped_column(BigInteger)
    business_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    answer: Mapped[str | None] = mapped_column(String)
    reason: Mapped[str | None] = mapped_column(String)
    answered_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    answered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class SettlementDay(Base):
    """A day of a funder on which something was settled, closed: its file can be made again from what never changes."""

    __tablename__ = "settlement_day"

    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), primary_key=True)
    business_date: Mapped[date] = mapped_column(primary_key=True)
    closing: Mapped[dict[str, int]] = mapped_column(JSONB)
    events: Mapped[int]
    digest: Mapped[str] = mapped_column(String)
    csv_digest: Mapped[str] = mapped_column(String)
    closed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


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
    """The last link of a funder's stream, and the last day whose settlements are closed."""

    __tablename__ = "funder_stream_head"

    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    settled_until: Mapped[date | None]


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
        Index(
            "ix_callback_delivery_asset_id",
            "funder_id",
            "asset_id",
            "sequence",
            postgresql_where=text("delivered_at IS NULL AND asset_id IS NOT NULL"),
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
    asset_id: Mapped[str | None] = mapped_column(String)


class CallbackAttempt(Base):
    """One request to an endpoint: machine time, how long it took, what came of it. Kept for a while.

    `sequence` is null for what has no place in the stream.
    """

    __tablename__ = "callback_attempt"
    __table_args__ = (
        Index("ix_callback_attempt_funder_id", "funder_id", "attempt_id"),
        Index("ix_callback_attempt_at", "at"),
        Index("ix_callback_attempt_funder_id_at", "funder_id", "at"),
        Index("ix_callback_attempt_sequence", "funder_id", "sequence", "attempt_id"),
    )

    attempt_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"))
    event_id: Mapped[str] = mapped_column(String)
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    milliseconds: Mapped[int]
    status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(String)
