"""Bank statements come in: read piece by piece, checked, and kept with their lines. What a line pays is found later.

Nothing is locked while a file is read but the file itself: its second copy waits for the first.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from http import HTTPStatus
from io import BytesIO, TextIOWrapper
from typing import Any, NamedTuple

import orjson
from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.banking import camt, mt940, names, table
from exchange.banking.refusals import BankFileRefused, FieldMalformed, FileTooLarge, FileUnreadable
from exchange.banking.statement import Closing, Line, Opening, Part
from exchange.db import copy_rows
from exchange.entropy import Entropy
from exchange.errors import Fault, NotFound, Refusal, UnsupportedMediaType
from exchange.ids import new_id
from exchange.schemas import MAX_MINOR
from exchange.settlement.models import BankAccount, BankLine, BankStatement

READ = ("application/xml", "text/xml", "text/plain", "text/csv")
"""camt.053 and camt.054 twice, MT940, a table."""
BATCH = 1_000
MOST_LINES = 200_000
"""Of one file: what is kept in one transaction and one request. A bank that has more sends more files."""
MARKS = {"text/csv": b"\n", "text/plain": b"\n:61:", "application/xml": b"Ntry>", "text/xml": b"Ntry>"}
"""What a line has at least one of, so that a file of too many is refused before it is read."""
LONGEST_REFERENCE = 100
LONGEST_NAME = 200
LONGEST_TEXT = 4_000
MOST_REFERENCES = 20
LARGEST_BALANCE_MINOR = 10**18

COLUMNS = (
    "line_id statement_id number account currency bank_reference booking_date value_date amount_minor "
    "counterparty_name counterparty_account remittance references end_to_end_id transaction_code is_reversal "
    "return_reason state"
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class StatementRefused(Refusal):
    """The bank's file is not taken; the fault has the reader's code and the place in the file."""

    code = "statement_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The bank's file cannot be taken"


class StatementKnown(Refusal):
    """The very same file came before."""

    code = "statement_known"
    title = "This file was entered before"


class AccountDiffers(Refusal):
    """An account keeps its currency."""

    code = "account_differs"
    title = "The account was entered in another currency"


class UnknownAccount(BankFileRefused):
    """The statement is of an account nobody entered, or in another currency than it."""

    code = "unknown_account"


class File(NamedTuple):
    """A bank's file. `account` names the map of a table's columns, `encoding` that of its text."""

    content: bytes
    media_type: str
    account: str | None
    encoding: str
    client_id: str


class Kept(NamedTuple):
    """A statement that was kept."""

    statement_id: str
    account: str
    currency: str
    line_count: int


@dataclass(slots=True)
class _Writer:
    """A statement while its lines come in; they are written a batch at a time."""

    session: Session
    statement_id: str
    account: str
    currency: str
    now: datetime
    entropy: Entropy
    count: int = 0
    first: date | None = None
    last: date | None = None
    batch: list[tuple[object, ...]] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Take in a line (`FieldMalformed`: larger or longer than any bank's)."""
        reference = line.bank_reference
        if abs(line.amount_minor) > MAX_MINOR or len(reference) > LONGEST_REFERENCE or _CONTROL.search(reference):
            raise FieldMalformed("no bank writes such an amount or reference", where=line.where)
        self.count += 1
        self.first = min(self.first or line.booking_date, line.booking_date)
        self.last = max(self.last or line.booking_date, line.booking_date)
        purpose = f"{self.statement_id}/{self.count}"
        line_id = new_id("bln", now=self.now, entropy=self.entropy, purpose=purpose)
        self.batch.append((line_id, self.statement_id, self.count, self.account, self.currency, *_said(line), "new"))
        if len(self.batch) == BATCH:
            self._flush()

    def close(self, closing: Closing) -> Kept:
        """Write what is left, and the statement's end; from then on its lines are matched."""
        self._flush()
        ends: Mapping[str, Any] = {
            "line_count": self.count,
            "first_date": self.first,
            "last_date": self.last,
            "closing_minor": _balance(closing.balance_minor, self.statement_id),
        }
        mine = BankStatement.statement_id == self.statement_id
        self.session.execute(update(BankStatement).where(mine).values(**ends))
        jobs.enqueue(self.session, job="settlement.match_lines", payload={"statement_id": self.statement_id})
        return Kept(self.statement_id, self.account, self.currency, self.count)

    def _flush(self) -> None:
        copy_rows(self.session, BankLine.__tablename__, COLUMNS.split(), self.batch)
        self.batch = []


def put_account(
    session: Session, *, account: str, currency: str, columns: Mapping[str, Any] | None, now: datetime
) -> str:
    """Enter a collection account, or its table's columns anew, as it is kept (`AccountDiffers`: another currency)."""
    row = insert(BankAccount).values(account=names.account(account), currency=currency, table=columns, entered_at=now)
    again = row.on_conflict_do_update(
        index_elements=["account"], set_={"table": row.excluded.table}, where=BankAccount.currency == currency
    )
    known = session.execute(again.returning(BankAccount.account)).scalar_one_or_none()
    if known is None:
        raise AccountDiffers(f"{account} is not in {currency}.")
    return known


def enter_statements(session: Session, *, file: File, entropy: Entropy, now: datetime) -> list[Kept]:
    """Keep every statement of a file with its lines, all or none.

    Refuses what banking refuses (`StatementRefused`), the same file again (`StatementKnown`), a table of an account
    without columns (`NotFound`) and other types of files (`UnsupportedMediaType`).
    """
    digest = hashlib.sha256(file.content).hexdigest()
    accounts = session.execute(text("SELECT account, currency FROM bank_account"))
    currencies: dict[str, str] = {row.account: row.currency for row in accounts}
    kept: list[Kept] = []
    writer: _Writer | None = None
    lines = 0
    try:
        _check_count(file.content.count(MARKS.get(file.media_type, b"\0")) // 2)
        for part in _parts(session, file, digest):
            match part:
                case Opening():
                    _check_account(part, currencies)
                    statement_id = _open(session, file, (digest, len(kept)), part, entropy=entropy, now=now)
                    account = names.account(part.account)
                    writer = _Writer(session, statement_id, account, part.currency, now, entropy)
                case Line() if writer is not None:
                    lines += 1
                    _check_count(lines)
                    writer.add(part)
                case Closing() if writer is not None:
                    kept.append(writer.close(part))
        if not kept:
            raise FileUnreadable("there is no statement in it")
    except BankFileRefused as refused:
        raise _refusal(refused) from None
    except UnicodeDecodeError as error:
        raise _refusal(FileUnreadable(f"the text is not {file.encoding}", where=f"byte {error.start}")) from None
    return kept


def _parts(session: Session, file: File, digest: str) -> Iterator[Part]:
    if file.media_type not in READ:
        fault = Fault("unsupported_media_type", "", f"send one of {', '.join(READ)}", file.media_type)
        raise UnsupportedMediaType("The content type says the format.", faults=(fault,))
    if file.media_type.endswith("xml"):
        return camt.read(BytesIO(file.content))
    lines = TextIOWrapper(BytesIO(file.content), encoding=file.encoding, newline="")
    if file.media_type == "text/plain":
        return mt940.read(lines)
    account = session.get(BankAccount, names.account(file.account or ""))
    if account is None or account.table is None:
        raise NotFound("Name an account whose table's columns are known: ?account=…")
    columns = table.TableMap(account=account.account, currency=account.currency, **account.table)
    return table.read(lines, table=columns, statement_id=digest[:16])


def _check_count(lines: int) -> None:
    if lines > MOST_LINES:
        raise FileTooLarge(f"more than {MOST_LINES} lines: send them in several files")


def _check_account(opening: Opening, currencies: Mapping[str, str]) -> None:
    if currencies.get(names.account(opening.account)) != opening.currency:
        raise UnknownAccount(f"{opening.account[:40]!r} in {opening.currency} is no account of ours")


def _open(
    session: Session, file: File, place: tuple[str, int], opening: Opening, *, entropy: Entropy, now: datetime
) -> str:
    """Begin a statement; a copy of its file that is read at this moment waits here."""
    digest, number = place
    statement_id = new_id("stm", now=now, entropy=entropy, purpose=f"{digest}/{number}")
    row = insert(BankStatement).values(
        statement_id=statement_id,
        digest=digest,
        number=number,
        account=names.account(opening.account),
        currency=opening.currency,
        bank_id=_clean(opening.statement_id, LONGEST_REFERENCE),
        sequence=_clean(opening.sequence or "", LONGEST_REFERENCE) or None,
        opening_minor=_balance(opening.balance_minor, opening.statement_id),
        line_count=0,
        entered_by=file.client_id,
        entered_at=now,
    )
    if session.execute(row.on_conflict_do_nothing().returning(BankStatement.statement_id)).first() is None:
        raise StatementKnown("The same bytes were entered before; what became of them is in the list.")
    return statement_id


def _said(line: Line) -> tuple[object, ...]:
    """What the bank says of a line, without control characters and no longer than is kept."""
    references = [_clean(one, LONGEST_REFERENCE) for one in line.references[:MOST_REFERENCES]]
    return (
        line.bank_reference,
        line.booking_date,
        line.value_date,
        line.amount_minor,
        _clean(line.counterparty_name, LONGEST_NAME),
        names.account(_clean(line.counterparty_account, LONGEST_REFERENCE)),
        _clean(line.remittance, LONGEST_TEXT),
        orjson.dumps(references).decode(),
        _clean(line.end_to_end_id, LONGEST_REFERENCE),
        _clean(line.transaction_code, LONGEST_REFERENCE),
        line.is_reversal,
        _clean(line.return_reason, LONGEST_REFERENCE),
    )


def _clean(words: str, longest: int) -> str:
    return _CONTROL.sub(" ", words).strip()[:longest]


def _balance(amount_minor: int | None, where: str) -> int | None:
    if amount_minor is not None and abs(amount_minor) > LARGEST_BALANCE_MINOR:
        raise FieldMalformed("the balance is larger than any bank's", where=where)
    return amount_minor


def _refusal(refused: BankFileRefused) -> StatementRefused:
    return StatementRefused(f"{refused}.", faults=(Fault(refused.code, "", str(refused)),))
