"""Begin a run, take it a piece further, and say something of a break."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.auth import Role
from exchange.db import copy_rows
from exchange.errors import NotFound
from exchange.ids import new_id
from exchange.parties.models import ApiClient
from exchange.reconciliation import rules
from exchange.reconciliation.checks import CHECKS, LAST_ID, LAST_NUMBER, Check
from exchange.reconciliation.models import BreakFact, ReconciliationBreak, ReconciliationRun
from exchange.reconciliation.rules import TEAM_OF, Found, Kind
from exchange.services import Services

AT_ONCE = 20_000
"""Keys in one transaction: a second or two, whatever there is in all."""
SCHEDULE = "schedule"
GO_ON_JOB = "reconciliation.go_on"
ONE_ASKS = text("SELECT pg_advisory_xact_lock(hashtext('reconciliation'))")

ONE_RUNS = text("SELECT pg_advisory_xact_lock(hashtext('reconciliation.run'))")

About = tuple[str, str, str]
"""What a break is about: kind, subject, holder."""


class Advance(NamedTuple):
    """How far a run is: its next check, keys looked at so far, whether it is finished, and whether any run is not."""

    run_id: str
    step: int
    checked: int
    finished: bool
    more: bool


class Decision(NamedTuple):
    """What a person says of a break: assign, explain or reopen; who, and why."""

    decision: str
    by: str
    reason: str
    team: str | None = None
    assigned_to: str | None = None


class _Noted(NamedTuple):
    """Something that happened to a break, with its numbers."""

    break_id: str
    fact: str
    numbers: Mapping[str, Any]


def begin(
    session: Session, *, services: Services, business_date: date, asked_by: str, now: datetime, wait: bool = False
) -> str:
    """Ask for a comparison; its id. While one runs, another is next if it may `wait` (`ReconciliationRunning`)."""
    session.execute(ONE_ASKS)
    running = _unfinished(session)
    if running and not wait:
        raise rules.ReconciliationRunning("Wait until it has finished.", run_id=running[0])
    count = session.execute(select(func.count()).select_from(ReconciliationRun)).scalar_one()
    run_id = new_id("rec", now=now, entropy=services.entropy, purpose=f"reconciliation {business_date} {count}")
    session.add(ReconciliationRun(run_id=run_id, business_date=business_date, asked_by=asked_by, asked_at=now))
    session.flush()
    jobs.enqueue(session, job=GO_ON_JOB, payload={})
    return run_id


def go_on(session: Session, *, services: Services, now: datetime) -> Advance | None:
    """Take the oldest unfinished run a piece further, after whoever is at it; None where there is none."""
    session.execute(ONE_RUNS)
    waiting = _unfinished(session)
    if not waiting:
        return None
    run = session.get_one(ReconciliationRun, waiting[0], populate_existing=True)
    room = AT_ONCE
    while run.step < len(CHECKS) and room > 0:
        room -= _compare(session, run, CHECKS[run.step], size=room, services=services, now=now)
    if run.step == len(CHECKS):
        _finish(session, run, now=now)
    session.flush()
    finished = run.finished_at is not None
    return Advance(run.run_id, run.step, run.checked, finished, more=not finished or len(waiting) > 1)


def decide(session: Session, *, break_id: str, decision: Decision, now: datetime) -> None:
    """Say something of a break (`NotFound`, `BreakResolved`, `NotExplained`, `UnknownAssignee`)."""
    one = session.get(ReconciliationBreak, break_id, with_for_update=True)
    if one is None:
        raise NotFound("There is no such break.")
    one.state = rules.state_after(decision.decision, state=one.state)
    told = {name: value for name in ("assigned_to", "team") if (value := getattr(decision, name)) is not None}
    if decision.assigned_to is not None:
        client = session.get(ApiClient, decision.assigned_to)
        if client is None or client.role != Role.OPERATOR:
            raise rules.unknown_assignee(decision.assigned_to)
    for name, value in told.items():
        setattr(one, name, value)
    session.flush()
    fact = _Noted(break_id, rules.FACTS[decision.decision], told)
    _note(session, [fact], by=decision.by, reason=decision.reason, now=now)


def _unfinished(session: Session) -> Sequence[str]:
    query = select(ReconciliationRun.run_id).where(ReconciliationRun.finished_at.is_(None))
    return session.scalars(query.order_by(ReconciliationRun.run_id)).all()


def _compare(
    session: Session, run: ReconciliationRun, check: Check, *, size: int, services: Services, now: datetime
) -> int:
    """Compare the next keys of a check, at most `size`, and note where it stands; how many there were, at least 1."""
    first, last = ("-1", LAST_NUMBER) if check.numbered else ("", LAST_ID)
    as_key = int if check.numbered else str
    upto, count = last, 0
    window: dict[str, Any] = {"today": run.business_date}
    if check.keys is not None:
        after = as_key(run.place or first)
        page = session.execute(check.keys, {"after": after, "size": size}).one()
        upto, count = (str(page.top), size) if page.size == size else (last, page.size)
        window = {"after": after, "upto": as_key(upto)}
    rows = session.execute(check.compare, window).all()
    found = check.found(rows)
    _keep(session, run, found, services=services, now=now)
    before = run.parts.get(check.kind.value, {"checked": 0, "found": 0})
    checked = count if check.keys is not None else len(rows)
    part = {"checked": before["checked"] + checked, "found": before["found"] + len(found)}
    if check.sums:
        part["sums"] = [dict(zip(Found._fields[1:], row, strict=True)) for row in rows]
    run.parts = run.parts | {check.kind.value: part}
    run.checked, run.found = run.checked + checked, run.found + len(found)
    run.step, run.place = (run.step + 1, "") if upto == last else (run.step, upto)
    return max(count, 1)


def _keep(
    session: Session, run: ReconciliationRun, found: Sequence[Found], *, services: Services, now: datetime
) -> None:
    """What differs is a break from its first day until it is gone: the same one ages."""
    if not found:
        return
    subjects = [one.subject for one in found]
    query = select(ReconciliationBreak).where(
        ReconciliationBreak.subject.in_(subjects), ReconciliationBreak.state != "resolved"
    )
    live = {_about(one): one for one in session.scalars(query.order_by(ReconciliationBreak.break_id).with_for_update())}
    rows, noted = [], []
    for one in found:
        numbers = {"expected": one.expected, "found": one.found}
        known = live.get(_about(one))
        if known is None:
            purpose = f"{run.run_id}/{one.kind}/{one.subject}/{one.holder}"
            break_id = new_id("brk", now=now, entropy=services.entropy, purpose=purpose)
            rows.append(_row(run, one, break_id))
            noted.append(_Noted(break_id, "found", numbers))
        elif _seen_again(run, known, one):
            noted.append(_Noted(known.break_id, "changed", numbers))
    session.flush()
    if rows:
        session.execute(insert(ReconciliationBreak), rows)
    run.opened += len(rows)
    _note(session, noted, by=run.run_id, reason=None, now=now)


def _row(run: ReconciliationRun, one: Found, break_id: str) -> dict[str, Any]:
    return one._asdict() | {
        "break_id": break_id,
        "first_seen": run.business_date,
        "last_seen": run.business_date,
        "run_id": run.run_id,
        "state": "open",
        "team": TEAM_OF[Kind(one.kind)].value,
    }


def _seen_again(run: ReconciliationRun, known: ReconciliationBreak, one: Found) -> bool:
    """Note that a break is still there; whether its numbers changed."""
    changed = (known.expected, known.found) != (one.expected, one.found)
    known.state = rules.state_when_seen((known.expected, known.found), (one.expected, one.found), state=known.state)
    known.expected, known.found, known.detail = one.expected, one.found, one.detail
    known.last_seen, known.run_id = max(known.last_seen, run.business_date), run.run_id
    return changed


def _finish(session: Session, run: ReconciliationRun, *, now: datetime) -> None:
    """Close the breaks that this run did not see any more, and sum up."""
    gone = text("""
        UPDATE reconciliation_break SET state = 'resolved', resolved_on = greatest(:today, last_seen)
        WHERE state <> 'resolved' AND run_id <> :run_id RETURNING break_id
    """)
    closed = session.execute(gone, {"today": run.business_date, "run_id": run.run_id}).scalars().all()
    _note(session, [_Noted(one, "gone", {}) for one in sorted(closed)], by=run.run_id, reason=None, now=now)
    run.closed = len(closed)
    run.digest = _digest(session, run)
    run.finished_at = now
    jobs.log.info(
        "reconciled", run_id=run.run_id, checked=run.checked, found=run.found, opened=run.opened, closed=run.closed
    )


def _digest(session: Session, run: ReconciliationRun) -> str:
    """The SHA-256 of what a run found, as JSON lines: the same state of things gives the same digest."""
    columns = [getattr(ReconciliationBreak, name) for name in Found._fields]
    query = select(*columns).where(ReconciliationBreak.run_id == run.run_id).order_by(*columns[:3])
    digest = hashlib.sha256(orjson.dumps([run.business_date, run.checked]))
    for row in session.execute(query.execution_options(yield_per=1000)):
        digest.update(orjson.dumps(list(row), option=orjson.OPT_SORT_KEYS))
    return digest.hexdigest()


def _note(session: Session, noted: Sequence[_Noted], *, by: str, reason: str | None, now: datetime) -> None:
    """Add what happened to breaks, which are locked or new, to what happened before."""
    query = select(BreakFact.break_id, func.max(BreakFact.number)).group_by(BreakFact.break_id)
    ids = [one.break_id for one in noted]
    last = {row[0]: row[1] for row in session.execute(query.where(BreakFact.break_id.in_(ids)))} if ids else {}
    rows = [
        (one.break_id, last.get(one.break_id, 0) + 1, one.fact, by, reason, orjson.dumps(one.numbers).decode(), now)
        for one in noted
    ]
    columns = ("break_id", "number", "fact", "by", "reason", "numbers", "recorded_at")
    copy_rows(session, BreakFact.__tablename__, columns, rows)


def _about(one: Found | ReconciliationBreak) -> About:
    return (one.kind, one.subject, one.holder)
