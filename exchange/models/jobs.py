"""The loop by itself: learn losses, look for drift, judge candidates whose shadow is over, train when it is due."""

from typing import Any

from sqlalchemy.orm import Session

from exchange import jobs
from exchange.models import actions, queries, rules
from exchange.models.actions import THE_LOOP, By
from exchange.risk import engines, losses
from exchange.services import Services

MONDAY = 0


def train(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Train on everything known by now."""
    by = _by(services, session, payload)
    at_once = bool(payload.get("at_once", False))
    virtual = services.settings.virtual_clock
    actions.train(session, horizon_days=payload["horizon_days"], at_once=at_once, by=by, virtual=virtual)


def evaluate(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Compare a model with the one in force; one that waits for that by itself is then promoted or dropped."""
    by = _by(services, session, payload)
    found = actions.evaluate(session, version=payload["version"], by=by)
    if not payload.get("decide", False):
        return
    if found["verdict"] == "better":
        actions.promote(session, version=payload["version"], by=by)
    elif found["verdict"] != "too_thin":
        actions.drop(session, version=payload["version"], by=by._replace(reason=f"comparison: {found['verdict']}"))


def keep_up(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """What a day needs; on Mondays losses and drift as well. Slow pieces become work of their own."""
    by = _by(services, session, payload)
    terms = losses.policy(session).terms
    if by.today.weekday() == MONDAY:
        actions.learn_losses(session, today=by.today, now=by.now)
        actions.watch(session, by=by)
    if not terms.automatic:
        return
    for version in engines.candidates(session):
        if rules.shadow_is_over(queries.since(session, version=version), today=by.today, terms=terms):
            told = {"version": version, "decide": True, "reason": "shadow is over"}
            jobs.enqueue(session, job="models.evaluate", payload=told)
    labels, days = queries.new_labels(session, today=by.today, horizon_days=terms.horizon_days)
    if rules.training_is_due(terms=terms, labels=labels, days=days):
        told = {"horizon_days": terms.horizon_days, "reason": f"{labels} new outcomes"}
        jobs.enqueue(session, job="models.train", payload=told)


def _by(services: Services, session: Session, payload: dict[str, Any]) -> By:
    now = services.clock.now(session)
    who, reason = payload.get("by", THE_LOOP), payload.get("reason", "scheduled")
    return By(who, reason, services.business_date(now), now)
