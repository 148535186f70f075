"""What was found of models: comparisons with the one in force, and drift."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class ModelEvaluation(Base):
    """A finding about a model with the figures behind it; a comparison is with what was in force at the time."""

    __tablename__ = "model_evaluation"
    __table_args__ = (
        CheckConstraint("kind IN ('comparison', 'drift')", name="kind_known"),
        Index("ix_model_evaluation_version", "version", "kind", "number"),
    )

    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    version: Mapped[str] = mapped_column(ForeignKey("scoring_model.version"))
    kind: Mapped[str] = mapped_column(String)
    verdict: Mapped[str] = mapped_column(String)
    figures: Mapped[dict[str, Any]] = mapped_column(JSONB)
    by: Mapped[str] = mapped_column(String)
    business_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
