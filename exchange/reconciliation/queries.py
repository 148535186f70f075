"""Runs and breaks, for operators, auditors and metrics."""

from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from exchange.reconciliation.checks import CHECKS
from exchange.reconciliation.models import BreakFact, ReconciliationBreak, ReconciliationRun


def runs(session: Session, *, after: str, limit: int) -> list[dict[str, Any]]:
    """Runs in the order in which they were asked for."""
    query = select(ReconciliationRun).where(ReconciliationRun.run_id > after)
    return [_run(one) for one in session.scalars(query.order_by(ReconciliationRun.run_id).limit(limit))]


def run(session: Session, *, run_id: str) -> dict[str, Any] | None:
    """One run."""
    one = session.get(ReconciliationRun, run_id)
    return None if one is None else _run(one)


def last_run(session: Session) -> dict[str, Any] | None:
    """The run that was asked for last."""
    one = session.scalars(select(ReconciliationRun).order_by(ReconciliationRun.run_id.desc()).limit(1)).first()
    return None if one is None else _run(one)


def breaks(session: Session, *, asked: dict[str, str], after: str, limit: int, today: date) -> list[dict[str, Any]]:
    """Breaks in the order in which they were found; `asked` gives values of columns that they have to have."""
    query = select(ReconciliationBreak).where(ReconciliationBreak.break_id > after)
    for name, value in asked.items():
        query = query.where(getattr(ReconciliationBreak, name) == value)
    rows = session.scalars(query.order_by(ReconciliationBreak.break_id).limit(limit))
    return [_break(one, today) for one in rows]


def break_in_full(session: Session, *, break_id: str, today: date) -> dict[str, Any] | None:
    """One break with what happened to it."""
    one = session.get(ReconciliationBreak, break_id)
    if one is None:
        return None
    query = select(BreakFact).where(BreakFact.break_id == break_id).order_by(BreakFact.number)
    names = ("number", "fact", "by", "reason", "numbers", "recorded_at")
    facts = [{name: getattr(fact, name) for name in names} for fact in session.scalars(query)]
    return _break(one, today) | {"facts": facts}


def unresolved(session: Session) -> list[tuple[str, str, int, date]]:
    """By kind and state: how many breaks are not resolved, and since when the oldest of them is."""
    columns = (ReconciliationBreak.kind, ReconciliationBreak.state)
    query = select(*columns, func.count(), func.min(ReconciliationBreak.first_seen))
    live = query.where(ReconciliationBreak.state != "resolved")
    rows = session.execute(live.group_by(*columns).order_by(*columns))
    return [(kind, state, count, since) for kind, state, count, since in rows]


def last_finished(session: Session) -> date | None:
    """The latest business date that was reconciled."""
    query = select(func.max(ReconciliationRun.business_date)).where(ReconciliationRun.finished_at.is_not(None))
    return session.execute(query).scalar_one_or_none()


def _run(one: ReconciliationRun) -> dict[str, Any]:
    names = "run_id business_date asked_by asked_at step checked found opened closed parts finished_at digest"
    return {name: getattr(one, name) for name in names.split()} | {"steps": len(CHECKS)}


def _break(one: ReconciliationBreak, today: date) -> dict[str, Any]:
    names = "break_id kind subject holder unit expected found detail first_seen last_seen state team assigned_to"
    until = one.resolved_on or max(today, one.last_seen)
    ages = {"difference": one.found - one.expected, "age_days": (until - one.first_seen).days}
    return {name: getattr(one, name) for name in names.split()} | ages | {"resolved_on": one.resolved_on}
