"""Payment dates: what would be paid, and paying it: money, notes, movements and the facility's record, once a date."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from exchange import books
from exchange.callbacks.actions import Notice, tell_many
from exchange.callbacks.settlements import Proof, prove
from exchange.currencies import commodity
from exchange.facilities import rules
from exchange.facilities.capital import Step, move
from exchange.facilities.figures import Figures, fees_due_minor
from exchange.facilities.models import Distribution, Facility, Redemption, Tranche
from exchange.facilities.positions import (
    At,
    Position,
    Standing,
    placed,
    positions,
    principal_minor,
    standing,
)
from exchange.facilities.rules import Paid, Pot
from exchange.facilities.terms import BUYING, EXCHANGE, FEES, RESERVE, interest, principal
from exchange.registry.actions import Fact, record_many
from exchange.shares import apportion
from exchange.waterfalls.orders import ALL, Payment
from ledger.books import Leg, Transfer, post

Moved = Counter[tuple[str, str]]
"""What accounts get and give: (path, commodity) to minor units."""

LAST = text("SELECT max(payment_date) FROM distribution WHERE facility_id = :id")
KINDS = {"principal": "repaid", "interest": "interest", "surplus": "surplus"}


def due_dates(session: Session, *, facility: Facility, figures: Figures) -> list[date]:
    """The payment dates up to today on which nothing was distributed yet."""
    last = session.execute(LAST, {"id": facility.facility_id}).scalar_one() or facility.opened_on
    return [day for day in figures.terms.payments.dates(until=figures.today) if day > last]


def preview(session: Session, *, facility: Facility, figures: Figures, day: date) -> dict[str, Any]:
    """What a payment date would pay with what there is now (`DatePassed`)."""
    last = session.execute(LAST, {"id": facility.facility_id}).scalar_one() or facility.opened_on
    if day < last:
        raise rules.DatePassed(f"The last distribution was on {last}.", last=last.isoformat())
    at_day = _until(session, facility, figures, day)
    pot = _pot(at_day, standing(session, facility_id=facility.facility_id))
    return _waterfall(pot, rules.pay(figures.terms, pot)) | {"payment_date": day, "state": pot.state}


def run(session: Session, *, facility: Facility, figures: Figures, day: date, at: At) -> bool:
    """Pay what a payment date pays; False where that was done. The facility is locked by the caller.

    What was earned and is owed counts to the payment date; the money moves today.
    """
    if session.get(Distribution, (facility.facility_id, day)) is not None:
        return False
    books.hold_cash(session, purses=[(books.funder_cash(facility.funder_id), facility.currency)])
    at_day = _until(session, facility, figures, day)
    pot = _pot(at_day, standing(session, facility_id=facility.facility_id))
    paid = rules.pay(figures.terms, pot)
    key = f"{facility.facility_id}/distribution/{day}"
    moved, steps = _moved(facility, at_day, pot, paid)
    legs = tuple(Leg(*account, amount) for account, amount in sorted(moved.items()) if amount)
    if legs:
        post(session.connection(), transfers=[Transfer(key, at.today, f"distribution of {day}", legs)], now=at.now)
    move(session, steps=steps, transfer=key, at=at)
    _redeemed(session, [one for one in steps if one.kind == "repaid"], pot.state, at)
    waterfall = _waterfall(pot, paid)
    fees_minor = sum(one.amount_minor for one in (*paid.payments, *paid.drawn) if one.due == FEES)
    row = {"facility_id": facility.facility_id, "payment_date": day, "state": pot.state, "fees_minor": fees_minor}
    row |= {"available_minor": pot.cash_minor + paid.released_minor, "paid_on": at.today, "recorded_at": at.now}
    row |= {"profit_minor": pot.profit_minor + paid.released_minor, "waterfall": waterfall}
    session.execute(insert(Distribution).values(**row))
    _tell(session, facility, at_day.tranches, steps, row, at)
    return True


def _until(session: Session, facility: Facility, figures: Figures, day: date) -> Figures:
    """The same, with interest and fees up to another day."""
    tranches = positions(session, facility_id=facility.facility_id, until=day)
    key: dict[str, Any] = {"facility": facility, "in_force": figures.terms, "tranches": tranches, "until": day}
    return replace(figures, tranches=tranches, fees_minor=fees_due_minor(session, **key))


def _pot(figures: Figures, standing: Standing) -> Pot:
    """What a payment date meets."""
    ranks = [one.rank for one in figures.tranches]
    owed = {interest(one.name): one.sum("interest_minor") for one in figures.tranches}
    on = rules.triggers_on(
        state=standing.state, healthy=standing.healthy, tests=(test for test, _ in standing.triggers)
    )
    return Pot(
        state=standing.state,
        on=on,
        cash_minor=figures.money.cash_minor,
        profit_minor=rules.profit_minor(
            cash_minor=figures.money.cash_minor,
            invested_minor=figures.invested_minor,
            principal_minor=principal_minor(figures.tranches),
        ),
        reserve_minor=figures.money.reserve_minor,
        target_minor=0 if standing.state == "closed" else figures.target_minor,
        dues={FEES: figures.fees_minor} | owed | _principal_due(figures, standing.state),
        covered=rules.covered_dues(ranks),
    )


def _principal_due(figures: Figures, state: str) -> dict[str, int]:
    """What of the tranches' principal is paid back: what may be redeemed, or all of it."""
    ranked = placed(figures.tranches)
    due = {one.rank.name: one.principal_minor for one in rules.by_rank(ranked)}
    if state in BUYING:
        wanted = {one.name: one.sum("wanted_minor") for one in figures.tranches}
        limits = {"value_minor": figures.nav_minor, "headroom_minor": figures.headroom_minor}
        due = rules.redeemable(ranked, wanted, **limits)
    return {principal(name): amount for name, amount in due.items()}


def _moved(facility: Facility, figures: Figures, pot: Pot, paid: Paid) -> tuple[Moved, list[Step]]:
    """Every leg of a distribution, and what it is to the holders."""
    unit = commodity(facility.currency)
    cash, reserve = ((path(facility.funder_id), unit) for path in (books.funder_cash, books.facility_reserve))
    moved: Moved = Counter({reserve: -paid.released_minor, cash: paid.released_minor})
    steps: list[Step] = []
    by_name = {one.name: one for one in figures.tranches}
    shares: dict[tuple[str, str], int] = defaultdict(int)
    for source, some in ((cash, paid.payments), (reserve, paid.drawn)):
        for payment in some:
            moved[source] -= payment.amount_minor
            if payment.payee in {EXCHANGE, RESERVE}:
                moved[(books.FEES, unit) if payment.payee == EXCHANGE else reserve] += payment.amount_minor
            else:
                shares[payment.payee, _kind(payment)] += payment.amount_minor
    for (name, kind), amount_minor in shares.items():
        steps += _shared(by_name[name], kind, amount_minor, state=pot.state)
    for one in steps:
        moved[books.funder_cash(one.funder_id), unit] += one.amount_minor
    if pot.state == "closed":
        back = [step for one in figures.tranches if not one.is_tranche for step in _all_back(one)]
        for one in back:
            moved[books.facility_cover(facility.funder_id), unit] -= one.amount_minor
            moved[books.funder_cash(one.funder_id), unit] += one.amount_minor
        steps += back
    for one in steps:
        if one.kind == "repaid":
            moved[books.funder_notes(one.funder_id), one.tranche_id] -= one.amount_minor
            moved[books.NOTES, one.tranche_id] += one.amount_minor
    return moved, steps


def _kind(payment: Payment) -> str:
    """What a payment is to a holder."""
    return "surplus" if payment.due == ALL else KINDS[payment.due.rpartition("_")[2]]


def _shared(tranche: Position, kind: str, amount_minor: int, *, state: str) -> Iterator[Step]:
    """A payment over a tranche's holders: by what each is owed, by principal, or by commitment where none is left."""
    name = "interest_minor" if kind == "interest" else "principal_minor"
    if kind == "repaid" and state in BUYING:
        name = "wanted_minor"
    weights = [getattr(owner, name) for owner in tranche.owners]
    weights = weights if sum(weights) else [owner.committed_minor for owner in tranche.owners]
    for owner, share in zip(tranche.owners, apportion(amount_minor, weights), strict=True):
        if share:
            yield Step(tranche.tranche_id, owner.funder_id, kind, share)


def _all_back(tranche: Position) -> Iterator[Step]:
    for owner in tranche.owners:
        if owner.principal_minor:
            yield Step(tranche.tranche_id, owner.funder_id, "repaid", owner.principal_minor)


def _redeemed(session: Session, repaid: Sequence[Step], state: str, at: At) -> None:
    """Note on the redemptions that wait what was paid of them, the oldest first."""
    left = {(one.tranche_id, one.funder_id): one.amount_minor for one in repaid}
    if state not in BUYING or not left:
        return
    query = select(Redemption).where(
        Redemption.outcome.is_(None), Redemption.tranche_id.in_({tranche_id for tranche_id, _ in left})
    )
    for row in session.execute(query.order_by(Redemption.redemption_id)).scalars():
        holder = (row.tranche_id, row.funder_id)
        got_minor = min(left.get(holder, 0), row.amount_minor - row.paid_minor)
        row.paid_minor += got_minor
        if row.paid_minor == row.amount_minor:
            row.outcome, row.ended_on = "paid", at.today
        if got_minor:
            left[holder] -= got_minor
    session.flush()


def _waterfall(pot: Pot, paid: Paid) -> dict[str, Any]:
    """A distribution as it is kept and shown."""
    return {
        "on": sorted(pot.on),
        "cash_minor": pot.cash_minor,
        "profit_minor": pot.profit_minor,
        "released_minor": paid.released_minor,
        "payments": [one._asdict() for one in paid.payments],
        "drawn": [one._asdict() for one in paid.drawn],
        "unpaid": {due: amount for due, amount in paid.unpaid.items() if amount},
        "reserve_minor": paid.reserve_minor,
        "left_minor": pot.cash_minor + paid.released_minor - paid.paid_minor,
    }


def _tell(
    session: Session,
    facility: Facility,
    tranches: Sequence[Position],
    steps: Sequence[Step],
    row: Mapping[str, Any],
    at: At,
) -> None:
    """Sign what was paid to each tranche, and tell each holder its own part."""
    names = {one.tranche_id: one.name for one in tranches}
    sums: Counter[tuple[str, str]] = Counter()
    own: dict[str, list[dict[str, Any]]] = {owner.funder_id: [] for one in tranches for owner in one.owners}
    for one in steps:
        sums[names[one.tranche_id], one.kind] += one.amount_minor
        part = {"tranche": names[one.tranche_id], "kind": one.kind, "amount_minor": one.amount_minor}
        own[one.funder_id].append(part)
    body = {name: row[name] for name in ("state", "available_minor", "profit_minor", "fees_minor")}
    body |= {"payment_date": row["payment_date"].isoformat(), "effective_date": at.today.isoformat()}
    body["paid"] = [{"tranche": name, "kind": kind, "amount_minor": sums[name, kind]} for name, kind in sorted(sums)]
    (pending_id,) = record_many(session, facts=[Fact(facility.facility_id, "facility.distributed", body)], now=at.now)
    prove(session, proofs=[Proof(f"{facility.facility_id}/distribution/{row['payment_date']}", pending_id)])
    data = body | {"facility_id": facility.facility_id}
    notices = [
        Notice(funder_id, "facility.distributed", data | {"own": parts}, pending_id)
        for funder_id, parts in sorted(own.items())
    ]
    tell_many(session, notices=notices, now=at.now)


def holdings_end(session: Session, *, facility: Facility, at: At) -> None:
    """Redemptions end when the facility turns: everybody is paid back in order."""
    query = select(Redemption).join(Tranche, Tranche.tranche_id == Redemption.tranche_id)
    waiting = query.where(Tranche.facility_id == facility.facility_id, Redemption.outcome.is_(None))
    for row in session.execute(waiting).scalars():
        row.outcome, row.ended_on = "superseded", at.today
    session.flush()
