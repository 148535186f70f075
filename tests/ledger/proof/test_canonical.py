from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Any
from uuid import UUID

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import DEEPEST_NESTING, LARGEST_INTEGER, NotCanonical, canonical_bytes, parse_canonical
from ledger.encoding import (
    MalformedBase64,
    base64_standard,
    base64url,
    parse_base64_standard,
    parse_base64url,
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-LARGEST_INTEGER, LARGEST_INTEGER),
    st.text(st.characters(exclude_categories=["Cs"])),
)
ascii_keys = st.text(st.characters(max_codepoint=127))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(ascii_keys, inner, max_size=5),
    max_leaves=20,
)


class Level(IntEnum):
    ONE = 1


class Name(str):
    __slots__ = ()


def nested(depth: int) -> list[Any]:
    """An array within an array, `depth` deep."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@given(values)
def test_bytes_are_those_of_another_writer_of_rfc_8785(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Our bytes are byte for byte those of the rfc8785 package."""
    assert canonical_bytes(value) == rfc8785.dumps(value)


@given(values)
def test_parsing_gives_the_value_back(value: object) -> None:
    """A value survives its canonical bytes."""
    assert parse_canonical(canonical_bytes(value)) == value


def test_samples_of_rfc_8785(vectors: Callable[[str], Any]) -> None:
    """The RFC's own samples give the RFC's bytes."""
    for case in vectors("rfc8785")["cases"]:
        assert canonical_bytes(orjson.loads(case["input"])) == case["canonical"].encode()


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        Decimal(1),
        LARGEST_INTEGER + 1,
        -LARGEST_INTEGER - 1,
        2**64,
        (1, 2),
        {1},
        b"bytes",
        date(2026, 1, 1),
        datetime(2026, 1, 1, tzinfo=UTC),
        UUID(int=1),
        Level.ONE,
        Name("a"),
        "\ud800",
        {1: "integer key"},
        {None: "null key"},
        {"é": "key beyond ASCII"},
        {Name("a"): 1},
        [[[{"deep": [0.5]}]]],
        {"a": ["\udfff"]},
        nested(DEEPEST_NESTING + 1),
    ],
    ids=repr,
)
def test_values_outside_the_profile_are_refused(value: object) -> None:
    """Whatever two readers could read differently has no canonical bytes."""
    with pytest.raises(NotCanonical):
        canonical_bytes(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    """A cycle ends at the nesting limit."""
    value: list[object] = []
    value.append(value)
    with pytest.raises(NotCanonical):
        canonical_bytes(value)


def test_nesting_up_to_the_limit_is_written() -> None:
    """The deepest allowed nesting is allowed."""
    assert canonical_bytes(nested(DEEPEST_NESTING)) == b"[" * DEEPEST_NESTING + b"]" * DEEPEST_NESTING


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b"\xef\xbb\xbf{}",
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\xff"}',
        b'"\\ud800"',
        b"1.0",
        b"1e5",
        b"-0",
        b"01",
        b"9007199254740992",
        b"NaN",
        b"[" * 2000 + b"]" * 2000,
    ],
)
def test_bytes_that_are_not_canonical_are_refused(data: bytes) -> None:
    """Duplicate keys, disorder, spaces, other escapes and other numbers do not pass."""
    with pytest.raises(NotCanonical):
        parse_canonical(data)


@given(st.binary())
def test_arbitrary_bytes_never_raise_anything_else(data: bytes) -> None:
    """Any bytes are either canonical or refused by name."""
    with suppress(NotCanonical):
        assert canonical_bytes(parse_canonical(data)) == data


@given(st.binary())
def test_base64_survives(data: bytes) -> None:
    """Both alphabets give the bytes back."""
    assert parse_base64url(base64url(data)) == data
    assert parse_base64_standard(base64_standard(data)) == data


@pytest.mark.parametrize("text", ["A", "AB", "AA==", "A+A/", "AAA\n", " AAA", "AA.A", "AAé", "ＡＡ", "AAAA="])
def test_other_spellings_of_base64url_are_refused(text: str) -> None:
    """Stray bits, padding, spaces, the other alphabet: refused."""
    with pytest.raises(MalformedBase64):
        parse_base64url(text)


@pytest.mark.parametrize("text", ["A", "AA", "AB==", "AA=", "A-A_", "AAAA\n", "AAAA====", "AAé="])
def test_other_spellings_of_base64_are_refused(text: str) -> None:
    """Stray bits, missing padding, spaces, the other alphabet: refused."""
    with pytest.raises(MalformedBase64):
        parse_base64_standard(text)
