"""A whole round in one transaction, for tests that let it meet something else."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.rounds import jobs
from exchange.services import Services

RUNNING = text("SELECT round_id FROM clearing_round WHERE state IN ('open', 'solved')")


def clear_round(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Ask for the round of a cut-off, solve it and apply it."""
    jobs.ask_round(services, session, payload)
    for round_id in session.execute(RUNNING).scalars().all():
        jobs.solve_round(services, session, {"round_id": round_id})
        jobs.apply_round(services, session, {"round_id": round_id})
