"""Receipts undone: the posting reversed, what was paid owed again, once."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from exchange.callbacks.actions import Notice, tell_many
from exchange.callbacks.settlements import Proof, prove
from exchange.pools.actions import release
from exchange.registry.actions import Fact, record_many
from exchange.risk import limits
from exchange.settlement import charges, debts
from exchange.settlement.claims import lock_claims
from exchange.settlement.legs import Standing, funder_parts, released_minor, why_not_reopened
from exchange.settlement.models import BankLine, Receipt, ReceiptShare
from exchange.settlement.write_offs import take_recoveries_back
from ledger.books import InsufficientFunds, Leg, Reversal, reverse
from ledger.books.reversals import opposite_legs

CLAIMS = text("""
    SELECT claim.asset_id, claim.state, claim.holder_id, claim.currency, pool.funder_id, company.number AS obligor
    FROM claim
    JOIN receivable ON receivable.asset_id = claim.root_id
    JOIN company ON company.company_id = receivable.obligor_id
    LEFT JOIN pool ON pool.pool_id = claim.pool_id AND claim.state = 'assigned'
    WHERE claim.asset_id = ANY(:ids)
""")


def undo_line(session: Session, *, line_id: str, reversal: BankLine, today: date, now: datetime) -> str | None:
    """Undo the receipts of a line that `reversal` takes back, all of them; or nothing, and why not.

    Money that was deposited, or paid to a holder, has to be there still. A payment on a claim is undone where the claim
    is open and in the same hands (`legs.why_not_reopened`); what only brought back what had been given up is given up
    again by those who had lost it, whatever became of the claim. What was released of encumbrances stays released.
    """
    receipts = _live_receipts(session, [line_id])
    if sum(receipt.amount_minor for receipt in receipts) != -reversal.amount_minor:
        return "not_booked_as_it_is"
    if reversal.value_date > today:
        return "value_date_in_future"
    if any(receipt.refunded_minor for receipt in receipts):
        return "sent_back"
    paid = {one.receipt_id: one.asset_id for one in receipts if one.asset_id}
    lock_claims(session, asset_ids=list(paid.values()))
    taken_back = opposite_legs(session.connection(), keys=[f"{receipt_id}/receipt" for receipt_id in paid])
    claims = {row.asset_id: row for row in session.execute(CLAIMS, {"ids": sorted(paid.values())})}
    on_claims = {
        one.receipt_id: one.asset_id for one in receipts if one.asset_id and one.applied_minor > one.recovered_minor
    }
    reason = _why_not(session, paid, on_claims, claims, taken_back)
    if reason is not None or not _reverse(session, receipts, on=reversal.value_date, now=now):
        return reason or "funds_spent"
    release(session, asset_ids=sorted(paid.values()), now=now)
    _reopen(session, [receipt for receipt in receipts if receipt.asset_id], claims, taken_back, now=now)
    _tell(session, receipts, taken_back, now=now)
    return None


def take_out(session: Session, *, line_ids: Sequence[str], now: datetime) -> None:
    """Take the money of lines that wait out of the unapplied, for it is about to be booked as somebody's."""
    receipts = _live_receipts(session, line_ids)
    reversals = [_reversal(receipt, receipt.value_date) for receipt in receipts]
    reverse(session.connection(), reversals=reversals, now=now)
    for receipt in receipts:
        receipt.reversed_on = receipt.value_date
    session.flush()


def _live_receipts(session: Session, line_ids: Sequence[str]) -> list[Receipt]:
    query = select(Receipt).where(Receipt.line_id.in_(line_ids), Receipt.reversed_on.is_(None))
    return list(session.scalars(query.order_by(Receipt.receipt_id).with_for_update()))


def _why_not(
    session: Session,
    paid: Mapping[str, str],
    on_claims: Mapping[str, str],
    claims: Mapping[str, Any],
    taken_back: Mapping[str, Sequence[Leg]],
) -> str | None:
    shared = select(ReceiptShare.receipt_id).where(ReceiptShare.receipt_id.in_(list(paid))).limit(1)
    if session.execute(shared).first() is not None:
        return "paid_parts"
    reasons = []
    for receipt_id, asset_id in on_claims.items():
        claim = claims[asset_id]
        standing = Standing(claim.state, claim.holder_id, claim.funder_id)
        reasons.append(why_not_reopened(asset_id, standing, taken_back=taken_back[f"{receipt_id}/receipt"]))
    return next(filter(None, reasons), None)


def _reverse(session: Session, receipts: Sequence[Receipt], *, on: date, now: datetime) -> bool:
    """Reverse the postings; False, and nothing done, where somebody has spent the money."""
    try:
        with session.begin_nested():  # a refusal that is committed would be final
            reverse(session.connection(), reversals=[_reversal(receipt, on) for receipt in receipts], now=now)
    except InsufficientFunds:
        return False
    for receipt in receipts:
        receipt.reversed_on = on
    session.flush()
    return True


def _reversal(receipt: Receipt, on: date) -> Reversal:
    return Reversal(f"{receipt.receipt_id}/reversal", f"{receipt.receipt_id}/receipt", on)


def _reopen(
    session: Session,
    receipts: Sequence[Receipt],
    claims: Mapping[str, Any],
    taken_back: Mapping[str, Sequence[Leg]],
    *,
    now: datetime,
) -> None:
    """What the receipts paid is owed again, to its funder as far as the funder got it."""
    owed = text("UPDATE claim SET outstanding_minor = outstanding_minor + :paid WHERE asset_id = :id")
    due = text("""
        UPDATE pool_asset SET collected_minor = collected_minor - :funder WHERE asset_id = :id AND released_at IS NULL
    """)
    receipt_ids = [receipt.receipt_id for receipt in receipts]
    penalties = charges.take_back(session, receipt_ids=receipt_ids)
    take_recoveries_back(session, receipt_ids=receipt_ids)
    room: dict[limits.Line, int] = {}
    released: dict[str, int] = {}
    for receipt in receipts:
        claim, legs = claims[str(receipt.asset_id)], taken_back[f"{receipt.receipt_id}/receipt"]
        paid_minor = receipt.applied_minor - receipt.charged_minor - receipt.recovered_minor
        session.execute(owed, {"id": claim.asset_id, "paid": paid_minor})
        if claim.funder_id:
            part_minor = funder_parts(legs).get(claim.funder_id, 0) - penalties.get(receipt.receipt_id, 0)
            session.execute(due, {"id": claim.asset_id, "funder": part_minor})
            line = (claim.obligor, claim.currency)
            room[line] = room.get(line, 0) + paid_minor
        released[claim.asset_id] = released.get(claim.asset_id, 0) - released_minor(legs, claim.holder_id)
    limits.use_room(session, amounts=room, cause="reversed", now=now)
    debts.release(session, released=released)


def _tell(
    session: Session,
    receipts: Sequence[Receipt],
    taken_back: Mapping[str, Sequence[Leg]],
    *,
    now: datetime,
) -> None:
    """Sign what was undone on each asset, and tell the funders what went back."""
    facts: list[Fact] = []
    told: list[tuple[str, str, dict[str, Any], int | None]] = []
    for receipt in receipts:
        data = {"receipt_id": receipt.receipt_id, "currency": receipt.currency}
        if receipt.funder_id:
            told.append((receipt.funder_id, "deposit.reversed", data | {"amount_minor": receipt.amount_minor}, None))
        if receipt.asset_id:
            paid_minor = receipt.applied_minor - receipt.charged_minor - receipt.recovered_minor
            body = {"receipt": receipt.receipt_id, "value_date": f"{receipt.reversed_on}", "amount_minor": -paid_minor}
            if receipt.recovered_minor:
                body["recovered_minor"] = -receipt.recovered_minor
            for funder_id, part_minor in funder_parts(taken_back[f"{receipt.receipt_id}/receipt"]).items():
                part = data | {"asset_id": receipt.asset_id, "amount_minor": part_minor}
                told.append((funder_id, "collection.reversed", part, len(facts)))
            facts.append(Fact(receipt.asset_id, "asset.payment_reversed", body))
    pending = record_many(session, facts=facts, now=now)
    proofs = [
        Proof(f"{fact.body['receipt']}/reversal", pending_id, fact.asset_id)
        for fact, pending_id in zip(facts, pending, strict=True)
    ]
    prove(session, proofs=proofs)
    notices = [Notice(who, kind, data, None if at is None else pending[at]) for who, kind, data, at in told]
    tell_many(session, notices=notices, now=now)
