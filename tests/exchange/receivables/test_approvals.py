"""Four eyes: what one client submits, another approves, before anybody is asked or answers."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.exchange.house import Client, House, make_key, public_jwk
from tests.exchange.receivables.shared import (
    add_colleague,
    add_obligor,
    add_platform,
    ask,
    at_once,
    birth,
    entered,
    owed_by,
    state,
    submit,
    told,
    twin,
)

UNKNOWN = "ast_01h455vb4pex5vsknk084sn02q"
NOBODY: dict[str, list[Any]] = {"approvals": [], "silence": []}
OVER_5000 = {"approvals": [{"currency": "CNY", "over_minor": 500_000}], "silence": []}


@pytest.fixture(autouse=True)
def policy(house: House) -> None:
    """Above CNY 5,000 another client has to approve."""
    house.operator.put(f"/v1/originators/{house.originator_id}/policy", OVER_5000)


@pytest.fixture(scope="module")
def colleague(house: House) -> Client:
    """The second client."""
    return add_colleague(house, "colleague")


def decide(client: Client, *items: dict[str, Any]) -> list[tuple[int, list[str]]]:
    """Approve or decline; status and codes."""
    return told(client.post("/v1/approvals", {"items": items})["items"])


def approve(asset_id: str) -> dict[str, Any]:
    """An approval."""
    return {"asset_id": asset_id, "outcome": "approved"}


def confirm(client: Client, asset_id: str) -> tuple[int, list[str]]:
    """Pass an acceptance on."""
    item = {"asset_id": asset_id, "outcome": "accepted", "grade": "explicit", "confirmed_date": "2026-03-02"}
    (result,) = told(client.post("/v1/confirmations", {"items": [item]})["items"])
    return result


def test_nothing_happens_before_the_second_client_approved(house: House, colleague: Client) -> None:
    """Neither asked for, nor confirmed, nor answered, nor seen by its obligor; then all of it."""
    obligor = add_obligor(house, "four-eyes")
    large, small = entered(house, owed_by("four-eyes", "EYES-1"), owed_by("four-eyes", "EYES-2", face_minor=500_000))
    assert [state(house, asset_id) for asset_id in (large, small)] == ["awaiting_approval", "submitted"]
    assert told(ask(house.platform, [large, small])) == [(409, ["awaiting_approval"]), (201, [])]
    assert confirm(house.platform, large) == (409, ["awaiting_approval"])
    items = [{"asset_id": large, "outcome": "accepted"}]
    assert told(obligor.post("/v1/answers", {"items": items})["items"]) == [(409, ["awaiting_approval"])]
    assert [one["asset_id"] for one in obligor.get("/v1/answers")["items"]] == [small]
    (listed,) = [one for one in colleague.get("/v1/approvals?limit=1000")["items"] if one["asset_id"] == large]
    assert (listed["made_by"], listed["face_minor"]) == (house.platform.client_id, 1_000_000)
    assert decide(colleague, approve(large)) == [(201, [])]
    assert state(house, large) == "submitted"
    assert all(one["asset_id"] != large for one in colleague.get("/v1/approvals?limit=1000")["items"])
    assert confirm(house.platform, large) == (201, [])
    assert birth(house, large)["face_minor"] == 1_000_000


def test_nobody_approves_what_it_submitted(house: House, colleague: Client) -> None:
    """Not with another answer either; the database holds it too; a foreign originator does not even find it."""
    (asset_id,) = entered(house, owed_by("own", "OWN-1"))
    declined = {"asset_id": asset_id, "outcome": "declined", "reason": "mistake"}
    assert decide(house.platform, approve(asset_id), declined) == [(403, ["own_submission"])] * 2
    stranger = add_platform(house, "Stranger who approves")
    assert decide(stranger, approve(asset_id), approve(UNKNOWN)) == [(404, ["not_found"])] * 2
    assert stranger.get("/v1/approvals")["items"] == []
    assert state(house, asset_id) == "awaiting_approval"
    own = text("UPDATE approval SET outcome = 'approved', decided_at = now(), decided_by = made_by WHERE asset_id = :i")
    with pytest.raises(IntegrityError, match="four_eyes"), house.services.database.transaction() as session:
        session.execute(own, {"i": asset_id})
    assert submit(colleague, [owed_by("own", "OWN-2")])[0]["status"] == 201
    assert decide(colleague, approve(asset_id)) == [(201, [])]


def test_what_is_declined_is_void(house: House, colleague: Client) -> None:
    """With a reason; finally; nobody can answer for it."""
    (asset_id,) = entered(house, owed_by("declined", "DECLINED-1"))
    bare = {"asset_id": asset_id, "outcome": "declined"}
    talkative = approve(asset_id) | {"reason": "fine"}
    assert decide(colleague, bare, talkative) == [(422, ["reason_missing"]), (422, ["reason_unexpected"])]
    assert decide(colleague, bare | {"reason": "no order"}, approve(asset_id)) == [
        (201, []),
        (409, ["already_decided"]),
    ]
    assert decide(colleague, approve(asset_id)) == [(409, ["already_decided"])]
    assert state(house, asset_id) == "void"
    assert confirm(house.platform, asset_id) == (409, ["approval_declined"])
    assert told(ask(house.platform, [asset_id])) == [(409, ["approval_declined"])]
    (again,) = entered(house, owed_by("declined", "DECLINED-1"))
    assert again != asset_id


def test_an_acceptance_cannot_come_before_the_approval(house: House) -> None:
    """What needs a second client does not come confirmed; what does not, may."""
    confirmation = {"grade": "explicit", "confirmed_date": "2026-03-02"}
    large, small, yen = (
        owed_by("inline", "INLINE-1", confirmation=confirmation),
        owed_by("inline", "INLINE-2", confirmation=confirmation, face_minor=500_000),
        owed_by("inline", "INLINE-3", confirmation=confirmation, currency="JPY"),
    )
    results = submit(house.platform, [large, small, yen])
    assert told(results) == [(409, ["awaiting_approval"]), (201, []), (201, [])]
    assert results[0]["errors"][0]["pointer"] == "/items/0/confirmation"


def test_racing_approvals_decide_once(house: House, colleague: Client) -> None:
    """Three others approve and decline the same ten in different orders: each is decided once, as one of them said."""
    ids = entered(house, *(owed_by("race", f"APPROVAL-RACE-{number}") for number in range(10)))
    others = [twin(house, colleague), add_colleague(house, "colleague 2"), add_colleague(house, "colleague 3")]
    for other in others:
        other.token = other.sign_in()

    def step(number: int) -> list[tuple[int, list[str]]]:
        order = ids[::-1] if number == 1 else ids
        items = [approve(one) if number else {"asset_id": one, "outcome": "declined", "reason": "no"} for one in order]
        results = decide(others[number], *items)
        return results[::-1] if number == 1 else results

    for asset_id, results in zip(ids, zip(*at_once(3, step), strict=True), strict=True):
        assert sorted(results) == [(201, []), (409, ["already_decided"]), (409, ["already_decided"])]
        assert state(house, asset_id) == ("void" if results[0] == (201, []) else "submitted")


def test_the_policy_is_the_operators_to_set(house: House) -> None:
    """Versions count up; a platform sees its own, sets none; what contradicts itself is refused whole."""
    path = f"/v1/originators/{house.originator_id}/policy"
    before = house.operator.get(path)["version"]
    terms = {"approvals": [], "silence": [{"product": "working_capital", "jurisdiction": "CL"}]}
    assert house.operator.put(path, terms) == {"version": before + 1, **terms}
    assert house.platform.get(path) == {"version": before + 1, **terms}
    assert house.platform.refused("PUT", path, terms)["code"] == "forbidden"
    wrong = {
        "approvals": [{"currency": "XXX", "over_minor": 0}],
        "silence": [{"product": "working_capital", "jurisdiction": "CN"}],
    }
    problem = house.operator.refused("PUT", path, wrong)
    assert [fault["code"] for fault in problem["errors"]] == ["unknown_currency", "days_missing"]
    assert house.operator.get(path)["version"] == before + 1
    elsewhere = "/v1/originators/org_01h455vb4pex5vsknk084sn02q/policy"
    assert house.operator.refused("PUT", elsewhere, NOBODY)["code"] == "not_found"
    for client in (house.operator, house.platform):
        assert client.refused("GET", elsewhere)["code"] == "not_found"
    stranger = add_platform(house, "Stranger who looks")
    assert stranger.refused("GET", path)["code"] == "not_found"


def test_each_client_has_a_key_of_its_own(house: House) -> None:
    """The maker's key does not make a checker."""
    path = f"/v1/originators/{house.originator_id}/clients"
    same = {"public_jwk": public_jwk(make_key("platform"))}
    assert house.operator.refused("POST", path, same)["code"] == "key_in_use"
    elsewhere = "/v1/originators/org_01h455vb4pex5vsknk084sn02q/clients"
    assert house.operator.refused("POST", elsewhere, same)["code"] == "not_found"
    assert house.platform.refused("POST", path, same)["code"] == "forbidden"
