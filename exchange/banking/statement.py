"""A bank statement as every format comes to: an opening, its lines, a closing; checked on the way, never held whole."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from exchange.banking.refusals import (
    CurrencyMixed,
    DoesNotAddUp,
    FieldMalformed,
    FieldMissing,
    LineRepeated,
    UnknownCurrency,
)
from exchange.currencies import MINOR_DIGITS

LONGEST_SHOWN = 40
REFERENCE_BYTES = 16

_PLAIN = re.compile(r"\d{1,18}(\.\d{0,5})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Opening:
    """A statement begins. A notification (camt.054) has no balance; `sequence` is the bank's count of statements."""

    statement_id: str
    account: str
    currency: str
    sequence: str | None = None
    balance_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One movement of money: positive came in, negative went out.

    `bank_reference` is the bank's own where it gives one, else made of what the line says (`checked`), so that the same
    line in another file has the same. `references` are what payer and bank call the payment, structured.
    """

    booking_date: date
    value_date: date
    amount_minor: int
    currency: str
    where: str
    bank_reference: str = ""
    counterparty_name: str = ""
    counterparty_account: str = ""
    remittance: str = ""
    references: tuple[str, ...] = ()
    end_to_end_id: str = ""
    transaction_code: str = ""
    is_reversal: bool = False
    return_reason: str = ""


@dataclass(frozen=True, slots=True)
class Closing:
    """A statement ends."""

    balance_minor: int | None = None


Part = Opening | Line | Closing


def checked(parts: Iterable[Part]) -> Iterator[Part]:
    """The same parts, each line under a reference, each statement added up before its closing is given.

    Whoever books lines does so in one transaction, which a late refusal undoes. Refuses `UnknownCurrency`,
    `CurrencyMixed`, `LineRepeated`, `DoesNotAddUp` and `FieldMissing` (a statement without its end).
    """
    opening: Opening | None = None
    balance = 0
    seen: dict[str, int] = {}
    for part in parts:
        match part:
            case Opening():
                if part.currency not in MINOR_DIGITS:
                    raise UnknownCurrency(f"{part.currency!r} is no currency in use", where=part.statement_id)
                opening, balance, seen = part, part.balance_minor or 0, {}
                yield part
            case Line():
                if opening is None or part.currency != opening.currency:
                    raise CurrencyMixed(f"an amount in {part.currency} on another account", where=part.where)
                balance += part.amount_minor
                yield _referenced(part, opening, seen)
            case Closing():
                if opening is not None:
                    _check_sum(opening, part, balance=balance)
                opening = None
                yield part
    if opening is not None:
        raise FieldMissing("the statement has no end", where=opening.statement_id)


def minor(text: str, *, currency: str, where: str) -> int:
    """The amount that `text` spells (a decimal point, no sign) in minor units (`FieldMalformed`, `UnknownCurrency`)."""
    if currency not in MINOR_DIGITS:
        raise UnknownCurrency(f"{currency!r} is no currency in use", where=where)
    scaled = Decimal(text).scaleb(MINOR_DIGITS[currency]) if _PLAIN.fullmatch(text) else None
    if scaled is None or scaled != scaled.to_integral_value():
        raise FieldMalformed(f"{text[:LONGEST_SHOWN]!r} is no amount in {currency}", where=where)
    return int(scaled)


def _check_sum(opening: Opening, closing: Closing, *, balance: int) -> None:
    if opening.balance_minor is None or closing.balance_minor is None or balance == closing.balance_minor:
        return
    off = balance - closing.balance_minor
    detail = f"opening balance and lines are {off} minor units off the closing balance"
    raise DoesNotAddUp(detail, where=opening.statement_id)


def _referenced(line: Line, opening: Opening, seen: dict[str, int]) -> Line:
    if line.bank_reference:
        if seen.setdefault(line.bank_reference, 0):
            raise LineRepeated(f"the reference {line.bank_reference!r} was there before", where=line.where)
        seen[line.bank_reference] = 1
        return line
    said = (
        opening.account,
        line.booking_date.isoformat(),
        line.value_date.isoformat(),
        f"{line.amount_minor} {line.currency}",
        line.counterparty_name,
        line.counterparty_account,
        line.end_to_end_id,
        line.remittance,
    )
    made = hashlib.sha256("\0".join(said).encode()).hexdigest()[: 2 * REFERENCE_BYTES]
    # Two lines that say the same on one day are two payments; the count keeps them apart, in this file and the next.
    seen[made] = seen.get(made, 0) + 1
    return replace(line, bank_reference=f"{made}-{seen[made]}")
