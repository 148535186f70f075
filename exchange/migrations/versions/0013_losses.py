"""Losses: charges, debts for recourse, write-offs and what is recovered, disputes, repurchases.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

FUNDERS = """
INSERT INTO debt (asset_id, cause, reference, creditor_id, debtor_id, funder_id, currency, amount_minor, paid_minor,
                  released_minor, due_date, recorded_at)
SELECT note.asset_id, 'dilution', note.number, pool.funder_id, receivable.seller_id, pool.funder_id, claim.currency,
       note.shortfall_minor - note.paid_minor, 0, 0, note.issue_date, note.recorded_at
FROM credit_note AS note
JOIN claim ON claim.asset_id = note.asset_id
JOIN receivable ON receivable.asset_id = claim.root_id
JOIN LATERAL (
    SELECT pool_id FROM pool_asset
    WHERE pool_asset.asset_id = note.asset_id AND bought_on IS NOT NULL ORDER BY bought_on DESC LIMIT 1
) AS held ON true
JOIN pool ON pool.pool_id = held.pool_id
WHERE note.shortfall_minor > note.paid_minor
"""
"""What sellers owe to funders since credit notes that they could not pay."""
HOLDERS = """
INSERT INTO debt (asset_id, cause, reference, creditor_id, debtor_id, currency, amount_minor, paid_minor,
                  released_minor, due_date, recorded_at)
SELECT note.asset_id, 'dilution', note.number, claim.holder_id, receivable.seller_id, claim.currency,
       note.amount_minor - note.shortfall_minor, 0, 0, note.issue_date, note.recorded_at
FROM credit_note AS note
JOIN claim ON claim.asset_id = note.asset_id
JOIN receivable ON receivable.asset_id = claim.root_id
WHERE claim.holder_id <> receivable.seller_id AND note.amount_minor > note.shortfall_minor AND NOT EXISTS (
    SELECT FROM endorsement WHERE endorsement.asset_id = claim.asset_id AND endorsement.recorded_at > note.recorded_at
)
"""
"""The same to companies that had the asset by then."""


def upgrade() -> None:
    """Make the tables; what is owed already gets its rows."""
    _claims()
    _receipts()
    _policy()
    _charges()
    _write_offs()
    _recoveries()
    _requests()
    _debts()
    _disputes()
    _repurchases()
    op.execute(FUNDERS)
    op.execute(HOLDERS)


def _claims() -> None:
    op.add_column("claim", sa.Column("disputed", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    offered = "NOT disputed OR state NOT IN ('reserved', 'committed')"
    op.create_check_constraint(op.f("ck_claim_never_offered_disputed"), "claim", offered)
    zero = sa.text("0")
    op.add_column("pool_asset", sa.Column("written_off_minor", sa.BigInteger(), server_default=zero, nullable=False))
    op.add_column("pool_asset", sa.Column("charged_off_on", sa.Date(), nullable=True))
    for name in ("reductions", "due_not_negative"):
        op.drop_constraint(op.f(f"ck_pool_asset_{name}"), "pool_asset")
    reductions = "collected_minor >= 0 AND diluted_minor >= 0 AND written_off_minor >= 0"
    op.create_check_constraint(op.f("ck_pool_asset_reductions"), "pool_asset", reductions)
    due = "collected_minor + diluted_minor + written_off_minor <= price_minor + discount_minor"
    op.create_check_constraint(op.f("ck_pool_asset_due_not_negative"), "pool_asset", due)


def _receipts() -> None:
    zero = sa.text("0")
    for name in ("charged_minor", "recovered_minor"):
        op.add_column("receipt", sa.Column(name, sa.BigInteger(), server_default=zero, nullable=False))
    parts = "charged_minor >= 0 AND recovered_minor >= 0 AND charged_minor + recovered_minor <= applied_minor"
    op.create_check_constraint(op.f("ck_receipt_parts_of_applied"), "receipt", parts)


def _policy() -> None:
    op.create_table(
        "settlement_policy",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("originator_id", sa.String(), nullable=True),
        sa.Column("product", sa.String(), nullable=True),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "product IN ('procurement_credit', 'receivable_factoring', 'working_capital', 'equipment_lease')",
            name=op.f("ck_settlement_policy_product_known"),
        ),
        sa.ForeignKeyConstraint(
            ["originator_id"], ["originator.originator_id"], name=op.f("fk_settlement_policy_originator_id")
        ),
        sa.ForeignKeyConstraint(["set_by"], ["api_client.client_id"], name=op.f("fk_settlement_policy_set_by")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_settlement_policy")),
    )


def _charges() -> None:
    op.create_table(
        "charge",
        sa.Column("charge_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("from_date", sa.Date(), nullable=True),
        sa.Column("to_date", sa.Date(), nullable=True),
        sa.Column("entered_by", sa.String(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(kind = 'fee') = (entered_by IS NOT NULL)", name=op.f("ck_charge_fee_by_somebody")),
        sa.CheckConstraint(
            "(kind = 'penalty') = (from_date IS NOT NULL AND to_date IS NOT NULL)",
            name=op.f("ck_charge_days_of_penalty"),
        ),
        sa.CheckConstraint("kind IN ('fee', 'penalty')", name=op.f("ck_charge_kind_known")),
        sa.CheckConstraint(
            "amount_minor > 0 AND paid_minor BETWEEN 0 AND amount_minor", name=op.f("ck_charge_paid_range")
        ),
        sa.CheckConstraint("from_date < to_date", name=op.f("ck_charge_days_in_order")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_charge_asset_id")),
        sa.PrimaryKeyConstraint("charge_id", name=op.f("pk_charge")),
        sa.UniqueConstraint("asset_id", "kind", "reference", name=op.f("uq_charge_asset_id_kind_reference")),
    )
    op.create_table(
        "charge_payment",
        sa.Column("receipt_id", sa.String(), nullable=False),
        sa.Column("charge_id", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_charge_payment_amount_positive")),
        sa.ForeignKeyConstraint(["charge_id"], ["charge.charge_id"], name=op.f("fk_charge_payment_charge_id")),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipt.receipt_id"], name=op.f("fk_charge_payment_receipt_id")),
        sa.PrimaryKeyConstraint("receipt_id", "charge_id", name=op.f("pk_charge_payment")),
    )
    op.create_index(op.f("ix_charge_payment_charge_id"), "charge_payment", ["charge_id"], unique=False)


def _write_offs() -> None:
    op.create_table(
        "write_off",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("funder_minor", sa.BigInteger(), nullable=False),
        sa.Column("recovered_minor", sa.BigInteger(), nullable=False),
        sa.Column("recovered_funder_minor", sa.BigInteger(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=True),
        sa.Column("pool_id", sa.String(), nullable=True),
        sa.Column("holder_id", sa.String(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(cause = 'decision') = (decided_by IS NOT NULL)", name=op.f("ck_write_off_decided_by_somebody")
        ),
        sa.CheckConstraint(
            "cause IN ('small_difference', 'schedule', 'decision')", name=op.f("ck_write_off_cause_known")
        ),
        sa.CheckConstraint("(funder_id IS NULL) = (pool_id IS NULL)", name=op.f("ck_write_off_pool_of_funder")),
        sa.CheckConstraint(
            "amount_minor > 0 AND funder_minor BETWEEN 0 AND amount_minor", name=op.f("ck_write_off_funder_range")
        ),
        sa.CheckConstraint("approved_by <> decided_by", name=op.f("ck_write_off_second_person")),
        sa.CheckConstraint("funder_minor = 0 OR funder_id IS NOT NULL", name=op.f("ck_write_off_funder_that_bears")),
        sa.CheckConstraint(
            "recovered_funder_minor BETWEEN 0 AND funder_minor "
            "AND recovered_minor - recovered_funder_minor BETWEEN 0 AND amount_minor - funder_minor",
            name=op.f("ck_write_off_recovered_range"),
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_write_off_asset_id")),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_write_off_funder_id")),
        sa.ForeignKeyConstraint(["holder_id"], ["company.company_id"], name=op.f("fk_write_off_holder_id")),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.pool_id"], name=op.f("fk_write_off_pool_id")),
        sa.PrimaryKeyConstraint("asset_id", "number", name=op.f("pk_write_off")),
    )


def _recoveries() -> None:
    op.create_table(
        "recovery",
        sa.Column("receipt_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("funder_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "amount_minor > 0 AND funder_minor BETWEEN 0 AND amount_minor", name=op.f("ck_recovery_funder_range")
        ),
        sa.ForeignKeyConstraint(
            ["asset_id", "number"], ["write_off.asset_id", "write_off.number"], name=op.f("fk_recovery_asset_id_number")
        ),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipt.receipt_id"], name=op.f("fk_recovery_receipt_id")),
        sa.PrimaryKeyConstraint("receipt_id", "asset_id", "number", name=op.f("pk_recovery")),
    )
    op.create_index("ix_recovery_asset_id", "recovery", ["asset_id", "number"], unique=False)


def _requests() -> None:
    op.create_table(
        "write_off_request",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("outcome IN ('approved', 'declined')", name=op.f("ck_write_off_request_outcome_known")),
        sa.CheckConstraint(
            "(outcome IS NULL) = (decided_at IS NULL)", name=op.f("ck_write_off_request_decided_at_a_time")
        ),
        sa.CheckConstraint(
            "(outcome IS NULL) = (decided_by IS NULL)", name=op.f("ck_write_off_request_decided_by_somebody")
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_write_off_request_amount_positive")),
        sa.CheckConstraint("decided_by <> requested_by", name=op.f("ck_write_off_request_second_person")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_write_off_request_asset_id")),
        sa.ForeignKeyConstraint(["decided_by"], ["api_client.client_id"], name=op.f("fk_write_off_request_decided_by")),
        sa.ForeignKeyConstraint(
            ["requested_by"], ["api_client.client_id"], name=op.f("fk_write_off_request_requested_by")
        ),
        sa.PrimaryKeyConstraint("asset_id", "number", name=op.f("pk_write_off_request")),
    )
    op.create_index(
        "uq_write_off_request_open",
        "write_off_request",
        ["asset_id"],
        unique=True,
        postgresql_where=sa.text("outcome IS NULL"),
    )


def _debts() -> None:
    op.create_table(
        "debt",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("creditor_id", sa.String(), nullable=False),
        sa.Column("debtor_id", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("released_minor", sa.BigInteger(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("cause = 'dilution' OR funder_id IS NOT NULL", name=op.f("ck_debt_default_of_a_funder")),
        sa.CheckConstraint("cause IN ('dilution', 'default')", name=op.f("ck_debt_cause_known")),
        sa.CheckConstraint(
            "amount_minor > 0 AND paid_minor >= 0 AND released_minor >= 0 "
            "AND paid_minor + released_minor <= amount_minor",
            name=op.f("ck_debt_paid_range"),
        ),
        sa.CheckConstraint("debtor_id <> creditor_id", name=op.f("ck_debt_two_parties")),
        sa.CheckConstraint("funder_id = creditor_id", name=op.f("ck_debt_creditor_is_the_funder")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_debt_asset_id")),
        sa.ForeignKeyConstraint(["debtor_id"], ["company.company_id"], name=op.f("fk_debt_debtor_id")),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_debt_funder_id")),
        sa.PrimaryKeyConstraint("asset_id", "cause", "reference", "creditor_id", name=op.f("pk_debt")),
    )
    op.create_index("ix_debt_funder_id", "debt", ["funder_id", "asset_id"], unique=False)
    op.create_index(
        "ix_debt_open",
        "debt",
        ["debtor_id", "due_date"],
        unique=False,
        postgresql_where=sa.text("paid_minor + released_minor < amount_minor"),
    )


def _disputes() -> None:
    op.create_table(
        "dispute",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("statement", sa.String(), nullable=False),
        sa.Column("opened_by", sa.String(), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("credited_minor", sa.BigInteger(), nullable=False),
        sa.Column("note_number", sa.String(), nullable=True),
        sa.Column("finding", sa.String(), nullable=True),
        sa.Column("resolved_by", sa.String(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(outcome IN ('upheld', 'partly_upheld')) = (note_number IS NOT NULL)",
            name=op.f("ck_dispute_note_of_upheld"),
        ),
        sa.CheckConstraint("outcome IN ('rejected', 'upheld', 'partly_upheld')", name=op.f("ck_dispute_outcome_known")),
        sa.CheckConstraint("(outcome IS NULL) = (finding IS NULL)", name=op.f("ck_dispute_finding_of_outcome")),
        sa.CheckConstraint("(outcome IS NULL) = (resolved_at IS NULL)", name=op.f("ck_dispute_resolved_at_a_time")),
        sa.CheckConstraint("(outcome IS NULL) = (resolved_by IS NULL)", name=op.f("ck_dispute_resolved_by_somebody")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_dispute_amount_positive")),
        sa.CheckConstraint("credited_minor BETWEEN 0 AND amount_minor", name=op.f("ck_dispute_credited_range")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_dispute_asset_id")),
        sa.PrimaryKeyConstraint("asset_id", "number", name=op.f("pk_dispute")),
    )
    op.create_index(
        "ix_dispute_open", "dispute", ["asset_id"], unique=False, postgresql_where=sa.text("outcome IS NULL")
    )


def _repurchases() -> None:
    op.create_table(
        "repurchase",
        sa.Column("repurchase_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("holder_id", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=True),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_on", sa.Date(), nullable=True),
        sa.CheckConstraint("(state = 'done') = (done_on IS NOT NULL)", name=op.f("ck_repurchase_day_when_done")),
        sa.CheckConstraint("(state = 'done') = (price_minor IS NOT NULL)", name=op.f("ck_repurchase_price_when_done")),
        sa.CheckConstraint("(state = 'refused') = (answer IS NOT NULL)", name=op.f("ck_repurchase_reason_of_refusal")),
        sa.CheckConstraint("cause IN ('agreement', 'recourse')", name=op.f("ck_repurchase_cause_known")),
        sa.CheckConstraint(
            "state <> 'refused' OR answered_by IS NOT NULL", name=op.f("ck_repurchase_refused_by_somebody")
        ),
        sa.CheckConstraint("state IN ('proposed', 'done', 'refused')", name=op.f("ck_repurchase_state_known")),
        sa.CheckConstraint(
            "(answered_by IS NULL) = (answered_at IS NULL)", name=op.f("ck_repurchase_answered_at_a_time")
        ),
        sa.CheckConstraint("price_minor >= 0", name=op.f("ck_repurchase_price_not_negative")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_repurchase_asset_id")),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_repurchase_funder_id")),
        sa.ForeignKeyConstraint(["holder_id"], ["company.company_id"], name=op.f("fk_repurchase_holder_id")),
        sa.PrimaryKeyConstraint("repurchase_id", name=op.f("pk_repurchase")),
    )
    op.create_index("ix_repurchase_asset_id", "repurchase", ["asset_id"], unique=False)
    op.create_index("ix_repurchase_funder_id", "repurchase", ["funder_id", "repurchase_id"], unique=False)
    op.create_index(
        "uq_repurchase_proposed",
        "repurchase",
        ["asset_id"],
        unique=True,
        postgresql_where=sa.text("state = 'proposed'"),
    )
