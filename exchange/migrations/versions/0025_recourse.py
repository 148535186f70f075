"""Recourse along the chain of sellers.

Revision ID: 0025
Revises: 0024
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of who is called to take a claim back."""
    op.create_table(
        "recourse_call",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("debtor_id", sa.String(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("rank > 0 AND paid_minor >= 0", name=op.f("ck_recourse_call_ranges")),
        sa.CheckConstraint("outcome IN ('paid', 'released')", name=op.f("ck_recourse_call_outcome_known")),
        sa.CheckConstraint(
            "(outcome IS NULL) = (ended_on IS NULL)", name=op.f("ck_recourse_call_ended_with_an_outcome")
        ),
        sa.CheckConstraint(
            "(paid_minor > 0) = (outcome IS NOT DISTINCT FROM 'paid')", name=op.f("ck_recourse_call_paid_in_whole")
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_recourse_call_asset_id")),
        sa.ForeignKeyConstraint(["debtor_id"], ["company.company_id"], name=op.f("fk_recourse_call_debtor_id")),
        sa.PrimaryKeyConstraint("asset_id", "rank", name=op.f("pk_recourse_call")),
        sa.UniqueConstraint("asset_id", "debtor_id", name=op.f("uq_recourse_call_asset_id_debtor_id")),
    )
    open_ = sa.text("outcome IS NULL")
    op.create_index("ix_recourse_call_debtor", "recourse_call", ["debtor_id"], postgresql_where=open_)
    unheard = sa.text("outcome IS NULL AND told_at IS NULL")
    op.create_index("ix_recourse_call_due", "recourse_call", ["due_on"], postgresql_where=unheard)
