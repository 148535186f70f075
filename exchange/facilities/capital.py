"""Capital of facilities: commitments, calls, what is paid in, and wishes for it back."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from exchange import books
from exchange.callbacks.actions import Notice, tell_many
from exchange.currencies import commodity
from exchange.errors import NotFound
from exchange.facilities import positions, rules
from exchange.facilities.figures import figures
from exchange.facilities.models import CalledShare, CapitalCall, Facility, Movement, Redemption, Tranche
from exchange.facilities.positions import At, Position
from exchange.facilities.terms import BUYING, COVER
from exchange.ids import new_id
from exchange.parties.models import Funder
from exchange.services import Services
from exchange.shares import apportion
from ledger.books import Leg, Transfer, balances, post

MOVE = text("""
    UPDATE tranche_holding SET principal_minor = principal_minor + :principal, lost_minor = lost_minor + :lost,
           interest_paid_minor = interest_paid_minor + :interest
    WHERE tranche_id = :tranche AND funder_id = :funder
""")
NUMBERS = text("""
    SELECT tranche_id, funder_id, max(number) AS number FROM tranche_movement
    WHERE tranche_id = ANY(:ids) GROUP BY tranche_id, funder_id
""")
CALLED = text("""
    SELECT funder_id, sum(share.amount_minor)::bigint AS minor
    FROM called_share AS share JOIN capital_call USING (call_id) WHERE tranche_id = :id GROUP BY funder_id
""")
CHANGES = {"paid_in": (1, 0, 0), "restored": (1, -1, 0), "repaid": (-1, 0, 0), "lost": (-1, 1, 0)}
"""What a movement does to a holding's principal, loss and interest paid."""


class Step(NamedTuple):
    """A movement of a holding to be noted."""

    tranche_id: str
    funder_id: str
    kind: str
    amount_minor: int


def commit(session: Session, *, facility_id: str, name: str, funder_id: str, amount_minor: int) -> None:
    """Enter what a funder committed to a tranche; more of it later adds up (`MoreThanCommitted`, `NotFound`)."""
    facility = positions.lock(session, facility_id=facility_id)
    tranche = tranche_of(positions.positions(session, facility_id=facility_id, until=facility.opened_on), name)
    if session.get(Funder, funder_id) is None or funder_id == facility.funder_id:
        raise NotFound("There is no such funder.")
    rules.check_called(amount_minor, uncalled_minor=tranche.size_minor - tranche.sum("committed_minor"))
    add = text("""
        INSERT INTO tranche_holding (tranche_id, funder_id, committed_minor) VALUES (:tranche, :funder, :amount)
        ON CONFLICT (tranche_id, funder_id)
        DO UPDATE SET committed_minor = tranche_holding.committed_minor + excluded.committed_minor
    """)
    session.execute(add, {"tranche": tranche.tranche_id, "funder": funder_id, "amount": amount_minor})
    books.open_notes(session, tranche_id=tranche.tranche_id, funder_ids=[funder_id])
    books.open_money(session, currency=facility.currency, paths=[books.funder_cash(funder_id)])


def call(
    session: Session, *, services: Services, facility_id: str, body: dict[str, Any], client_id: str, at: At
) -> tuple[str, list[tuple[str, int]]]:
    """Call capital of a tranche by what each holder has uncalled (`MoreThanCommitted`, `NotCalledNow`)."""
    facility = positions.lock(session, facility_id=facility_id)
    _check_buys(session, facility_id)
    tranche = tranche_of(positions.positions(session, facility_id=facility_id, until=at.today), body["tranche"])
    called: dict[str, int] = dict(session.execute(CALLED, {"id": tranche.tranche_id}).all())
    left = [one.committed_minor - called.get(one.funder_id, 0) for one in tranche.owners]
    rules.check_called(body["amount_minor"], uncalled_minor=sum(left))
    shares = apportion(body["amount_minor"], left)
    call_id = new_id(
        "cll", now=at.now, entropy=services.entropy, purpose=f"{tranche.tranche_id}/{sum(called.values())}"
    )
    values = {"call_id": call_id, "tranche_id": tranche.tranche_id, "amount_minor": body["amount_minor"]}
    values |= {"called_on": at.today, "due_date": body["due_date"], "called_by": client_id, "called_at": at.now}
    session.execute(insert(CapitalCall).values(**values))
    asked = [(one.funder_id, share) for one, share in zip(tranche.owners, shares, strict=True) if share]
    rows = [{"call_id": call_id, "funder_id": funder_id, "amount_minor": share} for funder_id, share in asked]
    session.execute(insert(CalledShare), rows)
    data = {"facility_id": facility_id, "call_id": call_id, "due_date": body["due_date"].isoformat()}
    data |= {"tranche": tranche.name, "currency": facility.currency}
    notices = [Notice(funder_id, "capital.called", data | {"amount_minor": share}) for funder_id, share in asked]
    tell_many(session, notices=notices, now=at.now)
    return call_id, asked


def pay_in(session: Session, *, services: Services, call_id: str, funder_id: str, at: At) -> dict[str, Any]:
    """Pay a share of a call: the funder's money against notes of the tranche, in one transfer.

    Refuses `NotFound`, `SharePaid`, `NotCalledNow`, `SubordinationBroken` and `NotEnoughMoney`.
    """
    query = select(CalledShare, Tranche).join(CapitalCall, CapitalCall.call_id == CalledShare.call_id)
    query = query.join(Tranche, Tranche.tranche_id == CapitalCall.tranche_id)
    row = session.execute(query.where(CalledShare.call_id == call_id, CalledShare.funder_id == funder_id)).first()
    if row is None:
        raise NotFound("Nothing is called from you under this id.")
    share, tranche = row
    facility = positions.lock(session, facility_id=tranche.facility_id)
    session.refresh(share)
    if share.paid_on is not None:
        raise rules.SharePaid(f"It was paid on {share.paid_on}.")
    _check_buys(session, facility.facility_id)
    found = figures(session, facility=facility, today=at.today, zone=services.settings.time_zone)
    placed, amount_minor = positions.placed(found.tranches), share.amount_minor
    rules.check_paying_in(placed, name=tranche.name, amount_minor=amount_minor, value_minor=found.nav_minor)
    _check_cash(session, facility, funder_id, amount_minor)
    to = books.facility_cover if tranche.kind == COVER else books.funder_cash
    key, unit = f"{call_id}/{funder_id}/paid_in", commodity(facility.currency)
    legs = (
        Leg(books.funder_cash(funder_id), unit, -amount_minor),
        Leg(to(facility.funder_id), unit, amount_minor),
        Leg(books.NOTES, tranche.tranche_id, -amount_minor),
        Leg(books.funder_notes(funder_id), tranche.tranche_id, amount_minor),
    )
    post(session.connection(), transfers=[Transfer(key, at.today, "capital paid in", legs)], now=at.now)
    share.paid_on = at.today
    session.flush()
    move(session, steps=[Step(tranche.tranche_id, funder_id, "paid_in", amount_minor)], transfer=key, at=at)
    return {"call_id": call_id, "amount_minor": amount_minor, "paid_on": at.today}


def move(session: Session, *, steps: Sequence[Step], transfer: str, at: At) -> None:
    """Note movements of holdings; what the books say was posted by `transfer`."""
    ids = sorted({one.tranche_id for one in steps})
    last = {(row.tranche_id, row.funder_id): row.number for row in session.execute(NUMBERS, {"ids": ids})}
    rows = []
    for one in steps:
        holder = (one.tranche_id, one.funder_id)
        last[holder] = number = last.get(holder, 0) + 1
        when = {"business_date": at.today, "transfer": transfer, "recorded_at": at.now}
        rows.append(one._asdict() | {"number": number} | when)
        signs = CHANGES.get(one.kind, (0, 0, int(one.kind == "interest")))
        amounts = zip(("principal", "lost", "interest"), (sign * one.amount_minor for sign in signs), strict=True)
        session.execute(MOVE, {"tranche": one.tranche_id, "funder": one.funder_id, **dict(amounts)})
    if rows:
        session.execute(insert(Movement), rows)


def redeem(
    session: Session, *, services: Services, facility_id: str, name: str, funder_id: str, amount_minor: int, at: At
) -> str:
    """Take a holder's wish for principal back at the next payment dates (`NotRedeemable`, `MoreThanCommitted`)."""
    positions.lock(session, facility_id=facility_id)
    tranche = tranche_of(positions.positions(session, facility_id=facility_id, until=at.today), name)
    owner = next((one for one in tranche.owners if one.funder_id == funder_id), None)
    if owner is None:
        raise NotFound("You hold nothing of this tranche.")
    state = positions.standing(session, facility_id=facility_id).state
    if state != "revolving" or not tranche.is_tranche:
        raise rules.NotRedeemable(f"The facility is {state}, and this is a {tranche.rank.kind}.", state=state)
    rules.check_called(amount_minor, uncalled_minor=owner.principal_minor - owner.wanted_minor)
    count = select(func.count()).where(Redemption.tranche_id == tranche.tranche_id, Redemption.funder_id == funder_id)
    purpose = f"{tranche.tranche_id}/{funder_id}/{session.execute(count).scalar_one()}"
    redemption_id = new_id("rdm", now=at.now, entropy=services.entropy, purpose=purpose)
    values = {"redemption_id": redemption_id, "tranche_id": tranche.tranche_id, "funder_id": funder_id}
    session.execute(insert(Redemption).values(**values, amount_minor=amount_minor, asked_on=at.today, asked_at=at.now))
    return redemption_id


def withdraw_redemption(session: Session, *, redemption_id: str, funder_id: str, at: At) -> None:
    """Take a wish for money back (`NotFound`, `RedemptionOver`); what was paid of it stays paid."""
    query = select(Redemption, Tranche.facility_id).join(Tranche, Tranche.tranche_id == Redemption.tranche_id)
    query = query.where(Redemption.redemption_id == redemption_id, Redemption.funder_id == funder_id)
    found = session.execute(query).first()
    if found is None:
        raise NotFound("There is no such redemption of yours.")
    positions.lock(session, facility_id=found.facility_id)
    row = found[0]
    session.refresh(row)
    if row.outcome is not None:
        raise rules.RedemptionOver(f"It is {row.outcome}.", outcome=row.outcome)
    row.outcome, row.ended_on = "withdrawn", at.today
    session.flush()


def tranche_of(tranches: Iterable[Position], name: str) -> Position:
    """The tranche of that name (`NotFound`)."""
    found = next((one for one in tranches if one.name == name), None)
    if found is None:
        raise NotFound("There is no such tranche.")
    return found


def _check_buys(session: Session, facility_id: str) -> None:
    state = positions.standing(session, facility_id=facility_id).state
    if state not in BUYING:
        raise rules.NotCalledNow(f"It is {state}.", state=state)


def _check_cash(session: Session, facility: Facility, funder_id: str, amount_minor: int) -> None:
    purse = (books.funder_cash(funder_id), commodity(facility.currency))
    books.hold_cash(session, purses=[(purse[0], facility.currency)])
    has_minor = balances(session.connection(), accounts=[purse]).get(purse, 0)
    if has_minor < amount_minor:
        raise rules.NotEnoughMoney("Bring money in first.", amount_minor=amount_minor, cash_minor=has_minor)
