"""Match the lines of a statement, a batch in each transaction; undo what a line takes back, each in its own."""

from typing import Any

from sqlalchemy.orm import Session

from exchange import jobs
from exchange.services import Services
from exchange.settlement import buy_backs, chains, debts, lines


def match_lines(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Match and book the next lines of a statement; more of them are work of their own."""
    now = services.clock.now(session)
    today = services.business_date(now)
    if lines.match_lines(session, services=services, statement_id=payload["statement_id"], today=today, now=now):
        jobs.enqueue(session, job="settlement.match_lines", payload=payload)


def take_back(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Undo what a line certainly takes back."""
    now = services.clock.now(session)
    today = services.business_date(now)
    lines.take_back(session, line_id=payload["line_id"], today=today, now=now)


def collect_debts(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Take what companies owe from the money they have come to."""
    now = services.clock.now(session)
    today = services.business_date(now)
    debts.collect(session, company_ids=payload["company_ids"], today=today, now=now)


def call_transferors(services: Services, session: Session, payload: dict[str, Any]) -> None:  # noqa: ARG001 - as all
    """Tell those whose turn has come in a chain of recourse, a batch at a time."""
    now = services.clock.now(session)
    if chains.call(session, today=services.business_date(now), now=now):
        jobs.enqueue(session, job=buy_backs.CALL_JOB, payload={})


def answer_calls(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Let companies that were called take claims back with the money they have here."""
    now = services.clock.now(session)
    chains.answer(session, company_ids=payload["company_ids"], today=services.business_date(now), now=now)
