"""Confirmation: links, corrections, approvals, documents.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _terms_of_answers()
    op.drop_index("ix_receivable_obligor_id", "receivable")
    op.create_index("ix_receivable_obligor", "receivable", ["obligor_id", "asset_id"])
    _policies_and_approvals()
    _requests()
    op.create_table(
        "document",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('order', 'delivery_note', 'invoice', 'contract')", name=op.f("ck_document_kind_known")
        ),
        sa.CheckConstraint("size_bytes > 0", name=op.f("ck_document_size_positive")),
        sa.ForeignKeyConstraint(["asset_id"], ["receivable.asset_id"], name=op.f("fk_document_asset_id")),
        sa.ForeignKeyConstraint(["added_by"], ["api_client.client_id"], name=op.f("fk_document_added_by")),
        sa.PrimaryKeyConstraint("asset_id", "kind", "sha256", name=op.f("pk_document")),
    )


def _terms_of_answers() -> None:
    """The answers so far accept what was stated, or refuse it in words of their own."""
    for column in (
        sa.Column("face_minor", sa.BigInteger(), nullable=True),
        sa.Column("due_date", sa.Date(), nullable=True),
        sa.Column("reason_code", sa.String(), nullable=True),
        sa.Column("evidence", sa.String(), nullable=True),
    ):
        op.add_column("confirmation", column)
    op.execute("""
        UPDATE confirmation SET face_minor = receivable.face_minor, due_date = receivable.due_date
        FROM receivable WHERE receivable.asset_id = confirmation.asset_id AND confirmation.outcome = 'accepted'
    """)
    op.execute("UPDATE confirmation SET reason_code = 'other' WHERE outcome = 'refused'")
    for gone in ("outcome_known", "grade_known", "reason_of_refusal"):
        op.drop_constraint(f"ck_confirmation_{gone}", "confirmation")
    for name, condition in {
        "outcome_known": "outcome IN ('accepted', 'corrected', 'refused')",
        "grade_known": "grade IN ('explicit_key', 'explicit_link', 'explicit', 'deemed')",
        "evidence_of_grade": "(grade IN ('explicit_key', 'explicit_link')) <= (evidence IS NOT NULL)",
        "face_positive": "face_minor > 0",
        "face_unless_refused": "(outcome = 'refused') = (face_minor IS NULL)",
        "due_unless_refused": "(outcome = 'refused') = (due_date IS NULL)",
        "reason_unless_accepted": "(outcome = 'accepted') = (reason_code IS NULL)",
        "words_of_a_reason": "reason IS NULL OR reason_code IS NOT NULL",
        "other_in_words": "reason_code <> 'other' OR reason IS NOT NULL",
    }.items():
        op.create_check_constraint(op.f(f"ck_confirmation_{name}"), "confirmation", condition)


def _policies_and_approvals() -> None:
    op.create_table(
        "submission_policy",
        sa.Column("originator_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["originator_id"], ["originator.originator_id"], name=op.f("fk_submission_policy_originator_id")
        ),
        sa.ForeignKeyConstraint(["set_by"], ["api_client.client_id"], name=op.f("fk_submission_policy_set_by")),
        sa.PrimaryKeyConstraint("originator_id", "version", name=op.f("pk_submission_policy")),
    )
    op.create_table(
        "approval",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("originator_id", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("outcome IN ('approved', 'declined')", name=op.f("ck_approval_outcome_known")),
        sa.CheckConstraint("decided_by <> made_by", name=op.f("ck_approval_four_eyes")),
        sa.CheckConstraint("(outcome IS NULL) = (decided_by IS NULL)", name=op.f("ck_approval_decided_by_somebody")),
        sa.CheckConstraint("(outcome IS NULL) = (decided_at IS NULL)", name=op.f("ck_approval_decided_at_a_time")),
        sa.CheckConstraint(
            "(coalesce(outcome, '') = 'declined') = (reason IS NOT NULL)",
            name=op.f("ck_approval_reason_of_declining"),
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["receivable.asset_id"], name=op.f("fk_approval_asset_id")),
        sa.ForeignKeyConstraint(["originator_id"], ["originator.originator_id"], name=op.f("fk_approval_originator_id")),
        sa.ForeignKeyConstraint(["made_by"], ["api_client.client_id"], name=op.f("fk_approval_made_by")),
        sa.ForeignKeyConstraint(["decided_by"], ["api_client.client_id"], name=op.f("fk_approval_decided_by")),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_approval")),
    )
    op.create_index(
        "ix_approval_awaited",
        "approval",
        ["originator_id", "asset_id"],
        postgresql_where=sa.text("outcome IS NULL"),
    )


def _requests() -> None:
    op.create_table(
        "confirmation_request",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("originator_id", sa.String(), nullable=False),
        sa.Column("obligor_id", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("expires_at > made_at", name=op.f("ck_confirmation_request_open_for_a_while")),
        sa.ForeignKeyConstraint(
            ["originator_id"], ["originator.originator_id"], name=op.f("fk_confirmation_request_originator_id")
        ),
        sa.ForeignKeyConstraint(["obligor_id"], ["company.company_id"], name=op.f("fk_confirmation_request_obligor_id")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_confirmation_request")),
    )
    op.create_index("ix_confirmation_request_originator", "confirmation_request", ["originator_id", "request_id"])
    op.create_table(
        "requested_answer",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("answer_by", sa.Date(), nullable=True),
        sa.Column("ground", sa.String(length=64), nullable=True),
        sa.Column("jurisdiction", sa.String(length=2), nullable=True),
        sa.CheckConstraint(
            "(answer_by IS NULL) = (ground IS NULL)", name=op.f("ck_requested_answer_ground_of_silence")
        ),
        sa.CheckConstraint(
            "(answer_by IS NULL) = (jurisdiction IS NULL)", name=op.f("ck_requested_answer_jurisdiction_of_silence")
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["receivable.asset_id"], name=op.f("fk_requested_answer_asset_id")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["confirmation_request.request_id"], name=op.f("fk_requested_answer_request_id")
        ),
        sa.PrimaryKeyConstraint("asset_id", "request_id", name=op.f("pk_requested_answer")),
    )
    op.create_index("ix_requested_answer_request_id", "requested_answer", ["request_id"])
    op.create_index(
        "ix_requested_answer_answer_by",
        "requested_answer",
        ["answer_by"],
        postgresql_where=sa.text("answer_by IS NOT NULL"),
    )
