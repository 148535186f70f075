"""Requests that their senders signed; how many each sends.

Revision ID: 0024
Revises: 0023
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

SEALED = """
CREATE TRIGGER signed_request_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON signed_request
    FOR EACH STATEMENT EXECUTE FUNCTION books_refuse_change()
"""


def upgrade() -> None:
    """Make the tables, and seal what is signed."""
    op.create_table(
        "signed_request",
        sa.Column("request_id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("thumbprint", sa.String(length=43), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id", "thumbprint"],
            ["client_key.client_id", "client_key.thumbprint"],
            name=op.f("fk_signed_request_client_id"),
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_signed_request")),
    )
    op.create_index(op.f("ix_signed_request_subject"), "signed_request", ["subject"])
    op.execute(SEALED)
    op.create_table(
        "request_count",
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_request_count")),
        prefixes=["UNLOGGED"],
    )
