"""Sandboxes.

Revision ID: 0029
Revises: 0028
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('sandbox',
    sa.Column('sandbox_id', sa.String(), nullable=False),
    sa.Column('funder_id', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('public_jwks', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('seed', sa.BigInteger(), nullable=False),
    sa.Column('start_on', sa.Date(), nullable=False),
    sa.Column('secret_sealed', sa.LargeBinary(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('generation', sa.Integer(), server_default=sa.text('1'), nullable=False),
    sa.Column('client_id', sa.String(), nullable=True),
    sa.Column('played', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('moment', sa.DateTime(timezone=True), nullable=True),
    sa.Column('until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('stop_at', postgresql.ARRAY(sa.String()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('stopped_by', sa.String(), nullable=True),
    sa.Column('heard', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('trouble', sa.String(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name=op.f('ck_sandbox_ended_when')),
    sa.CheckConstraint("state <> 'open' OR (moment IS NOT NULL AND client_id IS NOT NULL)", name=op.f('ck_sandbox_open_whole')),
    sa.CheckConstraint("state IN ('making', 'open', 'resetting', 'ending', 'ended')", name=op.f('ck_sandbox_state_known')),
    sa.CheckConstraint("until IS NULL OR (state = 'open' AND until > moment)", name=op.f('ck_sandbox_until_ahead')),
    sa.ForeignKeyConstraint(['funder_id'], ['funder.funder_id'], name=op.f('fk_sandbox_funder_id')),
    sa.PrimaryKeyConstraint('sandbox_id', name=op.f('pk_sandbox'))
    )
    op.create_index('ix_sandbox_due_at', 'sandbox', ['due_at'], unique=False, postgresql_where=sa.text("state <> 'ended'"))
    op.create_index('ix_sandbox_funder_id', 'sandbox', ['funder_id', 'sandbox_id'], unique=False)
    op.create_table('sandbox_day',
    sa.Column('sandbox_id', sa.String(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('funder_id', sa.String(), nullable=False),
    sa.Column('events', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('deeds', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('refused', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.ForeignKeyConstraint(['funder_id'], ['funder.funder_id'], name=op.f('fk_sandbox_day_funder_id')),
    sa.ForeignKeyConstraint(['sandbox_id'], ['sandbox.sandbox_id'], name=op.f('fk_sandbox_day_sandbox_id')),
    sa.PrimaryKeyConstraint('sandbox_id', 'day', name=op.f('pk_sandbox_day'))
    )
    op.create_index('ix_sandbox_day_funder_id', 'sandbox_day', ['funder_id'], unique=False)
    op.create_table('sandbox_scenario',
    sa.Column('sandbox_id', sa.String(), nullable=False),
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('funder_id', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('parameters', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('begun_on', sa.Date(), nullable=True),
    sa.Column('assets', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.CheckConstraint('(begun_on IS NULL) = (assets IS NULL)', name=op.f('ck_sandbox_scenario_begun_whole')),
    sa.ForeignKeyConstraint(['funder_id'], ['funder.funder_id'], name=op.f('fk_sandbox_scenario_funder_id')),
    sa.ForeignKeyConstraint(['sandbox_id'], ['sandbox.sandbox_id'], name=op.f('fk_sandbox_scenario_sandbox_id')),
    sa.PrimaryKeyConstraint('sandbox_id', 'number', name=op.f('pk_sandbox_scenario'))
    )
    op.create_index('ix_sandbox_scenario_funder_id', 'sandbox_scenario', ['funder_id'], unique=False)
    op.create_index('ix_sandbox_scenario_waiting', 'sandbox_scenario', ['sandbox_id'], unique=False, postgresql_where=sa.text('begun_on IS NULL'))
