"""Servicing: policies, facts that can be withdrawn, closed chunks, accruals, forbearance, suspended limits.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SEALED = """
CREATE TRIGGER {table}_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION books_refuse_change()
"""

TOUCH = """
CREATE FUNCTION servicing_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO servicing_touched (asset_id) VALUES (NEW.asset_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$
"""

TOUCHED = """
CREATE TRIGGER claim_touched AFTER UPDATE OF outstanding_minor ON claim
    FOR EACH ROW WHEN (OLD.outstanding_minor <> NEW.outstanding_minor) EXECUTE FUNCTION servicing_touch()
"""
"""Whoever changes what is owed, in whatever room, has its history computed anew at the next close."""


def upgrade() -> None:
    """Make the tables; what was noted so far is the first revision of each fact."""
    _facts()
    _days()
    _policies()
    _forbearances()
    _suspensions()
    for table in (
        "servicing_policy",
        "servicing_fact",
        "servicing_withdrawal",
        "closed_chunk",
        "accrual",
        "consent_policy",
    ):
        op.execute(SEALED.format(table=table))
    op.execute(TOUCH)
    op.execute(TOUCHED)


def _facts() -> None:
    op.add_column("servicing_fact", sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.drop_constraint(op.f("pk_servicing_fact"), "servicing_fact", type_="primary")
    key = ["asset_id", "business_date", "kind", "revision"]
    op.create_primary_key(op.f("pk_servicing_fact"), "servicing_fact", key)
    op.create_table(
        "servicing_withdrawal",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("withdrawn_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            key,
            [f"servicing_fact.{name}" for name in key],
            name=op.f("fk_servicing_withdrawal_asset_id_business_date_kind_revision"),
        ),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_servicing_withdrawal")),
    )
    op.create_table(
        "servicing_touched",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_servicing_touched_asset_id")),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_servicing_touched")),
    )


def _days() -> None:
    op.add_column("closed_day", sa.Column("chunk_count", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "closed_chunk",
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("item_count", sa.Integer(), nullable=False),
        sa.Column("fact_count", sa.Integer(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["business_date"], ["closed_day.business_date"], name=op.f("fk_closed_chunk_business_date")
        ),
        sa.PrimaryKeyConstraint("business_date", "chunk", name=op.f("pk_closed_chunk")),
    )
    op.create_table(
        "accrual",
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("earned_to_date_minor", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_accrual_funder_id")),
        sa.PrimaryKeyConstraint("funder_id", "currency", "business_date", name=op.f("pk_accrual")),
    )


def _policies() -> None:
    op.create_table(
        "servicing_policy",
        sa.Column("originator_id", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["set_by"], ["api_client.client_id"], name=op.f("fk_servicing_policy_set_by")),
        sa.PrimaryKeyConstraint("originator_id", "product", "effective_from", name=op.f("pk_servicing_policy")),
    )
    op.create_table(
        "consent_policy",
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_consent_policy_funder_id")),
        sa.ForeignKeyConstraint(["set_by"], ["api_client.client_id"], name=op.f("fk_consent_policy_set_by")),
        sa.PrimaryKeyConstraint("funder_id", "version", name=op.f("pk_consent_policy")),
    )


def _forbearances() -> None:
    checks = {
        "kind_known": "kind IN ('pause', 'resume', 'reschedule', 'reset')",
        "outcome_known": "outcome IN ('accepted', 'refused', 'withdrawn')",
        "answered_when_outcome": "(outcome IS NULL) = (answered_at IS NULL)",
        "answered_by_somebody": "(outcome IS NULL) = (answered_by IS NULL)",
        "effective_once_accepted": "(coalesce(outcome, '') = 'accepted') = (effective_on IS NOT NULL)",
        "end_of_a_pause": "(kind = 'pause') = (until_date IS NOT NULL)",
        "a_day_at_least": "until_date > from_date",
        "instalments_of_a_reschedule": "(kind = 'reschedule') = (instalments IS NOT NULL)",
        "somebody_answers": "funder_id IS NOT NULL OR outcome IS NOT NULL",
    }
    links = {
        "asset_id": "claim.asset_id",
        "root_id": "receivable.asset_id",
        "originator_id": "originator.originator_id",
        "funder_id": "funder.funder_id",
        "proposed_by": "api_client.client_id",
    }
    op.create_table(
        "forbearance",
        sa.Column("forbearance_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("root_id", sa.String(), nullable=False),
        sa.Column("originator_id", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("from_date", sa.Date(), nullable=False),
        sa.Column("until_date", sa.Date(), nullable=True),
        sa.Column("instalments", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("answer_reason", sa.String(), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("effective_on", sa.Date(), nullable=True),
        sa.Column("schedule_version", sa.Integer(), nullable=True),
        sa.Column("previous_version", sa.Integer(), nullable=True),
        sa.Column("previous_due_date", sa.Date(), nullable=True),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_forbearance_{name}")) for name, rule in checks.items()),
        *(
            sa.ForeignKeyConstraint([name], [target], name=op.f(f"fk_forbearance_{name}"))
            for name, target in links.items()
        ),
        sa.PrimaryKeyConstraint("forbearance_id", name=op.f("pk_forbearance")),
    )
    unanswered, accepted = sa.text("outcome IS NULL"), sa.text("outcome = 'accepted'")
    op.create_index("uq_forbearance_open", "forbearance", ["asset_id"], unique=True, postgresql_where=unanswered)
    op.create_index("ix_forbearance_asset", "forbearance", ["asset_id", "forbearance_id"])
    op.create_index("ix_forbearance_root", "forbearance", ["root_id"], postgresql_where=accepted)
    op.create_index("ix_forbearance_originator", "forbearance", ["originator_id", "forbearance_id"])
    op.create_index("ix_forbearance_funder", "forbearance", ["funder_id", "forbearance_id"])


def _suspensions() -> None:
    checks = {
        "cause_known": "cause IN ('stage', 'group', 'person')",
        "receivable_of_cause": "(cause = 'person') = (root_id IS NULL)",
        "person_of_cause": "(cause = 'person') = (suspended_by IS NOT NULL)",
        "lifting_known": "lifting IN ('cure', 'person')",
        "reason_of_lifting": "(lifted_on IS NULL) = (lift_reason IS NULL)",
        "lifted_at_a_time": "(lifted_on IS NULL) = (lifted_at IS NULL)",
        "lifted_after": "lifted_on >= suspended_on",
        "reason_of_asking": "(asked_by IS NULL) = (ask_reason IS NULL)",
        "four_eyes": "lifted_by IS NULL OR NOT second_person OR coalesce(asked_by, lifted_by) <> lifted_by",
    }
    links = {"root_id": "receivable.asset_id"}
    links |= dict.fromkeys(("suspended_by", "asked_by", "lifted_by"), "api_client.client_id")
    op.create_table(
        "limit_suspension",
        sa.Column("suspension_id", sa.String(), nullable=False),
        sa.Column("obligor", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("suspended_on", sa.Date(), nullable=False),
        sa.Column("root_id", sa.String(), nullable=True),
        sa.Column("lifting", sa.String(), nullable=False),
        sa.Column("second_person", sa.Boolean(), nullable=False),
        sa.Column("suspended_by", sa.String(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=True),
        sa.Column("ask_reason", sa.String(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_on", sa.Date(), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.Column("lift_reason", sa.String(), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_limit_suspension_{name}")) for name, rule in checks.items()),
        *(
            sa.ForeignKeyConstraint([name], [target], name=op.f(f"fk_limit_suspension_{name}"))
            for name, target in links.items()
        ),
        sa.PrimaryKeyConstraint("suspension_id", name=op.f("pk_limit_suspension")),
    )
    standing = sa.text("lifted_on IS NULL AND root_id IS NOT NULL")
    columns = ["obligor", "root_id"]
    op.create_index("uq_limit_suspension_standing", "limit_suspension", columns, unique=True, postgresql_where=standing)
    op.create_index("ix_limit_suspension_obligor", "limit_suspension", ["obligor", "suspension_id"])
    still = sa.text("lifted_on IS NULL")
    op.create_index("ix_limit_suspension_root", "limit_suspension", ["root_id"], postgresql_where=still)
