"""Facts: rows that are only added."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class CompanyFact(Base):
    """One thing that a source says: of a company, of the person who controls one, or of a price on the market.

    `place` is what it is about (kind, parties, source, teller, day, number) as a SHA-256: two facts of one place would
    contradict each other, so one may be the first there and each later one names the one before it (`corrects`). A
    withdrawn one says that nothing of it is so. `teller` is the originator that told it, empty for the exchange itself.
    """

    __tablename__ = "company_fact"
    __table_args__ = (
        CheckConstraint("num_nonnulls(company_id, controller_id, series) > 0", name="about_something"),
        CheckConstraint(
            "series IS NULL OR num_nonnulls(company_id, controller_id, counterparty_id) = 0", name="series_alone"
        ),
        CheckConstraint("counterparty_id <> company_id", name="two_companies"),
        CheckConstraint("NOT withdrawn OR (corrects IS NOT NULL AND reason IS NOT NULL)", name="reason_of_withdrawal"),
        Index("uq_company_fact_place", "place", unique=True, postgresql_where=text("corrects IS NULL")),
        Index("uq_company_fact_corrects", "corrects", unique=True),
        Index("ix_company_fact_company_id", "company_id", "kind", "effective_date"),
        Index("ix_company_fact_counterparty_id", "counterparty_id", "kind", "effective_date"),
        Index("ix_company_fact_controller_id", "controller_id", "kind", "effective_date"),
        Index("ix_company_fact_series", "series", "effective_date"),
    )

    fact_id: Mapped[str] = mapped_column(String, primary_key=True)
    kind: Mapped[str] = mapped_column(String)
    company_id: Mapped[str | None] = mapped_column(ForeignKey("company.company_id"))
    counterparty_id: Mapped[str | None] = mapped_column(ForeignKey("company.company_id"))
    controller_id: Mapped[str | None] = mapped_column(ForeignKey("controller.controller_id"))
    series: Mapped[str | None] = mapped_column(String)
    source: Mapped[str] = mapped_column(String)
    teller: Mapped[str] = mapped_column(String)
    effective_date: Mapped[date]
    place: Mapped[bytes] = mapped_column(LargeBinary)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    corrects: Mapped[str | None] = mapped_column(ForeignKey("company_fact.fact_id"))
    withdrawn: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str | None] = mapped_column(String)
    told_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    known_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class FactPolicy(Base):
    """How long facts count, and what each product asks of a company (`policies.Policy`). Versions stay."""

    __tablename__ = "fact_policy"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    set_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    set_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
