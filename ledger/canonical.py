"""The bytes that are hashed and signed: a profile of JCS (RFC 8785) that cannot be read two ways.

The profile: objects with ASCII keys, arrays, strings, booleans, null and integers within 2^53-1. No floats.
For these values `orjson` with sorted keys writes the bytes of RFC 8785, which a property test holds against
another writer.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from ledger.errors import LedgerError

LARGEST_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader takes in exactly (RFC 7493, section 2.2)."""
DEEPEST_NESTING = 32
"""Arrays and objects within each other; enough for any record, too little to exhaust a reader's stack."""

_PLAIN = frozenset({str, bool, type(None)})


class NotCanonical(LedgerError):
    """The value has no canonical bytes, or the bytes are not the canonical ones of their value."""

    code = "not_canonical"


def canonical_bytes(value: object) -> bytes:
    """The one UTF-8 JSON text of `value` (RFC 8785, section 3.2), without a trailing newline.

    Refuses `NotCanonical` for whatever is outside the profile: floats, integers beyond 2^53-1, keys that are
    not ASCII strings, lone surrogates, deep nesting, and all other types, subclasses and tuples included.
    """
    if type(value) not in _PLAIN:
        _check(value, DEEPEST_NESTING)
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise NotCanonical(f"The value cannot be written as JSON: {error}.") from error


def parse_canonical(data: bytes) -> Any:  # noqa: ANN401 - any JSON value of the profile
    """The value of which `data` are the canonical bytes.

    Refuses `NotCanonical` for anything else: duplicate or unsorted keys, spaces, other escapes, other
    numbers.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise NotCanonical(f"The bytes are not JSON: {error}.") from error
    if canonical_bytes(value) != data:
        raise NotCanonical("The bytes are not the canonical form of the value they hold.")
    return value


def _check(value: object, depth: int) -> None:
    """Refuse what is outside the profile; `depth` is how much further the value may nest.

    Plain members are passed over in the loop, not by a call: this runs for every record that is signed.
    """
    if type(value) is int:
        if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            raise NotCanonical("An integer is beyond 2^53-1.")
        return
    if depth == 0:
        raise NotCanonical(f"The value nests deeper than {DEEPEST_NESTING}.")
    for member in _members(value):
        if type(member) not in _PLAIN:
            _check(member, depth - 1)


def _members(value: object) -> Iterable[object]:
    if type(value) is list:
        return value
    if type(value) is not dict:
        raise NotCanonical(f"A value of type {type(value).__name__} has no canonical form.")
    for key in value:
        if type(key) is not str or not key.isascii():
            raise NotCanonical("A key is not an ASCII string.")
    return value.values()
