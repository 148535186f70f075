"""Title: parts, holders, encumbrances, notices.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _claims()
    _endorsements()
    _encumbrances()
    _notices()
    _shares()


def _claims() -> None:
    """A claim so far is the root of its tree, and its seller's."""
    op.add_column("claim", sa.Column("root_id", sa.String()))
    op.add_column("claim", sa.Column("parent_id", sa.String()))
    op.add_column("claim", sa.Column("holder_id", sa.String()))
    op.add_column("claim", sa.Column("held_since", sa.Date()))
    op.add_column("claim", sa.Column("encumbered_minor", sa.BigInteger()))
    op.execute("""
        UPDATE claim SET root_id = claim.asset_id, holder_id = seller_id, encumbered_minor = 0,
               held_since = coalesce(CASE WHEN state = 'assigned' THEN bought_on END, issue_date)
        FROM receivable
        LEFT JOIN pool_asset ON pool_asset.asset_id = receivable.asset_id AND released_at IS NULL
        WHERE receivable.asset_id = claim.asset_id
    """)
    for column in ("root_id", "holder_id", "held_since", "encumbered_minor"):
        op.alter_column("claim", column, nullable=False)
    op.drop_constraint("fk_claim_asset_id", "claim")
    op.create_foreign_key(op.f("fk_claim_root_id"), "claim", "receivable", ["root_id"], ["asset_id"])
    op.create_foreign_key(op.f("fk_claim_parent_id"), "claim", "claim", ["parent_id"], ["asset_id"])
    op.create_foreign_key(op.f("fk_claim_holder_id"), "claim", "company", ["holder_id"], ["company_id"])
    op.drop_constraint("ck_claim_state_known", "claim")
    op.drop_constraint("ck_claim_closed_when_nothing_is_owed", "claim")
    checks = {
        "state_known": "state IN ('free', 'reserved', 'committed', 'assigned', 'split', 'closed')",
        "closed_when_nothing_is_owed": "(state IN ('split', 'closed')) = (outstanding_minor = 0)",
        "encumbered_range": "encumbered_minor BETWEEN 0 AND outstanding_minor",
        "never_offered_encumbered": "encumbered_minor = 0 OR state IN ('free', 'assigned')",
        "root_or_part": "(parent_id IS NULL) = (asset_id = root_id)",
    }
    for name, check in checks.items():
        op.create_check_constraint(op.f(f"ck_claim_{name}"), "claim", check)
    op.drop_index("ix_claim_free", table_name="claim")
    free, part = "state = 'free' AND encumbered_minor = 0", "parent_id IS NOT NULL"
    op.create_index("ix_claim_free", "claim", ["root_id", "asset_id"], postgresql_where=sa.text(free))
    op.create_index("ix_claim_part", "claim", ["root_id", "asset_id"], postgresql_where=sa.text(part))
    _pool_assets()


def _pool_assets() -> None:
    """A part may be worth nothing to its pool but a holdback; what sellers owe stands beside what was collected."""
    op.add_column("pool_asset", sa.Column("diluted_minor", sa.BigInteger()))
    op.execute("""
        UPDATE pool_asset SET diluted_minor = CASE WHEN bought_on IS NULL THEN 0 ELSE (
            SELECT coalesce(sum(shortfall_minor - paid_minor), 0)
            FROM credit_note WHERE credit_note.asset_id = pool_asset.asset_id
        ) END
    """)
    op.alter_column("pool_asset", "diluted_minor", nullable=False)
    op.drop_constraint("ck_pool_asset_collected_range", "pool_asset")
    reductions = "collected_minor >= 0 AND diluted_minor >= 0"
    op.create_check_constraint(op.f("ck_pool_asset_reductions"), "pool_asset", reductions)
    due = "collected_minor + diluted_minor <= price_minor + discount_minor"
    op.create_check_constraint(op.f("ck_pool_asset_due_not_negative"), "pool_asset", due)
    op.drop_constraint("ck_pool_asset_amounts", "pool_asset")
    amounts = "price_minor >= 0 AND discount_minor >= 0 AND holdback_minor >= 0"
    op.create_check_constraint(op.f("ck_pool_asset_amounts"), "pool_asset", amounts)


def _endorsements() -> None:
    op.create_table(
        "endorsement",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("hop", sa.Integer(), nullable=False),
        sa.Column("from_id", sa.String(), nullable=False),
        sa.Column("to_id", sa.String(), nullable=False),
        sa.Column("recourse", sa.String(), nullable=False),
        sa.Column("effective_date", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("from_id <> to_id", name=op.f("ck_endorsement_two_companies")),
        sa.CheckConstraint("recourse IN ('with', 'without')", name=op.f("ck_endorsement_recourse_known")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_endorsement_asset_id")),
        sa.ForeignKeyConstraint(["from_id"], ["company.company_id"], name=op.f("fk_endorsement_from_id")),
        sa.ForeignKeyConstraint(["to_id"], ["company.company_id"], name=op.f("fk_endorsement_to_id")),
        sa.PrimaryKeyConstraint("asset_id", "hop", name=op.f("pk_endorsement")),
    )


def _encumbrances() -> None:
    kinds = "kind IN ('pledge', 'lien', 'court_order', 'set_off')"
    live = "amount_minor > 0 AND live_minor BETWEEN 0 AND amount_minor"
    op.create_table(
        "encumbrance",
        sa.Column("encumbrance_id", sa.String(), nullable=False),
        sa.Column("entry", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("party_id", sa.String()),
        sa.Column("beneficiary", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("ground", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("live_minor", sa.BigInteger(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True)),
        sa.Column("release_reason", sa.String()),
        sa.CheckConstraint(kinds, name=op.f("ck_encumbrance_kind_known")),
        sa.CheckConstraint(live, name=op.f("ck_encumbrance_live_range")),
        sa.CheckConstraint(
            "(live_minor = 0) = (released_at IS NOT NULL)", name=op.f("ck_encumbrance_released_when_nothing_lives")
        ),
        sa.CheckConstraint(
            "(released_at IS NULL) = (release_reason IS NULL)", name=op.f("ck_encumbrance_reason_of_release")
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_encumbrance_asset_id")),
        sa.PrimaryKeyConstraint("encumbrance_id", name=op.f("pk_encumbrance")),
        sa.UniqueConstraint("entry", name=op.f("uq_encumbrance_entry")),
    )
    lives = sa.text("live_minor > 0")
    op.create_index("ix_encumbrance_live", "encumbrance", ["asset_id", "priority", "entry"], postgresql_where=lives)


def _notices() -> None:
    op.create_table(
        "assignment_notice",
        sa.Column("notice_id", sa.String(), nullable=False),
        sa.Column("pool_id", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("originator_id", sa.String(), nullable=False),
        sa.Column("obligor_id", sa.String(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("asset_count", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("given_on", sa.Date(), nullable=False),
        sa.Column("acknowledged_on", sa.Date()),
        sa.Column("acknowledged_by", sa.String()),
        sa.Column("evidence", sa.LargeBinary()),
        sa.CheckConstraint(
            "(acknowledged_on IS NULL) = (acknowledged_by IS NULL)", name=op.f("ck_assignment_notice_who_acknowledged")
        ),
        sa.CheckConstraint(
            "evidence IS NULL OR acknowledged_on IS NOT NULL",
            name=op.f("ck_assignment_notice_evidence_of_acknowledgement"),
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.pool_id"], name=op.f("fk_assignment_notice_pool_id")),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_assignment_notice_funder_id")),
        sa.ForeignKeyConstraint(
            ["originator_id"], ["originator.originator_id"], name=op.f("fk_assignment_notice_originator_id")
        ),
        sa.ForeignKeyConstraint(["obligor_id"], ["company.company_id"], name=op.f("fk_assignment_notice_obligor_id")),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_assignment_notice")),
        sa.UniqueConstraint(
            "pool_id", "originator_id", "obligor_id", name=op.f("uq_assignment_notice_pool_id_originator_id_obligor_id")
        ),
    )
    for party in ("obligor", "originator", "funder"):
        op.create_index(f"ix_assignment_notice_{party}", "assignment_notice", [f"{party}_id", "notice_id"])
    op.create_table(
        "noticed_asset",
        sa.Column("notice_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["assignment_notice.notice_id"], name=op.f("fk_noticed_asset_notice_id")
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_noticed_asset_asset_id")),
        sa.PrimaryKeyConstraint("notice_id", "asset_id", name=op.f("pk_noticed_asset")),
    )
    op.create_table(
        "filing",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("filed_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("expires_on >= filed_on", name=op.f("ck_filing_expires_after_filing")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_filing_asset_id")),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_filing_funder_id")),
        sa.PrimaryKeyConstraint("asset_id", "funder_id", "number", name=op.f("pk_filing")),
    )


def _shares() -> None:
    op.create_table(
        "receipt_share",
        sa.Column("receipt_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_receipt_share_amount_positive")),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipt.receipt_id"], name=op.f("fk_receipt_share_receipt_id")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_receipt_share_asset_id")),
        sa.PrimaryKeyConstraint("receipt_id", "asset_id", name=op.f("pk_receipt_share")),
    )
    op.create_index(op.f("ix_receipt_share_asset_id"), "receipt_share", ["asset_id"])
