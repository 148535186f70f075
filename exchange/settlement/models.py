"""Bank statements and receipts, what became of them, and credit notes."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Receipt(Base):
    """A credit line of the collection account, or a part of one.

    Applied and unapplied parts sum to the amount: none of it is lost. Receipts of one line of a statement sum to the
    line. `reversed_on` is the day on which a receipt was undone, in the books and on its claim.
    """

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
    line_id: Mapped[str | None] = mapped_column(ForeignKey("bank_line.line_id"), index=True)
    reversed_on: Mapped[date | None]


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


class BankAccount(Base):
    """A collection account at a bank: statements of others are refused. `table` names the columns of its CSV files."""

    __tablename__ = "bank_account"

    account: Mapped[str] = mapped_column(String, primary_key=True)
    currency: Mapped[str] = mapped_column(String(3))
    table: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    entered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class BankStatement(Base):
    """One statement as the bank sent it: the `number`th of the file with this SHA-256. Balances where it gives them."""

    __tablename__ = "bank_statement"
    __table_args__ = (
        UniqueConstraint("digest", "number"),
        CheckConstraint("(first_date IS NULL) = (line_count = 0)", name="dates_of_lines"),
        Index("ix_bank_statement_account_first_date", "account", "first_date"),
        Index("ix_bank_statement_account_last_date", "account", "last_date"),
    )

    statement_id: Mapped[str] = mapped_column(String, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    number: Mapped[int]
    account: Mapped[str] = mapped_column(ForeignKey("bank_account.account"))
    currency: Mapped[str] = mapped_column(String(3))
    bank_id: Mapped[str] = mapped_column(String)
    sequence: Mapped[str | None] = mapped_column(String)
    opening_minor: Mapped[int | None] = mapped_column(BigInteger)
    closing_minor: Mapped[int | None] = mapped_column(BigInteger)
    line_count: Mapped[int]
    first_date: Mapped[date | None]
    last_date: Mapped[date | None]
    entered_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    entered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class BankLine(Base):
    """A line of a statement and what became of it.

    new: not looked at yet; duplicate: the same as a line of an earlier statement; booked: paid what it names, or undid
    what it reverses; open: waits for a person; left, refund: a person left it as it is, or marked it to be sent back;
    reversed: a later line took it back. Money that came in is in the books whatever its state, `unapplied` while open.
    """

    __tablename__ = "bank_line"
    __table_args__ = (
        UniqueConstraint("statement_id", "number"),
        CheckConstraint(
            "state IN ('new', 'duplicate', 'booked', 'open', 'left', 'refund', 'reversed')", name="state_known"
        ),
        CheckConstraint("(decision IS NULL) = (decided_by IS NULL)", name="decided_by_somebody"),
        CheckConstraint("(decision IS NULL) = (decided_at IS NULL)", name="decided_at_a_time"),
        CheckConstraint("decision IS NULL OR state NOT IN ('new', 'duplicate', 'open')", name="decided_once"),
        Index(
            "uq_bank_line_known",
            "account",
            "bank_reference",
            "booking_date",
            "amount_minor",
            unique=True,
            postgresql_where=text("state NOT IN ('new', 'duplicate')"),
        ),
        Index("ix_bank_line_account_amount", "account", "amount_minor"),
        Index("ix_bank_line_state_line_id", "state", "line_id"),
    )

    line_id: Mapped[str] = mapped_column(String, primary_key=True)
    statement_id: Mapped[str] = mapped_column(ForeignKey("bank_statement.statement_id"))
    number: Mapped[int]
    account: Mapped[str] = mapped_column(String)
    currency: Mapped[str] = mapped_column(String(3))
    bank_reference: Mapped[str] = mapped_column(String)
    booking_date: Mapped[date]
    value_date: Mapped[date]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    counterparty_name: Mapped[str] = mapped_column(String)
    counterparty_account: Mapped[str] = mapped_column(String)
    remittance: Mapped[str] = mapped_column(String)
    references: Mapped[list[str]] = mapped_column(JSONB)
    end_to_end_id: Mapped[str] = mapped_column(String)
    transaction_code: Mapped[str] = mapped_column(String)
    is_reversal: Mapped[bool]
    return_reason: Mapped[str] = mapped_column(String)
    state: Mapped[str] = mapped_column(String)
    proposal: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    decision: Mapped[str | None] = mapped_column(String)
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class PayerMark(Base):
    """By what a payer is known: its name, folded, or an account it paid from. `said` is the name as it was written."""

    __tablename__ = "payer_mark"
    __table_args__ = (
        CheckConstraint("kind IN ('name', 'account')", name="kind_known"),
        Index("ix_payer_mark_company_id", "company_id"),
    )

    kind: Mapped[str] = mapped_column(String, primary_key=True)
    mark: Mapped[str] = mapped_column(String, primary_key=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"), primary_key=True)
    said: Mapped[str] = mapped_column(String)
