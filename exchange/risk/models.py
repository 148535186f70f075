"""Trade facts as columns, models in force, one decision for each asset, and the limit ledger."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    String,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class Trade(Base):
    """One invoice as `scoring.facts` reads it: companies by number, days since 1970, `settled_day` far away while open.

    `trade_id` is the asset's id, or that of an invoice from before the exchange knew the platform; only the originator
    that told it can say that it is settled.
    """

    __tablename__ = "trade"
    __table_args__ = (Index("ix_trade_obligor", "obligor"), Index("ix_trade_seller", "seller"))

    trade_id: Mapped[str] = mapped_column(String, primary_key=True)
    obligor: Mapped[int] = mapped_column(BigInteger)
    seller: Mapped[int] = mapped_column(BigInteger)
    face_minor: Mapped[int] = mapped_column(BigInteger)
    issue_day: Mapped[int]
    due_day: Mapped[int]
    settled_day: Mapped[int]
    originator_id: Mapped[str] = mapped_column(String)


class ScoringModel(Base):
    """A trained model by the hash of its content, whether or not it was ever in force."""

    __tablename__ = "scoring_model"

    version: Mapped[str] = mapped_column(String, primary_key=True)
    body: Mapped[str] = mapped_column(String)
    card: Mapped[dict[str, Any]] = mapped_column(JSONB)
    trained_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ModelEvent(Base):
    """What became of a model: who did it, why, on what evidence.

    `candidate`: scores in shadow; `promoted` and `restored` (a rollback): in force; `dropped`: no candidate any more.
    """

    __tablename__ = "model_event"
    __table_args__ = (
        CheckConstraint("event IN ('candidate', 'promoted', 'restored', 'dropped')", name="event_known"),
        Index("ix_model_event_force", "number", postgresql_where=text("event IN ('promoted', 'restored')")),
    )

    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    version: Mapped[str] = mapped_column(ForeignKey("scoring_model.version"), index=True)
    event: Mapped[str] = mapped_column(String)
    by: Mapped[str] = mapped_column(String)
    reason: Mapped[str] = mapped_column(String)
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB)
    business_date: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ShadowScore(Base):
    """What a candidate said of an asset while another model decided."""

    __tablename__ = "shadow_score"

    version: Mapped[str] = mapped_column(ForeignKey("scoring_model.version"), primary_key=True)
    asset_id: Mapped[str] = mapped_column(String, primary_key=True)
    pd_ppm: Mapped[int]
    scored_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class LossRate(Base):
    """A rate of loss as it was learned: `lgd` of what defaulted, or `dilution` of face, and from how much."""

    __tablename__ = "loss_rate"
    __table_args__ = (
        CheckConstraint("kind IN ('lgd', 'dilution')", name="kind_known"),
        CheckConstraint("rate_ppm BETWEEN 0 AND 1000000", name="rate_range"),
        CheckConstraint("outcomes >= 0 AND prior_weight >= 0", name="counts"),
    )

    kind: Mapped[str] = mapped_column(String, primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    rate_ppm: Mapped[int]
    outcomes: Mapped[int]
    prior_ppm: Mapped[int]
    prior_weight: Mapped[int]
    learned_on: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class RiskPolicy(Base):
    """The risk appetite, in versions: what limits, prices, products and the making of models go by."""

    __tablename__ = "risk_policy"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    set_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    set_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Decision(Base):
    """What was decided about an asset, with the frozen inputs from which it can be decided again.

    `features` and `frozen` are the inputs; `answer` is what was decided beside the columns; `digest` is the hash of the
    whole record. The last three are empty where it was decided before they were kept.
    """

    __tablename__ = "decision"
    __table_args__ = (
        CheckConstraint("pd_ppm BETWEEN 0 AND 1000000", name="pd_range"),
        Index("ix_decision_model_version", "model_version", "decided_at"),
    )

    asset_id: Mapped[str] = mapped_column(String, primary_key=True)
    model_version: Mapped[str] = mapped_column(String)
    features: Mapped[bytes] = mapped_column(LargeBinary)
    pd_ppm: Mapped[int]
    late_ppm: Mapped[int]
    grade: Mapped[int]
    days_late: Mapped[int]
    lgd_bps: Mapped[int]
    expected_loss_ppm: Mapped[int]
    reasons: Mapped[list[str]] = mapped_column(JSONB)
    decided_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    frozen: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    digest: Mapped[str | None] = mapped_column(String(64))


class ObligorLimit(Base):
    """A change of an obligor's limit, with its cause, model and policy. The last one counts.

    What was taken when a limit fell below it stays as it is: `grandfathered_minor` is that excess. `most_tenor_days` is
    the longest term for new assets, NULL where it was decided before terms were.
    """

    __tablename__ = "obligor_limit"
    __table_args__ = (
        CheckConstraint("limit_minor >= 0", name="limit_not_negative"),
        CheckConstraint("grandfathered_minor >= 0", name="grandfathered_not_negative"),
    )

    obligor: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    change: Mapped[int] = mapped_column(primary_key=True)
    limit_minor: Mapped[int] = mapped_column(BigInteger)
    cause: Mapped[str] = mapped_column(String)
    parts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    decided_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    grandfathered_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    most_tenor_days: Mapped[int | None]
    model_version: Mapped[str | None] = mapped_column(String)
    policy_version: Mapped[int] = mapped_column(server_default=text("0"))


class Exposure(Base):
    """What an obligor's assets take of its limit, offers included. This row is the lock on both."""

    __tablename__ = "exposure"
    __table_args__ = (
        CheckConstraint("used_minor >= 0", name="used_not_negative"),
        CheckConstraint("limit_minor >= 0", name="limit_not_negative"),
    )

    obligor: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    used_minor: Mapped[int] = mapped_column(BigInteger)
    limit_minor: Mapped[int] = mapped_column(BigInteger)
    changes: Mapped[int]
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class LimitUse(Base):
    """What was taken of a limit (positive) or given back, why, and what was taken after it."""

    __tablename__ = "limit_use"
    __table_args__ = (CheckConstraint("used_minor >= 0", name="used_not_negative"),)

    obligor: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    entry: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    used_minor: Mapped[int] = mapped_column(BigInteger)
    cause: Mapped[str] = mapped_column(String)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class LimitSuspension(Base):
    """Why an obligor's limits are suspended, in all currencies, since when, who may lift that, and who did.

    `root_id` is the receivable that is the cause, the obligor's own or one of its group. Where two have to agree, one
    asks and another lifts.
    """

    __tablename__ = "limit_suspension"
    __table_args__ = (
        CheckConstraint("cause IN ('stage', 'group', 'person')", name="cause_known"),
        CheckConstraint("(cause = 'person') = (root_id IS NULL)", name="receivable_of_cause"),
        CheckConstraint("(cause = 'person') = (suspended_by IS NOT NULL)", name="person_of_cause"),
        CheckConstraint("lifting IN ('cure', 'person')", name="lifting_known"),
        CheckConstraint("(lifted_on IS NULL) = (lift_reason IS NULL)", name="reason_of_lifting"),
        CheckConstraint("(lifted_on IS NULL) = (lifted_at IS NULL)", name="lifted_at_a_time"),
        CheckConstraint("lifted_on >= suspended_on", name="lifted_after"),
        CheckConstraint("(asked_by IS NULL) = (ask_reason IS NULL)", name="reason_of_asking"),
        CheckConstraint(
            "lifted_by IS NULL OR NOT second_person OR coalesce(asked_by, lifted_by) <> lifted_by", name="four_eyes"
        ),
        Index(
            "uq_limit_suspension_standing",
            "obligor",
            "root_id",
            unique=True,
            postgresql_where=text("lifted_on IS NULL AND root_id IS NOT NULL"),
        ),
        Index("ix_limit_suspension_obligor", "obligor", "suspension_id"),
        Index("ix_limit_suspension_root", "root_id", postgresql_where=text("lifted_on IS NULL")),
    )

    suspension_id: Mapped[str] = mapped_column(String, primary_key=True)
    obligor: Mapped[int] = mapped_column(BigInteger)
    cause: Mapped[str] = mapped_column(String)
    reason: Mapped[str] = mapped_column(String)
    suspended_on: Mapped[date]
    root_id: Mapped[str | None] = mapped_column(ForeignKey("receivable.asset_id"))
    lifting: Mapped[str] = mapped_column(String)
    second_person: Mapped[bool]
    suspended_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    asked_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    ask_reason: Mapped[str | None] = mapped_column(String)
    asked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    lifted_on: Mapped[date | None]
    lifted_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    lift_reason: Mapped[str | None] = mapped_column(String)
    lifted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ObligorRating(Base):
    """How an obligor was rated on a day: the worst of what it owes or bought last, and why. Rows are only added."""

    __tablename__ = "obligor_rating"
    __table_args__ = (
        CheckConstraint("pd_ppm BETWEEN 0 AND 1000000", name="pd_range"),
        Index("ix_obligor_rating_rated_on", "rated_on", "obligor"),
    )

    obligor: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    change: Mapped[int] = mapped_column(primary_key=True)
    rated_on: Mapped[date]
    pd_ppm: Mapped[int]
    grade: Mapped[int]
    grade_name: Mapped[str] = mapped_column(String)
    reasons: Mapped[list[str]] = mapped_column(JSONB)
    model_version: Mapped[str] = mapped_column(String)
    cause: Mapped[str] = mapped_column(String)
    rated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
