"""A body can be read in one way only, or is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.bodies import json_body, refuse_encoded
from exchange.errors import MalformedBody, UnsupportedMediaType
from tests.exchange.house import House

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(value=VALUES, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
def test_what_is_plain_is_read(*, value: object, ascii_only: bool, indent: int | None) -> None:
    """Whatever the strings hold that looks like a member, and however it is spaced."""
    assert json_body(json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()) == value


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": 1, "a": 1}',
        b'{"a":1,"a" :2}',
        b'[0, {"b": {"a": 1, "c": {}, "a": 2}}]',
        b'{"a": 1, "\\u0061": 2}',
        b'{"amount_minor\\"": "\\":", "x": [{"": 1, "":\n2}]}',
    ],
)
def test_a_member_that_is_there_twice(raw: bytes) -> None:
    """At any depth, also where one of the names is written with an escape."""
    with pytest.raises(MalformedBody) as caught:
        json_body(raw)
    assert caught.value.faults[0].code == "repeated_member"


@given(VALUES, st.data())
def test_any_repetition_is_found(value: object, data: st.DataObject) -> None:
    """Planted beside anything."""
    name = json.dumps(data.draw(st.text(max_size=6)))
    planted = f'{{"v": {json.dumps(value)}, "w": {{{name}: 1, "other than six": 2, {name}: {json.dumps(value)}}}}}'
    with pytest.raises(MalformedBody, match="twice"):
        json_body(planted.encode())


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "zstd"])
def test_compressed_bodies_are_not_opened(encoding: str) -> None:
    """Whatever they would become."""
    with pytest.raises(UnsupportedMediaType) as caught:
        refuse_encoded(encoding)
    assert caught.value.headers == {"Accept-Encoding": "identity"}
    for plain in (None, "", "identity", " Identity "):
        refuse_encoded(plain)


def test_over_http(house: House) -> None:
    """Bulk or single: a stable code, and nothing is done."""
    token = {"Authorization": f"Bearer {house.operator.token}", "Content-Type": "application/json"}
    send = house.operator.web.post
    keyed = token | {"Idempotency-Key": "twice"}
    answer = send("/v1/receipts", data=b'{"items": [], "items": [1]}', headers=keyed)
    assert (answer.status_code, answer.get_json()["errors"][0]["code"]) == (400, "repeated_member")
    items = b'{"items": [{"bank_reference": "a"}, {"bank_reference": "a", "bank_reference": "b"}]}'
    _, second = send("/v1/receipts", data=items, headers=keyed).get_json()["items"]
    assert (second["status"], second["errors"][0]["code"]) == (422, "malformed_item")
    assert "twice" in second["errors"][0]["message"]
    answer = send("/v1/funders", data=b'{"name": "A", "name": "B"}', headers=token)
    assert (answer.status_code, answer.get_json()["errors"][0]["code"]) == (400, "repeated_member")
    answer = send("/v1/funders", data=b"\x1f\x8b", headers=token | {"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.get_json()["code"]) == (415, "unsupported_media_type")
    assert answer.headers["Accept-Encoding"] == "identity"
