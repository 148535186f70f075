"""Witnesses: cosignatures.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('log_cosignature',
    sa.Column('witness', sa.Text(), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('time_s', sa.BigInteger(), nullable=False),
    sa.Column('line', sa.Text(), nullable=False),
    sa.CheckConstraint('time_s >= 0', name=op.f('ck_log_cosignature_time_from_zero')),
    sa.ForeignKeyConstraint(['size'], ['log_checkpoint.size'], name=op.f('fk_log_cosignature_size_log_checkpoint')),
    sa.PrimaryKeyConstraint('witness', 'size', name=op.f('pk_log_cosignature')),
    comment='Which witness (by its vkey) cosigned which checkpoint, the newest time it did, as its signature line.'
    )
    op.create_table('log_publication',
    sa.Column('size', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('published_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['size'], ['log_checkpoint.size'], name=op.f('fk_log_publication_size_log_checkpoint')),
    sa.PrimaryKeyConstraint('size', name=op.f('pk_log_publication')),
    comment='The checkpoints that the quorum of the witness policy has cosigned.'
    )
