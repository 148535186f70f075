"""Waiting: proposed by the platform, agreed to by the owner, counted from its day on."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier
from typing import Any

import pytest

from exchange.servicing import consent
from exchange.servicing.consent import Asset, Consent, Due, OverTaken, Proposal
from exchange.servicing.rules import Pause
from exchange.servicing.terms import Forbearance
from tests.exchange.house import House
from tests.exchange.servicing.test_close_of_business import due_in
from tests.exchange.servicing.test_known_later import standing
from tests.exchange.settlement.book import FACE_MINOR, asset, buy, fresh, pay, rows

TODAY = date(2026, 3, 2)


def day(house: House, after: int) -> str:
    """So many days after today, as it is written."""
    return (house.today + timedelta(days=after)).isoformat()


def ask(house: House, asset_id: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - any part of a proposal
    """What becomes of a proposal."""
    shown: dict[str, Any] = house.platform.post(f"/v1/assets/{asset_id}/forbearances", {"reason": "flood"} | body)
    return shown


def refused(house: House, asset_id: str, **body: Any) -> set[str]:  # noqa: ANN401 - same
    """Why a proposal is refused: the problem's code and its faults'."""
    problem = house.platform.refused("POST", f"/v1/assets/{asset_id}/forbearances", {"reason": "flood"} | body)
    return {problem["code"], *(fault["code"] for fault in problem.get("errors", ()))}


def answer(house: House, proposal: dict[str, Any], outcome: str, funder: int = 0) -> dict[str, Any]:
    """The owner's answer."""
    path = f"/v1/forbearances/{proposal['forbearance_id']}/answer"
    shown: dict[str, Any] = house.funders[funder].post(path, {"outcome": outcome, "reason": "because"})
    return shown


def told(house: House, asset_id: str) -> list[str]:
    """What the funder was told of an asset's waiting."""
    house.run()
    names = {"forbearance.proposed", "asset.paused", "asset.resumed", "asset.rescheduled", "asset.reset"}
    return [one["type"] for one in house.events(0) if one["type"] in names and one["data"]["asset_id"] == asset_id]


@pytest.fixture(scope="module")
def held(market: House) -> list[str]:
    """Four assets of the first funder, due on the same day."""
    return buy(market, *(fresh() for _ in range(4)), days=3)


def test_a_pause_needs_its_owner_and_stops_the_days(market: House, held: list[str]) -> None:
    """Until the owner agrees nothing counts; then the days of the pause do not; a resume ends it at once."""
    one, other = held[:2]
    market.move(9, days=5)
    proposal = ask(market, one, kind="pause", until_date=day(market, 30))
    assert (proposal["outcome"], proposal["answered_by"]) == (None, None)
    assert refused(market, one, kind="reset") == {"forbearance_pending"}
    assert market.funders[0].get("/v1/forbearances?state=open")["items"] == [proposal]
    market.move(22)
    agreed = answer(market, proposal, "accepted")
    assert (agreed["outcome"], agreed["effective_on"]) == ("accepted", market.today.isoformat())
    assert refused(market, one, kind="pause", until_date=day(market, 3)) == {"already_paused"}
    assert refused(market, other, kind="resume") == {"not_paused"}
    market.move(22, days=4)
    assert [kind for _, kind, _, _ in standing(market, other)] == ["late_1"]
    assert standing(market, one) == []
    assert ask(market, one, kind="resume")["answered_by"] == consent.ALWAYS
    market.move(22, days=1)
    assert standing(market, one) == []
    market.move(22, days=1)
    assert standing(market, one) == [(8, "late_1", 4, FACE_MINOR)]
    assert told(market, one) == ["forbearance.proposed", "asset.paused", "asset.resumed"]
    kinds = [record["kind"] for record in market.operator.get(f"/v1/assets/{one}/records")["items"]]
    assert [kind for kind in kinds if kind in {"asset.paused", "asset.resumed"}] == ["asset.paused", "asset.resumed"]


def test_an_owner_refuses_and_a_platform_withdraws(market: House, held: list[str]) -> None:
    """Each final; nobody else may, and each party only its own way."""
    third = held[2]
    proposal = ask(market, third, kind="reset")
    path = f"/v1/forbearances/{proposal['forbearance_id']}/answer"
    for outcome, client in (("accepted", market.platform), ("withdrawn", market.funders[0])):
        assert client.refused("POST", path, {"outcome": outcome, "reason": "so"})["code"] == "not_found"
    assert market.funders[0].refused("POST", path, {"outcome": "refused"})["errors"][0]["pointer"] == "/reason"
    assert answer(market, proposal, "refused")["outcome"] == "refused"
    problem = market.funders[0].refused("POST", path, {"outcome": "accepted"})
    assert (problem["code"], problem["numbers"]) == ("already_answered", {"outcome": "refused"})
    proposal = ask(market, third, kind="reset")
    path = f"/v1/forbearances/{proposal['forbearance_id']}/answer"
    shown = market.platform.post(path, {"outcome": "withdrawn", "reason": "paid tomorrow"})
    assert (shown["outcome"], shown["effective_on"]) == ("withdrawn", None)
    mine = market.platform.get(f"/v1/forbearances?asset_id={third}")["items"]
    assert {one["outcome"] for one in mine} == {"refused", "withdrawn"}


def test_a_reschedule_has_new_dates(market: House, held: list[str]) -> None:
    """What is owed is due by the new instalments; a payment meanwhile takes the ground from under the proposal."""
    fourth = held[3]
    dues = [
        {"due_date": day(market, 10), "amount_minor": 400_000},
        {"due_date": day(market, 40), "amount_minor": 600_000},
    ]
    assert refused(market, fourth, kind="reschedule", instalments=dues[1:]) == {
        "forbearance_refused",
        "not_what_is_owed",
    }
    proposal = ask(market, fourth, kind="reschedule", instalments=dues)
    pay(market, (fourth, 100_000))
    path = f"/v1/forbearances/{proposal['forbearance_id']}/answer"
    assert market.funders[0].refused("POST", path, {"outcome": "accepted"})["code"] == "forbearance_overtaken"
    answer(market, proposal, "refused")
    dues[0]["amount_minor"] = 300_000
    agreed = ask(market, fourth, kind="reschedule", instalments=dues)
    answer(market, agreed, "accepted")
    shown = asset(market, fourth)
    assert shown["due_date"] == dues[1]["due_date"]
    began = date.fromisoformat(str(dues[0]["due_date"]))
    market.move(22, days=1)
    assert asset(market, fourth)["performance"] == "cured"
    market.move(22, days=13)
    last = rows(
        market, "SELECT business_date, kind, days_past_due FROM servicing_fact WHERE asset_id = :id", id=fourth
    )[-1]
    assert tuple(last) == (began + timedelta(days=4), "late_1", 4)
    again = [{"due_date": day(market, 50), "amount_minor": 900_000}]
    answer(market, ask(market, fourth, kind="reschedule", instalments=again), "accepted")
    versions = "SELECT version, sum(amount_minor) FROM instalment WHERE asset_id = :id GROUP BY 1 ORDER BY 1"
    assert [tuple(row) for row in rows(market, versions, id=fourth)] == [(1, 900_000), (2, 900_000)]
    market.move(22)
    market.check()


def test_consent_beforehand(market: House) -> None:
    """A funder that agreed beforehand is only told, as far as it agreed and as often."""
    assert market.funders[0].get("/v1/forbearance-consent") == {"version": 0, "terms": None}
    (asset_id,) = buy(market, fresh(), days=4)
    terms = {"kinds": ["pause", "reset"], "max_days": 10, "max_count": 2}
    assert market.funders[0].put("/v1/forbearance-consent", terms) == {"version": 1, "terms": terms}
    assert market.funders[0].get("/v1/forbearance-consent") == {"version": 1, "terms": terms}
    assert ask(market, asset_id, kind="pause", until_date=day(market, 10))["answered_by"] == consent.BEFOREHAND
    later = {"from_date": day(market, 20), "until_date": day(market, 31)}
    longer = ask(market, asset_id, kind="pause", **later)
    assert longer["outcome"] is None
    answer(market, longer, "refused")
    assert ask(market, asset_id, kind="reset")["outcome"] == "accepted"
    third = ask(market, asset_id, kind="reset")
    assert third["outcome"] is None, "the third time it is asked"
    answer(market, third, "accepted")
    ask(market, asset_id, kind="resume")
    reset = ask(market, asset_id, kind="reset")
    answer(market, reset, "accepted")
    assert refused(market, asset_id, kind="reset") == {"beyond_policy"}, "four times is the servicing policy's most"
    assert told(market, asset_id).count("forbearance.proposed") == 3
    assert market.funders[0].put("/v1/forbearance-consent", terms | {"kinds": []})["version"] == 2


def test_nobody_owns_it_nobody_is_asked(market: House) -> None:
    """A seller's own asset waits at once; its parts, each by itself."""
    market.move(9, days=1)
    (asset_id,) = market.submit(due_in(market, 2))
    assert ask(market, asset_id, kind="pause", until_date=day(market, 8))["answered_by"] == consent.UNOWNED
    split = {"items": [{"asset_id": asset_id, "amounts_minor": [400_000, 600_000]}]}
    parts = [one["asset_id"] for one in market.platform.post("/v1/splits", split)["items"][0]["parts"]]
    assert refused(market, asset_id, kind="resume") == {"asset_split"}
    market.move(22, days=6)
    assert standing(market, parts[0]) == [], "a part is paused as what it was split off"
    ask(market, parts[0], kind="resume")
    market.move(22, days=3)
    assert standing(market, parts[0]) == [(7, "late_1", 4, 400_000)]
    assert standing(market, parts[1]) == []


def test_what_cannot_be(market: House) -> None:
    """Closed assets, others' assets, dates in the past, what the policy does not allow: each with its code."""
    market.move(9, days=1)
    paid, one = market.submit(due_in(market, -4), due_in(market, -4))
    pay(market, (paid, FACE_MINOR))
    assert refused(market, paid, kind="reset") == {"asset_closed"}
    assert refused(market, "ast_01h455vb4pex5vsknk084sn02q", kind="reset") == {"not_found"}
    past = {"from_date": day(market, -1), "until_date": day(market, 4)}
    assert refused(market, one, kind="pause", **past) == {"forbearance_refused", "date_in_past"}
    assert refused(market, one, kind="pause") == {"forbearance_refused", "until_date_of_a_pause"}
    assert refused(market, one, kind="pause", until_date=day(market, 0)) == {"forbearance_refused", "until_before_from"}
    assert refused(market, one, kind="reset", from_date=day(market, 1)) == {"forbearance_refused", "date_in_future"}
    assert refused(market, one, kind="pause", until_date=day(market, 91)) == {"beyond_policy"}
    dues = [
        {"due_date": day(market, 0), "amount_minor": FACE_MINOR - 1},
        {"due_date": day(market, 0), "amount_minor": 1},
    ]
    wrong = refused(market, one, kind="reschedule", instalments=dues)
    assert wrong == {"forbearance_refused", "dates_not_increasing", "date_in_past"}
    far = [{"due_date": day(market, 400), "amount_minor": FACE_MINOR}]
    assert refused(market, one, kind="reschedule", instalments=far) == {"beyond_policy"}
    assert refused(market, one, kind="reset", instalments=far) >= {"instalments_of_a_reschedule"}
    nobody = market.funders[0].refused(
        "POST", "/v1/forbearances/fbr_01h455vb4pex5vsknk084sn02q/answer", {"outcome": "accepted"}
    )
    assert nobody["code"] == "not_found"


def test_two_answers_at_once(market: House, held: list[str]) -> None:
    """One of two clients is first; the other one learns that."""
    proposal = ask(market, held[2], kind="reset")
    path = f"/v1/forbearances/{proposal['forbearance_id']}/answer"
    barrier = Barrier(2)
    market.funders[0].token = market.funders[0].token or market.funders[0].sign_in()

    def say(outcome: str) -> int:
        client = type(market.funders[0])(market.app.test_client(), market.funders[0].client_id, market.funders[0].key)
        client.token = market.funders[0].token
        barrier.wait()
        return client.call("POST", path, body={"outcome": outcome, "reason": "so"}, key=f"answer-{outcome}").status_code

    with ThreadPoolExecutor(2) as clients:
        assert sorted(clients.map(say, ["accepted", "refused"])) == [201, 409]


def test_what_does_not_fit_any_more() -> None:
    """A pause that would be over, dates that have come: nobody can agree to them."""
    open_asset = Asset("assigned", 100, TODAY, (), 0)
    over = Proposal("pause", TODAY, TODAY + timedelta(days=1), (), "")
    with pytest.raises(OverTaken):
        consent.check_still_fits(over, open_asset, today=TODAY + timedelta(days=1))
    come = Proposal("reschedule", TODAY, None, (Due(TODAY, 100),), "")
    with pytest.raises(OverTaken):
        consent.check_still_fits(come, open_asset, today=TODAY)
    with pytest.raises(consent.AssetInOffer):
        consent.check_open(open_asset._replace(state="reserved"))
    many = Proposal("reschedule", TODAY, None, tuple(Due(TODAY + timedelta(days=n), 1) for n in range(1, 122)), "")
    faulty = open_asset._replace(outstanding_minor=121)
    with pytest.raises(consent.TermsRefused) as refusal:
        consent.check(many, faulty, policy=Forbearance(), today=TODAY)
    assert [fault.code for fault in refusal.value.faults] == ["too_many_instalments"]
    paused = open_asset._replace(pauses=(Pause(TODAY, TODAY + timedelta(days=5)),))
    consent.check(Proposal("resume", TODAY, None, (), ""), paused, policy=Forbearance(), today=TODAY)
    assert not consent.is_agreed(over, open_asset, consent=Consent(("reset",), 10, 1))
