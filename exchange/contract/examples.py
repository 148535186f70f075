"""An example for every request and answer, made from its schema: always valid, and the same each time."""

import re
from collections.abc import Mapping
from typing import Any

Json = Any
"""A JSON value."""

UNIQUE = "01h455vb4pex5vsknk084sn02q"
ID = re.compile(r"\^([a-z]{3})_")
NAMED: dict[str, Json] = {
    "currency": "CNY",
    "invoice_number": "INV-2026-0042",
    "face_minor": 1_000_000,
    "price_minor": 985_000,
    "amount_minor": 250_000,
    "product": "receivable_factoring",
    "recourse": "without",
    "grade": "B",
    "pd_ppm": 12_000,
    "issue_date": "2026-03-02",
    "due_date": "2026-05-01",
    "state": "open",
    "name": "Harbour Bank",
    "url": "https://funder.example/callbacks",
    "reason": "agreed by telephone",
    "code": "missing",
    "pointer": "/items/0/face_minor",
    "message": "this field is needed",
    "status": 201,
    "index": 0,
    "next": None,
    "expires_in": 600,
    "type": "urn:exchange:problem:not_found",
}
"""What a member of that name reads like, where its schema lets it."""
SAMPLES = (
    *(
        "text",
        "2026-03-02",
        "2026-03-02T01:00:00Z",
        "CNY",
        "CN",
        "a" * 64,
        "a" * 32,
        "A" * 43,
        "16:00",
        "en",
        "INV-1",
        "1",
    ),
    *("91350100M000100Y43", "BKCHCNBJ", "mdl_0123456789abcdef", "6222000011112222", "https://funder.example/"),
)
"""What strings of a pattern are tried with."""


class Examples:
    """Examples for the schemas of one document."""

    def __init__(self, components: Mapping[str, Any]) -> None:
        self._schemas = components
        self._prefixes = dict(_prefixes(components))

    def of(self, schema: Mapping[str, Any], *, name: str = "") -> Json:
        """A value that `schema` takes, as a member called `name` would have it."""
        if "$ref" in schema:
            return self.of(self._schemas[schema["$ref"].rpartition("/")[2]], name=name)
        if "enum" in schema:
            return NAMED[name] if NAMED.get(name) in schema["enum"] else schema["enum"][0]
        for key in ("example", "const", "default"):
            if key in schema:
                return schema[key]
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema:
                return self._together(schema[key] if key == "allOf" else schema[key][:1], name)
        return self._typed(schema, name) if schema else NAMED.get(name, 1 if name.endswith("_minor") else "text")

    def _together(self, parts: list[Mapping[str, Any]], name: str) -> Json:
        made = [self.of(part, name=name) for part in parts]
        return {key: value for one in made for key, value in one.items()} if len(made) > 1 else made[0]

    def _typed(self, schema: Mapping[str, Any], name: str) -> Json:
        kinds = schema.get("type", "object")
        kind = kinds if isinstance(kinds, str) else next(one for one in kinds if one != "null")
        if name in NAMED and NAMED[name] is None and "null" in kinds:
            return None
        if kind == "object":
            members = {key: {} for key in schema.get("required", ())} | schema.get("properties", {})
            return {key: self.of(below, name=key) for key, below in members.items()}
        if kind == "array":
            count = max(1, schema.get("minItems", 1))
            return [self.of(schema.get("items", {}), name=_one_of(name))] * count
        if kind == "string":
            return self._text(schema, name)
        return _number(schema, name) if kind in {"integer", "number"} else {"boolean": True}.get(kind)

    def _text(self, schema: Mapping[str, Any], name: str) -> str:
        pattern = schema.get("pattern", "")
        found = ID.match(pattern) if re.search(pattern, f"{pattern[1:4]}_{UNIQUE}") else None
        if found or (not pattern and name in self._prefixes):
            return f"{found[1] if found else self._prefixes[name]}_{UNIQUE}"
        dated = {"date": "2026-03-02", "date-time": "2026-03-02T01:00:00Z"}.get(schema.get("format", ""))
        if dated:
            return dated
        wanted = NAMED.get(name)
        tried = [wanted, *SAMPLES] if isinstance(wanted, str) else SAMPLES
        shortest, longest = schema.get("minLength", 0), schema.get("maxLength", 1000)
        fitting = (one for one in tried if re.search(pattern, one) and shortest <= len(one) <= longest)
        return next(fitting, "x" * shortest)


def _number(schema: Mapping[str, Any], name: str) -> int:
    wanted = NAMED.get(name, 1)
    value = wanted if isinstance(wanted, int) else 1
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    return int(min(max(value, low), high))


def _one_of(name: str) -> str:
    return name.removesuffix("s")


def _prefixes(schemas: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What ids of each name begin with: requests say so."""
    return [
        (name, found[1])
        for schema in schemas.values()
        for name, member in schema.get("properties", {}).items()
        if (found := ID.match(member.get("pattern", "")))
    ]
