"""The calendar's rounds; solving, with nothing locked; applying; the next one."""

import time
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.clock import system_now
from exchange.pools.models import Round
from exchange.rounds import actions
from exchange.rounds.answers import Answer, solve
from exchange.rounds.market import inputs_of
from exchange.rounds.models import Clearing, RoundPart, RoundProgress
from exchange.rounds.rules import SOLVE_SECONDS
from exchange.services import Services

APPLY_JOB = "rounds.apply"
TELL_SECONDS = 1.0
"""How often progress is written, at most."""


def ask_round(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Enter the round of a cut-off of the calendar."""
    cut_off_at = datetime.fromisoformat(payload["fire_at"])
    now = services.clock.now(session)
    actions.ask(session, services=services, cut_off_at=cut_off_at, asked_by=None, now=now)


def begin(services: Services, session: Session, payload: dict[str, Any]) -> None:  # noqa: ARG001 - a handler's form
    """Begin the round that has waited longest."""
    actions.begin_next(session, services=services, now=services.clock.now(session))


def solve_round(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Solve what a round froze. This transaction holds its own row of work, and nothing of the business."""
    round_id = payload["round_id"]
    keys = {"round_id": round_id}
    if session.execute(select(Round.state).where(Round.round_id == round_id)).scalar_one() != "open":
        return
    waiting = select(Clearing.currency, Clearing.inputs).filter_by(**keys).order_by(Clearing.currency)
    for currency, data in session.execute(waiting).all():
        watch = _Watch(services, round_id, currency)
        secret = services.keyring.fingerprint_key
        inputs = inputs_of(data)
        solved = solve(inputs, secret=secret, progress=watch.progress)
        values = solved._asdict() | {"eligible_count": solved.eligible, "solved_at": services.clock.now(session)}
        del values["eligible"]
        session.execute(update(Clearing).filter_by(**keys, currency=currency).values(**values))
        if solved.certificate is not None:
            parts = Answer.of(inputs, solved.certificate).parts()
            rows = [one._asdict() | keys | {"currency": currency} for one in parts]
            session.execute(insert(RoundPart).on_conflict_do_nothing(), rows)
    done = update(Round).where(Round.round_id == round_id, Round.state == "open").values(state="solved")
    session.execute(done)
    jobs.enqueue(session, job=APPLY_JOB, payload=keys)


def apply_round(services: Services, session: Session, payload: dict[str, Any]) -> None:
    """Reserve what the answers give."""
    now = services.clock.now(session)
    actions.apply(session, services=services, round_id=payload["round_id"], now=now)


class _Watch:
    """Tells, in transactions of its own, how far a solver is, and ends one that has run away."""

    def __init__(self, services: Services, round_id: str, currency: str) -> None:
        self._services, self._key = services, {"round_id": round_id, "currency": currency}
        self._began = self._told = time.monotonic()

    def progress(self, step: str, done: int, of: int) -> None:
        """Note the step, if the last note is old enough. Raises TimeoutError after `SOLVE_SECONDS`."""
        if time.monotonic() - self._began > SOLVE_SECONDS:
            raise TimeoutError(f"a solver ran for more than {SOLVE_SECONDS:.0f} s, at {step}")
        if time.monotonic() - self._told < TELL_SECONDS:
            return
        self._told = time.monotonic()
        values = {"step": step, "done": done, "of": of, "told_at": system_now()}
        row = insert(RoundProgress).values(**self._key, **values)
        with self._services.database.transaction() as session:
            session.execute(row.on_conflict_do_update(index_elements=list(self._key), set_=values))
