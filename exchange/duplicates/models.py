"""Invoices by their marks alone, the claims on them, and what clashed."""

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
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base

MARK_LENGTH = "octet_length(mark) = 16"


class Invoice(Base):
    """An invoice over all platforms: what its face is and how much of it is claimed. Nobody can read whose it is."""

    __tablename__ = "invoice"
    __table_args__ = (
        CheckConstraint(MARK_LENGTH, name="mark_length"),
        CheckConstraint("face_minor > 0", name="face_positive"),
        CheckConstraint("claimed_minor >= 0 AND credited_minor >= 0 AND claims >= 0", name="not_negative"),
        CheckConstraint("claimed_minor + credited_minor <= face_minor", name="within_face"),
    )

    invoice_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    mark: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    currency: Mapped[str] = mapped_column(String(3))
    face_minor: Mapped[int] = mapped_column(BigInteger)
    claimed_minor: Mapped[int] = mapped_column(BigInteger)
    credited_minor: Mapped[int] = mapped_column(BigInteger)
    claims: Mapped[int]


class InvoiceDocument(Base):
    """The digest of an invoice's own document, as a mark: it belongs to one invoice."""

    __tablename__ = "invoice_document"
    __table_args__ = (CheckConstraint(MARK_LENGTH, name="mark_length"),)

    mark: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    invoice_id: Mapped[int] = mapped_column(BigInteger)


class InvoiceClaim(Base):
    """A share of an invoice that somebody finances (an asset, a partner's claim) or that was paid long ago (a trade).

    `live` and `consumed` ones take up the face; a released one never was.
    """

    __tablename__ = "invoice_claim"
    __table_args__ = (
        CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        CheckConstraint("state IN ('live', 'consumed', 'released')", name="state_known"),
        CheckConstraint("(state = 'live') = (ended_at IS NULL)", name="end_of_state"),
        Index("ix_invoice_claim_invoice_id", "invoice_id"),
        Index("ix_invoice_claim_partner", "holder_id", "claim_id", postgresql_where=text("holder_id LIKE 'ptr\\_%'")),
    )

    claim_id: Mapped[str] = mapped_column(String, primary_key=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.invoice_id"))
    holder_id: Mapped[str] = mapped_column(String)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String)
    claimed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Likeness(Base):
    """A mark that makes a claim's invoice look like others, with the face it is held against them by."""

    __tablename__ = "likeness"
    __table_args__ = (CheckConstraint(MARK_LENGTH, name="mark_length"),)

    mark: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    claim_id: Mapped[str] = mapped_column(String, primary_key=True)
    face_minor: Mapped[int] = mapped_column(BigInteger)


class Clash(Base):
    """Two claims that may be one debt: the known one, and the one that was asked for (no id when it was refused)."""

    __tablename__ = "clash"
    __table_args__ = (
        UniqueConstraint("known_id", "asked_id"),
        Index("ix_clash_asked_id", "asked_id"),
        Index("ix_clash_known_holder", "known_holder_id", "clash_id"),
        Index("ix_clash_asked_holder", "asked_holder_id", "clash_id"),
    )

    clash_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    known_id: Mapped[str] = mapped_column(String)
    known_holder_id: Mapped[str] = mapped_column(String)
    asked_id: Mapped[str | None] = mapped_column(String)
    asked_holder_id: Mapped[str] = mapped_column(String)
    kinds: Mapped[list[str]] = mapped_column(ARRAY(String))
    clashed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class PartnerDay(Base):
    """How many invoices a partner asked about on a business day."""

    __tablename__ = "partner_day"

    partner_id: Mapped[str] = mapped_column(ForeignKey("partner.partner_id"), primary_key=True)
    business_date: Mapped[date] = mapped_column(primary_key=True)
    asked: Mapped[int]
