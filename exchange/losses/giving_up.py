"""Writing off by schedule and by hand, and money that comes in for what was given up."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from exchange.errors import NotFound
from exchange.losses import rules
from exchange.losses.models import WriteOffRequest
from exchange.services import Services
from exchange.settlement import policies
from exchange.settlement.claims import lock_claims
from exchange.settlement.receipts import Entered, Refused, enter_receipts
from exchange.settlement.rules import Position
from exchange.settlement.schemas import ReceiptItem
from exchange.settlement.write_offs import GivingUp, write_off


def assets_to_give_up(session: Session, *, today: date) -> list[str]:
    """The open claims that are late enough for the first step of some schedule in force."""
    terms = [policies.DEFAULT, *policies.in_force(session).known.values()]
    days = [step.days_late for one in terms for step in one.write_offs]
    if not days:
        return []
    query = text("""
        SELECT asset_id FROM claim WHERE outstanding_minor > 0 AND due_date <= cast(:today AS date) - cast(:days AS int)
        ORDER BY root_id, asset_id
    """)
    return list(session.execute(query, {"today": today, "days": min(days)}).scalars())


def give_up(session: Session, *, asset_ids: Sequence[str], today: date, now: datetime) -> None:
    """Write off what the schedules have given up of these assets by now, and was not written off yet."""
    claims = lock_claims(session, asset_ids=asset_ids)
    terms, written = policies.in_force(session), _given_up(session, asset_ids)
    items = []
    for asset_id in asset_ids:
        position = claims.positions.get(asset_id)
        if position is None or not position.outstanding_minor:
            continue
        own = terms.of(position.originator_id, position.product)
        amount_minor = _missing(position, own, written.get(asset_id, 0), today)
        if amount_minor:
            items.append(
                GivingUp(position, amount_minor, "schedule", f"{_days_late(position, today)} days late", own.order)
            )
    write_off(session, items=items, today=today, now=now)


def request(
    session: Session, *, asset_id: str, amount_minor: int, reason: str, client_id: str, today: date, now: datetime
) -> dict[str, Any]:
    """Write off by hand, or have it wait for a second person above the policy's amount; its number and state.

    Refuses `NotFound`, `NothingOwed`, `MoreThanOutstanding`, `MilderThanPolicy`, `AlreadyRequested`.
    """
    position, own = _open(session, asset_id)
    rules.check_amount(amount_minor, owed_minor=position.outstanding_minor)
    least_minor = _missing(position, own, _given_up(session, [asset_id]).get(asset_id, 0), today)
    rules.check_mildness(amount_minor, least_minor=least_minor)
    waiting = select(WriteOffRequest).where(WriteOffRequest.asset_id == asset_id, WriteOffRequest.outcome.is_(None))
    if session.execute(waiting).first() is not None:
        raise rules.AlreadyRequested("Decide about that one first.")
    if amount_minor <= own.second_person_minor:
        item = GivingUp(position, amount_minor, "decision", reason, own.order, client_id)
        write_off(session, items=[item], today=today, now=now)
        return {"asset_id": asset_id, "state": "done", "request": None}
    last = select(func.max(WriteOffRequest.number)).where(WriteOffRequest.asset_id == asset_id)
    number = (session.execute(last).scalar_one() or 0) + 1
    values = {"asset_id": asset_id, "number": number, "amount_minor": amount_minor, "reason": reason}
    session.execute(insert(WriteOffRequest).values(requested_by=client_id, requested_at=now, **values))
    return {"asset_id": asset_id, "state": "awaited", "request": number}


def decide(
    session: Session, *, asset_id: str, number: int, approve: bool, client_id: str, today: date, now: datetime
) -> dict[str, Any]:
    """A second person's decision about a write-off by hand.

    Refuses `NotFound`, `AlreadyAnswered`, `SecondPersonNeeded`; what was paid, `NothingOwed`, `MoreThanOutstanding`.
    """
    claims = lock_claims(session, asset_ids=[asset_id])
    query = select(WriteOffRequest).where(WriteOffRequest.asset_id == asset_id, WriteOffRequest.number == number)
    row = session.execute(query.with_for_update()).scalar_one_or_none()
    if row is None:
        raise NotFound("There is no such request.")
    if row.outcome is not None:
        raise rules.AlreadyAnswered("It has its answer.", outcome=row.outcome)
    if row.requested_by == client_id:
        raise rules.SecondPersonNeeded("You asked for it.")
    row.outcome, row.decided_by, row.decided_at = "approved" if approve else "declined", client_id, now
    session.flush()
    if approve:
        position = claims.positions.get(asset_id)
        rules.check_amount(row.amount_minor, owed_minor=position.outstanding_minor if position else 0)
        assert position is not None  # noqa: S101 - else nothing was owed
        own = policies.in_force(session).of(position.originator_id, position.product)
        by = (row.requested_by, client_id)
        item = GivingUp(position, row.amount_minor, "decision", row.reason, own.order, *by)
        write_off(session, items=[item], today=today, now=now)
    return {"asset_id": asset_id, "state": "done" if approve else "declined", "request": number}


def recover(
    session: Session, *, services: Services, item: ReceiptItem, today: date, now: datetime
) -> Entered | Refused:
    """Enter money for an asset that was charged off or given up, in part or all (`NotFound`, `NothingToRecover`).

    It pays what is still owed first; then it brings back what was given up, the last first.
    """
    claims = lock_claims(session, asset_ids=[item.reference])
    if item.reference not in claims.roots:
        raise NotFound("There is no such asset.")
    met = claims.open_below(item.reference)
    if not any(position.lost or position.charged_off for position in met):
        raise rules.NothingToRecover("Enter what is paid on it as a receipt.")
    return enter_receipts(session, services=services, items=[(0, item)], today=today, now=now)[0]


def _open(session: Session, asset_id: str) -> tuple[Position, policies.Terms]:
    claims = lock_claims(session, asset_ids=[asset_id])
    if asset_id not in claims.roots:
        raise NotFound("There is no such asset.")
    position = claims.positions.get(asset_id)
    if position is None:
        raise rules.NothingOwed("The claim is closed.")
    return position, policies.in_force(session).of(position.originator_id, position.product)


def _missing(position: Position, terms: policies.Terms, given_up_minor: int, today: date) -> int:
    share_ppm = terms.given_up_ppm(days_late=_days_late(position, today))
    return rules.still_to_give_up(position, given_up_minor=given_up_minor, share_ppm=share_ppm)


def _days_late(position: Position, today: date) -> int:
    return (today - position.due_date).days


def _given_up(session: Session, asset_ids: Sequence[str]) -> dict[str, int]:
    """What was given up of each asset and has not come back."""
    query = text("""
        SELECT asset_id, sum(amount_minor - recovered_minor)::bigint FROM write_off
        WHERE asset_id = ANY(:ids) GROUP BY asset_id
    """)
    return dict(session.execute(query, {"ids": list(asset_ids)}).all())
