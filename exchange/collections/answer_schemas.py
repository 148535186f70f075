"""What collections show on the wire."""

import marshmallow as ma

from exchange.collections.rules import AGE_NAMES
from exchange.collections.schemas import CollectionPolicySchema, PlanInstalmentSchema
from exchange.schemas import Id


class CollectionPolicyShown(CollectionPolicySchema):
    """A policy; version 0 is that of the house."""

    version = ma.fields.Integer(required=True)


class ObligorShown(ma.Schema):
    """Who is late."""

    company_id = Id("com", required=True)
    identifier = ma.fields.String(required=True, metadata={"description": "scheme:value"})
    name = ma.fields.String(required=True, allow_none=True)


class OwedShown(ma.Schema):
    """What is owed in a case in one currency."""

    currency = ma.fields.String(required=True)
    items = ma.fields.Integer(required=True)
    outstanding_minor = ma.fields.Integer(required=True)


class CaseShown(ma.Schema):
    """A case."""

    case_id = Id("cas", required=True)
    originator_id = Id("org", required=True)
    obligor = ma.fields.Nested(ObligorShown, required=True)
    number = ma.fields.Integer(required=True, metadata={"description": "The how manieth of this obligor"})
    policy_version = ma.fields.Integer(required=True)
    strategy = ma.fields.String(required=True)
    stage = ma.fields.String(required=True)
    state = ma.fields.String(required=True)
    days_past_due = ma.fields.Integer(required=True)
    owed = ma.fields.List(ma.fields.Nested(OwedShown), required=True)
    opened_on = ma.fields.Date(required=True)
    closed_on = ma.fields.Date(required=True, allow_none=True)
    result = ma.fields.String(required=True, allow_none=True)
    reason = ma.fields.String(required=True, allow_none=True)


class CasesPage(ma.Schema):
    """Cases by id, so by time."""

    items = ma.fields.List(ma.fields.Nested(CaseShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class CaseItemShown(ma.Schema):
    """An asset in a case."""

    asset_id = Id("ast", required=True)
    invoice_number = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    outstanding_minor = ma.fields.Integer(required=True)
    disputed = ma.fields.Boolean(required=True)
    days_past_due = ma.fields.Integer(required=True)
    added_on = ma.fields.Date(required=True)
    defaulted_on = ma.fields.Date(required=True, allow_none=True)
    charged_off_on = ma.fields.Date(required=True, allow_none=True)
    left_on = ma.fields.Date(required=True, allow_none=True)
    left_because = ma.fields.String(required=True, allow_none=True)


class StageShown(ma.Schema):
    """A stage that was reached."""

    stage = ma.fields.String(required=True)
    reached_on = ma.fields.Date(required=True)
    days_past_due = ma.fields.Integer(required=True)


class TaskShown(ma.Schema):
    """A task."""

    task_id = Id("tsk", required=True)
    case_id = Id("cas", required=True)
    obligor = ma.fields.Nested(ObligorShown, required=True)
    stage = ma.fields.String(required=True)
    template = ma.fields.String(required=True)
    team = ma.fields.String(required=True)
    second_to = ma.fields.String(required=True, allow_none=True)
    promise_id = Id("prm", required=True, allow_none=True)
    letter_id = Id("ltr", required=True, allow_none=True)
    made_on = ma.fields.Date(required=True)
    due_on = ma.fields.Date(required=True)
    overdue = ma.fields.Boolean(required=True)
    state = ma.fields.String(required=True)
    assignee = ma.fields.String(required=True, allow_none=True)
    outcome = ma.fields.String(required=True, allow_none=True)
    reason = ma.fields.String(required=True, allow_none=True)
    finished_on = ma.fields.Date(required=True, allow_none=True)


class TasksPage(ma.Schema):
    """Tasks, the most urgent first."""

    items = ma.fields.List(ma.fields.Nested(TaskShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class ContactShown(ma.Schema):
    """A contact as it was entered."""

    number = ma.fields.Integer(required=True)
    channel = ma.fields.String(required=True)
    reached = ma.fields.Boolean(required=True)
    person = ma.fields.String(required=True, allow_none=True)
    said = ma.fields.String(required=True)
    contacted_on = ma.fields.Date(required=True)
    entered_by = ma.fields.String(required=True)


class PromiseShown(ma.Schema):
    """A promise and what became of it."""

    promise_id = Id("prm", required=True)
    asset_ids = ma.fields.List(Id("ast"), required=True)
    currency = ma.fields.String(required=True)
    amount_minor = ma.fields.Integer(required=True)
    paid_minor = ma.fields.Integer(required=True)
    made_on = ma.fields.Date(required=True)
    due_on = ma.fields.Date(required=True)
    promised_by = ma.fields.String(required=True, allow_none=True)
    state = ma.fields.String(required=True)
    judged_on = ma.fields.Date(required=True, allow_none=True)


class PaymentPlanShown(ma.Schema):
    """A plan and what became of it."""

    plan_id = Id("pln", required=True)
    asset_id = Id("ast", required=True)
    instalments = ma.fields.List(ma.fields.Nested(PlanInstalmentSchema), required=True)
    state = ma.fields.String(required=True)
    reschedule_id = ma.fields.String(required=True, allow_none=True)
    reason = ma.fields.String(required=True, allow_none=True)
    proposed_on = ma.fields.Date(required=True)


class CollectedShown(ma.Schema):
    """What came in while a court or agency had the case, and its fee."""

    currency = ma.fields.String(required=True)
    collected_minor = ma.fields.Integer(required=True)
    fee_minor = ma.fields.Integer(required=True)


class ReferralShown(ma.Schema):
    """A referral."""

    referral_id = Id("rfr", required=True)
    kind = ma.fields.String(required=True)
    to = ma.fields.String(required=True)
    reference = ma.fields.String(required=True)
    fee_bps = ma.fields.Integer(required=True, allow_none=True)
    began_on = ma.fields.Date(required=True)
    ended_on = ma.fields.Date(required=True, allow_none=True)
    end_reason = ma.fields.String(required=True, allow_none=True)
    collected = ma.fields.List(ma.fields.Nested(CollectedShown), required=True)


class CaseInFull(CaseShown):
    """A case with all that belongs to it."""

    items = ma.fields.List(ma.fields.Nested(CaseItemShown), required=True)
    stages = ma.fields.List(ma.fields.Nested(StageShown), required=True)
    tasks = ma.fields.List(ma.fields.Nested(TaskShown), required=True)
    contacts = ma.fields.List(ma.fields.Nested(ContactShown), required=True)
    promises = ma.fields.List(ma.fields.Nested(PromiseShown), required=True)
    plans = ma.fields.List(ma.fields.Nested(PaymentPlanShown), required=True)
    referrals = ma.fields.List(ma.fields.Nested(ReferralShown), required=True)


class LetterShown(ma.Schema):
    """A letter without its text."""

    letter_id = Id("ltr", required=True)
    case_id = Id("cas", required=True)
    obligor = ma.fields.Nested(ObligorShown, required=True)
    template = ma.fields.String(required=True)
    language = ma.fields.String(required=True)
    subject = ma.fields.String(required=True)
    asset_ids = ma.fields.List(Id("ast"), required=True)
    digest = ma.fields.String(required=True, metadata={"description": "SHA-256 of text and HTML"})
    made_on = ma.fields.Date(required=True)
    sent_on = ma.fields.Date(required=True, allow_none=True)
    sent_channel = ma.fields.String(required=True, allow_none=True)
    sent_reference = ma.fields.String(required=True, allow_none=True)
    withdrawn_on = ma.fields.Date(required=True, allow_none=True)


class LettersPage(ma.Schema):
    """Letters, oldest first."""

    items = ma.fields.List(ma.fields.Nested(LetterShown), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class LetterInFull(LetterShown):
    """A letter as it is sent."""

    text = ma.fields.String(required=True)
    html = ma.fields.String(required=True)


class AssetPromise(ma.Schema):
    """A promise on an asset; its amounts where it is for assets of yours alone."""

    due_on = ma.fields.Date(required=True)
    state = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    amount_minor = ma.fields.Integer(required=True, allow_none=True)
    paid_minor = ma.fields.Integer(required=True, allow_none=True)


class AssetCase(ma.Schema):
    """An asset of yours that is, or was, collected."""

    asset_id = Id("ast", required=True)
    currency = ma.fields.String(required=True)
    outstanding_minor = ma.fields.Integer(required=True)
    stage = ma.fields.String(required=True)
    days_past_due = ma.fields.Integer(required=True)
    added_on = ma.fields.Date(required=True)
    defaulted_on = ma.fields.Date(required=True, allow_none=True)
    charged_off_on = ma.fields.Date(required=True, allow_none=True)
    left_on = ma.fields.Date(required=True, allow_none=True)
    left_because = ma.fields.String(required=True, allow_none=True)
    promises = ma.fields.List(ma.fields.Nested(AssetPromise), required=True)


class AssetCasesPage(ma.Schema):
    """Assets by id."""

    items = ma.fields.List(ma.fields.Nested(AssetCase), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class StageFigures(ma.Schema):
    """How cases end that reached a stage."""

    stage = ma.fields.String(required=True)
    reached = ma.fields.Integer(required=True)
    live = ma.fields.Integer(required=True)
    cured = ma.fields.Integer(required=True, metadata={"description": "Closed as cured or recovered"})
    lost = ma.fields.Integer(required=True, metadata={"description": "Closed as written off or uncollectable"})
    cure_rate_ppm = ma.fields.Integer(
        required=True, allow_none=True, metadata={"description": "Cured, of those that are closed"}
    )


class PromiseFigures(ma.Schema):
    """What promises are worth."""

    made = ma.fields.Integer(required=True)
    open = ma.fields.Integer(required=True)
    kept = ma.fields.Integer(required=True)
    broken = ma.fields.Integer(required=True)
    lapsed = ma.fields.Integer(required=True)
    kept_ppm = ma.fields.Integer(required=True, allow_none=True, metadata={"description": "Kept, of kept and broken"})


class TeamFigures(ma.Schema):
    """What lies with a team: live cases in which a task waits for it, by days past due of their oldest asset."""

    team = ma.fields.String(required=True)
    age = ma.fields.String(required=True, validate=ma.validate.OneOf(AGE_NAMES))
    currency = ma.fields.String(required=True)
    cases = ma.fields.Integer(required=True)
    outstanding_minor = ma.fields.Integer(required=True)


class TaskFigures(ma.Schema):
    """A team's tasks."""

    team = ma.fields.String(required=True)
    waiting = ma.fields.Integer(required=True)
    overdue = ma.fields.Integer(required=True)
    done = ma.fields.Integer(required=True)


class CollectionReport(ma.Schema):
    """How collections do. A case that two teams work on counts with both."""

    business_date = ma.fields.Date(required=True)
    stages = ma.fields.List(ma.fields.Nested(StageFigures), required=True)
    promises = ma.fields.Nested(PromiseFigures, required=True)
    teams = ma.fields.List(ma.fields.Nested(TeamFigures), required=True)
    tasks = ma.fields.List(ma.fields.Nested(TaskFigures), required=True)
