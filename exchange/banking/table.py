"""Statements as CSV: the columns that banks' web pages export, named by a small map."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from exchange.banking.refusals import DoesNotAddUp, FieldMalformed, FieldMissing, FileTooLarge, FileUnreadable
from exchange.banking.statement import Closing, Line, Opening, Part, checked, minor

LONGEST_CELL = 4_000


@dataclass(frozen=True, slots=True)
class TableMap:
    """Which column holds what. `columns` names, by our name, the bank's.

    The amount is one signed column (`amount`) or two (`money_in`, `money_out`); `balance`, after each line, lets the
    lines be added up. Dates are in `date_format` (strptime), numbers have `decimal_mark` and maybe `thousands_mark`.
    """

    account: str
    currency: str
    columns: Mapping[str, str]
    date_format: str = "%Y-%m-%d"
    decimal_mark: str = "."
    thousands_mark: str = ","
    delimiter: str = ","
    newest_first: bool = False


def read(text: Iterable[str], *, table: TableMap, statement_id: str) -> Iterator[Part]:
    """The lines of a table, in order of time, added up where there is a balance. Refuses every `BankFileRefused`."""
    return checked(_parts(text, table, statement_id))


def _parts(text: Iterable[str], table: TableMap, statement_id: str) -> Iterator[Part]:
    rows: Iterable[Mapping[str, str]] = _rows(text, table)
    if table.newest_first:
        rows = list(rows)[::-1]
    balance: int | None = None
    opened = False
    for row in rows:
        line = _line(row, table)
        after = _signed(row, "balance", table) if "balance" in table.columns else None
        before = None if after is None else after - line.amount_minor
        if not opened:
            yield Opening(statement_id, table.account, table.currency, None, before)
            opened = True
        elif before != balance:
            raise DoesNotAddUp(f"the balance jumps from {balance} to {before} minor units", where=line.where)
        balance = after
        yield line
    if not opened:
        yield Opening(statement_id, table.account, table.currency)
    yield Closing(balance)


def _rows(text: Iterable[str], table: TableMap) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(text, delimiter=table.delimiter, strict=True)
    try:
        header = [name.strip().removeprefix("\ufeff") for name in reader.fieldnames or ()]
        reader.fieldnames = header
        missing = sorted(set(table.columns.values()) - set(header))
        if missing:
            raise FieldMissing(f"there is no column {', '.join(missing)}", where="line 1")
        for row in reader:
            where = f"line {reader.line_num}"
            if None in row or None in row.values():
                raise FileUnreadable("the row has more or fewer cells than the first", where=where)
            if any(len(cell) > LONGEST_CELL for cell in row.values()):
                raise FileTooLarge(f"a cell has more than {LONGEST_CELL} characters", where=where)
            yield {name: row[column].strip() for name, column in table.columns.items()} | {"where": where}
    except csv.Error as error:
        raise FileUnreadable(str(error), where=f"line {reader.line_num}") from None


def _line(row: Mapping[str, str], table: TableMap) -> Line:
    where = row["where"]
    booked = _day(row, "booking_date", table)
    if "amount" in table.columns:
        amount = _signed(row, "amount", table)
    else:
        amount = abs(_signed(row, "money_in", table)) - abs(_signed(row, "money_out", table))
    currency = row.get("currency", "") or table.currency
    return Line(
        booking_date=booked,
        value_date=_day(row, "value_date", table) if row.get("value_date") else booked,
        amount_minor=amount,
        currency=currency,
        where=where,
        bank_reference=row.get("bank_reference", ""),
        counterparty_name=row.get("counterparty_name", ""),
        counterparty_account=row.get("counterparty_account", ""),
        remittance=row.get("remittance", ""),
        end_to_end_id=row.get("end_to_end_id", ""),
        transaction_code=row.get("transaction_code", ""),
    )


def _day(row: Mapping[str, str], name: str, table: TableMap) -> date:
    if not row.get(name):
        raise FieldMissing(f"{name} is missing", where=row["where"])
    try:
        return datetime.strptime(row[name], table.date_format).date()  # noqa: DTZ007 - a day has no time zone
    except ValueError:
        raise FieldMalformed(f"{row[name][:40]!r} is no date like {table.date_format}", where=row["where"]) from None


def _signed(row: Mapping[str, str], name: str, table: TableMap) -> int:
    """A signed amount in minor units; an empty cell is nothing."""
    text = row.get(name, "").replace(table.thousands_mark, "").replace(table.decimal_mark, ".").replace(" ", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.removeprefix("-").removeprefix("+")
    return sign * minor(digits, currency=table.currency, where=row["where"]) if digits else 0
