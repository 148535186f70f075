"""The bytes that are hashed and signed: a profile of JCS (RFC 8785) that cannot be read two ways.

The profile: objects with ASCII keys, arrays, strings, booleans, null and integers within 2^53-1. No floats.
For these values `orjson` with sorted keys writes the bytes of RFC 8785, which a property test holds against
another writer.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NoReturn

import orjson

from ledger.errors import LedgerError

LARGEST_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader takes in exactly (RFC 7493, section 2.2)."""
DEEPEST_NESTING = 32
"""Arrays and objects within each other; enough for any record, too little to exhaust a reader's stack."""

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER  # strict: integers within 2^53-1
_PLAIN = frozenset({str, bool, int, type(None)})
_STRING = frozenset({str})


class NotCanonical(LedgerError):
    """The value has no canonical bytes, or the bytes are not the canonical ones of their value."""

    code = "not_canonical"


class DuplicateKey(NotCanonical):
    """An object has one key twice, so two readers may take two values from it."""

    code = "duplicate_key"


def canonical_bytes(value: object) -> bytes:
    """The one UTF-8 JSON text of `value` (RFC 8785, section 3.2), without a trailing newline.

    Refuses `NotCanonical` for whatever is outside the profile: floats, integers beyond 2^53-1, keys that are
    not ASCII strings, lone surrogates, deep nesting, and all other types, subclasses and tuples included.
    """
    if type(value) not in _PLAIN:
        _check(value, DEEPEST_NESTING)
    try:
        return orjson.dumps(value, option=_OPTIONS)
    except orjson.JSONEncodeError as error:
        raise NotCanonical(f"The value cannot be written as JSON: {error}.") from error


def parse_canonical(data: bytes) -> Any:  # noqa: ANN401 - any JSON value of the profile
    """The value of which `data` are the canonical bytes.

    Refuses `DuplicateKey`, and `NotCanonical` for all else: unsorted keys, spaces, other escapes, other numbers.
    """
    try:
        value = orjson.loads(data)
        if data.isascii():
            # Parsing gives no types but JSON's, and ASCII text no other keys: floats and depth are left to check.
            if type(value) not in _PLAIN:
                _check_parsed(value, DEEPEST_NESTING)
            written = orjson.dumps(value, option=_OPTIONS)
        else:
            written = canonical_bytes(value)
    except orjson.JSONDecodeError as error:
        raise NotCanonical(f"The bytes are not JSON: {error}.") from error
    except orjson.JSONEncodeError as error:
        raise NotCanonical(f"The value cannot be written as JSON: {error}.") from error
    if written != data:
        _refuse(data)
    return value


def parse_json(data: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a JSON text in any form, for files that people edit.

    Refuses `DuplicateKey`, and `NotCanonical` for what is no JSON in UTF-8 or nests too deep.
    """
    try:
        return json.loads(data.decode(), object_pairs_hook=_unique)
    except (RecursionError, ValueError) as error:
        raise NotCanonical(f"The text is not JSON: {error}.") from error


def _refuse(data: bytes) -> NoReturn:
    """Say what is wrong with JSON that is not canonical."""
    with suppress(RecursionError, ValueError):  # a value that its double hides may be too deep or long to read here
        json.loads(data, object_pairs_hook=_unique)
    raise NotCanonical("The bytes are not the canonical form of the value they hold.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise DuplicateKey(f"The key {key!r} is there twice.")
        members[key] = value
    return members


def _check(value: object, depth: int) -> None:
    """Refuse what is outside the profile; `depth` is how much further the value may nest.

    Types are compared in bulk, and only what nests costs a call: this runs for every record that is signed or read.
    """
    members: Iterable[object]
    if type(value) is dict:
        if not _STRING.issuperset(map(type, value)) or not "".join(value).isascii():
            raise NotCanonical("A key is not an ASCII string.")
        members = value.values()
    elif type(value) is list:
        members = value
    else:
        raise NotCanonical(f"A value of type {type(value).__name__} has no canonical form.")
    if depth == 0:
        raise NotCanonical(f"The value nests deeper than {DEEPEST_NESTING}.")
    if not _PLAIN.issuperset(map(type, members)):
        for member in members:
            if type(member) not in _PLAIN:
                _check(member, depth - 1)


def _check_parsed(value: Any, depth: int) -> None:  # noqa: ANN401 - any JSON value
    """As `_check`, for what was parsed from ASCII text: floats and depth are left."""
    if type(value) is dict:
        value = value.values()
    elif type(value) is float:
        raise NotCanonical("A float has no canonical form.")
    if depth == 0:
        raise NotCanonical(f"The value nests deeper than {DEEPEST_NESTING}.")
    for member in value:
        if type(member) not in _PLAIN:
            _check_parsed(member, depth - 1)
