"""Files of instructions: payments that are due, each in one file, whose bytes never change."""

import hashlib
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from exchange.banking import names, pain001
from exchange.banking.pain001 import Debtor, Instruction
from exchange.banking.payments import Payment as Transfer
from exchange.banking.payments import State
from exchange.errors import NotFound
from exchange.ids import new_id
from exchange.payments import queries, rules
from exchange.payments.actions import JOB, Move, move_many
from exchange.payments.models import Payment, PaymentFile
from exchange.payments.rules import NoDebtor, NothingToPay
from exchange.services import Services
from exchange.settlement.models import BankAccount


def make_file(
    session: Session, *, services: Services, account: str, message: str, client_id: str | None, now: datetime
) -> PaymentFile:
    """Instruct the bank of a collection account to make the payments that are due, at most the policy's number.

    Each goes out on its day, or the next on which the bank can still do it. Refuses `NotFound`, `NoDebtor`,
    `NothingToPay` and `rules.CalendarUnknown`.
    """
    policy, today = queries.policy(session)[1], services.business_date(now)
    own = session.get(BankAccount, names.account(account))
    if own is None:
        raise NotFound("There is no such collection account.")
    payer = next((one for one in policy.payers if names.account(one.account) == own.account), None)
    if payer is None:
        raise NoDebtor(f"Put in the policy in whose name {own.account} pays.")
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('payments.files'))"))
    due = select(Payment).where(Payment.state == State.SCHEDULED, Payment.currency == own.currency)
    ordered = due.where(Payment.execution_date <= today).order_by(Payment.execution_date, Payment.payment_id)
    payments = list(session.scalars(ordered.limit(policy.most_payments).with_for_update()))
    if not payments:
        raise NothingToPay(f"No payment in {own.currency} is due on {today}.")
    first = rules.execution_date(now, policy=policy, time_zone=services.settings.time_zone)
    for payment in payments:
        payment.execution_date = max(payment.execution_date or first, first)
    debtor = Debtor(payer.name, own.account, payer.agent)
    file_id = new_id("pmf", now=now, entropy=services.entropy, purpose=payments[0].payment_id)
    instruction = Instruction(bank_id(file_id), now, debtor, [as_transfer(payment) for payment in payments])
    file = _keep(session, file_id, own, instruction, message=message, client_id=client_id, now=now)
    for payment in payments:
        payment.file_id = file_id
    by = client_id or JOB
    moves = [Move(payment, State.INSTRUCTED, by, today, bank_id(file_id)) for payment in payments]
    move_many(session, moves=moves, now=now)
    return file


def bank_id(own_id: str) -> str:
    """An id of ours as banks write it: an underscore is not among the characters that every bank takes."""
    return own_id.replace("_", "-")


def own_id(said: str) -> str:
    """Our id for what a bank calls it, in whatever case and with whatever between prefix and number."""
    plain = names.reference(said)
    return f"{plain[:3]}_{plain[3:]}"


def as_transfer(payment: Payment) -> Transfer:
    """The payment as the file has it."""
    return Transfer(
        payment_id=bank_id(payment.payment_id),
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        creditor_name=payment.creditor_name,
        creditor_account=payment.creditor_account,
        execution_date=payment.execution_date or payment.proposed_on,
        remittance=f"{payment.kind} {bank_id(payment.payment_id)}",
        creditor_agent=payment.creditor_agent,
    )


def content_of(session: Session, *, file_id: str) -> bytes:
    """The file's bytes (`NotFound`)."""
    content = session.scalars(select(PaymentFile.content).where(PaymentFile.file_id == file_id)).first()
    if content is None:
        raise NotFound("There is no such file.")
    return bytes(content)


def _keep(
    session: Session,
    file_id: str,
    account: BankAccount,
    instruction: Instruction,
    *,
    message: str,
    client_id: str | None,
    now: datetime,
) -> PaymentFile:
    content = pain001.write(instruction, message=message)
    file = PaymentFile(
        file_id=file_id,
        message_id=instruction.message_id,
        account=account.account,
        currency=account.currency,
        message=message,
        payment_count=len(instruction.payments),
        sum_minor=sum(one.amount_minor for one in instruction.payments),
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        made_by=client_id,
        made_at=now,
    )
    session.add(file)
    session.flush()
    return file
