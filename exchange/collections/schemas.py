"""What collections are told on the wire."""

from typing import Any

import marshmallow as ma

from exchange.collections.policies import (
    CALENDAR_NAMES,
    CODE,
    LANGUAGES,
    LAST_DAY,
    LETTERS,
    MARKS,
    MAX_PROMISE_DAYS,
    MAX_PROMISES,
    MAX_REPLY_DAYS,
    MAX_STAGES,
    MAX_STRATEGIES,
    MAX_TASK_DAYS,
    MAX_TASKS,
    TEAMS,
)
from exchange.collections.rules import OUTCOMES
from exchange.receivables.schemas import PRODUCTS
from exchange.schemas import (
    MAX_MINOR,
    Boolean,
    Id,
    Integer,
    IsoDate,
    List,
    Nested,
    OneOf,
    PageQuery,
    Schema,
    Text,
)
from scoring.grades import NAMES as GRADES

CHANNELS = ("phone", "visit", "email", "message", "post", "meeting")
RESULTS = ("cured", "recovered", "written_off", "uncollectable")
MAX_ASSETS = 200
MAX_INSTALMENTS = 60
CURRENCY = "[A-Z]{3}"


class TaskTemplateSchema(Schema):
    """A task for a team, due so many business days after it is made."""

    template = Text(40, pattern=CODE, required=True)
    team = OneOf(*TEAMS, required=True)
    due_days = Integer(0, MAX_TASK_DAYS, required=True)
    letter = OneOf(*LETTERS)
    second_to = Text(40, pattern=CODE, metadata={"description": "Another client approves what that task proposes"})


class CollectionStageSchema(Schema):
    """A stage, reached on a day past due or with a default or charge-off."""

    code = Text(40, pattern=CODE, required=True)
    from_days = Integer(0, LAST_DAY)
    on = OneOf(*MARKS)
    tasks = List(Nested(TaskTemplateSchema), 0, MAX_TASKS, required=True)


class StrategyThresholdSchema(Schema):
    """So much owed, or more, in one currency."""

    currency = Text(3, pattern=CURRENCY, required=True)
    amount_minor = Integer(1, MAX_MINOR, required=True)


class StrategyWhenSchema(Schema):
    """Which cases a strategy is for: every list that is given has to be met by some asset of the case."""

    products = List(OneOf(*PRODUCTS), 1, len(PRODUCTS))
    grades = List(OneOf(*GRADES), 1, len(GRADES))
    over = List(Nested(StrategyThresholdSchema), 1, 20)

    @ma.validates_schema
    def _something(self, data: dict[str, Any], **_: object) -> None:
        if not data:
            raise ma.ValidationError("no_condition: state one, or leave `when` out")


class StrategySchema(Schema):
    """Stages from mild to severe. The last strategy takes every case that no other one does."""

    code = Text(40, pattern=CODE, required=True)
    when = Nested(StrategyWhenSchema)
    stages = List(Nested(CollectionStageSchema), 1, MAX_STAGES, required=True)


class CollectionPolicySchema(Schema):
    """How late obligors are followed."""

    strategies = List(Nested(StrategySchema), 1, MAX_STRATEGIES, required=True)
    on_broken_promise = List(Nested(TaskTemplateSchema), 0, MAX_TASKS, required=True)
    most_open_promises = Integer(0, MAX_PROMISES, required=True)
    longest_promise_days = Integer(1, MAX_PROMISE_DAYS, required=True)
    promise_grace_days = Integer(0, 10, required=True)
    reply_days = Integer(1, MAX_REPLY_DAYS, required=True)
    most_agency_fee_bps = Integer(0, 10_000, required=True)
    language = OneOf(*LANGUAGES, required=True)
    calendar = OneOf(*CALENDAR_NAMES, required=True)


class LanguageSchema(Schema):
    """In which language a company is written to."""

    language = OneOf(*LANGUAGES, required=True)


class CaseQuery(PageQuery):
    """Which cases."""

    state = OneOf("live", "active", "bad_debt", "closed")
    stage = Text(40, pattern=CODE)


class TaskQuery(PageQuery):
    """Which tasks; those that wait unless something else is asked for."""

    team = OneOf(*TEAMS)
    state = OneOf("waiting", "overdue", "open", "started", "done", "skipped", load_default="waiting")
    assignee = Text(60)
    case_id = Id("cas")


class TaskStepSchema(Schema):
    """One step of a task. `assignee` when assigned, `outcome` when done, `reason` when skipped."""

    step = OneOf("assigned", "started", "done", "skipped", required=True)
    assignee = Text(60, metadata={"description": "A staff number or login, not a name"})
    outcome = OneOf(*OUTCOMES)
    reason = Text(200)


class ContactSchema(Schema):
    """A contact with an obligor."""

    channel = OneOf(*CHANNELS, required=True)
    reached = Boolean(required=True)
    person = Text(60, metadata={"description": "A role, such as accounts payable; no more personal data than needed"})
    said = Text(1000, required=True)
    contact_date = IsoDate(required=True)


class PromiseSchema(Schema):
    """A promise to pay so much on these assets of the case by a day."""

    asset_ids = List(Id("ast"), 1, MAX_ASSETS, required=True)
    currency = Text(3, pattern=CURRENCY, required=True)
    amount_minor = Integer(1, MAX_MINOR, required=True)
    due_date = IsoDate(required=True)
    promised_by = Text(60, metadata={"description": "A role, such as managing director"})


class PlanInstalmentSchema(Schema):
    """One instalment."""

    due_date = IsoDate(required=True)
    amount_minor = Integer(1, MAX_MINOR, required=True)


class PaymentPlanSchema(Schema):
    """Instalments that sum to what is owed on the asset."""

    asset_id = Id("ast", required=True)
    instalments = List(Nested(PlanInstalmentSchema), 1, MAX_INSTALMENTS, required=True)


class PaymentPlanDecisionSchema(Schema):
    """Either the id under which servicing reschedules the asset by this plan, or why the plan is dropped."""

    reschedule_id = Text(60)
    reason = Text(200)


class ReferralSchema(Schema):
    """A case for a court, or for an agency with its fee."""

    kind = OneOf("legal", "agency", required=True)
    to = Text(100, required=True)
    reference = Text(100, required=True)
    fee_bps = Integer(0, 10_000, metadata={"description": "The agency's share of what comes in, in basis points"})


class ReferralEndSchema(Schema):
    """Why a referral ends."""

    reason = Text(200, required=True)


class CaseClosingSchema(Schema):
    """A case that is given up."""

    result = OneOf("written_off", "uncollectable", required=True)
    reason = Text(200, required=True)


class LetterQuery(PageQuery):
    """Which letters; those that wait to be sent unless something else is asked for."""

    state = OneOf("waiting", "sent", "withdrawn", load_default="waiting")


class LetterSentSchema(Schema):
    """How and when a letter was sent, and the reference under which that can be shown."""

    channel = OneOf("email", "post", "message", "portal", required=True)
    reference = Text(100, required=True)
    sent_date = IsoDate(required=True)
