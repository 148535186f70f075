"""Facts about companies, reviews, ratings.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "obligor_rating",
        sa.Column("obligor", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.Integer(), nullable=False),
        sa.Column("rated_on", sa.Date(), nullable=False),
        sa.Column("pd_ppm", sa.Integer(), nullable=False),
        sa.Column("grade", sa.Integer(), nullable=False),
        sa.Column("grade_name", sa.String(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("model_version", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("rated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("pd_ppm BETWEEN 0 AND 1000000", name=op.f("ck_obligor_rating_pd_range")),
        sa.PrimaryKeyConstraint("obligor", "change", name=op.f("pk_obligor_rating")),
    )
    op.create_index("ix_obligor_rating_rated_on", "obligor_rating", ["rated_on", "obligor"], unique=False)
    op.create_table(
        "fact_policy",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["set_by"], ["api_client.client_id"], name=op.f("fk_fact_policy_set_by")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_fact_policy")),
    )
    op.create_table(
        "review_policy",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["set_by"], ["api_client.client_id"], name=op.f("fk_review_policy_set_by")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_review_policy")),
    )
    op.create_table(
        "company_fact",
        sa.Column("fact_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("company_id", sa.String(), nullable=True),
        sa.Column("counterparty_id", sa.String(), nullable=True),
        sa.Column("controller_id", sa.String(), nullable=True),
        sa.Column("series", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("teller", sa.String(), nullable=False),
        sa.Column("effective_date", sa.Date(), nullable=False),
        sa.Column("place", sa.LargeBinary(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("corrects", sa.String(), nullable=True),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("told_by", sa.String(), nullable=False),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "NOT withdrawn OR (corrects IS NOT NULL AND reason IS NOT NULL)",
            name=op.f("ck_company_fact_reason_of_withdrawal"),
        ),
        sa.CheckConstraint("counterparty_id <> company_id", name=op.f("ck_company_fact_two_companies")),
        sa.CheckConstraint(
            "num_nonnulls(company_id, controller_id, series) > 0", name=op.f("ck_company_fact_about_something")
        ),
        sa.CheckConstraint(
            "series IS NULL OR num_nonnulls(company_id, controller_id, counterparty_id) = 0",
            name=op.f("ck_company_fact_series_alone"),
        ),
        sa.ForeignKeyConstraint(["company_id"], ["company.company_id"], name=op.f("fk_company_fact_company_id")),
        sa.ForeignKeyConstraint(
            ["controller_id"], ["controller.controller_id"], name=op.f("fk_company_fact_controller_id")
        ),
        sa.ForeignKeyConstraint(["corrects"], ["company_fact.fact_id"], name=op.f("fk_company_fact_corrects")),
        sa.ForeignKeyConstraint(
            ["counterparty_id"], ["company.company_id"], name=op.f("fk_company_fact_counterparty_id")
        ),
        sa.ForeignKeyConstraint(["told_by"], ["api_client.client_id"], name=op.f("fk_company_fact_told_by")),
        sa.PrimaryKeyConstraint("fact_id", name=op.f("pk_company_fact")),
    )
    op.create_index(
        "ix_company_fact_company_id", "company_fact", ["company_id", "kind", "effective_date"], unique=False
    )
    op.create_index(
        "ix_company_fact_controller_id", "company_fact", ["controller_id", "kind", "effective_date"], unique=False
    )
    op.create_index(
        "ix_company_fact_counterparty_id", "company_fact", ["counterparty_id", "kind", "effective_date"], unique=False
    )
    op.create_index("ix_company_fact_series", "company_fact", ["series", "effective_date"], unique=False)
    op.create_index("uq_company_fact_corrects", "company_fact", ["corrects"], unique=True)
    op.create_index(
        "uq_company_fact_place", "company_fact", ["place"], unique=True, postgresql_where=sa.text("corrects IS NULL")
    )
    op.create_table(
        "rating_grant",
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("company_id", sa.String(), nullable=True),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("consent", sa.String(length=64), nullable=False),
        sa.Column("from_date", sa.Date(), nullable=False),
        sa.Column("until_date", sa.Date(), nullable=False),
        sa.Column("granted_by", sa.String(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoke_reason", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(revoked_at IS NULL) = (revoke_reason IS NULL)", name=op.f("ck_rating_grant_reason_of_revoking")
        ),
        sa.CheckConstraint("until_date >= from_date", name=op.f("ck_rating_grant_until_after_from")),
        sa.ForeignKeyConstraint(["company_id"], ["company.company_id"], name=op.f("fk_rating_grant_company_id")),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_rating_grant_funder_id")),
        sa.ForeignKeyConstraint(["granted_by"], ["api_client.client_id"], name=op.f("fk_rating_grant_granted_by")),
        sa.PrimaryKeyConstraint("grant_id", name=op.f("pk_rating_grant")),
    )
    op.create_index("ix_rating_grant_funder_id", "rating_grant", ["funder_id", "grant_id"], unique=False)
    op.create_table(
        "rating_access",
        sa.Column("access_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=True),
        sa.Column("company_id", sa.String(), nullable=True),
        sa.Column("grant_id", sa.String(), nullable=True),
        sa.Column("asked", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["api_client.client_id"], name=op.f("fk_rating_access_client_id")),
        sa.ForeignKeyConstraint(["company_id"], ["company.company_id"], name=op.f("fk_rating_access_company_id")),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_rating_access_funder_id")),
        sa.ForeignKeyConstraint(["grant_id"], ["rating_grant.grant_id"], name=op.f("fk_rating_access_grant_id")),
        sa.PrimaryKeyConstraint("access_id", name=op.f("pk_rating_access")),
    )
    op.create_index("ix_rating_access_company_id", "rating_access", ["company_id", "access_id"], unique=False)
    op.create_table(
        "review_item",
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("company_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=True),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("found_on", sa.Date(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("severity <> 'block' OR asset_id IS NOT NULL", name=op.f("ck_review_item_asset_of_block")),
        sa.CheckConstraint("severity IN ('block', 'work', 'note')", name=op.f("ck_review_item_severity_known")),
        sa.ForeignKeyConstraint(["asset_id"], ["receivable.asset_id"], name=op.f("fk_review_item_asset_id")),
        sa.ForeignKeyConstraint(["company_id"], ["company.company_id"], name=op.f("fk_review_item_company_id")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_review_item")),
        sa.UniqueConstraint("kind", "key", name=op.f("uq_review_item_kind_key")),
    )
    op.create_index("ix_review_item_asset_id", "review_item", ["asset_id"], unique=False)
    op.create_index("ix_review_item_company_id", "review_item", ["company_id"], unique=False)
    op.create_table(
        "review_decision",
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("decision IN ('dismissed', 'confirmed')", name=op.f("ck_review_decision_decision_known")),
        sa.ForeignKeyConstraint(["decided_by"], ["api_client.client_id"], name=op.f("fk_review_decision_decided_by")),
        sa.ForeignKeyConstraint(["item_id"], ["review_item.item_id"], name=op.f("fk_review_decision_item_id")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_review_decision")),
    )
    _seal("obligor_rating")
    _seal("fact_policy")
    _seal("review_policy")
    _seal("company_fact")
    _seal("rating_access")
    _seal("review_item")
    _seal("review_decision")


def _seal(table: str) -> None:
    """Rows are only added: the log's own trigger says so."""
    op.execute(
        f"CREATE TRIGGER {table}_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION log_is_sealed()"
    )
