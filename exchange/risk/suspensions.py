"""Limits in abeyance: while an obligor's are suspended, nothing new of it is reserved or bought, in any currency.

Each suspension has its cause, and says who lifts it. An obligor's limits are suspended while one of them stands.
Whoever suspends holds the rows of its limits, as does whoever uses them: one of the two is first.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from http import HTTPStatus
from typing import NamedTuple

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from exchange.db import copy_rows
from exchange.errors import NotFound, Refusal
from exchange.ids import new_id
from exchange.risk.models import LimitSuspension
from exchange.services import Services

SUSPENDED = text("SELECT DISTINCT obligor FROM limit_suspension WHERE obligor = ANY(:obligors) AND lifted_on IS NULL")
LOCK = text("SELECT FROM exposure WHERE obligor = ANY(:obligors) ORDER BY obligor, currency FOR UPDATE")
TURN = text("SELECT pg_advisory_xact_lock(hashtext('risk.suspend'))")
COUNT = text("SELECT obligor, count(*) FROM limit_suspension WHERE obligor = ANY(:obligors) GROUP BY obligor")
STANDING = text("""
    SELECT obligor, root_id FROM limit_suspension
    WHERE obligor = ANY(:obligors) AND root_id = ANY(:roots) AND lifted_on IS NULL
""")


class AlreadyLifted(Refusal):
    """The suspension does not stand any more."""

    code = "already_lifted"
    title = "The suspension was lifted before"


class SecondPersonNeeded(Refusal):
    """Whoever asked that a suspension be lifted cannot agree to it as well."""

    code = "second_person_needed"
    status = HTTPStatus.CONFLICT
    title = "Somebody else has to agree"


class Cause(NamedTuple):
    """Why an obligor's limits are suspended: `stage` of a receivable (`root_id`), its `group`'s, or a `person`."""

    obligor: int
    cause: str
    reason: str
    day: date
    root_id: str | None = None
    lifting: str = "person"
    second_person: bool = False
    by: str | None = None


def suspended(session: Session, *, obligors: Collection[int]) -> set[int]:
    """Which of the obligors' limits are suspended now."""
    return set(session.execute(SUSPENDED, {"obligors": sorted(set(obligors))}).scalars())


def suspend(session: Session, *, services: Services, causes: Sequence[Cause], now: datetime) -> list[str]:
    """Suspend obligors' limits, for each receivable once; the ids of what was not suspended already for that cause."""
    obligors = sorted({one.obligor for one in causes})
    session.execute(TURN)
    session.execute(LOCK, {"obligors": obligors})
    roots = [one.root_id for one in causes if one.root_id is not None]
    known = {(row.obligor, row.root_id) for row in session.execute(STANDING, {"obligors": obligors, "roots": roots})}
    numbers: dict[int, int] = dict(session.execute(COUNT, {"obligors": obligors}).all())
    rows: dict[tuple[int, str | None], tuple[object, ...]] = {}
    for one in sorted(causes):
        place = (one.obligor, one.root_id or one.by)
        if place not in known | rows.keys():
            numbers[one.obligor] = numbers.get(one.obligor, 0) + 1
            purpose = f"{one.obligor}/{numbers[one.obligor]}"
            rows[place] = (new_id("sus", now=now, entropy=services.entropy, purpose=purpose), *one, now)
    columns = "suspension_id obligor cause reason suspended_on root_id lifting second_person suspended_by recorded_at"
    copy_rows(session, LimitSuspension.__tablename__, columns.split(), rows.values())
    return [str(row[0]) for row in rows.values()]


def lift_cured(session: Session, *, root_ids: Sequence[str], day: date, now: datetime) -> None:
    """Lift what these receivables suspended, where the rule does that and no person."""
    update = text("""
        UPDATE limit_suspension SET lifted_on = greatest(:day, suspended_on), lifted_at = :now, lift_reason = 'cured'
        WHERE root_id = ANY(:roots) AND lifting = 'cure' AND lifted_on IS NULL
    """)
    session.execute(update, {"roots": list(root_ids), "day": day, "now": now})


def lift(
    session: Session, *, suspension_id: str, client_id: str, reason: str, today: date, now: datetime
) -> LimitSuspension:
    """Lift a suspension by hand (`NotFound`, `AlreadyLifted`).

    Where two have to agree, the first one asks, and the second one, somebody else, lifts (`SecondPersonNeeded`).
    """
    query = select(LimitSuspension).where(LimitSuspension.suspension_id == suspension_id)
    row = session.execute(query.with_for_update()).scalar_one_or_none()
    if row is None:
        raise NotFound("There is no such suspension.")
    if row.lifted_on is not None:
        raise AlreadyLifted("It does not stand any more.", lifted_on=row.lifted_on.isoformat())
    if row.second_person and row.asked_by is None:
        row.asked_by, row.ask_reason, row.asked_at = client_id, reason, now
    elif row.second_person and row.asked_by == client_id:
        raise SecondPersonNeeded("You asked for it; somebody else has to agree.")
    else:
        row.lifted_on, row.lifted_by, row.lift_reason, row.lifted_at = today, client_id, reason, now
    session.flush()
    return row
