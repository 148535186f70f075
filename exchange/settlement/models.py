"""Bank statements and receipts, what became of them, and credit notes."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Receipt(Base):
    """A credit line of the collection account, or a part of one.

    Applied and unapplied parts sum to the amount: none of it is lost. Receipts of one line of a statement sum to the
    line. `reversed_on` is the day on which a receipt was undone, in the books and on its claim. `refunded_minor` is
    what of its unapplied part was sent back to where it came from, or is on the way there.
    """

    __tablename__ = "receipt"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("applied_minor BETWEEN 0 AND amount_minor", name="applied_range"),
        CheckConstraint("refunded_minor BETWEEN 0 AND amount_minor - applied_minor", name="refunded_range"),
        CheckConstraint("refunded_minor = 0 OR reversed_on IS NULL", name="refunded_while_it_stands"),
        CheckConstraint(
            "charged_minor >= 0 AND recovered_minor >= 0 AND charged_minor + recovered_minor <= applied_minor",
            name="parts_of_applied",
        ),
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
    refunded_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    charged_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    recovered_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


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


class SettlementPolicy(Base):
    """A version of the terms for an originator and a product, or for all of them where none is named. Versions stay."""

    __tablename__ = "settlement_policy"
    __table_args__ = (
        CheckConstraint(
            "product IN ('procurement_credit', 'receivable_factoring', 'working_capital', 'equipment_lease')",
            name="product_known",
        ),
    )

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    originator_id: Mapped[str | None] = mapped_column(ForeignKey("originator.originator_id"))
    product: Mapped[str | None] = mapped_column(String)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    set_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    set_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Charge(Base):
    """What an obligor owes on top of a claim: a fee, entered by hand, or interest for being late over some days."""

    __tablename__ = "charge"
    __table_args__ = (
        UniqueConstraint("asset_id", "kind", "reference"),
        CheckConstraint("kind IN ('fee', 'penalty')", name="kind_known"),
        CheckConstraint("amount_minor > 0 AND paid_minor BETWEEN 0 AND amount_minor", name="paid_range"),
        CheckConstraint("(kind = 'penalty') = (from_date IS NOT NULL AND to_date IS NOT NULL)", name="days_of_penalty"),
        CheckConstraint("from_date < to_date", name="days_in_order"),
        CheckConstraint("(kind = 'fee') = (entered_by IS NOT NULL)", name="fee_by_somebody"),
    )

    charge_id: Mapped[str] = mapped_column(String, primary_key=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"))
    kind: Mapped[str] = mapped_column(String)
    reference: Mapped[str] = mapped_column(String)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    paid_minor: Mapped[int] = mapped_column(BigInteger)
    from_date: Mapped[date | None]
    to_date: Mapped[date | None]
    entered_by: Mapped[str | None] = mapped_column(String)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ChargePayment(Base):
    """What a charge got of a receipt."""

    __tablename__ = "charge_payment"
    __table_args__ = (CheckConstraint("amount_minor > 0", name="amount_positive"),)

    receipt_id: Mapped[str] = mapped_column(ForeignKey("receipt.receipt_id"), primary_key=True)
    charge_id: Mapped[str] = mapped_column(ForeignKey("charge.charge_id"), primary_key=True, index=True)
    amount_minor: Mapped[int] = mapped_column(BigInteger)


class WriteOff(Base):
    """A part of a claim that is given up. `funder_minor` of it its funder bears, its holder the rest.

    What is recovered comes back to them: the last write-off first. A holder that pays for recourse takes the funder's
    place, so that `funder_minor` falls.
    """

    __tablename__ = "write_off"
    __table_args__ = (
        CheckConstraint("cause IN ('small_difference', 'schedule', 'decision')", name="cause_known"),
        CheckConstraint("amount_minor > 0 AND funder_minor BETWEEN 0 AND amount_minor", name="funder_range"),
        CheckConstraint(
            "recovered_funder_minor BETWEEN 0 AND funder_minor "
            "AND recovered_minor - recovered_funder_minor BETWEEN 0 AND amount_minor - funder_minor",
            name="recovered_range",
        ),
        CheckConstraint("(funder_id IS NULL) = (pool_id IS NULL)", name="pool_of_funder"),
        CheckConstraint("funder_minor = 0 OR funder_id IS NOT NULL", name="funder_that_bears"),
        CheckConstraint("(cause = 'decision') = (decided_by IS NOT NULL)", name="decided_by_somebody"),
        CheckConstraint("approved_by <> decided_by", name="second_person"),
    )

    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    cause: Mapped[str] = mapped_column(String)
    reason: Mapped[str] = mapped_column(String)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    funder_minor: Mapped[int] = mapped_column(BigInteger)
    recovered_minor: Mapped[int] = mapped_column(BigInteger)
    recovered_funder_minor: Mapped[int] = mapped_column(BigInteger)
    funder_id: Mapped[str | None] = mapped_column(ForeignKey("funder.funder_id"))
    pool_id: Mapped[str | None] = mapped_column(ForeignKey("pool.pool_id"))
    holder_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    business_date: Mapped[date]
    decided_by: Mapped[str | None] = mapped_column(String)
    approved_by: Mapped[str | None] = mapped_column(String)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Recovery(Base):
    """What a receipt brought back of a write-off."""

    __tablename__ = "recovery"
    __table_args__ = (
        ForeignKeyConstraint(["asset_id", "number"], ["write_off.asset_id", "write_off.number"]),
        CheckConstraint("amount_minor > 0 AND funder_minor BETWEEN 0 AND amount_minor", name="funder_range"),
        Index("ix_recovery_asset_id", "asset_id", "number"),
    )

    receipt_id: Mapped[str] = mapped_column(ForeignKey("receipt.receipt_id"), primary_key=True)
    asset_id: Mapped[str] = mapped_column(String, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    funder_minor: Mapped[int] = mapped_column(BigInteger)


class Debt(Base):
    """What a company owes for an asset that it sold or handed on: for a credit note, or for the obligor's default.

    The creditor is a funder, or a company that holds the asset. What the obligor pays after all is `released`.
    """

    __tablename__ = "debt"
    __table_args__ = (
        CheckConstraint("cause IN ('dilution', 'default')", name="cause_known"),
        CheckConstraint("cause = 'dilution' OR funder_id IS NOT NULL", name="default_of_a_funder"),
        CheckConstraint("funder_id = creditor_id", name="creditor_is_the_funder"),
        CheckConstraint(
            "amount_minor > 0 AND paid_minor >= 0 AND released_minor >= 0 "
            "AND paid_minor + released_minor <= amount_minor",
            name="paid_range",
        ),
        CheckConstraint("debtor_id <> creditor_id", name="two_parties"),
        Index(
            "ix_debt_open",
            "debtor_id",
            "due_date",
            postgresql_where=text("paid_minor + released_minor < amount_minor"),
        ),
        Index("ix_debt_funder_id", "funder_id", "asset_id"),
    )

    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    cause: Mapped[str] = mapped_column(String, primary_key=True)
    reference: Mapped[str] = mapped_column(String, primary_key=True)
    creditor_id: Mapped[str] = mapped_column(String, primary_key=True)
    debtor_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    funder_id: Mapped[str | None] = mapped_column(ForeignKey("funder.funder_id"))
    currency: Mapped[str] = mapped_column(String(3))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    paid_minor: Mapped[int] = mapped_column(BigInteger)
    released_minor: Mapped[int] = mapped_column(BigInteger)
    due_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class RecourseCall(Base):
    """A company that handed a claim on with recourse, once the obligor is in default: `rank` is its place in the chain.

    Told once (`told_at`), from `due_on` on. `paid`: it has the claim for what is owed on it; `released`: owes nothing.
    """

    __tablename__ = "recourse_call"
    __table_args__ = (
        CheckConstraint("rank > 0 AND paid_minor >= 0", name="ranges"),
        CheckConstraint("outcome IN ('paid', 'released')", name="outcome_known"),
        CheckConstraint("(outcome IS NULL) = (ended_on IS NULL)", name="ended_with_an_outcome"),
        CheckConstraint("(paid_minor > 0) = (outcome IS NOT DISTINCT FROM 'paid')", name="paid_in_whole"),
        UniqueConstraint("asset_id", "debtor_id"),
        Index("ix_recourse_call_debtor", "debtor_id", postgresql_where=text("outcome IS NULL")),
        Index("ix_recourse_call_due", "due_on", postgresql_where=text("outcome IS NULL AND told_at IS NULL")),
    )

    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True)
    debtor_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    due_on: Mapped[date]
    told_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None] = mapped_column(String)
    ended_on: Mapped[date | None]
    paid_minor: Mapped[int] = mapped_column(BigInteger)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class BankAccount(Base):
    """A collection account at a bank: statements of others are refused. `table` names the columns of its CSV files."""

    __tablename__ = "bank_account"

    account: Mapped[str] = mapped_column(String, primary_key=True)
    currency: Mapped[str] = mapped_column(String(3))
    table: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    entered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class VirtualAccount(Base):
    """A number that a payer pays to and that says by itself what is paid: one asset, or whatever one company owes.

    Money that comes to it is on the collection account. A number that was closed is not given to anybody else.
    """

    __tablename__ = "virtual_account"
    __table_args__ = (
        CheckConstraint("(asset_id IS NULL) <> (company_id IS NULL)", name="of_one"),
        Index("ix_virtual_account_asset_id", "asset_id"),
        Index("ix_virtual_account_company_id", "company_id"),
    )

    number: Mapped[str] = mapped_column(String, primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("bank_account.account"))
    asset_id: Mapped[str | None] = mapped_column(ForeignKey("claim.asset_id"))
    company_id: Mapped[str | None] = mapped_column(ForeignKey("company.company_id"))
    entered_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    entered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


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
