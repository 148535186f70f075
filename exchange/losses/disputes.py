"""Disputes: what an obligor objects to is offered to nobody until somebody says who is right."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from exchange.callbacks.actions import Notice, tell_many
from exchange.errors import NotFound
from exchange.losses import rules
from exchange.losses.models import Dispute
from exchange.pools.actions import release
from exchange.receivables.outcomes import Origin
from exchange.registry.actions import Fact, record_many
from exchange.settlement.claims import Claims, lock_claims
from exchange.settlement.dilution import enter_credit_notes
from exchange.settlement.rules import Position
from exchange.settlement.schemas import CreditNoteItem
from exchange.trading.actions import withdraw_changed


def open_dispute(
    session: Session,
    *,
    asset_id: str,
    amount_minor: int,
    reason: str,
    statement: str,
    client_id: str,
    today: date,
    now: datetime,
) -> int:
    """Note what an obligor objects to; its number on the asset (`NothingOwed`, `MoreThanOutstanding`).

    The claim, or the parts that stand for it, leave their offers, and their holders are told. Disputes of one asset
    are together never about more than is owed on it.
    """
    claims = lock_claims(session, asset_ids=[asset_id])
    met = claims.owed_below(asset_id)
    open_minor = select(func.coalesce(func.sum(Dispute.amount_minor), 0)).where(
        Dispute.asset_id == asset_id, Dispute.outcome.is_(None)
    )
    disputed_minor = int(session.execute(open_minor).scalar_one())
    rules.check_amount(amount_minor, owed_minor=max(rules.owed_minor(met) - disputed_minor, 0))
    last = select(func.max(Dispute.number)).where(Dispute.asset_id == asset_id)
    number = (session.execute(last).scalar_one() or 0) + 1
    values = {"asset_id": asset_id, "number": number, "amount_minor": amount_minor, "reason": reason}
    opened = {"statement": statement, "opened_by": client_id, "opened_on": today, "opened_at": now}
    session.execute(insert(Dispute).values(credited_minor=0, **values, **opened))
    ids = [position.asset_id for position in met]
    release(session, asset_ids=ids, now=now)
    withdraw_changed(session, asset_ids=ids, reason="disputed", now=now)
    session.execute(text("UPDATE claim SET disputed = true WHERE asset_id = ANY(:ids)"), {"ids": ids})
    body = {"dispute": f"{asset_id}/{number}", "amount_minor": amount_minor, "reason": reason}
    _tell(session, met, "asset.disputed", body | {"effective_date": today.isoformat()}, now=now)
    return number


def resolve(session: Session, *, origin: Origin, asset_id: str, number: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """Say who is right; what is credited goes off the claim in the same transaction.

    Refuses `NotFound`, `AlreadyResolved`, `ResolutionRefused`, `NothingOwed`.
    """
    claims = lock_claims(session, asset_ids=[asset_id])
    query = select(Dispute).where(Dispute.asset_id == asset_id, Dispute.number == number).with_for_update()
    dispute = session.execute(query).scalar_one_or_none()
    if dispute is None:
        raise NotFound("There is no such dispute.")
    if dispute.outcome is not None:
        raise rules.AlreadyResolved("It has its outcome.", outcome=dispute.outcome)
    met, outcome = claims.owed_below(asset_id), str(body["outcome"])
    credited_minor = rules.credited_minor(
        outcome, disputed_minor=dispute.amount_minor, owed_minor=rules.owed_minor(met), body=dict(body)
    )
    if credited_minor:
        _credit(session, origin, dispute, credited_minor, str(body["note_number"]))
    dispute.outcome, dispute.credited_minor = outcome, credited_minor
    dispute.note_number, dispute.finding = body.get("note_number"), body["finding"]
    dispute.resolved_by, dispute.resolved_at = origin.client_id, origin.now
    session.flush()
    _mark_again(session, claims)
    told = {"dispute": f"{asset_id}/{number}", "outcome": outcome, "credited_minor": credited_minor}
    _tell(session, met, "asset.dispute_resolved", told | {"effective_date": origin.today.isoformat()}, now=origin.now)
    return {"asset_id": asset_id, "number": number, "outcome": outcome, "credited_minor": credited_minor}


def _credit(session: Session, origin: Origin, dispute: Dispute, amount_minor: int, note_number: str) -> None:
    item = CreditNoteItem(
        asset_id=dispute.asset_id,
        number=note_number,
        amount_minor=amount_minor,
        reason=rules.DISPUTED[dispute.reason],  # type: ignore[arg-type]  # the values are the reasons of credit notes
        issue_date=origin.today,
    )
    refused = enter_credit_notes(session, origin=origin, items=[(0, item)])[0]
    if refused is not None:
        raise rules.ResolutionRefused("The credit note cannot be entered.", faults=(refused[1],))


def _mark_again(session: Session, claims: Claims) -> None:
    """The claims of a tree are disputed as far as disputes are open on them, or on what they were split from."""
    query = select(Dispute.asset_id).where(Dispute.asset_id.in_(list(claims.roots)), Dispute.outcome.is_(None))
    still = {one.asset_id for asset_id in session.scalars(query) for one in claims.owed_below(asset_id)}
    update = text("UPDATE claim SET disputed = (asset_id = ANY(:still)) WHERE asset_id = ANY(:ids) AND disputed")
    session.execute(update, {"ids": list(claims.roots), "still": sorted(still)})


def _tell(session: Session, met: Sequence[Position], kind: str, body: Mapping[str, Any], *, now: datetime) -> None:
    """Sign it on each claim that it is about, and tell those that hold them."""
    pending = record_many(session, facts=[Fact(one.asset_id, kind, body) for one in met], now=now)
    notices = [
        Notice(one.funder_id, kind, {**body, "asset_id": one.asset_id}, pending_id)
        for one, pending_id in zip(met, pending, strict=True)
        if one.funder_id is not None
    ]
    tell_many(session, notices=notices, now=now)
