"""Bulk bodies: decoded fast when they are right, explained completely when they are not.

`{"items": [...]}` is taken apart item by item. A good item costs one typed decode; a bad one is read again by its
marshmallow schema, which names every fault in it at once. One bad item never spoils its neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import marshmallow as ma
import msgspec

from exchange.bodies import json_body, written
from exchange.errors import Fault, InvalidRequest, MalformedBody, Refused
from exchange.schemas import ItemFault, escaped, faults_of

MAX_ITEMS = 1000

Faults = list[Fault]

Item = TypeVar("Item", bound=msgspec.Struct)


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    items: list[msgspec.Raw]


class ItemResult(ma.Schema):
    """What became of one item. `status` reads like an HTTP status."""

    index = ma.fields.Integer(required=True)
    status = ma.fields.Integer(required=True)
    errors = ma.fields.List(ma.fields.Nested(ItemFault))


@dataclass(frozen=True, slots=True)
class Read(Generic[Item]):
    """A bulk body taken apart: the items that could be read and the faults of the others, each by its index."""

    good: list[tuple[int, Item]]
    bad: dict[int, Faults]

    def answer(self, results: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
        """One result for each item, in order: that of `results`, or why the item could not be read."""
        failures = {index: failed(index, 422, faults) for index, faults in self.bad.items()}
        return {"items": [result for _, result in sorted((failures | dict(results)).items())]}

    def judged(self, refused: Mapping[int, Refused | None]) -> dict[str, Any]:
        """The answer where there is no more to tell of an item than whether it was refused."""
        return self.answer({index: _judged(index, why) for index, why in refused.items()})


def read_items(raw: bytes, kind: type[Item], schema: ma.Schema) -> Read[Item]:
    """Each item of the body as a `kind`, or everything that is wrong with it.

    Refuses a body that is not JSON (`MalformedBody`) or not an object with 1 to 1,000 `items` (`InvalidRequest`).
    """
    try:
        items = msgspec.json.decode(raw, type=_Envelope).items
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _envelope_refusal(json_body(raw)) from None
    if written(raw) > 1 + sum(map(written, map(bytes, items))):
        json_body(raw)
    if not 1 <= len(items) <= MAX_ITEMS:
        fault = Fault("bad_length", "/items", f"between 1 and {MAX_ITEMS} items", len(items))
        raise InvalidRequest(f"Send between 1 and {MAX_ITEMS} items.", faults=(fault,))
    return read_raws(items, kind, schema)


def read_raws(items: Sequence[msgspec.Raw | bytes], kind: type[Item], schema: ma.Schema) -> Read[Item]:
    """Each of many JSON texts as a `kind`, or everything that is wrong with it."""
    decoder = _decoder(kind)
    read: Read[Item] = Read([], {})
    for index, item in enumerate(items):
        found = _read_item(item, index, decoder, schema)
        if isinstance(found, list):
            read.bad[index] = found
        else:
            read.good.append((index, found))
    return read


def failed(index: int, status: int, faults: Sequence[Fault]) -> dict[str, Any]:
    """The result of an item that was refused."""
    return {"index": index, "status": status, "errors": [fault.as_json() for fault in faults]}


def _judged(index: int, refused: Refused | None) -> dict[str, Any]:
    return {"index": index, "status": 201} if refused is None else failed(index, refused[0], [refused[1]])


@lru_cache
def _decoder(kind: type[Item]) -> msgspec.json.Decoder[Item]:
    return msgspec.json.Decoder(kind)


def _read_item(
    raw: msgspec.Raw | bytes, index: int, decoder: msgspec.json.Decoder[Item], schema: ma.Schema
) -> Item | Faults:
    at = f"/items/{index}"
    try:
        value = json_body(bytes(raw))
    except MalformedBody as refusal:
        return [Fault("malformed_item", at, refusal.detail)]
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return faults_of(schema, value, at=at) or [Fault("invalid_item", at, "the item does not fit the contract")]


def _envelope_refusal(body: Any) -> InvalidRequest:  # noqa: ANN401 - whatever JSON holds
    """Why a well-formed body is not an object with a list of items."""
    if not isinstance(body, dict):
        fault = Fault("not_an_object", "", "write a JSON object with `items`", body)
    elif not isinstance(body.get("items"), list):
        fault = Fault("not_a_list", "/items", "write a JSON array", body.get("items"))
    else:
        unknown = next(name for name in body if name != "items")
        pointer = f"/{escaped(unknown)}"
        fault = Fault("unknown_field", pointer, "this field is not part of the contract", body[unknown])
    return InvalidRequest("The body is not an object with a list of items.", faults=(fault,))
