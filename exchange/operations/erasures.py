"""Erasing a person: asked for by one client, decided by another, refused while a law or a living asset stands."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import insert, select, text, update
from sqlalchemy.orm import Session

from exchange.errors import NotFound
from exchange.ids import new_id
from exchange.losses.rules import SecondPersonNeeded
from exchange.operations import rules
from exchange.parties.models import Controller, Erasure
from exchange.parties.privacy import NotKept
from exchange.services import Services

STANDING = text("""
    WITH of_person AS (
        SELECT company_id FROM company WHERE controller_id = :id
        UNION SELECT company_id FROM company_fact WHERE controller_id = :id AND company_id IS NOT NULL
    ), dealt AS (
        SELECT asset_id, due_date FROM of_person JOIN receivable ON seller_id = company_id
        UNION SELECT asset_id, due_date FROM of_person JOIN receivable ON obligor_id = company_id
    )
    SELECT max(greatest(due_date, (
               SELECT (max(recorded_at) AT TIME ZONE :zone)::date FROM asset_event WHERE asset_id = dealt.asset_id)))
               AS last_date,
           coalesce(bool_or(CASE
               WHEN EXISTS (SELECT FROM claim WHERE asset_id = dealt.asset_id)
               THEN EXISTS (SELECT FROM claim WHERE asset_id = dealt.asset_id AND outstanding_minor > 0)
                 OR EXISTS (SELECT FROM claim
                            WHERE root_id = dealt.asset_id AND parent_id IS NOT NULL AND outstanding_minor > 0)
               ELSE due_date >= :today END), false) AS alive
    FROM dealt
""")
"""What a person's companies sold or owe: the last day anything was due or recorded, and whether anything lives."""


@dataclass(frozen=True, slots=True)
class Decider:
    """Who asks or decides, and when."""

    client_id: str
    today: date
    now: datetime


def ask(session: Session, *, services: Services, controller_id: str, reason: str, by: Decider) -> dict[str, Any]:
    """Ask that a person be erased. Refuses `NotFound`, `NotKept`, `LiveAsset`, `RetentionDuty`, `ErasureAwaited`."""
    _check(session, services=services, controller_id=controller_id, today=by.today)
    before = session.scalars(select(Erasure.decision).where(Erasure.controller_id == controller_id)).all()
    if None in before:
        raise rules.ErasureAwaited("Decide the one before.")
    erasure_id = new_id("ers", now=by.now, entropy=services.entropy, purpose=f"{controller_id}/{len(before)}")
    values = {"erasure_id": erasure_id, "controller_id": controller_id, "reason": reason}
    session.execute(insert(Erasure).values(**values, asked_by=by.client_id, asked_at=by.now))
    return _shown(session, erasure_id)


def decide(session: Session, *, services: Services, erasure_id: str, decision: str, by: Decider) -> dict[str, Any]:
    """Erase a person for good, or leave it; `approved` is judged anew.

    Refuses `NotFound`, `ErasureDecided`, `SecondPersonNeeded`, and what `ask` refuses.
    """
    row = session.get(Erasure, erasure_id, with_for_update=True)
    if row is None:
        raise NotFound("There is no such request.")
    if row.decision is not None:
        raise rules.ErasureDecided(f"It was {row.decision}.")
    if row.asked_by == by.client_id:
        raise SecondPersonNeeded("Another client decides than the one that asked.")
    if decision == "approved":
        _check(session, services=services, controller_id=row.controller_id, today=by.today)
    values = {"decision": decision, "decided_by": by.client_id, "decided_at": by.now}
    session.execute(update(Erasure).where(Erasure.erasure_id == erasure_id).values(values))
    if decision == "approved":
        session.execute(text("SELECT person_erase(:id, :now)"), {"id": row.controller_id, "now": by.now})
    return _shown(session, erasure_id)


def _check(session: Session, *, services: Services, controller_id: str, today: date) -> None:
    person = session.get(Controller, controller_id, with_for_update=True, populate_existing=True)
    if person is None:
        raise NotFound("There is no such controller.")
    if person.erased_at is not None:
        raise NotKept("This person was erased.")
    parameters = {"id": controller_id, "zone": services.settings.time_zone, "today": today}
    row = session.execute(STANDING, parameters).one()
    rules.check_erasable(row.last_date, alive=row.alive, years=services.settings.retention_years, today=today)


def _shown(session: Session, erasure_id: str) -> dict[str, Any]:
    columns = Erasure.__table__.columns
    return dict(session.execute(select(*columns).where(Erasure.erasure_id == erasure_id)).mappings().one())
