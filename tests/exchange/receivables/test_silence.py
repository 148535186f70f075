"""Silence as acceptance: only where a policy says so, on a paper, after a request, when the last day is over."""

from datetime import date, timedelta
from typing import Any

import pytest

from exchange.receivables import requests
from tests.exchange.house import House
from tests.exchange.receivables.shared import ask, birth, entered, owed_by, state

DELIVERY = {"kind": "delivery_note", "sha256": "d1" * 32}
CONTRACT = {"kind": "contract", "sha256": "c1" * 32}
CLOCKS = [
    {"product": "receivable_factoring", "jurisdiction": "CL"},
    {"product": "working_capital", "jurisdiction": "CN", "after_days": 3},
]


@pytest.fixture(autouse=True)
def policy(house: House) -> None:
    """Eight days for factored receivables by law, three for working capital by contract."""
    path = f"/v1/originators/{house.originator_id}/policy"
    house.operator.put(path, {"approvals": [], "silence": CLOCKS})


def paper(kind: str, number: str) -> dict[str, str]:
    """A paper nobody else has."""
    return {"kind": kind, "sha256": number.encode().hex().ljust(64, "0")}


def wait_until(house: House, day: date, hour: int = 1) -> None:
    """Move the clock to an hour of a day."""
    house.move(hour, days=(day - house.today).days)


def test_the_clock_runs_out_after_the_last_day(house: House) -> None:
    """Eight days after the request it is still the obligor's to say; a day later its silence is an acceptance."""
    note = paper("delivery_note", "CLOCK")
    (asset_id,) = entered(house, owed_by("silent", "CLOCK", documents=[note]))
    (asked,) = ask(house.platform, [asset_id], valid_days=1)
    last = house.today + timedelta(days=8)
    assert asked["answer_by"] == last.isoformat()
    page = house.app.test_client().get(asked["url"].removeprefix("http://127.0.0.1:8080"))
    assert last.isoformat() in page.text
    wait_until(house, last, hour=23)
    assert state(house, asset_id) == "awaiting_confirmation"
    wait_until(house, last + timedelta(days=1))
    assert state(house, asset_id) == "confirmed"
    confirmation = birth(house, asset_id)["confirmation"]
    assert confirmation == {"grade": "deemed", "date": last.isoformat(), "evidence": note["sha256"]}
    assert house.platform.get(f"/v1/assets/{asset_id}")["claim"] == "free"
    done = house.app.test_client().get(asked["url"].removeprefix("http://127.0.0.1:8080"))
    assert done.status_code in {200, 410}


def test_whoever_answers_in_time_is_not_silent(house: House) -> None:
    """On the last day, late in the evening, a refusal counts: the link lives as long as the clock."""
    (asset_id,) = entered(house, owed_by("speaks", "SPEAKS", documents=[paper("delivery_note", "SPEAKS")]))
    (asked,) = ask(house.platform, [asset_id], valid_days=1)
    wait_until(house, date.fromisoformat(asked["answer_by"]), hour=23)
    form = {f"outcome-{asset_id}": "refused", f"reason_code-{asset_id}": "not_delivered"}
    assert (
        house.app.test_client().post(asked["url"].removeprefix("http://127.0.0.1:8080"), data=form).status_code == 303
    )
    wait_until(house, house.today + timedelta(days=2))
    assert state(house, asset_id) == "void"


def test_without_ground_request_or_rule_silence_is_nothing(house: House) -> None:
    """No paper, the wrong paper, another product, nobody asked: still waiting after a month."""
    cases: list[tuple[str, dict[str, Any]]] = [
        ("NO-PAPER", {"documents": [paper("invoice", "NO-PAPER")]}),
        ("NO-CONTRACT", {"product": "working_capital", "documents": [paper("delivery_note", "NO-CONTRACT")]}),
        ("NO-RULE", {"product": "equipment_lease", "documents": [paper("contract", "NO-RULE")]}),
        ("NOT-ASKED", {"documents": [paper("delivery_note", "NOT-ASKED")]}),
    ]
    ids = entered(house, *(owed_by("quiet", number, **changes) for number, changes in cases))
    assert all("answer_by" not in result for result in ask(house.platform, ids[:3], valid_days=5))
    wait_until(house, house.today + timedelta(days=31))
    assert [state(house, asset_id) for asset_id in ids] == [*["awaiting_confirmation"] * 3, "submitted"]


def test_a_contract_makes_its_own_clock(house: House) -> None:
    """Also when it is uploaded after submission; a policy of today changes no clock that runs."""
    (asset_id,) = entered(house, owed_by("contract", "BY-CONTRACT", product="working_capital"))
    path = f"/v1/receivables/{asset_id}/documents/contract"
    uploaded = house.platform.call("POST", path, raw=b"clause 7: silence is acceptance").get_json()
    (asked,) = ask(house.platform, [asset_id])
    assert asked["answer_by"] == (house.today + timedelta(days=3)).isoformat()
    house.operator.put(f"/v1/originators/{house.originator_id}/policy", {"approvals": [], "silence": []})
    wait_until(house, house.today + timedelta(days=4))
    assert birth(house, asset_id)["confirmation"]["evidence"] == uploaded["sha256"]


def test_many_that_are_silent_are_taken_in_batches(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, each once, also when days were missed while nobody worked."""
    monkeypatch.setattr(requests, "DEEM_BATCH", 2)
    items = [
        owed_by(f"batch {number}", f"BATCH-{number}", documents=[paper("delivery_note", f"B-{number}")])
        for number in range(5)
    ]
    ids = entered(house, *items)
    ask(house.platform, ids)
    wait_until(house, house.today + timedelta(days=20))
    assert {state(house, asset_id) for asset_id in ids} == {"confirmed"}
    for asset_id in ids:
        kinds = [one["kind"] for one in house.platform.get(f"/v1/assets/{asset_id}/records")["items"]]
        assert kinds.count("asset.confirmed") == 1
