"""What was found, with its evidence, and what a person decided of it: rows that are only added."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class ReviewItem(Base):
    """Something that was found of an asset or an obligor: once for each kind and `key`.

    block: the asset is in no round until a person dismisses it; work: a person has to look; note: to be known.
    """

    __tablename__ = "review_item"
    __table_args__ = (
        UniqueConstraint("kind", "key"),
        CheckConstraint("severity IN ('block', 'work', 'note')", name="severity_known"),
        CheckConstraint("severity <> 'block' OR asset_id IS NOT NULL", name="asset_of_block"),
        Index("ix_review_item_company_id", "company_id"),
        Index("ix_review_item_asset_id", "asset_id"),
    )

    item_id: Mapped[str] = mapped_column(String, primary_key=True)
    kind: Mapped[str] = mapped_column(String)
    severity: Mapped[str] = mapped_column(String)
    key: Mapped[str] = mapped_column(String)
    company_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    asset_id: Mapped[str | None] = mapped_column(ForeignKey("receivable.asset_id"))
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB)
    found_on: Mapped[date]
    found_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ReviewDecision(Base):
    """What a person decided of an item: final. Without a row it is open."""

    __tablename__ = "review_decision"
    __table_args__ = (CheckConstraint("decision IN ('dismissed', 'confirmed')", name="decision_known"),)

    item_id: Mapped[str] = mapped_column(ForeignKey("review_item.item_id"), primary_key=True)
    decision: Mapped[str] = mapped_column(String)
    reason: Mapped[str] = mapped_column(String)
    decided_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    decided_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ReviewPolicy(Base):
    """How severe each kind of finding is, and from where on something is one (`rules.Policy`). Versions stay."""

    __tablename__ = "review_policy"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    set_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    set_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
