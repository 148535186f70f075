"""Credit notes: what a seller takes off a receivable moves title, money and limits in one transaction."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import books
from exchange.callbacks.actions import Notice, tell_many
from exchange.callbacks.settlements import Proof, prove
from exchange.currencies import commodity
from exchange.db import copy_rows
from exchange.duplicates.actions import reduce_claims
from exchange.errors import Fault
from exchange.receivables.outcomes import Origin
from exchange.receivables.schemas import EARLIEST
from exchange.registry.actions import Fact, record_many
from exchange.settlement import debts, rules
from exchange.settlement.claims import Claims, Reduction, lock_claims, reduce
from exchange.settlement.debts import NewDebt
from exchange.settlement.legs import dilution_legs
from exchange.settlement.models import CreditNote
from exchange.settlement.rules import Dilution, Position
from exchange.settlement.schemas import CreditNoteItem
from exchange.shares import apportion_down
from ledger.books import Transfer, balances, post


class _Credited(NamedTuple):
    """A credit note on a claim: the claim before it, and its effect."""

    item: CreditNoteItem
    position: Position
    dilution: Dilution


def enter_credit_notes(
    session: Session, *, origin: Origin, items: Sequence[tuple[int, CreditNoteItem]]
) -> dict[int, tuple[int, Fault] | None]:
    """Enter the credit notes that can be; for each index None, or (status, fault).

    An asset in an offer leaves the offer. On a funded asset the holdback shrinks first; what the funder can then no
    longer get from the obligor the seller owes, and pays at once as far as its money here goes. A note on an asset
    that was split shrinks its parts in proportion to what is owed on each.
    """
    known = _known_assets(session, [item.asset_id for _, item in items], originator_id=origin.originator_id)
    claims = lock_claims(session, asset_ids=sorted(known))
    cash = _seller_cash(session, list(claims.positions.values()))
    numbers = _known_numbers(session, sorted(set(claims.roots.values())))
    results: dict[int, tuple[int, Fault] | None] = {}
    credited: list[_Credited] = []
    for index, item in items:
        refused = _refused(index, item, known=known, numbers=numbers, claims=claims, today=origin.today)
        results[index] = refused
        if refused is None:
            numbers.add((claims.roots[item.asset_id], item.number))
            credited += _shared(claims, item, cash)
    _store(session, credited, now=origin.now)
    reductions = [
        Reduction(one.position.asset_id, one.dilution.amount_minor, one.dilution.paid_minor, one.dilution.owed_minor)
        for one in credited
    ]
    off: Counter[str] = Counter()
    for one in credited:
        off[claims.roots[one.position.asset_id]] += one.dilution.amount_minor
    reduce_claims(session, reductions=off)  # what is credited nobody can finance elsewhere
    reduced = reduce(session, reductions=reductions, reason="credited", today=origin.today, now=origin.now)
    _post(session, credited, now=origin.now)
    _owe(session, credited, now=origin.now)
    _tell(session, credited, after=reduced.facts, now=origin.now)
    return results


def _shared(claims: Claims, item: CreditNoteItem, cash: dict[tuple[str, str], int]) -> list[_Credited]:
    """A credit note over what it names; claims and purses are brought forward."""
    met = claims.owed_below(item.asset_id)
    owed = {position.asset_id: position.outstanding_minor for position in met}
    shares = apportion_down(item.amount_minor, item.asset_id, parts=claims.parts, weights=owed)
    credited = []
    for position in met:
        amount_minor = shares.get(position.asset_id, 0)
        if amount_minor:
            purse = (position.seller_id, position.currency)
            effect = rules.dilute(position, amount_minor=amount_minor, seller_cash_minor=cash[purse])
            cash[purse] -= effect.paid_minor
            claims.positions[position.asset_id] = rules.after_dilution(position, effect)
            credited.append(_Credited(item, position, effect))
    return credited


def _known_assets(session: Session, asset_ids: Sequence[str], *, originator_id: str) -> set[str]:
    query = text("""
        SELECT claim.asset_id FROM claim JOIN receivable ON receivable.asset_id = claim.root_id
        WHERE claim.asset_id = ANY(:ids) AND receivable.originator_id = :originator_id
    """)
    return set(session.execute(query, {"ids": list(asset_ids), "originator_id": originator_id}).scalars())


def _known_numbers(session: Session, roots: Sequence[str]) -> set[tuple[str, str]]:
    """The credit notes there are by (receivable, number): parts have theirs in common."""
    query = text("""
        WITH root AS (SELECT unnest(cast(:roots AS text[])) AS root_id)
        SELECT root_id, number FROM root JOIN credit_note ON credit_note.asset_id = root_id
        UNION
        SELECT root_id, number FROM root
        JOIN claim USING (root_id) JOIN credit_note ON credit_note.asset_id = claim.asset_id
        WHERE claim.parent_id IS NOT NULL
    """)
    return {(root_id, number) for root_id, number in session.execute(query, {"roots": list(roots)})}


def _seller_cash(session: Session, positions: Sequence[Position]) -> dict[tuple[str, str], int]:
    """What each seller has here, by currency: nobody else spends it meanwhile."""
    purses = {(one.seller_id, one.currency) for one in positions}
    books.hold_cash(session, purses=[(books.seller_cash(seller_id), currency) for seller_id, currency in purses])
    paths = {purse: (books.seller_cash(purse[0]), commodity(purse[1])) for purse in purses}
    found = balances(session.connection(), accounts=sorted(paths.values()))
    return {purse: found.get(path, 0) for purse, path in paths.items()}


def _refused(
    index: int,
    item: CreditNoteItem,
    *,
    known: set[str],
    numbers: set[tuple[str, str]],
    claims: Claims,
    today: date,
) -> tuple[int, Fault] | None:
    at = f"/items/{index}"
    if item.asset_id not in known:
        return 404, Fault("not_found", f"{at}/asset_id", "no such asset", item.asset_id)
    if (claims.roots[item.asset_id], item.number) in numbers:
        return 409, Fault("duplicate_credit_note", f"{at}/number", "this credit note was entered before", item.number)
    if item.issue_date < EARLIEST:
        return 422, Fault("issue_too_early", f"{at}/issue_date", f"not before {EARLIEST}", item.issue_date)
    if item.issue_date > today:
        message = f"not after today, {today}"
        return 422, Fault("issue_in_future", f"{at}/issue_date", message, item.issue_date)
    outstanding_minor = sum(position.outstanding_minor for position in claims.owed_below(item.asset_id))
    if item.amount_minor > outstanding_minor:
        message = f"not above what is still owed, {outstanding_minor}"
        return 422, Fault("more_than_outstanding", f"{at}/amount_minor", message, item.amount_minor)
    return None


def _store(session: Session, credited: Sequence[_Credited], *, now: datetime) -> None:
    columns = "asset_id number amount_minor reason issue_date shortfall_minor paid_minor recorded_at"
    rows = [
        (
            one.position.asset_id,
            one.item.number,
            one.dilution.amount_minor,
            one.item.reason,
            one.item.issue_date,
            one.dilution.shortfall_minor,
            one.dilution.paid_minor,
            now,
        )
        for one in credited
    ]
    copy_rows(session, CreditNote.__tablename__, columns.split(), rows)


def _post(session: Session, credited: Sequence[_Credited], *, now: datetime) -> None:
    transfers = [
        Transfer(_key(one), one.item.issue_date, f"credit note, {one.item.reason}", legs)
        for one in credited
        if (legs := tuple(dilution_legs(one.position, one.dilution)))
    ]
    if transfers:
        books.open_for(session, legs=[leg for transfer in transfers for leg in transfer.legs])
        post(session.connection(), transfers=transfers, now=now)


def _key(one: _Credited) -> str:
    return f"{one.position.asset_id}/credit/{sha256(one.item.number.encode()).hexdigest()[:32]}"


def _owe(session: Session, credited: Sequence[_Credited], *, now: datetime) -> None:
    """Note what sellers owe from now on, and what holders do not owe any more for obligors' defaults."""
    owed: list[NewDebt] = []
    released: Counter[str] = Counter()
    for item, position, effect in credited:
        found = [(position.funder_id, effect.owed_minor)] if position.funder_id is not None else []
        if position.holder_id != position.seller_id:
            found.append((position.holder_id, effect.amount_minor - effect.shortfall_minor))
        owed += [
            NewDebt(
                position.asset_id,
                "dilution",
                item.number,
                creditor_id,
                position.seller_id,
                position.funder_id if creditor_id == position.funder_id else None,
                position.currency,
                amount_minor,
                item.issue_date,
            )
            for creditor_id, amount_minor in found
            if amount_minor
        ]
        if position.recourse_minor:
            after = rules.after_dilution(position, effect)
            released[position.asset_id] += position.recourse_minor - after.recourse_minor
    debts.enter_debts(session, debts=owed, now=now)
    debts.release(session, released=released)


def _tell(session: Session, credited: Sequence[_Credited], *, after: Sequence[Fact], now: datetime) -> None:
    """Sign each credit note and what follows from it, and tell the funders whose assets they shrink."""
    bodies = [
        {
            "amount_minor": one.dilution.amount_minor,
            "reason": one.item.reason,
            "issue_date": one.item.issue_date.isoformat(),
            "outstanding_minor": one.position.outstanding_minor - one.dilution.amount_minor,
        }
        for one in credited
    ]
    facts = [Fact(one.position.asset_id, "asset.diluted", body) for one, body in zip(credited, bodies, strict=True)]
    pending = record_many(session, facts=[*facts, *after], now=now)[: len(facts)]
    prove(session, proofs=map(Proof, map(_key, credited), pending))
    notices = [
        Notice(
            one.position.funder_id,
            "asset.diluted",
            body | {"asset_id": one.position.asset_id, "paid_minor": one.dilution.paid_minor},
            pending_id,
        )
        for one, body, pending_id in zip(credited, bodies, pending, strict=True)
        if one.position.funder_id is not None
    ]
    tell_many(session, notices=notices, now=now)
