"""One receivable's whole life through the API, with the checkers after every step."""

from tests.exchange.house import House, mandate, receipt, receivable

CHAIN = [
    "asset.confirmed",
    "asset.scored",
    "asset.assigned",
    "asset.notice_given",
    "asset.late_1",
    "asset.paid",
    "asset.paid",
    "asset.released",
]
TOLD = [
    "deposit.received",
    "offer.made",
    "purchase.settled",
    "asset.late",
    "case.opened",
    "collection.distributed",
    "collection.distributed",
    "asset.repaid",
]


def test_a_receivables_life(house: House) -> None:
    """Submitted, confirmed, scored, offered, committed, bought, late, paid in two parts: each fact signed and told."""
    bank = house.funders[0]
    house.deposit(0, 50_000_000)
    bank.post("/v1/mandates", mandate(advance_bps=9_000, grade_spreads_bps=[0, 100]))
    house.check()
    (asset_id,) = house.submit(receivable("INV-1"))
    house.check()
    asset = house.platform.get(f"/v1/assets/{asset_id}")
    assert (asset["state"], asset["claim"], asset["grade"]) == ("confirmed", "free", "B3")

    _sell(house, asset_id)
    house.move(22, 30, days=65)
    house.check()
    assert house.operator.get(f"/v1/assets/{asset_id}")["performance"] == "late_1"
    for amount_minor in (400_000, 600_000):
        _pay(house, asset_id, amount_minor)

    assert house.platform.get(f"/v1/assets/{asset_id}")["state"] == "extinguished"
    kinds = [record["kind"] for record in bank.get(f"/v1/assets/{asset_id}/records")["items"]]
    assert kinds == CHAIN
    assert [event["type"] for event in house.events(0)] == TOLD


def _sell(house: House, asset_id: str) -> None:
    """Round, offer, commitment, purchase: who owes the asset is disclosed with the title."""
    bank = house.funders[0]
    house.move(10, 30)
    house.check()
    (offer,) = bank.get("/v1/offers?state=open")["items"]
    assert offer["price_minor"] == 900_000 - 10_500  # 7 % a year on the advance for 60 of 360 days
    assert bank.get(f"/v1/assets/{asset_id}/records")["items"][0]["disclosures"] == []

    bank.post(f"/v1/offers/{offer['offer_id']}/commitment", {})
    house.check()
    house.move(14, 30)
    house.check()
    assert bank.get("/v1/positions")["items"][0]["outstanding_minor"] == 1_000_000
    assert len(bank.get(f"/v1/assets/{asset_id}/records")["items"][0]["disclosures"]) == 4


def _pay(house: House, asset_id: str, amount_minor: int) -> None:
    """The obligor pays a part the next day."""
    house.move(9, days=1)
    lines = {"items": [receipt(asset_id, amount_minor, value_date=house.today)]}
    assert house.operator.post("/v1/receipts", lines)["items"][0]["outcome"] == "allocated"
    house.run()
    house.check()
