"""Trades between funders: to the cent, in parts, seen by whom they may, off the market when the price is stale."""

import re
from typing import Any

import pytest

from exchange import books
from exchange.packs import sight
from tests.exchange.house import House, mandate, receipt
from tests.exchange.losses.wrong import follow
from tests.exchange.pools.soundness import claims, money, sound
from tests.exchange.settlement.book import balance, credit, note, rows
from tests.exchange.title.deeds import holders, kinds
from tests.exchange.trading.floor import FACE, at, fresh, mandate_of, offer, owned, sides, take, told

PRICE = 990_000
"""One million over 60 days at 6 %."""


def test_a_trade_to_the_cent(house: House) -> None:
    """The documented example: bought for 990,000, sold after 24 of 60 days at 99.5 %: 4,000 earned, 1,000 gained."""
    (asset_id,) = owned(house)
    house.move(9, days=24)
    before = [money(house, funder)[0] for funder in (0, 1)]
    trade_id = take(house, offer(house, asset_id))
    assert [money(house, funder)[0] for funder in (0, 1)] == [before[0] + 995_000, before[1] - 995_000]
    assert balance(house, books.funder_trading(house.funder_ids[0])) == 1_000
    assert balance(house, books.TRADED) == -1_000
    (sold,), (bought,) = sides(house, 0, trade_id), sides(house, 1, trade_id)
    assert (sold["side"], sold["earned_minor"], sold["result_minor"]) == ("sold", 4_000, 1_000)
    assert (bought["side"], bought["earned_minor"], bought["result_minor"]) == ("bought", None, None)
    assert [one["counterparty_id"] for one in (sold, bought)] == [house.funder_ids[1], house.funder_ids[0]]
    assert (sold["due_minor"], sold["price_minor"]) == (bought["due_minor"], bought["price_minor"]) == (FACE, 995_000)
    seller, buyer = told(house, 0, "trade.settled")[-1], told(house, 1, "trade.settled")[-1]
    assert (seller["result_minor"], buyer["price_minor"], "result_minor" in buyer) == (1_000, 995_000, False)
    assert kinds(house, asset_id)[-2:] == ["asset.assigned", "asset.notice_given"]
    for reader, prices in (
        (house.funders[1], [False, True]),
        (house.platform, [True, False]),
        (house.operator, [True] * 2),
    ):
        records = reader.get(f"/v1/assets/{asset_id}/records")["items"]
        assert [bool(one["disclosures"]) for one in records if one["kind"] == "asset.assigned"] == prices
    assert holders(house.operator, asset_id)["holders"][0]["holder"] == house.funder_ids[1]
    assert holders(house.funders[0], asset_id)["holders"][0]["holder"] is None
    query = """
        SELECT price_minor, discount_minor, holdback_minor, bought_on, rate_bps FROM pool_asset
        WHERE asset_id = :id AND released_at IS NULL
    """
    assert rows(house, query, id=asset_id) == [(995_000, 5_000, 0, house.today, 500)]
    sound(house)
    house.operator.post("/v1/receipts", {"items": [receipt(asset_id, FACE, value_date=house.today)]})
    assert [money(house, funder)[0] for funder in (0, 1)] == [before[0] + 995_000, before[1] + 5_000]
    sound(house)


@pytest.mark.parametrize(("ppm", "result"), [(1_000_000, 10_000), (990_000, 0), (980_000, -10_000)])
def test_what_accruals_say_and_what_the_trade_says_is_all_there_is(house: House, ppm: int, result: int) -> None:
    """Sold on the day it was bought nothing is earned; gain or loss and what was earned is what came in above cost."""
    (asset_id,) = owned(house)
    trade_id = take(house, offer(house, asset_id, ppm=ppm))
    (sold,) = sides(house, 0, trade_id)
    assert (sold["earned_minor"], sold["result_minor"]) == (0, result)
    assert sold["earned_minor"] + sold["result_minor"] == sold["price_minor"] - PRICE
    sound(house)


def test_taken_in_parts(house: House) -> None:
    """Two take parts of one asset, the second all that is left; each has an asset of its own, and nothing is lost."""
    asset_id, other = owned(house, 2, advance_bps=9_000)
    house.move(9, days=7)
    listing_id = offer(house, asset_id, other, min_part_minor=100_000)
    path = f"/v1/listings/{listing_id}/purchases"
    wanted = {"mandate_id": mandate_of(house, 1)}
    wrong: list[dict[str, Any]] = [{"part_minor": 1}, {"asset_ids": fresh(house)}]
    wrong += [{"asset_ids": [asset_id], "part_minor": amount} for amount in (99_999, 900_001, FACE + 1)]
    for changes in wrong:
        assert house.funders[1].refused("POST", path, wanted | changes)["code"] == "part_refused"
    first = take(house, listing_id, asset_ids=[asset_id], part_minor=333_333)
    (mine,) = house.funders[0].get("/v1/listings?of=mine&limit=1000")["items"][-1:]
    assert (mine["listing_id"], mine["state"]) == (listing_id, "open")
    assert sorted(one["face_minor"] for one in mine["assets"]) == [666_667, FACE]
    second = take(house, listing_id, funder=2)
    got = [*sides(house, 1, first), *sides(house, 2, second)]
    assert sum(one["face_minor"] for one in got) == 2 * FACE
    assert sum(one["due_minor"] for one in got) == 1_800_000
    assert all(one["price_minor"] == one["due_minor"] * 995_000 // 1_000_000 for one in got)
    results = [one["result_minor"] for trade in (first, second) for one in sides(house, 0, trade)]
    earned = [one["earned_minor"] for trade in (first, second) for one in sides(house, 0, trade)]
    cost = 2 * (900_000 - 9_000)
    assert sum(results) + sum(earned) == sum(one["price_minor"] for one in got) - cost
    assert house.funders[2].refused("POST", path, {"mandate_id": mandate_of(house, 2)})["code"] == "listing_over"
    sound(house)
    house.operator.post("/v1/receipts", {"items": [receipt(asset_id, FACE, value_date=house.today)]})
    sound(house)


def test_who_sees_what(house: House) -> None:
    """Others whose mandate takes it see it, nobody is told whose it is; nothing is seen of others' trades."""
    (asset_id,) = owned(house)
    listing_id = offer(house, asset_id)
    seen = house.funders[1].call("GET", "/v1/listings?limit=1000")
    assert listing_id in seen.text
    assert house.funder_ids[0] not in seen.text
    assert "Funder 1" not in seen.text
    assert listing_id not in house.funders[0].call("GET", "/v1/listings?limit=1000").text
    choosy = house.add_funder("Choosy")
    assert choosy.get("/v1/listings")["items"] == []
    choosy.post("/v1/mandates", mandate(max_tenor_days=10))
    assert choosy.get("/v1/listings?limit=1000")["items"] == []
    number = house.funders.index(choosy)
    path = f"/v1/listings/{listing_id}/purchases"
    problem = choosy.refused("POST", path, {"mandate_id": mandate_of(house, number)})
    assert (problem["code"], problem["errors"][0]["code"]) == ("mandate_refuses", "max_tenor")
    choosy.post("/v1/mandates", mandate())
    problem = choosy.refused("POST", path, {"mandate_id": mandate_of(house, number)})
    assert [fault["code"] for fault in problem["errors"]] == ["cash"]
    assert house.operator.call("GET", "/v1/listings").status_code == 403
    assert house.funders[0].refused("POST", path, {"mandate_id": mandate_of(house, 0)})["status"] == 404
    assert house.funders[1].refused("POST", path, {"mandate_id": mandate_of(house, 0)})["status"] == 404
    trade_id = take(house, listing_id)
    assert sides(house, 2, trade_id) == []
    assert house.funders[2].refused("POST", f"/v1/listings/{listing_id}/withdrawal")["status"] == 404


def pays(house: House, asset_id: str) -> None:
    """Some of it is paid."""
    house.operator.post("/v1/receipts", {"items": [receipt(asset_id, 1, value_date=house.today)]})


def credits(house: House, asset_id: str) -> None:  # noqa: A001 - what it does
    """A credit note comes."""
    credit(house, note(asset_id, 1, on=house.today))


def disputes(house: House, asset_id: str) -> None:
    """Its obligor objects."""
    said = {"amount_minor": 1, "reason": "price", "statement": "too dear"}
    house.platform.post(f"/v1/assets/{asset_id}/disputes", said)


def charges_off(house: House, asset_id: str) -> None:
    """It does not count as good any more."""
    follow(house, "charge_off", asset_id)


def gives_back(house: House, asset_id: str) -> None:
    """Its seller takes it back."""
    asked = house.platform.post(f"/v1/assets/{asset_id}/repurchases", {"reason": "a better customer"})
    topped = fresh(house, seller={"scheme": "platform", "value": seller_value(house, asset_id)})
    house.operator.post("/v1/receipts", {"items": [receipt(topped[0], FACE, value_date=house.today)]})
    house.funders[0].post(f"/v1/repurchases/{asked['repurchase_id']}/acceptance", None)


def seller_value(house: House, asset_id: str) -> str:
    """The platform's number of an asset's seller."""
    query = "SELECT value FROM company JOIN receivable ON seller_id = company_id WHERE asset_id = :id"
    return str(rows(house, query, id=asset_id)[0][0])


@pytest.mark.parametrize("change", [pays, credits, disputes, charges_off, gives_back])
def test_off_the_market(house: House, change: Any) -> None:  # noqa: ANN401 - one of these functions
    """Whatever changes an asset withdraws its listing at once; its owner is told, and nobody can take it."""
    (asset_id,) = owned(house)
    listing_id = offer(house, asset_id)
    change(house, asset_id)
    assert told(house, 0, "listing.withdrawn")[-1]["listing_id"] == listing_id
    wanted = {"mandate_id": mandate_of(house, 1)}
    problem = house.funders[1].refused("POST", f"/v1/listings/{listing_id}/purchases", wanted)
    assert (problem["code"], problem["numbers"]) == ("listing_over", {"outcome": "withdrawn"})
    assert house.funders[0].refused("POST", f"/v1/listings/{listing_id}/withdrawal")["code"] == "listing_over"
    assert listing_id not in house.funders[1].call("GET", "/v1/listings?limit=1000").text


def test_stale_before_anybody_says_so(house: House) -> None:
    """Split by its owner, due, or out of time: not shown, not sold, and swept off with a word to the owner."""
    split_up, due, late = owned(house, 3, days=3)
    house.move(9, days=1)
    listings = [offer(house, one, valid_until=at(house, days=9)) for one in (split_up, due)]
    listings.append(offer(house, late, valid_until=at(house, hours=1)))
    house.funders[0].post("/v1/splits", {"items": [{"asset_id": split_up, "amounts_minor": [1, FACE - 1]}]})
    house.move(9, days=2)
    for listing_id in listings:
        wanted = {"mandate_id": mandate_of(house, 1)}
        problem = house.funders[1].refused("POST", f"/v1/listings/{listing_id}/purchases", wanted)
        assert problem["code"] == "listing_over"
    house.move(9, 50)
    words = {one["listing_id"]: one["reason"] for one in told(house, 0, "listing.withdrawn")}
    assert [words[one] for one in listings] == ["changed", "changed", "expired"]


def test_what_cannot_be_listed(house: House) -> None:
    """Not one's own, twice, another currency, past its due date, over before it begins."""
    (asset_id,) = owned(house)
    body = {"asset_ids": [asset_id], "currency": "CNY", "price_ppm": 1, "valid_until": at(house, hours=1)}
    post = house.funders[0].refused
    assert house.funders[1].refused("POST", "/v1/listings", body)["errors"][0]["code"] == "not_found"
    assert post("POST", "/v1/listings", body | {"asset_ids": [asset_id] * 2})["errors"][0]["code"] == "asset_twice"
    assert post("POST", "/v1/listings", body | {"currency": "USD"})["errors"][0]["code"] == "currency_differs"
    past = body | {"valid_until": at(house, hours=-1)}
    assert post("POST", "/v1/listings", past)["errors"][0]["code"] == "contradictory_dates"
    assert post("POST", "/v1/listings", body | {"asset_ids": fresh(house)})["errors"][0]["code"] == "not_found"
    offer(house, asset_id)
    assert post("POST", "/v1/listings", body)["errors"][0]["code"] == "listed_already"
    (other,) = owned(house, days=2)
    house.move(9, days=2)
    problem = post("POST", "/v1/listings", body | {"asset_ids": [other], "valid_until": at(house, hours=1)})
    assert problem["errors"][0]["code"] == "past_due"
    assert claims(house)[other] == "assigned"


def test_packs_have_ones_own(house: House) -> None:
    """A funder's pack has its own bids, listings and sides of trades, and nothing of another's."""
    (asset_id,) = owned(house)
    take(house, offer(house, asset_id))
    for table in ("auction", "bid", "listing", "listing_asset", "trade_side"):
        query = re.sub(r"%\((\w+)\)s", r":\1", sight.FILES[table])
        for number, own in enumerate(house.funder_ids[:2]):
            found = rows(house, query, funder=own)
            assert bool(found) == (number == 0 or table == "trade_side"), table
            assert {row.funder_id for row in found if hasattr(row, "funder_id")} <= {own}
