"""Auctions and their sealed bids, listings of funders, and trades between them."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base

OVER = "(outcome IS NULL) = (ended_at IS NULL)"


class Auction(Base):
    """Free assets put up in lots for sealed bids between two moments; over when it has an outcome.

    Bids name a discount of at most `reserve_bps` a year; `advance_bps` of what is owed, less the discount, is paid. A
    lot goes whole to one bid, or with `min_part_minor` in parts of at least so much to several. Each winner gets its
    own discount, or (`uniform`) the highest that won in its lot.
    """

    __tablename__ = "auction"
    __table_args__ = (
        CheckConstraint(OVER, name="ended_when_outcome"),
        CheckConstraint("outcome IN ('cleared', 'cancelled')", name="outcome_known"),
        CheckConstraint("outcome <> 'cleared' OR seed IS NOT NULL", name="seed_of_cleared"),
        CheckConstraint("pricing IN ('bid', 'uniform')", name="pricing_known"),
        CheckConstraint("opens_at < closes_at", name="window"),
        CheckConstraint("reserve_bps >= 0 AND advance_bps BETWEEN 1 AND 10000", name="rates"),
        CheckConstraint("min_part_minor > 0", name="part_positive"),
        Index("ix_auction_open", "closes_at", postgresql_where=text("outcome IS NULL")),
    )

    auction_id: Mapped[str] = mapped_column(String, primary_key=True)
    originator_id: Mapped[str | None] = mapped_column(ForeignKey("originator.originator_id"), index=True)
    currency: Mapped[str] = mapped_column(String(3))
    opens_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    closes_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    reserve_bps: Mapped[int]
    advance_bps: Mapped[int]
    pricing: Mapped[str] = mapped_column(String)
    min_part_minor: Mapped[int | None] = mapped_column(BigInteger)
    outcome: Mapped[str | None] = mapped_column(String)
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    seed: Mapped[bytes | None] = mapped_column(LargeBinary)


class AuctionCertificate(Base):
    """What proves the outcome of an auction, with every bid in it. Rows are only added."""

    __tablename__ = "auction_certificate"

    auction_id: Mapped[str] = mapped_column(ForeignKey("auction.auction_id"), primary_key=True)
    document: Mapped[bytes] = mapped_column(LargeBinary)


class AuctionAsset(Base):
    """An asset in a lot, as it was when the auction was made; what of it was sold, or why nothing was."""

    __tablename__ = "auction_asset"
    __table_args__ = (
        CheckConstraint("sold_minor BETWEEN 0 AND outstanding_minor", name="sold_range"),
        Index("ix_auction_asset_asset_id", "asset_id"),
    )

    auction_id: Mapped[str] = mapped_column(ForeignKey("auction.auction_id"), primary_key=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    lot: Mapped[int]
    holder_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    outstanding_minor: Mapped[int] = mapped_column(BigInteger)
    sold_minor: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(String)


class Bid(Base):
    """A funder's bid for a lot. Until the auction is over its terms are in `sealed` alone, and its money is held.

    `digest` is the SHA-256 of `opened`, the canonical JSON of its terms with a salt: what the bidder was told when it
    bid. `rate_bps` is the discount that it pays, `taken_minor` what it got, `pool_id` where that is.
    """

    __tablename__ = "bid"
    __table_args__ = (
        CheckConstraint(OVER, name="ended_when_outcome"),
        CheckConstraint("outcome IN ('won', 'lost', 'withdrawn')", name="outcome_known"),
        CheckConstraint("(outcome IS NOT DISTINCT FROM 'won') = (pool_id IS NOT NULL)", name="pool_of_winner"),
        CheckConstraint("outcome IS NULL OR sealed IS NULL", name="sealed_until_over"),
        Index("uq_bid_live", "auction_id", "lot", "mandate_id", unique=True, postgresql_where=text("outcome IS NULL")),
        Index("ix_bid_funder", "funder_id", "bid_id"),
        Index("ix_bid_auction_id", "auction_id", "bid_id"),
    )

    bid_id: Mapped[str] = mapped_column(String, primary_key=True)
    auction_id: Mapped[str] = mapped_column(ForeignKey("auction.auction_id"))
    lot: Mapped[int]
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"))
    mandate_id: Mapped[str] = mapped_column(String)
    held_minor: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    entered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None] = mapped_column(String)
    reason: Mapped[str | None] = mapped_column(String)
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    opened: Mapped[str | None] = mapped_column(String)
    rate_bps: Mapped[int | None]
    taken_minor: Mapped[int | None] = mapped_column(BigInteger)
    pool_id: Mapped[str | None] = mapped_column(ForeignKey("pool.pool_id"))


class Listing(Base):
    """What a funder would sell, at `price_ppm` of what is still due to it; over when it has an outcome.

    It goes whole, or with `min_part_minor` in parts of at least so much.
    """

    __tablename__ = "listing"
    __table_args__ = (
        CheckConstraint(OVER, name="ended_when_outcome"),
        CheckConstraint("outcome IN ('sold', 'withdrawn')", name="outcome_known"),
        CheckConstraint("price_ppm BETWEEN 1 AND 1000000", name="price_range"),
        CheckConstraint("min_part_minor > 0", name="part_positive"),
        CheckConstraint("listed_at < valid_until", name="window"),
        Index("ix_listing_open", "listing_id", postgresql_where=text("outcome IS NULL")),
        Index("ix_listing_funder", "funder_id", "listing_id"),
    )

    listing_id: Mapped[str] = mapped_column(String, primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"))
    currency: Mapped[str] = mapped_column(String(3))
    price_ppm: Mapped[int]
    min_part_minor: Mapped[int | None] = mapped_column(BigInteger)
    listed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    valid_until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None] = mapped_column(String)
    reason: Mapped[str | None] = mapped_column(String)
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ListingAsset(Base):
    """An asset on a listing, as it was then: of one that changed since, the price is stale. Not `open`: sold or off."""

    __tablename__ = "listing_asset"
    __table_args__ = (
        Index("uq_listing_asset_open", "asset_id", unique=True, postgresql_where=text("open")),
        Index("ix_listing_asset_asset_id", "asset_id"),
        CheckConstraint("due_minor BETWEEN 1 AND outstanding_minor", name="due_range"),
    )

    listing_id: Mapped[str] = mapped_column(ForeignKey("listing.listing_id"), primary_key=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    outstanding_minor: Mapped[int] = mapped_column(BigInteger)
    due_minor: Mapped[int] = mapped_column(BigInteger)
    schedule_version: Mapped[int | None]
    open: Mapped[bool]


class TradeSide(Base):
    """One asset's change of hands between funders, as one side has it: each trade of an asset is two rows.

    `due_minor` is what was still due to the seller and is the buyer's now. The seller had earned `earned_minor` of its
    discount by then and gained `result_minor` (lost, below 0) on what the asset stood at with it. Rows are only added.
    """

    __tablename__ = "trade_side"
    __table_args__ = (
        CheckConstraint("side IN ('bought', 'sold')", name="side_known"),
        CheckConstraint(
            "(side = 'sold') = (listing_id IS NOT NULL AND earned_minor IS NOT NULL AND result_minor IS NOT NULL)",
            name="seller_has_result",
        ),
        CheckConstraint("price_minor BETWEEN 0 AND due_minor AND due_minor <= face_minor", name="amounts"),
        Index("ix_trade_side_funder", "funder_id", "trade_id"),
        Index("ix_trade_side_pool", "pool_id", "asset_id"),
    )

    trade_id: Mapped[str] = mapped_column(String, primary_key=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    side: Mapped[str] = mapped_column(String, primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"))
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.pool_id"))
    listing_id: Mapped[str | None] = mapped_column(ForeignKey("listing.listing_id"))
    currency: Mapped[str] = mapped_column(String(3))
    face_minor: Mapped[int] = mapped_column(BigInteger)
    due_minor: Mapped[int] = mapped_column(BigInteger)
    price_minor: Mapped[int] = mapped_column(BigInteger)
    earned_minor: Mapped[int | None] = mapped_column(BigInteger)
    result_minor: Mapped[int | None] = mapped_column(BigInteger)
    traded_on: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
