"""Files -> records: CSV or NDJSON, plain or gzip, one line at a time, nothing interpreted yet.

A record maps column names to the text found there (lists of an NDJSON row stay lists). Numbers keep the very
digits of the file: JSON's own number types never get to round them.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from exchange.errors import Refusal
from exchange.replay.mapping import FIELDS, REQUIRED, FileMapping, UnknownColumn
from exchange.replay.rows import FieldFault

Record = dict[str, str | list[Any]]

MAX_LINE = 1 << 20
_GZIP = b"\x1f\x8b"
_SUFFIXES = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}


class SourceRefused(Refusal):
    """The file cannot be read as a whole; single bad rows are refused one by one instead."""

    code = "source_refused"
    title = "The file cannot be replayed"


class SourceUnreadable(SourceRefused):
    """The file is absent or may not be read."""

    code = "source_unreadable"


class SourceDamaged(SourceRefused):
    """The file breaks off or is corrupt; half a book is not replayed as if it were whole."""

    code = "source_damaged"


class SourceFormUnknown(SourceRefused):
    """Neither the name nor the mapping says whether this is CSV or NDJSON."""

    code = "source_form_unknown"


class SourceHeader(SourceRefused):
    """The CSV header is absent or names a column twice."""

    code = "source_header"


class _LineError(ValueError):
    """A line that is no record."""


def records(path: Path, *, mapping: FileMapping) -> Iterator[tuple[int, Record | FieldFault]]:
    """Each data row's number (from 1) and record, or what is wrong with the whole row."""
    number = 0
    try:
        with _text(path, encoding=mapping.encoding) as lines:
            read = _csv_rows if _form(path, mapping) == "csv" else _ndjson_rows
            for number, record in read(lines, mapping):
                yield number, record
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeError) as error:
        raise SourceDamaged(f"{path} is damaged after row {number}: {error}", row_number=number) from None
    except OSError as error:
        raise SourceUnreadable(f"{path}: {error.strerror or error}") from None


def _form(path: Path, mapping: FileMapping) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    form = mapping.form or _SUFFIXES.get(suffixes[-1] if suffixes else "")
    if form is None:
        raise SourceFormUnknown(
            f'{path.name}: name it .csv or .ndjson, or write form = "csv" under [file] of the mapping'
        )
    return form


@contextmanager
def _text(path: Path, *, encoding: str) -> Iterator[IO[str]]:
    """The file's text. Bytes that are none become lone surrogates, so that only their row is refused."""
    with path.open("rb") as raw:
        packed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        plain: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        yield io.TextIOWrapper(plain, encoding=encoding, errors="surrogateescape", newline="")


def _limited(lines: IO[str]) -> Iterator[str]:
    """Lines of at most MAX_LINE characters; a longer one is cut off and read past."""
    while line := lines.readline(MAX_LINE):
        yield line
        while len(line) == MAX_LINE and not line.endswith("\n"):
            line = lines.readline(MAX_LINE)


def _csv_rows(lines: IO[str], mapping: FileMapping) -> Iterator[tuple[int, Record | FieldFault]]:
    reader = csv.reader(_limited(lines), delimiter=mapping.delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise SourceHeader(f"the first line is not a CSV header: {error}") from None
    _check_header(header, mapping)
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, FieldFault("", "row_malformed", str(error))
            continue
        if len(cells) == len(header):
            yield number, dict(zip(header, cells, strict=True))
        elif cells:
            yield number, FieldFault("", "column_count", f"{len(cells)} cells, {len(header)} columns")
        else:  # a blank line is no row
            number -= 1


def _check_header(header: list[str], mapping: FileMapping) -> None:
    if not any(header):
        raise SourceHeader("the file is empty: its first line has to name the columns")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise SourceHeader(f"the header names {', '.join(map(repr, twice))} twice")
    wanted = {*REQUIRED, "face_minor"} if mapping.canonical else mapping.columns()
    if absent := sorted(wanted - set(header)):
        hint = "map them" if not mapping.canonical else "give a mapping file with --map"
        raise UnknownColumn(
            f"the file has no column {', '.join(map(repr, absent))}; {hint}. It has: {', '.join(header)}"
        )
    if mapping.canonical and (unknown := sorted(set(header) - FIELDS.keys())):
        raise UnknownColumn(
            f"without a mapping the columns have our names; {', '.join(map(repr, unknown))} is none of them"
        )


def _ndjson_rows(lines: IO[str], mapping: FileMapping) -> Iterator[tuple[int, Record | FieldFault]]:
    unseen = set() if mapping.canonical else mapping.columns()
    number = 0
    for line in _limited(lines):
        number += 1
        if not line.strip():  # a blank line is no row
            number -= 1
            continue
        try:
            record = _json_record(line)
        except _LineError as error:
            yield number, FieldFault("", "row_malformed", str(error))
            continue
        unseen -= record.keys()
        yield number, record
    if unseen and number:
        raise UnknownColumn(f"no row has {', '.join(map(repr, sorted(unseen)))}; correct the mapping")


def _json_record(line: str) -> Record:
    try:
        value = json.loads(line, object_pairs_hook=_pairs, parse_int=str, parse_float=str, parse_constant=str)
    except RecursionError:
        raise _LineError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _LineError(f"{error.msg} at character {error.pos + 1}") from None
    if not isinstance(value, dict):
        raise _LineError("not a JSON object")
    record: Record = {}
    _flatten(value, "", record)
    return record


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _LineError("a key occurs twice")
    return found


def _flatten(value: dict[str, Any], prefix: str, record: Record) -> None:
    """Nested objects become dotted names; true, false and null become the text a CSV cell would hold."""
    for key, inner in value.items():
        name = prefix + key
        if isinstance(inner, dict):
            _flatten(inner, f"{name}.", record)
        elif name in record:
            raise _LineError(f"{name} occurs twice")
        else:
            record[name] = scalar_text(inner) if not isinstance(inner, list) else inner


def scalar_text(value: str | bool | None) -> str:  # noqa: FBT001 - any JSON scalar; numbers are text already
    """A JSON scalar as the text a CSV cell would hold."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value
