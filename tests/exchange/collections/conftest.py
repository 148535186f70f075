"""One exchange for a whole module of tests, with obligors that have been late for four days."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from flask.testing import FlaskClient

from exchange.app import create_app
from tests.exchange.collections.cases import late
from tests.exchange.house import House
from tests.exchange.settlement.book import own_house

TASKS = {
    "first": [
        {"template": "call", "team": "sales", "due_days": 1},
        {"template": "dunning_1", "team": "finance", "due_days": 1, "letter": "dunning_1"},
    ],
    "second": [{"template": "stop_deliveries", "team": "commerce", "due_days": 0}],
    "third": [{"template": "dunning_2", "team": "finance", "due_days": 2, "letter": "dunning_2"}],
    "default": [{"template": "default_notice", "team": "finance", "due_days": 1, "letter": "default_notice"}],
    "bad_debt": [
        {"template": "propose", "team": "risk", "due_days": 5},
        {"template": "approve", "team": "finance", "due_days": 9, "second_to": "propose"},
    ],
}
TRIGGERS: dict[str, dict[str, Any]] = {
    "first": {"from_days": 4},
    "second": {"from_days": 6},
    "third": {"from_days": 7},
    "default": {"on": "default"},
    "bad_debt": {"on": "charge_off"},
}
POLICY: dict[str, Any] = {
    "strategies": [
        {
            "code": "quick",
            "stages": [{"code": code, "tasks": TASKS[code], **trigger} for code, trigger in TRIGGERS.items()],
        }
    ],
    "on_broken_promise": [
        {"template": "call_back", "team": "sales", "due_days": 1},
        {"template": "reminder", "team": "finance", "due_days": 1, "letter": "promise_broken"},
    ],
    "most_open_promises": 2,
    "longest_promise_days": 30,
    "promise_grace_days": 1,
    "reply_days": 7,
    "most_agency_fee_bps": 3000,
    "language": "zh",
    "calendar": "weekdays",
}
"""Stages a few days apart, so that tests need not live through months."""

NAMES = ["pays", "broken", "promises", "both", "lost", "letters", "races", "waits", "tasks", "mixed", "twice", "pages"]


class Late(NamedTuple):
    """An exchange, and two assets of each of its late obligors."""

    house: House
    of: dict[str, list[str]]


@pytest.fixture(scope="module")
def market(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Late]:
    """A running exchange with two funders that the tests of a module share."""
    with own_house(server_url, tmp_path_factory.mktemp("market"), funders=2) as house:
        place = f"/v1/originators/{house.originator_id}/collection-policy"
        assert house.operator.put(place, POLICY)["version"] == 1
        account = {"account": "6222000011112222", "currency": "CNY"}
        house.operator.put("/v1/bank-accounts", account)
        yield Late(house, late(house, *NAMES))


@pytest.fixture(scope="module")
def browser(market: Late) -> FlaskClient:
    """Somebody at the machine."""
    services = market.house.services
    return create_app(replace(services, settings=replace(services.settings, console_open=True))).test_client()
