"""A holder takes an asset back that it sold: by agreement with its funder, or because it has to."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from exchange import books
from exchange.callbacks.actions import tell, tell_many
from exchange.callbacks.settlements import Proof, prove
from exchange.currencies import commodity
from exchange.errors import NotFound
from exchange.ids import new_id
from exchange.losses import rules
from exchange.losses.models import Repurchase
from exchange.registry.actions import record_many
from exchange.services import Services
from exchange.settlement import buy_backs
from exchange.settlement.claims import lock_claims
from exchange.settlement.rules import Position, unearned_minor
from ledger.books import balances, post


def propose(
    session: Session,
    *,
    services: Services,
    asset_id: str,
    reason: str,
    client_id: str,
    today: date,
    now: datetime,
) -> dict[str, Any]:
    """Take an asset back where the holder has to after default, else ask its funder; what became of it.

    Refuses `NotHeld`, `ClaimEncumbered`, `AlreadyProposed`, `NotEnoughCash`.
    """
    position, price_minor = _priced(session, asset_id, today=today)
    waiting = select(Repurchase).where(Repurchase.asset_id == asset_id, Repurchase.state == "proposed")
    row = session.execute(waiting.with_for_update()).scalar_one_or_none()
    obliged = position.recourse_minor >= position.funder_lacks_minor > 0
    if row is not None and not obliged:
        raise rules.AlreadyProposed("Its funder has not answered yet.", repurchase_id=row.repurchase_id)
    if row is None:
        row = _entered(session, services, position, obliged=obliged, reason=reason, client_id=client_id, now=now)
    if obliged:
        _do(session, row, position, position.funder_due_minor, today=today, now=now)
    else:
        data = {"repurchase_id": row.repurchase_id, "asset_id": asset_id, "price_minor": price_minor, "reason": reason}
        told = str(position.funder_id)
        tell(session, funder_id=told, type="repurchase.proposed", data=data, pending_id=None, now=now)
    return {"repurchase_id": row.repurchase_id, "state": row.state, "price_minor": row.price_minor or price_minor}


def answer(
    session: Session,
    *,
    funder_id: str,
    repurchase_id: str,
    accept: bool,
    reason: str | None,
    client_id: str,
    today: date,
    now: datetime,
) -> dict[str, Any]:
    """A funder's answer; the price is that of today (`NotFound`, `AlreadyAnswered`, and what `propose` refuses)."""
    mine = select(Repurchase).where(Repurchase.repurchase_id == repurchase_id, Repurchase.funder_id == funder_id)
    found = session.execute(mine).scalar_one_or_none()
    if found is None:
        raise NotFound("There is no such repurchase.")
    lock_claims(session, asset_ids=[found.asset_id])
    row = session.execute(mine.with_for_update().execution_options(populate_existing=True)).scalar_one()
    if row.state != "proposed":
        raise rules.AlreadyAnswered("It has its answer.", state=row.state)
    row.answered_by, row.answered_at = client_id, now
    if accept:
        position, price_minor = _priced(session, row.asset_id, today=today)
        if position.funder_id != funder_id:
            raise rules.NotHeld("You do not hold it any more.")
        _do(session, row, position, price_minor, today=today, now=now)
    else:
        row.state, row.answer = "refused", reason
        session.flush()
    return {"repurchase_id": repurchase_id, "state": row.state, "price_minor": row.price_minor}


def _priced(session: Session, asset_id: str, *, today: date) -> tuple[Position, int]:
    """A claim that a funder holds, locked, and its price: what is due less the discount that is not earned yet."""
    position = lock_claims(session, asset_ids=[asset_id]).positions.get(asset_id)
    held = text("""
        SELECT pool_asset.discount_minor, bought_on, encumbered_minor FROM claim
        JOIN pool_asset ON pool_asset.asset_id = claim.asset_id AND pool_asset.pool_id = claim.pool_id
        WHERE claim.asset_id = :id AND claim.state = 'assigned'
    """)
    row = session.execute(held, {"id": asset_id}).first()
    if position is None or row is None:
        raise rules.NotHeld("Nobody has to give it back.")
    if row.encumbered_minor:
        raise rules.ClaimEncumbered("Release what encumbers it first.", encumbered_minor=row.encumbered_minor)
    forgone_minor = unearned_minor(
        discount_minor=row.discount_minor, bought_on=row.bought_on, due_date=position.due_date, on=today
    )
    return position, max(position.funder_due_minor - forgone_minor, 0)


def _entered(
    session: Session,
    services: Services,
    position: Position,
    *,
    obliged: bool,
    reason: str,
    client_id: str,
    now: datetime,
) -> Repurchase:
    count = text("SELECT count(*) FROM repurchase WHERE asset_id = :id")
    ordinal = session.execute(count, {"id": position.asset_id}).scalar_one()
    purpose = f"{position.asset_id}/{ordinal}"
    values = {
        "repurchase_id": new_id("rep", now=now, entropy=services.entropy, purpose=purpose),
        "asset_id": position.asset_id,
        "funder_id": position.funder_id,
        "holder_id": position.holder_id,
        "cause": "recourse" if obliged else "agreement",
        "reason": reason,
        "state": "proposed",
        "proposed_by": client_id,
        "proposed_at": now,
    }
    return session.execute(insert(Repurchase).values(**values).returning(Repurchase)).scalar_one()


def _do(session: Session, row: Repurchase, position: Position, price_minor: int, *, today: date, now: datetime) -> None:
    """Title against money: one transfer."""
    cash = (books.seller_cash(position.holder_id), commodity(position.currency))
    books.hold_cash(session, purses=[(cash[0], position.currency)])
    has_minor = balances(session.connection(), accounts=[cash]).get(cash, 0)
    if has_minor < price_minor:
        raise rules.NotEnoughCash("Bring money in first.", price_minor=price_minor, cash_minor=max(has_minor, 0))
    row.state, row.price_minor, row.done_on = "done", price_minor, today
    session.flush()
    item = buy_backs.Item(position, price_minor, row.cause)
    taken = buy_backs.take_back(session, items=[item], today=today, now=now)
    books.open_for(session, legs=[leg for transfer in taken.transfers for leg in transfer.legs])
    post(session.connection(), transfers=taken.transfers, now=now)
    pending = record_many(session, facts=taken.facts, now=now)
    prove(session, proofs=map(Proof, [one.key for one in taken.transfers], pending))
    tell_many(session, notices=taken.notices(pending), now=now)
