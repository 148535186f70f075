"""What platforms, operators and funders see of cases: lists page by page, and one case in full."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.collections import queries, rules
from exchange.collections.policies import Policy, strategy_of
from exchange.collections.rules import Item

Shown = list[dict[str, Any]]

OBLIGOR = """jsonb_build_object('company_id', company.company_id, 'name', company.name,
               'identifier', company.scheme || ':' || company.value) AS obligor"""
MINE = "(cast(:originator AS text) IS NULL OR {table}.originator_id = :originator)"

CASES = f"""
    SELECT case_id, collection_case.originator_id, {OBLIGOR}, collection_case.number, policy_version, strategy, stage,
           state, opened_on, closed_on, result, reason, coalesce(owed.days, 0) AS days_past_due,
           coalesce(owed.amounts, '[]') AS owed
    FROM collection_case
    JOIN company ON company.company_id = obligor_id
    LEFT JOIN LATERAL (
        SELECT max(days) AS days, jsonb_agg(jsonb_build_object(
            'currency', currency, 'items', items, 'outstanding_minor', outstanding_minor) ORDER BY currency) AS amounts
        FROM (
            SELECT claim.currency, count(*) AS items, sum(claim.outstanding_minor)::bigint AS outstanding_minor,
                   max(:today - late_since) AS days
            FROM case_item JOIN claim USING (asset_id)
            WHERE case_item.case_id = collection_case.case_id AND left_on IS NULL
            GROUP BY 1
        ) AS one
    ) AS owed ON true
    WHERE {MINE.format(table="collection_case")}
"""  # noqa: S608 - constants of ours

TASKS = f"""
    SELECT task_id, task.case_id, {OBLIGOR}, task.stage, task.template, team, second_to,
           nullif(occasion, '') AS promise_id, letter.letter_id, task.made_on, due_on,
           task.state IN ('open', 'started') AND due_on < :today AS overdue, task.state, assignee, outcome, task.reason,
           finished_on
    FROM collection_task AS task
    JOIN collection_case USING (case_id)
    JOIN company ON company.company_id = obligor_id
    LEFT JOIN dunning_letter AS letter USING (task_id)
    WHERE {MINE.format(table="task")} AND letter.withdrawn_on IS NULL
"""  # noqa: S608 - constants of ours

LETTERS = f"""
    SELECT letter_id, letter.case_id, {OBLIGOR}, template, language, subject, asset_ids, digest, made_on, sent_on,
           sent_channel, sent_reference, withdrawn_on
    FROM dunning_letter AS letter
    JOIN collection_case USING (case_id)
    JOIN company ON company.company_id = obligor_id
    WHERE {MINE.format(table="letter")}
"""  # noqa: S608 - constants of ours

CASE_STATES = {None: "true", "live": "closed_on IS NULL"} | {
    state: f"state = '{state}'" for state in ("active", "bad_debt", "closed")
}
TASK_STATES = {
    "waiting": "task.state IN ('open', 'started')",
    "overdue": "task.state IN ('open', 'started') AND due_on < :today",
} | {state: f"task.state = '{state}'" for state in ("open", "started", "done", "skipped")}
LETTER_STATES = {
    "waiting": "sent_on IS NULL AND withdrawn_on IS NULL",
    "sent": "sent_on IS NOT NULL",
    "withdrawn": "withdrawn_on IS NOT NULL",
}


def cases(
    session: Session, *, originator_id: str | None, wanted: Mapping[str, Any], after: str | None, today: date
) -> Shown:
    """Cases by id."""
    query = f"""{CASES} AND {CASE_STATES[wanted.get("state")]}
        AND (cast(:stage AS text) IS NULL OR stage = :stage) AND case_id > :after ORDER BY case_id LIMIT :limit"""
    parameters = {"stage": wanted.get("stage"), "after": after or "", "limit": wanted["limit"]}
    return _read(session, query, originator=originator_id, today=today, **parameters)


def case(session: Session, *, originator_id: str | None, case_id: str, today: date) -> dict[str, Any] | None:
    """One case with all that belongs to it."""
    found = _read(session, f"{CASES} AND case_id = :id", originator=originator_id, today=today, id=case_id)
    if not found:
        return None
    of = {"id": case_id}
    referred = _read(session, REFERRALS, **of)
    for one in referred:
        one["collected"] = [_with_fee(row, one["fee_bps"]) for row in one["collected"]]
    return found[0] | {
        "items": _read(session, ITEMS, today=today, **of),
        "stages": _read(session, STAGES, **of),
        "tasks": _read(
            session,
            f"{TASKS} AND task.case_id = :id ORDER BY task.made_on, task_id",
            originator=None,
            today=today,
            **of,
        ),
        "contacts": _read(session, CONTACTS, **of),
        "promises": _read(session, PROMISES, **of),
        "plans": _read(session, PLANS, **of),
        "referrals": referred,
    }


def tasks(
    session: Session,
    *,
    originator_id: str | None,
    wanted: Mapping[str, Any],
    after: tuple[str | int, ...] | None,
    today: date,
) -> Shown:
    """The work list: tasks by the day on which they are due."""
    due_on, task_id = after or ("1970-01-01", "")
    query = f"""{TASKS} AND {TASK_STATES[wanted["state"]]}
        AND (cast(:team AS text) IS NULL OR team = :team)
        AND (cast(:assignee AS text) IS NULL OR assignee = :assignee)
        AND (cast(:case_id AS text) IS NULL OR task.case_id = :case_id)
        AND (due_on, task_id) > (cast(:due_on AS date), :task_id) ORDER BY due_on, task_id LIMIT :limit"""
    names = {name: wanted.get(name) for name in ("team", "assignee", "case_id", "limit")}
    place = {"due_on": due_on, "task_id": task_id}
    return _read(session, query, originator=originator_id, today=today, **names, **place)


def task(session: Session, *, task_id: str, today: date) -> dict[str, Any]:
    """One task."""
    return _read(session, f"{TASKS} AND task_id = :id", originator=None, today=today, id=task_id)[0]


def letters(session: Session, *, originator_id: str | None, state: str, after: str | None, limit: int) -> Shown:
    """Letters by id."""
    query = f"{LETTERS} AND {LETTER_STATES[state]} AND letter_id > :after ORDER BY letter_id LIMIT :limit"
    return _read(session, query, originator=originator_id, after=after or "", limit=limit)


def letter(session: Session, *, originator_id: str | None, letter_id: str) -> dict[str, Any] | None:
    """One letter with its text."""
    query = f"{LETTERS} AND letter_id = :id".replace("subject,", "subject, text, html,", 1)
    found = _read(session, query, originator=originator_id, id=letter_id)
    return found[0] if found else None


def promise(session: Session, *, promise_id: str) -> dict[str, Any]:
    """One promise."""
    return _read(session, PROMISES.replace("case_id = :id", "promise.promise_id = :id"), id=promise_id)[0]


def plan(session: Session, *, plan_id: str) -> dict[str, Any]:
    """One plan."""
    return _read(session, PLANS.replace("case_id = :id", "plan_id = :id"), id=plan_id)[0]


def asset_cases(session: Session, *, funder_id: str, after: str | None, limit: int, today: date) -> Shown:
    """The assets of a funder that are or were collected, each by itself: nobody else's lateness is in it."""
    policies: dict[tuple[str, int], Policy] = {}
    parameters = {"funder": funder_id, "after": after or "", "limit": limit}
    shown = []
    for row in _read(session, HELD, **parameters):
        place = (row.pop("originator_id"), row.pop("policy_version"))
        if place not in policies:
            policies[place] = queries.policy(session, originator_id=place[0], version=place[1])[1]
        strategy = strategy_of(policies[place], row.pop("strategy"))
        day, since = min(today, row["left_on"] or today), row.pop("late_since")
        item = Item(partial(_days, since), row["added_on"], row["defaulted_on"], row["charged_off_on"])
        days = rules.days_past_due([item], day)
        shown.append(row | {"days_past_due": days, "stage": rules.stage_on(strategy, [item], day).code})
    return shown


ITEMS = """
    SELECT item.asset_id, invoice_number, item.currency, claim.outstanding_minor, claim.disputed,
           greatest(least(:today, left_on) - late_since, 0) AS days_past_due, added_on, defaulted_on, charged_off_on,
           left_on, left_because
    FROM case_item AS item
    JOIN claim USING (asset_id)
    JOIN receivable ON receivable.asset_id = claim.root_id
    WHERE item.case_id = :id ORDER BY late_since, item.asset_id
"""
STAGES = (
    "SELECT stage, reached_on, days_past_due FROM case_stage WHERE case_id = :id ORDER BY reached_on, days_past_due"
)
CONTACTS = """
    SELECT number, channel, reached, person, said, contacted_on, entered_by FROM collection_contact
    WHERE case_id = :id ORDER BY number
"""
PROMISES = """
    SELECT promise.promise_id, named.asset_ids, currency, amount_minor, paid_minor, made_on, due_on, promised_by, state,
           judged_on
    FROM payment_promise AS promise
    CROSS JOIN LATERAL (
        SELECT array_agg(asset_id ORDER BY asset_id) AS asset_ids FROM promised_asset
        WHERE promised_asset.promise_id = promise.promise_id
    ) AS named
    WHERE case_id = :id ORDER BY promise.promise_id
"""
PLANS = """
    SELECT plan_id, asset_id, instalments, state, reschedule_id, reason, proposed_on FROM payment_plan
    WHERE case_id = :id ORDER BY plan_id
"""
REFERRALS = """
    SELECT referral_id, kind, "to", reference, fee_bps, began_on, ended_on, end_reason,
           coalesce(got.amounts, '[]') AS collected
    FROM case_referral AS referral
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(
                   jsonb_build_object('currency', currency, 'collected_minor', minor) ORDER BY currency
               ) AS amounts
        FROM (
            SELECT received.currency, sum(received.minor)::bigint AS minor
            FROM case_item AS item
            CROSS JOIN LATERAL (
                SELECT currency, value_date, applied_minor AS minor FROM receipt
                WHERE receipt.asset_id = item.asset_id AND reversed_on IS NULL
                  AND NOT EXISTS (SELECT FROM receipt_share WHERE receipt_share.receipt_id = receipt.receipt_id)
                UNION ALL
                SELECT currency, value_date, receipt_share.amount_minor
                FROM receipt_share JOIN receipt USING (receipt_id)
                WHERE receipt_share.asset_id = item.asset_id AND reversed_on IS NULL
            ) AS received
            WHERE item.case_id = referral.case_id AND value_date >= began_on
              AND (ended_on IS NULL OR value_date <= ended_on)
            GROUP BY 1
        ) AS one
    ) AS got ON true
    WHERE case_id = :id ORDER BY referral_id
"""
HELD = """
    SELECT item.asset_id, item.currency, claim.outstanding_minor, late_since, added_on, defaulted_on, charged_off_on,
           left_on, left_because, originator_id, policy_version, strategy, coalesce(given.promises, '[]') AS promises
    FROM case_item AS item
    JOIN collection_case USING (case_id)
    JOIN claim USING (asset_id)
    JOIN pool ON pool.pool_id = claim.pool_id
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object('due_on', due_on, 'state', promise.state, 'currency', promise.currency,
                   'amount_minor', CASE WHEN own THEN amount_minor END, 'paid_minor', CASE WHEN own THEN paid_minor END
               ) ORDER BY promise.promise_id) AS promises
        FROM payment_promise AS promise
        CROSS JOIN LATERAL (
            SELECT bool_and(other.funder_id IS NOT DISTINCT FROM :funder) AS own,
                   bool_or(promised_asset.asset_id = item.asset_id) AS here
            FROM promised_asset
            JOIN case_item AS other ON other.asset_id = promised_asset.asset_id AND other.case_id = promise.case_id
            WHERE promised_asset.promise_id = promise.promise_id
        ) AS named
        WHERE promise.case_id = item.case_id AND named.here
    ) AS given ON true
    WHERE item.funder_id = :funder AND pool.funder_id = :funder AND claim.state IN ('assigned', 'closed')
      AND item.asset_id > :after
      AND NOT EXISTS (SELECT FROM case_item AS later
                      WHERE later.asset_id = item.asset_id AND later.case_id > item.case_id)
    ORDER BY item.asset_id LIMIT :limit
"""


def _days(since: date, day: date) -> int:
    return (day - since).days


def _with_fee(row: Mapping[str, Any], fee_bps: int | None) -> dict[str, Any]:
    return {**row, "fee_minor": rules.fee_minor(row["collected_minor"], fee_bps or 0)}


def _read(session: Session, query: str, **parameters: object) -> Shown:
    rows: Sequence[Any] = session.execute(text(query), parameters).mappings().all()
    return [dict(row) for row in rows]
