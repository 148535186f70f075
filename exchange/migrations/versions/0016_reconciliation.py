"""Reconciliation; who works, and what was decided of work that fails.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _runs()
    _breaks()
    _work()


def _runs() -> None:
    op.create_table(
        "reconciliation_run",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("checked", sa.BigInteger(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("opened", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Integer(), nullable=False),
        sa.Column("parts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (digest IS NULL)", name=op.f("ck_reconciliation_run_digest_when_finished")
        ),
        sa.CheckConstraint(
            "checked >= 0 AND found >= 0 AND opened >= 0 AND closed >= 0", name=op.f("ck_reconciliation_run_counts")
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_reconciliation_run")),
    )
    op.create_index(
        "ix_reconciliation_run_unfinished",
        "reconciliation_run",
        ["run_id"],
        postgresql_where=sa.text("finished_at IS NULL"),
    )


def _breaks() -> None:
    op.create_table(
        "reconciliation_break",
        sa.Column("break_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=False),
        sa.Column("found", sa.BigInteger(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("first_seen", sa.Date(), nullable=False),
        sa.Column("last_seen", sa.Date(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("assigned_to", sa.String(), nullable=True),
        sa.Column("resolved_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'explained', 'resolved')", name=op.f("ck_reconciliation_break_state_known")
        ),
        sa.CheckConstraint("expected <> found", name=op.f("ck_reconciliation_break_differs")),
        sa.CheckConstraint("last_seen >= first_seen", name=op.f("ck_reconciliation_break_seen_in_order")),
        sa.CheckConstraint(
            "(state = 'resolved') = (resolved_on IS NOT NULL)", name=op.f("ck_reconciliation_break_resolved_on_a_day")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["reconciliation_run.run_id"], name=op.f("fk_reconciliation_break_run_id")
        ),
        sa.ForeignKeyConstraint(
            ["assigned_to"], ["api_client.client_id"], name=op.f("fk_reconciliation_break_assigned_to")
        ),
        sa.PrimaryKeyConstraint("break_id", name=op.f("pk_reconciliation_break")),
    )
    op.create_index(
        "uq_reconciliation_break_live",
        "reconciliation_break",
        ["kind", "subject", "holder"],
        unique=True,
        postgresql_where=sa.text("state <> 'resolved'"),
    )
    op.create_index("ix_reconciliation_break_state", "reconciliation_break", ["state", "break_id"])
    op.create_index("ix_reconciliation_break_subject", "reconciliation_break", ["subject"])
    op.create_index("ix_reconciliation_break_run_id", "reconciliation_break", ["run_id"])
    op.create_table(
        "reconciliation_break_fact",
        sa.Column("break_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fact", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("numbers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "fact IN ('found', 'changed', 'gone', 'assigned', 'explained', 'reopened')",
            name=op.f("ck_reconciliation_break_fact_fact_known"),
        ),
        sa.ForeignKeyConstraint(
            ["break_id"], ["reconciliation_break.break_id"], name=op.f("fk_reconciliation_break_fact_break_id")
        ),
        sa.PrimaryKeyConstraint("break_id", "number", name=op.f("pk_reconciliation_break_fact")),
    )
    _seal("reconciliation_break_fact")


def _work() -> None:
    op.create_table(
        "worker_heartbeat",
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_worker_heartbeat")),
    )
    op.create_table(
        "work_decision",
        sa.Column("decision_id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("work_id", sa.BigInteger(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("decision IN ('retry', 'discard')", name=op.f("ck_work_decision_decision_known")),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_work_decision")),
    )
    _seal("work_decision")


def _seal(table: str) -> None:
    """Rows are only added: the log's own trigger says so."""
    op.execute(
        f"CREATE TRIGGER {table}_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION log_is_sealed()"
    )
