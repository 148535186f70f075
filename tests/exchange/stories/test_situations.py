"""What happens to assets, one situation a story: told through the API, with the checkers after every step."""

from datetime import date, timedelta
from typing import Any

from exchange import books
from tests.exchange.house import House, mandate
from tests.exchange.settlement.book import (
    DISCOUNT_MINOR,
    FACE_MINOR,
    HOLDBACK_MINOR,
    PRICE_MINOR,
    asset,
    balance,
    buy,
    check_conserved,
    credit,
    dated,
    fresh,
    note,
    pay,
    rows,
    seller_of,
)

DUE_MINOR = PRICE_MINOR + DISCOUNT_MINOR


def told(house: House, funder: int = 0, *, after: int = 0) -> list[dict[str, Any]]:
    """The events of a funder after its first `after`."""
    house.run()
    check_conserved(house)
    return house.events(funder)[after:]


def cash(house: House, funder: int = 0) -> int:
    """A funder's money that is free."""
    return balance(house, books.funder_cash(house.funder_ids[funder]))


def test_default_and_charge_off(house: House) -> None:
    """Nobody pays: every bucket is told on its day, then default, then charge-off; what comes later is still shared."""
    (asset_id,) = buy(house, fresh(), days=1)
    before, due_date = len(told(house)), house.today + timedelta(days=1)
    house.move(22, 30, days=124)
    stages = [
        (event["type"], event["data"]["stage"], event["data"]["business_date"])
        for event in told(house)[before:]
        if event["type"] in {"asset.late", "asset.defaulted"}
    ]
    assert "asset.charged_off" in {event["type"] for event in told(house)[before:]}
    assert stages == [
        (kind, stage, (due_date + timedelta(days=days)).isoformat())
        for kind, stage, days in [
            ("asset.late", "late_1", 4),
            ("asset.late", "late_16", 19),
            ("asset.late", "late_31", 34),
            ("asset.late", "late_61", 64),
            ("asset.defaulted", "default", 93),
            ("asset.defaulted", "charge_off", 123),
        ]
    ]
    assert asset(house, asset_id)["performance"] == "charge_off"

    money = cash(house)
    pay(house, (asset_id, 250_000))
    assert cash(house) == money + 250_000
    pay(house, (asset_id, FACE_MINOR))
    assert [event["type"] for event in told(house)[-3:]] == [
        "collection.distributed",
        "collection.distributed",
        "asset.repaid",
    ]
    shown = asset(house, asset_id)
    assert (shown["claim"], shown["state"], shown["performance"]) == ("closed", "extinguished", "charge_off")
    records = [record["kind"] for record in house.funders[0].get(f"/v1/assets/{asset_id}/records")["items"]]
    assert records[-4:] == ["asset.charge_off", "asset.paid", "asset.paid", "asset.released"]


def test_dilution_that_the_seller_pays(house: House) -> None:
    """Goods come back: the holdback first, then the seller's money makes the funder whole; the rest is collected."""
    (asset_id,) = buy(house, fresh())
    seller_id, money, before = seller_of(house, asset_id), cash(house), len(told(house))
    credit(house, note(asset_id, HOLDBACK_MINOR + 30_000, on=house.today, reason="short_delivery"))
    (event,) = told(house, after=before)
    assert (event["type"], event["data"]["reason"]) == ("asset.diluted", "short_delivery")
    assert (event["data"]["outstanding_minor"], event["data"]["paid_minor"]) == (DUE_MINOR - 30_000, 30_000)
    assert cash(house) == money + 30_000

    pay(house, (asset_id, DUE_MINOR - 30_000))
    assert cash(house) == money + DUE_MINOR
    assert balance(house, books.seller_cash(seller_id)) == PRICE_MINOR - 30_000
    assert balance(house, books.seller_recourse(seller_id)) == 0
    assert told(house)[-1]["type"] == "asset.repaid"


def test_dilution_that_the_seller_cannot_pay(house: House) -> None:
    """The whole invoice is taken back: the seller gives its price and owes the discount, in the books, not in money."""
    (asset_id,) = buy(house, fresh())
    seller_id, money, before = seller_of(house, asset_id), cash(house), len(told(house))
    credit(house, note(asset_id, FACE_MINOR, on=house.today))
    assert cash(house) == money + PRICE_MINOR
    assert balance(house, books.seller_cash(seller_id)) == 0
    assert balance(house, books.seller_recourse(seller_id)) == -DISCOUNT_MINOR
    assert balance(house, books.funder_recourse(house.funder_ids[0])) == DISCOUNT_MINOR
    assert [event["type"] for event in told(house, after=before)] == ["asset.diluted"]
    assert asset(house, asset_id)["state"] == "extinguished"
    assert house.funders[0].get("/v1/positions")["items"] == []
    assert house.operator.get("/v1/summary")["dilution"]["CNY"]["owed_by_sellers_minor"] == DISCOUNT_MINOR

    (late,) = pay(house, (asset_id, 5))
    assert late["outcome"] == "unapplied"
    check_conserved(house)


def test_overpayment(house: House) -> None:
    """An obligor pays twice in one transfer: the funder and the seller get theirs, the second half waits."""
    (asset_id,) = buy(house, fresh())
    money = cash(house)
    (result,) = pay(house, (asset_id, 2 * FACE_MINOR))
    assert (result["applied_minor"], result["unapplied_minor"]) == (FACE_MINOR, FACE_MINOR)
    assert cash(house) == money + DUE_MINOR
    assert balance(house, books.UNAPPLIED) == FACE_MINOR
    unapplied = house.operator.get("/v1/summary")["unapplied"]
    assert unapplied == {"CNY": {"receipts": 1, "amount_minor": FACE_MINOR}}
    check_conserved(house)


def test_partial_payments(house: House) -> None:
    """Four payments on four days, one of them late: each is passed on at once, the seller's part comes last."""
    (asset_id,) = buy(house, fresh(), days=3)
    seller_id, before = seller_of(house, asset_id), len(told(house))
    price = rows(house, "SELECT price_minor FROM pool_asset WHERE asset_id = :id", id=asset_id)[0][0]
    for amount in (400_000, 400_000, 150_000, 50_000):
        house.move(22, 30, days=2)
        pay(house, (asset_id, amount))
        check_conserved(house)
    events = [(event["type"], event["data"].get("amount_minor")) for event in told(house, after=before)]
    assert events == [
        ("collection.distributed", 400_000),
        ("collection.distributed", 400_000),
        ("collection.distributed", 100_000),
        ("asset.late", None),
        ("case.opened", None),
        ("asset.repaid", None),
    ]
    assert balance(house, books.seller_cash(seller_id)) == price + HOLDBACK_MINOR
    assert asset(house, asset_id)["performance"] == "late_1"


def test_a_refused_confirmation(house: House) -> None:
    """The obligor says no: no asset, no score, no offer, and no second answer; money for it belongs to nobody yet."""
    house.deposit(0, 10**9)
    house.funders[0].post("/v1/mandates", mandate())
    (asset_id,) = house.submit(fresh(confirmation=None))
    answer: dict[str, Any] = {"asset_id": asset_id, "outcome": "refused", "grade": "explicit", "reason": "not ordered"}
    answer["confirmed_date"] = house.today.isoformat()
    assert house.platform.post("/v1/confirmations", {"items": [answer]})["items"][0]["status"] == 201
    accepted = {name: value for name, value in answer.items() if name != "reason"} | {"outcome": "accepted"}
    (second,) = house.platform.post("/v1/confirmations", {"items": [accepted]})["items"]
    assert (second["status"], second["errors"][0]["code"]) == (409, "already_answered")
    house.move(10, 30)
    shown = asset(house, asset_id)
    assert (shown["state"], shown["claim"], shown["grade"]) == ("void", None, None)
    assert house.funders[0].get("/v1/offers")["items"] == []
    assert house.operator.get(f"/v1/assets/{asset_id}/records")["items"] == []
    assert pay(house, (asset_id, FACE_MINOR))[0]["outcome"] == "unapplied"
    assert [event["type"] for event in told(house)] == ["deposit.received"]


def test_two_funders_compete_and_see_nothing_of_each_other(house: House) -> None:
    """The cheaper one gets what both want, the other what only it takes; neither can see or touch the other's."""
    house.add_funder("Second")
    for funder, terms in enumerate(
        ({"base_rate_bps": 500, "max_face_minor": FACE_MINOR}, {"base_rate_bps": 600, "max_face_minor": 10**12})
    ):
        house.deposit(funder, 10**9)
        house.funders[funder].post("/v1/mandates", mandate(**terms))
    small, large = house.submit(fresh(), fresh(face_minor=FACE_MINOR + 1))
    house.move(10, 30)

    offers = [funder.get("/v1/offers?state=open")["items"] for funder in house.funders]
    assert [[one["asset_count"] for one in own] for own in offers] == [[1], [1]]
    for own, other, wanted, hidden in ((0, 1, small, large), (1, 0, large, small)):
        client, foreign = house.funders[own], offers[other][0]["offer_id"]
        assert [one["asset_id"] for one in client.get("/v1/assets")["items"]] == [wanted]
        offer = client.get(f"/v1/offers/{offers[own][0]['offer_id']}")
        assert [one["asset_id"] for one in offer["assets"]] == [wanted]
        assert client.refused("GET", f"/v1/offers/{foreign}")["status"] == 404
        assert client.refused("POST", f"/v1/offers/{foreign}/commitment", {})["status"] == 404
        assert client.refused("POST", f"/v1/offers/{foreign}/refusal", {"reason": "spite"})["status"] == 404
        assert client.refused("GET", f"/v1/assets/{hidden}")["status"] == 404
        assert client.refused("GET", f"/v1/assets/{hidden}/records")["status"] == 404
        assert house.funder_ids[other] not in str(client.get("/v1/pools"))
        assert house.funder_ids[other] not in str(house.events(own))

    for client, (offer,) in zip(house.funders, offers, strict=True):
        client.post(f"/v1/offers/{offer['offer_id']}/commitment", {})
    house.move(14, 30)
    pay(house, (small, FACE_MINOR))
    kinds = [[event["type"] for event in told(house, funder)] for funder in (0, 1)]
    bought = ["deposit.received", "offer.made", "purchase.settled"]
    assert kinds == [[*bought, "collection.distributed", "asset.repaid"], bought]
    assert [len(client.get("/v1/positions")["items"]) for client in house.funders] == [0, 1]


def test_an_asset_that_is_paid_while_it_is_offered(house: House) -> None:
    """It leaves the offer; what is committed buys the rest, and the money held for it comes back."""
    house.deposit(0, 10**9)
    house.funders[0].post("/v1/mandates", mandate(advance_bps=9_000))
    paid, part, kept = house.submit(*(fresh() | dated(house) for _ in range(3)))
    house.move(10, 30)
    (offer,) = house.funders[0].get("/v1/offers?state=open")["items"]
    assert cash(house) == 10**9 - 3 * PRICE_MINOR
    pay(house, (paid, FACE_MINOR))
    assert (asset(house, paid)["claim"], asset(house, paid)["pool_id"]) == ("closed", None)
    assert balance(house, books.seller_cash(seller_of(house, paid))) == FACE_MINOR
    house.funders[0].post(f"/v1/offers/{offer['offer_id']}/commitment", {})
    pay(house, (part, 1))
    assert (asset(house, part)["claim"], asset(house, part)["outstanding_minor"]) == ("free", FACE_MINOR - 1)
    check_conserved(house)
    house.move(14, 30)

    assert cash(house) == 10**9 - PRICE_MINOR
    assert balance(house, books.funder_reserved(house.funder_ids[0])) == 0
    assert [asset(house, one)["claim"] for one in (paid, part, kept)] == ["closed", "free", "assigned"]
    (position,) = house.funders[0].get("/v1/positions")["items"]
    assert (position["asset_count"], position["due_minor"]) == (1, DUE_MINOR)
    assert told(house)[-1]["data"]["asset_count"] == 1
    assert sorted(used for (used,) in _used(house)) == [0, 0, FACE_MINOR]

    house.move(10, 30, days=1)
    (again,) = house.funders[0].get("/v1/offers?state=open")["items"]
    assert (again["asset_count"], again["face_minor"]) == (1, FACE_MINOR - 1)


def test_an_offer_whose_assets_are_all_paid_buys_nothing(house: House) -> None:
    """Committed, then paid to the last asset: no purchase, all money back, and the limit is free."""
    house.deposit(0, 10**9)
    house.funders[0].post("/v1/mandates", mandate(auto_commit=True))
    asset_ids = house.submit(*(fresh() | dated(house) for _ in range(2)))
    house.move(10, 30)
    pay(house, *((asset_id, FACE_MINOR) for asset_id in asset_ids))
    house.move(14, 30)
    assert cash(house) == 10**9
    assert "purchase.settled" not in [event["type"] for event in told(house)]
    assert {used for (used,) in _used(house)} == {0}
    assert house.funders[0].get("/v1/positions")["items"] == []


def _used(house: House) -> list[tuple[int]]:
    return [(row[0],) for row in rows(house, "SELECT used_minor FROM exposure ORDER BY obligor")]


def test_a_backdated_payment_settles_on_its_value_date(house: House) -> None:
    """The bank told us late: the asset was noted as late meanwhile, but the payer is judged by the day it paid."""
    (asset_id,) = buy(house, fresh(), days=2)
    value_date = house.today + timedelta(days=2)
    house.move(22, 30, days=8)
    assert asset(house, asset_id)["performance"] == "late_1"
    lines = {"items": [_line(asset_id, value_date)]}
    assert house.operator.post("/v1/receipts", lines)["items"][0]["outcome"] == "allocated"
    lateness = house.operator.get("/v1/summary")["lateness"]
    assert (lateness["settled"], lateness["late"]) == (1, 0)
    assert told(house)[-1]["data"]["value_date"] == value_date.isoformat()


def _line(asset_id: str, value_date: date) -> dict[str, Any]:
    line = {"bank_reference": "late-news", "value_date": value_date.isoformat(), "currency": "CNY"}
    return line | {"amount_minor": FACE_MINOR, "reference": asset_id}
