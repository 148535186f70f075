"""The contract is whole: examples that fit, codes for every refusal, a webhook and a schema for every event."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest

from exchange.callbacks.events import DATA
from exchange.callbacks.rules import event_body
from exchange.contract.bounds import bounded
from exchange.contract.codes import refusals
from exchange.contract.document import operations
from exchange.contract.events import schema_name
from exchange.contract.examples import Examples
from exchange.errors import NotFound, Refusal
from exchange.funding.api import commit_to_offer
from exchange.paging import BadCursor
from tests.exchange.good_bodies import BULK, SINGLE
from tests.exchange.house import CONTRACT, OPENING

SCHEMAS = CONTRACT["components"]["schemas"]
OPERATIONS = list(operations(CONTRACT))


def faults(schema: dict[str, Any], value: object) -> list[str]:
    """What is wrong with a value, by a schema of the contract."""
    whole = schema | {"components": CONTRACT["components"]}
    checker = jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())
    return [f"{one.json_path}: {one.message}" for one in checker.iter_errors(value)]


def bodies(value: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401 - a part of the document
    """Every body of a part of the document, and where it stands."""
    if isinstance(value, dict):
        for key, below in value.items():
            if key == "content":
                yield from ((f"{at}/{kind}", one) for kind, one in below.items() if one["schema"])
            else:
                yield from bodies(below, f"{at}/{key}")


def test_every_body_has_an_example_that_fits() -> None:
    """Of every request, answer, refusal and event."""
    found = [
        *bodies(CONTRACT["paths"]),
        *bodies(CONTRACT["webhooks"]),
        *bodies(CONTRACT["components"]["responses"]),
    ]
    assert len(found) > len(OPERATIONS)
    wrong = {at: told for at, body in found if (told := faults(body["schema"], body["example"]))}
    assert wrong == {}


def test_what_is_sent_in_tests_fits_the_contract() -> None:
    """The right bodies that the battery spoils are right by the contract, too."""
    wrong = {}
    for _, _, one in OPERATIONS:
        name, content = one["operationId"], one.get("requestBody", {}).get("content", {})
        if name in BULK | SINGLE:
            body = {"items": [BULK[name]]} if name in BULK else SINGLE[name]
            wrong[name] = faults(content["application/json"]["schema"], body)
    assert {name: told for name, told in wrong.items() if told} == {}


def test_every_operation_says_what_it_may_refuse() -> None:
    """401, 403, 429, 500 and 503 everywhere, 413 where there is a body, and no answer left to a default."""
    for _, path, one in OPERATIONS:
        if not one["security"]:
            continue
        statuses = one["responses"].keys()
        assert {"401", "403", "429", "500", "503"} <= statuses, path
        assert ("404" in statuses) >= ("{" in path), path
        assert ("413" in statuses) == ("requestBody" in one), path
        assert all(re.fullmatch("[1-5][0-9]{2}", status) for status in statuses), path


def test_codes_are_read_from_the_code() -> None:
    """What a commitment meets in rules, actions and signatures, by the operation's own functions."""
    found = {one.code for one in refusals(commit_to_offer)}
    assert found >= {"offer_not_open", "not_in_offer", "not_found", "invalid_signature", "signature_missing"}
    assert "insufficient_cash" not in found


class Hidden(Refusal):
    """One that only a table's function raises."""


def _deep() -> None:
    raise BadCursor("no")


TABLE: dict[str, Callable[[], None]] = {"deep": _deep}


class Known:
    """A class with a property and a method that refuse."""

    @property
    def value(self) -> int:
        """Refused."""
        raise NotFound("no")

    @staticmethod
    def act() -> None:
        """By a table."""
        TABLE["deep"]()


def test_codes_hide_in_tables_properties_and_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions in tables, properties and methods of a class that an argument has are followed."""
    monkeypatch.setattr("exchange.contract.codes.OURS", (f"{__name__}.", "exchange."))

    def view(known: Known) -> int:
        return known.value

    assert {one.code for one in refusals(view)} == {"not_found", "bad_cursor"}


def test_every_event_has_a_webhook_and_a_schema() -> None:
    """One for each type that may be told; the bytes that are sent fit, another member does not."""
    assert CONTRACT["webhooks"].keys() == DATA.keys()
    data = Examples(SCHEMAS).of(SCHEMAS[schema_name("asset.repaid")]["properties"]["data"])
    raw = jsonschema.__name__.encode()  # not JSON: `data` is spliced in as it is
    body = event_body("asset.repaid", data=raw, recorded_at=OPENING, sequence=1, prev=None, log_index=None)
    members = dict(re.findall(r'"(\w+)":("[^"]*"|[0-9]+|null)', body.decode()))
    assert {*members, "data"} == set(SCHEMAS["EventAssetRepaid"]["required"])
    event = {"type": "asset.repaid", "timestamp": "2026-03-02T01:00:00Z", "sequence": 1, "prev": None, "log_index": 0}
    assert faults(SCHEMAS["EventAssetRepaid"], event | {"data": data}) == []
    assert len(faults(SCHEMAS["EventAssetRepaid"], event | {"data": data | {"more": 1}, "sequence": 0})) == 2


def test_limits_stand_where_none_were() -> None:
    """A limit of its own stays; strings, numbers and lists without one get one, also within."""
    page = {"properties": {"items": {"type": "array", "items": {"type": "string"}}, "next": {"type": "null"}}}
    assert bounded(page)["properties"]["items"] == {
        "type": "array",
        "items": {"type": "string", "maxLength": 65_536},
        "maxItems": 1000,
    }
    assert bounded({"type": "string", "maxLength": 3}) == {"type": "string", "maxLength": 3}
    assert bounded({"type": ["integer", "null"]})["maximum"] == 2**53 - 1
    assert bounded({"enum": ["a"], "type": "string"}) == {"enum": ["a"], "type": "string"}
