"""ISO 20022 credit transfers (pain.001): payments as the file a bank takes; the same payments, the same bytes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby

from lxml import etree

from exchange.banking.payments import Payment
from exchange.banking.refusals import FieldMalformed, LineRepeated, UnknownFormat
from exchange.banking.xml import NAMESPACE, Element
from exchange.currencies import MINOR_DIGITS

LONGEST_ID = 35
LONGEST_NAME = LONGEST_REMITTANCE = 140
LONGEST_ACCOUNT = 34
NEWEST = "pain.001.001.09"
MESSAGES = (NEWEST, "pain.001.001.03")
IBAN = re.compile(r"[A-Z]{2}\d\d[A-Z0-9]{11,30}", re.ASCII)
BIC = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9+?/:().,'_-][A-Za-z0-9+?/:().,' _-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Debtor:
    """Who pays, from which account at which bank."""

    name: str
    account: str
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One file: `message_id` is ours and used once; `created_at` is aware."""

    message_id: str
    created_at: datetime
    debtor: Debtor
    payments: Sequence[Payment]


def write(instruction: Instruction, *, message: str = "pain.001.001.09") -> bytes:
    """The file: one block for each execution date and currency, in order of payment ids, with control sums.

    Refuses `UnknownFormat`, `FieldMalformed` (no payment, an id or text that the format does not hold, an amount that
    is not positive) and `LineRepeated` (two payments under one id).
    """
    if message not in MESSAGES:
        raise UnknownFormat(f"{message} is not written here")
    _check(instruction)
    payments = sorted(instruction.payments, key=lambda one: (one.execution_date, one.currency, one.payment_id))
    root = etree.Element("Document", nsmap={None: f"{NAMESPACE}{message}"})  # type: ignore[dict-item]  # the stubs forget the default namespace
    top = etree.SubElement(root, "CstmrCdtTrfInitn")
    head = etree.SubElement(top, "GrpHdr")
    _put(head, "MsgId", instruction.message_id)
    _put(head, "CreDtTm", f"{instruction.created_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    _put(head, "NbOfTxs", str(len(payments)))
    _put(head, "CtrlSum", _sum(payments))
    _put(etree.SubElement(head, "InitgPty"), "Nm", instruction.debtor.name)
    blocks = groupby(payments, key=lambda one: (one.execution_date, one.currency))
    for number, (_, block) in enumerate(blocks, start=1):
        _block(top, instruction, list(block), number=number, newer=message == NEWEST)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def amount_text(payment: Payment) -> str:
    """The amount with its decimal point."""
    return str(Decimal(payment.amount_minor).scaleb(-MINOR_DIGITS[payment.currency]))


def _block(top: Element, instruction: Instruction, payments: list[Payment], *, number: int, newer: bool) -> None:
    """One PmtInf: the payments of one day and currency."""
    debtor = instruction.debtor
    block = etree.SubElement(top, "PmtInf")
    _put(block, "PmtInfId", f"{instruction.message_id[: LONGEST_ID - 5]}-{number:04d}")
    _put(block, "PmtMtd", "TRF")
    _put(block, "NbOfTxs", str(len(payments)))
    _put(block, "CtrlSum", _sum(payments))
    day = etree.SubElement(block, "ReqdExctnDt")
    text = payments[0].execution_date.isoformat()
    if newer:
        _put(day, "Dt", text)
    else:
        day.text = text
    _put(etree.SubElement(block, "Dbtr"), "Nm", debtor.name)
    _account(block, "DbtrAcct", debtor.account)
    _agent(block, "DbtrAgt", debtor.agent, newer=newer)
    for payment in payments:
        _transfer(block, payment, newer=newer)


def _transfer(block: Element, payment: Payment, *, newer: bool) -> None:
    transfer = etree.SubElement(block, "CdtTrfTxInf")
    _put(etree.SubElement(transfer, "PmtId"), "EndToEndId", payment.payment_id)
    amount = etree.SubElement(etree.SubElement(transfer, "Amt"), "InstdAmt", Ccy=payment.currency)
    amount.text = amount_text(payment)
    if payment.creditor_agent:
        _agent(transfer, "CdtrAgt", payment.creditor_agent, newer=newer)
    _put(etree.SubElement(transfer, "Cdtr"), "Nm", payment.creditor_name)
    _account(transfer, "CdtrAcct", payment.creditor_account)
    if payment.remittance or payment.creditor_reference:
        remittance = etree.SubElement(transfer, "RmtInf")
        if payment.remittance:
            _put(remittance, "Ustrd", payment.remittance)
        if payment.creditor_reference:
            reference = etree.SubElement(etree.SubElement(remittance, "Strd"), "CdtrRefInf")
            _put(reference, "Ref", payment.creditor_reference)


def _put(parent: Element, name: str, text: str) -> None:
    etree.SubElement(parent, name).text = text


def _account(parent: Element, name: str, account: str) -> None:
    holder = etree.SubElement(etree.SubElement(parent, name), "Id")
    if IBAN.fullmatch(account):
        _put(holder, "IBAN", account)
    else:
        _put(etree.SubElement(holder, "Othr"), "Id", account)


def _agent(parent: Element, name: str, agent: str, *, newer: bool) -> None:
    """The bank: by BIC, else by the number it has in its country; a debtor's unnamed one is said to be so."""
    institution = etree.SubElement(etree.SubElement(parent, name), "FinInstnId")
    if BIC.fullmatch(agent):
        _put(institution, "BICFI" if newer else "BIC", agent)
    else:
        _put(etree.SubElement(institution, "Othr"), "Id", agent or "NOTPROVIDED")


def _sum(payments: Sequence[Payment]) -> str:
    """The control sum: of the numbers, whatever their currencies."""
    return str(sum((Decimal(amount_text(payment)) for payment in payments), Decimal(0)))


def _check(instruction: Instruction) -> None:
    if not instruction.payments:
        raise FieldMalformed("there is no payment in it", where=instruction.message_id)
    _check_id(instruction.message_id, "message_id")
    _check_text(instruction.debtor.name, LONGEST_NAME, "debtor name")
    _check_text(instruction.debtor.account, LONGEST_ACCOUNT, "debtor account")
    seen = set()
    for payment in instruction.payments:
        where = payment.payment_id
        _check_id(where, "payment_id")
        if where in seen:
            raise LineRepeated("two payments have this id", where=where)
        seen.add(where)
        if payment.currency not in MINOR_DIGITS or payment.amount_minor < 1:
            raise FieldMalformed(f"{payment.amount_minor} {payment.currency} cannot be paid", where=where)
        _check_text(payment.creditor_name, LONGEST_NAME, where)
        _check_text(payment.creditor_account, LONGEST_ACCOUNT, where)
        _check_text(payment.remittance or "-", LONGEST_REMITTANCE, where)
        _check_text(payment.creditor_reference or "-", LONGEST_ID, where)


def _check_id(text: str, name: str) -> None:
    if len(text) > LONGEST_ID or not _ID.fullmatch(text):
        raise FieldMalformed(f"{text[:50]!r} is no id of at most {LONGEST_ID} plain characters", where=name)


def _check_text(text: str, longest: int, where: str) -> None:
    if not 1 <= len(text) <= longest or not text.isprintable():
        raise FieldMalformed(f"{text[:50]!r} is not 1 to {longest} printable characters", where=where)
