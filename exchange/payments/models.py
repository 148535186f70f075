"""Payments out: to which account, in which state, in which file; and money that should have come and has not."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class PaymentPolicy(Base):
    """Who approves, from which amount on, when money leaves and what is alarming. Versions stay."""

    __tablename__ = "payment_policy"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    set_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    set_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class PayoutAccount(Base):
    """A bank account to which a funder's or a company's money goes, from `usable_from` on, until it is closed.

    What was entered stays as it is; another account is another row. The newest usable one is in force.
    """

    __tablename__ = "payout_account"
    __table_args__ = (
        UniqueConstraint("account_id", "party_id", "currency"),
        CheckConstraint("outcome IN ('approved', 'declined')", name="outcome_known"),
        CheckConstraint("decided_by <> entered_by", name="four_eyes"),
        CheckConstraint("(outcome IS NULL) = (decided_by IS NULL)", name="decided_by_somebody"),
        CheckConstraint("(outcome IS NULL) = (decided_at IS NULL)", name="decided_at_a_time"),
        CheckConstraint("(coalesce(outcome, '') = 'approved') = (usable_from IS NOT NULL)", name="usable_if_approved"),
        CheckConstraint("(coalesce(outcome, '') = 'declined') <= (reason IS NOT NULL)", name="reason_of_declining"),
        CheckConstraint("(closed_at IS NULL) = (closed_reason IS NULL)", name="closed_for_a_reason"),
        Index(
            "uq_payout_account_awaited",
            "party_id",
            "currency",
            unique=True,
            postgresql_where=text("outcome IS NULL AND closed_at IS NULL"),
        ),
        Index(
            "ix_payout_account_in_force",
            "party_id",
            "currency",
            "usable_from",
            postgresql_where=text("outcome = 'approved' AND closed_at IS NULL"),
        ),
    )

    account_id: Mapped[str] = mapped_column(String, primary_key=True)
    party_id: Mapped[str] = mapped_column(String)
    currency: Mapped[str] = mapped_column(String(3))
    holder_name: Mapped[str] = mapped_column(String)
    account: Mapped[str] = mapped_column(String)
    agent: Mapped[str] = mapped_column(String)
    entered_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    entered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None] = mapped_column(String)
    reason: Mapped[str | None] = mapped_column(String)
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    usable_from: Mapped[date | None]
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_reason: Mapped[str | None] = mapped_column(String)


class PaymentFile(Base):
    """A file of instructions as the bank gets it: the same bytes whoever asks, and how often."""

    __tablename__ = "payment_file"
    __table_args__ = (
        CheckConstraint("payment_count > 0 AND sum_minor > 0", name="not_empty"),
        Index("ix_payment_file_account", "account", "file_id"),
    )

    file_id: Mapped[str] = mapped_column(String, primary_key=True)
    message_id: Mapped[str] = mapped_column(String(35), unique=True)
    account: Mapped[str] = mapped_column(ForeignKey("bank_account.account"))
    currency: Mapped[str] = mapped_column(String(3))
    message: Mapped[str] = mapped_column(String)
    payment_count: Mapped[int]
    sum_minor: Mapped[int] = mapped_column(BigInteger)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    sha256: Mapped[str] = mapped_column(String(64))
    made_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class PaymentAnswer(Base):
    """A bank's answer to a file, by the SHA-256 of its bytes, and how many payments it moved."""

    __tablename__ = "payment_answer"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    file_id: Mapped[str] = mapped_column(ForeignKey("payment_file.file_id"), index=True)
    moved: Mapped[int]
    entered_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    entered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Payment(Base):
    """Money on its way out, taken out of its owner's cash when it was proposed.

    A price or a withdrawal goes to an account of the party whose money it is; a refund of a receipt goes back to where
    that came from. `proposed_by` is empty when the daily job did. The state is that of the last step.
    """

    __tablename__ = "payment"
    __table_args__ = (
        ForeignKeyConstraint(
            ["account_id", "party_id", "currency"],
            ["payout_account.account_id", "payout_account.party_id", "payout_account.currency"],
        ),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("kind IN ('price', 'withdrawal', 'refund')", name="kind_known"),
        CheckConstraint("(kind = 'refund') = (receipt_id IS NOT NULL)", name="receipt_of_refund"),
        CheckConstraint("(kind = 'refund') = (party_id IS NULL)", name="party_unless_refund"),
        CheckConstraint("(account_id IS NULL) = (party_id IS NULL)", name="account_of_party"),
        CheckConstraint(
            "state IN ('proposed', 'approved', 'scheduled', 'instructed', 'in_transit', 'paid', 'failed', 'cancelled', "
            "'returned')",
            name="state_known",
        ),
        CheckConstraint(
            "(state IN ('instructed', 'in_transit', 'paid', 'failed', 'returned')) = (file_id IS NOT NULL)",
            name="file_once_instructed",
        ),
        CheckConstraint("state <> 'scheduled' OR execution_date IS NOT NULL", name="date_once_scheduled"),
        CheckConstraint("line_id IS NULL OR state IN ('paid', 'returned')", name="line_of_paid"),
        CheckConstraint("return_line_id IS NULL OR state = 'returned'", name="line_of_returned"),
        Index("ix_payment_state", "state", "payment_id"),
        Index("ix_payment_party", "party_id", "currency", "payment_id"),
        Index(
            "ix_payment_to_instruct",
            "currency",
            "execution_date",
            "payment_id",
            postgresql_where=text("state = 'scheduled'"),
        ),
        Index("ix_payment_file_id", "file_id"),
        Index("ix_payment_account_id", "account_id"),
        Index("ix_payment_receipt_id", "receipt_id"),
    )

    payment_id: Mapped[str] = mapped_column(String, primary_key=True)
    kind: Mapped[str] = mapped_column(String)
    party_id: Mapped[str | None] = mapped_column(String)
    currency: Mapped[str] = mapped_column(String(3))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    account_id: Mapped[str | None] = mapped_column(String)
    receipt_id: Mapped[str | None] = mapped_column(ForeignKey("receipt.receipt_id"))
    creditor_name: Mapped[str] = mapped_column(String)
    creditor_account: Mapped[str] = mapped_column(String)
    creditor_agent: Mapped[str] = mapped_column(String)
    needs_second: Mapped[bool]
    proposed_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    proposed_on: Mapped[date]
    state: Mapped[str] = mapped_column(String)
    execution_date: Mapped[date | None]
    file_id: Mapped[str | None] = mapped_column(ForeignKey("payment_file.file_id"))
    line_id: Mapped[str | None] = mapped_column(ForeignKey("bank_line.line_id"), unique=True)
    return_line_id: Mapped[str | None] = mapped_column(ForeignKey("bank_line.line_id"), unique=True)


class PaymentStep(Base):
    """A step in a payment's life: who, when and why. Sealed; a payment is in each state at most once."""

    __tablename__ = "payment_step"
    __table_args__ = (UniqueConstraint("payment_id", "state"),)

    payment_id: Mapped[str] = mapped_column(ForeignKey("payment.payment_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(String)
    taken_by: Mapped[str] = mapped_column(String)
    reason: Mapped[str | None] = mapped_column(String)
    effective_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class PaymentAdvice(Base):
    """Somebody says that it paid an asset: when, how much, to which account. Receipts since then have to cover it."""

    __tablename__ = "payment_advice"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("expected_by >= paid_on", name="expected_later"),
        Index("ix_payment_advice_asset_id", "asset_id", "paid_on"),
        Index("ix_payment_advice_open", "expected_by", postgresql_where=text("covered_at IS NULL")),
    )

    advice_id: Mapped[str] = mapped_column(String, primary_key=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    paid_on: Mapped[date]
    account: Mapped[str] = mapped_column(String)
    expected_by: Mapped[date]
    said_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    said_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    covered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class MoneyAlarm(Base):
    """Money that went elsewhere, did not come, or stays away from one originator. Open until it is cleared.

    missing_receipt, wrong_account: of an advice; late_share: of an originator, one open at a time.
    """

    __tablename__ = "money_alarm"
    __table_args__ = (
        UniqueConstraint("advice_id", "kind"),
        CheckConstraint("kind IN ('missing_receipt', 'wrong_account', 'late_share')", name="kind_known"),
        CheckConstraint("(kind = 'late_share') = (advice_id IS NULL)", name="advice_of_kind"),
        CheckConstraint("(advice_id IS NULL) = (asset_id IS NULL)", name="asset_of_advice"),
        CheckConstraint("(acknowledged_by IS NULL) = (acknowledged_at IS NULL)", name="acknowledged_at_a_time"),
        CheckConstraint("(acknowledged_by IS NULL) = (acknowledged_reason IS NULL)", name="acknowledged_for_a_reason"),
        Index(
            "uq_money_alarm_open",
            "originator_id",
            unique=True,
            postgresql_where=text("kind = 'late_share' AND cleared_at IS NULL"),
        ),
        Index("ix_money_alarm_originator_id", "originator_id", "alarm_id"),
    )

    alarm_id: Mapped[str] = mapped_column(String, primary_key=True)
    kind: Mapped[str] = mapped_column(String)
    originator_id: Mapped[str] = mapped_column(ForeignKey("originator.originator_id"))
    advice_id: Mapped[str | None] = mapped_column(ForeignKey("payment_advice.advice_id"))
    asset_id: Mapped[str | None] = mapped_column(ForeignKey("claim.asset_id"), index=True)
    raised_on: Mapped[date]
    raised_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    numbers: Mapped[dict[str, Any]] = mapped_column(JSONB)
    acknowledged_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    acknowledged_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    acknowledged_reason: Mapped[str | None] = mapped_column(String)
    cleared_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
