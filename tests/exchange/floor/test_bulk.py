"""Bulk bodies: fast when right, explained when wrong, item by item."""

from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.bulk import MAX_ITEMS, failed, read_items
from exchange.errors import Fault, InvalidRequest, MalformedBody
from exchange.schemas import Integer, Schema, Text


class Pair(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A small item."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=5)]
    amount: Annotated[int, msgspec.Meta(ge=1, le=9)]


class PairSchema(Schema):
    """The same, to explain."""

    name = Text(5, required=True)
    amount = Integer(1, 9, required=True)


class Lenient(Schema):
    """A schema that finds nothing wrong."""

    class Meta:
        """Take anything."""

        unknown = "exclude"


GOOD = {"name": "a", "amount": 1}
ITEM = st.fixed_dictionaries({"name": st.sampled_from(["a", "", 5]), "amount": st.sampled_from([1, 0, "1", 1.0, None])})


@given(st.lists(ITEM, min_size=1, max_size=20))
def test_every_item_gets_its_own_answer(items: list[dict[str, Any]]) -> None:
    """Good ones are decoded, bad ones have all their faults, and the answer keeps the order."""
    read = read_items(msgspec.json.encode({"items": items}), Pair, PairSchema())
    good = [index for index, item in enumerate(items) if item["name"] == "a" and item["amount"] == 1]
    good = [index for index in good if type(items[index]["amount"]) is int]
    assert [index for index, _ in read.good] == good
    assert read.bad.keys() == set(range(len(items))) - set(good)
    for index, faults in read.bad.items():
        wrong = {name for name in ("name", "amount") if items[index][name] != GOOD[name] or items[index][name] == 1.0}
        told = {fault.pointer.removeprefix(f"/items/{index}/") for fault in faults}
        assert told <= wrong
        assert told
    answer = read.answer({index: {"index": index, "status": 201} for index in good})
    assert [item["index"] for item in answer["items"]] == list(range(len(items)))
    assert [item["status"] for item in answer["items"]] == [
        201 if index in good else 422 for index in range(len(items))
    ]


@pytest.mark.parametrize(
    ("raw", "code", "pointer"),
    [
        (b"1", "not_an_object", ""),
        (b"[]", "not_an_object", ""),
        (b"{}", "not_a_list", "/items"),
        (b'{"items": null}', "not_a_list", "/items"),
        (b'{"items": [], "a/b": 1}', "unknown_field", "/a~1b"),
        (b'{"items": []}', "bad_length", "/items"),
        (b'{"items": [' + b"1," * MAX_ITEMS + b"1]}", "bad_length", "/items"),
    ],
)
def test_bodies_that_are_no_list_of_items(raw: bytes, code: str, pointer: str) -> None:
    """Refused as a whole, with the reason."""
    with pytest.raises(InvalidRequest) as refused:
        read_items(raw, Pair, PairSchema())
    assert [(fault.code, fault.pointer) for fault in refused.value.faults] == [(code, pointer)]


def test_a_list_of_items_that_is_there_twice() -> None:
    """Which of the two counts is nobody's guess: neither."""
    with pytest.raises(MalformedBody) as refused:
        read_items(b'{"items": 1, "items": []}', Pair, PairSchema())
    assert [(fault.code, fault.value) for fault in refused.value.faults] == [("repeated_member", "items")]


@pytest.mark.parametrize("raw", [b"", b"{", b'{"items": [}', b"\xff", b'{"items": ["\\ud800"]}', b"[" * 10**5])
def test_bodies_that_are_not_json(raw: bytes) -> None:
    """Another refusal: nothing could be read at all."""
    with pytest.raises(MalformedBody):
        read_items(raw, Pair, PairSchema())


def test_items_that_only_one_reader_refuses() -> None:
    """Should the two ever disagree, the item is refused all the same."""
    read = read_items(b'{"items": [{"name": "too long"}]}', Pair, Lenient())
    assert [fault.code for fault in read.bad[0]] == ["invalid_item"]


def test_a_thousand_items_are_read() -> None:
    """The limit is inclusive."""
    read = read_items(msgspec.json.encode({"items": [GOOD] * MAX_ITEMS}), Pair, PairSchema())
    assert (len(read.good), read.bad) == (MAX_ITEMS, {})


def test_a_failed_item() -> None:
    """Index, status and faults."""
    fault = Fault("c", "/items/7/x", "m", 5)
    assert failed(7, 409, [fault]) == {"index": 7, "status": 409, "errors": [fault.as_json()]}
