"""Cases, tasks, promises, letters: for platforms and operators; for funders, how their own assets are collected."""

from typing import Any

import msgspec

from exchange.auth import Role
from exchange.collections import actions, dealings, figures, lists, queries, tasks
from exchange.collections import answer_schemas as shown
from exchange.collections import schemas as wire
from exchange.collections.policies import Policy
from exchange.collections.tasks import Step, originator_of
from exchange.errors import Fault, InvalidRequest, NotFound
from exchange.http import Call, Room
from exchange.paging import decode_cursor, encode_cursor
from exchange.parties.privacy import Why, note_access
from exchange.parties.queries import is_originator
from exchange.schemas import PageQuery

SERVICERS = [Role.OPERATOR, Role.PLATFORM]
NEEDED = {"assigned": "assignee", "done": "outcome", "skipped": "reason"}
"""What a step says besides itself."""

room = Room("collections", __name__, url_prefix="/v1", description="Getting paid when it is late")


@room.operation(
    "/originators/<originator_id>/collection-policy",
    method="PUT",
    replaces=True,
    roles=[Role.OPERATOR],
    body=wire.CollectionPolicySchema,
    result=shown.CollectionPolicyShown,
)
def put_collection_policy(call: Call, originator_id: str) -> dict[str, Any]:
    """Say how an originator's late obligors are followed, in cases opened from now on."""
    policy = msgspec.convert(call.body, Policy)
    version = actions.set_policy(
        call.session, originator_id=originator_id, policy=policy, client_id=call.caller.client_id, now=call.now
    )
    return _policy(version, policy)


@room.operation("/originators/<originator_id>/collection-policy", roles=SERVICERS, result=shown.CollectionPolicyShown)
def get_collection_policy(call: Call, originator_id: str) -> dict[str, Any]:
    """How an originator's late obligors are followed."""
    own = originator_of(call.caller) in {None, originator_id}
    if not own or not is_originator(call.session, originator_id=originator_id):
        raise NotFound("There is no such originator.")
    return _policy(*queries.policy(call.session, originator_id=originator_id))


@room.operation(
    "/obligors/<company_id>/language",
    method="PUT",
    roles=[Role.PLATFORM],
    body=wire.LanguageSchema,
    result=wire.LanguageSchema,
)
def put_letter_language(call: Call, company_id: str) -> dict[str, Any]:
    """Say in which language you write to an obligor."""
    originator_id, language = str(call.caller.party_id), call.body["language"]
    actions.set_language(call.session, originator_id=originator_id, company_id=company_id, language=language)
    return {"language": language}


@room.operation("/cases", roles=SERVICERS, query=wire.CaseQuery, result=shown.CasesPage)
def list_cases(call: Call) -> dict[str, Any]:
    """Cases of late obligors."""
    items = lists.cases(
        call.session, originator_id=originator_of(call.caller), wanted=call.query, after=call.after, today=call.today
    )
    return call.page(items, by="case_id")


@room.operation("/cases/<case_id>", roles=SERVICERS, result=shown.CaseInFull)
def show_case(call: Call, case_id: str) -> dict[str, Any]:
    """A case with all that belongs to it."""
    return _case(call, case_id)


@room.operation(
    "/cases/<case_id>/contacts",
    method="POST",
    roles=SERVICERS,
    body=wire.ContactSchema,
    result=shown.CaseInFull,
    status=201,
    idempotent=True,
)
def log_contact(call: Call, case_id: str) -> dict[str, Any]:
    """Enter a contact with the obligor."""
    dealings.log_contact(
        call.session, caller=call.caller, case_id=case_id, said=call.body, today=call.today, now=call.now
    )
    return _case(call, case_id)


@room.operation(
    "/cases/<case_id>/promises",
    method="POST",
    roles=SERVICERS,
    body=wire.PromiseSchema,
    result=shown.PromiseShown,
    status=201,
    idempotent=True,
)
def enter_promise(call: Call, case_id: str) -> dict[str, Any]:
    """Enter the obligor's promise to pay; it is judged every day by what was received."""
    promise_id = dealings.promise(
        call.session,
        services=call.services,
        caller=call.caller,
        case_id=case_id,
        made=call.body,
        today=call.today,
        now=call.now,
    )
    return lists.promise(call.session, promise_id=promise_id)


@room.operation(
    "/cases/<case_id>/plans",
    method="POST",
    roles=SERVICERS,
    body=wire.PaymentPlanSchema,
    result=shown.PaymentPlanShown,
    status=201,
    idempotent=True,
)
def propose_plan(call: Call, case_id: str) -> dict[str, Any]:
    """Propose instalments for an asset; they count once servicing reschedules it with its owner's consent."""
    plan_id = dealings.propose_plan(
        call.session,
        services=call.services,
        caller=call.caller,
        case_id=case_id,
        asset_id=call.body["asset_id"],
        instalments=[(one["due_date"], one["amount_minor"]) for one in call.body["instalments"]],
        today=call.today,
        now=call.now,
    )
    return lists.plan(call.session, plan_id=plan_id)


@room.operation(
    "/plans/<plan_id>/decision",
    method="POST",
    roles=SERVICERS,
    body=wire.PaymentPlanDecisionSchema,
    result=shown.PaymentPlanShown,
    status=201,
    idempotent=True,
)
def decide_plan(call: Call, plan_id: str) -> dict[str, Any]:
    """Say under which id servicing reschedules by a plan, or why it is dropped."""
    reschedule_id, reason = call.body.get("reschedule_id"), call.body.get("reason")
    if (reschedule_id is None) == (reason is None):
        fault = Fault("one_of_two", "", "give either reschedule_id or reason")
        raise InvalidRequest("Say which of the two it is.", faults=(fault,))
    dealings.decide_plan(call.session, caller=call.caller, plan_id=plan_id, reschedule_id=reschedule_id, reason=reason)
    return lists.plan(call.session, plan_id=plan_id)


@room.operation(
    "/cases/<case_id>/referrals",
    method="POST",
    roles=SERVICERS,
    body=wire.ReferralSchema,
    result=shown.CaseInFull,
    status=201,
    idempotent=True,
)
def refer_case(call: Call, case_id: str) -> dict[str, Any]:
    """Give a case to a court or an agency."""
    dealings.refer(
        call.session,
        services=call.services,
        caller=call.caller,
        case_id=case_id,
        terms=call.body,
        today=call.today,
        now=call.now,
    )
    return _case(call, case_id)


@room.operation(
    "/referrals/<referral_id>/end",
    method="POST",
    roles=SERVICERS,
    body=wire.ReferralEndSchema,
    result=shown.CaseInFull,
    status=201,
    idempotent=True,
)
def end_referral(call: Call, referral_id: str) -> dict[str, Any]:
    """Take a case back from a court or an agency."""
    case_id = dealings.end_referral(
        call.session, caller=call.caller, referral_id=referral_id, reason=call.body["reason"], today=call.today
    )
    return _case(call, case_id)


@room.operation(
    "/cases/<case_id>/closing",
    method="POST",
    roles=SERVICERS,
    body=wire.CaseClosingSchema,
    result=shown.CaseInFull,
    status=201,
    idempotent=True,
)
def give_up_case(call: Call, case_id: str) -> dict[str, Any]:
    """Close a bad debt from which nothing more is expected, after two people agreed to it."""
    case = tasks.locked_case(call.session, caller=call.caller, case_id=case_id)
    actions.give_up(
        call.session,
        case=case,
        result=call.body["result"],
        reason=call.body["reason"],
        client_id=call.caller.client_id,
        today=call.today,
        now=call.now,
    )
    return _case(call, case_id)


@room.operation("/tasks", roles=SERVICERS, query=wire.TaskQuery, result=shown.TasksPage)
def list_tasks(call: Call) -> dict[str, Any]:
    """The work list of a team or of all, the most urgent first."""
    items = lists.tasks(
        call.session,
        originator_id=originator_of(call.caller),
        wanted=call.query,
        after=decode_cursor(call.query.get("after"), str, str),
        today=call.today,
    )
    full = len(items) == call.query["limit"]
    last = items[-1] if full else None
    return {"items": items, "next": encode_cursor(last["due_on"].isoformat(), last["task_id"]) if last else None}


@room.operation(
    "/tasks/<task_id>/steps",
    method="POST",
    roles=SERVICERS,
    body=wire.TaskStepSchema,
    result=shown.TaskShown,
    status=201,
    idempotent=True,
)
def take_task_step(call: Call, task_id: str) -> dict[str, Any]:
    """Assign a task, start it, finish it with an outcome, or skip it with a reason."""
    step = Step(**call.body)
    for name in NEEDED.values():
        if (getattr(step, name) is not None) != (NEEDED.get(step.step) == name):
            fault = Fault("misplaced", f"/{name}", f"goes with {', '.join(k for k, v in NEEDED.items() if v == name)}")
            raise InvalidRequest("The step does not go with what it says.", faults=(fault,))
    tasks.take_step(call.session, caller=call.caller, task_id=task_id, step=step, today=call.today, now=call.now)
    return lists.task(call.session, task_id=task_id, today=call.today)


@room.operation("/letters", roles=SERVICERS, query=wire.LetterQuery, result=shown.LettersPage)
def list_letters(call: Call) -> dict[str, Any]:
    """Letters to late obligors: fetch those that wait, send them, and say so."""
    items = lists.letters(
        call.session,
        originator_id=originator_of(call.caller),
        state=call.query["state"],
        after=call.after,
        limit=call.query["limit"],
    )
    return call.page(items, by="letter_id")


@room.operation("/letters/<letter_id>", roles=SERVICERS, result=shown.LetterInFull)
def show_letter(call: Call, letter_id: str) -> dict[str, Any]:
    """A letter as it is to be sent."""
    return _letter(call, letter_id)


@room.operation(
    "/letters/<letter_id>/sending",
    method="POST",
    roles=SERVICERS,
    body=wire.LetterSentSchema,
    result=shown.LetterInFull,
    status=201,
    idempotent=True,
)
def note_letter_sent(call: Call, letter_id: str) -> dict[str, Any]:
    """Say that a letter was sent; its task is done with that."""
    if call.body["sent_date"] > call.today:
        fault = Fault("in_the_future", "/sent_date", f"not after {call.today}", call.body["sent_date"].isoformat())
        raise InvalidRequest("A letter is noted as sent after it was.", faults=(fault,))
    tasks.send_letter(
        call.session,
        caller=call.caller,
        letter_id=letter_id,
        channel=call.body["channel"],
        reference=call.body["reference"],
        sent_on=call.body["sent_date"],
        today=call.today,
        now=call.now,
    )
    return _letter(call, letter_id)


@room.operation("/asset-cases", roles=[Role.FUNDER], query=PageQuery, result=shown.AssetCasesPage)
def list_asset_cases(call: Call) -> dict[str, Any]:
    """Your assets that are or were collected: stage, promises, and why collecting ended."""
    items = lists.asset_cases(
        call.session,
        funder_id=str(call.caller.party_id),
        after=call.after,
        limit=call.query["limit"],
        today=call.today,
    )
    return call.page(items, by="asset_id")


@room.operation("/collection-report", roles=SERVICERS, result=shown.CollectionReport)
def show_collection_report(call: Call) -> dict[str, Any]:
    """What each stage cures, what promises are worth, what lies with which team."""
    return figures.report(call.session, originator_id=originator_of(call.caller), today=call.today)


def _case(call: Call, case_id: str) -> dict[str, Any]:
    found = lists.case(call.session, originator_id=originator_of(call.caller), case_id=case_id, today=call.today)
    if found is None:
        raise NotFound("There is no such case.")
    if any(contact["person"] for contact in found["contacts"]):
        note_access(
            call.session, subject=case_id, field="contacts.person", why=Why(call.caller, call.now, "collection")
        )
    return found


def _letter(call: Call, letter_id: str) -> dict[str, Any]:
    found = lists.letter(call.session, originator_id=originator_of(call.caller), letter_id=letter_id)
    if found is None:
        raise NotFound("There is no such letter.")
    return found


def _policy(version: int, policy: Policy) -> dict[str, Any]:
    terms: dict[str, Any] = msgspec.to_builtins(policy)
    return {"version": version} | terms
