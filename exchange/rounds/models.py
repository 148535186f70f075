"""What a round took in and gave out, currency by currency; where it stands; what was let go at the end."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, Numeric, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Clearing(Base):
    """One currency of a round. `inputs` are what was frozen, as JSON, and all that the answer follows from.

    `certificate` proves the answer; `head_digest` of it is in the log. Without a mandate or an asset that fits there is
    nothing to solve: no certificate. Value and bound in minor units times basis points times days.
    """

    __tablename__ = "round_clearing"
    __table_args__ = (
        CheckConstraint("(certificate IS NULL) = (head_digest IS NULL)", name="digest_of_certificate"),
        CheckConstraint("(certificate IS NULL) = (value IS NULL)", name="value_of_certificate"),
        CheckConstraint("certificate IS NULL OR solved_at IS NOT NULL", name="certified_when_solved"),
        CheckConstraint("value BETWEEN 0 AND bound", name="value_within_bound"),
    )

    round_id: Mapped[str] = mapped_column(ForeignKey("clearing_round.round_id"), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    inputs: Mapped[bytes] = mapped_column(LargeBinary)
    inputs_digest: Mapped[str] = mapped_column(String(43))
    asset_count: Mapped[int]
    mandate_count: Mapped[int]
    eligible_count: Mapped[int | None]
    certificate: Mapped[bytes | None] = mapped_column(LargeBinary)
    head_digest: Mapped[str | None] = mapped_column(String(43))
    value: Mapped[int | None] = mapped_column(Numeric(40, 0))
    bound: Mapped[int | None] = mapped_column(Numeric(40, 0))
    complete: Mapped[bool | None]
    solved_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class RoundPart(Base):
    """What a funder gets of a certificate: the extract that proves its own part, and what its own limits cost."""

    __tablename__ = "round_part"

    round_id: Mapped[str] = mapped_column(ForeignKey("clearing_round.round_id"), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), primary_key=True)
    extract: Mapped[bytes] = mapped_column(LargeBinary)
    costs: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)


class RoundProgress(Base):
    """How far the solver is with a round's currency: machine time, written while it works."""

    __tablename__ = "round_progress"

    round_id: Mapped[str] = mapped_column(ForeignKey("clearing_round.round_id"), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    step: Mapped[str] = mapped_column(String)
    done: Mapped[int]
    of: Mapped[int]
    told_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Dropped(Base):
    """What a round gave to a mandate and could not be applied: `code` says what had changed since it was frozen."""

    __tablename__ = "round_dropped"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint(
            "code IN ('not_free', 'amount_changed', 'mandate_changed', 'cash', 'obligor_limit', 'pool_limits',"
            " 'price', 'mandate_full')",
            name="code_known",
        ),
        Index("ix_round_dropped_mandate_id", "mandate_id", "round_id"),
    )

    round_id: Mapped[str] = mapped_column(ForeignKey("clearing_round.round_id"), primary_key=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    mandate_id: Mapped[str] = mapped_column(String, primary_key=True)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    code: Mapped[str] = mapped_column(String)


class Rehearsal(Base):
    """A mandate tried out: what it matches now, and would have bought in a period. For who asked, alone."""

    __tablename__ = "rehearsal"
    __table_args__ = (
        CheckConstraint("(from_date IS NULL) = (to_date IS NULL) AND from_date <= to_date", name="period"),
        CheckConstraint("(done_at IS NULL) = (now IS NULL)", name="told_when_done"),
    )

    rehearsal_id: Mapped[str] = mapped_column(String, primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), index=True)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    from_date: Mapped[date | None]
    to_date: Mapped[date | None]
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    done_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    now: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    past: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
