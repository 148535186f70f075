"""Corrections and supersessions.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "correction",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("corrects", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("fields", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("number > 0", name=op.f("ck_correction_number_positive")),
        sa.CheckConstraint("corrects > 0", name=op.f("ck_correction_corrects_a_record")),
        sa.CheckConstraint("fields <> '{}'::jsonb", name=op.f("ck_correction_something_corrected")),
        sa.ForeignKeyConstraint(["asset_id"], ["receivable.asset_id"], name=op.f("fk_correction_asset_id")),
        sa.PrimaryKeyConstraint("asset_id", "number", name=op.f("pk_correction")),
    )
    op.create_table(
        "supersession",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("by_id", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("asset_id <> by_id", name=op.f("ck_supersession_by_another")),
        sa.ForeignKeyConstraint(["asset_id"], ["receivable.asset_id"], name=op.f("fk_supersession_asset_id")),
        sa.ForeignKeyConstraint(["by_id"], ["receivable.asset_id"], name=op.f("fk_supersession_by_id")),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_supersession")),
        sa.UniqueConstraint("by_id", name=op.f("uq_supersession_by_id")),
    )
