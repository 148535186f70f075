"""Keys: their lives; facts that cannot be signed.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "set_aside_event",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("pending_id", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("set_aside_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_set_aside_event")),
        sa.UniqueConstraint("pending_id", name=op.f("uq_set_aside_event_pending_id")),
    )
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.String(), nullable=False),
        sa.Column("use", sa.String(), nullable=False),
        sa.Column("ordinal", sa.SmallInteger(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("store", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("introduced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("compromised_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("in_force_index", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("use IN ('record', 'log')", name=op.f("ck_signing_key_use_known")),
        sa.CheckConstraint("octet_length(public_key) = 32", name=op.f("ck_signing_key_public_key_whole")),
        sa.CheckConstraint(
            "superseded_at IS NULL OR activated_at IS NOT NULL", name=op.f("ck_signing_key_superseded_was_active")
        ),
        sa.CheckConstraint(
            "retired_at IS NULL OR (superseded_at IS NULL) = (activated_at IS NULL)",
            name=op.f("ck_signing_key_current_not_retired"),
        ),
        sa.CheckConstraint(
            "use = 'log' OR superseded_at IS NULL OR retired_at IS NOT NULL",
            name=op.f("ck_signing_key_one_record_key_signs"),
        ),
        sa.CheckConstraint(
            "compromised_since IS NULL OR retired_at IS NOT NULL", name=op.f("ck_signing_key_compromised_is_retired")
        ),
        sa.CheckConstraint(
            "in_force_index IS NULL OR activated_at IS NOT NULL", name=op.f("ck_signing_key_in_force_is_activated")
        ),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_key")),
        sa.UniqueConstraint("in_force_index", name=op.f("uq_signing_key_in_force_index")),
        sa.UniqueConstraint("store", "label", name=op.f("uq_signing_key_store_label")),
        sa.UniqueConstraint("use", "ordinal", name=op.f("uq_signing_key_use_ordinal")),
    )
    op.create_index(
        "uq_signing_key_current",
        "signing_key",
        ["use"],
        unique=True,
        postgresql_where=sa.text("activated_at IS NOT NULL AND superseded_at IS NULL"),
    )
    # Key events are sealed before all others.
    op.create_index(
        "ix_pending_event_keys", "pending_event", ["pending_id"], postgresql_where=sa.text("asset_id = 'keys'")
    )


def downgrade() -> None:
    op.drop_index("ix_pending_event_keys", table_name="pending_event")
    op.drop_table("signing_key")
    op.drop_table("set_aside_event")
