"""Payments on assets that went wrong, taken back by the bank: everything stands as before."""

from typing import Any

from exchange import books
from tests.exchange.house import House
from tests.exchange.losses.test_stories import empty_purse
from tests.exchange.losses.wrong import check, follow
from tests.exchange.settlement.bank import enter_one, open_account, paid
from tests.exchange.settlement.book import FACE_MINOR, all_balances, buy, fresh, rows


def state_of(house: House, asset_id: str) -> tuple[Any, ...]:
    """Everything that a payment on the asset moves."""
    claim = """
        SELECT claim.state, outstanding_minor, collected_minor, written_off_minor FROM claim
        JOIN pool_asset ON pool_asset.asset_id = claim.asset_id AND released_at IS NULL WHERE claim.asset_id = :id
    """
    charges = "SELECT kind, amount_minor, paid_minor FROM charge WHERE asset_id = :id"
    debts = "SELECT cause, amount_minor, paid_minor, released_minor FROM debt WHERE asset_id = :id"
    money = {place: amount for place, amount in all_balances(house).items() if amount}
    return (*(rows(house, query, id=asset_id) for query in (claim, charges, debts)), money)


def test_fees_and_recourse_are_owed_again(market: House) -> None:
    """A payment that took in a fee with the claim, and lowered what the seller answers for, is undone whole."""
    open_account(market)
    (asset_id,) = buy(market, fresh(recourse="with"))
    empty_purse(market, asset_id)
    follow(market, "default", asset_id)
    follow(market, "charge_off", asset_id)
    market.operator.post(f"/v1/assets/{asset_id}/charges", {"reference": "F-1", "amount_minor": 700})
    before = state_of(market, asset_id)
    end_to_end = f"E2E-{asset_id[-8:]}"
    came = enter_one(market, paid(400_700, asset_id, end_to_end=end_to_end))
    assert came["state"] == "booked"
    check(market)
    assert state_of(market, asset_id) != before
    assert rows(market, "SELECT paid_minor FROM charge WHERE asset_id = :id", id=asset_id) == [(700,)]
    back = enter_one(market, paid(-400_700, "returned", end_to_end=end_to_end))
    assert back["state"] == "booked"
    check(market)
    assert state_of(market, asset_id) == before


def test_what_came_back_of_a_loss_waits_for_a_person(market: House) -> None:
    """A recovery cannot be undone by itself: losses would have to be shared out again."""
    open_account(market)
    (asset_id,) = buy(market, fresh())
    body = {"amount_minor": FACE_MINOR // 2, "reason": "insolvent"}
    market.operator.post(f"/v1/assets/{asset_id}/write-offs", body)
    end_to_end = f"E2E-{asset_id[-8:]}"
    came = enter_one(market, paid(FACE_MINOR // 2 - 5, asset_id, end_to_end=end_to_end))
    line = {"bank_reference": f"G-{asset_id}", "value_date": market.today.isoformat(), "currency": "CNY"}
    market.operator.post(f"/v1/assets/{asset_id}/recoveries", line | {"amount_minor": 15, "payer_name": "A guarantor"})
    check(market)
    assert came["state"] == "booked"
    recovered = rows(market, "SELECT sum(recovered_minor)::bigint FROM write_off WHERE asset_id = :id", id=asset_id)
    assert recovered == [(10,)]
    back = enter_one(market, paid(-(FACE_MINOR // 2 - 5), "returned", end_to_end=end_to_end))
    assert back["state"] == "open"
    check(market)


def test_fees_are_matched_with_the_claim(market: House) -> None:
    """Whoever pays claim and fee in one line owes nothing any more, and nothing is left over."""
    open_account(market)
    (asset_id,) = buy(market, fresh())
    market.operator.post(f"/v1/assets/{asset_id}/charges", {"reference": "F-2", "amount_minor": 300})
    fees, nobodys = balance_of(market, books.FEES), balance_of(market, books.UNAPPLIED)
    came = enter_one(market, paid(FACE_MINOR + 300, asset_id))
    assert came["state"] == "booked"
    check(market)
    assert balance_of(market, books.FEES) == fees + 300
    assert balance_of(market, books.UNAPPLIED) == nobodys


def balance_of(house: House, path: str) -> int:
    """A balance in yuan."""
    return all_balances(house).get((path, "CNY/2"), 0)
