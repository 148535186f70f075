"""The second person: approves payments that others proposed, or declines them; and who may call one off."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.banking.payments import State, WrongState
from exchange.errors import Fault, NotFound, Refused
from exchange.payments import queries, rules
from exchange.payments.actions import approve, cancel, locked
from exchange.payments.models import Payment
from exchange.payments.rules import NotCancellable
from exchange.payments.schemas import PaymentApprovalItem
from exchange.services import Services

DECLINED = "declined"


def decide_payments(
    session: Session,
    *,
    services: Services,
    items: Sequence[tuple[int, PaymentApprovalItem]],
    caller: Caller,
    now: datetime,
) -> dict[int, Refused | None]:
    """Approve payments or decline them; by index None, or (status, fault) where that cannot be.

    Whoever decides first decides. What is declined is its owner's to use again. Refuses `rules.CalendarUnknown`.
    """
    payments = locked(session, [item.payment_id for _, item in items])
    mine = {name for name, one in payments.items() if is_mine(session, one, caller)}
    results: dict[int, Refused | None] = {}
    said: dict[str, PaymentApprovalItem] = {}
    for index, item in items:
        payment, at = payments.get(item.payment_id), f"/items/{index}/payment_id"
        state = None if payment is None else State(payment.state)
        state = State.APPROVED if item.payment_id in said else state
        made_by = None if payment is None else payment.proposed_by
        may = item.payment_id in mine
        results[index] = rules.approval_fault(state=state, made_by=made_by, client_id=caller.client_id, may=may, at=at)
        if results[index] is None:
            said[item.payment_id] = item
    approved = [payments[name] for name, item in said.items() if item.outcome == "approved"]
    approve(session, services=services, payments=approved, by=caller.client_id, now=now)
    today = services.business_date(now)
    for name, item in said.items():
        if item.outcome == DECLINED:
            reason = item.reason or DECLINED
            cancel(session, payments=[payments[name]], by=caller.client_id, reason=reason, today=today, now=now)
    return results


def cancel_payment(
    session: Session, *, services: Services, payment_id: str, caller: Caller, reason: str, now: datetime
) -> Payment:
    """Call a payment off while no bank knows of it (`NotFound`, `NotCancellable`)."""
    payment = locked(session, [payment_id]).get(payment_id)
    if payment is None or not is_mine(session, payment, caller):
        raise NotFound("There is no such payment.")
    today = services.business_date(now)
    try:
        cancel(session, payments=[payment], by=caller.client_id, reason=reason, today=today, now=now)
    except WrongState as wrong:
        fault = Fault("wrong_state", "", f"{wrong}")
        raise NotCancellable(f"{wrong}", faults=(fault,), state=payment.state) from None
    return payment


def is_mine(session: Session, payment: Payment, caller: Caller) -> bool:
    """Whether the client speaks for whose money it is, or for the exchange."""
    if caller.role is Role.PLATFORM:
        company_id = payment.party_id or ""
        return caller.party_id in queries.sold_through(session, company_id=company_id)
    return caller.role is Role.OPERATOR or payment.party_id == caller.party_id
