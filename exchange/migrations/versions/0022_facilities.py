"""Pools with tranches.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

SEALED = ("facility_fact", "facility_day", "facility_loss", "distribution", "servicer_report", "tranche_movement")


def upgrade() -> None:
    """Make the tables; facts, days, losses, distributions and movements are only added."""
    _facilities()
    _tranches()
    _capital()
    _pools()
    for table in SEALED:
        op.execute(
            f"CREATE TRIGGER {table}_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION log_is_sealed()"
        )


def _facilities() -> None:
    op.create_table(
        "facility",
        sa.Column("facility_id", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("mandate_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["api_client.client_id"], name=op.f("fk_facility_created_by")),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_facility_funder_id")),
        sa.PrimaryKeyConstraint("facility_id", name=op.f("pk_facility")),
        sa.UniqueConstraint("funder_id", name=op.f("uq_facility_funder_id")),
        sa.UniqueConstraint("mandate_id", name=op.f("uq_facility_mandate_id")),
    )
    op.create_table(
        "servicer_report",
        sa.Column("originator_id", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("report_date", sa.Date(), nullable=False),
        sa.Column("asset_count", sa.Integer(), nullable=False),
        sa.Column("outstanding_minor", sa.BigInteger(), nullable=False),
        sa.Column("known_count", sa.Integer(), nullable=False),
        sa.Column("known_minor", sa.BigInteger(), nullable=False),
        sa.Column("reported_by", sa.String(), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("asset_count >= 0 AND outstanding_minor >= 0", name=op.f("ck_servicer_report_not_negative")),
        sa.ForeignKeyConstraint(
            ["originator_id"], ["originator.originator_id"], name=op.f("fk_servicer_report_originator_id")
        ),
        sa.ForeignKeyConstraint(["reported_by"], ["api_client.client_id"], name=op.f("fk_servicer_report_reported_by")),
        sa.PrimaryKeyConstraint("originator_id", "currency", "report_date", name=op.f("pk_servicer_report")),
    )
    op.create_table(
        "distribution",
        sa.Column("facility_id", sa.String(), nullable=False),
        sa.Column("payment_date", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("available_minor", sa.BigInteger(), nullable=False),
        sa.Column("profit_minor", sa.BigInteger(), nullable=False),
        sa.Column("fees_minor", sa.BigInteger(), nullable=False),
        sa.Column("waterfall", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "available_minor >= 0 AND profit_minor BETWEEN 0 AND available_minor",
            name=op.f("ck_distribution_profit_range"),
        ),
        sa.CheckConstraint("fees_minor >= 0", name=op.f("ck_distribution_fees_not_negative")),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.facility_id"], name=op.f("fk_distribution_facility_id")),
        sa.PrimaryKeyConstraint("facility_id", "payment_date", name=op.f("pk_distribution")),
    )
    op.create_table(
        "facility_day",
        sa.Column("facility_id", sa.String(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("figures", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.facility_id"], name=op.f("fk_facility_day_facility_id")),
        sa.PrimaryKeyConstraint("facility_id", "business_date", name=op.f("pk_facility_day")),
    )
    op.create_table(
        "facility_fact",
        sa.Column("facility_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("axis", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("test", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("numbers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(axis = 'trigger') = (test IS NOT NULL)", name=op.f("ck_facility_fact_test_of_trigger")),
        sa.CheckConstraint(
            "axis <> 'health' OR value IN ('healthy', 'unhealthy')", name=op.f("ck_facility_fact_health_known")
        ),
        sa.CheckConstraint(
            "axis <> 'state' OR value IN ('warehousing', 'revolving', 'amortising', 'accelerated', 'closed')",
            name=op.f("ck_facility_fact_state_known"),
        ),
        sa.CheckConstraint(
            "axis <> 'trigger' OR value IN ('raised', 'cleared')", name=op.f("ck_facility_fact_trigger_known")
        ),
        sa.CheckConstraint("axis IN ('state', 'health', 'trigger')", name=op.f("ck_facility_fact_axis_known")),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.facility_id"], name=op.f("fk_facility_fact_facility_id")),
        sa.PrimaryKeyConstraint("facility_id", "number", name=op.f("pk_facility_fact")),
    )
    op.create_table(
        "facility_rules",
        sa.Column("facility_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("announced_on", sa.Date(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("applied_on", sa.Date(), nullable=True),
        sa.Column("withdrawn_on", sa.Date(), nullable=True),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("applied_on >= effective_on", name=op.f("ck_facility_rules_applied_after")),
        sa.CheckConstraint(
            "applied_on IS NULL OR withdrawn_on IS NULL", name=op.f("ck_facility_rules_applied_or_withdrawn")
        ),
        sa.CheckConstraint("effective_on >= announced_on", name=op.f("ck_facility_rules_announced_before")),
        sa.CheckConstraint("version > 0", name=op.f("ck_facility_rules_version_from_one")),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.facility_id"], name=op.f("fk_facility_rules_facility_id")),
        sa.ForeignKeyConstraint(["set_by"], ["api_client.client_id"], name=op.f("fk_facility_rules_set_by")),
        sa.PrimaryKeyConstraint("facility_id", "version", name=op.f("pk_facility_rules")),
    )
    op.create_index(
        "uq_facility_rules_waiting",
        "facility_rules",
        ["facility_id"],
        unique=True,
        postgresql_where=sa.text("applied_on IS NULL AND withdrawn_on IS NULL"),
    )
    op.create_table(
        "facility_loss",
        sa.Column("facility_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("parts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_facility_loss_amount_not_zero")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_facility_loss_asset_id")),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.facility_id"], name=op.f("fk_facility_loss_facility_id")),
        sa.PrimaryKeyConstraint("facility_id", "asset_id", "number", name=op.f("pk_facility_loss")),
    )


def _tranches() -> None:
    op.create_table(
        "tranche",
        sa.Column("tranche_id", sa.String(), nullable=False),
        sa.Column("facility_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("size_minor", sa.BigInteger(), nullable=False),
        sa.Column("rate_bps", sa.Integer(), nullable=False),
        sa.Column("day_count", sa.String(), nullable=False),
        sa.Column("min_subordination_bps", sa.Integer(), nullable=False),
        sa.Column("per_loss_minor", sa.BigInteger(), nullable=True),
        sa.Column("per_loss_ppm", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "kind = 'cover' OR (per_loss_minor IS NULL AND per_loss_ppm IS NULL)",
            name=op.f("ck_tranche_caps_of_a_cover"),
        ),
        sa.CheckConstraint("kind IN ('tranche', 'cover')", name=op.f("ck_tranche_kind_known")),
        sa.CheckConstraint("min_subordination_bps BETWEEN 0 AND 9999", name=op.f("ck_tranche_subordination_range")),
        sa.CheckConstraint("rank > 0 AND rate_bps >= 0", name=op.f("ck_tranche_rank_and_rate")),
        sa.CheckConstraint("size_minor > 0", name=op.f("ck_tranche_size_positive")),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.facility_id"], name=op.f("fk_tranche_facility_id")),
        sa.PrimaryKeyConstraint("tranche_id", name=op.f("pk_tranche")),
    )
    op.create_index("uq_tranche_name", "tranche", ["facility_id", "name"], unique=True)
    op.create_index("uq_tranche_rank", "tranche", ["facility_id", "rank"], unique=True)
    op.create_table(
        "tranche_holding",
        sa.Column("tranche_id", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("committed_minor", sa.BigInteger(), nullable=False),
        sa.Column("principal_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lost_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("interest_paid_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "principal_minor + lost_minor <= committed_minor", name=op.f("ck_tranche_holding_within_commitment")
        ),
        sa.CheckConstraint(
            "principal_minor >= 0 AND lost_minor >= 0 AND interest_paid_minor >= 0",
            name=op.f("ck_tranche_holding_not_negative"),
        ),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_tranche_holding_funder_id")),
        sa.ForeignKeyConstraint(["tranche_id"], ["tranche.tranche_id"], name=op.f("fk_tranche_holding_tranche_id")),
        sa.PrimaryKeyConstraint("tranche_id", "funder_id", name=op.f("pk_tranche_holding")),
    )
    op.create_index("ix_tranche_holding_funder_id", "tranche_holding", ["funder_id"], unique=False)
    op.create_table(
        "tranche_movement",
        sa.Column("tranche_id", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("transfer", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('paid_in', 'repaid', 'lost', 'restored', 'interest', 'surplus')",
            name=op.f("ck_tranche_movement_kind_known"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_tranche_movement_amount_positive")),
        sa.ForeignKeyConstraint(
            ["tranche_id", "funder_id"],
            ["tranche_holding.tranche_id", "tranche_holding.funder_id"],
            name=op.f("fk_tranche_movement_tranche_id_funder_id"),
        ),
        sa.PrimaryKeyConstraint("tranche_id", "funder_id", "number", name=op.f("pk_tranche_movement")),
    )


def _capital() -> None:
    op.create_table(
        "capital_call",
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("tranche_id", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("called_on", sa.Date(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("called_by", sa.String(), nullable=False),
        sa.Column("called_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_capital_call_amount_positive")),
        sa.CheckConstraint("due_date >= called_on", name=op.f("ck_capital_call_due_later")),
        sa.ForeignKeyConstraint(["called_by"], ["api_client.client_id"], name=op.f("fk_capital_call_called_by")),
        sa.ForeignKeyConstraint(["tranche_id"], ["tranche.tranche_id"], name=op.f("fk_capital_call_tranche_id")),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_capital_call")),
    )
    op.create_index("ix_capital_call_tranche_id", "capital_call", ["tranche_id", "call_id"], unique=False)
    op.create_table(
        "called_share",
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_called_share_amount_positive")),
        sa.ForeignKeyConstraint(["call_id"], ["capital_call.call_id"], name=op.f("fk_called_share_call_id")),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_called_share_funder_id")),
        sa.PrimaryKeyConstraint("call_id", "funder_id", name=op.f("pk_called_share")),
    )
    op.create_index("ix_called_share_funder_id", "called_share", ["funder_id", "call_id"], unique=False)
    op.create_table(
        "redemption",
        sa.Column("redemption_id", sa.String(), nullable=False),
        sa.Column("tranche_id", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("asked_on", sa.Date(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "(coalesce(outcome, '') = 'paid') = (paid_minor = amount_minor)", name=op.f("ck_redemption_paid_in_full")
        ),
        sa.CheckConstraint("outcome IN ('paid', 'withdrawn', 'superseded')", name=op.f("ck_redemption_outcome_known")),
        sa.CheckConstraint("(outcome IS NULL) = (ended_on IS NULL)", name=op.f("ck_redemption_ended_on_a_day")),
        sa.CheckConstraint(
            "amount_minor > 0 AND paid_minor BETWEEN 0 AND amount_minor", name=op.f("ck_redemption_paid_range")
        ),
        sa.ForeignKeyConstraint(
            ["tranche_id", "funder_id"],
            ["tranche_holding.tranche_id", "tranche_holding.funder_id"],
            name=op.f("fk_redemption_tranche_id_funder_id"),
        ),
        sa.PrimaryKeyConstraint("redemption_id", name=op.f("pk_redemption")),
    )
    op.create_index(
        "ix_redemption_open", "redemption", ["tranche_id"], unique=False, postgresql_where=sa.text("outcome IS NULL")
    )
    op.create_index(
        "ix_redemption_tranche_id", "redemption", ["tranche_id", "funder_id", "redemption_id"], unique=False
    )


def _pools() -> None:
    op.create_index(
        "ix_pool_asset_mandate_lost",
        "pool_asset",
        ["mandate_id"],
        unique=False,
        postgresql_where=sa.text("written_off_minor > 0"),
    )
    op.create_index(
        "ix_pool_asset_mandate_released",
        "pool_asset",
        ["mandate_id", "released_at"],
        unique=False,
        postgresql_where=sa.text("released_at IS NOT NULL"),
    )
