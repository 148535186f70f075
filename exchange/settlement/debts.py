"""What sellers and holders owe for assets that went wrong, and how they pay it: from whatever money they have here.

One rule for all of it: a company with an open debt keeps no money here. A payment for the obligor's default makes the
holder its heir: what the obligor pays later is the holder's, and once the funder lacks nothing the asset is, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import books, jobs
from exchange.callbacks.actions import Notice, tell_many
from exchange.callbacks.settlements import Proof, prove
from exchange.currencies import commodity
from exchange.db import copy_rows
from exchange.registry.actions import Fact, record_many
from exchange.settlement import buy_backs, chains
from exchange.settlement.claims import Claims, lock_claims
from exchange.settlement.legs import memo_legs
from exchange.settlement.models import Debt
from exchange.settlement.rules import Lost, Position
from ledger.books import Leg, Transfer, balances, post

JOB = "settlement.collect_debts"
"""Collects what companies owe, in a transaction of its own: claims are locked before limits and books."""

OPEN = text("""
    SELECT asset_id, cause, reference, creditor_id, debtor_id, funder_id, currency,
           amount_minor - paid_minor - released_minor AS open_minor, paid_minor
    FROM debt WHERE debtor_id = ANY(:ids) AND paid_minor + released_minor < amount_minor
    ORDER BY debtor_id, due_date, asset_id, cause, reference, creditor_id
""")
PAID = text("""
    UPDATE debt SET paid_minor = paid_minor + got.amount
    FROM unnest(cast(:ids AS text[]), cast(:causes AS text[]), cast(:references AS text[]),
                cast(:creditors AS text[]), cast(:amounts AS bigint[]))
         AS got(asset_id, cause, reference, creditor_id, amount)
    WHERE debt.asset_id = got.asset_id AND debt.cause = got.cause AND debt.reference = got.reference
      AND debt.creditor_id = got.creditor_id
""")
HELD = text("""
    UPDATE pool_asset SET collected_minor = collected_minor + :amount, diluted_minor = diluted_minor - :diluted,
           written_off_minor = written_off_minor - :lost
    WHERE asset_id = :id AND pool_id = (
        SELECT held.pool_id FROM pool_asset AS held JOIN pool ON pool.pool_id = held.pool_id
        WHERE held.asset_id = :id AND funder_id = :funder AND bought_on IS NOT NULL
        ORDER BY held.bought_on DESC, held.pool_id DESC LIMIT 1
    )
""")


class NewDebt(NamedTuple):
    """What a company owes from now on: to a funder, or to a company that has the asset (`funder_id` None)."""

    asset_id: str
    cause: str
    reference: str
    creditor_id: str
    debtor_id: str
    funder_id: str | None
    currency: str
    amount_minor: int
    due_date: date


@dataclass(frozen=True, slots=True)
class _Payment:
    """What is paid of a debt: `due_minor` of it the funder still expected, `lost` it had given up."""

    debt: Any
    amount_minor: int
    due_minor: int = 0
    lost: tuple[tuple[Lost, int], ...] = ()

    @property
    def lost_minor(self) -> int:
        """What of it had been given up."""
        return sum(amount_minor for _, amount_minor in self.lost)


def enter_debts(session: Session, *, debts: Sequence[NewDebt], now: datetime) -> None:
    """Note debts that are in the books, and have them collected."""
    columns = (
        "asset_id cause reference creditor_id debtor_id funder_id currency amount_minor paid_minor released_minor "
        "due_date recorded_at"
    )
    rows = [(*debt[:8], 0, 0, debt.due_date, now) for debt in debts]
    copy_rows(session, Debt.__tablename__, columns.split(), rows)
    collect_soon(session, company_ids={debt.debtor_id for debt in debts})


def collect_soon(session: Session, *, company_ids: Iterable[str]) -> None:
    """Have the debts of companies collected that have come to money, if they have any."""
    query = text("""
        SELECT DISTINCT debtor_id FROM debt
        WHERE debtor_id = ANY(:ids) AND paid_minor + released_minor < amount_minor ORDER BY debtor_id
    """)
    debtors = list(session.execute(query, {"ids": sorted(set(company_ids))}).scalars())
    if debtors:
        jobs.enqueue(session, job=JOB, payload={"company_ids": debtors})
    chains.answer_soon(session, company_ids=company_ids)


def release(session: Session, *, released: Mapping[str, int]) -> None:
    """Note, by asset, what holders do not owe any more for the obligor's default (less than nothing: owe again)."""
    update = text("""
        UPDATE debt SET released_minor = released_minor + now.amount
        FROM unnest(cast(:ids AS text[]), cast(:amounts AS bigint[])) AS now(asset_id, amount)
        JOIN claim ON claim.asset_id = now.asset_id JOIN pool ON pool.pool_id = claim.pool_id
        WHERE debt.asset_id = now.asset_id AND cause = 'default' AND creditor_id = pool.funder_id
    """)
    changed = {asset_id: amount_minor for asset_id, amount_minor in released.items() if amount_minor}
    if changed:
        session.execute(update, {"ids": list(changed), "amounts": list(changed.values())})


def open_minor(session: Session, *, company_ids: Iterable[str]) -> dict[tuple[str, str], int]:
    """What companies owe now, by company and currency; those that owe nothing are left out."""
    owed: dict[tuple[str, str], int] = {}
    for row in session.execute(OPEN, {"ids": sorted(set(company_ids))}):
        owed[row.debtor_id, row.currency] = owed.get((row.debtor_id, row.currency), 0) + row.open_minor
    return owed


def collect(session: Session, *, company_ids: Iterable[str], today: date, now: datetime) -> None:
    """Pay what companies owe as far as their money here goes: the debt that is due first is paid first."""
    parameters = {"ids": sorted(set(company_ids))}
    asset_ids = [row.asset_id for row in session.execute(OPEN, parameters)]
    if not asset_ids:
        return
    claims = lock_claims(session, asset_ids=asset_ids)
    rows = [row for row in session.execute(OPEN, parameters) if row.asset_id in claims.roots]
    payments = _paid(rows, claims, _purses(session, rows))
    if not payments:
        return
    _note(session, payments)
    last = {one.debt.asset_id: claims.positions[one.debt.asset_id] for one in payments if one.debt.cause == "default"}
    back = buy_backs.take_back(
        session,
        items=[buy_backs.Item(position, 0, "recourse") for position in last.values() if not position.funder_due_minor],
        today=today,
        now=now,
    )
    transfers = [*(_transfer(one, claims, today) for one in payments), *back.transfers]
    books.open_for(session, legs=[leg for transfer in transfers for leg in transfer.legs])
    post(session.connection(), transfers=transfers, now=now)
    _tell(session, payments, [one.key for one in transfers], back=back, today=today, now=now)
    collect_soon(session, company_ids={one.debt.creditor_id for one in payments if one.debt.funder_id is None})


def _purses(session: Session, rows: Sequence[Any]) -> dict[tuple[str, str], int]:
    paths = {(row.debtor_id, row.currency): books.seller_cash(row.debtor_id) for row in rows}
    books.hold_cash(session, purses=[(path, currency) for (_, currency), path in paths.items()])
    accounts = {purse: (path, commodity(purse[1])) for purse, path in paths.items()}
    found = balances(session.connection(), accounts=sorted(accounts.values()))
    return {purse: max(found.get(account, 0), 0) for purse, account in accounts.items()}


def _paid(rows: Sequence[Any], claims: Claims, purses: dict[tuple[str, str], int]) -> list[_Payment]:
    """What is paid of each debt; purses and claims are brought forward."""
    payments = []
    for row in rows:
        purse = (row.debtor_id, row.currency)
        amount_minor = min(row.open_minor, purses[purse])
        if not amount_minor:
            continue
        purses[purse] -= amount_minor
        if row.cause == "dilution":
            payments.append(_Payment(row, amount_minor))
            continue
        position = claims.positions[row.asset_id]
        due_minor = min(amount_minor, position.funder_due_minor)
        lost = _inherited(position, amount_minor - due_minor)
        payments.append(_Payment(row, amount_minor, due_minor, tuple(lost)))
        claims.positions[row.asset_id] = _after(position, amount_minor, due_minor, dict(lost))
    return payments


def _inherited(position: Position, amount_minor: int) -> list[tuple[Lost, int]]:
    """What of the funder's losses its holder takes over: the last write-off first."""
    taken = []
    for lost in sorted(position.lost, key=lambda one: -one.number):
        part_minor = min(amount_minor, lost.funder_minor) if lost.funder_id == position.funder_id else 0
        if part_minor:
            taken.append((lost, part_minor))
            amount_minor -= part_minor
    return taken


def _after(position: Position, amount_minor: int, due_minor: int, inherited: Mapping[Lost, int]) -> Position:
    lost = tuple(
        one._replace(
            funder_minor=one.funder_minor - inherited.get(one, 0), holder_minor=one.holder_minor + inherited.get(one, 0)
        )
        for one in position.lost
    )
    return replace(
        position,
        funder_due_minor=position.funder_due_minor - due_minor,
        discount_due_minor=max(position.discount_due_minor - due_minor, 0),
        recourse_minor=position.recourse_minor - amount_minor,
        lost=lost,
    )


def _note(session: Session, payments: Sequence[_Payment]) -> None:
    parameters = {
        "ids": [one.debt.asset_id for one in payments],
        "causes": [one.debt.cause for one in payments],
        "references": [one.debt.reference for one in payments],
        "creditors": [one.debt.creditor_id for one in payments],
        "amounts": [one.amount_minor for one in payments],
    }
    session.execute(PAID, parameters)
    inherit = text(
        "UPDATE write_off SET funder_minor = funder_minor - :amount WHERE asset_id = :id AND number = :number"
    )
    for one in payments:
        if one.debt.funder_id is None:
            continue
        diluted_minor = one.amount_minor if one.debt.cause == "dilution" else 0
        held = {"amount": one.amount_minor, "diluted": diluted_minor, "lost": one.lost_minor}
        session.execute(HELD, held | {"id": one.debt.asset_id, "funder": one.debt.funder_id})
        for lost, amount_minor in one.lost:
            session.execute(inherit, {"id": one.debt.asset_id, "number": lost.number, "amount": amount_minor})


def _transfer(one: _Payment, claims: Claims, today: date) -> Transfer:
    debt, money, amount_minor = one.debt, commodity(one.debt.currency), one.amount_minor
    to_funder = debt.funder_id is not None
    cash = books.funder_cash(debt.creditor_id) if to_funder else books.seller_cash(debt.creditor_id)
    owed = books.funder_recourse(debt.creditor_id) if to_funder else books.seller_recourse(debt.creditor_id)
    legs = [
        Leg(books.seller_cash(debt.debtor_id), money, -amount_minor),
        Leg(cash, money, amount_minor),
        Leg(books.seller_recourse(debt.debtor_id), money, amount_minor),
        Leg(owed, money, -amount_minor),
    ]
    if debt.cause == "default":
        legs += memo_legs(claims.positions[debt.asset_id], due_falls_minor=one.due_minor)
        legs.append(Leg(books.funder_losses(debt.creditor_id), money, -one.lost_minor))
        legs.append(Leg(books.WRITTEN_OFF, money, one.lost_minor))
    mark = sha256(f"{debt.cause}/{debt.reference}/{debt.creditor_id}".encode()).hexdigest()[:32]
    key = f"{debt.asset_id}/debt/{mark}/{debt.paid_minor + amount_minor}"
    return Transfer(key, today, f"debt paid, {debt.cause}", tuple(leg for leg in legs if leg.amount_minor))


def _tell(
    session: Session,
    payments: Sequence[_Payment],
    keys: Sequence[str],
    *,
    back: buy_backs.Taken,
    today: date,
    now: datetime,
) -> None:
    """Sign each payment, and tell the funders that are paid."""
    bodies = [
        {"amount_minor": one.amount_minor, "cause": one.debt.cause, "effective_date": today.isoformat()}
        for one in payments
    ]
    facts = [Fact(one.debt.asset_id, "asset.recourse_paid", body) for one, body in zip(payments, bodies, strict=True)]
    pending = record_many(session, facts=[*facts, *back.facts], now=now)
    prove(session, proofs=map(Proof, keys, pending))
    notices = [
        Notice(
            one.debt.funder_id,
            "recourse.paid",
            body | {"asset_id": one.debt.asset_id, "left_minor": one.debt.open_minor - one.amount_minor},
            pending_id,
        )
        for one, body, pending_id in zip(payments, bodies, pending[: len(facts)], strict=True)
        if one.debt.funder_id is not None
    ]
    tell_many(session, notices=[*notices, *back.notices(pending[len(facts) :])], now=now)
