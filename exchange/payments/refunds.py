"""Refunds: money that nobody could place goes back to where it came from."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from exchange.errors import Fault, InvalidRequest, NotFound
from exchange.payments import rules
from exchange.payments.actions import Order, hold_cash, propose
from exchange.payments.models import Payment
from exchange.payments.rules import Creditor, Kind, NotRefundable
from exchange.services import Services
from exchange.settlement.models import BankLine, Receipt
from exchange.settlement.receipts import hold_receipts

DECIDED = ("booked", "left", "refund")


def refund(
    session: Session,
    *,
    services: Services,
    receipt_id: str,
    amount_minor: int | None,
    creditor: Creditor | None,
    client_id: str,
    now: datetime,
) -> Payment:
    """Send back what of a receipt is unapplied, or a part of it, to the account it came from.

    `creditor` says where to when the bank did not say where from; a second person then approves whatever the amount.
    Refuses `NotFound`, `NotRefundable`, accounts that are none (`InvalidRequest`), and what `propose` refuses.
    """
    hold_receipts(session)
    receipt = session.scalars(select(Receipt).where(Receipt.receipt_id == receipt_id).with_for_update()).first()
    if receipt is None:
        raise NotFound("There is no such receipt.")
    line = session.get(BankLine, receipt.line_id, with_for_update=True) if receipt.line_id else None
    left_minor = _left_minor(receipt, line)
    amount_minor = left_minor if amount_minor is None else amount_minor
    if amount_minor > left_minor:
        fault = Fault("more_than_unapplied", "/part_minor", f"at most {left_minor}", amount_minor)
        raise NotRefundable("Not that much of it is unapplied.", faults=(fault,), unapplied_minor=left_minor)
    hold_cash(session, party_id=None, currency=receipt.currency)
    order = Order(
        Kind.REFUND,
        None,
        receipt.currency,
        amount_minor,
        creditor or _came_from(receipt, line),
        receipt_id=receipt_id,
        by=client_id,
        by_hand=creditor is not None,
    )
    faults = rules.account_faults(order.creditor, at="/creditor") if order.by_hand else []
    if faults:
        raise InvalidRequest("No money can be sent to this account.", faults=tuple(faults))
    return propose(session, services=services, order=order, now=now)


def _left_minor(receipt: Receipt, line: BankLine | None) -> int:
    """What of the receipt is nobody's (`NotRefundable`: nothing, or a person has still to look at its line)."""
    if line is not None and line.state not in DECIDED:
        raise NotRefundable(f"Its line {line.line_id} is {line.state}: decide about it first.", state=line.state)
    left_minor = receipt.amount_minor - receipt.applied_minor - receipt.refunded_minor
    if receipt.reversed_on is not None or left_minor < 1:
        raise NotRefundable("Nothing of it is unapplied.", unapplied_minor=0)
    return left_minor


def _came_from(receipt: Receipt, line: BankLine | None) -> Creditor:
    """Who paid, from where, as the bank wrote it (`NotRefundable`, where it wrote no account)."""
    name = (line.counterparty_name if line else receipt.payer_name) or "NOT PROVIDED"
    if line is None or not line.counterparty_account:
        fault = Fault("creditor_missing", "/creditor", "the bank did not say where it came from: say where it goes")
        raise NotRefundable("Nobody knows the account that it came from.", faults=(fault,))
    return Creditor(name[:140], line.counterparty_account[:34])
