"""What settlements tell, and who acknowledged it.

Revision ID: 0028
Revises: 0027
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

TOLD = """
    CREATE FUNCTION settlement_told() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
    BEGIN
        IF current_setting('exchange.restoring', true) = 'on' THEN
            RETURN NULL;
        END IF;
        INSERT INTO callback_outbox (funder_id, type, data, transfer_id, recorded_at)
        SELECT funder.funder_id, 'settlement.posted', ''::bytea, l.transfer_id, min(l.recorded_at)
        FROM added l CROSS JOIN LATERAL (
            SELECT a.path FROM books_accounts a WHERE a.account_id = l.account_id OFFSET 0
        ) a
        JOIN funder ON funder.funder_id = split_part(a.path, '/', 2)
        WHERE a.path LIKE 'funder/%'
        GROUP BY l.transfer_id, funder.funder_id ORDER BY l.transfer_id, funder.funder_id;
        IF FOUND THEN
            PERFORM pg_notify('exchange', 'facts');
        END IF;
        RETURN NULL;
    END
    $$
"""
"""Whoever posts what moves a funder's accounts tells it, and cannot forget to."""


YESTERDAY = "coalesce((SELECT max(moment) FROM virtual_clock), now())::date - 2"
"""Before any day that can still be open, in whatever time zone."""
OPENING = f"""
    INSERT INTO settlement_day (funder_id, business_date, closing, events, digest, csv_digest, closed_at)
    SELECT funder_id, {YESTERDAY}, jsonb_object_agg(account, minor), 0, '', '', now()
    FROM (
        SELECT funder_id,
               CASE WHEN path LIKE '%/title' THEN 'title title'
                    ELSE substr(path, length('funder/' || funder_id || '/') + 1) || ' ' || commodity END AS account,
               sum(balance_minor) AS minor
        FROM books_accounts JOIN books_balances USING (account_id) JOIN funder ON funder_id = split_part(path, '/', 2)
        WHERE path LIKE 'funder/%' AND balance_minor <> 0 GROUP BY 1, 2
    ) AS standing GROUP BY funder_id
"""
"""What a funder has when its settlements begin to be told."""


def upgrade() -> None:
    _endpoints()
    _attempts()
    _settlements()
    op.add_column("callback_outbox", sa.Column("transfer_id", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_callback_outbox_transfer_id",
        "callback_outbox",
        ["transfer_id"],
        postgresql_where=sa.text("transfer_id IS NOT NULL"),
    )
    op.execute(TOLD)
    op.execute(
        "CREATE TRIGGER books_entries_told AFTER INSERT ON books_entries "
        "REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION settlement_told()"
    )


def _endpoints() -> None:
    moment = sa.DateTime(timezone=True)
    for column in (
        sa.Column("previous_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until", moment, nullable=True),
        sa.Column("heartbeat_seconds", sa.Integer(), server_default=sa.text("300"), nullable=True),
        sa.Column("beat_due_at", moment, nullable=True),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("minute_at", moment, nullable=True),
        sa.Column("in_minute", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("ordered", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("example", sa.String(), nullable=True),
    ):
        op.add_column("callback_endpoint", column)
    op.execute("UPDATE callback_endpoint SET beat_due_at = now()")
    # What is sealed begins with the number of its key (0030 does the same for the other tables).
    op.execute(r"UPDATE callback_endpoint SET secret_sealed = '\x0001'::bytea || secret_sealed")
    for name, rule in (
        ("previous_ends", "(previous_sealed IS NULL) = (previous_until IS NULL)"),
        ("heartbeat_bounded", "heartbeat_seconds BETWEEN 10 AND 86400"),
        ("per_minute_positive", "per_minute > 0"),
    ):
        op.create_check_constraint(op.f(f"ck_callback_endpoint_{name}"), "callback_endpoint", rule)


def _attempts() -> None:
    op.add_column("callback_delivery", sa.Column("asset_id", sa.String(), nullable=True))
    op.create_index(
        "ix_callback_delivery_asset_id",
        "callback_delivery",
        ["funder_id", "asset_id", "sequence"],
        postgresql_where=sa.text("delivered_at IS NULL AND asset_id IS NOT NULL"),
    )
    op.create_table(
        "callback_attempt",
        sa.Column("attempt_id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_callback_attempt_funder_id")),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_callback_attempt")),
    )
    op.create_index("ix_callback_attempt_funder_id", "callback_attempt", ["funder_id", "attempt_id"])
    op.create_index("ix_callback_attempt_at", "callback_attempt", ["at"])
    op.create_index("ix_callback_attempt_funder_id_at", "callback_attempt", ["funder_id", "at"])
    op.create_index("ix_callback_attempt_sequence", "callback_attempt", ["funder_id", "sequence", "attempt_id"])


def _settlements() -> None:
    op.create_table(
        "settlement_proof",
        sa.Column("transfer_key", sa.String(), nullable=False),
        sa.Column("pending_id", sa.BigInteger(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("transfer_key", name=op.f("pk_settlement_proof")),
    )
    op.create_table(
        "settlement",
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("transfer_id", sa.BigInteger(), nullable=True),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("log_index", sa.BigInteger(), nullable=True),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("answer IN ('acknowledged', 'disputed')", name=op.f("ck_settlement_answer_known")),
        sa.CheckConstraint(
            "(answer = 'disputed') = (reason IS NOT NULL)", name=op.f("ck_settlement_dispute_with_reason")
        ),
        sa.CheckConstraint(
            "(answer IS NULL) = (answered_at IS NULL) AND (answer IS NULL) = (answered_by IS NULL)",
            name=op.f("ck_settlement_answer_whole"),
        ),
        sa.ForeignKeyConstraint(
            ["funder_id", "sequence"],
            ["funder_event.funder_id", "funder_event.sequence"],
            name=op.f("fk_settlement_funder_id_sequence"),
        ),
        sa.ForeignKeyConstraint(["answered_by"], ["api_client.client_id"], name=op.f("fk_settlement_answered_by")),
        sa.PrimaryKeyConstraint("funder_id", "sequence", name=op.f("pk_settlement")),
    )
    for name, columns, where in (
        ("ix_settlement_business_date", ["funder_id", "business_date", "sequence"], None),
        ("ix_settlement_transfer_id", ["transfer_id"], None),
        ("ix_settlement_answer", ["funder_id", "answer", "sequence"], None),
        ("ix_settlement_open", ["recorded_at", "funder_id", "sequence"], "answer IS NULL"),
        ("ix_settlement_disputed", ["recorded_at", "funder_id", "sequence"], "answer = 'disputed'"),
    ):
        op.create_index(name, "settlement", columns, postgresql_where=None if where is None else sa.text(where))
    op.create_table(
        "settlement_day",
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("closing", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("csv_digest", sa.String(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_settlement_day_funder_id")),
        sa.PrimaryKeyConstraint("funder_id", "business_date", name=op.f("pk_settlement_day")),
    )
    op.add_column("funder_stream_head", sa.Column("settled_until", sa.Date(), nullable=True))
    op.execute(f"UPDATE funder_stream_head SET settled_until = {YESTERDAY}")
    op.execute(OPENING)
