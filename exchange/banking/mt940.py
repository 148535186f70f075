"""SWIFT MT940 customer statements, with the ways in which banks fill the free field :86:."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import chain

from exchange.banking.refusals import FieldMalformed, FieldMissing, FileTooLarge, FileUnreadable, PagesMissing
from exchange.banking.statement import Closing, Line, Opening, Part, checked, minor

LONGEST_LINE = 2_000
LONGEST_FIELD = 100
"""Lines of one field; the format allows six."""

_TAG = re.compile(r":(\d\d[A-Z]?):(.*)", re.ASCII)
_BALANCE = re.compile(r"([CD])(\d{6})([A-Z]{3})(\d{1,15}(?:,\d{0,3})?)", re.ASCII)
_ENTRY = re.compile(
    r"(?P<value>\d{6})(?P<booked>\d{4})?(?P<mark>R?[CD])[A-Z]?(?P<amount>\d{1,15}(?:,\d{0,3})?)"
    r"(?P<code>[NSF][A-Z0-9]{3})(?P<own>(?:(?!//).){0,16})(?://(?P<bank>.{0,16}))?",
    re.ASCII,
)
_NUMBERED = re.compile(r"\?(\d\d)")
_CODED = re.compile(r"/(EREF|KREF|MREF|ORDP|BENM|REMI|CDTRREF|RTRN|NAME|IBAN|ACCW|PURP|CSID|DEBT|TRCD|OCMT|ISDT)/")
_SIGNS = {"C": 1, "D": -1, "RC": -1, "RD": 1}
"""A reversed credit takes money away, a reversed debit brings it back."""
_HALF = 50


@dataclass(slots=True)
class _Message:
    """A statement message while it is read."""

    statement_id: str = ""
    account: str = ""
    number: str = ""
    part: int = 1
    currency: str = ""
    line: Line | None = None
    fields: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Field:
    """One tagged field: its lines, and the line of the file it begins in."""

    tag: str
    lines: list[str]
    where: str


def read(text: Iterable[str]) -> Iterator[Part]:
    """The lines of every statement in `text` (lines of a file), added up. Parts of a statement follow each other.

    Refuses every `BankFileRefused`.
    """
    return checked(_parts(text))


def _parts(text: Iterable[str]) -> Iterator[Part]:
    message: _Message | None = None
    for one in _fields(text):
        if one.tag == "20":
            message = message or _Message(statement_id=one.lines[0].strip())
            continue
        if message is None:
            raise FileUnreadable(f"the field :{one.tag}: stands before any :20:", where=one.where)
        yield from _take(message, one)
        if one.tag == "62F":
            message = None
    if message is not None:
        raise FieldMissing("the statement has no closing balance", where=message.statement_id)


def _take(message: _Message, one: _Field) -> Iterator[Part]:
    """Read a field; what is finished by it is given."""
    if one.tag in {"61", "62F", "62M"} and message.line is not None:
        yield message.line
        message.line = None
    match one.tag:
        case "25" | "25P":
            message.account = one.lines[0].strip()
        case "28C" | "28":
            _number(message, one)
        case "60F":
            yield _opening(message, one)
        case "61":
            message.line = _entry(message, one)
        case "86" if message.line is not None:
            message.line = _informed(message.line, one.lines)
        case "62F":
            yield Closing(_balance(one)[0])
        case _:
            pass


def _fields(text: Iterable[str]) -> Iterator[_Field]:
    """The tagged fields of a file, without its envelopes."""
    current: _Field | None = None
    for number, raw in enumerate(chain(text, [":\n"]), start=1):
        line = raw.rstrip("\r\n")
        if len(line) > LONGEST_LINE:
            raise FileTooLarge("the line is longer than any of this format", where=f"line {number}")
        match = _TAG.match(line.rpartition("{4:")[2])
        if match or line in {":", "-", "-}"} or line.startswith(("{", "-}")):
            if current is not None:
                yield current
            current = _Field(match[1], [match[2]], f"line {number} :{match[1]}:") if match else None
        elif current is not None:
            current.lines.append(line)
            if len(current.lines) > LONGEST_FIELD:
                raise FileTooLarge("the field goes on without end", where=current.where)
        elif line.strip():
            raise FileUnreadable(f"{line[:40]!r} belongs to no field", where=f"line {number}")


def _number(message: _Message, one: _Field) -> None:
    """The statement's number and part: the parts of one statement follow each other from the first (`PagesMissing`)."""
    number, _, part = one.lines[0].strip().partition("/")
    count = int(part) if part.isascii() and part.isdecimal() else 1
    expected = message.part + 1 if message.number else 1
    if message.number not in {"", number} or (count > 1 and count != expected):
        raise PagesMissing(f"part {part or 1} of statement {number} is out of order", where=one.where)
    message.number, message.part = number, count


def _opening(message: _Message, one: _Field) -> Opening:
    balance, message.currency = _balance(one)
    if not message.account:
        raise FieldMissing("the statement names no account", where=one.where)
    return Opening(message.statement_id, message.account, message.currency, message.number or None, balance)


def _balance(one: _Field) -> tuple[int, str]:
    match = _BALANCE.fullmatch(one.lines[0].strip())
    if match is None:
        raise FieldMalformed(f"{one.lines[0][:40]!r} is no balance", where=one.where)
    _day(match[2], one.where)
    return _SIGNS[match[1]] * _minor(match[4], match[3], one.where), match[3]


def _entry(message: _Message, one: _Field) -> Line:
    match = _ENTRY.fullmatch(one.lines[0].rstrip())
    if match is None:
        raise FieldMalformed(f"{one.lines[0][:60]!r} is no movement", where=one.where)
    value = _day(match["value"], one.where)
    own, bank = match["own"].strip(), (match["bank"] or "").strip()
    own = "" if own == "NONREF" else own
    return Line(
        booking_date=_booked(match["booked"], value, one.where),
        value_date=value,
        amount_minor=_SIGNS[match["mark"]] * _minor(match["amount"], message.currency, one.where),
        currency=message.currency,
        where=one.where,
        bank_reference=bank,
        remittance=" ".join(line.strip() for line in one.lines[1:]),
        references=(own,) if own else (),
        transaction_code=match["code"],
        is_reversal=match["mark"].startswith("R"),
    )


def _minor(text: str, currency: str, where: str) -> int:
    return minor(text.rstrip(",").replace(",", "."), currency=currency, where=where)


def _day(text: str, where: str) -> date:
    """YYMMDD: years from 50 on are of the last century."""
    try:
        year = int(text[:2])
        return date(year + (1900 if year >= _HALF else 2000), int(text[2:4]), int(text[4:6]))
    except ValueError:
        raise FieldMalformed(f"{text!r} is no date", where=where) from None


def _booked(text: str | None, value: date, where: str) -> date:
    """MMDD, of the year that brings it closest to the value date."""
    if text is None:
        return value
    candidates = []
    for year in (value.year - 1, value.year, value.year + 1):
        try:
            candidates.append(date(year, int(text[:2]), int(text[2:])))
        except ValueError:
            continue
    if not candidates:
        raise FieldMalformed(f"{text!r} is no day of a year", where=where)
    return min(candidates, key=lambda day: abs(day - value))


def _informed(line: Line, lines: list[str]) -> Line:
    """The line with what :86: says: numbered subfields, code words, or plain text."""
    joined = "".join(lines)
    if _NUMBERED.search(joined[:6]):
        return _numbered(line, joined)
    if _CODED.search(joined):
        return _coded(line, joined)
    return replace(line, remittance=" ".join([line.remittance, *lines]).strip())


def _numbered(line: Line, text: str) -> Line:
    """`?20` to `?29` and `?60` to `?63` remittance, `?31` account, `?32` and `?33` name."""
    _, *pairs = _NUMBERED.split(text)
    parts = dict(zip(pairs[::2], pairs[1::2], strict=True))
    remittance = "".join(part for number, part in parts.items() if number[0] == "2" or "60" <= number <= "63")
    return _coded(
        replace(
            line,
            counterparty_name=(parts.get("32", "") + parts.get("33", "")).strip(),
            counterparty_account=parts.get("31", "").strip(),
        ),
        _sepa(remittance),
    )


def _sepa(text: str) -> str:
    """`EREF+…SVWZ+…` as the code words that mean the same."""
    for theirs, ours in (("EREF", "EREF"), ("KREF", "KREF"), ("MREF", "MREF"), ("SVWZ", "REMI")):
        text = text.replace(f"{theirs}+", f"/{ours}/")
    return text


def _coded(line: Line, text: str) -> Line:
    """`/EREF/`, `/ORDP/`, `/BENM/`, `/REMI/` and their like; text before the first is remittance too."""
    free, *pairs = _CODED.split(text)
    parts: dict[str, str] = {}
    for code, value in zip(pairs[::2], pairs[1::2], strict=True):
        parts[code] = (parts.get(code, "") + " " + value.strip(" /")).strip()
    end_to_end = parts.get("EREF", "")
    return replace(
        line,
        end_to_end_id="" if end_to_end == "NOTPROVIDED" else end_to_end,
        counterparty_name=line.counterparty_name or parts.get("NAME") or parts.get("ORDP") or parts.get("BENM", ""),
        counterparty_account=line.counterparty_account or parts.get("IBAN", ""),
        remittance=" ".join(filter(None, [line.remittance, free.strip(), parts.get("REMI", "")])),
        references=(*line.references, *filter(None, [parts.get("CDTRREF"), parts.get("KREF")])),
        return_reason=parts.get("RTRN", ""),
    )
