"""The obligor's answer: final, once, and only for one's own receivables."""

from typing import Any

from sqlalchemy import text

from exchange.auth import Role
from tests.exchange.house import Client, House, enter_client, mandate
from tests.exchange.receivables.shared import add_platform, at_once, submission, submit, told, twin

UNKNOWN = "ast_01h455vb4pex5vsknk084sn02q"
FINAL = (409, ["already_answered"])


def answer(asset_id: str, **changes: object) -> dict[str, Any]:
    """An acceptance; `changes` make it otherwise."""
    item = {"asset_id": asset_id, "outcome": "accepted", "grade": "explicit", "confirmed_date": "2026-03-02"}
    return item | changes


def refusal(asset_id: str, **changes: object) -> dict[str, Any]:
    """A refusal with its reason."""
    return answer(asset_id, **({"outcome": "refused", "reason": "goods returned"} | changes))


def confirm(client: Client, *items: dict[str, Any]) -> list[tuple[int, list[str]]]:
    """Pass answers on; status and codes of each."""
    return told(client.post("/v1/confirmations", {"items": items})["items"])


def entered(house: House, *numbers: str) -> list[str]:
    """Receivables that wait for their answers."""
    return [result["asset_id"] for result in submit(house.platform, [submission(number) for number in numbers])]


def kinds(house: House, asset_id: str) -> list[str]:
    """The kinds of an asset's records."""
    return [record["kind"] for record in house.platform.get(f"/v1/assets/{asset_id}/records")["items"]]


def test_an_acceptance_makes_an_asset(house: House) -> None:
    """Signed first, then scored and listed."""
    (asset_id,) = entered(house, "C-1")
    assert confirm(house.platform, answer(asset_id, grade="deemed")) == [(201, [])]
    house.run()
    assert kinds(house, asset_id) == ["asset.confirmed", "asset.scored"]
    shown = house.platform.get(f"/v1/assets/{asset_id}")
    assert (shown["state"], shown["confirmation_grade"], shown["claim"]) == ("confirmed", "deemed", "free")


def test_a_refused_one_is_void_and_never_offered(house: House) -> None:
    """No record, no score, no claim; the round passes it by though a mandate takes everything."""
    house.deposit(0, 10**9)
    house.funders[0].post("/v1/mandates", mandate())
    void, good = entered(house, "C-VOID", "C-GOOD")
    assert confirm(house.platform, refusal(void), answer(good)) == [(201, []), (201, [])]
    house.run()
    house.move(10, 30)
    offered = [
        asset["asset_id"]
        for offer in house.funders[0].get("/v1/offers?state=open")["items"]
        for asset in house.funders[0].get(f"/v1/offers/{offer['offer_id']}")["assets"]
    ]
    assert good in offered
    assert void not in offered
    shown = house.platform.get(f"/v1/assets/{void}")
    assert (shown["state"], shown["grade"], shown["claim"], shown["outstanding_minor"]) == ("void", None, None, None)
    assert kinds(house, void) == []


def test_answers_are_final(house: House) -> None:
    """Whatever was said first stays, in one batch and over batches; a faulty answer is none."""
    one, other = entered(house, "F-1", "F-2")
    assert confirm(
        house.platform,
        answer(one, reason="no"),
        answer(one),
        refusal(one),
        refusal(other, reason=None),
        refusal(other),
    ) == [(422, ["reason_unexpected"]), (201, []), FINAL, (422, ["null"]), (201, [])]
    assert confirm(house.platform, refusal(one), answer(other), answer(one)) == [FINAL, FINAL, FINAL]
    house.run()
    assert house.platform.get(f"/v1/assets/{one}")["state"] == "confirmed"
    assert house.platform.get(f"/v1/assets/{other}")["state"] == "void"


def test_faults_of_answers(house: House) -> None:
    """Each names its place; a refusal needs its reason, the date lies between issue and today."""
    (asset_id,) = entered(house, "FAULTS")
    found = house.platform.post(
        "/v1/confirmations",
        {
            "items": [
                answer(asset_id, outcome="refused", confirmed_date="2026-03-01"),
                answer(asset_id, confirmed_date="2199-12-31"),
                answer("INV-1", grade="maybe"),
            ]
        },
    )["items"]
    assert [(fault["code"], fault["pointer"]) for result in found for fault in result["errors"]] == [
        ("confirmed_date_out_of_range", "/items/0/confirmed_date"),
        ("reason_missing", "/items/0/reason"),
        ("confirmed_date_out_of_range", "/items/1/confirmed_date"),
        ("bad_id", "/items/2/asset_id"),
        ("not_one_of", "/items/2/grade"),
    ]


def test_what_is_not_yours_does_not_exist(house: House) -> None:
    """Another originator's receivable and none at all are answered alike, and nothing is kept."""
    other = add_platform(house, "Stranger")
    (asset_id,) = entered(house, "MINE")
    found = other.post("/v1/confirmations", {"items": [answer(asset_id), answer(UNKNOWN)]})["items"]
    assert told(found) == [(404, ["not_found"])] * 2
    assert found[0]["errors"][0] | {"pointer": "", "value": ""} == found[1]["errors"][0] | {"pointer": "", "value": ""}
    assert other.refused("GET", f"/v1/assets/{asset_id}")["code"] == "not_found"
    assert confirm(house.platform, answer(asset_id)) == [(201, [])]


def test_racing_answers_leave_one(house: House) -> None:
    """Four threads answer twenty receivables, in opposite orders and senses: one answer each, one birth at most."""
    asset_ids = entered(house, *(f"RACE-{number}" for number in range(20)))
    programs = [twin(house, house.platform) for _ in range(4)]
    for program in programs:
        program.token = program.sign_in()

    def send(number: int) -> list[tuple[int, list[str]]]:
        make = refusal if number % 2 else answer
        results = confirm(programs[number], *map(make, asset_ids if number < 2 else asset_ids[::-1]))
        return results if number < 2 else results[::-1]

    for statuses in zip(*at_once(4, send), strict=True):
        assert sorted(statuses) == [(201, []), FINAL, FINAL, FINAL]
    house.run()
    states = {asset_id: house.platform.get(f"/v1/assets/{asset_id}")["state"] for asset_id in asset_ids}
    for asset_id, state in states.items():
        assert kinds(house, asset_id) == (["asset.confirmed", "asset.scored"] if state == "confirmed" else [])


def test_the_answer_is_in_the_database_once_with_its_reason(house: House) -> None:
    """A refusal keeps its words, an acceptance none."""
    one, other = entered(house, "DB-1", "DB-2")
    confirm(house.platform, refusal(one, reason="数量不符"), answer(other))
    query = text("SELECT asset_id, outcome, reason FROM confirmation WHERE asset_id = ANY(:ids) ORDER BY asset_id")
    with house.services.database.transaction() as session:
        found = {row.asset_id: (row.outcome, row.reason) for row in session.execute(query, {"ids": [one, other]})}
    assert found == {one: ("refused", "数量不符"), other: ("accepted", None)}


def test_an_auditor_sees_the_answer_but_may_not_give_one(house: House) -> None:
    """Reading is not writing."""
    auditor = enter_client(house.services, house.app, role=Role.AUDITOR, name="auditor")
    (asset_id,) = entered(house, "AUDIT")
    assert auditor.get(f"/v1/assets/{asset_id}")["state"] == "submitted"
    assert auditor.refused("POST", "/v1/confirmations", {"items": [answer(asset_id)]})["code"] == "forbidden"
