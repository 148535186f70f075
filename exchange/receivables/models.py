"""Receivables as submitted, who has to approve them, and what their obligors answer."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Receivable(Base):
    """What a seller says it is owed. Never changed: whatever happens later is a fact of its own.

    `schedule` are its instalments, the last on `due_date`; None where all is due then. A `divisible` one may be sold in
    parts.
    """

    __tablename__ = "receivable"
    __table_args__ = (
        CheckConstraint("face_minor > 0", name="face_positive"),
        CheckConstraint("due_date >= issue_date", name="due_after_issue"),
        CheckConstraint("seller_id <> obligor_id", name="two_companies"),
        CheckConstraint("recourse IN ('with', 'limited', 'without')", name="recourse_known"),
        Index("ix_receivable_originator", "originator_id", "asset_id"),
        Index("ix_receivable_obligor", "obligor_id", "asset_id"),
        Index("ix_receivable_seller", "seller_id", "asset_id"),
    )

    asset_id: Mapped[str] = mapped_column(String, primary_key=True)
    originator_id: Mapped[str] = mapped_column(ForeignKey("originator.originator_id"))
    seller_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    obligor_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    invoice_number: Mapped[str] = mapped_column(String)
    product: Mapped[str] = mapped_column(String)
    currency: Mapped[str] = mapped_column(String(3))
    face_minor: Mapped[int] = mapped_column(BigInteger)
    issue_date: Mapped[date]
    due_date: Mapped[date]
    recourse: Mapped[str] = mapped_column(String)
    documents: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    submitted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    schedule: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    divisible: Mapped[bool] = mapped_column(server_default=text("false"))


class SubmissionPolicy(Base):
    """What an originator asks of its submissions: who approves them, and when silence is acceptance. Versions stay."""

    __tablename__ = "submission_policy"

    originator_id: Mapped[str] = mapped_column(ForeignKey("originator.originator_id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    set_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    set_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Approval(Base):
    """A second client of the originator has to approve this receivable; without a row nobody has to."""

    __tablename__ = "approval"
    __table_args__ = (
        CheckConstraint("outcome IN ('approved', 'declined')", name="outcome_known"),
        CheckConstraint("decided_by <> made_by", name="four_eyes"),
        CheckConstraint("(outcome IS NULL) = (decided_by IS NULL)", name="decided_by_somebody"),
        CheckConstraint("(outcome IS NULL) = (decided_at IS NULL)", name="decided_at_a_time"),
        CheckConstraint("(coalesce(outcome, '') = 'declined') = (reason IS NOT NULL)", name="reason_of_declining"),
        Index("ix_approval_awaited", "originator_id", "asset_id", postgresql_where=text("outcome IS NULL")),
    )

    asset_id: Mapped[str] = mapped_column(ForeignKey("receivable.asset_id"), primary_key=True)
    originator_id: Mapped[str] = mapped_column(ForeignKey("originator.originator_id"))
    made_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    outcome: Mapped[str | None] = mapped_column(String)
    reason: Mapped[str | None] = mapped_column(String)
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ConfirmationRequest(Base):
    """A link by which one obligor can answer. Its token is computed from these rows and a key, and kept nowhere."""

    __tablename__ = "confirmation_request"
    __table_args__ = (
        CheckConstraint("expires_at > made_at", name="open_for_a_while"),
        Index("ix_confirmation_request_originator", "originator_id", "request_id"),
    )

    request_id: Mapped[str] = mapped_column(String, primary_key=True)
    originator_id: Mapped[str] = mapped_column(ForeignKey("originator.originator_id"))
    obligor_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class RequestedAnswer(Base):
    """A receivable behind a link. Where silence is acceptance, `answer_by` is the last day to speak.

    `ground` is the digest of the paper on which silence counts, `jurisdiction` (ISO 3166) whose rule makes it count.
    """

    __tablename__ = "requested_answer"
    __table_args__ = (
        CheckConstraint("(answer_by IS NULL) = (ground IS NULL)", name="ground_of_silence"),
        CheckConstraint("(answer_by IS NULL) = (jurisdiction IS NULL)", name="jurisdiction_of_silence"),
        Index("ix_requested_answer_request_id", "request_id"),
        Index("ix_requested_answer_answer_by", "answer_by", postgresql_where=text("answer_by IS NOT NULL")),
    )

    asset_id: Mapped[str] = mapped_column(ForeignKey("receivable.asset_id"), primary_key=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("confirmation_request.request_id"), primary_key=True)
    answer_by: Mapped[date | None]
    ground: Mapped[str | None] = mapped_column(String(64))
    jurisdiction: Mapped[str | None] = mapped_column(String(2))


class Document(Base):
    """A paper that was uploaded and hashed. Its bytes stay with the originator: the digest proves which they are."""

    __tablename__ = "document"
    __table_args__ = (
        CheckConstraint("kind IN ('order', 'delivery_note', 'invoice', 'contract')", name="kind_known"),
        CheckConstraint("size_bytes > 0", name="size_positive"),
    )

    asset_id: Mapped[str] = mapped_column(ForeignKey("receivable.asset_id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str | None] = mapped_column(String)
    media_type: Mapped[str] = mapped_column(String)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    added_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    added_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Confirmation(Base):
    """The obligor's answer: final, once for each receivable.

    `face_minor` and `due_date` are what the obligor owes and by when, the one place where that stands: as stated, or
    as it corrected them; none after a refusal. `evidence` names what proves a grade: a key, a link or a paper.
    """

    __tablename__ = "confirmation"
    __table_args__ = (
        CheckConstraint("outcome IN ('accepted', 'corrected', 'refused')", name="outcome_known"),
        CheckConstraint("grade IN ('explicit_key', 'explicit_link', 'explicit', 'deemed')", name="grade_known"),
        CheckConstraint(
            "(grade IN ('explicit_key', 'explicit_link')) <= (evidence IS NOT NULL)", name="evidence_of_grade"
        ),
        CheckConstraint("face_minor > 0", name="face_positive"),
        CheckConstraint("(outcome = 'refused') = (face_minor IS NULL)", name="face_unless_refused"),
        CheckConstraint("(outcome = 'refused') = (due_date IS NULL)", name="due_unless_refused"),
        CheckConstraint("(outcome = 'accepted') = (reason_code IS NULL)", name="reason_unless_accepted"),
        CheckConstraint("reason IS NULL OR reason_code IS NOT NULL", name="words_of_a_reason"),
        CheckConstraint("reason_code <> 'other' OR reason IS NOT NULL", name="other_in_words"),
    )

    asset_id: Mapped[str] = mapped_column(ForeignKey("receivable.asset_id"), primary_key=True)
    outcome: Mapped[str] = mapped_column(String)
    grade: Mapped[str] = mapped_column(String)
    confirmed_date: Mapped[date]
    face_minor: Mapped[int | None] = mapped_column(BigInteger)
    due_date: Mapped[date | None]
    reason_code: Mapped[str | None] = mapped_column(String)
    reason: Mapped[str | None] = mapped_column(String)
    evidence: Mapped[str | None] = mapped_column(String)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
