"""What sandboxes there are, and what is to be done in them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.errors import NotFound
from exchange.sandbox.models import Sandbox, SandboxDay, SandboxScenario
from exchange.sandbox.places import issuer_of
from exchange.settings import Settings

ENDED = "ended"
MOST_DUE = 20


def sandbox(session: Session, *, sandbox_id: str, caller: Caller, lock: bool = False) -> Sandbox:
    """A sandbox of the caller's, any for an operator; one that ended is none (`NotFound`)."""
    query = select(Sandbox).where(Sandbox.sandbox_id == sandbox_id, Sandbox.state != ENDED, *_own(caller))
    found = session.scalars(query.with_for_update() if lock else query).first()
    if found is None:
        raise NotFound("There is no such sandbox.")
    return found


def sandboxes(session: Session, *, caller: Caller, after: str | None, limit: int) -> list[Sandbox]:
    """The caller's sandboxes, all for an operator, by id."""
    query = select(Sandbox).where(Sandbox.state != ENDED, *_own(caller)).order_by(Sandbox.sandbox_id).limit(limit)
    return list(session.scalars(query if after is None else query.where(Sandbox.sandbox_id > after)))


def count_of(session: Session, *, funder_id: str) -> int:
    """How many sandboxes a funder has."""
    query = select(func.count()).where(Sandbox.funder_id == funder_id, Sandbox.state != ENDED)
    return session.execute(query).scalar_one()


def due(session: Session, *, now: datetime) -> Sequence[str]:
    """The sandboxes in which something is to be done at the machine time `now`, the longest waiting first."""
    query = select(Sandbox.sandbox_id).where(Sandbox.due_at <= now, Sandbox.state != ENDED)
    return session.scalars(query.order_by(Sandbox.due_at).limit(MOST_DUE)).all()


def waiting_scenario(session: Session, *, sandbox_id: str) -> SandboxScenario | None:
    """The next scenario that is to begin."""
    waiting = (SandboxScenario.sandbox_id == sandbox_id, SandboxScenario.begun_on.is_(None))
    return session.scalars(select(SandboxScenario).where(*waiting).order_by(SandboxScenario.number).limit(1)).first()


def begun(session: Session, *, sandbox_id: str) -> list[SandboxScenario]:
    """The scenarios that have begun, in order."""
    known = (SandboxScenario.sandbox_id == sandbox_id, SandboxScenario.begun_on.is_not(None))
    return list(session.scalars(select(SandboxScenario).where(*known).order_by(SandboxScenario.number)))


def scenarios(session: Session, *, sandbox_id: str, after: int, limit: int) -> list[dict[str, Any]]:
    """A sandbox's scenarios, in order."""
    query = select(SandboxScenario).where(SandboxScenario.sandbox_id == sandbox_id, SandboxScenario.number > after)
    return [shown_scenario(one) for one in session.scalars(query.order_by(SandboxScenario.number).limit(limit))]


def days(session: Session, *, sandbox_id: str, after: date | None, limit: int) -> list[dict[str, Any]]:
    """What each day brought, in order."""
    query = select(SandboxDay).where(SandboxDay.sandbox_id == sandbox_id).order_by(SandboxDay.day).limit(limit)
    found = session.scalars(query if after is None else query.where(SandboxDay.day > after))
    names = ("events", "deeds", "refused")
    return [{"day": one.day.isoformat()} | {name: getattr(one, name) for name in names} for one in found]


def shown(row: Sandbox, *, settings: Settings) -> dict[str, Any]:
    """A sandbox as it is told of."""
    played: Mapping[str, str] = row.played or {}
    names = ("sandbox_id", "name", "seed", "state", "client_id", "until", "stopped_by", "trouble", "created_at")
    return {name: getattr(row, name) for name in names} | {
        "start_date": row.start_on,
        "now": row.moment,
        "issuer": issuer_of(settings, row.sandbox_id),
        "funder_id": played.get("funder"),
        "deposit_reference": played.get("reference"),
    }


def shown_scenario(row: SandboxScenario) -> dict[str, Any]:
    """A scenario as it is told of."""
    state = "waiting" if row.begun_on is None else "begun"
    names = ("number", "kind", "parameters", "begun_on")
    return {name: getattr(row, name) for name in names} | {"state": state, "assets": row.assets or []}


def _own(caller: Caller) -> list[Any]:
    return [] if caller.role is Role.OPERATOR else [Sandbox.funder_id == str(caller.party_id)]
