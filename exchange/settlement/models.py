"""Bank receipts, what became of them, and credit notes."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Receipt(Base):
    """One credit line of the collection account. Applied and unapplied parts sum to the amount: none of it is lost."""

    __tablename__ = "receipt"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("applied_minor BETWEEN 0 AND amount_minor", name="applied_range"),
        CheckConstraint("outcome IN ('allocated', 'deposited', 'unapplied')", name="outcome_known"),
        CheckConstraint("(outcome = 'allocated') = (asset_id IS NOT NULL)", name="asset_of_allocation"),
        CheckConstraint("(outcome = 'deposited') = (funder_id IS NOT NULL)", name="funder_of_deposit"),
    )

    receipt_id: Mapped[str] = mapped_column(String, primary_key=True)
    bank_reference: Mapped[str] = mapped_column(String, unique=True)
    value_date: Mapped[date]
    currency: Mapped[str] = mapped_column(String(3))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    applied_minor: Mapped[int] = mapped_column(BigInteger)
    payer_name: Mapped[str | None] = mapped_column(String)
    reference: Mapped[str] = mapped_column(String)
    outcome: Mapped[str] = mapped_column(String)
    asset_id: Mapped[str | None] = mapped_column(ForeignKey("claim.asset_id"), index=True)
    funder_id: Mapped[str | None] = mapped_column(ForeignKey("funder.funder_id"))
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ReceiptShare(Base):
    """What a part got of a receipt that names an asset which was split."""

    __tablename__ = "receipt_share"
    __table_args__ = (CheckConstraint("amount_minor > 0", name="amount_positive"),)

    receipt_id: Mapped[str] = mapped_column(ForeignKey("receipt.receipt_id"), primary_key=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True, index=True)
    amount_minor: Mapped[int] = mapped_column(BigInteger)


class CreditNote(Base):
    """What a seller took off a receivable: dilution, a risk of its own. One row for each part that it shrinks."""

    __tablename__ = "credit_note"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("shortfall_minor >= paid_minor AND paid_minor >= 0", name="shortfall_range"),
    )

    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    number: Mapped[str] = mapped_column(String, primary_key=True)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String)
    issue_date: Mapped[date]
    shortfall_minor: Mapped[int] = mapped_column(BigInteger)
    paid_minor: Mapped[int] = mapped_column(BigInteger)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
