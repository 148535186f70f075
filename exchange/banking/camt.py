"""ISO 20022 statements (camt.053) and notifications (camt.054) of any version in use, as parts of a statement."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from exchange.banking.refusals import CurrencyMixed, DoesNotAddUp, FieldMalformed, FieldMissing, PagesMissing
from exchange.banking.statement import Closing, Line, Opening, Part, checked, minor
from exchange.banking.xml import Element, day, find, find_all, path, pieces, required, tag, words

MESSAGES = frozenset(f"camt.{kind}.001.{version:02d}" for kind in ("053", "054") for version in range(2, 14))
WHOLES = frozenset({"Stmt", "Ntfctn"})
OPENING, CLOSING = ("OPBD", "PRCD"), ("CLBD",)
SIGNS = {"CRDT": 1, "DBIT": -1}
TRUTHS = {"": False, "false": False, "0": False, "true": True, "1": True}


@dataclass(slots=True)
class _Statement:
    """A statement as far as it was read."""

    statement_id: str = ""
    sequence: str | None = None
    account: str = ""
    currency: str = ""
    balances: dict[str, int] = field(default_factory=dict)
    entries: int = 0
    announced: str = ""
    is_told: bool = False

    def opening(self) -> Iterator[Opening]:
        """The statement's beginning, once: its head stands before its lines."""
        if not self.is_told:
            self.is_told = True
            if not self.account or not self.currency:
                raise FieldMissing("the statement names no account with its currency", where=self.statement_id)
            yield Opening(self.statement_id, self.account, self.currency, self.sequence, self._balance(OPENING))

    def closing(self) -> Closing:
        """Its end (`DoesNotAddUp`: other than the announced number of entries)."""
        if self.announced and self.announced != str(self.entries):
            raise DoesNotAddUp(f"{self.entries} entries, not {self.announced[:20]}", where=self.statement_id)
        return Closing(self._balance(CLOSING))

    def _balance(self, codes: tuple[str, ...]) -> int | None:
        return next((self.balances[code] for code in codes if code in self.balances), None)


def read(stream: BinaryIO) -> Iterator[Part]:
    """The booked lines of every statement or notification in the file, added up.

    Pending entries are left out: they come again when booked. A line with details that have amounts of their own gives
    a line for each. Refuses every `BankFileRefused`.
    """
    return checked(_parts(stream))


def _parts(stream: BinaryIO) -> Iterator[Part]:
    statement = _Statement()
    for element in pieces(stream, messages=MESSAGES, wholes=WHOLES):
        name = tag(element)
        if name in WHOLES:
            yield from statement.opening()
            yield statement.closing()
            statement = _Statement()
        elif name == "Ntry":
            statement.entries += 1
            yield from statement.opening()
            yield from _lines(element)
        else:
            _note(statement, name, element)


def _note(statement: _Statement, name: str, element: Element) -> None:
    """Keep what the head of a statement says."""
    match name:
        case "Id":
            statement.statement_id = (element.text or "").strip()
        case "ElctrncSeqNb":
            statement.sequence = (element.text or "").strip() or None
        case "StmtPgntn" | "NtfctnPgntn":
            if (words(element, "PgNb"), words(element, "LastPgInd")) != ("1", "true"):
                raise PagesMissing("the statement is one page of several: ask for it whole", where=path(element))
        case "Acct":
            statement.account = words(element, "Id", "IBAN") or required(element, "Id", "Othr", "Id")
            statement.currency = words(element, "Ccy")
        case "Bal":
            _balance(statement, element)
        case "TxsSummry":
            statement.announced = words(element, "TtlNtries", "NbOfNtries")


def _balance(statement: _Statement, element: Element) -> None:
    code = words(element, "Tp", "CdOrPrtry", "Cd")
    amount, currency = _amount(element)
    statement.currency = statement.currency or currency
    if currency != statement.currency:
        raise CurrencyMixed(f"a balance in {currency}", where=path(element))
    statement.balances.setdefault(code, amount)


def _amount(element: Element) -> tuple[int, str]:
    """The signed amount of an element with Amt and CdtDbtInd, and its currency."""
    where = path(element)
    currency = _currency(find(element, "Amt"))
    sign = SIGNS.get(words(element, "CdtDbtInd"))
    if not currency or sign is None:
        raise FieldMissing("an Amt with its Ccy and a CdtDbtInd of CRDT or DBIT are needed", where=where)
    return sign * minor(required(element, "Amt"), currency=currency, where=where), currency


def _currency(amount: Element | None) -> str:
    return "" if amount is None else str(amount.get("Ccy", ""))


def _lines(entry: Element) -> Iterator[Line]:
    if (words(entry, "Sts", "Cd") or words(entry, "Sts")) != "BOOK":
        return
    details = [one for group in find_all(entry, "NtryDtls") for one in find_all(group, "TxDtls")]
    line = _line(entry)
    parts = _split(line, details) if len(details) > 1 else None
    if parts is not None:
        yield from parts
    elif len(details) == 1:
        yield _detailed(line, details[0])
    else:
        yield line


def _line(entry: Element) -> Line:
    where = path(entry)
    amount, currency = _amount(entry)
    booked = day(entry, "BookgDt") or day(entry, "ValDt")
    if booked is None:
        raise FieldMissing("the line has neither a booking nor a value date", where=where)
    reversal = words(entry, "RvslInd")
    if reversal not in TRUTHS:
        raise FieldMalformed(f"RvslInd is {reversal[:10]!r}", where=where)
    domain = ("Cd",), ("Fmly", "Cd"), ("Fmly", "SubFmlyCd")
    code = [words(entry, "BkTxCd", "Domn", *steps) for steps in domain]
    return Line(
        booking_date=booked,
        value_date=day(entry, "ValDt") or booked,
        amount_minor=amount,
        currency=currency,
        where=where,
        bank_reference=words(entry, "AcctSvcrRef"),
        remittance=words(entry, "AddtlNtryInf"),
        transaction_code="/".join(filter(None, code)) or words(entry, "BkTxCd", "Prtry", "Cd"),
        is_reversal=TRUTHS[reversal],
    )


def _split(line: Line, details: list[Element]) -> list[Line] | None:
    """A batch as its payments, which add up to it (`DoesNotAddUp`); None where they have no amounts of their own."""
    sign = 1 if line.amount_minor >= 0 else -1
    parts = []
    for number, one in enumerate(details, start=1):
        amount = find(one, "Amt")
        amount = find(one, "AmtDtls", "TxAmt", "Amt") if amount is None else amount
        if amount is None or _currency(amount) != line.currency:
            return None
        where = path(one)
        signed = SIGNS.get(words(one, "CdtDbtInd"), sign) * minor(
            (amount.text or "").strip(), currency=line.currency, where=where
        )
        reference = words(one, "Refs", "AcctSvcrRef")
        if line.bank_reference and reference in {"", line.bank_reference}:
            reference = f"{line.bank_reference}/{number}"
        part = replace(line, amount_minor=signed, bank_reference=reference, where=where)
        parts.append(_detailed(part, one))
    off = sum(part.amount_minor for part in parts) - line.amount_minor
    if off:
        raise DoesNotAddUp(f"the details are {off} minor units off their line", where=line.where)
    return parts


def _detailed(line: Line, detail: Element) -> Line:
    """The line with what its one payment says of the other side and of what it is for."""
    side = "Dbtr" if line.amount_minor >= 0 else "Cdtr"
    end_to_end = words(detail, "Refs", "EndToEndId")
    remittance = find(detail, "RmtInf")
    texts = [words(text) for text in find_all(remittance, "Ustrd")] if remittance is not None else []
    account = words(detail, "RltdPties", f"{side}Acct", "Id", "IBAN")
    return replace(
        line,
        bank_reference=line.bank_reference or words(detail, "Refs", "AcctSvcrRef"),
        counterparty_name=words(detail, "RltdPties", side, "Pty", "Nm") or words(detail, "RltdPties", side, "Nm"),
        counterparty_account=account or words(detail, "RltdPties", f"{side}Acct", "Id", "Othr", "Id"),
        remittance=" ".join(filter(None, texts)) or line.remittance,
        references=(*_references(detail), *_paid_to(detail, side)),
        end_to_end_id="" if end_to_end == "NOTPROVIDED" else end_to_end,
        return_reason=words(detail, "RtrInf", "Rsn", "Cd"),
    )


def _paid_to(detail: Element, side: str) -> Iterator[str]:
    """The account that money came to: a virtual number of ours, where the payer used one."""
    holder = find(detail, "RltdPties", "CdtrAcct", "Id") if side == "Dbtr" else None
    if holder is not None:
        yield from filter(None, [words(holder, "IBAN"), words(holder, "Othr", "Id")])


def _references(detail: Element) -> Iterator[str]:
    """The structured references of what is paid: creditor references and document numbers."""
    remittance = find(detail, "RmtInf")
    for structured in find_all(remittance, "Strd") if remittance is not None else []:
        numbers = [words(document, "Nb") for document in find_all(structured, "RfrdDocInf")]
        yield from filter(None, [words(structured, "CdtrRefInf", "Ref"), *numbers])
