"""Facts as they come in: one definition, the schema, is read both ways; files are lines of the same items."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Literal

import marshmallow as ma
import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from exchange.bulk import Read, read_raws
from exchange.errors import Fault, InvalidRequest, UnsupportedMediaType
from exchange.receivables.schemas import NO_CONTROL, Dated
from exchange.schemas import Boolean, IsoDate, OneOf, Schema

MOST_LINES = 10_000
NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
WORDS = {"true": True, "false": False}
CSV, NDJSON = "text/csv", "application/x-ndjson"


@lru_cache
def struct_of(schema: type[Schema]) -> type[Struct]:
    """A type that decodes exactly the objects which `schema` reads, some fifty times as fast."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for name, field in sorted(schema().fields.items(), key=lambda one: not one[1].required):
        kind = _type_of(field)
        fields.append((name, kind) if field.required else (name, kind | UnsetType, UNSET))
    return msgspec.defstruct(schema.__name__, fields, bases=(Dated,), frozen=True, forbid_unknown_fields=True)


def read_file(raw: bytes, *, media_type: str, schema: type[Schema]) -> Read[Struct]:
    """The items of a CSV or NDJSON file, up to 10,000 lines, each judged by itself.

    CSV has a header of member names, `company.value` for one inside another; an empty cell is a member left out.
    Refuses other files (`UnsupportedMediaType`) and files that cannot be taken apart (`InvalidRequest`).
    """
    if media_type not in {CSV, NDJSON}:
        fault = Fault("unsupported_media_type", "", f"send {CSV} or {NDJSON}", media_type)
        raise UnsupportedMediaType(
            f"Send {CSV} or {NDJSON}.", faults=(fault,), headers={"Accept-Post": f"{CSV}, {NDJSON}"}
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable("bad_encoding", f"write UTF-8; byte {error.start} is something else") from None
    if media_type == CSV:
        lines = list(_csv_items(text, schema))
    else:
        lines = [line.encode() for line in text.split("\n") if line.strip()]
    if not 1 <= len(lines) <= MOST_LINES:
        raise _unreadable("bad_length", f"between 1 and {MOST_LINES} lines, not {len(lines)}")
    return read_raws(lines, struct_of(schema), schema())


def _csv_items(text: str, schema: type[Schema]) -> Iterator[bytes]:
    """Each row as the JSON object it stands for."""
    try:
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(rows, [])
        columns = {name: _field_at(schema, name) for name in header}
        if len(columns) != len(header):
            raise _unreadable("column_twice", "a column is in the header twice")
        for row in rows:
            if row:
                yield _as_item(row, columns, line=rows.line_num)
    except csv.Error as error:
        raise _unreadable("bad_csv", str(error)) from None


def _field_at(schema: type[Schema], name: str) -> ma.fields.Field[Any]:
    """The field that a column of the header means (`InvalidRequest` if there is none)."""
    fields: Mapping[str, ma.fields.Field[Any]] = schema().fields
    *above, last = name.split(".")
    for part in above:
        outer = fields.get(part)
        fields = outer.schema.fields if isinstance(outer, ma.fields.Nested) else {}
    if last not in fields or isinstance(fields[last], ma.fields.Nested):
        raise _unreadable("unknown_column", "this column is not part of the contract", name)
    return fields[last]


def _as_item(row: list[str], columns: Mapping[str, ma.fields.Field[Any]], *, line: int) -> bytes:
    if len(row) != len(columns):
        raise _unreadable("bad_row", f"line {line} has {len(row)} cells, the header {len(columns)}")
    item: dict[str, Any] = {}
    for (name, field), cell in zip(columns.items(), row, strict=True):
        if cell:
            *above, last = name.split(".")
            place = item
            for part in above:
                place = place.setdefault(part, {})
            place[last] = _value(field, cell)
    return msgspec.json.encode(item)


def _value(field: ma.fields.Field[Any], cell: str) -> str | int | bool:
    """A cell as JSON has it; what cannot be one stays text, for the schema to refuse by its name."""
    if isinstance(field, ma.fields.Integer) and NUMBER.fullmatch(cell):
        return int(cell)
    return WORDS.get(cell, cell) if isinstance(field, Boolean) else cell


def _unreadable(code: str, message: str, value: str | None = None) -> InvalidRequest:
    return InvalidRequest(f"The file cannot be read: {message}.", faults=(Fault(code, "", message, value),))


def _type_of(field: ma.fields.Field[Any]) -> Any:  # noqa: ANN401 - a type to be
    """The type whose values are those that the field reads."""
    if isinstance(field, ma.fields.Nested):
        return struct_of(type(field.schema))
    if isinstance(field, Boolean):
        return bool
    if isinstance(field, IsoDate):
        return date
    bounds = next((one for one in field.validators if isinstance(one, ma.validate.Range)), None)
    if bounds is not None:
        return Annotated[int, Meta(ge=bounds.min, le=bounds.max)]
    if isinstance(field, OneOf):
        choices = next(one.choices for one in field.validators if isinstance(one, ma.validate.OneOf))
        return Literal[tuple(choices)]
    length = next((one for one in field.validators if isinstance(one, ma.validate.Length)), None)
    pattern = next((one.regex.pattern for one in field.validators if isinstance(one, ma.validate.Regexp)), NO_CONTROL)
    exact = str(pattern).removesuffix("$").removesuffix("\\Z") + "\\Z"
    return Annotated[str, Meta(pattern=exact, max_length=length.max if length else None)]
