"""Keys of clients, scopes, and proofs of possession that were used.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# RFC 7638: SHA-256 of the required members in the order of their names, as base64url without padding.
THUMBPRINT = """
    rtrim(translate(encode(sha256(convert_to(
        '{"crv":"Ed25519","kty":"OKP","x":"' || (public_jwk->>'x') || '"}', 'UTF8')), 'base64'), '+/', '-_'), '=')
"""


def upgrade() -> None:
    op.create_table(
        "client_key",
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("thumbprint", sa.String(length=43), nullable=False),
        sa.Column("public_jwk", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["api_client.client_id"], name=op.f("fk_client_key_client_id")),
        sa.PrimaryKeyConstraint("client_id", "thumbprint", name=op.f("pk_client_key")),
    )
    op.execute(
        "INSERT INTO client_key (client_id, thumbprint, public_jwk, added_at) "
        f"SELECT client_id, {THUMBPRINT}, public_jwk, created_at FROM api_client"
    )
    op.add_column("api_client", sa.Column("scopes", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.drop_column("api_client", "public_jwk")
    op.create_table(
        "used_proof",
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mark", name=op.f("pk_used_proof")),
        prefixes=["UNLOGGED"],
    )
    op.create_index(op.f("ix_used_proof_slot"), "used_proof", ["slot"])
