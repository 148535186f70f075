"""What is said and agreed in a case: contacts, promises, plans, courts and agencies."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import Row, text, update
from sqlalchemy.orm import Session

from exchange.auth import Caller
from exchange.collections import queries, rules
from exchange.collections.models import Contact, Plan, Promise, PromisedAsset, Referral
from exchange.collections.policies import BAD_DEBT, Policy
from exchange.collections.queries import Live
from exchange.collections.rules import Owed
from exchange.collections.tasks import locked_case, originator_of
from exchange.db import copy_rows
from exchange.errors import Fault, InvalidRequest, NotFound
from exchange.ids import new_id
from exchange.services import Services


def log_contact(
    session: Session, *, caller: Caller, case_id: str, said: dict[str, Any], today: date, now: datetime
) -> int:
    """Enter a contact with the obligor into a live case; its number. Refuses `InvalidRequest` for one to come."""
    case = locked_case(session, caller=caller, case_id=case_id)
    if said["contact_date"] > today:
        fault = Fault("in_the_future", "/contact_date", f"not after {today}", said["contact_date"].isoformat())
        raise InvalidRequest("A contact is entered after it happened.", faults=(fault,))
    number = _count(session, "collection_contact", case.case_id) + 1
    columns = ("case_id", "number", "channel", "reached", "person", "said", "contacted_on", "entered_by", "recorded_at")
    row = (case_id, number, said["channel"], said["reached"], said.get("person"), said["said"], said["contact_date"])
    copy_rows(session, Contact.__tablename__, columns, [(*row, caller.client_id, now)])
    return number


def promise(
    session: Session,
    *,
    services: Services,
    caller: Caller,
    case_id: str,
    made: dict[str, Any],
    today: date,
    now: datetime,
) -> str:
    """Enter a promise to pay on a case's assets; its id. Refuses `InvalidRequest` and `TooManyPromises`."""
    case = locked_case(session, caller=caller, case_id=case_id)
    policy, asset_ids = _policy(session, case), list(dict.fromkeys(made["asset_ids"]))
    promises = queries.promises(session, case_ids=[case_id])
    still_open = [one for one in promises if one.state == "open"]
    if len(still_open) >= policy.most_open_promises:
        raise rules.TooManyPromises("Wait until one is kept or broken.", open=len(still_open))
    faults = rules.promise_faults(
        _owed(session, case_id, asset_ids),
        promised={asset_id for one in still_open for asset_id in one.asset_ids},
        currency=made["currency"],
        amount_minor=made["amount_minor"],
        due=made["due_date"],
        today=today,
        longest_days=policy.longest_promise_days,
    )
    if faults:
        raise InvalidRequest("This cannot be promised.", faults=tuple(faults))
    purpose = f"{case_id}/{len(promises) + 1}"
    promise_id = new_id("prm", now=now, entropy=services.entropy, purpose=purpose)
    columns = (
        "promise_id case_id currency amount_minor made_on due_on promised_by state paid_minor entered_by entered_at"
    )
    row = (
        promise_id,
        case_id,
        made["currency"],
        made["amount_minor"],
        today,
        made["due_date"],
        made.get("promised_by"),
    )
    copy_rows(session, Promise.__tablename__, columns.split(), [(*row, "open", 0, caller.client_id, now)])
    assets = [(promise_id, asset_id) for asset_id in asset_ids]
    copy_rows(session, PromisedAsset.__tablename__, ("promise_id", "asset_id"), assets)
    return promise_id


def propose_plan(
    session: Session,
    *,
    services: Services,
    caller: Caller,
    case_id: str,
    asset_id: str,
    instalments: Sequence[tuple[date, int]],
    today: date,
    now: datetime,
) -> str:
    """Propose instalments for one asset of a case; the plan's id. Refuses `InvalidRequest` and `PlanOpen`."""
    locked_case(session, caller=caller, case_id=case_id)
    asset = _owed(session, case_id, [asset_id])[asset_id]
    if faults := rules.plan_faults(asset, asset_id, instalments, today=today):
        raise InvalidRequest("This plan cannot be proposed.", faults=tuple(faults))
    proposed = text("SELECT FROM payment_plan WHERE asset_id = :id AND state = 'proposed'")
    if session.execute(proposed, {"id": asset_id}).first() is not None:
        raise rules.PlanOpen("Hand it over or drop it first.")
    purpose = f"{case_id}/{_count(session, 'payment_plan', case_id) + 1}"
    plan_id = new_id("pln", now=now, entropy=services.entropy, purpose=purpose)
    parts = [{"due_date": due.isoformat(), "amount_minor": amount} for due, amount in instalments]
    columns = ("plan_id", "case_id", "asset_id", "instalments", "state", "proposed_on", "proposed_by")
    row = (plan_id, case_id, asset_id, orjson.dumps(parts).decode(), "proposed", today, caller.client_id)
    copy_rows(session, Plan.__tablename__, columns, [row])
    return plan_id


def decide_plan(
    session: Session, *, caller: Caller, plan_id: str, reschedule_id: str | None, reason: str | None
) -> None:
    """Say under which id servicing reschedules by a plan, or why it is dropped.

    Refuses `NotFound`, `InvalidRequest` and `PlanDecided`.
    """
    row = _mine(session, "payment_plan", "plan_id", plan_id, caller)
    if row is None:
        raise NotFound("There is no such plan.")
    if reschedule_id is not None and not _reschedules(session, plan_id, reschedule_id):
        fault = Fault(
            "not_a_reschedule", "/reschedule_id", "servicing has no such reschedule of the asset", reschedule_id
        )
        raise InvalidRequest("The plan cannot be handed over.", faults=(fault,))
    state = "handed_over" if reschedule_id else "dropped"
    values = {"state": state, "reschedule_id": reschedule_id, "reason": reason, "decided_by": caller.client_id}
    decided = update(Plan).where(Plan.plan_id == plan_id, Plan.state == "proposed").values(values)
    if session.execute(decided.returning(Plan.plan_id)).first() is None:
        raise rules.PlanDecided("It was handed over or dropped before.")


def refer(
    session: Session,
    *,
    services: Services,
    caller: Caller,
    case_id: str,
    terms: dict[str, Any],
    today: date,
    now: datetime,
) -> str:
    """Give a case to a court or an agency; the referral's id.

    Refuses `InvalidRequest`, `ReferralOpen`, and `NotBadDebt` for an agency before servicing's charge-off.
    """
    case = locked_case(session, caller=caller, case_id=case_id)
    kind, fee_bps = terms["kind"], terms.get("fee_bps")
    most = _policy(session, case).most_agency_fee_bps
    if faults := rules.referral_faults(kind=kind, fee_bps=fee_bps, most_fee_bps=most):
        raise InvalidRequest("The case cannot be referred so.", faults=tuple(faults))
    if kind == "agency" and case.state != BAD_DEBT:
        raise rules.NotBadDebt("An agency gets what servicing charged off.", state=case.state)
    live = text("SELECT FROM case_referral WHERE case_id = :id AND kind = :kind AND ended_on IS NULL")
    if session.execute(live, {"id": case_id, "kind": kind}).first() is not None:
        raise rules.ReferralOpen("End it first.", kind=kind)
    purpose = f"{case_id}/{_count(session, 'case_referral', case_id) + 1}"
    referral_id = new_id("rfr", now=now, entropy=services.entropy, purpose=purpose)
    columns = ("referral_id", "case_id", "kind", "to", "reference", "fee_bps", "began_on", "began_by")
    row = (referral_id, case_id, kind, terms["to"], terms["reference"], fee_bps, today, caller.client_id)
    copy_rows(session, Referral.__tablename__, columns, [row])
    return referral_id


def end_referral(session: Session, *, caller: Caller, referral_id: str, reason: str, today: date) -> str:
    """Take a case back from a court or an agency; its id. Refuses `NotFound` and `ReferralEnded`."""
    row = _mine(session, "case_referral", "referral_id", referral_id, caller)
    if row is None:
        raise NotFound("There is no such referral.")
    live = update(Referral).where(Referral.referral_id == referral_id, Referral.ended_on.is_(None))
    ended = live.values(ended_on=today, end_reason=reason).returning(Referral.referral_id)
    if session.execute(ended).first() is None:
        raise rules.ReferralEnded("A referral ends once.")
    return str(row.case_id)


def _policy(session: Session, case: Live) -> Policy:
    return queries.policy(session, originator_id=case.originator_id, version=case.policy_version)[1]


def _owed(session: Session, case_id: str, asset_ids: Sequence[str]) -> dict[str, Owed | None]:
    """The assets as the case has them, in the order they are asked for."""
    found = {
        row.asset_id: Owed(row.currency, row.outstanding_minor, row.left_on is None and row.outstanding_minor > 0)
        for row in queries.items(session, case_ids=[case_id])
    }
    return {asset_id: found.get(asset_id) for asset_id in asset_ids}


def _reschedules(session: Session, plan_id: str, forbearance_id: str) -> bool:
    """Whether servicing has a proposal to reschedule the plan's asset under this id."""
    query = text("""
        SELECT FROM forbearance JOIN payment_plan USING (asset_id)
        WHERE plan_id = :plan AND forbearance_id = :id AND kind = 'reschedule'
    """)
    return session.execute(query, {"plan": plan_id, "id": forbearance_id}).first() is not None


def _count(session: Session, table: str, case_id: str) -> int:
    """How many rows of a table a case has; it is locked."""
    query = text(f"SELECT count(*) FROM {table} WHERE case_id = :id")  # noqa: S608 - a table of ours
    return int(session.execute(query, {"id": case_id}).scalar_one())


def _mine(session: Session, table: str, name: str, value: str, caller: Caller) -> Row[Any] | None:
    """Whether a row of a case's belongs to the caller."""
    query = text(f"""
        SELECT {table}.case_id FROM {table} JOIN collection_case USING (case_id)
        WHERE {name} = :id AND (cast(:originator AS text) IS NULL OR originator_id = :originator)
    """)  # noqa: S608 - names of ours
    return session.execute(query, {"id": value, "originator": originator_of(caller)}).first()
