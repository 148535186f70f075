"""`exchange backtest`: how well later invoices, or failures of firms, are foretold from what was known before a day."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np

from exchange.errors import Refusal
from exchange.replay.backtest_page import page
from exchange.replay.mapping import CANONICAL, FileMapping, StatementYears, UnknownColumn, load_document, mapping_from
from exchange.replay.progress import Progress
from exchange.replay.records import Record, records
from exchange.replay.rows import FieldFault, ReplayRow, RowRefusal
from exchange.replay.source import rows
from scoring.backtest import backtest
from scoring.errors import ScoringError
from scoring.facts import MAX_FACE_MINOR, NOT_SETTLED, Trades
from scoring.statements import FirmYears, backtest_firms

EPOCH = date(1970, 1, 1)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_TOLD_EVERY = 1_000
_REFUSED_PERCENT_MAX = 50
_MISSING = frozenset({"", "NA", "N/A", "NAN", "NULL", "-"})
"""How tables of statements write a figure that they do not have."""

_FIELDS: dict[str, dict[str, str]] = {
    "invoice_number": {"constant": "unnumbered"},
    "product": {"constant": "receivable_factoring"},
    "currency": {"constant": "USD"},
    "seller.scheme": {"constant": "platform"},
    "seller.value": {"constant": "seller"},
    "obligor.scheme": {"constant": "platform"},
}
"""What a score does not ask for, so that a mapping for a backtest may leave it out."""


class BacktestRefused(Refusal):
    """The file or the options allow no backtest; the detail says why."""

    code = "backtest_refused"
    title = "No backtest can be made"


class RowsUnreadable(BacktestRefused):
    """More than half of the rows cannot be read: the mapping does not fit the file."""

    code = "backtest_rows_unreadable"


class Unjudgeable(BacktestRefused):
    """The rows can be read, but nothing can be learned or judged; `reason` is the scoring refusal's code."""

    code = "backtest_unjudgeable"


@dataclass(frozen=True, slots=True)
class Backtest:
    """What to judge: rows of `file` from `first_day` on, late by more than `horizon_days`."""

    file: Path
    map_file: Path | None
    first_day: date
    horizon_days: int


@click.command("backtest")
@click.argument("file", type=FILE)
@click.option("--map", "map_file", type=FILE, help="Names the columns; without it FILE has the canonical names.")
@click.option("--horizon", "horizon_days", type=click.IntRange(1, 3650), default=30, show_default=True,
              help="More than so many days late is the bad outcome.")  # fmt: skip
@click.option("--test-from", "first_day", type=click.DateTime(["%Y-%m-%d"]), required=True,
              help="Rows from this day on are judged; only outcomes known before it are learned from.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
def run_backtest(file: Path, map_file: Path | None, horizon_days: int, first_day: datetime, *, as_json: bool) -> None:
    """Judge the scores on FILE: features as of each day, fitted on labels known before a day, judged from it on."""
    report = backtest_file(Backtest(file, map_file, first_day.date(), horizon_days), progress=Progress())
    click.echo(msgspec.json.encode(report) if as_json else page(report))


def backtest_file(asked: Backtest, *, progress: Progress) -> dict[str, Any]:
    """Return the report. Raises a `Refusal` for what cannot be read or judged."""
    mapping = CANONICAL if asked.map_file is None else mapping_from(completed(load_document(asked.map_file)))
    progress.stage(f"Reading {asked.file}")
    try:
        report, refused = _judged(asked, mapping, progress=progress)
    except ScoringError as error:
        raise Unjudgeable(f"{error} ({error.code})", reason=error.code) from error
    finally:
        progress.close()
    told = {"file": asked.file.name, "test_from": asked.first_day.isoformat(), "refused_rows": dict(refused)}
    return told | report


def completed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping document with constants for the fields that a backtest can do without."""
    fields = document.get("fields", {})
    if not isinstance(fields, dict):
        return dict(document)  # for `mapping_from` to refuse
    filled = {name: dict(entry) if name in {"seller", "obligor"} and isinstance(entry, dict) else entry
              for name, entry in fields.items()}  # fmt: skip
    needed = dict(_FIELDS)
    if "statement_years" in document:
        del needed["invoice_number"]
        needed |= {"obligor.value": {"constant": "firm"}}
        if "face" not in filled:
            needed["face_minor"] = {"constant": "1"}
    for name, entry in needed.items():
        party, _, part = name.partition(".")
        if part and isinstance(filled.get(party), dict):
            filled[party].setdefault(part, entry)
        else:
            filled.setdefault(name, entry)
    return {**document, "fields": filled}


def _judged(asked: Backtest, mapping: FileMapping, *, progress: Progress) -> tuple[dict[str, Any], Counter[str]]:
    """Read the rows that can be read and judge them; with the codes of those that cannot."""
    refused: Counter[str] = Counter()
    if mapping.statement_years is not None:
        years = firm_years(asked.file, mapping, mapping.statement_years, refused=refused)
        _refuse_unfit(len(years.firm), refused)
        # A year's statement speaks at its end: the first one judged ends on the day or later.
        ends = date.fromisoformat(f"{asked.first_day.year}-{mapping.statement_years.year_end}")
        first_year = asked.first_day.year + (ends < asked.first_day)
        return backtest_firms(
            years, first_year=first_year, horizon_days=asked.horizon_days, say=progress.stage
        ), refused
    trades = Trades.from_rows(trade_rows(asked.file, mapping, refused=refused, progress=progress))
    _refuse_unfit(len(trades), refused)
    first_day = (asked.first_day - EPOCH).days
    return backtest(trades, first_day=first_day, horizon_days=asked.horizon_days, say=progress.stage), refused


def _refuse_unfit(read: int, refused: Counter[str]) -> None:
    """Refuse a file most of whose rows cannot be read. Refuses: RowsUnreadable."""
    faulty = refused.total()
    if not read or faulty * 100 > (read + faulty) * _REFUSED_PERCENT_MAX:
        found = ", ".join(f"{code} ({count})" for code, count in refused.most_common(3)) or "the file has no rows"
        raise RowsUnreadable(f"{read} rows can be read, {faulty} cannot: {found}; correct the mapping")


def trade_rows(
    file: Path, mapping: FileMapping, *, refused: Counter[str], progress: Progress
) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield the file's invoices as trade facts, its parties numbered in order of appearance."""
    codes: dict[tuple[str, str, str], int] = {}
    for count, row in enumerate(rows(file, mapping=mapping), start=1):
        if count % _TOLD_EVERY == 0:
            progress.step(count, of=count, what="rows")
        fault = _fault(row)
        if fault or not isinstance(row, ReplayRow):
            refused[fault] += 1
            continue
        parties = [
            codes.setdefault((kind, company.scheme, company.value), len(codes))
            for kind, company in (("obligor", row.obligor), ("seller", row.seller))
        ]
        settled = (row.settled_date - EPOCH).days if row.settled_date else NOT_SETTLED
        issued, due = (row.issue_date - EPOCH).days, (row.due_date - EPOCH).days
        yield parties[0], parties[1], row.face_minor, issued, due, settled


def _fault(row: ReplayRow | RowRefusal) -> str:
    """Return why a row is no trade fact; empty when it is one."""
    if isinstance(row, RowRefusal):
        return f"{row.faults[0].field}: {row.faults[0].code}".removeprefix(": ")
    if row.due_date < row.issue_date:
        return "due_date: due_before_issue"
    if row.issue_date < EPOCH or (row.settled_date and row.settled_date < EPOCH):
        return "issue_date: date_out_of_range"
    return "face: amount_too_large" if row.face_minor > MAX_FACE_MINOR else ""


def firm_years(file: Path, mapping: FileMapping, years: StatementYears, *, refused: Counter[str]) -> FirmYears:
    """Read a table of firm-years; a failed firm's last year on file is the one before its failure."""
    codes: dict[str, int] = {}
    seen: dict[tuple[int, int], bool] = {}
    cells: list[dict[str, float]] = []
    for _, record in records(file, mapping=mapping):
        found = _firm_year(record, mapping, years)
        if isinstance(found, str):
            refused[found] += 1
            continue
        firm, year, failed, items = found
        key = (codes.setdefault(firm, len(codes)), year)
        if key in seen:
            refused[f"{years.year}: year_twice"] += 1
            continue
        seen[key] = failed
        cells.append(items)
    last: dict[int, int] = {}
    for firm_code, year in seen:
        last[firm_code] = max(last.get(firm_code, year), year)
    return FirmYears(
        firm=np.array([firm for firm, _ in seen], dtype=np.int64),
        year=np.array([year for _, year in seen], dtype=np.int64),
        items={name: np.array([row[name] for row in cells]) for name in (cells[0] if cells else ())},
        failed_next=np.array([failed and last[firm] == year for (firm, year), failed in seen.items()], dtype=np.bool_),
    )


def _firm_year(
    record: Record | FieldFault, mapping: FileMapping, years: StatementYears
) -> tuple[str, int, bool, dict[str, float]] | str:
    """Return firm, year, whether it is one that failed, and its items; or what is wrong with the row."""
    if isinstance(record, FieldFault):
        return record.code
    firm, year, status = (str(record[name]).strip() for name in (years.firm, years.year, years.status))
    if not firm:
        return f"{years.firm}: missing"
    if not (year.isascii() and year.isdigit() and len(year) == len("2011")):
        return f"{years.year}: year_malformed"
    columns = mapping.statements or {
        name: name for name in record if name not in {years.firm, years.year, years.status}
    }
    items: dict[str, float] = {}
    if absent := sorted({*columns.values()} - record.keys()):
        raise UnknownColumn(f"[statements] names {', '.join(map(repr, absent))}, which the file does not have")
    for item, column in columns.items():
        try:
            items[item] = _number(str(record[column]).strip())
        except ValueError:
            return f"{column}: number_malformed"
    return firm, int(year), status == years.failed, items


def _number(text: str) -> float:
    """Return a statement's figure; NaN where it is missing. Raises ValueError, also for what is not finite."""
    if text.upper() in _MISSING:
        return float("nan")
    figure = float(text)
    if not np.isfinite(figure):
        raise ValueError(text)
    return figure
