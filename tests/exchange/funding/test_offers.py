"""Offers and their answers through the API."""

from typing import Any

import pytest
from sqlalchemy import text

from tests.exchange.funding.morning import CASH, PRICE, Morning, open_morning
from tests.exchange.house import House, mandate
from tests.exchange.pools.shared import invoice
from tests.exchange.pools.soundness import claims, money, sound
from tests.exchange.rounds.steps import clear_round

STRANGER = "ast_01h455vb4pex5vsknk084sn02q"


def told(house: House, kind: str, funder: int = 0) -> list[dict[str, Any]]:
    """What a funder was told of one kind."""
    return [event["data"] for event in house.events(funder) if event["type"] == kind]


def test_an_offer_holds_its_money(morning: Morning) -> None:
    """The price is reserved, the assets are too, and the funder is told what the offer says."""
    house, bank = morning.house, morning.bank
    assert money(house) == (CASH - 3 * PRICE, 3 * PRICE)
    offer = bank.get(morning.path)
    assert offer["valid_until"] == "2026-03-02T05:00:00Z"
    assert (offer["state"], offer["asset_count"], offer["face_minor"], offer["price_minor"]) == (
        "open",
        3,
        3_000_000,
        3 * PRICE,
    )
    assert [asset["asset_id"] for asset in offer["assets"]] == sorted(morning.asset_ids)
    for asset in offer["assets"]:
        parts = asset["price_minor"], asset["discount_minor"], asset["holdback_minor"]
        assert parts == (PRICE, 10_000, 0)
    (data,) = told(house, "offer.made")
    assert data == {name: offer[name] for name in data}
    sound(house)


def test_a_whole_commitment_is_bought_at_the_cut_off(morning: Morning) -> None:
    """Money to the sellers, title to the funder, once; the funder is told with the transfer's key."""
    house = morning.house
    assert morning.commit() == {"offer_id": morning.offer_id, "outcome": "committed"}
    assert set(claims(house).values()) == {"committed"}
    assert money(house) == (CASH - 3 * PRICE, 3 * PRICE)
    sound(house)
    house.move(14, 30)
    assert set(claims(house).values()) == {"assigned"}
    assert money(house) == (CASH - 3 * PRICE, 0)
    (data,) = told(house, "purchase.settled")
    assert (data["asset_count"], data["price_minor"], data["transfer"]) == (
        3,
        3 * PRICE,
        f"{morning.offer_id}/purchase",
    )
    assert morning.bank.get(morning.path)["purchased_on"] == "2026-03-02"
    sound(house)


def test_a_part_commitment_buys_that_part(morning: Morning) -> None:
    """What is not taken is free at once, and its money with the purchase; the next round offers it again."""
    house, (first, *rest) = morning.house, morning.asset_ids
    morning.commit(first, first)
    assert claims(house) == {first: "committed"} | dict.fromkeys(rest, "free")
    sound(house)
    house.move(14, 30)
    assert claims(house) == {first: "assigned"} | dict.fromkeys(rest, "free")
    assert money(house) == (CASH - PRICE, 0)
    house.move(10, 30, days=1)
    assert claims(house) == {first: "assigned"} | dict.fromkeys(rest, "reserved")
    sound(house)


def test_a_refused_offer_leaves_nothing_behind(morning: Morning) -> None:
    """Assets, money and limits are free again; no other answer follows."""
    house, bank = morning.house, morning.bank
    answer = bank.post(f"{morning.path}/refusal", {"reason": "too dear"})
    assert answer == {"offer_id": morning.offer_id, "outcome": "refused"}
    assert set(claims(house).values()) == {"free"}
    assert money(house) == (CASH, 0)
    sound(house)
    problem = bank.refused("POST", f"{morning.path}/commitment", {})
    assert (problem["status"], problem["code"], problem["numbers"]) == (409, "offer_not_open", {"outcome": "refused"})
    house.move(14, 30)
    assert morning.state == "refused"
    assert told(house, "offer.lapsed") == []
    sound(house)


def test_the_first_answer_stays(morning: Morning) -> None:
    """A repetition under its key gets the first answer; another answer is refused, and changes nothing."""
    bank, path = morning.bank, f"{morning.path}/commitment"
    body = {"asset_ids": morning.asset_ids[:1]}
    first = bank.post(path, body, key="take-1")
    assert bank.post(path, body, key="take-1") == first
    assert bank.refused("POST", path, {}, key="take-1")["code"] == "idempotency_key_reused"
    assert bank.refused("POST", path, {})["numbers"] == {"outcome": "committed"}
    assert bank.refused("POST", f"{morning.path}/refusal", {"reason": "late"})["code"] == "offer_not_open"
    assert sorted(claims(morning.house).values()) == ["committed", "free", "free"]
    sound(morning.house)


def test_an_offer_lapses(morning: Morning) -> None:
    """At its deadline it can no longer be answered; at the cut-off it goes, and the funder is told."""
    house, bank = morning.house, morning.bank
    house.move(13)
    for answer, body in (("commitment", {}), ("refusal", {"reason": "late"})):
        problem = bank.refused("POST", f"{morning.path}/{answer}", body)
        assert (problem["code"], problem["numbers"]) == ("offer_not_open", {"outcome": "lapsed"})
    assert money(house) == (CASH - 3 * PRICE, 3 * PRICE)
    house.move(14, 30)
    assert morning.state == "lapsed"
    assert money(house) == (CASH, 0)
    assert [data["offer_id"] for data in told(house, "offer.lapsed")] == [morning.offer_id]
    sound(house)


def test_the_last_minute_counts(morning: Morning) -> None:
    """A minute before the deadline an offer can be taken."""
    morning.house.move(12, 59)
    morning.commit()
    morning.house.move(14, 30)
    assert set(claims(morning.house).values()) == {"assigned"}


def test_only_assets_of_the_offer_can_be_taken(morning: Morning) -> None:
    """A stranger is pointed at, and the offer is still open; so is an asset that left it."""
    bank, path, (first, second, _) = morning.bank, f"{morning.path}/commitment", morning.asset_ids
    morning.pay(second)
    problem = bank.refused("POST", path, {"asset_ids": [first, STRANGER, second]})
    assert (problem["status"], problem["code"]) == (422, "not_in_offer")
    assert [fault["pointer"] for fault in problem["errors"]] == ["/asset_ids/1", "/asset_ids/2"]
    assert morning.state == "open"
    sound(morning.house)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"asset_ids": []}, "/asset_ids"),
        ({"asset_ids": None}, "/asset_ids"),
        ({"asset_ids": "all"}, "/asset_ids"),
        ({"asset_ids": [STRANGER] * 2_001}, "/asset_ids"),
        ({"asset_ids": ["AST_1"]}, "/asset_ids/0"),
        ({"asset_ids": [STRANGER + "\n"]}, "/asset_ids/0"),
        ({"assets": []}, "/assets"),
        ([], ""),
    ],
)
def test_malformed_answers(table: Morning, body: object, pointer: str) -> None:
    """Refused as they stand, with the place; the offer is as it was."""
    problem = table.bank.refused("POST", f"{table.path}/commitment", body)
    assert problem["status"] == 422
    assert {fault["pointer"] for fault in problem["errors"]} == {pointer}
    assert table.state == "open"


@pytest.mark.parametrize("reason", [None, "", "x" * 201, "a\u0000", 7])
def test_a_refusal_says_why(table: Morning, reason: object) -> None:
    """In words."""
    problem = table.bank.refused("POST", f"{table.path}/refusal", {"reason": reason})
    assert [fault["pointer"] for fault in problem["errors"]] == ["/reason"]
    assert table.state == "open"


@pytest.mark.parametrize("name", ["ofr_01h455vb4pex5vsknk084sn02q", "x", "%00", "%ff", "' OR true --"])
def test_offers_that_are_none(table: Morning, name: str) -> None:
    """Any other name in the path is not found."""
    assert table.bank.refused("GET", f"/v1/offers/{name}")["status"] == 404
    assert table.bank.refused("POST", f"/v1/offers/{name}/commitment", {})["status"] == 404
    assert table.bank.refused("POST", f"/v1/offers/{name}/refusal", {"reason": "no"})["status"] == 404


def test_nobody_else_sees_an_offer(table: Morning) -> None:
    """For another funder the offer is not there, nor its pool, its assets, its money or its events."""
    house, other = table.house, table.house.funders[1]
    assert other.refused("GET", table.path)["code"] == "not_found"
    assert other.refused("POST", f"{table.path}/commitment", {})["code"] == "not_found"
    assert other.refused("POST", f"{table.path}/refusal", {"reason": "mine"})["code"] == "not_found"
    for path in ("/v1/offers", "/v1/pools", "/v1/positions", "/v1/events", "/v1/assets", "/v1/mandates"):
        assert other.get(path)["items"] == []
    for asset_id in table.asset_ids:
        assert other.refused("GET", f"/v1/assets/{asset_id}")["code"] == "not_found"
    for client in (house.operator, house.platform):
        assert client.refused("GET", table.path)["code"] == "forbidden"
        assert client.refused("POST", f"{table.path}/commitment", {})["code"] == "forbidden"
    assert table.state == "open"


def test_offers_are_read_page_by_page(house: House) -> None:
    """In one order, each once, filtered by state."""
    house.deposit(0, CASH)
    bank = house.funders[0]
    names = ("one", "two", "three")
    for place, name in enumerate(names):
        face = 1_000_000 + place
        bank.post("/v1/mandates", mandate(name=name, min_face_minor=face, max_face_minor=face))
    house.submit(*(invoice(house, face_minor=1_000_000 + place) for place in range(3)))
    house.move(10, 30)
    every = [offer["offer_id"] for offer in bank.get("/v1/offers")["items"]]
    bank.post(f"/v1/offers/{every[1]}/refusal", {"reason": "no"})
    found: list[str] = []
    after = ""
    while True:
        page = bank.get(f"/v1/offers?state=open&limit=1{after}")
        found += [offer["offer_id"] for offer in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert found == [every[0], every[2]]
    assert bank.refused("GET", "/v1/offers?state=gone")["status"] == 422
    assert bank.refused("GET", "/v1/offers?after=!")["code"] == "bad_cursor"


def test_a_mandate_may_commit_by_itself(house: House) -> None:
    """Every offer under it is taken at once, whole, and bought at the cut-off."""
    morning = open_morning(house, auto_commit=True)
    assert morning.state == "committed"
    assert set(claims(house).values()) == {"committed"}
    assert morning.bank.refused("POST", f"{morning.path}/refusal", {"reason": "no"})["code"] == "offer_not_open"
    house.move(14, 30)
    assert set(claims(house).values()) == {"assigned"}
    with house.services.database.snapshot() as session:
        assert session.execute(text("SELECT answered_by FROM offer")).scalar_one() == "mandate"
    sound(house)


def test_no_offer_without_its_money(house: House) -> None:
    """Two rounds counted the same cash before either was offered: the second pool gets no offer and is free again."""
    house.deposit(0, PRICE)
    house.funders[0].post("/v1/mandates", mandate())
    house.submit(invoice(house), invoice(house))
    for minute in (0, 1):
        with house.services.database.transaction() as session:
            clear_round(house.services, session, {"fire_at": f"2026-03-02T02:0{minute}:00+00:00"})
    assert set(claims(house).values()) == {"reserved"}
    house.run()
    assert sorted(claims(house).values()) == ["free", "reserved"]
    assert len(house.funders[0].get("/v1/offers")["items"]) == len(told(house, "offer.made")) == 1
    assert money(house) == (0, PRICE)
    sound(house)
