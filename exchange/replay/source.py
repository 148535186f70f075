"""Records -> canonical rows: `rows(path, mapping=...)` reads a real file, every fault of a row at once."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from exchange.currencies import MINOR_DIGITS
from exchange.replay import values
from exchange.replay.mapping import CANONICAL, FIELDS, FieldSpec, FileMapping, StatementYears
from exchange.replay.records import Record, records, scalar_text
from exchange.replay.rows import (
    CREDIT_REASONS,
    GRADES,
    PRODUCTS,
    RECOURSES,
    SCHEMES,
    Company,
    CreditNote,
    Document,
    FieldFault,
    PartPayment,
    ReplayRow,
    RowRefusal,
)

T = TypeVar("T")
_SHOWN = 80
_FINEST_EXPONENT = 3
_FIELD_NAMES = FIELDS.keys() - {"face"}


def rows(path: Path, *, mapping: FileMapping = CANONICAL) -> Iterator[ReplayRow | RowRefusal]:
    """Read a file of receivables, in file order, with flat memory (firm-years: one number per failed firm).

    Every row of the file comes out once, as a row or as a refusal with all its faults. Raises a
    `SourceRefused` or a `MappingRefused` when the file as a whole cannot be read.
    """
    years = mapping.statement_years
    last_years = _last_years(path, mapping=mapping, years=years) if years is not None else {}
    for number, record in records(path, mapping=mapping):
        if isinstance(record, FieldFault):
            yield RowRefusal(number, (record,))
            continue
        if years is not None:
            _add_credit_line(record, years=years, last_years=last_years)
        yield _Reading(record, mapping, number).row()


def _last_years(path: Path, *, mapping: FileMapping, years: StatementYears) -> dict[str, int]:
    """The last year on file of each failed firm."""
    found: dict[str, int] = {}
    for _, record in records(path, mapping=mapping):
        if isinstance(record, dict) and _cell(record, years.status) == years.failed:
            year = _cell(record, years.year)
            if year.isascii() and year.isdigit():
                firm = _cell(record, years.firm)
                found[firm] = max(found.get(firm, 0), int(year[:9]))
    return found


def _add_credit_line(record: Record, *, years: StatementYears, last_years: Mapping[str, int]) -> None:
    """Put the made-up credit line of a firm-year beside the firm's figures, as text like every other cell."""
    firm, year = _cell(record, years.firm), _cell(record, years.year)
    record["statement_years.invoice_number"] = f"{firm}-{year}"
    record["statement_years.issue_date"] = issued = f"{year}-{years.year_end}"
    record["statement_years.due_date"] = record["statement_years.settled_date"] = ""
    try:
        due = values.day(issued) + timedelta(days=years.tenor_days)
    except values.BadValue:
        return  # the issue date's fault names the year
    failed = _cell(record, years.status) == years.failed and int(year) == last_years.get(firm)
    record["statement_years.due_date"] = due.isoformat()
    record["statement_years.settled_date"] = "" if failed else due.isoformat()


def _cell(record: Record, column: str) -> str:
    found = record.get(column, "")
    return found.strip() if isinstance(found, str) else ""


class _Reading:
    """One record being read: collects faults instead of stopping at the first."""

    def __init__(self, record: Record, mapping: FileMapping, row_number: int) -> None:
        self.record = record
        self.mapping = mapping
        self.row_number = row_number
        self.faults: list[FieldFault] = []

    def row(self) -> ReplayRow | RowRefusal:
        """The row, or everything that is wrong with it."""
        issue_date = self.day("issue_date") or self.missing("issue_date", date.min)
        currency = self.required("currency", values.currency, "")
        confirmed_date = self.day("confirmed_date")
        row = ReplayRow(
            row_number=self.row_number,
            invoice_number=self.required("invoice_number", values.words, ""),
            seller=self.company("seller"),
            obligor=self.company("obligor"),
            product=self.required("product", partial(values.choice, allowed=PRODUCTS), ""),
            currency=currency,
            face_minor=self.face(currency),
            issue_date=issue_date,
            due_date=self.day("due_date") or self.missing("due_date", date.min),
            submitted_date=self.day("submitted_date") or issue_date,
            settled_date=self.day("settled_date"),
            confirmed_date=confirmed_date,
            confirmation_grade=self.grade(confirmed_date),
            disputed=self.optional("disputed", values.flag) or False,
            credit_notes=self.items("credit_notes", CreditNote, _CREDIT_NOTE),
            part_payments=self.items("part_payments", PartPayment, _PART_PAYMENT),
            documents=self.items("documents", Document, _DOCUMENT),
            recourse=self.optional("recourse", partial(values.choice, allowed=RECOURSES)) or "with",
            hidden=self.hidden(),
        )
        self.check_whole(row)
        return RowRefusal(self.row_number, tuple(self.faults)) if self.faults else row

    def fault(self, name: str, code: str, value: object) -> None:
        """Note a fault; bytes that were no text are shown escaped."""
        shown = str(value)[:_SHOWN].encode("utf-8", "backslashreplace").decode()
        self.faults.append(FieldFault(name, code, shown))

    def missing(self, name: str, placeholder: T) -> T:
        """Note a required field as missing, unless it is already at fault."""
        if all(fault.field != name for fault in self.faults):
            self.fault(name, "missing", "")
        return placeholder

    def text(self, name: str) -> str:
        """The text of a field after `constant`, `if_empty` and `values`; blank when there is none."""
        spec = self.mapping.fields.get(name)
        if spec is None:
            return ""
        if spec.column is None:
            return spec.constant or ""
        found = self.record.get(spec.column, "")
        if not isinstance(found, str):
            self.fault(name, "wrong_type", found)
            return ""
        return self._meant(name, spec, found.strip())

    def _meant(self, name: str, spec: FieldSpec, found: str) -> str:
        if not found:
            return spec.if_empty
        if spec.values is None:
            return found
        if found not in spec.values:
            self.fault(name, "value_unmapped", found)
        return spec.values.get(found, "")

    def optional(self, name: str, parse: Callable[[str], T]) -> T | None:
        """The parsed field, None when it is blank or at fault."""
        text = self.text(name)
        if not text:
            return None
        try:
            return parse(text)
        except values.BadValue as bad:
            self.fault(name, bad.code, text)
            return None

    def required(self, name: str, parse: Callable[[str], T], placeholder: T) -> T:
        """The parsed field; `placeholder` (never seen outside) when it is missing or at fault."""
        found = self.optional(name, parse)
        return self.missing(name, placeholder) if found is None else found

    def day(self, name: str) -> date | None:
        """A date field, from its column or as so many days after another."""
        spec = self.mapping.fields.get(name, FieldSpec())
        if spec.after is None:
            return self.optional(name, partial(values.day, date_format=spec.date_format))
        before = len(self.faults)
        base = self.day(spec.after)
        del self.faults[before:]  # the base date reports its own fault
        return None if base is None else base + timedelta(days=spec.days)

    def face(self, currency: str) -> int:
        """The face in minor units, from whichever of the two fields the mapping fills."""
        if "face_minor" in self.mapping.fields:
            return self.required("face_minor", values.integer_minor, 0)
        spec = self.mapping.fields["face"]
        # With an unknown currency only the form can be judged.
        exponent = MINOR_DIGITS.get(currency, _FINEST_EXPONENT)
        parse = partial(values.amount_minor, exponent=exponent, decimals=spec.decimals, unit=spec.unit)
        return self.required("face", parse, 0)

    def company(self, party: str) -> Company:
        """The seller or the obligor; a company without a name goes by its identifier."""
        value = self.required(f"{party}.value", values.words, "")
        return Company(
            scheme=self.required(f"{party}.scheme", partial(values.choice, allowed=SCHEMES), ""),
            value=value,
            name=self.optional(f"{party}.name", values.words) or value,
            controller=self.optional(f"{party}.controller", values.words),
            sector=self.optional(f"{party}.sector", values.words),
            region=self.optional(f"{party}.region", values.words),
        )

    def grade(self, confirmed_date: date | None) -> str | None:
        """The grade of the confirmation; a constant grade speaks only for rows that were confirmed."""
        spec = self.mapping.fields.get("confirmation_grade", FieldSpec())
        if spec.constant is not None and confirmed_date is None:
            return None
        return self.optional("confirmation_grade", partial(values.choice, allowed=GRADES))

    def hidden(self) -> dict[str, str]:
        """The truth kept for judging."""
        if not self.mapping.canonical:
            return {name: _cell(self.record, column) for name, column in self.mapping.hidden.items()}
        return {
            name.removeprefix("hidden."): _cell(self.record, name) for name in self.record if name.startswith("hidden.")
        }

    def items(self, name: str, kind: Callable[..., T], parsers: Mapping[str, Callable[[str], Any]]) -> tuple[T, ...]:
        """A list of small objects, each with exactly the keys of `parsers`."""
        spec = self.mapping.fields.get(name)
        found = self.record.get(spec.column or "", []) if spec else []
        if not isinstance(found, list):
            if found.strip():
                self.fault(name, "wrong_type", found)
            return ()
        return tuple(self._item(f"{name}[{index}]", item, kind, parsers) for index, item in enumerate(found))

    def _item(self, where: str, item: object, kind: Callable[..., T], parsers: Mapping[str, Callable[[str], Any]]) -> T:
        if not isinstance(item, dict) or item.keys() != parsers.keys():
            self.fault(where, "wrong_type", item)
            return kind(*[None] * len(parsers))
        read: dict[str, Any] = dict.fromkeys(parsers)
        for key, parse in parsers.items():
            if isinstance(item[key], list | dict):
                self.fault(f"{where}.{key}", "wrong_type", item[key])
                continue
            text = scalar_text(item[key])
            try:
                read[key] = parse(text)
            except values.BadValue as bad:
                self.fault(f"{where}.{key}", bad.code, text)
        return kind(**read)

    def check_whole(self, row: ReplayRow) -> None:
        """What no field shows alone. Whether a receivable makes sense as trade is for the exchange to say."""
        if self.mapping.canonical:
            for name in self.record:
                if name not in _FIELD_NAMES and not name.startswith("hidden."):
                    self.fault(name, "unknown_field", self.record[name])
        if self.faults:
            return
        if (row.confirmed_date is None) != (row.confirmation_grade is None):
            self.fault("confirmation_grade", "confirmation_incomplete", row.confirmation_grade or "")
        gone = sum(note.amount_minor for note in row.credit_notes)
        gone += sum(payment.amount_minor for payment in row.part_payments)
        if gone > row.face_minor:
            self.fault("face_minor", "face_exceeded", row.face_minor)


_CREDIT_NOTE: dict[str, Callable[[str], Any]] = {
    "credit_date": values.day,
    "amount_minor": values.integer_minor,
    "reason": partial(values.choice, allowed=CREDIT_REASONS),
}
_PART_PAYMENT: dict[str, Callable[[str], Any]] = {
    "paid_date": values.day,
    "amount_minor": values.integer_minor,
}
_DOCUMENT: dict[str, Callable[[str], Any]] = {"kind": values.words, "sha256": values.sha256_hex}
