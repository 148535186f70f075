"""What the bank says of our payments: answers to files, and lines of statements."""

import hashlib
from datetime import date, datetime
from io import BytesIO
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from exchange.banking import pain002
from exchange.banking.pain002 import Report, Status
from exchange.banking.payments import State, UnknownPayment, WrongState, answered
from exchange.banking.refusals import BankFileRefused
from exchange.errors import Fault
from exchange.payments import rules
from exchange.payments.actions import BANK, Move, close_bad_accounts, locked, move_many
from exchange.payments.files import bank_id, own_id
from exchange.payments.models import Payment, PaymentAnswer, PaymentFile
from exchange.payments.rules import AnswerContradicts, AnswerRefused
from exchange.settlement.models import BankLine
from exchange.settlement.receipts import hold_receipts
from exchange.settlement.reversals import take_out

LONGEST_REASON = 200


class Taken(NamedTuple):
    """An answer that was taken: to which file, how many payments it moved, whether the same bytes came before."""

    file_id: str
    moved: int
    known: bool


def take_answer(session: Session, *, content: bytes, client_id: str | None, today: date, now: datetime) -> Taken:
    """Take a bank's answer (pain.002) to a file of ours; the same again, or an older one, changes nothing.

    All of it or none. Refuses what is no answer, or one to a payment or file that nobody made (`AnswerRefused`), and
    what contradicts an earlier answer (`AnswerContradicts`).
    """
    report = _read(content)
    digest = hashlib.sha256(content).hexdigest()
    file = session.get(PaymentFile, own_id(report.message_id), with_for_update=True)
    if file is None:
        raise _refused("unknown_payment", f"there is no file {report.message_id[:40]!r} of ours")
    known = session.get(PaymentAnswer, digest)
    if known is not None:
        return Taken(file.file_id, known.moved, known=True)
    query = select(Payment).where(Payment.file_id == file.file_id).order_by(Payment.payment_id)
    payments = {bank_id(one.payment_id): one for one in session.scalars(query.with_for_update())}
    moves = _moves(payments, _said(report, payments), today=today)
    move_many(session, moves=moves, now=now)
    close_bad_accounts(session, moves=moves, today=today, now=now)
    row = {"digest": digest, "file_id": file.file_id, "moved": len(moves), "entered_by": client_id, "entered_at": now}
    session.execute(insert(PaymentAnswer).values(row))
    return Taken(file.file_id, len(moves), known=False)


def confirm_line(session: Session, *, line_id: str, today: date, now: datetime) -> None:
    """Let a line of a statement that names a payment of ours say what became of it, or wait for a person with why.

    Money that left confirms it; money that came back returns it. A line of a day to come waits for its day.
    """
    hold_receipts(session)
    line = session.get_one(BankLine, line_id, with_for_update=True)
    shown = line.proposal or {}
    if line.state != "open" or shown.get("kind") not in {"payment_out", "payment_return"}:
        return
    payment = locked(session, shown["payments"]).get(shown["payments"][0])
    reason = _why_not(line, payment, len(shown["payments"]), today=today)
    if reason is not None or payment is None:
        line.proposal = shown | {"reasons": list(dict.fromkeys([*shown["reasons"], reason]))}
    elif line.amount_minor < 0:
        _paid(session, line, payment, now=now)
        line.state = "booked"
    else:
        _returned(session, line, payment, today=today, now=now)
        line.state = "booked"
    session.flush()


def _read(content: bytes) -> Report:
    try:
        return pain002.read(BytesIO(content))
    except BankFileRefused as refused:
        raise _refused(refused.code, f"{refused}") from None


def _said(report: Report, payments: dict[str, Payment]) -> dict[str, Status]:
    try:
        return report.of(payments)
    except UnknownPayment as unknown:
        raise _refused(unknown.code, f"{unknown}") from None


def _moves(payments: dict[str, Payment], said: dict[str, Status], *, today: date) -> list[Move]:
    """The steps that the answer asks for, in the order of payments."""
    moves, faults = [], []
    for name, status in sorted(said.items()):
        payment = payments[name]
        try:
            to = answered(State(payment.state), status=status.status)
        except WrongState as wrong:
            faults.append(Fault("wrong_state", "", f"{payment.payment_id}: {wrong}", status.status))
            continue
        if to != payment.state:
            reason = " ".join([*status.reason_codes, status.status, *status.texts])[:LONGEST_REASON]
            moves.append(Move(payment, to, BANK, today, reason))
    if faults:
        raise AnswerContradicts("Ask the bank; nothing was changed.", faults=tuple(faults[:100]))
    return moves


def _why_not(line: BankLine, payment: Payment | None, count: int, *, today: date) -> str | None:
    if payment is None:
        return "unknown_payment"
    if count > 1:
        return "names_more"
    if line.currency != payment.currency:
        return "currency_differs"
    if line.value_date > today:
        return "value_date_in_future"
    if line.amount_minor < 0 and payment.line_id is not None:
        return "paid_before"
    judge = rules.why_not_paid if line.amount_minor < 0 else rules.why_not_returned
    return judge(State(payment.state), amount_minor=payment.amount_minor, line_minor=line.amount_minor)


def _paid(session: Session, line: BankLine, payment: Payment, *, now: datetime) -> None:
    """The money has left; a bank's answer may have said so before."""
    if payment.state != State.PAID:
        move_many(session, moves=[Move(payment, State.PAID, BANK, line.value_date, line.line_id)], now=now)
    payment.line_id = line.line_id


def _returned(session: Session, line: BankLine, payment: Payment, *, today: date, now: datetime) -> None:
    """The money is back: it is its owner's again, no longer money that nobody could place."""
    take_out(session, line_ids=[line.line_id], now=now)
    reason = " ".join(filter(None, [line.return_reason, line.line_id]))
    steps = (State.RETURNED,) if payment.state == State.PAID else (State.PAID, State.RETURNED)
    moves = [Move(payment, to, BANK, line.value_date, reason) for to in steps]
    move_many(session, moves=moves, now=now)
    payment.return_line_id = line.line_id
    close_bad_accounts(session, moves=moves, today=today, now=now)


def _refused(code: str, message: str) -> AnswerRefused:
    return AnswerRefused(f"{message[:500]}.", faults=(Fault(code, "", message[:500]),))
