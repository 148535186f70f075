"""What an obligor owes on top of its claims: fees entered by hand, and interest for being late when money comes."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from http import HTTPStatus
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from exchange.db import copy_rows
from exchange.errors import Fault, NotFound, Refusal
from exchange.ids import new_id
from exchange.registry.actions import Fact, note_many
from exchange.services import Services
from exchange.settlement.claims import lock_claims
from exchange.settlement.models import Charge, ChargePayment
from exchange.settlement.policies import Terms
from exchange.settlement.rules import Charged, OpenCharge, Position, penalty_days, penalty_minor

COLUMNS = "charge_id asset_id kind reference amount_minor paid_minor from_date to_date entered_by recorded_at"


class ChargeKnown(Refusal):
    """The asset has a fee with this reference."""

    code = "charge_known"
    title = "This fee was entered before"


class NothingOwed(Refusal):
    """Nobody owes anything on the claim itself."""

    code = "nothing_owed"
    status = HTTPStatus.CONFLICT
    title = "Nothing is owed on this asset"


class Penalty(NamedTuple):
    """Interest for being late over some days, not stored yet."""

    charge_id: str
    asset_id: str
    amount_minor: int
    from_date: date
    to_date: date


def enter_fee(
    session: Session,
    *,
    services: Services,
    asset_id: str,
    reference: str,
    amount_minor: int,
    client_id: str,
    today: date,
    now: datetime,
) -> str:
    """Enter a fee on an asset on which something is owed; its id (`NotFound`, `NothingOwed`, `ChargeKnown`)."""
    claims = lock_claims(session, asset_ids=[asset_id])
    if asset_id not in claims.roots:
        raise NotFound("There is no such asset.")
    position = claims.positions.get(asset_id)
    if position is None or not position.outstanding_minor:
        raise NothingOwed("A fee goes on a claim that is open; of one that was split, on a part.")
    known = select(Charge).where(Charge.asset_id == asset_id, Charge.kind == "fee", Charge.reference == reference)
    if session.execute(known).first() is not None:
        fault = Fault("charge_known", "/reference", "this fee was entered before", reference)
        raise ChargeKnown("Give each fee a reference of its own.", faults=(fault,))
    charge_id = new_id("chg", now=now, entropy=services.entropy, purpose=f"{asset_id}/fee/{reference}")
    row = (charge_id, asset_id, "fee", reference, amount_minor, 0, None, None, client_id, now)
    copy_rows(session, Charge.__tablename__, COLUMNS.split(), [row])
    body = {"charge": charge_id, "kind": "fee", "amount_minor": amount_minor, "effective_date": today.isoformat()}
    note_many(session, facts=[Fact(asset_id, "asset.charged", body)], now=now)
    return charge_id


def penalise(
    position: Position, *, terms: Terms, on: date, services: Services, now: datetime
) -> tuple[Position, Penalty | None]:
    """The claim with the interest for being late that money with value of a day meets, and that interest."""
    days = penalty_days(position, grace_days=terms.penalty_grace_days, on=on) if terms.penalty_bps else None
    if days is None:
        return position, None
    amount_minor = penalty_minor(position, rate_bps=terms.penalty_bps, days=(days[1] - days[0]).days)
    if not amount_minor:
        return position, None
    purpose = f"{position.asset_id}/penalty/{on.isoformat()}"
    charge_id = new_id("chg", now=now, entropy=services.entropy, purpose=purpose)
    charge = OpenCharge(charge_id, "penalty", amount_minor)
    late = replace(position, charges=(*position.charges, charge), penalised_until=on)
    return late, Penalty(charge_id, position.asset_id, amount_minor, *days)


def keep(session: Session, *, penalties: Sequence[Penalty], paid: Iterable[tuple[str, Charged]], now: datetime) -> None:
    """Keep interest that was charged, and what receipts paid of charges."""
    rows = [
        (
            one.charge_id,
            one.asset_id,
            "penalty",
            f"{one.to_date}",
            one.amount_minor,
            0,
            one.from_date,
            one.to_date,
            None,
            now,
        )
        for one in penalties
    ]
    copy_rows(session, Charge.__tablename__, COLUMNS.split(), rows)
    parts = [(receipt_id, one.charge.charge_id, one.amount_minor) for receipt_id, one in paid]
    copy_rows(session, ChargePayment.__tablename__, ("receipt_id", "charge_id", "amount_minor"), parts)
    sums: dict[str, int] = {}
    for _, charge_id, amount_minor in parts:
        sums[charge_id] = sums.get(charge_id, 0) + amount_minor
    update = text("""
        UPDATE charge SET paid_minor = paid_minor + got.amount
        FROM unnest(cast(:ids AS text[]), cast(:amounts AS bigint[])) AS got(charge_id, amount)
        WHERE charge.charge_id = got.charge_id
    """)
    if sums:
        session.execute(update, {"ids": list(sums), "amounts": list(sums.values())})


def take_back(session: Session, *, receipt_ids: Sequence[str]) -> dict[str, int]:
    """Owe again what receipts paid of charges; by receipt, what of it was interest for being late."""
    query = text("""
        SELECT receipt_id, sum(payment.amount_minor) FILTER (WHERE kind = 'penalty')::bigint AS penalty_minor
        FROM charge_payment AS payment JOIN charge USING (charge_id) WHERE receipt_id = ANY(:ids) GROUP BY receipt_id
    """)
    found = {row.receipt_id: row.penalty_minor or 0 for row in session.execute(query, {"ids": list(receipt_ids)})}
    update = text("""
        UPDATE charge SET paid_minor = paid_minor - got.amount
        FROM (SELECT charge_id, sum(amount_minor)::bigint AS amount FROM charge_payment
              WHERE receipt_id = ANY(:ids) GROUP BY charge_id) AS got
        WHERE charge.charge_id = got.charge_id
    """)
    if found:
        session.execute(update, {"ids": list(receipt_ids)})
    return found


def charges(session: Session, *, asset_id: str) -> list[dict[str, Any]]:
    """The charges of an asset, oldest first."""
    names = ("charge_id", "kind", "reference", "amount_minor", "paid_minor", "from_date", "to_date")
    query = select(Charge).where(Charge.asset_id == asset_id).order_by(Charge.recorded_at, Charge.charge_id)
    return [{name: getattr(row, name) for name in names} for row in session.scalars(query)]
