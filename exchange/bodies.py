"""Bodies as they come in: plain JSON that can be read in one way only."""

import json
import re
from typing import Any

import msgspec

from exchange.errors import Fault, MalformedBody, UnsupportedMediaType

MEMBER = re.compile(rb'"[ \t\r\n]*:')
"""Where a member's name ends. The same bytes inside a string only make the second look below needed."""


def json_body(raw: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    """The JSON value in `raw` (`MalformedBody`: the place where reading stopped, or the name that is there twice)."""
    try:
        value = msgspec.json.decode(raw)
        # RFC 8259 leaves open which of two members of one name counts: what was checked may not be what is read.
        if written(raw) > _members(value):
            json.loads(raw, object_pairs_hook=_once)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        fault = Fault("malformed_body", "", str(error))
        raise MalformedBody(f"The body cannot be read: {error}.", faults=(fault,)) from None
    return value


def refuse_encoded(encoding: str | None) -> None:
    """Refuse a compressed body: a few bytes can be gigabytes (`UnsupportedMediaType`, RFC 9110 section 15.5.16)."""
    if (encoding or "identity").strip().lower() != "identity":
        fault = Fault("unsupported_content_encoding", "", "send the body as it is", encoding)
        headers = {"Accept-Encoding": "identity"}
        raise UnsupportedMediaType("Compressed bodies are not read here.", faults=(fault,), headers=headers)


def written(raw: bytes) -> int:
    """How many members seem to be written in `raw`: never fewer than there are."""
    return len(MEMBER.findall(raw))


def _members(value: Any) -> int:  # noqa: ANN401 - whatever JSON holds
    """How many members all objects in a value have together."""
    count, rest = 0, [value]
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            count += len(one)
            rest.extend(one.values())
        elif isinstance(one, list):
            rest.extend(one)
    return count


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose members all have names of their own."""
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            fault = Fault("repeated_member", "", "an object has two members of this name", name)
            raise MalformedBody(f"The member {name[:64]!r} is there twice in one object.", faults=(fault,))
        members[name] = value
    return members
