"""Rounds with certificates, mandates effective-dated.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _mandates()
    _rounds()
    _clearings()
    _rehearsals()
    op.add_column("receivable", sa.Column("divisible", sa.Boolean(), server_default=sa.text("false"), nullable=False))


def _mandates() -> None:
    op.add_column("mandate", sa.Column("entered_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE mandate SET entered_at = effective_at")
    op.alter_column("mandate", "entered_at", nullable=False)
    op.add_column("mandate", sa.Column("ended", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_check_constraint(op.f("ck_mandate_effective_from_entry"), "mandate", "effective_at >= entered_at")


def _rounds() -> None:
    op.add_column("clearing_round", sa.Column("state", sa.String(), server_default="done", nullable=False))
    op.alter_column("clearing_round", "state", server_default=None)
    op.add_column("clearing_round", sa.Column("asked_by", sa.String(), nullable=True))
    op.add_column("clearing_round", sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE clearing_round SET finished_at = cut_off_at")
    op.create_foreign_key(
        op.f("fk_clearing_round_asked_by"), "clearing_round", "api_client", ["asked_by"], ["client_id"]
    )
    op.create_check_constraint(
        op.f("ck_clearing_round_state_known"), "clearing_round", "state IN ('waiting', 'open', 'solved', 'done')"
    )
    op.create_check_constraint(
        op.f("ck_clearing_round_finished_when_done"), "clearing_round", "(state = 'done') = (finished_at IS NOT NULL)"
    )
    op.drop_constraint(op.f("uq_clearing_round_cut_off_at"), "clearing_round")
    for name, columns, unique, where in (
        ("uq_clearing_round_running", [sa.text("(true)")], True, "state IN ('open', 'solved')"),
        ("uq_clearing_round_calendar", ["cut_off_at"], True, "asked_by IS NULL"),
        ("ix_clearing_round_waiting", ["cut_off_at", "round_id"], False, "state = 'waiting'"),
    ):
        op.create_index(name, "clearing_round", columns, unique=unique, postgresql_where=sa.text(where))


def _clearings() -> None:
    op.create_table(
        "round_clearing",
        sa.Column("round_id", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("inputs", sa.LargeBinary(), nullable=False),
        sa.Column("inputs_digest", sa.String(length=43), nullable=False),
        sa.Column("asset_count", sa.Integer(), nullable=False),
        sa.Column("mandate_count", sa.Integer(), nullable=False),
        sa.Column("eligible_count", sa.Integer(), nullable=True),
        sa.Column("certificate", sa.LargeBinary(), nullable=True),
        sa.Column("head_digest", sa.String(length=43), nullable=True),
        sa.Column("value", sa.Numeric(precision=40, scale=0), nullable=True),
        sa.Column("bound", sa.Numeric(precision=40, scale=0), nullable=True),
        sa.Column("complete", sa.Boolean(), nullable=True),
        sa.Column("solved_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(certificate IS NULL) = (head_digest IS NULL)", name=op.f("ck_round_clearing_digest_of_certificate")
        ),
        sa.CheckConstraint(
            "(certificate IS NULL) = (value IS NULL)", name=op.f("ck_round_clearing_value_of_certificate")
        ),
        sa.CheckConstraint(
            "certificate IS NULL OR solved_at IS NOT NULL", name=op.f("ck_round_clearing_certified_when_solved")
        ),
        sa.CheckConstraint("value BETWEEN 0 AND bound", name=op.f("ck_round_clearing_value_within_bound")),
        sa.ForeignKeyConstraint(["round_id"], ["clearing_round.round_id"], name=op.f("fk_round_clearing_round_id")),
        sa.PrimaryKeyConstraint("round_id", "currency", name=op.f("pk_round_clearing")),
    )
    op.create_table(
        "round_part",
        sa.Column("round_id", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("extract", sa.LargeBinary(), nullable=False),
        sa.Column("costs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_round_part_funder_id")),
        sa.ForeignKeyConstraint(["round_id"], ["clearing_round.round_id"], name=op.f("fk_round_part_round_id")),
        sa.PrimaryKeyConstraint("round_id", "currency", "funder_id", name=op.f("pk_round_part")),
    )
    op.create_table(
        "round_progress",
        sa.Column("round_id", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("of", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["clearing_round.round_id"], name=op.f("fk_round_progress_round_id")),
        sa.PrimaryKeyConstraint("round_id", "currency", name=op.f("pk_round_progress")),
    )
    op.create_table(
        "round_dropped",
        sa.Column("round_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("mandate_id", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_round_dropped_amount_positive")),
        sa.CheckConstraint(
            "code IN ('not_free', 'amount_changed', 'mandate_changed', 'cash', 'obligor_limit', 'pool_limits',"
            " 'price', 'mandate_full')",
            name=op.f("ck_round_dropped_code_known"),
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_round_dropped_asset_id")),
        sa.ForeignKeyConstraint(["round_id"], ["clearing_round.round_id"], name=op.f("fk_round_dropped_round_id")),
        sa.PrimaryKeyConstraint("round_id", "asset_id", "mandate_id", name=op.f("pk_round_dropped")),
    )
    op.create_index("ix_round_dropped_mandate_id", "round_dropped", ["mandate_id", "round_id"])
    op.execute(
        "CREATE TRIGGER round_dropped_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON round_dropped "
        "FOR EACH STATEMENT EXECUTE FUNCTION log_is_sealed()"
    )


def _rehearsals() -> None:
    op.create_table(
        "rehearsal",
        sa.Column("rehearsal_id", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("from_date", sa.Date(), nullable=True),
        sa.Column("to_date", sa.Date(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("now", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("past", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "(from_date IS NULL) = (to_date IS NULL) AND from_date <= to_date", name=op.f("ck_rehearsal_period")
        ),
        sa.CheckConstraint("(done_at IS NULL) = (now IS NULL)", name=op.f("ck_rehearsal_told_when_done")),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_rehearsal_funder_id")),
        sa.PrimaryKeyConstraint("rehearsal_id", name=op.f("pk_rehearsal")),
    )
    op.create_index(op.f("ix_rehearsal_funder_id"), "rehearsal", ["funder_id"])
