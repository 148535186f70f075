"""Payments on assets that went wrong, taken back by the bank: everything stands as before."""

from typing import Any

import pytest

from exchange import books
from tests.exchange.house import House
from tests.exchange.losses.test_stories import empty_purse
from tests.exchange.losses.wrong import check, follow, told
from tests.exchange.settlement.bank import decide, enter_one, open_account, paid
from tests.exchange.settlement.book import FACE_MINOR, all_balances, buy, fresh, pay, rows


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


def test_what_closed_a_claim_waits_for_a_person(market: House) -> None:
    """A payment on a claim that is closed since cannot be undone by itself: title is retired."""
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


@pytest.mark.parametrize(("recourse", "amount_minor"), [("without", 70_000), ("with", 930_000)])
def test_what_came_back_of_a_loss_is_lost_again(market: House, recourse: str, amount_minor: int) -> None:
    """A recovery that the bank takes back: those who got it lose it again, in the order in which they had lost."""
    open_account(market)
    (asset_id,) = buy(market, fresh(recourse=recourse))
    empty_purse(market, asset_id)
    follow(market, "default", asset_id)
    for part_minor in (FACE_MINOR // 4, FACE_MINOR - FACE_MINOR // 4):
        body = {"amount_minor": part_minor, "reason": "insolvent"}
        market.operator.post(f"/v1/assets/{asset_id}/write-offs", body)
    check(market)
    before = lost_state(market, asset_id)
    end_to_end = f"E2E-{asset_id[-8:]}"
    came = enter_one(market, paid(amount_minor, "from a guarantor", end_to_end=end_to_end))
    assert decide(market, came["line_id"], "allocate", (asset_id, amount_minor))["status"] == 201
    check(market)
    shown = market.funders[0].get(f"/v1/assets/{asset_id}/recoveries")["items"]
    assert sum(item["amount_minor"] for item in shown) == amount_minor
    assert lost_state(market, asset_id) != before
    back = enter_one(market, paid(-amount_minor, "returned", end_to_end=end_to_end))
    assert back["state"] == "booked", back
    check(market)
    assert lost_state(market, asset_id) == before
    assert market.funders[0].get(f"/v1/assets/{asset_id}/recoveries")["items"] == []
    kind, data = [one for one in told(market) if one[0] == "collection.reversed"][-1]
    assert (kind, data["asset_id"], data["amount_minor"]) == (
        "collection.reversed",
        asset_id,
        sum(item["funder_minor"] for item in shown),
    )
    again = enter_one(market, paid(amount_minor, "from a guarantor"))
    decide(market, again["line_id"], "allocate", (asset_id, amount_minor))
    check(market)


def lost_state(house: House, asset_id: str) -> tuple[Any, ...]:
    """Everything that a recovery moves."""
    losses = """
        SELECT number, funder_minor, recovered_minor, recovered_funder_minor FROM write_off
        WHERE asset_id = :id ORDER BY number
    """
    pool = "SELECT collected_minor, written_off_minor FROM pool_asset WHERE asset_id = :id"
    debts = "SELECT cause, amount_minor, paid_minor, released_minor FROM debt WHERE asset_id = :id"
    money = {place: amount for place, amount in all_balances(house).items() if amount}
    return (*(rows(house, query, id=asset_id) for query in (losses, pool, debts)), money)


def test_a_charge_off_that_is_withdrawn_leaves_the_memo(market: House) -> None:
    """As often as it is stated and withdrawn, the memo is what the pool says; the last word counts."""
    (asset_id,) = buy(market, fresh())
    memo = books.funder_charged_off(market.funder_ids[0])
    before = balance_of(market, memo)
    for revision in (1, 2):
        fact = f"2026-03-02.{revision}"
        follow(market, "charge_off", asset_id, fact=fact)
        assert balance_of(market, memo) > before
        pay(market, (asset_id, 1_000))
        check(market)
        for _ in range(2):
            follow(market, "charge_off_withdrawn", asset_id, fact=fact)
            assert balance_of(market, memo) == before
    pay(market, (asset_id, FACE_MINOR - 2_000))
    check(market)
    assert balance_of(market, memo) == before


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
