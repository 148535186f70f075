"""Claims on assets, mandates, rounds and pools."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Claim(Base):
    """Who has the claim on an asset, and how much of its face is still owed. This row is the lock on the asset.

    free: its holder's, to be offered; reserved: in an offer; committed: in an accepted offer; assigned: a funder's;
    split: its parts stand for it; closed: nothing is owed any more.

    A receivable's claim is a tree: the root has the receivable's own id, a part has one of its own and a `parent_id`.
    Whoever locks several claims takes them by (root_id, asset_id). `holder_id` is the company that has the claim, or
    that sold it: price and holdback are its. `held_since` is the day from which on title stands as it does.
    `encumbered_minor` is what encumbrances hold of what is owed. While it is disputed, nobody is offered it.
    `schedule_version` names its instalments in force; without one all is due on `due_date`. With one that is the last
    instalment's date. `kept_for` names what keeps a free claim out of rounds, such as an auction.
    """

    __tablename__ = "claim"
    __table_args__ = (
        CheckConstraint(
            "state IN ('free', 'reserved', 'committed', 'assigned', 'split', 'closed')", name="state_known"
        ),
        CheckConstraint("outstanding_minor BETWEEN 0 AND face_minor", name="outstanding_range"),
        CheckConstraint("(state IN ('split', 'closed')) = (outstanding_minor = 0)", name="closed_when_nothing_is_owed"),
        CheckConstraint("encumbered_minor BETWEEN 0 AND outstanding_minor", name="encumbered_range"),
        CheckConstraint("encumbered_minor = 0 OR state IN ('free', 'assigned')", name="never_offered_encumbered"),
        CheckConstraint("NOT disputed OR state NOT IN ('reserved', 'committed')", name="never_offered_disputed"),
        CheckConstraint("(parent_id IS NULL) = (asset_id = root_id)", name="root_or_part"),
        CheckConstraint("schedule_version > 0", name="version_from_one"),
        CheckConstraint(
            "(state IN ('reserved', 'committed', 'assigned')) <= (pool_id IS NOT NULL)", name="pool_of_state"
        ),
        Index(
            "ix_claim_free",
            "root_id",
            "asset_id",
            postgresql_where=text("state = 'free' AND encumbered_minor = 0"),
        ),
        Index("ix_claim_part", "root_id", "asset_id", postgresql_where=text("parent_id IS NOT NULL")),
        Index("ix_claim_open_due", "due_date", postgresql_where=text("outstanding_minor > 0")),
        Index("ix_claim_pool_id", "pool_id"),
    )

    asset_id: Mapped[str] = mapped_column(String, primary_key=True)
    root_id: Mapped[str] = mapped_column(ForeignKey("receivable.asset_id"))
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("claim.asset_id"))
    holder_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    held_since: Mapped[date]
    currency: Mapped[str] = mapped_column(String(3))
    due_date: Mapped[date]
    face_minor: Mapped[int] = mapped_column(BigInteger)
    outstanding_minor: Mapped[int] = mapped_column(BigInteger)
    encumbered_minor: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String)
    pool_id: Mapped[str | None] = mapped_column(ForeignKey("pool.pool_id"))
    listed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    disputed: Mapped[bool] = mapped_column(server_default=text("false"))
    schedule_version: Mapped[int | None]
    kept_for: Mapped[str | None] = mapped_column(String)


class Instalment(Base):
    """What is due when, of a claim that is not due all at once. Never changed: a reschedule is another version.

    A version sums to what was owed when it was made. What was paid since is the sum less `claim.outstanding_minor`, and
    counts for the oldest instalment first.
    """

    __tablename__ = "instalment"
    __table_args__ = (
        CheckConstraint("version > 0 AND number > 0", name="from_one"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        Index("ix_instalment_due_date", "due_date", "asset_id"),
        Index("uq_instalment_due_date", "asset_id", "version", "due_date", unique=True),
    )

    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    due_date: Mapped[date]
    amount_minor: Mapped[int] = mapped_column(BigInteger)


class Mandate(Base):
    """One version of a funder's standing risk appetite. A new version never touches an offer in flight.

    In force is the highest version that is effective; one that is `ended` takes nothing more.
    """

    __tablename__ = "mandate"
    __table_args__ = (CheckConstraint("effective_at >= entered_at", name="effective_from_entry"),)

    mandate_id: Mapped[str] = mapped_column(String, primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), index=True)
    name: Mapped[str] = mapped_column(String)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    effective_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    entered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended: Mapped[bool] = mapped_column(server_default=text("false"))


class Round(Base):
    """One clearing of the free assets against the mandates, at a cut-off: `exchange.rounds` lives it.

    waiting: another round is not over; open: its inputs are frozen, and it is being solved; solved: its answers are
    there, to be applied; done. One of all is open or solved. `asked_by` is who asked for it, None for the calendar.
    """

    __tablename__ = "clearing_round"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'open', 'solved', 'done')", name="state_known"),
        CheckConstraint("(state = 'done') = (finished_at IS NOT NULL)", name="finished_when_done"),
        Index(
            "uq_clearing_round_running",
            text("(true)"),
            unique=True,
            postgresql_where=text("state IN ('open', 'solved')"),
        ),
        Index("uq_clearing_round_calendar", "cut_off_at", unique=True, postgresql_where=text("asked_by IS NULL")),
        Index("ix_clearing_round_waiting", "cut_off_at", "round_id", postgresql_where=text("state = 'waiting'")),
    )

    round_id: Mapped[str] = mapped_column(String, primary_key=True)
    cut_off_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    seed: Mapped[str] = mapped_column(String)
    asset_count: Mapped[int]
    matched_count: Mapped[int]
    matched_face: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(String)
    asked_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Pool(Base):
    """What one mandate got in one round, or without one: in an auction, a co-funding, a trade."""

    __tablename__ = "pool"
    __table_args__ = (
        ForeignKeyConstraint(["mandate_id", "mandate_version"], ["mandate.mandate_id", "mandate.version"]),
    )

    pool_id: Mapped[str] = mapped_column(String, primary_key=True)
    round_id: Mapped[str | None] = mapped_column(ForeignKey("clearing_round.round_id"), index=True)
    mandate_id: Mapped[str] = mapped_column(String, index=True)
    mandate_version: Mapped[int]
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), index=True)
    currency: Mapped[str] = mapped_column(String(3))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class PoolAsset(Base):
    """An asset in a pool, at its price: that of the instalments in force then, named by `schedule_version`.

    `bought_on` is the day of its purchase; `released_at` says when it left the pool: not bought, paid off, or split.
    `diluted_minor` is what credit notes took off price and discount and the seller owes: the funder no longer expects
    it from the obligor. `written_off_minor` is what was given up of them and has not come back; since `charged_off_on`
    the asset does not count as good. A split leaves what was collected so far with the asset and the rest with its
    parts, so that a pool's sums stay.
    """

    __tablename__ = "pool_asset"
    __table_args__ = (
        CheckConstraint("price_minor >= 0 AND discount_minor >= 0 AND holdback_minor >= 0", name="amounts"),
        CheckConstraint("price_minor + discount_minor + holdback_minor = face_minor", name="parts_of_face"),
        CheckConstraint("collected_minor >= 0 AND diluted_minor >= 0 AND written_off_minor >= 0", name="reductions"),
        CheckConstraint(
            "collected_minor + diluted_minor + written_off_minor <= price_minor + discount_minor",
            name="due_not_negative",
        ),
        Index("uq_pool_asset_live", "asset_id", unique=True, postgresql_where=text("released_at IS NULL")),
        Index("ix_pool_asset_mandate_live", "mandate_id", postgresql_where=text("released_at IS NULL")),
        Index(
            "ix_pool_asset_mandate_released",
            "mandate_id",
            "released_at",
            postgresql_where=text("released_at IS NOT NULL"),
        ),
        Index("ix_pool_asset_mandate_lost", "mandate_id", postgresql_where=text("written_off_minor > 0")),
    )

    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.pool_id"), primary_key=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    mandate_id: Mapped[str] = mapped_column(String)
    face_minor: Mapped[int] = mapped_column(BigInteger)
    price_minor: Mapped[int] = mapped_column(BigInteger)
    discount_minor: Mapped[int] = mapped_column(BigInteger)
    holdback_minor: Mapped[int] = mapped_column(BigInteger)
    rate_bps: Mapped[int]
    collected_minor: Mapped[int] = mapped_column(BigInteger)
    diluted_minor: Mapped[int] = mapped_column(BigInteger)
    bought_on: Mapped[date | None]
    released_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    written_off_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    charged_off_on: Mapped[date | None]
    schedule_version: Mapped[int | None]
