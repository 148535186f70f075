"""Payments out, the accounts they go to, the files they go in; money that did not come; virtual accounts.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SEALED = """
CREATE TRIGGER payment_step_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON payment_step
    FOR EACH STATEMENT EXECUTE FUNCTION books_refuse_change()
"""


def upgrade() -> None:
    """Make the tables, and seal the steps of payments."""
    _refunds()
    _policy()
    _accounts()
    _files()
    _payments()
    _steps()
    _advices()
    _alarms()
    _virtual_accounts()
    op.execute(SEALED)


def _refunds() -> None:
    op.add_column("receipt", sa.Column("refunded_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.create_check_constraint(
        op.f("ck_receipt_refunded_range"), "receipt", "refunded_minor BETWEEN 0 AND amount_minor - applied_minor"
    )
    op.create_check_constraint(
        op.f("ck_receipt_refunded_while_it_stands"), "receipt", "refunded_minor = 0 OR reversed_on IS NULL"
    )


def _policy() -> None:
    op.create_table(
        "payment_policy",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["set_by"], ["api_client.client_id"], name=op.f("fk_payment_policy_set_by")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_payment_policy")),
    )


def _accounts() -> None:
    op.create_table(
        "payout_account",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("party_id", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("holder_name", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("entered_by", sa.String(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("usable_from", sa.Date(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_reason", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(coalesce(outcome, '') = 'approved') = (usable_from IS NOT NULL)",
            name=op.f("ck_payout_account_usable_if_approved"),
        ),
        sa.CheckConstraint(
            "(coalesce(outcome, '') = 'declined') <= (reason IS NOT NULL)",
            name=op.f("ck_payout_account_reason_of_declining"),
        ),
        sa.CheckConstraint("outcome IN ('approved', 'declined')", name=op.f("ck_payout_account_outcome_known")),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (closed_reason IS NULL)", name=op.f("ck_payout_account_closed_for_a_reason")
        ),
        sa.CheckConstraint(
            "(outcome IS NULL) = (decided_at IS NULL)", name=op.f("ck_payout_account_decided_at_a_time")
        ),
        sa.CheckConstraint(
            "(outcome IS NULL) = (decided_by IS NULL)", name=op.f("ck_payout_account_decided_by_somebody")
        ),
        sa.CheckConstraint("decided_by <> entered_by", name=op.f("ck_payout_account_four_eyes")),
        sa.ForeignKeyConstraint(["decided_by"], ["api_client.client_id"], name=op.f("fk_payout_account_decided_by")),
        sa.ForeignKeyConstraint(["entered_by"], ["api_client.client_id"], name=op.f("fk_payout_account_entered_by")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_payout_account")),
        sa.UniqueConstraint(
            "account_id", "party_id", "currency", name=op.f("uq_payout_account_account_id_party_id_currency")
        ),
    )
    _account_indexes()


def _account_indexes() -> None:
    op.create_index(
        op.f("ix_payout_account_in_force"),
        "payout_account",
        ["party_id", "currency", "usable_from"],
        postgresql_where=sa.text("outcome = 'approved' AND closed_at IS NULL"),
    )
    op.create_index(
        op.f("uq_payout_account_awaited"),
        "payout_account",
        ["party_id", "currency"],
        unique=True,
        postgresql_where=sa.text("outcome IS NULL AND closed_at IS NULL"),
    )


def _files() -> None:
    op.create_table(
        "payment_file",
        sa.Column("file_id", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(length=35), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("payment_count", sa.Integer(), nullable=False),
        sa.Column("sum_minor", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("made_by", sa.String(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("payment_count > 0 AND sum_minor > 0", name=op.f("ck_payment_file_not_empty")),
        sa.ForeignKeyConstraint(["account"], ["bank_account.account"], name=op.f("fk_payment_file_account")),
        sa.ForeignKeyConstraint(["made_by"], ["api_client.client_id"], name=op.f("fk_payment_file_made_by")),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_payment_file")),
        sa.UniqueConstraint("message_id", name=op.f("uq_payment_file_message_id")),
    )
    op.create_index(op.f("ix_payment_file_account"), "payment_file", ["account", "file_id"])
    op.create_table(
        "payment_answer",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("file_id", sa.String(), nullable=False),
        sa.Column("moved", sa.Integer(), nullable=False),
        sa.Column("entered_by", sa.String(), nullable=True),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["entered_by"], ["api_client.client_id"], name=op.f("fk_payment_answer_entered_by")),
        sa.ForeignKeyConstraint(["file_id"], ["payment_file.file_id"], name=op.f("fk_payment_answer_file_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_payment_answer")),
    )
    op.create_index(op.f("ix_payment_answer_file_id"), "payment_answer", ["file_id"])


def _payments() -> None:
    op.create_table(
        "payment",
        *_payment_columns(),
        *_payment_checks(),
        sa.ForeignKeyConstraint(
            ["account_id", "party_id", "currency"],
            ["payout_account.account_id", "payout_account.party_id", "payout_account.currency"],
            name=op.f("fk_payment_account_id_party_id_currency"),
        ),
        sa.ForeignKeyConstraint(["file_id"], ["payment_file.file_id"], name=op.f("fk_payment_file_id")),
        sa.ForeignKeyConstraint(["line_id"], ["bank_line.line_id"], name=op.f("fk_payment_line_id")),
        sa.ForeignKeyConstraint(["proposed_by"], ["api_client.client_id"], name=op.f("fk_payment_proposed_by")),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipt.receipt_id"], name=op.f("fk_payment_receipt_id")),
        sa.ForeignKeyConstraint(["return_line_id"], ["bank_line.line_id"], name=op.f("fk_payment_return_line_id")),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_payment")),
        sa.UniqueConstraint("line_id", name=op.f("uq_payment_line_id")),
        sa.UniqueConstraint("return_line_id", name=op.f("uq_payment_return_line_id")),
    )
    _payment_indexes()


def _payment_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("payment_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("party_id", sa.String(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=True),
        sa.Column("receipt_id", sa.String(), nullable=True),
        sa.Column("creditor_name", sa.String(), nullable=False),
        sa.Column("creditor_account", sa.String(), nullable=False),
        sa.Column("creditor_agent", sa.String(), nullable=False),
        sa.Column("needs_second", sa.Boolean(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=True),
        sa.Column("proposed_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("execution_date", sa.Date(), nullable=True),
        sa.Column("file_id", sa.String(), nullable=True),
        sa.Column("line_id", sa.String(), nullable=True),
        sa.Column("return_line_id", sa.String(), nullable=True),
    ]


def _payment_checks() -> list[sa.CheckConstraint]:
    return [
        sa.CheckConstraint("(kind = 'refund') = (party_id IS NULL)", name=op.f("ck_payment_party_unless_refund")),
        sa.CheckConstraint("(kind = 'refund') = (receipt_id IS NOT NULL)", name=op.f("ck_payment_receipt_of_refund")),
        sa.CheckConstraint(
            "(state IN ('instructed', 'in_transit', 'paid', 'failed', 'returned')) = (file_id IS NOT NULL)",
            name=op.f("ck_payment_file_once_instructed"),
        ),
        sa.CheckConstraint("kind IN ('price', 'withdrawal', 'refund')", name=op.f("ck_payment_kind_known")),
        sa.CheckConstraint("line_id IS NULL OR state IN ('paid', 'returned')", name=op.f("ck_payment_line_of_paid")),
        sa.CheckConstraint("return_line_id IS NULL OR state = 'returned'", name=op.f("ck_payment_line_of_returned")),
        sa.CheckConstraint(
            "state <> 'scheduled' OR execution_date IS NOT NULL", name=op.f("ck_payment_date_once_scheduled")
        ),
        sa.CheckConstraint(
            "state IN ('proposed', 'approved', 'scheduled', 'instructed', 'in_transit', 'paid', 'failed', 'cancelled', "
            "'returned')",
            name=op.f("ck_payment_state_known"),
        ),
        sa.CheckConstraint("(account_id IS NULL) = (party_id IS NULL)", name=op.f("ck_payment_account_of_party")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_amount_positive")),
    ]


def _payment_indexes() -> None:
    op.create_index(op.f("ix_payment_account_id"), "payment", ["account_id"])
    op.create_index(op.f("ix_payment_file_id"), "payment", ["file_id"])
    op.create_index(op.f("ix_payment_party"), "payment", ["party_id", "currency", "payment_id"])
    op.create_index(op.f("ix_payment_receipt_id"), "payment", ["receipt_id"])
    op.create_index(op.f("ix_payment_state"), "payment", ["state", "payment_id"])
    op.create_index(
        op.f("ix_payment_to_instruct"),
        "payment",
        ["currency", "execution_date", "payment_id"],
        postgresql_where=sa.text("state = 'scheduled'"),
    )


def _steps() -> None:
    op.create_table(
        "payment_step",
        sa.Column("payment_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("taken_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("effective_date", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.payment_id"], name=op.f("fk_payment_step_payment_id")),
        sa.PrimaryKeyConstraint("payment_id", "number", name=op.f("pk_payment_step")),
        sa.UniqueConstraint("payment_id", "state", name=op.f("uq_payment_step_payment_id_state")),
    )


def _advices() -> None:
    op.create_table(
        "payment_advice",
        sa.Column("advice_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("expected_by", sa.Date(), nullable=False),
        sa.Column("said_by", sa.String(), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("covered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_advice_amount_positive")),
        sa.CheckConstraint("expected_by >= paid_on", name=op.f("ck_payment_advice_expected_later")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_payment_advice_asset_id")),
        sa.ForeignKeyConstraint(["said_by"], ["api_client.client_id"], name=op.f("fk_payment_advice_said_by")),
        sa.PrimaryKeyConstraint("advice_id", name=op.f("pk_payment_advice")),
    )
    op.create_index(op.f("ix_payment_advice_asset_id"), "payment_advice", ["asset_id", "paid_on"])
    op.create_index(
        op.f("ix_payment_advice_open"),
        "payment_advice",
        ["expected_by"],
        postgresql_where=sa.text("covered_at IS NULL"),
    )


def _alarms() -> None:
    op.create_table(
        "money_alarm",
        sa.Column("alarm_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("originator_id", sa.String(), nullable=False),
        sa.Column("advice_id", sa.String(), nullable=True),
        sa.Column("asset_id", sa.String(), nullable=True),
        sa.Column("raised_on", sa.Date(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("numbers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_reason", sa.String(), nullable=True),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(kind = 'late_share') = (advice_id IS NULL)", name=op.f("ck_money_alarm_advice_of_kind")),
        sa.CheckConstraint(
            "kind IN ('missing_receipt', 'wrong_account', 'late_share')", name=op.f("ck_money_alarm_kind_known")
        ),
        sa.CheckConstraint(
            "(acknowledged_by IS NULL) = (acknowledged_at IS NULL)", name=op.f("ck_money_alarm_acknowledged_at_a_time")
        ),
        sa.CheckConstraint(
            "(acknowledged_by IS NULL) = (acknowledged_reason IS NULL)",
            name=op.f("ck_money_alarm_acknowledged_for_a_reason"),
        ),
        sa.CheckConstraint("(advice_id IS NULL) = (asset_id IS NULL)", name=op.f("ck_money_alarm_asset_of_advice")),
        sa.ForeignKeyConstraint(
            ["acknowledged_by"], ["api_client.client_id"], name=op.f("fk_money_alarm_acknowledged_by")
        ),
        sa.ForeignKeyConstraint(["advice_id"], ["payment_advice.advice_id"], name=op.f("fk_money_alarm_advice_id")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_money_alarm_asset_id")),
        sa.ForeignKeyConstraint(
            ["originator_id"], ["originator.originator_id"], name=op.f("fk_money_alarm_originator_id")
        ),
        sa.PrimaryKeyConstraint("alarm_id", name=op.f("pk_money_alarm")),
        sa.UniqueConstraint("advice_id", "kind", name=op.f("uq_money_alarm_advice_id_kind")),
    )
    op.create_index(op.f("ix_money_alarm_asset_id"), "money_alarm", ["asset_id"])
    op.create_index(op.f("ix_money_alarm_originator_id"), "money_alarm", ["originator_id", "alarm_id"])
    op.create_index(
        op.f("uq_money_alarm_open"),
        "money_alarm",
        ["originator_id"],
        unique=True,
        postgresql_where=sa.text("kind = 'late_share' AND cleared_at IS NULL"),
    )


def _virtual_accounts() -> None:
    op.create_table(
        "virtual_account",
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=True),
        sa.Column("company_id", sa.String(), nullable=True),
        sa.Column("entered_by", sa.String(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(asset_id IS NULL) <> (company_id IS NULL)", name=op.f("ck_virtual_account_of_one")),
        sa.ForeignKeyConstraint(["account"], ["bank_account.account"], name=op.f("fk_virtual_account_account")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_virtual_account_asset_id")),
        sa.ForeignKeyConstraint(["company_id"], ["company.company_id"], name=op.f("fk_virtual_account_company_id")),
        sa.ForeignKeyConstraint(["entered_by"], ["api_client.client_id"], name=op.f("fk_virtual_account_entered_by")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_virtual_account")),
    )
    op.create_index(op.f("ix_virtual_account_asset_id"), "virtual_account", ["asset_id"])
    op.create_index(op.f("ix_virtual_account_company_id"), "virtual_account", ["company_id"])
