"""The fast decoders accept what the contract accepts, and nothing else."""

import copy
from collections.abc import Callable
from random import Random
from typing import Any

import marshmallow as ma
import msgspec
import pytest

from exchange.bulk import read_items
from exchange.errors import MalformedBody
from exchange.receivables.answer_schemas import ApprovalSchema, RequestItem, RequestSchema
from exchange.receivables.schemas import (
    AnswerItem,
    AnswerSchema,
    ApprovalItem,
    ConfirmationItem,
    ConfirmationSchema,
    SubmissionItem,
    SubmissionSchema,
)
from exchange.risk.schemas import HistoryItem, HistorySchema
from exchange.schemas import faults_of
from tests.exchange.house import receivable

ASSET = "ast_01h455vb4pex5vsknk084sn02q"
COMPANY = {
    "scheme": "platform",
    "value": "s-1",
    "name": "Seller",
    "sector": "plastics",
    "region": "CN-31",
    "controller": {"national_id": "310000199001010000"},
}
FULL = receivable("INV-1", seller=COMPANY, documents=[{"kind": "invoice", "sha256": "ab" * 32}])
INVOICE = ("invoice_number", "seller", "obligor", "currency", "face_minor", "issue_date", "due_date")
HISTORY = {name: FULL[name] for name in INVOICE} | {"settled_date": "2026-03-01"}
OWN_ANSWER = {
    "asset_id": ASSET,
    "outcome": "corrected",
    "face_minor": 900,
    "due_date": "2026-05-02",
    "reason_code": "other",
    "reason": "returned",
}
ANSWER = OWN_ANSWER | {"grade": "deemed", "confirmed_date": "2026-03-02"}
KINDS: dict[str, tuple[type[msgspec.Struct], type[ma.Schema], dict[str, Any]]] = {
    "submission": (SubmissionItem, SubmissionSchema, FULL),
    "history": (HistoryItem, HistorySchema, HISTORY),
    "confirmation": (ConfirmationItem, ConfirmationSchema, ANSWER),
    "answer": (AnswerItem, AnswerSchema, OWN_ANSWER),
    "request": (RequestItem, RequestSchema, {"asset_id": ASSET, "valid_days": 30}),
    "approval": (ApprovalItem, ApprovalSchema, {"asset_id": ASSET, "outcome": "declined", "reason": "no order"}),
}
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 10**13, 10**13 + 1, 10**15, 2**63, 2**64, 10**30, 1.0, 1e5, 0.5, "", " ", "1", "é"),
    *([], {}, [None], ["x"], {"x": 1}, [{"kind": "order", "sha256": "0" * 64}] * 20, [{}] * 21, "A" * 64, "A" * 65),
    *("😀" * 64, "😀" * 65, "x" * 200, "x" * 201, "\0", "a\n", "\n", "\x7f", "\x85", "\u2028", "cny", "CNY", "CNYX"),
    *("ＣＮＹ", "CNY\n", "uscc", "lei", "platform", "accepted", "explicit", "with", "order", "0" * 64, "0" * 63),
    *("G" * 64, "AB" * 32, "0" * 64 + "\n", ASSET, ASSET + "\n", ASSET.upper(), ASSET[:-1], "pol" + ASSET[3:], "ast_"),
    *("2026-03-02", "2026-02-29", "2024-02-29", "1969-12-31", "1970-01-01", "2199-12-31", "2200-01-01", "0001-01-01"),
    *("9999-12-31", "2026-3-2", "20260302", "2026-03-02T00:00:00Z", "2026-03-02\n", "２０２６-03-02", "2026-W10-1"),
]  # fmt: skip
CODES = {
    *("missing", "null", "unknown_field", "not_an_object", "not_a_list", "not_an_integer", "not_text", "not_a_date"),
    *("not_one_of", "out_of_range", "bad_length", "bad_character", "bad_format", "bad_id"),
}


def spoil(random: Random, item: dict[str, Any]) -> None:
    """Change one member anywhere: another value, none, or one too many."""
    place: Any = item
    while True:
        key = random.choice(list(place) if isinstance(place, dict) else range(len(place)))
        inner = place[key]
        if not inner or not isinstance(inner, dict | list) or random.random() < 0.3:
            break
        place = inner
    ways: list[Callable[[], object]] = [lambda: place.__setitem__(key, random.choice(VALUES))] * 8
    ways.append(lambda: place.__delitem__(key))
    if isinstance(place, dict):
        ways.append(lambda: place.__setitem__("surplus", 1))
    random.choice(ways)()


@pytest.mark.parametrize("name", KINDS)
def test_decoder_and_contract_agree(name: str) -> None:
    """Over 2,000 items, each spoilt in one to three places, both accept or both refuse, with the contract's codes."""
    kind, schema_class, good = KINDS[name]
    schema = schema_class()
    random = Random(f"agree on {name}")
    accepted = 0
    for _ in range(2000):
        item = copy.deepcopy(good)
        for _ in range(random.choice([1, 1, 2, 3])):
            if item:
                spoil(random, item)
        raw = msgspec.json.encode({"items": [item]})
        read = read_items(raw, kind, schema)
        contract = faults_of(schema, msgspec.json.decode(raw)["items"][0], at="/items/0")
        assert read.bad.get(0, []) == contract, item
        assert {fault.code for fault in contract} <= CODES
        assert all(fault.pointer.startswith("/items/0") for fault in contract)
        accepted += not contract
    assert 50 < accepted < 1950


@pytest.mark.parametrize("name", KINDS)
def test_what_is_complete_and_what_is_least_are_good(name: str) -> None:
    """All members together, and only those that are needed."""
    kind, schema, good = KINDS[name]
    needed = {field for field, inner in schema().fields.items() if inner.required}
    for item in (good, {field: good[field] for field in needed}):
        assert faults_of(schema(), item) == []
        assert isinstance(msgspec.json.decode(msgspec.json.encode(item), type=kind), kind)


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"face_minor": 0}, "out_of_range", "/items/0/face_minor"),
        ({"face_minor": 10**13 + 1}, "out_of_range", "/items/0/face_minor"),
        ({"face_minor": 1.0}, "not_an_integer", "/items/0/face_minor"),
        ({"face_minor": "1"}, "not_an_integer", "/items/0/face_minor"),
        ({"face_minor": True}, "not_an_integer", "/items/0/face_minor"),
        ({"issue_date": "1969-12-31"}, "not_a_date", "/items/0/issue_date"),
        ({"due_date": "2200-01-01"}, "not_a_date", "/items/0/due_date"),
        ({"due_date": "2026-02-30"}, "not_a_date", "/items/0/due_date"),
        ({"recourse": "maybe"}, "not_one_of", "/items/0/recourse"),
        ({"documents": {}}, "not_a_list", "/items/0/documents"),
        ({"obligor": COMPANY | {"name": None}}, "null", "/items/0/obligor/name"),
        ({"obligor": COMPANY | {"a/b~c": 1}}, "unknown_field", "/items/0/obligor/a~1b~0c"),
        ({"documents": [{"kind": "invoice"}]}, "missing", "/items/0/documents/0/sha256"),
        ({"invoice_number": "a\tb"}, "bad_character", "/items/0/invoice_number"),
        ({"invoice_number": 7}, "not_text", "/items/0/invoice_number"),
        ({"seller": []}, "not_an_object", "/items/0/seller"),
    ],
)
def test_codes_and_pointers_are_stable(changes: dict[str, Any], code: str, pointer: str) -> None:
    """What callers match on."""
    raw = msgspec.json.encode({"items": [FULL | changes]})
    (fault,) = read_items(raw, SubmissionItem, SubmissionSchema()).bad[0]
    assert (fault.code, fault.pointer) == (code, pointer)


@pytest.mark.parametrize("literal", [b'"\\ud800"', b"NaN", b"[" * 3000 + b"]" * 3000])
def test_what_is_no_json_is_a_malformed_body(literal: bytes) -> None:
    """Neither a stray exception nor a good item."""
    raw = msgspec.json.encode({"items": [FULL | {"invoice_number": "@"}]}).replace(b'"@"', literal)
    with pytest.raises(MalformedBody):
        read_items(raw, SubmissionItem, SubmissionSchema())


@pytest.mark.parametrize("literal", [b'"\xff"', b"1e999", b"9" * 5000])
def test_what_nobody_can_read_spoils_its_item_alone(literal: bytes) -> None:
    """Bytes that are no text and numbers without bounds: the item is refused, its neighbour is good."""
    raw = msgspec.json.encode({"items": [FULL | {"invoice_number": "@"}, FULL]}).replace(b'"@"', literal)
    read = read_items(raw, SubmissionItem, SubmissionSchema())
    assert [(fault.code, fault.pointer) for fault in read.bad[0]] == [("malformed_item", "/items/0")]
    assert [index for index, _ in read.good] == [1]


def test_dates_that_were_never_decoded_are_bounded_too() -> None:
    """Nobody makes an item with a date that the risk engine could not count."""
    good = msgspec.convert(ANSWER, ConfirmationItem)
    with pytest.raises(ValueError, match="between 1970-01-01 and 2199-12-31"):
        msgspec.structs.replace(good, confirmed_date=good.confirmed_date.replace(year=1969))
