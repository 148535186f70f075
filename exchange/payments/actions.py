"""Payments proposed, approved, cancelled, and moved on: the state, the step, the books and the funder, all at once."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import Session

from exchange import books
from exchange.banking.payments import NEXT, State, check_move, needs_approval
from exchange.callbacks.actions import Notice, tell_many
from exchange.currencies import commodity
from exchange.db import copy_rows
from exchange.errors import Fault, InvalidRequest
from exchange.ids import new_id
from exchange.payments import queries, rules
from exchange.payments.models import Payment, PaymentPolicy, PaymentStep, PayoutAccount
from exchange.payments.money import paid_with
from exchange.payments.rules import Creditor, InsufficientCash, Kind, NoPayoutAccount, Policy
from exchange.services import Services
from exchange.settlement import chains
from ledger.books import InsufficientFunds, Leg, Reversal, Transfer, balances, post, reverse

POLICY = "policy"
"""Who approves what is small enough."""
JOB = "job"
BANK = "bank"
BEFORE_THE_BANK = (State.PROPOSED, State.APPROVED, State.SCHEDULED)
"""Where a payment can still be cancelled."""
STEPS = ("payment_id", "number", "state", "taken_by", "reason", "effective_date", "recorded_at")

REFUNDED = text("UPDATE receipt SET refunded_minor = refunded_minor + :minor WHERE receipt_id = :id")


class Order(NamedTuple):
    """Who is to get what. `by` is the client that asks, None for the daily job; `by_hand`: it says itself where to."""

    kind: Kind
    party_id: str | None
    currency: str
    amount_minor: int
    creditor: Creditor
    account_id: str | None = None
    receipt_id: str | None = None
    by: str | None = None
    by_hand: bool = False


class Move(NamedTuple):
    """A step to take."""

    payment: Payment
    to: State
    by: str
    effective_date: date
    reason: str | None = None


def set_policy(session: Session, *, policy: Policy, client_id: str, now: datetime) -> int:
    """Put a policy in force for what is proposed from now on; gives its version (`InvalidRequest`)."""
    faults = rules.policy_faults(policy)
    if faults:
        raise InvalidRequest("The policy cannot be put in force.", faults=tuple(faults))
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('payments.policy'))"))
    version = queries.policy(session)[0] + 1
    terms = msgspec.to_builtins(policy)
    session.execute(insert(PaymentPolicy).values(version=version, terms=terms, set_by=client_id, set_at=now))
    return version


def cash_of(party_id: str | None) -> str:
    """The account in the books whose money a payment takes: a funder's, a company's, or what nobody could place."""
    if party_id is None:
        return books.UNAPPLIED
    return books.funder_cash(party_id) if party_id.startswith("fnd_") else books.seller_cash(party_id)


def hold_cash(session: Session, *, party_id: str | None, currency: str) -> None:
    """Let nobody else propose payments of this money until the transaction ends."""
    books.hold_cash(session, purses=[(cash_of(party_id), currency)])


def pay_party(
    session: Session,
    *,
    services: Services,
    order: tuple[Kind, str, str],
    amount_minor: int | None,
    by: str | None,
    now: datetime,
) -> Payment:
    """Pay a party (kind, id and currency) that much of its money, or all of it, to its account in force.

    Refuses `NoPayoutAccount`, `InsufficientCash` and `rules.CalendarUnknown`.
    """
    kind, party_id, currency = order
    hold_cash(session, party_id=party_id, currency=currency)
    today = services.business_date(now)
    account = queries.account_in_force(session, party_id=party_id, currency=currency, today=today)
    if account is None:
        raise NoPayoutAccount(f"No account in {currency} was approved and can be used today.")
    if amount_minor is None:
        amount_minor = queries.free_minor(session, party_id=party_id, currency=currency)
        if amount_minor < 1:
            raise InsufficientCash("There is nothing to pay out.", currency=currency, available_minor=amount_minor)
    creditor = Creditor(account.holder_name, account.account, account.agent)
    wanted = Order(kind, party_id, currency, amount_minor, creditor, account.account_id, by=by)
    return propose(session, services=services, order=wanted, now=now)


def propose(session: Session, *, services: Services, order: Order, now: datetime) -> Payment:
    """Take the money of a payment out of its owner's cash, once; what needs no second person is scheduled at once.

    Whoever proposes holds the cash (`hold_cash`). Refuses `InsufficientCash` and `rules.CalendarUnknown`.
    """
    today, policy = services.business_date(now), queries.policy(session)[1]
    count, unseen_minor = queries.proposed_so_far(
        session, party_id=order.party_id, receipt_id=order.receipt_id, currency=order.currency, today=today
    )
    purpose = f"{order.party_id or order.receipt_id}/{order.currency}/{count}"
    payment_id = new_id("pay", now=now, entropy=services.entropy, purpose=purpose)
    _take(session, payment_id, order, today=today, now=now)
    limit_minor = rules.limit_minor(policy.approve_above, order.currency)
    second = limit_minor is None or needs_approval(order.amount_minor + unseen_minor, above_minor=limit_minor)
    payment = Payment(
        payment_id=payment_id,
        kind=order.kind.value,
        party_id=order.party_id,
        currency=order.currency,
        amount_minor=order.amount_minor,
        account_id=order.account_id,
        receipt_id=order.receipt_id,
        creditor_name=order.creditor.name,
        creditor_account=order.creditor.account,
        creditor_agent=order.creditor.agent,
        needs_second=second or order.by_hand,
        proposed_by=order.by,
        proposed_on=today,
        state=State.PROPOSED.value,
    )
    session.add(payment)
    session.flush()
    copy_rows(session, PaymentStep.__tablename__, STEPS, [_step(payment, 1, State.PROPOSED, order.by, today, now)])
    if payment.needs_second:
        _tell(session, [(payment, None)], now=now)
    else:
        approve(session, services=services, payments=[payment], by=POLICY, now=now)
    return payment


def approve(session: Session, *, services: Services, payments: Sequence[Payment], by: str, now: datetime) -> None:
    """Approve payments, and schedule them for the first day on which a bank can pay (`rules.CalendarUnknown`)."""
    if not payments:
        return
    policy, today = queries.policy(session)[1], services.business_date(now)
    day = rules.execution_date(now, policy=policy, time_zone=services.settings.time_zone)
    for payment in payments:
        payment.execution_date = day
    moves = [Move(one, to, by, today) for to in (State.APPROVED, State.SCHEDULED) for one in payments]
    move_many(session, moves=moves, now=now)


def cancel(session: Session, *, payments: Sequence[Payment], by: str, reason: str, today: date, now: datetime) -> None:
    """Give up payments that no bank knows of; their money is their owner's to use again."""
    move_many(session, moves=[Move(one, State.CANCELLED, by, today, reason) for one in payments], now=now)


def move_many(session: Session, *, moves: Sequence[Move], now: datetime) -> None:
    """Take steps in their order, with what each means for the books; the payments are locked by the caller.

    A funder is told where its payment stands in the end. Refuses `banking.payments.WrongState`.
    """
    numbers = queries.step_counts(session, payment_ids=[move.payment.payment_id for move in moves])
    steps = []
    last: dict[str, Move] = {}
    for move in moves:
        payment = move.payment
        check_move(State(payment.state), to=move.to)
        payment.state = move.to.value
        numbers[payment.payment_id] += 1
        number = numbers[payment.payment_id]
        steps.append(_step(payment, number, move.to, move.by, move.effective_date, now, move.reason))
        last[payment.payment_id] = move
    _post(session, moves, now=now)
    session.flush()
    copy_rows(session, PaymentStep.__tablename__, STEPS, steps)
    _tell(session, [(move.payment, move.reason) for move in last.values()], now=now)
    _tell_paid(session, [move for move in last.values() if move.to is State.PAID], now=now)


def close_account(
    session: Session, *, account_id: str, by: str, reason: str, today: date, now: datetime
) -> list[Payment]:
    """Send nothing more to an account; what no bank knows of yet is cancelled. Gives what was."""
    mine = PayoutAccount.account_id == account_id
    values = {"closed_at": now, "closed_reason": reason}
    session.execute(update(PayoutAccount).where(mine, PayoutAccount.closed_at.is_(None)).values(**values))
    query = select(Payment).where(Payment.account_id == account_id, Payment.state.in_(BEFORE_THE_BANK))
    waiting = list(session.scalars(query.order_by(Payment.payment_id).with_for_update()))
    cancel(session, payments=waiting, by=by, reason="account_closed", today=today, now=now)
    return waiting


def close_bad_accounts(session: Session, *, moves: Iterable[Move], today: date, now: datetime) -> None:
    """Close the accounts of which the bank says that there is something wrong with them."""
    bad = {
        move.payment.account_id: code
        for move in moves
        if move.to in {State.FAILED, State.RETURNED} and move.payment.account_id is not None
        for code in (move.reason or "").split()[:1]
        if code in rules.ACCOUNT_REASONS
    }
    for account_id, code in sorted(bad.items()):
        close_account(session, account_id=account_id, by=BANK, reason=code, today=today, now=now)


def _take(session: Session, payment_id: str, order: Order, *, today: date, now: datetime) -> None:
    """The money leaves its owner's cash (`InsufficientCash`, where it has less, or owes what it would have left)."""
    cash, money = cash_of(order.party_id), commodity(order.currency)
    books.open_money(session, currency=order.currency, paths=[cash, books.paying(cash)])
    legs = (Leg(cash, money, -order.amount_minor), Leg(books.paying(cash), money, order.amount_minor))
    transfer = Transfer(f"{payment_id}/proposed", today, f"{order.kind} to pay", legs)
    try:
        with session.begin_nested():  # a refusal that is committed would be final
            post(session.connection(), transfers=[transfer], now=now)
    except InsufficientFunds as short:
        raise _short(order, short.available_minor) from None
    if order.kind is Kind.PRICE and order.party_id is not None:
        # Read after the cash was locked: whoever makes the seller owe more takes what cash it has first.
        debts = books.seller_recourse(order.party_id)
        left = balances(session.connection(), accounts=[(cash, money), (debts, money)])
        owed_minor = chains.called_minor(session, company_id=order.party_id, currency=order.currency)
        owed_minor -= min(left.get((debts, money), 0), 0)
        if left[cash, money] < owed_minor:
            raise _short(order, order.amount_minor + left[cash, money] - owed_minor)
    if order.receipt_id is not None:
        session.execute(REFUNDED, {"minor": order.amount_minor, "id": order.receipt_id})


def _short(order: Order, available_minor: int) -> InsufficientCash:
    numbers: dict[str, Any] = {"currency": order.currency, "available_minor": available_minor}
    fault = Fault("insufficient_cash", "/part_minor", f"at most {max(available_minor, 0)}", order.amount_minor)
    return InsufficientCash("There is not that much to pay out.", faults=(fault,), **numbers)


def _post(session: Session, moves: Iterable[Move], *, now: datetime) -> None:
    """What the steps mean for the books: out of the bank, back into it, or back to whose it was."""
    transfers: list[Transfer] = []
    backs: list[Reversal] = []
    for move in moves:
        one, day = move.payment, move.effective_date
        cash, money = cash_of(one.party_id), commodity(one.currency)
        if move.to is State.PAID:
            legs = (Leg(books.paying(cash), money, -one.amount_minor), Leg(books.BANK, money, one.amount_minor))
            transfers.append(Transfer(f"{one.payment_id}/paid", day, f"{one.kind} paid", legs))
        elif move.to is State.RETURNED:
            legs = (Leg(books.BANK, money, -one.amount_minor), Leg(cash, money, one.amount_minor))
            transfers.append(Transfer(f"{one.payment_id}/returned", day, f"{one.kind} returned", legs))
        elif not NEXT[move.to]:
            backs.append(Reversal(f"{one.payment_id}/back", f"{one.payment_id}/proposed", day))
        if one.receipt_id is not None and not NEXT[move.to]:
            session.execute(REFUNDED, {"minor": -one.amount_minor, "id": one.receipt_id})
    if transfers:
        post(session.connection(), transfers=transfers, now=now)
    if backs:
        reverse(session.connection(), reversals=backs, now=now)


def _step(
    payment: Payment, number: int, to: State, by: str | None, day: date, now: datetime, reason: str | None = None
) -> tuple[object, ...]:
    return payment.payment_id, number, to.value, by or JOB, reason, day, now


def _tell(session: Session, payments: Iterable[tuple[Payment, str | None]], *, now: datetime) -> None:
    notices = []
    for payment, reason in payments:
        if payment.kind == Kind.WITHDRAWAL and payment.party_id is not None:
            data = {
                "payment_id": payment.payment_id,
                "currency": payment.currency,
                "amount_minor": payment.amount_minor,
                "execution_date": payment.execution_date.isoformat() if payment.execution_date else None,
                "reason": reason,
            }
            notices.append(Notice(payment.party_id, f"payment.{payment.state}", data))
    tell_many(session, notices=notices, now=now)


def _tell_paid(session: Session, moves: Iterable[Move], *, now: datetime) -> None:
    """Tell each funder that the price of a purchase is out at the seller's."""
    notices = []
    for move in moves:
        one = move.payment
        if one.kind != Kind.PRICE or one.party_id is None:
            continue
        bought = paid_with(session, payment_id=one.payment_id, seller_id=one.party_id, currency=one.currency)
        for offer_id, funder_id, amount_minor in bought:
            data = {"offer_id": offer_id, "currency": one.currency, "amount_minor": amount_minor}
            data |= {"effective_date": move.effective_date.isoformat()}
            notices.append(Notice(funder_id, "settlement.price_paid", data))
    tell_many(session, notices=notices, now=now)


def locked(session: Session, payment_ids: Sequence[str]) -> dict[str, Payment]:
    """Payments under their lock, taken in one order, as they are now."""
    query = select(Payment).where(Payment.payment_id == func.any(list(payment_ids))).order_by(Payment.payment_id)
    rows = session.scalars(query.with_for_update().execution_options(populate_existing=True))
    return {row.payment_id: row for row in rows}
