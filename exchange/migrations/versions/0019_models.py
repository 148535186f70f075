"""Models, their evaluations and what is in force.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

JSON = postgresql.JSONB(astext_type=sa.Text())
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _models()
    _losses_and_policy()
    _decisions()
    _limits()


def _models() -> None:
    """A model is kept once; each time it came into force becomes an event."""
    op.execute("ALTER TABLE scoring_model RENAME TO model_installed")
    op.execute("ALTER INDEX pk_scoring_model RENAME TO pk_model_installed")
    op.create_table(
        "scoring_model",
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("card", JSON, nullable=False),
        sa.Column("trained_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_scoring_model")),
    )
    op.create_table(
        "model_event",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "event IN ('candidate', 'promoted', 'restored', 'dropped')", name=op.f("ck_model_event_event_known")
        ),
        sa.ForeignKeyConstraint(
            ["version"], ["scoring_model.version"], name=op.f("fk_model_event_version_scoring_model")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_model_event")),
    )
    op.create_index(op.f("ix_model_event_version"), "model_event", ["version"])
    op.create_index(
        "ix_model_event_force",
        "model_event",
        ["number"],
        postgresql_where=sa.text("event IN ('promoted', 'restored')"),
    )
    op.execute("""
        INSERT INTO scoring_model (version, body, card, trained_at)
        SELECT DISTINCT ON (version) version, body, card, in_force_at FROM model_installed ORDER BY version, installed
    """)
    op.execute("""
        INSERT INTO model_event (version, event, by, reason, evidence, business_date, recorded_at)
        SELECT version, 'promoted', 'migration', 'in force before events were kept', '{}', in_force_at::date, in_force_at
        FROM model_installed ORDER BY installed
    """)
    op.drop_table("model_installed")
    _seal("model_event")
    op.create_table(
        "shadow_score",
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("pd_ppm", sa.Integer(), nullable=False),
        sa.Column("scored_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["version"], ["scoring_model.version"], name=op.f("fk_shadow_score_version_scoring_model")
        ),
        sa.PrimaryKeyConstraint("version", "asset_id", name=op.f("pk_shadow_score")),
    )
    _seal("shadow_score")
    op.create_table(
        "model_evaluation",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("figures", JSON, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.CheckConstraint("kind IN ('comparison', 'drift')", name=op.f("ck_model_evaluation_kind_known")),
        sa.ForeignKeyConstraint(
            ["version"], ["scoring_model.version"], name=op.f("fk_model_evaluation_version_scoring_model")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_model_evaluation")),
    )
    op.create_index("ix_model_evaluation_version", "model_evaluation", ["version", "kind", "number"])
    _seal("model_evaluation")


def _losses_and_policy() -> None:
    op.create_table(
        "loss_rate",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rate_ppm", sa.Integer(), nullable=False),
        sa.Column("outcomes", sa.Integer(), nullable=False),
        sa.Column("prior_ppm", sa.Integer(), nullable=False),
        sa.Column("prior_weight", sa.Integer(), nullable=False),
        sa.Column("learned_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.CheckConstraint("kind IN ('lgd', 'dilution')", name=op.f("ck_loss_rate_kind_known")),
        sa.CheckConstraint("rate_ppm BETWEEN 0 AND 1000000", name=op.f("ck_loss_rate_rate_range")),
        sa.CheckConstraint("outcomes >= 0 AND prior_weight >= 0", name=op.f("ck_loss_rate_counts")),
        sa.PrimaryKeyConstraint("kind", "version", name=op.f("pk_loss_rate")),
    )
    _seal("loss_rate")
    op.create_table(
        "risk_policy",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("terms", JSON, nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["set_by"], ["api_client.client_id"], name=op.f("fk_risk_policy_set_by_api_client")
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_risk_policy")),
    )
    _seal("risk_policy")


def _decisions() -> None:
    op.add_column("decision", sa.Column("frozen", JSON, nullable=True))
    op.add_column("decision", sa.Column("answer", JSON, nullable=True))
    op.add_column("decision", sa.Column("digest", sa.String(length=64), nullable=True))


def _limits() -> None:
    """Before, only the newest state of what is taken was kept: it becomes the first entry of its history."""
    op.add_column(
        "obligor_limit", sa.Column("grandfathered_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column("obligor_limit", sa.Column("most_tenor_days", sa.Integer(), nullable=True))
    op.add_column("obligor_limit", sa.Column("model_version", sa.String(), nullable=True))
    op.add_column(
        "obligor_limit", sa.Column("policy_version", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_obligor_limit_grandfathered_not_negative"), "obligor_limit", "grandfathered_minor >= 0"
    )
    _seal("obligor_limit")
    op.create_table(
        "limit_use",
        sa.Column("obligor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("entry", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("used_minor", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.CheckConstraint("used_minor >= 0", name=op.f("ck_limit_use_used_not_negative")),
        sa.PrimaryKeyConstraint("obligor", "currency", "entry", name=op.f("pk_limit_use")),
    )
    op.execute("""
        INSERT INTO limit_use (obligor, currency, amount_minor, used_minor, cause, recorded_at)
        SELECT obligor, currency, used_minor, used_minor, 'brought_forward', changed_at FROM exposure
        WHERE used_minor > 0 ORDER BY obligor, currency
    """)
    _seal("limit_use")


def _seal(table: str) -> None:
    """Rows are only added: the log's own trigger says so."""
    op.execute(
        f"CREATE TRIGGER {table}_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION log_is_sealed()"
    )
