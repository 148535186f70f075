"""Duplicates: amount-aware claims on invoices.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MARK_LENGTH = "octet_length(mark) = 16"


def upgrade() -> None:
    _refuse_marks_of_before()
    op.drop_table("likeness")
    op.drop_table("fingerprint")
    op.create_table(
        "partner",
        sa.Column("partner_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("partner_id", name=op.f("pk_partner")),
    )
    op.create_table(
        "partner_day",
        sa.Column("partner_id", sa.String(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.partner_id"], name=op.f("fk_partner_day_partner_id")),
        sa.PrimaryKeyConstraint("partner_id", "business_date", name=op.f("pk_partner_day")),
    )
    _create_invoices()
    _create_claims()
    _create_clashes()


def _refuse_marks_of_before() -> None:
    """Marks were made under one key; they cannot be made again from what is kept of them."""
    known = sa.text("SELECT EXISTS (SELECT FROM fingerprint)")
    if op.get_bind().execute(known).scalar_one():
        raise RuntimeError("this database has invoices marked by version 0.1: begin with a new one and enter them again")


def _create_invoices() -> None:
    op.create_table(
        "invoice",
        sa.Column("invoice_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("face_minor", sa.BigInteger(), nullable=False),
        sa.Column("claimed_minor", sa.BigInteger(), nullable=False),
        sa.Column("credited_minor", sa.BigInteger(), nullable=False),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.CheckConstraint(MARK_LENGTH, name=op.f("ck_invoice_mark_length")),
        sa.CheckConstraint("face_minor > 0", name=op.f("ck_invoice_face_positive")),
        sa.CheckConstraint(
            "claimed_minor >= 0 AND credited_minor >= 0 AND claims >= 0", name=op.f("ck_invoice_not_negative")
        ),
        sa.CheckConstraint("claimed_minor + credited_minor <= face_minor", name=op.f("ck_invoice_within_face")),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("mark", name=op.f("uq_invoice_mark")),
    )
    op.create_table(
        "invoice_document",
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(MARK_LENGTH, name=op.f("ck_invoice_document_mark_length")),
        sa.PrimaryKeyConstraint("mark", name=op.f("pk_invoice_document")),
    )


def _create_claims() -> None:
    op.create_table(
        "invoice_claim",
        sa.Column("claim_id", sa.String(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("holder_id", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_invoice_claim_amount_not_negative")),
        sa.CheckConstraint("state IN ('live', 'consumed', 'released')", name=op.f("ck_invoice_claim_state_known")),
        sa.CheckConstraint("(state = 'live') = (ended_at IS NULL)", name=op.f("ck_invoice_claim_end_of_state")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.invoice_id"], name=op.f("fk_invoice_claim_invoice_id")),
        sa.PrimaryKeyConstraint("claim_id", name=op.f("pk_invoice_claim")),
    )
    op.create_index("ix_invoice_claim_invoice_id", "invoice_claim", ["invoice_id"])
    partners = sa.text("holder_id LIKE 'ptr\\_%'")
    op.create_index("ix_invoice_claim_partner", "invoice_claim", ["holder_id", "claim_id"], postgresql_where=partners)
    op.create_table(
        "likeness",
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.Column("claim_id", sa.String(), nullable=False),
        sa.Column("face_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(MARK_LENGTH, name=op.f("ck_likeness_mark_length")),
        sa.PrimaryKeyConstraint("mark", "claim_id", name=op.f("pk_likeness")),
    )


def _create_clashes() -> None:
    op.create_table(
        "clash",
        sa.Column("clash_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("known_id", sa.String(), nullable=False),
        sa.Column("known_holder_id", sa.String(), nullable=False),
        sa.Column("asked_id", sa.String(), nullable=True),
        sa.Column("asked_holder_id", sa.String(), nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.String()), nullable=False),
        sa.Column("clashed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("clash_id", name=op.f("pk_clash")),
        sa.UniqueConstraint("known_id", "asked_id", name=op.f("uq_clash_known_id_asked_id")),
    )
    op.create_index("ix_clash_asked_id", "clash", ["asked_id"])
    op.create_index("ix_clash_known_holder", "clash", ["known_holder_id", "clash_id"])
    op.create_index("ix_clash_asked_holder", "clash", ["asked_holder_id", "clash_id"])
