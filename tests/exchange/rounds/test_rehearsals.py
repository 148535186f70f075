"""A mandate tried out before it is in force: what it matches now, would have bought, and what came of that."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from exchange.rounds import rehearsals
from tests.exchange.house import House, mandate
from tests.exchange.pools.shared import house_on
from tests.exchange.settlement.book import FACE_MINOR, dated, fresh, pay


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Seven assets bought by the first of two funders: three paid late, one never; two more are free today."""
    with house_on(server_url, tmp_path_factory.mktemp("rehearsed"), funders=2) as house:
        house.only("pools", "funding")
        house.deposit(0, 10**9)
        house.funders[0].post("/v1/mandates", mandate(auto_commit=True))
        buyer = {"scheme": "platform", "name": "Buyer"}
        bought = house.submit(*(fresh(obligor=buyer | {"value": f"b-{one}"}) for one in range(7)))
        house.move(10, 30)
        house.move(14, 30)
        (position,) = house.funders[0].get("/v1/positions")["items"]
        assert position["asset_count"] == 7
        due = house.operator.get(f"/v1/assets/{bought[0]}")["due_date"]
        while house.today.isoformat() < due:
            house.move(12, days=1)
        pay(house, *((asset_id, FACE_MINOR) for asset_id in bought[:3]))
        house.move(12, days=3)
        pay(house, *((asset_id, FACE_MINOR) for asset_id in bought[3:6]))
        house.move(12, days=40)
        for one in range(2):
            house.submit(fresh(face_minor=FACE_MINOR + one, obligor=buyer | {"value": f"b-{one}"}) | dated(house))
        yield house


def terms(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any term
    """What is tried out."""
    return {name: value for name, value in mandate(**changes).items() if name != "name"}


def rehearsed(house: House, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - same
    """A rehearsal of the second funder, done."""
    client = house.funders[1]
    rehearsal_id = client.post("/v1/rehearsals", terms(**changes))["rehearsal_id"]
    assert client.get(f"/v1/rehearsals/{rehearsal_id}")["now"] is None
    house.run()
    shown: dict[str, Any] = client.get(f"/v1/rehearsals/{rehearsal_id}")
    return shown


def period(house: House) -> dict[str, str]:
    """All days so far."""
    return {
        "from_date": (house.today - timedelta(days=300)).isoformat(),
        "to_date": (house.today - timedelta(days=1)).isoformat(),
    }


def test_what_it_matches_now(house: House) -> None:
    """The assets and their prices, as a round would give them to it alone; nothing is reserved, no mandate made."""
    shown = rehearsed(house)
    now = shown["now"]
    assert (now["free_count"], now["matched_count"], now["face_minor"]) == (2, 2, 2 * FACE_MINOR + 1)
    assert now["price_minor"] + now["discount_minor"] == now["face_minor"]
    assert sorted(one["face_minor"] for one in now["assets"]) == [FACE_MINOR, FACE_MINOR + 1]
    assert (shown["past"], now["refusals"], house.funders[1].get("/v1/mandates")["items"]) == (None, [], [])
    house.funders[1].post("/v1/mandates", mandate())
    for one in now["assets"]:
        why = house.funders[1].get(f"/v1/assets/{one['asset_id']}/why-not")["items"][0]["refusals"]
        assert [reason["code"] for reason in why] == ["cash"], "the same rules; it only has no money yet"
    (made,) = house.funders[1].get("/v1/mandates")["items"]
    house.funders[1].post(f"/v1/mandates/{made['mandate_id']}/end", None)


def test_which_rule_keeps_what_out_and_what_a_limit_costs(house: House) -> None:
    """Counted by rule; and what one more million of the budget would place."""
    narrow = rehearsed(house, max_face_minor=FACE_MINOR)["now"]
    assert (narrow["matched_count"], narrow["refusals"]) == (1, [{"code": "max_face", "count": 1}])
    short = rehearsed(house, budget_minor=FACE_MINOR + 10)["now"]
    assert short["matched_count"] == 1
    assert "budget" in {cost["limit"] for cost in short["costs"]}
    nothing = rehearsed(house, max_pd_ppm=0)["now"]
    assert (nothing["matched_count"], nothing["mean_rate_bps"], nothing["costs"]) == (0, 0, [])
    other = rehearsed(house, currency="USD")["now"]
    assert (other["free_count"], other["matched_count"]) == (0, 0)


def test_what_it_would_have_bought(house: House) -> None:
    """All seven, with what became of them: four late, one of them for good; a small budget buys again what was paid."""
    past = rehearsed(house, **period(house))["past"]
    assert (past["matched_count"], past["face_minor"], past["open_count"]) == (7, 7 * FACE_MINOR, 1)
    assert (past["late_count"], past["late_30_count"], past["lost_minor"]) == (4, 1, 0)
    assert past["days_late"] == 3 * 3 + 43
    few = rehearsed(house, budget_minor=2 * FACE_MINOR, **period(house))["past"]
    assert (few["matched_count"], few["late_count"], few["days_late"]) == (2, None, None), "too few to hide each other"


def test_only_ones_own(house: House) -> None:
    """Another's rehearsal is not there."""
    rehearsal_id = house.funders[1].post("/v1/rehearsals", terms())["rehearsal_id"]
    house.run()
    assert house.funders[0].refused("GET", f"/v1/rehearsals/{rehearsal_id}")["status"] == 404


@pytest.mark.parametrize(
    ("days", "code"),
    [
        ({"from_date": "2026-01-01"}, "missing"),
        ({"to_date": "2026-01-01"}, "missing"),
        ({"from_date": "2026-01-02", "to_date": "2026-01-01"}, "bad_period"),
        ({"from_date": "2024-01-01", "to_date": "2026-01-01"}, "bad_period"),
        ({"from_date": "2026-01-02", "to_date": "2090-01-01"}, "not_over"),
    ],
)
def test_days_that_cannot_be(house: House, days: dict[str, str], code: str) -> None:
    """Refused with the day that is wrong; so are terms that contradict themselves."""
    refused = house.funders[1].refused("POST", "/v1/rehearsals", terms(**days))
    assert (refused["status"], refused["errors"][0]["code"]) == (422, code)
    wrong = house.funders[1].refused("POST", "/v1/rehearsals", terms(min_face_minor=2, max_face_minor=1))
    assert wrong["errors"][0]["code"] == "contradictory_limits"


def test_days_late_until_paid_or_today(house: House) -> None:
    """What is paid stops counting, what is owed goes on."""
    day = house.today
    paid = rehearsals.Outcome(day, 0, 0, day + timedelta(days=2))
    assert (paid.days_late(day + timedelta(days=9)), paid._replace(owed_minor=1).days_late(day)) == (2, 0)
    assert paid._replace(owed_minor=1).days_late(day + timedelta(days=9)) == 9
