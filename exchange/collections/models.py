"""Cases of late obligors: what is in them, who does what until when, what was promised, written and agreed."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from exchange.db import Base


class CollectionPolicy(Base):
    """How an originator's late obligors are followed: strategies, promises, letters. Versions stay."""

    __tablename__ = "collection_policy"

    originator_id: Mapped[str] = mapped_column(ForeignKey("originator.originator_id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    set_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    set_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Correspondence(Base):
    """In which language an originator writes to a company, where the policy's is not right."""

    __tablename__ = "correspondence"
    __table_args__ = (CheckConstraint("language IN ('zh', 'en')", name="language_known"),)

    originator_id: Mapped[str] = mapped_column(ForeignKey("originator.originator_id"), primary_key=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"), primary_key=True)
    language: Mapped[str] = mapped_column(String(2))


class SteppedDay(Base):
    """A business date up to which cases are followed."""

    __tablename__ = "collection_day"

    business_date: Mapped[date] = mapped_column(primary_key=True)
    case_count: Mapped[int]


class Case(Base):
    """The `number`th time that an obligor is late with an originator's assets; one at a time.

    This row is the lock on all that belongs to it; several are taken by (originator_id, obligor_id). `policy_version`
    0 is the policy of the house. `stepped_on` is the last day that was judged.
    """

    __tablename__ = "collection_case"
    __table_args__ = (
        UniqueConstraint("originator_id", "obligor_id", "number"),
        CheckConstraint("number > 0", name="number_positive"),
        CheckConstraint("state IN ('active', 'bad_debt', 'closed')", name="state_known"),
        CheckConstraint("(state = 'closed') = (closed_on IS NOT NULL)", name="closed_on_a_day"),
        CheckConstraint("(closed_on IS NULL) = (result IS NULL)", name="closed_with_a_result"),
        CheckConstraint("result IN ('cured', 'recovered', 'written_off', 'uncollectable')", name="result_known"),
        Index(
            "uq_collection_case_live",
            "originator_id",
            "obligor_id",
            unique=True,
            postgresql_where=text("closed_on IS NULL"),
        ),
        Index("ix_collection_case_originator", "originator_id", "case_id"),
        Index("ix_collection_case_obligor", "obligor_id"),
    )

    case_id: Mapped[str] = mapped_column(String, primary_key=True)
    originator_id: Mapped[str] = mapped_column(ForeignKey("originator.originator_id"))
    obligor_id: Mapped[str] = mapped_column(ForeignKey("company.company_id"))
    number: Mapped[int]
    policy_version: Mapped[int]
    strategy: Mapped[str] = mapped_column(String)
    stage: Mapped[str] = mapped_column(String)
    state: Mapped[str] = mapped_column(String)
    opened_on: Mapped[date]
    stepped_on: Mapped[date]
    closed_on: Mapped[date | None]
    result: Mapped[str | None] = mapped_column(String)
    closed_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    reason: Mapped[str | None] = mapped_column(String)


class CaseItem(Base):
    """An asset in a case. Days past due are counted from `late_since`, as servicing last said on `noted_on`.

    `funder_id` held it when it came in, and was told so.
    """

    __tablename__ = "case_item"
    __table_args__ = (
        CheckConstraint("(left_on IS NULL) = (left_because IS NULL)", name="left_for_a_reason"),
        CheckConstraint(
            "left_because IN ('settled', 'cured', 'written_off', 'split', 'uncollectable')", name="left_because_known"
        ),
        Index("uq_case_item_live", "asset_id", unique=True, postgresql_where=text("left_on IS NULL")),
        Index("ix_case_item_asset", "asset_id"),
        Index("ix_case_item_funder", "funder_id", "asset_id"),
    )

    case_id: Mapped[str] = mapped_column(ForeignKey("collection_case.case_id"), primary_key=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3))
    added_minor: Mapped[int] = mapped_column(BigInteger)
    late_since: Mapped[date]
    added_on: Mapped[date]
    noted_on: Mapped[date]
    funder_id: Mapped[str | None] = mapped_column(ForeignKey("funder.funder_id"))
    defaulted_on: Mapped[date | None]
    charged_off_on: Mapped[date | None]
    left_on: Mapped[date | None]
    left_because: Mapped[str | None] = mapped_column(String)


class CaseStage(Base):
    """The day on which a case first reached a stage of its strategy."""

    __tablename__ = "case_stage"

    case_id: Mapped[str] = mapped_column(ForeignKey("collection_case.case_id"), primary_key=True)
    stage: Mapped[str] = mapped_column(String, primary_key=True)
    reached_on: Mapped[date]
    days_past_due: Mapped[int]


class Task(Base):
    """What a team has to do; once for each stage of a case and template, or for each broken promise (`occasion`).

    One that is `second_to` another is for other eyes: `first_by` did that other one.
    """

    __tablename__ = "collection_task"
    __table_args__ = (
        UniqueConstraint("case_id", "stage", "template", "occasion"),
        CheckConstraint("team IN ('risk', 'finance', 'sales', 'commerce')", name="team_known"),
        CheckConstraint("state IN ('open', 'started', 'done', 'skipped')", name="state_known"),
        CheckConstraint("(state = 'done') = (outcome IS NOT NULL)", name="outcome_when_done"),
        CheckConstraint("(state = 'skipped') = (reason IS NOT NULL)", name="reason_when_skipped"),
        CheckConstraint("(state IN ('done', 'skipped')) = (finished_on IS NOT NULL)", name="finished_on_a_day"),
        CheckConstraint("due_on >= made_on", name="due_after_made"),
        CheckConstraint("finished_by <> first_by", name="four_eyes"),
        CheckConstraint(
            "second_to IS NULL OR state <> 'done' OR (first_by IS NOT NULL AND finished_by IS NOT NULL)",
            name="second_after_first",
        ),
        Index(
            "ix_collection_task_work_list",
            "team",
            "due_on",
            "task_id",
            postgresql_where=text("state IN ('open', 'started')"),
        ),
        Index("ix_collection_task_originator", "originator_id", "due_on", "task_id"),
    )

    task_id: Mapped[str] = mapped_column(String, primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("collection_case.case_id"))
    originator_id: Mapped[str] = mapped_column(ForeignKey("originator.originator_id"))
    stage: Mapped[str] = mapped_column(String)
    template: Mapped[str] = mapped_column(String)
    occasion: Mapped[str] = mapped_column(String)
    team: Mapped[str] = mapped_column(String)
    second_to: Mapped[str | None] = mapped_column(String)
    made_on: Mapped[date]
    due_on: Mapped[date]
    state: Mapped[str] = mapped_column(String)
    assignee: Mapped[str | None] = mapped_column(String)
    outcome: Mapped[str | None] = mapped_column(String)
    reason: Mapped[str | None] = mapped_column(String)
    finished_on: Mapped[date | None]
    finished_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    first_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))


class TaskStep(Base):
    """What became of a task, step by step: never changed."""

    __tablename__ = "collection_task_step"
    __table_args__ = (CheckConstraint("step IN ('assigned', 'started', 'done', 'skipped')", name="step_known"),)

    task_id: Mapped[str] = mapped_column(ForeignKey("collection_task.task_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(String)
    detail: Mapped[str | None] = mapped_column(String)
    taken_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Contact(Base):
    """One contact with an obligor: how, and what was said. `person` is a role there, such as "accounts payable"."""

    __tablename__ = "collection_contact"
    __table_args__ = (
        CheckConstraint("channel IN ('phone', 'visit', 'email', 'message', 'post', 'meeting')", name="channel_known"),
    )

    case_id: Mapped[str] = mapped_column(ForeignKey("collection_case.case_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(String)
    reached: Mapped[bool]
    person: Mapped[str | None] = mapped_column(String)
    said: Mapped[str] = mapped_column(String)
    contacted_on: Mapped[date]
    entered_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Promise(Base):
    """An obligor's word to pay so much on some of a case's assets by a day. `state` is that of its last verdict."""

    __tablename__ = "payment_promise"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("due_on >= made_on", name="due_after_made"),
        CheckConstraint("state IN ('open', 'kept', 'broken', 'lapsed')", name="state_known"),
        CheckConstraint("paid_minor >= 0", name="paid_not_negative"),
        CheckConstraint("(state = 'open') = (judged_on IS NULL)", name="judged_on_a_day"),
        CheckConstraint("(state = 'kept') <= (paid_minor >= amount_minor)", name="kept_is_paid"),
        Index("ix_payment_promise_case", "case_id"),
    )

    promise_id: Mapped[str] = mapped_column(String, primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("collection_case.case_id"))
    currency: Mapped[str] = mapped_column(String(3))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    made_on: Mapped[date]
    due_on: Mapped[date]
    promised_by: Mapped[str | None] = mapped_column(String)
    state: Mapped[str] = mapped_column(String)
    paid_minor: Mapped[int] = mapped_column(BigInteger)
    judged_on: Mapped[date | None]
    entered_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    entered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class PromisedAsset(Base):
    """An asset on which a promise is to be paid."""

    __tablename__ = "promised_asset"

    promise_id: Mapped[str] = mapped_column(ForeignKey("payment_promise.promise_id"), primary_key=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"), primary_key=True, index=True)


class PromiseVerdict(Base):
    """What a promise was found to be. A receipt that is known later, or undone, makes another verdict, not this one."""

    __tablename__ = "promise_verdict"
    __table_args__ = (CheckConstraint("verdict IN ('open', 'kept', 'broken', 'lapsed')", name="verdict_known"),)

    promise_id: Mapped[str] = mapped_column(ForeignKey("payment_promise.promise_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    verdict: Mapped[str] = mapped_column(String)
    paid_minor: Mapped[int] = mapped_column(BigInteger)
    judged_on: Mapped[date]


class Letter(Base):
    """A letter to an obligor as it was written. The platform fetches it, sends it, and says so."""

    __tablename__ = "dunning_letter"
    __table_args__ = (
        CheckConstraint("language IN ('zh', 'en')", name="language_known"),
        CheckConstraint("sent_on IS NULL OR withdrawn_on IS NULL", name="sent_or_withdrawn"),
        CheckConstraint(
            "num_nonnulls(sent_on, sent_by, sent_channel, sent_reference) IN (0, 4)", name="sent_by_somebody"
        ),
        Index("ix_dunning_letter_originator", "originator_id", "letter_id"),
        Index("ix_dunning_letter_case", "case_id"),
        Index("uq_dunning_letter_task", "task_id", unique=True, postgresql_where=text("withdrawn_on IS NULL")),
    )

    letter_id: Mapped[str] = mapped_column(String, primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("collection_case.case_id"))
    originator_id: Mapped[str] = mapped_column(ForeignKey("originator.originator_id"))
    task_id: Mapped[str] = mapped_column(ForeignKey("collection_task.task_id"))
    template: Mapped[str] = mapped_column(String)
    language: Mapped[str] = mapped_column(String(2))
    asset_ids: Mapped[list[str]] = mapped_column(JSONB)
    subject: Mapped[str] = mapped_column(String)
    text: Mapped[str] = mapped_column(String)
    html: Mapped[str] = mapped_column(String)
    digest: Mapped[str] = mapped_column(String(64))
    made_on: Mapped[date]
    sent_on: Mapped[date | None]
    sent_channel: Mapped[str | None] = mapped_column(String)
    sent_reference: Mapped[str | None] = mapped_column(String)
    sent_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))
    withdrawn_on: Mapped[date | None]


class Plan(Base):
    """Instalments that an obligor offers for one asset. They bind nobody until servicing reschedules the asset."""

    __tablename__ = "payment_plan"
    __table_args__ = (
        CheckConstraint("state IN ('proposed', 'handed_over', 'dropped')", name="state_known"),
        CheckConstraint("(state = 'proposed') = (decided_by IS NULL)", name="decided_by_somebody"),
        CheckConstraint("(state = 'handed_over') = (reschedule_id IS NOT NULL)", name="handed_over_to_something"),
        CheckConstraint("(state = 'dropped') = (reason IS NOT NULL)", name="dropped_for_a_reason"),
        Index("ix_payment_plan_case", "case_id"),
        Index("uq_payment_plan_proposed", "asset_id", unique=True, postgresql_where=text("state = 'proposed'")),
    )

    plan_id: Mapped[str] = mapped_column(String, primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("collection_case.case_id"))
    asset_id: Mapped[str] = mapped_column(ForeignKey("claim.asset_id"))
    instalments: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(String)
    reschedule_id: Mapped[str | None] = mapped_column(String)
    reason: Mapped[str | None] = mapped_column(String)
    proposed_on: Mapped[date]
    proposed_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("api_client.client_id"))


class Referral(Base):
    """A case given to a court or an agency. An agency's fee is a share of what comes in while it has the case."""

    __tablename__ = "case_referral"
    __table_args__ = (
        CheckConstraint("kind IN ('legal', 'agency')", name="kind_known"),
        CheckConstraint("(kind = 'agency') = (fee_bps IS NOT NULL)", name="fee_of_agency"),
        CheckConstraint("fee_bps BETWEEN 0 AND 10000", name="fee_range"),
        CheckConstraint("(ended_on IS NULL) = (end_reason IS NULL)", name="ended_for_a_reason"),
        CheckConstraint("ended_on >= began_on", name="ends_after_it_began"),
        Index("ix_case_referral_case", "case_id"),
        Index("uq_case_referral_live", "case_id", "kind", unique=True, postgresql_where=text("ended_on IS NULL")),
    )

    referral_id: Mapped[str] = mapped_column(String, primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("collection_case.case_id"))
    kind: Mapped[str] = mapped_column(String)
    to: Mapped[str] = mapped_column(String)
    reference: Mapped[str] = mapped_column(String)
    fee_bps: Mapped[int | None]
    began_on: Mapped[date]
    began_by: Mapped[str] = mapped_column(ForeignKey("api_client.client_id"))
    ended_on: Mapped[date | None]
    end_reason: Mapped[str | None] = mapped_column(String)
