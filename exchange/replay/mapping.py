"""The mapping file: which columns of a foreign file hold the fields of the canonical row, and how.

A TOML file with `[fields]`, one entry per field: a column name, or a table with one of `column`, `constant`,
`after`:

    [fields]
    invoice_number = "Invoice no."
    face           = { column = "Amount", decimals = 2 }
    issue_date     = { column = "Issued", date_format = "%m/%d/%Y" }
    confirmed_date = { after = "issue_date", days = 1 }
    disputed       = { column = "Disputed", values = { Yes = true, No = false } }
    currency       = { constant = "USD" }

    [fields.obligor]
    scheme = { constant = "platform" }
    value  = { column = "Customer", if_empty = "unknown" }

A blank cell is a missing value unless `if_empty` says what to read. `[file]` may set `form`, `delimiter` and
`encoding`; `[hidden]` names columns kept for judging and never sent; `[statement_years]` reads firm-years
(see `StatementYears`) and `[statements]` says which column holds which item of their statements (a backtest's).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from exchange.errors import Refusal

_COMPANY = ("scheme", "value", "name", "controller", "sector", "region")
_TEXT = {"column", "constant", "if_empty", "values"}
_DATE = {"column", "constant", "if_empty", "date_format", "after", "days"}
_AMOUNT = {"column", "constant", "decimals", "unit"}
_LIST = {"column"}

# Every field a mapping may fill, with the options that make sense for it. `face` is in whole units of the
# currency.
FIELDS: dict[str, set[str]] = {
    **dict.fromkeys(["invoice_number", "product", "currency", "disputed", "recourse", "confirmation_grade"], _TEXT),
    **{f"{party}.{part}": _TEXT for party in ("seller", "obligor") for part in _COMPANY},
    **dict.fromkeys(["issue_date", "due_date", "submitted_date", "confirmed_date", "settled_date"], _DATE),
    **dict.fromkeys(["face", "face_minor"], _AMOUNT),
    **dict.fromkeys(["credit_notes", "part_payments", "documents"], _LIST),
}
REQUIRED = (
    *("invoice_number", "seller.scheme", "seller.value", "obligor.scheme", "obligor.value"),
    *("product", "currency", "issue_date", "due_date"),
)
DERIVED = frozenset({"invoice_number", "issue_date", "due_date", "settled_date"})
_SECTIONS = frozenset({"file", "fields", "hidden", "statement_years", "statements"})
_MAX_TENOR_DAYS = 3660


class MappingRefused(Refusal):
    """The mapping cannot be used; the detail says what to change."""

    code = "mapping_refused"
    title = "The mapping file cannot be used"


class MappingUnreadable(MappingRefused):
    """The mapping file is absent or is not TOML."""

    code = "mapping_unreadable"


class UnknownField(MappingRefused):
    """The mapping names a section, a field or an option that does not exist."""

    code = "mapping_unknown_field"


class UnknownColumn(MappingRefused):
    """The mapping names a column that the file does not have."""

    code = "mapping_unknown_column"


class MissingField(MappingRefused):
    """The mapping leaves out a field that every receivable needs."""

    code = "mapping_missing_field"


class BadOption(MappingRefused):
    """An option of a field is unknown, of the wrong type or contradicts another."""

    code = "mapping_bad_option"


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """Where one field comes from: one of `column`, `constant`, `after` (a date, `days` later)."""

    column: str | None = None
    constant: str | None = None
    after: str | None = None
    days: int = 0
    if_empty: str = ""
    date_format: str | None = None
    decimals: int | None = None
    unit: int = 1
    values: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class StatementYears:
    """Read firm-years instead of invoices.

    A firm-year holds no invoice. One made-up trade credit line stands for it: issued on `year_end` (MM-DD) of
    the `year`, due `tenor_days` later and settled on its due date; the last year on file of a firm whose
    `status` is `failed` is never settled. So only the outcome (failed next year or not) and the face's source
    column are real; dates, tenor and punctual payment are assumptions, and lateness figures of such a replay
    mean nothing.
    """

    firm: str
    year: str
    year_end: str
    tenor_days: int
    status: str
    failed: str


@dataclass(frozen=True, slots=True)
class FileMapping:
    """A checked mapping. `canonical`: the file speaks our own names; optional ones may be absent."""

    fields: Mapping[str, FieldSpec]
    hidden: Mapping[str, str] = field(default_factory=dict)
    statement_years: StatementYears | None = None
    statements: Mapping[str, str] = field(default_factory=dict)
    form: str | None = None
    delimiter: str = ","
    encoding: str = "utf-8-sig"
    canonical: bool = False

    def columns(self) -> set[str]:
        """The columns that the file must have."""
        named = {spec.column for spec in self.fields.values() if spec.column is not None} | set(self.hidden.values())
        if (years := self.statement_years) is not None:
            named = {name for name in named if not name.startswith("statement_years.")}
            named |= {years.firm, years.year, years.status}
        return named


CANONICAL = FileMapping(fields={name: FieldSpec(column=name) for name in FIELDS if name != "face"}, canonical=True)


def load_mapping(path: Path) -> FileMapping:
    """Read and check a mapping file. Raises a `MappingRefused` that says what to do."""
    return mapping_from(load_document(path))


def load_document(path: Path) -> dict[str, Any]:
    """Read a mapping file without checking it. Refuses: MappingUnreadable."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MappingUnreadable(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or nested without end
        raise MappingUnreadable(f"{path} is not a TOML file: {error}") from None


def mapping_from(document: Mapping[str, Any]) -> FileMapping:
    """Check a mapping that is already parsed."""
    _refuse_unknown(set(document), _SECTIONS, what="section")
    years = _statement_years(document["statement_years"]) if "statement_years" in document else None
    specs = {name: _spec(name, entry) for name, entry in _flat_fields(_table(document, "fields")).items()}
    if years is not None:
        if clash := sorted(DERIVED & set(specs)):
            raise BadOption(f"[statement_years] makes {', '.join(clash)} itself: take it out of [fields]")
        specs |= {name: FieldSpec(column=f"statement_years.{name}") for name in sorted(DERIVED)}
    _check_complete(specs)
    hidden, statements = _table(document, "hidden"), _table(document, "statements")
    for section, columns in (("hidden", hidden), ("statements", statements)):
        for name, column in columns.items():
            _check_text(column, f"{section}.{name}")
    options = _file_options(_table(document, "file"))
    return FileMapping(fields=specs, hidden=hidden, statement_years=years, statements=statements, **options)


def _flat_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`[fields.seller] value = …` and `"seller.value" = …` are the same."""
    flat: dict[str, Any] = {}
    for name, entry in fields.items():
        if name in {"seller", "obligor"} and isinstance(entry, dict):
            flat |= {f"{name}.{part}": inner for part, inner in entry.items()}
        else:
            flat[name] = entry
    _refuse_unknown(set(flat), FIELDS.keys(), what="field")
    return flat


def _check_complete(specs: Mapping[str, FieldSpec]) -> None:
    missing = [name for name in REQUIRED if name not in specs]
    if missing:
        raise MissingField(f"[fields] says nothing of {', '.join(missing)}: give each a column or a constant")
    if ("face" in specs) == ("face_minor" in specs):
        raise MissingField("[fields] needs one of face (whole units, say 12.50) and face_minor (an integer, say 1250)")
    if ("confirmed_date" in specs) != ("confirmation_grade" in specs):
        raise MissingField(
            "[fields] needs confirmed_date and confirmation_grade together, or neither (never confirmed)"
        )
    for name, spec in specs.items():
        if spec.after is None:
            continue
        if FIELDS.get(spec.after) is not _DATE or specs.get(spec.after, spec).column is None:
            raise BadOption(f"fields.{name}: after = {spec.after!r} has to be a date field that comes from a column")


def _spec(name: str, entry: object) -> FieldSpec:
    """Check one field's entry."""
    if isinstance(entry, str):
        return FieldSpec(column=entry)
    if not isinstance(entry, dict):
        raise BadOption(f'fields.{name}: write a column name or a table such as {{ column = "…" }}')
    _refuse_unknown(set(entry), FIELDS[name], what=f"option of {name}")
    if len({"column", "constant", "after"} & set(entry)) != 1:
        sources = ", ".join(sorted({"column", "constant", "after"} & FIELDS[name]))
        raise BadOption(f"fields.{name}: give exactly one of {sources}")
    for option in {"column", "after", "date_format", "if_empty"} & set(entry):
        _check_text(entry[option], f"fields.{name}.{option}")
    for option, (least, most) in {"days": (0, 3660), "decimals": (0, 9), "unit": (1, 10**9)}.items():
        _check_integer(entry.get(option, least), f"fields.{name}.{option}", least=least, most=most)
    read = dict(entry)
    if "constant" in read:
        read["constant"] = _as_text(read["constant"], f"fields.{name}.constant")
    if "values" in read:
        where = f"fields.{name}.values"
        read["values"] = {found: _as_text(meant, where) for found, meant in _table(read, "values", where=where).items()}
    return FieldSpec(**read)


def _statement_years(section: object) -> StatementYears:
    if not isinstance(section, dict):
        raise BadOption("statement_years: write a section, [statement_years]")
    names = {"firm", "year", "year_end", "tenor_days", "status", "failed"}
    _refuse_unknown(set(section), names, what="option of [statement_years]")
    if missing := sorted(names - set(section)):
        raise MissingField(f"[statement_years] lacks {', '.join(missing)}")
    for option in names - {"tenor_days"}:
        _check_text(section[option], f"statement_years.{option}")
    _check_integer(section["tenor_days"], "statement_years.tenor_days", least=1, most=_MAX_TENOR_DAYS)
    return StatementYears(**section)


def _file_options(section: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_unknown(set(section), {"form", "delimiter", "encoding"}, what="option of [file]")
    for option, value in section.items():
        _check_text(value, f"file.{option}")
    if section.get("form", "csv") not in {"csv", "ndjson"}:
        raise BadOption('file.form has to be "csv" or "ndjson"')
    if len(section.get("delimiter", ",")) != 1 or section.get("delimiter") in {'"', "\n", "\r"}:
        raise BadOption('file.delimiter has to be one character such as ";"')
    try:
        "".encode(section.get("encoding", "utf-8"))
    except (LookupError, ValueError):
        raise BadOption(f'file.encoding {section["encoding"]!r} is not known; try "utf-8" or "gb18030"') from None
    return dict(section)


def _table(document: Mapping[str, Any], name: str, *, where: str = "") -> dict[str, Any]:
    entry = document.get(name, {})
    if not isinstance(entry, dict):
        raise BadOption(f"{where or name} has to be a table")
    return entry


def _refuse_unknown(found: set[str], known: Any, *, what: str) -> None:  # noqa: ANN401 - any collection of names
    for name in sorted(found - set(known)):
        close = get_close_matches(name, sorted(known), n=1)
        hint = f"do you mean {close[0]!r}? " if close else ""
        raise UnknownField(f"{name!r} is no {what}; {hint}known: {', '.join(sorted(known))}")


def _check_text(value: object, where: str) -> None:
    if not isinstance(value, str):
        raise BadOption(f"{where} has to be text, not {value!r}")


def _check_integer(value: object, where: str, *, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BadOption(f"{where} has to be an integer from {least} to {most}, not {value!r}")


def _as_text(value: object, where: str) -> str:
    """TOML's text, booleans and integers as the text a cell would hold; a float would not be exact."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int):
        raise BadOption(f"{where} has to be text, true, false or an integer, not {value!r}")
    return str(value)
