"""Canonical rows -> NDJSON lines that `source.rows` reads back without a mapping."""

import json
from dataclasses import fields
from datetime import date
from typing import Any

from exchange.replay.rows import Company, ReplayRow

_COMPANY_FIELDS = [item.name for item in fields(Company)]
_ROW_FIELDS = [item.name for item in fields(ReplayRow) if item.name != "row_number"]


def json_line(row: ReplayRow) -> bytes:
    """One row as one line; what is None or empty is left out, so equal rows give equal bytes."""
    plain = {name: _plain(getattr(row, name)) for name in _ROW_FIELDS}
    kept = {name: value for name, value in plain.items() if value not in (None, [], {})}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any) -> Any:  # noqa: ANN401 - any field of a row
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Company):
        parts = {name: getattr(value, name) for name in _COMPANY_FIELDS}
        return {name: part for name, part in parts.items() if part is not None}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
