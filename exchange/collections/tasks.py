"""What people do with tasks and letters: step by step, each kept."""

from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, text, update
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.collections import queries, rules
from exchange.collections.models import Letter, Task, TaskStep
from exchange.collections.queries import Live
from exchange.db import copy_rows
from exchange.errors import NotFound

STEP = ("task_id", "number", "step", "detail", "taken_by", "recorded_at")


class Step(NamedTuple):
    """What is done with a task: assigned (to whom), started, done (with which outcome), skipped (why)."""

    step: str
    assignee: str | None = None
    outcome: str | None = None
    reason: str | None = None


def originator_of(caller: Caller) -> str | None:
    """The originator a caller is kept to; None for an operator."""
    return None if caller.role is Role.OPERATOR else caller.party_id


def locked_case(session: Session, *, caller: Caller, case_id: str) -> Live:
    """The caller's live case, under its lock. Refuses `NotFound` and `CaseClosed`."""
    found = queries.lock_live(session, case_ids=[case_id])
    if found and originator_of(caller) in {None, found[0].originator_id}:
        return found[0]
    known = text("""
        SELECT FROM collection_case
        WHERE case_id = :id AND (cast(:originator AS text) IS NULL OR originator_id = :originator)
    """)
    if session.execute(known, {"id": case_id, "originator": originator_of(caller)}).first() is None:
        raise NotFound("There is no such case.")
    raise rules.CaseClosed("What happens now belongs into the next case.")


def take_step(session: Session, *, caller: Caller, task_id: str, step: Step, today: date, now: datetime) -> None:
    """Take a task one step on. Refuses `NotFound`, `CaseClosed` and what `rules.refuse_step` refuses."""
    task = _locked(session, caller=caller, task_id=task_id)
    first = _first(session, task)
    rules.refuse_step(
        state=task.state,
        step=step.step,
        outcome=step.outcome,
        second=task.second_to is not None,
        first_state=first.state if first else None,
        first_by=first.finished_by if first else None,
        client_id=caller.client_id,
    )
    values: dict[str, Any] = {"assignee": step.assignee} if step.step == "assigned" else {"state": step.step}
    if step.step in rules.FINISHED:
        values |= {"finished_on": today, "finished_by": caller.client_id}
        values |= {"outcome": step.outcome} if step.step == "done" else {"reason": step.reason}
    if step.step == "done" and first is not None:
        values["first_by"] = first.finished_by
    session.execute(update(Task).where(Task.task_id == task_id).values(values))
    keep_step(session, task_id, step, client_id=caller.client_id, now=now)


def send_letter(
    session: Session,
    *,
    caller: Caller,
    letter_id: str,
    channel: str,
    reference: str,
    sent_on: date,
    today: date,
    now: datetime,
) -> None:
    """Note that a letter was sent, and with it that its task is done. Refuses `NotFound` and `LetterGone`."""
    query = text("""
        SELECT case_id, task_id FROM dunning_letter
        WHERE letter_id = :id AND (cast(:originator AS text) IS NULL OR originator_id = :originator)
    """)
    row = session.execute(query, {"id": letter_id, "originator": originator_of(caller)}).first()
    if row is None:
        raise NotFound("There is no such letter.")
    _lock_case(session, row.case_id)
    waiting = text("""
        SELECT task.state FROM dunning_letter AS letter JOIN collection_task AS task USING (task_id)
        WHERE letter_id = :id AND sent_on IS NULL AND withdrawn_on IS NULL
    """)
    state = session.execute(waiting, {"id": letter_id}).scalar_one_or_none()
    if state is None:
        raise rules.LetterGone("A letter is sent once, and not after it was withdrawn.")
    sent = {"sent_on": sent_on, "sent_channel": channel, "sent_reference": reference, "sent_by": caller.client_id}
    session.execute(update(Letter).where(Letter.letter_id == letter_id).values(sent))
    if state not in rules.FINISHED:
        done = {"state": "done", "outcome": "done", "finished_on": today, "finished_by": caller.client_id}
        session.execute(update(Task).where(Task.task_id == row.task_id).values(done))
        step = Step("done", outcome="letter_sent")
        keep_step(session, row.task_id, step, client_id=caller.client_id, now=now)


def keep_step(session: Session, task_id: str, step: Step, *, client_id: str, now: datetime) -> None:
    """Keep one step of a task whose case is locked."""
    count = text("SELECT count(*) + 1 FROM collection_task_step WHERE task_id = :id")
    number = session.execute(count, {"id": task_id}).scalar_one()
    detail = step.assignee or step.outcome or step.reason
    copy_rows(session, TaskStep.__tablename__, STEP, [(task_id, number, step.step, detail, client_id, now)])


def _locked(session: Session, *, caller: Caller, task_id: str) -> Row[Any]:
    """A task of the caller's. Its case is the lock, closed or not: what is left to do after it may still be noted."""
    query = text("""
        SELECT task_id, case_id, stage, occasion, second_to, state FROM collection_task
        WHERE task_id = :id AND (cast(:originator AS text) IS NULL OR originator_id = :originator)
    """)
    parameters = {"id": task_id, "originator": originator_of(caller)}
    row = session.execute(query, parameters).first()
    if row is None:
        raise NotFound("There is no such task.")
    _lock_case(session, row.case_id)
    return session.execute(query, parameters).one()


def _lock_case(session: Session, case_id: str) -> None:
    session.execute(text("SELECT FROM collection_case WHERE case_id = :id FOR UPDATE"), {"id": case_id})


def _first(session: Session, task: Row[Any]) -> Row[Any] | None:
    """The task that this one is second to."""
    if task.second_to is None:
        return None
    query = text("""
        SELECT state, finished_by FROM collection_task
        WHERE case_id = :case_id AND stage = :stage AND occasion = :occasion AND template = :second_to
    """)
    return session.execute(query, dict(task._mapping)).first()  # noqa: SLF001 - the documented way to a row's names
