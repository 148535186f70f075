"""What happens to title besides its sale: endorsements, encumbrances, notices of assignment, public filings."""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Endorsement(Base):
    """One hop of a free claim down its chain of holders, from 1."""

    __tablename__ = "endorsement"
    __table_args__ = (
        CheckConstraint("from_id <> to_id", name="two_companies"),
        CheckConstraint("recourse IN ('with', 'without')", name="recourse_known"),
    )

    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    hop: Mapped[int] = mapped_column(primary_key=True)
    from_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    to_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    recourse: Mapped[str] = mapped_column(String)
    effective_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Encumbrance(Base):
    """A right of somebody else in a claim. `live_minor` is what it still holds of it: 0 once released.

    Lower `priority` goes first; equal ones go by `entry`: a strict total order. `party_id` entered it and may release
    it; an operator's has none. On a split it goes with its claim's first part.
    """

    __tablename__ = "encumbrance"
    __table_args__ = (
        CheckConstraint("kind IN ('pledge', 'lien', 'court_order', 'set_off')", name="kind_known"),
        CheckConstraint("amount_minor > 0 AND live_minor BETWEEN 0 AND amount_minor", name="live_range"),
        CheckConstraint("(live_minor = 0) = (released_at IS NOT NULL)", name="released_when_nothing_lives"),
        CheckConstraint("(released_at IS NULL) = (release_reason IS NULL)", name="reason_of_release"),
        Index("ix_encumbrance_live", "asset_id", "priority", "entry", postgresql_where=text("live_minor > 0")),
    )

    encumbrance_id: Mapped[str] = mapped_column(String, primary_key=True)
    entry: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"))
    party_id: Mapped[str | None] = mapped_column(String)
    beneficiary: Mapped[str] = mapped_column(String)
    kind: Mapped[str] = mapped_column(String)
    ground: Mapped[str] = mapped_column(String)
    priority: Mapped[int]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    live_minor: Mapped[int] = mapped_column(BigInteger)
    entered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    released_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    release_reason: Mapped[str | None] = mapped_column(String)


class Notice(Base):
    """The notice of assignment to one obligor of what one purchase bought of one originator's assets.

    `digest` is the SHA-256 of the text in UTF-8. Whoever records the acknowledgement for the obligor gives the digest
    of the evidence for it.
    """

    __tablename__ = "assignment_notice"
    __table_args__ = (
        UniqueConstraint("pool_id", "originator_id", "obligor_id"),
        CheckConstraint("(acknowledged_on IS NULL) = (acknowledged_by IS NULL)", name="who_acknowledged"),
        CheckConstraint("evidence IS NULL OR acknowledged_on IS NOT NULL", name="evidence_of_acknowledgement"),
        Index("ix_assignment_notice_obligor", "obligor_id", "notice_id"),
        Index("ix_assignment_notice_originator", "originator_id", "notice_id"),
        Index("ix_assignment_notice_funder", "funder_id", "notice_id"),
    )

    notice_id: Mapped[str] = mapped_column(String, primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.pool_id"))
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"))
    originator_id: Mapped[str] = mapped_column(ForeignKey("originator.originator_id"))
    obligor_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    currency: Mapped[str] = mapped_column(String(3))
    asset_count: Mapped[int]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    text: Mapped[str] = mapped_column(String)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    given_on: Mapped[date]
    acknowledged_on: Mapped[date | None]
    acknowledged_by: Mapped[str | None] = mapped_column(String)
    evidence: Mapped[bytes | None] = mapped_column(LargeBinary)


class NoticedAsset(Base):
    """An asset that a notice names."""

    __tablename__ = "noticed_asset"

    notice_id: Mapped[str] = mapped_column(ForeignKey("assignment_notice.notice_id"), primary_key=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)


class Filing(Base):
    """A funder's registration of an assignment with the public registry, as it told us."""

    __tablename__ = "filing"
    __table_args__ = (CheckConstraint("expires_on >= filed_on", name="expires_after_filing"),)

    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), primary_key=True)
    number: Mapped[str] = mapped_column(String, primary_key=True)
    filed_on: Mapped[date]
    expires_on: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
