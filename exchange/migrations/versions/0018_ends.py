"""What servicing and settlement still lacked: books that post in bulk, work that kills its worker.

Revision ID: 0018
Revises: 0017
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[3] / "ledger" / "sql"


def upgrade() -> None:
    op.drop_constraint(op.f("fk_books_entries_account_id"), "books_entries")
    op.drop_constraint(op.f("fk_books_entries_transfer_id_xid"), "books_entries")
    op.drop_constraint(op.f("fk_books_resolutions_transfer_id_xid"), "books_resolutions")
    op.drop_constraint(op.f("fk_books_reversals_transfer_id"), "books_reversals")
    op.drop_constraint(op.f("uq_books_transfers_transfer_id_xid"), "books_transfers")
    op.get_bind().exec_driver_sql((SQL / "books_v3.sql").read_text())
    op.add_column("work_item", sa.Column("lost", sa.Integer(), server_default=sa.text("0"), nullable=False))
