"""Corrections of what is known of an asset, and assets that should not have been."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Correction(Base):
    """The `number`th correction of an asset: the right values, by field, of what its record `corrects` says wrongly."""

    __tablename__ = "correction"
    __table_args__ = (
        CheckConstraint("number > 0", name="number_positive"),
        CheckConstraint("corrects > 0", name="corrects_a_record"),
        CheckConstraint("fields <> '{}'::jsonb", name="something_corrected"),
    )

    asset_id: Mapped[str] = mapped_column(ForeignKey("receivable.asset_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    corrects: Mapped[int]
    reason: Mapped[str] = mapped_column(String)
    fields: Mapped[dict[str, Any]] = mapped_column(JSONB)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Supersession(Base):
    """An asset that should not have been, and the one in its place, if there is one."""

    __tablename__ = "supersession"
    __table_args__ = (CheckConstraint("asset_id <> by_id", name="by_another"),)

    asset_id: Mapped[str] = mapped_column(ForeignKey("receivable.asset_id"), primary_key=True)
    by_id: Mapped[str | None] = mapped_column(ForeignKey("receivable.asset_id"), unique=True)
    reason: Mapped[str] = mapped_column(String)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
