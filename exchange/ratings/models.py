"""Who may ask about whom, since when and until when; and who asked what."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class RatingGrant(Base):
    """A funder may ask about a company (about all, without one) for a purpose, on a consent, until it may not."""

    __tablename__ = "rating_grant"
    __table_args__ = (
        CheckConstraint("until_date >= from_date", name="until_after_from"),
        CheckConstraint("(revoked_at IS NULL) = (revoke_reason IS NULL)", name="reason_of_revoking"),
        Index("ix_rating_grant_funder_id", "funder_id", "grant_id"),
    )

    grant_id: Mapped[str] = mapped_column(String, primary_key=True)
    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"))
    company_id: Mapped[str | None] = mapped_column(ForeignKey("company.company_id"))
    purpose: Mapped[str] = mapped_column(String)
    consent: Mapped[str] = mapped_column(String(64))
    from_date: Mapped[date]
    until_date: Mapped[date]
    granted_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    granted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoke_reason: Mapped[str | None] = mapped_column(String)


class RatingAccess(Base):
    """Somebody asked about a company (about the whole market, without one). Rows are only added."""

    __tablename__ = "rating_access"
    __table_args__ = (Index("ix_rating_access_company_id", "company_id", "access_id"),)

    access_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    funder_id: Mapped[str | None] = mapped_column(ForeignKey("funder.funder_id"))
    company_id: Mapped[str | None] = mapped_column(ForeignKey("company.company_id"))
    grant_id: Mapped[str | None] = mapped_column(ForeignKey("rating_grant.grant_id"))
    asked: Mapped[str] = mapped_column(String)
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
