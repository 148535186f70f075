"""What the close of business noted, once for each asset, day and kind; by which policies; and what was agreed on."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class ServicingPolicy(Base):
    """A version of what servicing goes by, for one originator or all (`''`), one product or all. Versions stay."""

    __tablename__ = "servicing_policy"

    originator_id: Mapped[str] = mapped_column(String, primary_key=True)
    product: Mapped[str] = mapped_column(String, primary_key=True)
    effective_from: Mapped[date] = mapped_column(primary_key=True)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    set_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    set_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ServicingFact(Base):
    """A dated fact of an asset's performance. A day closed twice writes nothing new.

    A later `revision` states again what was withdrawn, or states it otherwise.
    """

    __tablename__ = "servicing_fact"
    __table_args__ = (Index("ix_servicing_fact_kind", "kind", "business_date"),)

    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    business_date: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String, primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, server_default=text("1"))
    days_past_due: Mapped[int]
    outstanding_minor: Mapped[int] = mapped_column(BigInteger)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ServicingWithdrawal(Base):
    """A fact that turned out untrue: what is known by now says otherwise."""

    __tablename__ = "servicing_withdrawal"
    __table_args__ = (
        ForeignKeyConstraint(
            ["asset_id", "business_date", "kind", "revision"],
            [
                "servicing_fact.asset_id",
                "servicing_fact.business_date",
                "servicing_fact.kind",
                "servicing_fact.revision",
            ],
        ),
    )

    asset_id: Mapped[str] = mapped_column(String, primary_key=True)
    business_date: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String, primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    withdrawn_on: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ServicingTouched(Base):
    """A claim on which another amount is owed than at the last close: its history is to be computed anew.

    A trigger on `claim` writes it, so that no way of paying, crediting or writing off can be forgotten.
    """

    __tablename__ = "servicing_touched"

    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)


class ClosedDay(Base):
    """A business date whose close has been started: how many assets it looks at, in how many chunks."""

    __tablename__ = "closed_day"

    business_date: Mapped[date] = mapped_column(primary_key=True)
    asset_count: Mapped[int]
    chunk_count: Mapped[int] = mapped_column(server_default=text("0"))
    closed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ClosedChunk(Base):
    """A chunk of a business date that is done."""

    __tablename__ = "closed_chunk"

    business_date: Mapped[date] = mapped_column(ForeignKey("closed_day.business_date"), primary_key=True)
    chunk: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(String)
    item_count: Mapped[int]
    fact_count: Mapped[int]
    closed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Accrual(Base):
    """What a funder has earned of the discounts it bought, up to the end of a day on which that changed.

    Only the sum is kept: what one day earned is the difference to the day before, so no order of closing loses any.
    """

    __tablename__ = "accrual"

    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    business_date: Mapped[date] = mapped_column(primary_key=True)
    earned_to_date_minor: Mapped[int] = mapped_column(BigInteger)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ConsentPolicy(Base):
    """What a funder agrees to beforehand. Versions stay; the last one counts."""

    __tablename__ = "consent_policy"

    funder_id: Mapped[str] = mapped_column(ForeignKey("funder.funder_id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    set_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    set_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Forbearance(Base):
    """An originator's proposal to wait, and the owner's answer; `funder_id` is who has to answer, if anybody.

    It counts once accepted, from `effective_on`. A pause has its end, a reschedule its instalments. What was agreed
    before a reschedule stands with it: `previous_version` of the instalments, or the one due date.
    """

    __tablename__ = "forbearance"
    __table_args__ = (
        CheckConstraint("kind IN ('pause', 'resume', 'reschedule', 'reset')", name="kind_known"),
        CheckConstraint("outcome IN ('accepted', 'refused', 'withdrawn')", name="outcome_known"),
        CheckConstraint("(outcome IS NULL) = (answered_at IS NULL)", name="answered_when_outcome"),
        CheckConstraint("(outcome IS NULL) = (answered_by IS NULL)", name="answered_by_somebody"),
        CheckConstraint(
            "(coalesce(outcome, '') = 'accepted') = (effective_on IS NOT NULL)", name="effective_once_accepted"
        ),
        CheckConstraint("(kind = 'pause') = (until_date IS NOT NULL)", name="end_of_a_pause"),
        CheckConstraint("until_date > from_date", name="a_day_at_least"),
        CheckConstraint("(kind = 'reschedule') = (instalments IS NOT NULL)", name="instalments_of_a_reschedule"),
        CheckConstraint("funder_id IS NOT NULL OR outcome IS NOT NULL", name="somebody_answers"),
        Index("uq_forbearance_open", "asset_id", unique=True, postgresql_where=text("outcome IS NULL")),
        Index("ix_forbearance_asset", "asset_id", "forbearance_id"),
        Index("ix_forbearance_root", "root_id", postgresql_where=text("outcome = 'accepted'")),
        Index("ix_forbearance_originator", "originator_id", "forbearance_id"),
        Index("ix_forbearance_funder", "funder_id", "forbearance_id"),
    )

    forbearance_id: Mapped[str] = mapped_column(String, primary_key=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"))
    root_id: Mapped[str] = mapped_column(ForeignKey("receivable.asset_id"))
    originator_id: Mapped[str] = mapped_column(ForeignKey("originator.originator_id"))
    funder_id: Mapped[str | None] = mapped_column(ForeignKey("funder.funder_id"))
    kind: Mapped[str] = mapped_column(String)
    from_date: Mapped[date]
    until_date: Mapped[date | None]
    instalments: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    reason: Mapped[str] = mapped_column(String)
    proposed_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    proposed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None] = mapped_column(String)
    answer_reason: Mapped[str | None] = mapped_column(String)
    answered_by: Mapped[str | None] = mapped_column(String)
    answered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    effective_on: Mapped[date | None]
    schedule_version: Mapped[int | None]
    previous_version: Mapped[int | None]
    previous_due_date: Mapped[date | None]
