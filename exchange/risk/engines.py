"""Models as rows: which one scores, which are candidates, and what became of each."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from exchange.errors import NotFound, Refusal
from exchange.risk.models import ModelEvent, ScoringModel
from scoring.engine import Engine
from scoring.errors import ScoringError

IN_FORCE = ("promoted", "restored")
FORCE = select(ModelEvent.version).where(ModelEvent.event.in_(IN_FORCE)).order_by(ModelEvent.number.desc()).limit(1)
MOST_KEPT = 6
"""So many models are held in memory: the one in force, candidates, those whose decisions are made again."""
_engines: dict[str, Engine] = {}
CANDIDATES = text("""
    SELECT version FROM (
        SELECT DISTINCT ON (version) version, event, number FROM model_event ORDER BY version, number DESC
    ) AS newest
    WHERE event = 'candidate' ORDER BY number
""")


class ModelUnusable(Refusal):
    """A model that is kept cannot be read by this release; `reason` is the code by which it was refused.

    Nothing is decided by anything else in its place: what waits for a decision waits until one is trained.
    """

    code = "model_unusable"
    title = "This model cannot be used"
    definitive = False


def in_force(session: Session) -> Engine:
    """What scores now: what was put in force last, before that the labelled prior (`ModelUnusable`)."""
    version = session.execute(FORCE).scalar_one_or_none()
    return Engine() if version is None else read(session, version=version)


def read(session: Session, *, version: str) -> Engine:
    """The model of that version, read once a process (`NotFound`, `ModelUnusable`)."""
    known = _engines.get(version)
    if known is None:
        body = session.execute(select(ScoringModel.body).where(ScoringModel.version == version)).scalar_one_or_none()
        if body is None and version != Engine().version:
            raise NotFound(f"There is no model {version}.")
        try:
            known = Engine() if body is None else Engine.from_json(body)
        except ScoringError as refusal:
            detail = f"{version} cannot be read ({refusal.code}): {refusal}."
            raise ModelUnusable(detail, version=version, reason=refusal.code) from refusal
        _engines[version] = known
        while len(_engines) > MOST_KEPT:
            del _engines[next(iter(_engines))]
    return known


def candidates(session: Session) -> list[str]:
    """The versions that score in shadow, oldest first."""
    return list(session.execute(CANDIDATES).scalars())


def keep(session: Session, *, engine: Engine, now: datetime) -> None:
    """Keep a model's file; the same one may be kept again."""
    values = {"version": engine.version, "body": engine.to_json(), "card": engine.card, "trained_at": now}
    session.execute(upsert(ScoringModel).values(**values).on_conflict_do_nothing())


def note(
    session: Session,
    *,
    version: str,
    event: str,
    by: str,
    reason: str,
    today: date,
    now: datetime,
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """Note what became of a model that is kept."""
    values = {"version": version, "event": event, "by": by, "reason": reason, "evidence": dict(evidence or {})}
    session.execute(insert(ModelEvent).values(**values, business_date=today, recorded_at=now))
