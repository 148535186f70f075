"""Facilities, their rules and tranches, who holds those, and every dated fact of their lives."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, ForeignKeyConstraint, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Facility(Base):
    """A lasting pool. It buys, holds and collects as the funder `funder_id`, by the mandate `mandate_id`.

    This row is the lock on all that is decided of it.
    """

    __tablename__ = "facility"

    facility_id: Mapped[str] = mapped_column(String, primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), unique=True)
    mandate_id: Mapped[str] = mapped_column(String, unique=True)
    name: Mapped[str] = mapped_column(String)
    currency: Mapped[str] = mapped_column(String(3))
    opened_on: Mapped[date]
    created_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class FacilityRules(Base):
    """A version of the rules. It waits until `effective_on`, and longer while money waits to leave; then it applies."""

    __tablename__ = "facility_rules"
    __table_args__ = (
        CheckConstraint("version > 0", name="version_from_one"),
        CheckConstraint("effective_on >= announced_on", name="announced_before"),
        CheckConstraint("applied_on >= effective_on", name="applied_after"),
        CheckConstraint("applied_on IS NULL OR withdrawn_on IS NULL", name="applied_or_withdrawn"),
        Index(
            "uq_facility_rules_waiting",
            "facility_id",
            unique=True,
            postgresql_where=text("applied_on IS NULL AND withdrawn_on IS NULL"),
        ),
    )

    facility_id: Mapped[str] = mapped_column(ForeignKey("facility.facility_id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    announced_on: Mapped[date]
    effective_on: Mapped[date]
    applied_on: Mapped[date | None]
    withdrawn_on: Mapped[date | None]
    set_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    set_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Tranche(Base):
    """A rank in a facility: 1 is paid first. A cover is money beside the pool that bears losses within its caps."""

    __tablename__ = "tranche"
    __table_args__ = (
        CheckConstraint("kind IN ('tranche', 'cover')", name="kind_known"),
        CheckConstraint("size_minor > 0", name="size_positive"),
        CheckConstraint("rank > 0 AND rate_bps >= 0", name="rank_and_rate"),
        CheckConstraint("min_subordination_bps BETWEEN 0 AND 9999", name="subordination_range"),
        CheckConstraint("kind = 'cover' OR (per_loss_minor IS NULL AND per_loss_ppm IS NULL)", name="caps_of_a_cover"),
        Index("uq_tranche_name", "facility_id", "name", unique=True),
        Index("uq_tranche_rank", "facility_id", "rank", unique=True),
    )

    tranche_id: Mapped[str] = mapped_column(String, primary_key=True)
    facility_id: Mapped[str] = mapped_column(ForeignKey("facility.facility_id"))
    name: Mapped[str] = mapped_column(String)
    kind: Mapped[str] = mapped_column(String)
    rank: Mapped[int]
    size_minor: Mapped[int] = mapped_column(BigInteger)
    rate_bps: Mapped[int]
    day_count: Mapped[str] = mapped_column(String)
    min_subordination_bps: Mapped[int]
    per_loss_minor: Mapped[int | None] = mapped_column(BigInteger)
    per_loss_ppm: Mapped[int | None]


class Holding(Base):
    """What a funder committed to a tranche, and what of it is paid in, lost, and earned.

    Its notes in the books say the same: `principal_minor` under `notes`, `lost_minor` under `notes_lost`.
    """

    __tablename__ = "tranche_holding"
    __table_args__ = (
        CheckConstraint("principal_minor >= 0 AND lost_minor >= 0 AND interest_paid_minor >= 0", name="not_negative"),
        CheckConstraint("principal_minor + lost_minor <= committed_minor", name="within_commitment"),
        Index("ix_tranche_holding_funder_id", "funder_id"),
    )

    tranche_id: Mapped[str] = mapped_column(ForeignKey("tranche.tranche_id"), primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), primary_key=True)
    committed_minor: Mapped[int] = mapped_column(BigInteger)
    principal_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    lost_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    interest_paid_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class Movement(Base):
    """What happened to a holding. Only added: interest and every state of a holding follow from these."""

    __tablename__ = "tranche_movement"
    __table_args__ = (
        ForeignKeyConstraint(["tranche_id", "funder_id"], ["tranche_holding.tranche_id", "tranche_holding.funder_id"]),
        CheckConstraint("kind IN ('paid_in', 'repaid', 'lost', 'restored', 'interest', 'surplus')", name="kind_known"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
    )

    tranche_id: Mapped[str] = mapped_column(String, primary_key=True)
    funder_id: Mapped[str] = mapped_column(String, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    business_date: Mapped[date]
    transfer: Mapped[str] = mapped_column(String)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class CapitalCall(Base):
    """What of its commitments the holders of a tranche are asked to pay in, and until when."""

    __tablename__ = "capital_call"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("due_date >= called_on", name="due_later"),
        Index("ix_capital_call_tranche_id", "tranche_id", "call_id"),
    )

    call_id: Mapped[str] = mapped_column(String, primary_key=True)
    tranche_id: Mapped[str] = mapped_column(ForeignKey("tranche.tranche_id"))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    called_on: Mapped[date]
    due_date: Mapped[date]
    called_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    called_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class CalledShare(Base):
    """A holder's share of a call. Paid once, in one piece."""

    __tablename__ = "called_share"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        Index("ix_called_share_funder_id", "funder_id", "call_id"),
    )

    call_id: Mapped[str] = mapped_column(ForeignKey("capital_call.call_id"), primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), primary_key=True)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    paid_on: Mapped[date | None]


class Redemption(Base):
    """A holder's wish for principal back before its time. It waits for payment dates; while it does, no rule changes.

    superseded: the facility turned, and everybody is paid back in order.
    """

    __tablename__ = "redemption"
    __table_args__ = (
        ForeignKeyConstraint(["tranche_id", "funder_id"], ["tranche_holding.tranche_id", "tranche_holding.funder_id"]),
        CheckConstraint("amount_minor > 0 AND paid_minor BETWEEN 0 AND amount_minor", name="paid_range"),
        CheckConstraint("outcome IN ('paid', 'withdrawn', 'superseded')", name="outcome_known"),
        CheckConstraint("(outcome IS NULL) = (ended_on IS NULL)", name="ended_on_a_day"),
        CheckConstraint("(coalesce(outcome, '') = 'paid') = (paid_minor = amount_minor)", name="paid_in_full"),
        Index("ix_redemption_tranche_id", "tranche_id", "funder_id", "redemption_id"),
        Index("ix_redemption_open", "tranche_id", postgresql_where=text("outcome IS NULL")),
    )

    redemption_id: Mapped[str] = mapped_column(String, primary_key=True)
    tranche_id: Mapped[str] = mapped_column(String)
    funder_id: Mapped[str] = mapped_column(String)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    paid_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    asked_on: Mapped[date]
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None] = mapped_column(String)
    ended_on: Mapped[date | None]


class FacilityFact(Base):
    """A dated fact: a turn of the state, of the health, or of a trigger, with its reason and the numbers compared."""

    __tablename__ = "facility_fact"
    __table_args__ = (
        CheckConstraint("axis IN ('state', 'health', 'trigger')", name="axis_known"),
        CheckConstraint(
            "axis <> 'state' OR value IN ('warehousing', 'revolving', 'amortising', 'accelerated', 'closed')",
            name="state_known",
        ),
        CheckConstraint("axis <> 'health' OR value IN ('healthy', 'unhealthy')", name="health_known"),
        CheckConstraint("axis <> 'trigger' OR value IN ('raised', 'cleared')", name="trigger_known"),
        CheckConstraint("(axis = 'trigger') = (test IS NOT NULL)", name="test_of_trigger"),
    )

    facility_id: Mapped[str] = mapped_column(ForeignKey("facility.facility_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    axis: Mapped[str] = mapped_column(String)
    value: Mapped[str] = mapped_column(String)
    test: Mapped[str | None] = mapped_column(String)
    reason: Mapped[str] = mapped_column(String)
    numbers: Mapped[dict[str, Any]] = mapped_column(JSONB)
    business_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class FacilityDay(Base):
    """Base, value and tests as they were at the close of a day."""

    __tablename__ = "facility_day"

    facility_id: Mapped[str] = mapped_column(ForeignKey("facility.facility_id"), primary_key=True)
    business_date: Mapped[date] = mapped_column(primary_key=True)
    figures: Mapped[dict[str, Any]] = mapped_column(JSONB)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class FacilityLoss(Base):
    """Capital lost on an asset since the last such row, and who bore it; negative: recovered, and who was made whole.

    `parts` are `[layer, amount]` in the order in which they bore it or got it back.
    """

    __tablename__ = "facility_loss"
    __table_args__ = (CheckConstraint("amount_minor <> 0", name="amount_not_zero"),)

    facility_id: Mapped[str] = mapped_column(ForeignKey("facility.facility_id"), primary_key=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    parts: Mapped[list[Any]] = mapped_column(JSONB)
    business_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Distribution(Base):
    """What was paid on a payment date: one for each date."""

    __tablename__ = "distribution"
    __table_args__ = (
        CheckConstraint("available_minor >= 0 AND profit_minor BETWEEN 0 AND available_minor", name="profit_range"),
        CheckConstraint("fees_minor >= 0", name="fees_not_negative"),
    )

    facility_id: Mapped[str] = mapped_column(ForeignKey("facility.facility_id"), primary_key=True)
    payment_date: Mapped[date] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(String)
    available_minor: Mapped[int] = mapped_column(BigInteger)
    profit_minor: Mapped[int] = mapped_column(BigInteger)
    fees_minor: Mapped[int] = mapped_column(BigInteger)
    waterfall: Mapped[dict[str, Any]] = mapped_column(JSONB)
    paid_on: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ServicerReport(Base):
    """A servicer's word on what it services for facilities, beside what the exchange had then. Silence is none."""

    __tablename__ = "servicer_report"
    __table_args__ = (CheckConstraint("asset_count >= 0 AND outstanding_minor >= 0", name="not_negative"),)

    originator_id: Mapped[str] = mapped_column(ForeignKey("originator.originator_id"), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    report_date: Mapped[date] = mapped_column(primary_key=True)
    asset_count: Mapped[int]
    outstanding_minor: Mapped[int] = mapped_column(BigInteger)
    known_count: Mapped[int]
    known_minor: Mapped[int] = mapped_column(BigInteger)
    reported_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    reported_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
