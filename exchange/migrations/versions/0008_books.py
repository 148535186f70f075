"""Books: reversal, holds that expire.

Revision ID: 0008
Revises: 0007
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[3] / "ledger" / "sql"


def upgrade() -> None:
    op.add_column("books_transfers", sa.Column("expires_at", sa.DateTime(timezone=True)))
    op.create_check_constraint(op.f("ck_books_transfers_only_holds_expire"), "books_transfers", "expires_at IS NULL OR hold")
    op.drop_constraint("ck_books_resolutions_outcome_known", "books_resolutions")
    known = "outcome IN ('captured', 'voided', 'expired')"
    op.create_check_constraint(op.f("ck_books_resolutions_outcome_known"), "books_resolutions", known)
    op.create_table(
        "books_reversals",
        sa.Column("reversed_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("transfer_id", sa.BigInteger(), nullable=False),
        sa.Column("xid", sa.BigInteger(), server_default=sa.text("((pg_current_xact_id())::text)::bigint"), nullable=False),
        sa.CheckConstraint("transfer_id > reversed_id", name=op.f("ck_books_reversals_later")),
        sa.ForeignKeyConstraint(
            ["reversed_id"], ["books_transfers.transfer_id"], name=op.f("fk_books_reversals_reversed_id")
        ),
        sa.ForeignKeyConstraint(
            ["transfer_id", "xid"],
            ["books_transfers.transfer_id", "books_transfers.xid"],
            name=op.f("fk_books_reversals_transfer_id"),
        ),
        sa.PrimaryKeyConstraint("reversed_id", name=op.f("pk_books_reversals")),
        sa.UniqueConstraint("transfer_id", name=op.f("uq_books_reversals_transfer_id")),
    )
    op.create_index("ix_books_accounts_path", "books_accounts", ["path"], postgresql_ops={"path": "text_pattern_ops"})
    op.get_bind().exec_driver_sql((SQL / "books_v2.sql").read_text())
