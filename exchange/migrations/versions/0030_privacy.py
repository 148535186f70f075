"""Personal data: who saw it, what was erased.

Revision ID: 0030
Revises: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

NUMBERED = r"""
UPDATE controller SET identity_sealed = '\x0001'::bytea || identity_sealed WHERE identity_sealed <> '';
UPDATE bid SET sealed = '\x0001'::bytea || sealed WHERE sealed IS NOT NULL;
UPDATE callback_endpoint SET secret_sealed = '\x0001'::bytea || secret_sealed,
    previous_sealed = '\x0001'::bytea || previous_sealed
"""
"""What is sealed begins with the number of its key."""

SEALED = """
CREATE TRIGGER personal_access_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON personal_access
    FOR EACH STATEMENT EXECUTE FUNCTION log_is_sealed();

CREATE FUNCTION erasure_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.decision IS NULL AND (NEW.erasure_id, NEW.controller_id, NEW.reason, NEW.asked_by, NEW.asked_at)
        IS NOT DISTINCT FROM (OLD.erasure_id, OLD.controller_id, OLD.reason, OLD.asked_by, OLD.asked_at) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'what was decided of an erasure stays' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER erasure_stays BEFORE UPDATE ON erasure FOR EACH ROW EXECUTE FUNCTION erasure_stays();
CREATE TRIGGER erasure_sealed BEFORE DELETE OR TRUNCATE ON erasure
    FOR EACH STATEMENT EXECUTE FUNCTION log_is_sealed();
"""

FORGET = """
CREATE FUNCTION fact_is_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('exchange.erasing', true) = 'yes' AND current_user =
        (SELECT tableowner FROM pg_tables WHERE schemaname = TG_TABLE_SCHEMA AND tablename = TG_TABLE_NAME) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is sealed: rows are only added', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
DROP TRIGGER company_fact_sealed ON company_fact;
CREATE TRIGGER company_fact_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON company_fact
    FOR EACH STATEMENT EXECUTE FUNCTION fact_is_sealed();

CREATE FUNCTION person_erase(person text, moment timestamptz) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE reports integer;
BEGIN
    UPDATE controller SET identity_hash = NULL, identity_sealed = NULL, erased_at = moment
    WHERE controller_id = person AND erased_at IS NULL AND EXISTS (
        SELECT FROM erasure WHERE controller_id = person AND decision = 'approved' AND decided_at = moment);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'nobody decided that % be erased', person USING ERRCODE = 'restrict_violation';
    END IF;
    PERFORM set_config('exchange.erasing', 'yes', true);
    UPDATE company_fact SET body = '{}' WHERE controller_id = person AND kind = 'person_report';
    GET DIAGNOSTICS reports = ROW_COUNT;
    PERFORM set_config('exchange.erasing', '', true);
    RETURN reports;
END $$;
REVOKE EXECUTE ON FUNCTION person_erase FROM PUBLIC;
"""
"""A report of a person who was erased says nothing any more; every other fact stays, whoever asks."""


def upgrade() -> None:
    """Number what is sealed; make the tables; let one function erase."""
    op.execute(NUMBERED)
    op.alter_column("controller", "identity_hash", nullable=True)
    op.alter_column("controller", "identity_sealed", nullable=True)
    op.add_column("controller", sa.Column("erased_at", sa.DateTime(timezone=True)))
    op.create_check_constraint(
        op.f("ck_controller_hash_until_erased"), "controller", "(identity_hash IS NULL) = (erased_at IS NOT NULL)"
    )
    op.create_check_constraint(
        op.f("ck_controller_sealed_until_erased"),
        "controller",
        "erased_at IS NULL OR coalesce(identity_sealed, '') = ''",
    )
    op.create_index("ix_controller_identity_sealed", "controller", ["identity_sealed"])
    op.create_index("ix_receivable_seller", "receivable", ["seller_id", "asset_id"])
    op.create_table(
        "personal_access",
        sa.Column("access_id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("accessed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["api_client.client_id"], name=op.f("fk_personal_access_client_id")),
        sa.PrimaryKeyConstraint("access_id", name=op.f("pk_personal_access")),
    )
    op.create_index("ix_personal_access_subject", "personal_access", ["subject", "access_id"])
    op.create_index("ix_personal_access_client_id", "personal_access", ["client_id", "access_id"])
    _make_erasure()
    op.execute(SEALED)
    op.execute(FORGET)


def _make_erasure() -> None:
    op.create_table(
        "erasure",
        sa.Column("erasure_id", sa.String(), nullable=False),
        sa.Column("controller_id", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision", sa.String()),
        sa.Column("decided_by", sa.String()),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("decision IN ('approved', 'declined')", name=op.f("ck_erasure_decision_known")),
        sa.CheckConstraint(
            "num_nonnulls(decision, decided_by, decided_at) IN (0, 3)", name=op.f("ck_erasure_decided_whole")
        ),
        sa.CheckConstraint("decided_by <> asked_by", name=op.f("ck_erasure_second_person")),
        sa.ForeignKeyConstraint(
            ["controller_id"], ["controller.controller_id"], name=op.f("fk_erasure_controller_id")
        ),
        sa.ForeignKeyConstraint(["asked_by"], ["api_client.client_id"], name=op.f("fk_erasure_asked_by")),
        sa.ForeignKeyConstraint(["decided_by"], ["api_client.client_id"], name=op.f("fk_erasure_decided_by")),
        sa.PrimaryKeyConstraint("erasure_id", name=op.f("pk_erasure")),
    )
    op.create_index("ix_erasure_controller_id", "erasure", ["controller_id"])
    op.create_index(
        "uq_erasure_open", "erasure", ["controller_id"], unique=True, postgresql_where=sa.text("decision IS NULL")
    )
