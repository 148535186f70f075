"""Bank statements, their lines, and who pays from where.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _statements()
    _lines()
    op.create_table(
        "payer_mark",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("company_id", sa.String(), nullable=False),
        sa.Column("said", sa.String(), nullable=False),
        sa.CheckConstraint("kind IN ('name', 'account')", name=op.f("ck_payer_mark_kind_known")),
        sa.ForeignKeyConstraint(["company_id"], ["company.company_id"], name=op.f("fk_payer_mark_company_id")),
        sa.PrimaryKeyConstraint("kind", "mark", "company_id", name=op.f("pk_payer_mark")),
    )
    op.create_index(op.f("ix_payer_mark_company_id"), "payer_mark", ["company_id"])
    op.add_column("receipt", sa.Column("line_id", sa.String(), nullable=True))
    op.add_column("receipt", sa.Column("reversed_on", sa.Date(), nullable=True))
    op.create_foreign_key(op.f("fk_receipt_line_id"), "receipt", "bank_line", ["line_id"], ["line_id"])
    op.create_index(op.f("ix_receipt_line_id"), "receipt", ["line_id"])


def _statements() -> None:
    op.create_table(
        "bank_account",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("table", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_bank_account")),
    )
    op.create_table(
        "bank_statement",
        sa.Column("statement_id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("bank_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.String(), nullable=True),
        sa.Column("opening_minor", sa.BigInteger(), nullable=True),
        sa.Column("closing_minor", sa.BigInteger(), nullable=True),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("first_date", sa.Date(), nullable=True),
        sa.Column("last_date", sa.Date(), nullable=True),
        sa.Column("entered_by", sa.String(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(first_date IS NULL) = (line_count = 0)", name=op.f("ck_bank_statement_dates_of_lines")),
        sa.ForeignKeyConstraint(["account"], ["bank_account.account"], name=op.f("fk_bank_statement_account")),
        sa.ForeignKeyConstraint(["entered_by"], ["api_client.client_id"], name=op.f("fk_bank_statement_entered_by")),
        sa.PrimaryKeyConstraint("statement_id", name=op.f("pk_bank_statement")),
        sa.UniqueConstraint("digest", "number", name=op.f("uq_bank_statement_digest_number")),
    )
    op.create_index("ix_bank_statement_account_first_date", "bank_statement", ["account", "first_date"])
    op.create_index("ix_bank_statement_account_last_date", "bank_statement", ["account", "last_date"])


def _lines() -> None:
    texts = "counterparty_name counterparty_account remittance".split()
    more = "end_to_end_id transaction_code".split()
    op.create_table(
        "bank_line",
        sa.Column("line_id", sa.String(), nullable=False),
        sa.Column("statement_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("bank_reference", sa.String(), nullable=False),
        sa.Column("booking_date", sa.Date(), nullable=False),
        sa.Column("value_date", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in texts),
        sa.Column("references", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in more),
        sa.Column("is_reversal", sa.Boolean(), nullable=False),
        sa.Column("return_reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposal", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("decision", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('new', 'duplicate', 'booked', 'open', 'left', 'refund', 'reversed')",
            name=op.f("ck_bank_line_state_known"),
        ),
        sa.CheckConstraint(
            "(decision IS NULL) = (decided_by IS NULL)", name=op.f("ck_bank_line_decided_by_somebody")
        ),
        sa.CheckConstraint("(decision IS NULL) = (decided_at IS NULL)", name=op.f("ck_bank_line_decided_at_a_time")),
        sa.CheckConstraint(
            "decision IS NULL OR state NOT IN ('new', 'duplicate', 'open')", name=op.f("ck_bank_line_decided_once")
        ),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["bank_statement.statement_id"], name=op.f("fk_bank_line_statement_id")
        ),
        sa.ForeignKeyConstraint(["decided_by"], ["api_client.client_id"], name=op.f("fk_bank_line_decided_by")),
        sa.PrimaryKeyConstraint("line_id", name=op.f("pk_bank_line")),
        sa.UniqueConstraint("statement_id", "number", name=op.f("uq_bank_line_statement_id_number")),
    )
    op.create_index(
        "uq_bank_line_known",
        "bank_line",
        ["account", "bank_reference", "booking_date", "amount_minor"],
        unique=True,
        postgresql_where=sa.text("state NOT IN ('new', 'duplicate')"),
    )
    op.create_index("ix_bank_line_account_amount", "bank_line", ["account", "amount_minor"])
    op.create_index("ix_bank_line_state_line_id", "bank_line", ["state", "line_id"])
