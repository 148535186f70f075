"""Receivables as submitted, their blind fingerprints, and the obligor's answer."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Receivable(Base):
    """What a seller says it is owed. Never changed: whatever happens later is a fact of its own."""

    __tablename__ = "receivable"
    __table_args__ = (
        CheckConstraint("face_minor > 0", name="face_positive"),
        CheckConstraint("due_date >= issue_date", name="due_after_issue"),
        CheckConstraint("seller_id <> obligor_id", name="two_companies"),
        CheckConstraint("recourse IN ('with', 'limited', 'without')", name="recourse_known"),
        Index("ix_receivable_originator", "originator_id", "asset_id"),
        Index("ix_receivable_obligor_id", "obligor_id"),
    )

    asset_id: Mapped[str] = mapped_column(String, primary_key=True)
    originator_id: Mapped[str] = mapped_column(ForeignKey("originator.originator_id"))
    seller_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    obligor_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    invoice_number: Mapped[str] = mapped_column(String)
    product: Mapped[str] = mapped_column(String)
    currency: Mapped[str] = mapped_column(String(3))
    face_minor: Mapped[int] = mapped_column(BigInteger)
    issue_date: Mapped[date]
    due_date: Mapped[date]
    recourse: Mapped[str] = mapped_column(String)
    documents: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    submitted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Fingerprint(Base):
    """A keyed hash of what makes an invoice itself: no second receivable can have it."""

    __tablename__ = "fingerprint"

    fingerprint: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    asset_id: Mapped[str] = mapped_column(String)


class Likeness(Base):
    """A keyed hash of what makes an invoice look like another: same parties, amount and dates; or delivery note."""

    __tablename__ = "likeness"

    likeness: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    asset_id: Mapped[str] = mapped_column(String, primary_key=True)


class Confirmation(Base):
    """The obligor's answer: final, once for each receivable."""

    __tablename__ = "confirmation"
    __table_args__ = (
        CheckConstraint("outcome IN ('accepted', 'refused')", name="outcome_known"),
        CheckConstraint("grade IN ('explicit', 'deemed')", name="grade_known"),
        CheckConstraint("(outcome = 'refused') = (reason IS NOT NULL)", name="reason_of_refusal"),
    )

    asset_id: Mapped[str] = mapped_column(ForeignKey("receivable.asset_id"), primary_key=True)
    outcome: Mapped[str] = mapped_column(String)
    grade: Mapped[str] = mapped_column(String)
    confirmed_date: Mapped[date]
    reason: Mapped[str | None] = mapped_column(String)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
