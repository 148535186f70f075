"""Instalments: as submitted, as they fall due, and by which an asset was priced.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SEALED = """
CREATE TRIGGER instalment_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON instalment
    FOR EACH STATEMENT EXECUTE FUNCTION books_refuse_change()
"""


def upgrade() -> None:
    """Make the table, and seal it; whatever is there already is due at once, as it was."""
    op.add_column("receivable", sa.Column("schedule", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("claim", sa.Column("schedule_version", sa.Integer(), nullable=True))
    op.create_check_constraint(op.f("ck_claim_version_from_one"), "claim", "schedule_version > 0")
    op.add_column("pool_asset", sa.Column("schedule_version", sa.Integer(), nullable=True))
    op.create_table(
        "instalment",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("version > 0 AND number > 0", name=op.f("ck_instalment_from_one")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_instalment_amount_positive")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_instalment_asset_id")),
        sa.PrimaryKeyConstraint("asset_id", "version", "number", name=op.f("pk_instalment")),
    )
    op.create_index("ix_instalment_due_date", "instalment", ["due_date", "asset_id"])
    op.create_index("uq_instalment_due_date", "instalment", ["asset_id", "version", "due_date"], unique=True)
    op.execute(SEALED)
