"""Offers, their one answer, and purchases."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Offer(Base):
    """A pool offered to its funder at a price, until a moment. Open while it has no outcome."""

    __tablename__ = "offer"
    __table_args__ = (
        CheckConstraint("(outcome IS NULL) = (answered_at IS NULL)", name="answered_when_outcome"),
        CheckConstraint("outcome IN ('committed', 'refused', 'lapsed')", name="outcome_known"),
        CheckConstraint("purchased_on IS NULL OR outcome = 'committed'", name="purchase_of_commitment"),
        Index("ix_offer_open", "offer_id", postgresql_where=text("outcome IS NULL")),
        Index(
            "ix_offer_to_purchase",
            "offer_id",
            postgresql_where=text("outcome = 'committed' AND purchased_on IS NULL"),
        ),
        Index("ix_offer_funder", "funder_id", "offer_id"),
    )

    offer_id: Mapped[str] = mapped_column(String, primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.pool_id"), unique=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"))
    held_minor: Mapped[int] = mapped_column(BigInteger)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    valid_until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None] = mapped_column(String)
    reason: Mapped[str | None] = mapped_column(String)
    answered_by: Mapped[str | None] = mapped_column(String)
    answered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    purchased_on: Mapped[date | None]
