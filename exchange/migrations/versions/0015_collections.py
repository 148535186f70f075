"""Collections: cases of late obligors, tasks, contacts, promises, letters, plans, courts and agencies.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SEALED = ("case_stage", "collection_task_step", "collection_contact", "promise_verdict")


def upgrade() -> None:
    op.create_table(
        "collection_policy",
        sa.Column("originator_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["originator_id"], ["originator.originator_id"], name=op.f("fk_collection_policy_originator_id")
        ),
        sa.ForeignKeyConstraint(["set_by"], ["api_client.client_id"], name=op.f("fk_collection_policy_set_by")),
        sa.PrimaryKeyConstraint("originator_id", "version", name=op.f("pk_collection_policy")),
    )
    op.create_table(
        "correspondence",
        sa.Column("originator_id", sa.String(), nullable=False),
        sa.Column("company_id", sa.String(), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.CheckConstraint("language IN ('zh', 'en')", name=op.f("ck_correspondence_language_known")),
        sa.ForeignKeyConstraint(["company_id"], ["company.company_id"], name=op.f("fk_correspondence_company_id")),
        sa.ForeignKeyConstraint(
            ["originator_id"], ["originator.originator_id"], name=op.f("fk_correspondence_originator_id")
        ),
        sa.PrimaryKeyConstraint("originator_id", "company_id", name=op.f("pk_correspondence")),
    )
    op.create_table(
        "collection_day",
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("case_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("business_date", name=op.f("pk_collection_day")),
    )
    op.create_table(
        "collection_case",
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("originator_id", sa.String(), nullable=False),
        sa.Column("obligor_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("stepped_on", sa.Date(), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.Column("result", sa.String(), nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(state = 'closed') = (closed_on IS NOT NULL)", name=op.f("ck_collection_case_closed_on_a_day")
        ),
        sa.CheckConstraint(
            "result IN ('cured', 'recovered', 'written_off', 'uncollectable')",
            name=op.f("ck_collection_case_result_known"),
        ),
        sa.CheckConstraint("state IN ('active', 'bad_debt', 'closed')", name=op.f("ck_collection_case_state_known")),
        sa.CheckConstraint(
            "(closed_on IS NULL) = (result IS NULL)", name=op.f("ck_collection_case_closed_with_a_result")
        ),
        sa.CheckConstraint("number > 0", name=op.f("ck_collection_case_number_positive")),
        sa.ForeignKeyConstraint(["closed_by"], ["api_client.client_id"], name=op.f("fk_collection_case_closed_by")),
        sa.ForeignKeyConstraint(["obligor_id"], ["company.company_id"], name=op.f("fk_collection_case_obligor_id")),
        sa.ForeignKeyConstraint(
            ["originator_id"], ["originator.originator_id"], name=op.f("fk_collection_case_originator_id")
        ),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_collection_case")),
        sa.UniqueConstraint(
            "originator_id", "obligor_id", "number", name=op.f("uq_collection_case_originator_id_obligor_id_number")
        ),
    )
    op.create_index("ix_collection_case_obligor", "collection_case", ["obligor_id"], unique=False)
    op.create_index("ix_collection_case_originator", "collection_case", ["originator_id", "case_id"], unique=False)
    op.create_index(
        "uq_collection_case_live",
        "collection_case",
        ["originator_id", "obligor_id"],
        unique=True,
        postgresql_where=sa.text("closed_on IS NULL"),
    )
    op.create_table(
        "case_item",
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("added_minor", sa.BigInteger(), nullable=False),
        sa.Column("late_since", sa.Date(), nullable=False),
        sa.Column("added_on", sa.Date(), nullable=False),
        sa.Column("noted_on", sa.Date(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=True),
        sa.Column("defaulted_on", sa.Date(), nullable=True),
        sa.Column("charged_off_on", sa.Date(), nullable=True),
        sa.Column("left_on", sa.Date(), nullable=True),
        sa.Column("left_because", sa.String(), nullable=True),
        sa.CheckConstraint(
            "left_because IN ('settled', 'cured', 'written_off', 'split', 'uncollectable')",
            name=op.f("ck_case_item_left_because_known"),
        ),
        sa.CheckConstraint("(left_on IS NULL) = (left_because IS NULL)", name=op.f("ck_case_item_left_for_a_reason")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_case_item_asset_id")),
        sa.ForeignKeyConstraint(["case_id"], ["collection_case.case_id"], name=op.f("fk_case_item_case_id")),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_case_item_funder_id")),
        sa.PrimaryKeyConstraint("case_id", "asset_id", name=op.f("pk_case_item")),
    )
    op.create_index("ix_case_item_asset", "case_item", ["asset_id"], unique=False)
    op.create_index("ix_case_item_funder", "case_item", ["funder_id", "asset_id"], unique=False)
    op.create_index(
        "uq_case_item_live", "case_item", ["asset_id"], unique=True, postgresql_where=sa.text("left_on IS NULL")
    )
    op.create_table(
        "case_stage",
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("reached_on", sa.Date(), nullable=False),
        sa.Column("days_past_due", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["collection_case.case_id"], name=op.f("fk_case_stage_case_id")),
        sa.PrimaryKeyConstraint("case_id", "stage", name=op.f("pk_case_stage")),
    )
    op.create_table(
        "collection_task",
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("originator_id", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("occasion", sa.String(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("second_to", sa.String(), nullable=True),
        sa.Column("made_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("assignee", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("finished_on", sa.Date(), nullable=True),
        sa.Column("finished_by", sa.String(), nullable=True),
        sa.Column("first_by", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(state = 'done') = (outcome IS NOT NULL)", name=op.f("ck_collection_task_outcome_when_done")
        ),
        sa.CheckConstraint(
            "(state = 'skipped') = (reason IS NOT NULL)", name=op.f("ck_collection_task_reason_when_skipped")
        ),
        sa.CheckConstraint(
            "(state IN ('done', 'skipped')) = (finished_on IS NOT NULL)",
            name=op.f("ck_collection_task_finished_on_a_day"),
        ),
        sa.CheckConstraint(
            "second_to IS NULL OR state <> 'done' OR (first_by IS NOT NULL AND finished_by IS NOT NULL)",
            name=op.f("ck_collection_task_second_after_first"),
        ),
        sa.CheckConstraint(
            "state IN ('open', 'started', 'done', 'skipped')", name=op.f("ck_collection_task_state_known")
        ),
        sa.CheckConstraint(
            "team IN ('risk', 'finance', 'sales', 'commerce')", name=op.f("ck_collection_task_team_known")
        ),
        sa.CheckConstraint("due_on >= made_on", name=op.f("ck_collection_task_due_after_made")),
        sa.CheckConstraint("finished_by <> first_by", name=op.f("ck_collection_task_four_eyes")),
        sa.ForeignKeyConstraint(["case_id"], ["collection_case.case_id"], name=op.f("fk_collection_task_case_id")),
        sa.ForeignKeyConstraint(["finished_by"], ["api_client.client_id"], name=op.f("fk_collection_task_finished_by")),
        sa.ForeignKeyConstraint(["first_by"], ["api_client.client_id"], name=op.f("fk_collection_task_first_by")),
        sa.ForeignKeyConstraint(
            ["originator_id"], ["originator.originator_id"], name=op.f("fk_collection_task_originator_id")
        ),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_collection_task")),
        sa.UniqueConstraint(
            "case_id", "stage", "template", "occasion", name=op.f("uq_collection_task_case_id_stage_template_occasion")
        ),
    )
    op.create_index(
        "ix_collection_task_originator", "collection_task", ["originator_id", "due_on", "task_id"], unique=False
    )
    op.create_index(
        "ix_collection_task_work_list",
        "collection_task",
        ["team", "due_on", "task_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('open', 'started')"),
    )
    op.create_table(
        "collection_task_step",
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("taken_by", sa.String(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "step IN ('assigned', 'started', 'done', 'skipped')", name=op.f("ck_collection_task_step_step_known")
        ),
        sa.ForeignKeyConstraint(["taken_by"], ["api_client.client_id"], name=op.f("fk_collection_task_step_taken_by")),
        sa.ForeignKeyConstraint(["task_id"], ["collection_task.task_id"], name=op.f("fk_collection_task_step_task_id")),
        sa.PrimaryKeyConstraint("task_id", "number", name=op.f("pk_collection_task_step")),
    )
    op.create_table(
        "collection_contact",
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("reached", sa.Boolean(), nullable=False),
        sa.Column("person", sa.String(), nullable=True),
        sa.Column("said", sa.String(), nullable=False),
        sa.Column("contacted_on", sa.Date(), nullable=False),
        sa.Column("entered_by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "channel IN ('phone', 'visit', 'email', 'message', 'post', 'meeting')",
            name=op.f("ck_collection_contact_channel_known"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["collection_case.case_id"], name=op.f("fk_collection_contact_case_id")),
        sa.ForeignKeyConstraint(
            ["entered_by"], ["api_client.client_id"], name=op.f("fk_collection_contact_entered_by")
        ),
        sa.PrimaryKeyConstraint("case_id", "number", name=op.f("pk_collection_contact")),
    )
    op.create_table(
        "payment_promise",
        sa.Column("promise_id", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("made_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("promised_by", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("judged_on", sa.Date(), nullable=True),
        sa.Column("entered_by", sa.String(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(state = 'kept') <= (paid_minor >= amount_minor)", name=op.f("ck_payment_promise_kept_is_paid")
        ),
        sa.CheckConstraint("(state = 'open') = (judged_on IS NULL)", name=op.f("ck_payment_promise_judged_on_a_day")),
        sa.CheckConstraint(
            "state IN ('open', 'kept', 'broken', 'lapsed')", name=op.f("ck_payment_promise_state_known")
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_promise_amount_positive")),
        sa.CheckConstraint("due_on >= made_on", name=op.f("ck_payment_promise_due_after_made")),
        sa.CheckConstraint("paid_minor >= 0", name=op.f("ck_payment_promise_paid_not_negative")),
        sa.ForeignKeyConstraint(["case_id"], ["collection_case.case_id"], name=op.f("fk_payment_promise_case_id")),
        sa.ForeignKeyConstraint(["entered_by"], ["api_client.client_id"], name=op.f("fk_payment_promise_entered_by")),
        sa.PrimaryKeyConstraint("promise_id", name=op.f("pk_payment_promise")),
    )
    op.create_index("ix_payment_promise_case", "payment_promise", ["case_id"], unique=False)
    op.create_table(
        "promised_asset",
        sa.Column("promise_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_promised_asset_asset_id")),
        sa.ForeignKeyConstraint(
            ["promise_id"], ["payment_promise.promise_id"], name=op.f("fk_promised_asset_promise_id")
        ),
        sa.PrimaryKeyConstraint("promise_id", "asset_id", name=op.f("pk_promised_asset")),
    )
    op.create_index(op.f("ix_promised_asset_asset_id"), "promised_asset", ["asset_id"], unique=False)
    op.create_table(
        "promise_verdict",
        sa.Column("promise_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("judged_on", sa.Date(), nullable=False),
        sa.CheckConstraint(
            "verdict IN ('open', 'kept', 'broken', 'lapsed')", name=op.f("ck_promise_verdict_verdict_known")
        ),
        sa.ForeignKeyConstraint(
            ["promise_id"], ["payment_promise.promise_id"], name=op.f("fk_promise_verdict_promise_id")
        ),
        sa.PrimaryKeyConstraint("promise_id", "number", name=op.f("pk_promise_verdict")),
    )
    op.create_table(
        "dunning_letter",
        sa.Column("letter_id", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("originator_id", sa.String(), nullable=False),
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("asset_ids", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("html", sa.String(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("made_on", sa.Date(), nullable=False),
        sa.Column("sent_on", sa.Date(), nullable=True),
        sa.Column("sent_channel", sa.String(), nullable=True),
        sa.Column("sent_reference", sa.String(), nullable=True),
        sa.Column("sent_by", sa.String(), nullable=True),
        sa.Column("withdrawn_on", sa.Date(), nullable=True),
        sa.CheckConstraint("language IN ('zh', 'en')", name=op.f("ck_dunning_letter_language_known")),
        sa.CheckConstraint(
            "num_nonnulls(sent_on, sent_by, sent_channel, sent_reference) IN (0, 4)",
            name=op.f("ck_dunning_letter_sent_by_somebody"),
        ),
        sa.CheckConstraint("sent_on IS NULL OR withdrawn_on IS NULL", name=op.f("ck_dunning_letter_sent_or_withdrawn")),
        sa.ForeignKeyConstraint(["case_id"], ["collection_case.case_id"], name=op.f("fk_dunning_letter_case_id")),
        sa.ForeignKeyConstraint(
            ["originator_id"], ["originator.originator_id"], name=op.f("fk_dunning_letter_originator_id")
        ),
        sa.ForeignKeyConstraint(["sent_by"], ["api_client.client_id"], name=op.f("fk_dunning_letter_sent_by")),
        sa.ForeignKeyConstraint(["task_id"], ["collection_task.task_id"], name=op.f("fk_dunning_letter_task_id")),
        sa.PrimaryKeyConstraint("letter_id", name=op.f("pk_dunning_letter")),
    )
    op.create_index("ix_dunning_letter_case", "dunning_letter", ["case_id"], unique=False)
    op.create_index("ix_dunning_letter_originator", "dunning_letter", ["originator_id", "letter_id"], unique=False)
    op.create_index(
        "uq_dunning_letter_task",
        "dunning_letter",
        ["task_id"],
        unique=True,
        postgresql_where=sa.text("withdrawn_on IS NULL"),
    )
    op.create_table(
        "payment_plan",
        sa.Column("plan_id", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("instalments", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reschedule_id", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("proposed_on", sa.Date(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(state = 'dropped') = (reason IS NOT NULL)", name=op.f("ck_payment_plan_dropped_for_a_reason")
        ),
        sa.CheckConstraint(
            "(state = 'handed_over') = (reschedule_id IS NOT NULL)",
            name=op.f("ck_payment_plan_handed_over_to_something"),
        ),
        sa.CheckConstraint(
            "(state = 'proposed') = (decided_by IS NULL)", name=op.f("ck_payment_plan_decided_by_somebody")
        ),
        sa.CheckConstraint("state IN ('proposed', 'handed_over', 'dropped')", name=op.f("ck_payment_plan_state_known")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_payment_plan_asset_id")),
        sa.ForeignKeyConstraint(["case_id"], ["collection_case.case_id"], name=op.f("fk_payment_plan_case_id")),
        sa.ForeignKeyConstraint(["decided_by"], ["api_client.client_id"], name=op.f("fk_payment_plan_decided_by")),
        sa.ForeignKeyConstraint(["proposed_by"], ["api_client.client_id"], name=op.f("fk_payment_plan_proposed_by")),
        sa.PrimaryKeyConstraint("plan_id", name=op.f("pk_payment_plan")),
    )
    op.create_index("ix_payment_plan_case", "payment_plan", ["case_id"], unique=False)
    op.create_index(
        "uq_payment_plan_proposed",
        "payment_plan",
        ["asset_id"],
        unique=True,
        postgresql_where=sa.text("state = 'proposed'"),
    )
    op.create_table(
        "case_referral",
        sa.Column("referral_id", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("to", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("fee_bps", sa.Integer(), nullable=True),
        sa.Column("began_on", sa.Date(), nullable=False),
        sa.Column("began_by", sa.String(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("end_reason", sa.String(), nullable=True),
        sa.CheckConstraint("(kind = 'agency') = (fee_bps IS NOT NULL)", name=op.f("ck_case_referral_fee_of_agency")),
        sa.CheckConstraint("kind IN ('legal', 'agency')", name=op.f("ck_case_referral_kind_known")),
        sa.CheckConstraint(
            "(ended_on IS NULL) = (end_reason IS NULL)", name=op.f("ck_case_referral_ended_for_a_reason")
        ),
        sa.CheckConstraint("ended_on >= began_on", name=op.f("ck_case_referral_ends_after_it_began")),
        sa.CheckConstraint("fee_bps BETWEEN 0 AND 10000", name=op.f("ck_case_referral_fee_range")),
        sa.ForeignKeyConstraint(["began_by"], ["api_client.client_id"], name=op.f("fk_case_referral_began_by")),
        sa.ForeignKeyConstraint(["case_id"], ["collection_case.case_id"], name=op.f("fk_case_referral_case_id")),
        sa.PrimaryKeyConstraint("referral_id", name=op.f("pk_case_referral")),
    )
    op.create_index("ix_case_referral_case", "case_referral", ["case_id"], unique=False)
    op.create_index(
        "uq_case_referral_live",
        "case_referral",
        ["case_id", "kind"],
        unique=True,
        postgresql_where=sa.text("ended_on IS NULL"),
    )
    for table in SEALED:
        op.execute(
            f"CREATE TRIGGER {table}_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION books_refuse_change()"
        )
