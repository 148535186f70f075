"""What the close of business noted, once for each asset, day and kind."""

from datetime import date, datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class ServicingFact(Base):
    """A dated fact of an asset's performance. A day closed twice writes nothing new."""

    __tablename__ = "servicing_fact"
    __table_args__ = (Index("ix_servicing_fact_kind", "kind", "business_date"),)

    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    business_date: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String, primary_key=True)
    days_past_due: Mapped[int]
    outstanding_minor: Mapped[int] = mapped_column(BigInteger)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ClosedDay(Base):
    """A business date whose close has been started, with how many assets it touched."""

    __tablename__ = "closed_day"

    business_date: Mapped[date] = mapped_column(primary_key=True)
    asset_count: Mapped[int]
    closed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
