"""Tasks as they are made, and the letters that go with them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.collections import letters, queries, rules
from exchange.collections.letters import Broken
from exchange.collections.letters import Letter as Paper
from exchange.collections.models import Letter, Task
from exchange.collections.policies import BROKEN_PROMISE, Policy, TaskTemplate
from exchange.collections.queries import Live
from exchange.db import copy_rows
from exchange.ids import new_id
from exchange.services import Services

TASK = (
    "task_id",
    "case_id",
    "originator_id",
    "stage",
    "template",
    "occasion",
    "team",
    "second_to",
    "made_on",
    "due_on",
    "state",
    "reason",
    "finished_on",
)
LETTER = (
    "letter_id",
    "case_id",
    "originator_id",
    "task_id",
    "template",
    "language",
    "asset_ids",
    "subject",
    "text",
    "html",
    "digest",
    "made_on",
)
NOTHING = "nothing_to_dun"
"""Why a letter is not written: all is paid, disputed, or promised for a day to come."""


Lines = dict[tuple[str, date], list[letters.Line]]


class Wanted(NamedTuple):
    """A task that a case needs from a day on; `occasion` is the promise whose breach asks for it."""

    case: Live
    policy: Policy
    stage: str
    task: TaskTemplate
    on: date
    occasion: str = ""
    promise: Broken | None = None


class _Due(NamedTuple):
    """A letter to be written for a task."""

    case: Live
    policy: Policy
    task_id: str
    template: str
    on: date
    promise: Broken | None
    edition: int = 1


def make_tasks(session: Session, *, services: Services, wanted: Sequence[Wanted], now: datetime) -> None:
    """Make tasks and write their letters; where there is nothing to write, the task is skipped."""
    made = _made(session, wanted)
    new = [
        (one, _task_id(one, services, now=now))
        for one in wanted
        if (one.case.case_id, one.stage, one.task.template, one.occasion) not in made
    ]
    due = [
        _Due(one.case, one.policy, task_id, one.task.letter, one.on, one.promise)
        for one, task_id in new
        if one.task.letter is not None
    ]
    lines = _lines(session, due, time_zone=services.settings.time_zone)
    copy_rows(session, Task.__tablename__, TASK, [_row(one, task_id, lines) for one, task_id in new])
    _write(session, due, lines, services=services, now=now)


def withdraw(session: Session, *, case_ids: Sequence[str], on: date) -> None:
    """Take back letters that wait to be sent and name an asset that is not to be dunned any more."""
    gone = text("""
        UPDATE dunning_letter AS letter SET withdrawn_on = :day
        WHERE case_id = ANY(:ids) AND sent_on IS NULL AND withdrawn_on IS NULL AND EXISTS (
            SELECT FROM jsonb_array_elements_text(letter.asset_ids) AS named(asset_id)
            LEFT JOIN case_item AS item ON item.case_id = letter.case_id AND item.asset_id = named.asset_id
            LEFT JOIN claim ON claim.asset_id = named.asset_id
            WHERE item.left_on IS NOT NULL OR claim.disputed OR claim.outstanding_minor = 0
        )
    """)
    session.execute(gone, {"ids": list(case_ids), "day": on})


def rewrite(session: Session, *, services: Services, cases: Sequence[Live], on: date, now: datetime) -> None:
    """Write anew what was withdrawn, as far as something is left to ask for and its task is not finished."""
    query = text("""
        SELECT task_id, task.case_id, letter.template, promise.due_on, promise.currency, promise.amount_minor,
               count(*) + 1 AS edition
        FROM collection_task AS task
        JOIN dunning_letter AS letter USING (task_id)
        LEFT JOIN payment_promise AS promise ON promise.promise_id = task.occasion
        WHERE task.case_id = ANY(:ids) AND task.state IN ('open', 'started')
        GROUP BY task_id, task.case_id, letter.template, promise.promise_id
        HAVING count(withdrawn_on) = count(*)
        ORDER BY task_id
    """)
    by_id = {case.case_id: case for case in cases}
    due = []
    for row in session.execute(query, {"ids": list(by_id)}):
        case = by_id[row.case_id]
        policy = queries.policy(session, originator_id=case.originator_id, version=case.policy_version)[1]
        promise = None if row.due_on is None else Broken(row.due_on, row.currency, row.amount_minor)
        due.append(_Due(case, policy, row.task_id, row.template, on, promise, row.edition))
    lines = _lines(session, due, time_zone=services.settings.time_zone)
    _write(session, due, lines, services=services, now=now)


def _made(session: Session, wanted: Sequence[Wanted]) -> set[tuple[str, str, str, str]]:
    """The tasks of broken promises that are there already: a promise can be broken again after a receipt was undone."""
    occasions = sorted({one.occasion for one in wanted} - {""})
    query = text("""
        SELECT case_id, stage, template, occasion FROM collection_task
        WHERE case_id = ANY(:ids) AND stage = :stage AND occasion = ANY(:occasions)
    """)
    if not occasions:
        return set()
    ids = sorted({one.case.case_id for one in wanted})
    parameters = {"ids": ids, "stage": BROKEN_PROMISE, "occasions": occasions}
    return {(row[0], row[1], row[2], row[3]) for row in session.execute(query, parameters)}


def _task_id(one: Wanted, services: Services, *, now: datetime) -> str:
    purpose = f"{one.case.case_id}/{one.stage}/{one.task.template}/{one.occasion}"
    return new_id("tsk", now=now, entropy=services.entropy, purpose=purpose)


def _row(one: Wanted, task_id: str, lines: Lines) -> tuple[object, ...]:
    empty = one.task.letter is not None and (one.case.case_id, one.on) not in lines
    return (
        task_id,
        one.case.case_id,
        one.case.originator_id,
        one.stage,
        one.task.template,
        one.occasion,
        one.task.team,
        one.task.second_to,
        one.on,
        rules.due_on(one.on, one.task, calendar=one.policy.calendar),
        *(("skipped", NOTHING, one.on) if empty else ("open", None, None)),
    )


def _lines(session: Session, due: Sequence[_Due], *, time_zone: str) -> Lines:
    """What each letter asks for, by case and day."""
    found: Lines = {}
    for on in sorted({one.on for one in due}):
        ids = sorted({one.case.case_id for one in due if one.on == on})
        for case_id, lines in queries.lines(session, case_ids=ids, day=on, time_zone=time_zone).items():
            found[case_id, on] = lines
    return found


def _write(session: Session, due: Sequence[_Due], lines: Lines, *, services: Services, now: datetime) -> None:
    """Write and keep the letters that have something to ask for."""
    due = [one for one in due if (one.case.case_id, one.on) in lines]
    if not due:
        return
    ids = sorted({one.case.case_id for one in due})
    addresses = queries.addresses(session, case_ids=ids)
    accounts = queries.accounts(session, case_ids=ids)
    rows = []
    for one in due:
        case_id, address = one.case.case_id, addresses[one.case.case_id]
        asked = tuple(lines[case_id, one.on])
        owed = letters.totals(asked)
        purpose = f"{one.task_id}/{one.edition}"
        paper = Paper(
            letter_id=new_id("ltr", now=now, entropy=services.entropy, purpose=purpose),
            template=one.template,
            language=address.language or one.policy.language,
            creditor=address.creditor,
            obligor=address.obligor,
            made_on=one.on,
            reply_by=one.on + timedelta(days=one.policy.reply_days),
            lines=asked,
            accounts=tuple(account for account in accounts.get(case_id, ()) if account.currency in owed),
            promise=one.promise,
        )
        names = orjson.dumps([line.asset_id for line in asked]).decode()
        place = (paper.letter_id, case_id, one.case.originator_id, one.task_id, one.template, paper.language, names)
        rows.append((*place, *letters.write(paper), one.on))
    copy_rows(session, Letter.__tablename__, LETTER, rows)
