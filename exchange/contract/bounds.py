"""Limits where a schema names none: what JSON and our own columns hold is said, so that readers can allot for it."""

from typing import Any

from exchange.paging import MAX_LIMIT

EXACT = 2**53 - 1
"""The largest whole number that every reader of JSON holds exactly."""
LONGEST = 65_536
ID_LENGTH = 60
LONG = {"html": 8 * 1024**2, "body": 8 * 1024**2, "jws": 8 * 1024**2, "text": 8 * 1024**2}
"""Members that are documents."""
MOST_ITEMS = 1_000_000
FORMATS = {"date": 10, "date-time": 40, "uuid": 36}


def bounded(schema: Any, *, name: str = "") -> Any:  # noqa: ANN401 - a JSON value
    """`schema`, and all within it, with a limit for each string, number and list that has none."""
    if isinstance(schema, list):
        return [bounded(below, name=name) for below in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: below if key in {"enum", "const", "example"} else bounded(below) for key, below in schema.items()}
    if "properties" in schema:
        found["properties"] = {key: bounded(below, name=key) for key, below in schema["properties"].items()}
        if {"items", "next"} <= schema["properties"].keys():  # a page
            found["properties"]["items"]["maxItems"] = MAX_LIMIT
    return found | _limits(found, name)


def _limits(schema: dict[str, Any], name: str) -> dict[str, Any]:
    if not {"type", "anyOf"} & schema.keys() or {"enum", "const"} & schema.keys():
        return {}
    kinds = schema.get("type", ())
    kinds = {kinds} if isinstance(kinds, str) else set(kinds) if isinstance(kinds, list) else set()
    limits: dict[str, Any] = {}
    if "string" in kinds:
        is_id = schema.get("pattern", "").startswith("^") and "_[" in schema.get("pattern", "")
        limits["maxLength"] = ID_LENGTH if is_id else FORMATS.get(schema.get("format", ""), LONG.get(name, LONGEST))
    if "integer" in kinds:
        limits |= {"minimum": -EXACT, "maximum": EXACT, "format": "int64"}
    if "array" in kinds:
        limits["maxItems"] = MOST_ITEMS
    return {key: value for key, value in limits.items() if key not in schema}
