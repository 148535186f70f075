"""Credit notes: the holdback first, then the seller, and never a cent twice."""

from datetime import timedelta
from typing import Any

import pytest

from exchange import books
from exchange.risk.facts import day_number
from tests.exchange.house import Client, House, make_key, mandate, public_jwk
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
    fresh,
    note,
    pay,
    rows,
    seller_of,
)

FUNDER_DUE_MINOR = PRICE_MINOR + DISCOUNT_MINOR


def refusal(result: dict[str, Any]) -> tuple[int, str, str]:
    """Status, code and pointer of a result that was refused for one reason."""
    (fault,) = result["errors"]
    return result["status"], fault["code"], fault["pointer"]


def owed(house: House, asset_id: str) -> int:
    """What the seller of an asset owes to funders."""
    return -balance(house, books.seller_recourse(seller_of(house, asset_id)))


def spend(house: House, asset_id: str) -> None:
    """Take all its money here from the seller: a credit note on another asset, sold at so high a rate that it can."""
    seller = seller_of(house, asset_id)
    (value,) = rows(house, "SELECT value FROM company WHERE company_id = :id", id=seller)[0]
    item = fresh(seller={"scheme": "platform", "value": value}, face_minor=20 * FACE_MINOR)
    (other,) = buy(house, item, base_rate_bps=5_000)
    cash = balance(house, books.seller_cash(seller))
    assert credit(house, note(other, 20 * HOLDBACK_MINOR + cash, on=house.today))[0]["status"] == 201
    assert balance(house, books.seller_cash(seller)) == 0


def test_a_credit_note_within_the_holdback_costs_the_funder_nothing(market: House) -> None:
    """The holdback is there for this: money stays, title shrinks, the funder is told."""
    (asset_id,) = buy(market, fresh())
    cash = balance(market, books.funder_cash(market.funder_ids[0]))
    (result,) = credit(market, note(asset_id, HOLDBACK_MINOR, on=market.today))
    assert result == {"index": 0, "status": 201}
    assert balance(market, books.funder_cash(market.funder_ids[0])) == cash
    assert balance(market, books.funder_title(market.funder_ids[0]), asset_id) == FUNDER_DUE_MINOR
    assert asset(market, asset_id)["outstanding_minor"] == FUNDER_DUE_MINOR
    assert owed(market, asset_id) == 0
    market.run()
    event = market.events(0)[-1]
    assert event["type"] == "asset.diluted"
    assert (event["data"]["amount_minor"], event["data"]["paid_minor"]) == (HOLDBACK_MINOR, 0)
    assert pay(market, (asset_id, FACE_MINOR))[0]["applied_minor"] == FUNDER_DUE_MINOR
    check_conserved(market)


def test_beyond_the_holdback_the_seller_pays_at_once(market: House) -> None:
    """The seller has its price here, so the funder gets its shortfall in the same transaction."""
    (asset_id,) = buy(market, fresh())
    cash = balance(market, books.funder_cash(market.funder_ids[0]))
    credit(market, note(asset_id, HOLDBACK_MINOR + 5_000, on=market.today))
    assert balance(market, books.funder_cash(market.funder_ids[0])) == cash + 5_000
    assert balance(market, books.seller_cash(seller_of(market, asset_id))) == PRICE_MINOR - 5_000
    assert owed(market, asset_id) == 0
    check_conserved(market)


def test_a_seller_without_money_owes(market: House) -> None:
    """What the seller cannot pay stands in the books as its debt to the funder, not as money."""
    (asset_id,) = buy(market, fresh())
    spend(market, asset_id)
    cash = balance(market, books.funder_cash(market.funder_ids[0]))
    credit(market, note(asset_id, HOLDBACK_MINOR + 5_000, on=market.today))
    assert balance(market, books.funder_cash(market.funder_ids[0])) == cash
    assert owed(market, asset_id) == 5_000
    check_conserved(market)


def test_a_shortfall_is_owed_once(market: House) -> None:
    """A second credit note adds its own shortfall, not the first one's again; the sum is what the funder lacks."""
    (asset_id,) = buy(market, fresh())
    spend(market, asset_id)
    credit(market, note(asset_id, HOLDBACK_MINOR + 20_000, on=market.today))
    credit(market, note(asset_id, 10_000, on=market.today), note(asset_id, 1, on=market.today))
    assert owed(market, asset_id) == 30_001
    pay(market, (asset_id, FACE_MINOR))
    collected = rows(market, "SELECT collected_minor FROM pool_asset WHERE asset_id = :id", id=asset_id)[0][0]
    assert collected + owed(market, asset_id) == FUNDER_DUE_MINOR
    check_conserved(market)


def test_paid_and_owed_together_make_the_funder_whole(market: House) -> None:
    """One note paid from the seller's purse until it is empty, the next one owed: together never more than was due."""
    (asset_id,) = buy(market, fresh())
    purse = balance(market, books.seller_cash(seller_of(market, asset_id)))
    cash = balance(market, books.funder_cash(market.funder_ids[0]))
    credit(market, note(asset_id, FACE_MINOR - 1, on=market.today), note(asset_id, 1, on=market.today))
    assert balance(market, books.funder_cash(market.funder_ids[0])) == cash + purse
    assert owed(market, asset_id) == FUNDER_DUE_MINOR - purse
    assert asset(market, asset_id)["claim"] == "closed"
    assert rows(market, "SELECT released_at IS NULL FROM pool_asset WHERE asset_id = :id", id=asset_id) == [(False,)]
    check_conserved(market)


def test_a_sellers_own_asset_just_shrinks(market: House) -> None:
    """No money moves; at zero it is closed, and the trade is settled on the day of the note."""
    market.move(9, days=1)
    (asset_id,) = market.submit(fresh())
    yesterday = market.today - timedelta(days=1)
    credit(market, note(asset_id, FACE_MINOR, on=yesterday))
    assert (asset(market, asset_id)["claim"], asset(market, asset_id)["state"]) == ("closed", "extinguished")
    settled = rows(market, "SELECT settled_day FROM trade WHERE trade_id = :id", id=asset_id)
    assert settled == [(day_number(yesterday),)]
    check_conserved(market)


def test_more_than_is_owed_is_refused(market: House) -> None:
    """One cent too much is too much, also when it is the second note of a batch that makes it so."""
    (asset_id,) = market.submit(fresh())
    too_much = note(asset_id, FACE_MINOR + 1, on=market.today)
    half = note(asset_id, FACE_MINOR // 2, on=market.today)
    more = note(asset_id, FACE_MINOR // 2 + 1, on=market.today)
    refused, kept, second = credit(market, too_much, half, more)
    assert refusal(refused) == (422, "more_than_outstanding", "/items/0/amount_minor")
    assert kept["status"] == 201
    assert refusal(second) == (422, "more_than_outstanding", "/items/2/amount_minor")
    pay(market, (asset_id, FACE_MINOR))
    closed = credit(market, note(asset_id, 1, on=market.today))[0]
    assert refusal(closed) == (422, "more_than_outstanding", "/items/0/amount_minor")


def test_a_note_is_entered_once(market: House) -> None:
    """The same number of the same asset is a duplicate, whatever else it says; of another asset it is another note."""
    first, second = market.submit(fresh(), fresh())
    one = note(first, 10, on=market.today)
    kept, again, other = credit(market, one, one | {"amount_minor": 20}, one | {"asset_id": second})
    assert (kept["status"], other["status"]) == (201, 201)
    assert refusal(again) == (409, "duplicate_credit_note", "/items/1/number")
    assert refusal(credit(market, one)[0]) == (409, "duplicate_credit_note", "/items/0/number")
    assert asset(market, first)["outstanding_minor"] == FACE_MINOR - 10


def test_another_platforms_asset_is_unknown(market: House) -> None:
    """An originator cannot even learn that the asset is there, and it stays as it was."""
    key = make_key("rival")
    entered = market.operator.post("/v1/originators", {"name": "Rival", "public_jwk": public_jwk(key)})
    rival = Client(market.app.test_client(), entered["client_id"], key)
    (asset_id,) = market.submit(fresh())
    invented = "ast_01h455vb4pex5vsknk084sn02q"
    body = {"items": [note(asset_id, 10, on=market.today), note(invented, 10, on=market.today)]}
    for index, result in enumerate(rival.post("/v1/credit-notes", body)["items"]):
        assert refusal(result) == (404, "not_found", f"/items/{index}/asset_id")
    assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR
    assert market.operator.refused("POST", "/v1/credit-notes", body)["status"] == 403


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"issue_date": "2199-01-01"}, "issue_in_future"),
        ({"issue_date": "0001-01-01"}, "issue_too_early"),
        ({"amount_minor": 0}, "out_of_range"),
        ({"amount_minor": -1}, "out_of_range"),
        ({"reason": "kindness"}, "not_one_of"),
        ({"number": ""}, "bad_length"),
        ({"number": "n" * 65}, "bad_length"),
        ({"asset_id": "ast_1"}, "bad_id"),
    ],
)
def test_a_malformed_note_is_refused_alone(market: House, change: dict[str, object], code: str) -> None:
    """Each fault has its code, and the good note beside it is kept."""
    (asset_id,) = market.submit(fresh())
    bad, good = credit(market, note(asset_id, 1, on=market.today) | change, note(asset_id, 1, on=market.today))
    assert good["status"] == 201
    assert (bad["status"], {fault["code"] for fault in bad["errors"]}) == (422, {code})


def test_numbers_in_any_script_are_numbers(market: House) -> None:
    """What a seller writes as a number never breaks the books: their keys are ASCII, its is not."""
    (asset_id,) = buy(market, fresh())
    notes = [note(asset_id, 1, on=market.today, number=number) for number in ("退货-1", "退货-2", "💸" * 64, "a b")]
    assert {result["status"] for result in credit(market, *notes)} == {201}
    check_conserved(market)


def test_a_refused_note_does_not_touch_an_offer(market: House) -> None:
    """Only a note that is kept takes an asset out of its offer: else anyone could undo an offer with a mistake."""
    market.move(9, days=1)
    market.deposit(0, 10**9)
    (asset_id,) = market.submit(fresh())
    one = note(asset_id, 1, on=market.today)
    credit(market, one)
    market.funders[0].post("/v1/mandates", mandate(auto_commit=False))
    market.move(10, 30)
    assert asset(market, asset_id)["claim"] == "reserved"
    credit(market, one, note(asset_id, FACE_MINOR, on=market.today))
    pay(market, (asset_id, 1_000), currency="USD")
    assert asset(market, asset_id)["claim"] == "reserved"
    assert credit(market, note(asset_id, 1, on=market.today))[0]["status"] == 201
    assert asset(market, asset_id)["claim"] == "free"
    assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR - 2
    check_conserved(market)
