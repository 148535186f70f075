"""Disputes, repurchases, and write-offs that wait for a second person."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Dispute(Base):
    """An obligor's objection to a part of what it owes, and what became of it."""

    __tablename__ = "dispute"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("outcome IN ('rejected', 'upheld', 'partly_upheld')", name="outcome_known"),
        CheckConstraint("(outcome IS NULL) = (resolved_by IS NULL)", name="resolved_by_somebody"),
        CheckConstraint("(outcome IS NULL) = (resolved_at IS NULL)", name="resolved_at_a_time"),
        CheckConstraint("(outcome IS NULL) = (finding IS NULL)", name="finding_of_outcome"),
        CheckConstraint("credited_minor BETWEEN 0 AND amount_minor", name="credited_range"),
        CheckConstraint("(outcome IN ('upheld', 'partly_upheld')) = (note_number IS NOT NULL)", name="note_of_upheld"),
        Index("ix_dispute_open", "asset_id", postgresql_where=text("outcome IS NULL")),
    )

    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String)
    statement: Mapped[str] = mapped_column(String)
    opened_by: Mapped[str] = mapped_column(String)
    opened_on: Mapped[date]
    opened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None] = mapped_column(String)
    credited_minor: Mapped[int] = mapped_column(BigInteger)
    note_number: Mapped[str | None] = mapped_column(String)
    finding: Mapped[str | None] = mapped_column(String)
    resolved_by: Mapped[str | None] = mapped_column(String)
    resolved_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Repurchase(Base):
    """A holder takes an asset back that it sold: proposed until its funder answers, unless it has to be."""

    __tablename__ = "repurchase"
    __table_args__ = (
        CheckConstraint("state IN ('proposed', 'done', 'refused')", name="state_known"),
        CheckConstraint("cause IN ('agreement', 'recourse')", name="cause_known"),
        CheckConstraint("(state = 'done') = (done_on IS NOT NULL)", name="day_when_done"),
        CheckConstraint("(state = 'done') = (price_minor IS NOT NULL)", name="price_when_done"),
        CheckConstraint("price_minor >= 0", name="price_not_negative"),
        CheckConstraint("(state = 'refused') = (answer IS NOT NULL)", name="reason_of_refusal"),
        CheckConstraint("(answered_by IS NULL) = (answered_at IS NULL)", name="answered_at_a_time"),
        CheckConstraint("state <> 'refused' OR answered_by IS NOT NULL", name="refused_by_somebody"),
        Index("uq_repurchase_proposed", "asset_id", unique=True, postgresql_where=text("state = 'proposed'")),
        Index("ix_repurchase_funder_id", "funder_id", "repurchase_id"),
        Index("ix_repurchase_asset_id", "asset_id"),
    )

    repurchase_id: Mapped[str] = mapped_column(String, primary_key=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"))
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"))
    holder_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    cause: Mapped[str] = mapped_column(String)
    reason: Mapped[str] = mapped_column(String)
    state: Mapped[str] = mapped_column(String)
    price_minor: Mapped[int | None] = mapped_column(BigInteger)
    proposed_by: Mapped[str] = mapped_column(String)
    proposed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    answer: Mapped[str | None] = mapped_column(String)
    answered_by: Mapped[str | None] = mapped_column(String)
    answered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    done_on: Mapped[date | None]


class WriteOffRequest(Base):
    """A write-off by hand that waits, or waited, for a second person."""

    __tablename__ = "write_off_request"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("outcome IN ('approved', 'declined')", name="outcome_known"),
        CheckConstraint("(outcome IS NULL) = (decided_by IS NULL)", name="decided_by_somebody"),
        CheckConstraint("(outcome IS NULL) = (decided_at IS NULL)", name="decided_at_a_time"),
        CheckConstraint("decided_by <> requested_by", name="second_person"),
        Index("uq_write_off_request_open", "asset_id", unique=True, postgresql_where=text("outcome IS NULL")),
    )

    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String)
    requested_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    requested_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None] = mapped_column(String)
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
