"""Numbers that say by themselves what is paid: whoever pays, whatever they write."""

from typing import Any

from tests.exchange.house import House
from tests.exchange.settlement.bank import ACCOUNT, camt, enter_one, paid, send
from tests.exchange.settlement.book import asset, fresh, results, rows, seller_of

FACE = 1_000_000


def give(house: House, number: str, **of: object) -> dict[str, Any]:
    """What becomes of a number."""
    item = {"number": number, "account": ACCOUNT} | of
    (result,) = results(house.operator.post("/v1/virtual-accounts", {"items": [item]}))
    return result


def obligor_of(house: House, asset_id: str) -> str:
    """The obligor's company id."""
    return str(rows(house, "SELECT obligor_id FROM receivable WHERE asset_id = :id", id=asset_id)[0][0])


def test_a_number_of_an_asset(desk: House) -> None:
    """In the text or as the account that was paid to, broken by blanks: the asset is paid, certainly."""
    (asset_id,) = desk.submit(fresh())
    assert give(desk, "6222000011112222001", asset_id=asset_id)["status"] == 201
    assert enter_one(desk, paid(100, "for 6222000011112222001 thanks"))["state"] == "booked"
    file = camt(paid(50, "no word"), on=desk.today).replace(
        b"</RltdPties>", b"<CdtrAcct><Id><Othr><Id>6222 0000 1111 2222 001</Id></Othr></Id></CdtrAcct></RltdPties>"
    )
    assert send(desk, file).status_code == 201
    desk.run()
    assert asset(desk, asset_id)["outstanding_minor"] == FACE - 150


def test_a_number_of_a_company(desk: House) -> None:
    """Whoever sends the money: the amount that fits alone, else what was owed first; more than is owed is unapplied."""
    item = fresh()
    obligor = {"obligor": item["obligor"]}
    first, second = desk.submit(item, fresh(**obligor, face_minor=700_000, due_date="2026-06-01"))
    assert give(desk, "6222000011112222002", company_id=obligor_of(desk, first))["status"] == 201
    line = enter_one(desk, paid(700_000, "6222000011112222002", name="Somebody else"))
    assert (line["state"], line["proposal"]["reasons"]) == ("booked", ["virtual_account", "amount"])
    assert asset(desk, second)["outstanding_minor"] == 0
    line = enter_one(desk, paid(300_000, "6222000011112222002"))
    assert (line["state"], line["proposal"]["reasons"][0]) == ("booked", "virtual_account")
    assert asset(desk, first)["outstanding_minor"] == FACE - 300_000
    over = enter_one(desk, paid(FACE, "6222000011112222002"))
    assert (over["state"], asset(desk, first)["outstanding_minor"]) == ("booked", 0)
    assert "overpaid" in over["proposal"]["reasons"]
    assert enter_one(desk, paid(5, "6222000011112222002"))["state"] == "open"


def test_what_cannot_be_given(desk: House) -> None:
    """Of nothing or of two, of a stranger, under an unknown account, a number that is somebody's or was."""
    (asset_id, other) = desk.submit(fresh(), fresh())
    company_id = seller_of(desk, asset_id)
    number = "6222000011112222003"
    assert give(desk, number)["errors"][0]["code"] == "of_one"
    assert give(desk, number, asset_id=asset_id, company_id=company_id)["errors"][0]["code"] == "of_one"
    assert give(desk, number, asset_id="ast_01h455vb4pex5vsknk084sn02q")["status"] == 404
    assert give(desk, number, asset_id=asset_id, account="1")["status"] == 404
    assert [give(desk, number, asset_id=asset_id)["status"] for _ in "12"] == [201, 201]
    assert give(desk, number, asset_id=other)["errors"][0]["code"] == "number_taken"
    assert give(desk, number, asset_id=asset_id, closed=True)["status"] == 201
    assert give(desk, number, asset_id=asset_id)["errors"][0]["code"] == "number_taken"
    assert enter_one(desk, paid(100, number))["state"] == "open"
    (shown,) = [one for one in desk.operator.get("/v1/virtual-accounts?limit=1000")["items"] if one["number"] == number]
    assert (shown["asset_id"], shown["closed_at"] is None) == (asset_id, False)
