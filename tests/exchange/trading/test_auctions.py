"""Auctions from end to end, over HTTP: who wins, what each is told, and what is refused."""

import hashlib
from typing import Any

import pytest

from ledger.verify import certificate
from tests.exchange.house import House, mandate, receipt
from tests.exchange.pools.soundness import claims, money, sound
from tests.exchange.settlement.book import rows
from tests.exchange.title.deeds import kinds
from tests.exchange.trading.floor import (
    FACE,
    at,
    bid,
    bid_body,
    bids,
    fresh,
    lot,
    parts,
    put_up,
    told,
)


@pytest.fixture(autouse=True)
def morning(house: House) -> None:
    """Nine o'clock of another day, with nothing under way."""
    house.move(14, 0)
    house.move(9, 0, days=1)


def price_of(face: int, bps: int, days: int = 60) -> int:
    """A face less its discount, which is rounded up."""
    return face - -(-face * bps * days // 3_600_000)


def cash(house: House, funder: int) -> int:
    """What a funder has free."""
    return money(house, funder)[0]


def test_the_lowest_discount_wins(house: House) -> None:
    """Three bid under seal; at the close one wins, the others have their money back; at the cut-off it is bought."""
    (asset_id,) = fresh(house)
    before = [cash(house, funder) for funder in range(3)]
    auction_id = put_up(house, [asset_id])
    taken = [bid(house, auction_id, funder, bps) for funder, bps in enumerate((640, 510, 700))]
    assert [one["held_minor"] for one in taken] == [FACE] * 3
    assert money(house, 0) == (before[0] - FACE, FACE)
    house.move(13, 50)
    outcome = [bids(house, funder, auction_id)[0] for funder in range(3)]
    assert [(one["state"], one["reason"], one["rate_bps"]) for one in outcome] == [
        ("lost", "outbid", None),
        ("won", None, 510),
        ("lost", "outbid", None),
    ]
    for one, first in zip(outcome, taken, strict=True):
        assert hashlib.sha256(one["opened"].encode()).hexdigest() == first["digest"] == one["digest"]
    assert claims(house)[asset_id] == "committed"
    assert lot(house, auction_id)[0]["sold_minor"] == FACE
    sound(house)
    house.move(14, 0)
    assert claims(house)[asset_id] == "assigned"
    assert [cash(house, funder) for funder in range(3)] == [before[0], before[1] - price_of(FACE, 510), before[2]]
    assert told(house, 1, "bid.won")[-1]["rate_bps"] == 510
    assert told(house, 2, "bid.lost")[-1]["reason"] == "outbid"
    assert kinds(house, asset_id)[-2:] == ["asset.assigned", "asset.notice_given"]
    assert "asset.auctioned" in kinds(house, asset_id)
    sound(house)


@pytest.mark.parametrize(("pricing", "paid"), [("bid", [400, 500, 600]), ("uniform", [600, 600, 600])])
def test_a_lot_in_parts(house: House, pricing: str, paid: list[int]) -> None:
    """Each gets what it wanted while there is any, the last what is left; parts are assets and sum to the whole."""
    (asset_id,) = fresh(house)
    auction_id = put_up(house, [asset_id], min_part_minor=100_000, pricing=pricing, advance_bps=9_000)
    for funder, (bps, amount) in enumerate([(400, 300_001), (500, 299_999), (600, 900_000)]):
        bid(house, auction_id, funder, bps, amount_minor=amount)
    house.move(13, 50)
    got = [bids(house, funder, auction_id)[0] for funder in range(3)]
    assert [one["rate_bps"] for one in got] == paid
    assert [one["taken_minor"] for one in got] == [300_001, 299_999, 400_000]
    before = [sum(money(house, funder)) for funder in range(3)]
    house.move(14, 0)
    amounts = [300_001, 299_999, 400_000]
    assert {(amount, state) for _, amount, state in parts(house, asset_id)} == {(one, "assigned") for one in amounts}
    spent = [was - sum(money(house, funder)) for funder, was in enumerate(before)]
    assert spent == [price_of(amount * 9 // 10, bps) for amount, bps in zip(amounts, paid, strict=True)]
    sound(house)


def test_what_nobody_wants_stays_free(house: House) -> None:
    """The rest of a lot is its holder's own, and so is a lot without any bid: both are in the next round."""
    wanted, unwanted = fresh(house, 2)
    auction_id = put_up(house, [wanted], [unwanted], min_part_minor=100_000)
    bid(house, auction_id, 0, 400, amount_minor=250_000)
    house.move(13, 50)
    assert {(amount, state) for _, amount, state in parts(house, wanted)} == {(250_000, "committed"), (750_000, "free")}
    assert claims(house)[unwanted] == "free"
    assert [one["sold_minor"] for one in lot(house, auction_id)] == [250_000, 0]
    assert rows(house, "SELECT asset_id FROM claim WHERE kept_for IS NOT NULL") == []
    sound(house)


def test_a_lot_of_several_goes_whole(house: House) -> None:
    """One asset of it that was paid, and nobody gets the lot; its bidders are told why. Another lot is not touched."""
    paid, other, third = fresh(house, 3)
    auction_id = put_up(house, [paid, other], [third])
    bid(house, auction_id, 0, 400, amount_minor=2 * FACE)
    bid(house, auction_id, 1, 410, lot=1)
    house.operator.post("/v1/receipts", {"items": [receipt(paid, 1, value_date=house.today)]})
    house.move(13, 50)
    assert [(one["state"], one["reason"]) for one in bids(house, 0, auction_id)] == [("lost", "lot_changed")]
    assert [one["state"] for one in bids(house, 1, auction_id)] == ["won"]
    assert {one["asset_id"]: one["reason"] for one in lot(house, auction_id)} == {
        paid: "amount_changed",
        other: "lot_changed",
        third: None,
    }
    assert claims(house)[other] == "free"
    sound(house)


def test_disputed_before_the_close(house: House) -> None:
    """What its obligor disputes is not sold."""
    asset_id, other = fresh(house, 2)
    auction_id = put_up(house, [asset_id, other], min_part_minor=1)
    bid(house, auction_id, 0, 400, amount_minor=2 * FACE)
    said = {"amount_minor": 1, "reason": "price", "statement": "too dear"}
    house.platform.post(f"/v1/assets/{asset_id}/disputes", said)
    house.move(13, 50)
    assert [one["taken_minor"] for one in bids(house, 0, auction_id)] == [FACE]
    assert {one["asset_id"]: one["reason"] for one in lot(house, auction_id)}[asset_id] == "claim_disputed"
    sound(house)


def test_bids_that_are_refused(house: House) -> None:
    """Early, late, above the reserve, another amount, another lot, twice, without cash, against the mandate."""
    (asset_id,) = fresh(house)
    auction_id = put_up(house, [asset_id], opens_at=at(house, hours=1))
    first, path = house.funders[0], f"/v1/auctions/{auction_id}/bids"
    assert first.refused("POST", path, bid_body(house, 0, 500))["numbers"] == {"outcome": "announced"}
    house.move(10, 30)
    problem = first.refused("POST", path, bid_body(house, 0, 801, amount_minor=1))
    assert [fault["code"] for fault in problem["errors"]] == ["above_reserve", "amount_out_of_range"]
    assert first.refused("POST", path, bid_body(house, 0, 500, lot=1))["errors"][0]["code"] == "no_such_lot"
    assert first.refused("POST", path, bid_body(house, 1, 500))["status"] == 404
    key = "the-same"
    body = bid_body(house, 0, 500)
    taken = first.post(path, body, key=key)
    assert first.post(path, body, key=key) == taken
    assert first.refused("POST", path, bid_body(house, 0, 400))["code"] == "bid_exists"
    choosy = house.add_funder("Choosy")
    choosy.post("/v1/mandates", mandate(max_tenor_days=30))
    broke = house.funders.index(choosy)
    problem = choosy.refused("POST", path, bid_body(house, broke, 500))
    assert (problem["code"], problem["errors"][0]["code"]) == ("mandate_refuses", "max_tenor")
    choosy.post("/v1/mandates", mandate())
    problem = choosy.refused("POST", path, bid_body(house, broke, 500))
    assert (problem["code"], problem["errors"][0]["code"]) == ("mandate_refuses", "cash")
    house.move(12, 0)
    problem = first.refused("POST", path, bid_body(house, 0, 400))
    assert (problem["code"], problem["numbers"]) == ("auction_not_open", {"outcome": "closed"})
    house.move(13, 50)
    assert first.refused("POST", path, bid_body(house, 0, 400))["numbers"] == {"outcome": "cleared"}
    assert first.refused("POST", f"/v1/bids/{taken['bid_id']}/withdrawal")["code"] == "auction_not_open"


def test_withdrawn_and_called_off(house: House) -> None:
    """A bid taken back is free to be made again; an auction called off opens none; all money and assets are free."""
    (asset_id,) = fresh(house)
    auction_id = put_up(house, [asset_id])
    before = money(house, 0)
    taken = bid(house, auction_id, 0, 500)
    away = f"/v1/bids/{taken['bid_id']}/withdrawal"
    assert house.funders[1].refused("POST", away)["status"] == 404
    house.funders[0].post(away, None)
    assert money(house, 0) == before
    assert house.funders[0].refused("POST", away)["code"] == "bid_over"
    bid(house, auction_id, 0, 450)
    assert house.platform.post(f"/v1/auctions/{auction_id}/cancellation", None) == {"state": "cancelled"}
    said = [(one["state"], one["reason"], one["opened"]) for one in bids(house, 0, auction_id)]
    assert sorted(said, key=str) == [("lost", "auction_cancelled", None), ("withdrawn", None, None)]
    assert money(house, 0) == before
    assert house.operator.refused("POST", f"/v1/auctions/{auction_id}/cancellation")["code"] == "auction_not_open"
    put_up(house, [asset_id])  # free again
    sound(house)


def test_what_cannot_be_put_up(house: House) -> None:
    """Every fault with its place: twice, not free, in an auction already, another currency, due too soon, too small."""
    good, kept, dollars, soon = [
        *fresh(house, 2),
        *fresh(house, currency="USD"),
        *fresh(house, days=1),
    ]
    put_up(house, [kept])
    wanted: dict[str, Any] = {"currency": "CNY", "closes_at": at(house, days=2), "reserve_bps": 800}
    post = house.platform.refused
    assert post("POST", "/v1/auctions", wanted | {"lots": [[good], [good]]})["errors"][0]["code"] == "asset_twice"
    early = wanted | {"lots": [[good]], "closes_at": at(house, hours=-1)}
    assert post("POST", "/v1/auctions", early)["errors"][0]["code"] == "contradictory_dates"
    problem = post("POST", "/v1/auctions", wanted | {"lots": [[good, kept], [dollars, soon]]})
    assert problem["code"] == "not_for_auction"
    assert sorted((fault["code"], fault["pointer"]) for fault in problem["errors"]) == [
        ("currency_differs", "/lots/1/0"),
        ("due_before_the_close", "/lots/1/1"),
        ("kept_for_auction", "/lots/0/1"),
    ]
    small = wanted | {"lots": [[good]], "min_part_minor": FACE + 1}
    assert post("POST", "/v1/auctions", small)["errors"][0]["code"] == "below_least_part"
    put_up(house, [good])
    assert house.funders[0].refused("POST", "/v1/auctions", wanted | {"lots": [[good]]})["status"] == 403


def test_nobody_sees_a_bid_before_the_close(house: House) -> None:
    """Not by any operation, not in any row: of a bid there is its digest, its seal, the money held."""
    (asset_id,) = fresh(house)
    auction_id = put_up(house, [asset_id])
    body = bid_body(house, 0, 437)
    taken = house.funders[0].post(f"/v1/auctions/{auction_id}/bids", body)
    (own,) = bids(house, 0, auction_id)
    assert (own["state"], own["opened"], own["rate_bps"]) == ("sealed", None, None)
    for other in (house.operator, house.platform, house.funders[1]):
        assert "437" not in other.call("GET", f"/v1/auctions/{auction_id}").text
        assert taken["bid_id"] not in other.call("GET", f"/v1/auctions/{auction_id}").text
    assert house.operator.call("GET", "/v1/bids").status_code == 403
    assert bids(house, 1, auction_id) == []
    assert house.operator.call("GET", f"/v1/auctions/{auction_id}/certificate").status_code == 404
    tables = rows(house, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'log_tile'")
    for (table,) in tables:
        for (row,) in rows(house, f"SELECT one::text FROM {table} AS one"):  # noqa: S608 - names of tables
            assert body["salt"] not in row, table
            assert '"discount_bps": 437' not in row, table
            assert '"discount_bps":437' not in row, table
    house.move(13, 50)
    assert '"discount_bps":437' in str(bids(house, 0, auction_id)[0]["opened"])


def test_the_certificate_proves_the_outcome(house: House) -> None:
    """It holds, value and bound are equal, a funder's part proves itself and tells nothing of others."""
    (asset_id,) = fresh(house)
    auction_id = put_up(house, [asset_id], min_part_minor=1)
    for funder, (bps, amount) in enumerate([(400, 600_000), (500, 600_000), (777, 600_000)]):
        bid(house, auction_id, funder, bps, amount_minor=amount)
    house.move(13, 50)
    path = f"/v1/auctions/{auction_id}/certificate"
    whole = house.operator.call("GET", path)
    head = whole.get_json()["head"]
    assert head["value"] == head["bound"]
    assert sorted(amount for _, _, amount in whole.get_json()["entries"]) == [400_000, 600_000]
    extract = house.funders[0].call("GET", path)
    assert extract.get_json()["head"] == head
    assert "777" not in extract.text
    assert certificate.check(whole.data) == {"receivables": 1, "mandates": 3, "entries": 2}
    assert certificate.check(extract.data) == {"mandates": 1, "entries": 1}
    with pytest.raises(certificate.CertificateWrong):
        certificate.check(whole.data.replace(b",400000]]", b",399999]]").replace(b",600000]]", b",600001]]"))
    seeds = rows(house, "SELECT encode(root, 'hex') FROM log_checkpoint")
    assert house.operator.get(f"/v1/auctions/{auction_id}")["seed"] in {seed for (seed,) in seeds} | {""}
    assert house.add_funder("Stranger").refused("GET", path)["status"] == 404
