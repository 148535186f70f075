"""Each way to break who knows the contract is named; what breaks nobody is not."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from exchange.contract.breaks import breaks

Change = Callable[[dict[str, Any]], object]
BODY = {
    "type": "object",
    "required": ["a"],
    "properties": {
        "a": {"type": "string", "maxLength": 10, "pattern": "^a"},
        "kind": {"enum": ["x", "y"]},
        "rows": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}},
    },
}
ROW = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "m": {"type": ["string", "null"]}}}
JSON = {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}}
ANSWERED = {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}
OLD: dict[str, Any] = {
    "paths": {
        "/v1/things": {
            "post": {
                "operationId": "make_thing",
                "x-roles": ["funder", "operator"],
                "parameters": [{"in": "query", "name": "q", "schema": {"type": "integer", "maximum": 9}}],
                "requestBody": {"required": True, "content": JSON},
                "responses": {"201": {"content": ANSWERED}, "404": {"description": "no"}},
            },
            "get": {"operationId": "list_things", "responses": {"200": {"content": ANSWERED}}},
            "parameters": [],
        }
    },
    "webhooks": {"thing.made": {"post": {"requestBody": {"content": ANSWERED}}}},
    "components": {"schemas": {"Body": BODY, "Answer": copy.deepcopy(BODY), "Row": ROW}},
}


def op(new: dict[str, Any]) -> dict[str, Any]:
    """The operation that changes."""
    found: dict[str, Any] = new["paths"]["/v1/things"]["post"]
    return found


def members(new: dict[str, Any], name: str = "Body") -> dict[str, Any]:
    """The members of a schema."""
    found: dict[str, Any] = new["components"]["schemas"][name]["properties"]
    return found


def newly_required(new: dict[str, Any]) -> None:
    """A second member is needed."""
    new["components"]["schemas"]["Body"]["required"] = ["a", "b"]
    members(new)["b"] = {"type": "string"}


def renamed(new: dict[str, Any]) -> None:
    """A member of an answer has another name."""
    members(new, "Answer")["letter"] = members(new, "Answer").pop("a")


def moved(new: dict[str, Any]) -> None:
    """An operation has another address."""
    new["paths"]["/v2/things"] = {"post": new["paths"]["/v1/things"].pop("post")}


BREAKING: list[tuple[Change, list[str]]] = [
    (lambda new: new["paths"]["/v1/things"].pop("get"), ["list_things: removed"]),
    (moved, ["make_thing: moved from POST /v1/things"]),
    (lambda new: op(new)["x-roles"].remove("funder"), ["make_thing: closed to the role funder"]),
    (newly_required, ["make_thing: request /b: newly required"]),
    (lambda new: members(new).pop("kind"), ["make_thing: request /kind: removed"]),
    (lambda new: members(new)["kind"]["enum"].remove("x"), ["make_thing: request /kind: no longer takes x"]),
    (lambda new: members(new)["a"].update(maxLength=9), ["make_thing: request /a: maxLength became 9"]),
    (lambda new: members(new)["a"].update(minLength=1), ["make_thing: request /a: minLength became 1"]),
    (lambda new: members(new)["a"].update(pattern="^b"), ["make_thing: request /a: pattern became ^b"]),
    (
        lambda new: members(new)["a"].update(type="integer"),
        ["make_thing: request /a: type string became integer"],
    ),
    (
        lambda new: op(new)["parameters"][0].update(required=True),
        ["make_thing: request /q: newly required"],
    ),
    (lambda new: op(new)["parameters"].clear(), ["make_thing: request /q: removed"]),
    (
        lambda new: op(new)["parameters"][0]["schema"].update(maximum=8),
        ["make_thing: request /q: maximum became 8"],
    ),
    (
        lambda new: op(new)["responses"].update({"200": op(new)["responses"].pop("201")}),
        ["make_thing: answer 201: removed"],
    ),
    (
        lambda new: op(new)["requestBody"].update(content={"text/csv": {"schema": {"type": "string"}}}),
        ["make_thing: request: no longer application/json"],
    ),
    (
        renamed,
        ["list_things: answer /a: removed", "make_thing: answer /a: removed", "thing.made: answer /a: removed"],
    ),
    (
        lambda new: new["components"]["schemas"]["Answer"]["required"].clear(),
        [f"{who}: answer /a: no longer always there" for who in ("list_things", "make_thing", "thing.made")],
    ),
    (
        lambda new: members(new, "Answer")["kind"]["enum"].append("z"),
        [f"{who}: answer /kind: may now be z" for who in ("list_things", "make_thing", "thing.made")],
    ),
    (
        lambda new: members(new, "Row")["n"].update(type=["integer", "null"]),
        [
            f"{who}: answer /rows/*/n: type integer became integer, null"
            for who in ("list_things", "make_thing", "thing.made")
        ],
    ),
    (lambda new: new["webhooks"].clear(), ["thing.made: event removed"]),
]


@pytest.mark.parametrize(("change", "told"), BREAKING)
def test_what_breaks_is_named(change: Change, told: list[str]) -> None:
    """One change, and for each operation that it breaks a line that says what and where."""
    new = copy.deepcopy(OLD)
    change(new)
    assert breaks(OLD, new) == told


HARMLESS: list[Change] = [
    lambda new: new["paths"].update({"/v1/others": {"get": {"operationId": "list_others", "responses": {}}}}),
    lambda new: members(new).update(b={"type": "string"}),
    lambda new: members(new, "Answer").update(b={"type": "string"}),
    lambda new: members(new)["kind"]["enum"].append("z"),
    lambda new: members(new, "Answer")["kind"]["enum"].remove("x"),
    lambda new: members(new)["a"].pop("maxLength"),
    lambda new: members(new)["a"].pop("pattern"),
    lambda new: members(new)["a"].update(type=["string", "null"]),
    lambda new: new["components"]["schemas"]["Body"]["required"].clear(),
    lambda new: op(new)["responses"].update({"409": {"description": "later"}}),
    lambda new: op(new)["x-roles"].append("auditor"),
]


@pytest.mark.parametrize("change", HARMLESS)
def test_what_breaks_nobody_is_not(change: Change) -> None:
    """Taking more, answering more members, refusing with more codes."""
    new = copy.deepcopy(OLD)
    change(new)
    assert breaks(OLD, new) == []
