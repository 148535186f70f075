"""Auctions, listings, trades between funders.

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

SEALED = """
CREATE TRIGGER {table}_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION books_refuse_change()
"""


def upgrade() -> None:
    """Make the tables, and seal what was traded; pools need no round, and a claim can be kept out of one."""
    _pools()
    _auction()
    _listing()
    _bid()
    _auction_certificate()
    _auction_asset()
    _listing_asset()
    _trade_side()
    for table in ("trade_side", "auction_certificate"):
        op.execute(SEALED.format(table=table))


def _pools() -> None:
    op.add_column("claim", sa.Column("kept_for", sa.String(), nullable=True))
    op.alter_column("pool", "round_id", existing_type=sa.String(), nullable=True)


def _auction() -> None:
    op.create_table(
        "auction",
        sa.Column("auction_id", sa.String(), nullable=False),
        sa.Column("originator_id", sa.String(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reserve_bps", sa.Integer(), nullable=False),
        sa.Column("advance_bps", sa.Integer(), nullable=False),
        sa.Column("pricing", sa.String(), nullable=False),
        sa.Column("min_part_minor", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seed", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("outcome <> 'cleared' OR seed IS NOT NULL", name=op.f("ck_auction_seed_of_cleared")),
        sa.CheckConstraint("outcome IN ('cleared', 'cancelled')", name=op.f("ck_auction_outcome_known")),
        sa.CheckConstraint("pricing IN ('bid', 'uniform')", name=op.f("ck_auction_pricing_known")),
        sa.CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name=op.f("ck_auction_ended_when_outcome")),
        sa.CheckConstraint("min_part_minor > 0", name=op.f("ck_auction_part_positive")),
        sa.CheckConstraint("opens_at < closes_at", name=op.f("ck_auction_window")),
        sa.CheckConstraint("reserve_bps >= 0 AND advance_bps BETWEEN 1 AND 10000", name=op.f("ck_auction_rates")),
        sa.ForeignKeyConstraint(["originator_id"], ["originator.originator_id"], name=op.f("fk_auction_originator_id")),
        sa.PrimaryKeyConstraint("auction_id", name=op.f("pk_auction")),
    )
    op.create_index(
        "ix_auction_open", "auction", ["closes_at"], unique=False, postgresql_where=sa.text("outcome IS NULL")
    )
    op.create_index(op.f("ix_auction_originator_id"), "auction", ["originator_id"], unique=False)


def _listing() -> None:
    op.create_table(
        "listing",
        sa.Column("listing_id", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("price_ppm", sa.Integer(), nullable=False),
        sa.Column("min_part_minor", sa.BigInteger(), nullable=True),
        sa.Column("listed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("outcome IN ('sold', 'withdrawn')", name=op.f("ck_listing_outcome_known")),
        sa.CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name=op.f("ck_listing_ended_when_outcome")),
        sa.CheckConstraint("listed_at < valid_until", name=op.f("ck_listing_window")),
        sa.CheckConstraint("min_part_minor > 0", name=op.f("ck_listing_part_positive")),
        sa.CheckConstraint("price_ppm BETWEEN 1 AND 1000000", name=op.f("ck_listing_price_range")),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_listing_funder_id")),
        sa.PrimaryKeyConstraint("listing_id", name=op.f("pk_listing")),
    )
    op.create_index("ix_listing_funder", "listing", ["funder_id", "listing_id"], unique=False)
    op.create_index(
        "ix_listing_open", "listing", ["listing_id"], unique=False, postgresql_where=sa.text("outcome IS NULL")
    )


def _bid() -> None:
    op.create_table(
        "bid",
        sa.Column("bid_id", sa.String(), nullable=False),
        sa.Column("auction_id", sa.String(), nullable=False),
        sa.Column("lot", sa.Integer(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("mandate_id", sa.String(), nullable=False),
        sa.Column("held_minor", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened", sa.String(), nullable=True),
        sa.Column("rate_bps", sa.Integer(), nullable=True),
        sa.Column("taken_minor", sa.BigInteger(), nullable=True),
        sa.Column("pool_id", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(outcome IS NOT DISTINCT FROM 'won') = (pool_id IS NOT NULL)", name=op.f("ck_bid_pool_of_winner")
        ),
        sa.CheckConstraint("outcome IN ('won', 'lost', 'withdrawn')", name=op.f("ck_bid_outcome_known")),
        sa.CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name=op.f("ck_bid_ended_when_outcome")),
        sa.CheckConstraint("outcome IS NULL OR sealed IS NULL", name=op.f("ck_bid_sealed_until_over")),
        sa.ForeignKeyConstraint(["auction_id"], ["auction.auction_id"], name=op.f("fk_bid_auction_id")),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_bid_funder_id")),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.pool_id"], name=op.f("fk_bid_pool_id")),
        sa.PrimaryKeyConstraint("bid_id", name=op.f("pk_bid")),
    )
    op.create_index("ix_bid_auction_id", "bid", ["auction_id", "bid_id"], unique=False)
    op.create_index("ix_bid_funder", "bid", ["funder_id", "bid_id"], unique=False)
    op.create_index(
        "uq_bid_live",
        "bid",
        ["auction_id", "lot", "mandate_id"],
        unique=True,
        postgresql_where=sa.text("outcome IS NULL"),
    )


def _auction_certificate() -> None:
    op.create_table(
        "auction_certificate",
        sa.Column("auction_id", sa.String(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["auction_id"], ["auction.auction_id"], name=op.f("fk_auction_certificate_auction_id")),
        sa.PrimaryKeyConstraint("auction_id", name=op.f("pk_auction_certificate")),
    )


def _auction_asset() -> None:
    op.create_table(
        "auction_asset",
        sa.Column("auction_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("lot", sa.Integer(), nullable=False),
        sa.Column("holder_id", sa.String(), nullable=False),
        sa.Column("outstanding_minor", sa.BigInteger(), nullable=False),
        sa.Column("sold_minor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.CheckConstraint("sold_minor BETWEEN 0 AND outstanding_minor", name=op.f("ck_auction_asset_sold_range")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_auction_asset_asset_id")),
        sa.ForeignKeyConstraint(["auction_id"], ["auction.auction_id"], name=op.f("fk_auction_asset_auction_id")),
        sa.ForeignKeyConstraint(["holder_id"], ["company.company_id"], name=op.f("fk_auction_asset_holder_id")),
        sa.PrimaryKeyConstraint("auction_id", "asset_id", name=op.f("pk_auction_asset")),
    )
    op.create_index("ix_auction_asset_asset_id", "auction_asset", ["asset_id"], unique=False)


def _listing_asset() -> None:
    op.create_table(
        "listing_asset",
        sa.Column("listing_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("outstanding_minor", sa.BigInteger(), nullable=False),
        sa.Column("due_minor", sa.BigInteger(), nullable=False),
        sa.Column("schedule_version", sa.Integer(), nullable=True),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.CheckConstraint("due_minor BETWEEN 1 AND outstanding_minor", name=op.f("ck_listing_asset_due_range")),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_listing_asset_asset_id")),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.listing_id"], name=op.f("fk_listing_asset_listing_id")),
        sa.PrimaryKeyConstraint("listing_id", "asset_id", name=op.f("pk_listing_asset")),
    )
    op.create_index(
        "uq_listing_asset_open", "listing_asset", ["asset_id"], unique=True, postgresql_where=sa.text("open")
    )
    op.create_index("ix_listing_asset_asset_id", "listing_asset", ["asset_id"], unique=False)


def _trade_side() -> None:
    op.create_table(
        "trade_side",
        sa.Column("trade_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("funder_id", sa.String(), nullable=False),
        sa.Column("pool_id", sa.String(), nullable=False),
        sa.Column("listing_id", sa.String(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("face_minor", sa.BigInteger(), nullable=False),
        sa.Column("due_minor", sa.BigInteger(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("earned_minor", sa.BigInteger(), nullable=True),
        sa.Column("result_minor", sa.BigInteger(), nullable=True),
        sa.Column("traded_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(side = 'sold') = (listing_id IS NOT NULL AND earned_minor IS NOT NULL AND result_minor IS NOT NULL)",
            name=op.f("ck_trade_side_seller_has_result"),
        ),
        sa.CheckConstraint("side IN ('bought', 'sold')", name=op.f("ck_trade_side_side_known")),
        sa.CheckConstraint(
            "price_minor BETWEEN 0 AND due_minor AND due_minor <= face_minor", name=op.f("ck_trade_side_amounts")
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["claim.asset_id"], name=op.f("fk_trade_side_asset_id")),
        sa.ForeignKeyConstraint(["funder_id"], ["funder.funder_id"], name=op.f("fk_trade_side_funder_id")),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.listing_id"], name=op.f("fk_trade_side_listing_id")),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.pool_id"], name=op.f("fk_trade_side_pool_id")),
        sa.PrimaryKeyConstraint("trade_id", "asset_id", "side", name=op.f("pk_trade_side")),
    )
    op.create_index("ix_trade_side_funder", "trade_side", ["funder_id", "trade_id"], unique=False)
    op.create_index("ix_trade_side_pool", "trade_side", ["pool_id", "asset_id"], unique=False)
