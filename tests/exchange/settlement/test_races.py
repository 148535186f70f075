"""Two hands on the same money at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from threading import Barrier
from typing import Any

import pytest

from exchange import books
from tests.exchange.house import Client, House, mandate, receipt
from tests.exchange.settlement.book import (
    DISCOUNT_MINOR,
    FACE_MINOR,
    HOLDBACK_MINOR,
    PRICE_MINOR,
    asset,
    balance,
    buy,
    check_conserved,
    dated,
    fresh,
    note,
    results,
    rows,
    seller_of,
)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls give when all of them begin together."""
    barrier = Barrier(len(calls))

    def begun(call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the call gives
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(begun, calls))


def another(house: House, client: Client) -> Client:
    """The same client in another process: its own connection, the same token."""
    client.token = client.token or client.sign_in()
    return Client(house.app.test_client(), client.client_id, client.key, client.token)


def sender(house: House, client: Client, path: str, *items: dict[str, Any]) -> Callable[[], list[dict[str, Any]]]:
    """A call that sends the items."""
    own = another(house, client)
    return lambda: results(own.post(path, {"items": list(items)}))


def test_one_bank_line_from_two_feeds_is_entered_once(market: House) -> None:
    """Both feeds get an answer, one of them that it came second; the money is there once."""
    lines = [receipt("rent", 10, value_date=market.today) for _ in range(20)]
    before = balance(market, books.UNAPPLIED)
    calls = [sender(market, market.operator, "/v1/receipts", *order) for order in (lines, lines[::-1], lines)]
    statuses = [result["status"] for answer in at_once(*calls) for result in answer]
    assert (statuses.count(201), statuses.count(409)) == (20, 40)
    assert balance(market, books.UNAPPLIED) == before + 200


def test_payments_at_once_apply_no_more_than_is_owed(market: House) -> None:
    """Four payers pay the same asset in full: it is paid once, three payments are unapplied."""
    (asset_id,) = buy(market, fresh())
    cash, unapplied = balance(market, books.funder_cash(market.funder_ids[0])), balance(market, books.UNAPPLIED)
    lines = [receipt(asset_id, FACE_MINOR, value_date=market.today) for _ in range(4)]
    answers = at_once(*(sender(market, market.operator, "/v1/receipts", line) for line in lines))
    assert sorted(answer[0]["outcome"] for answer in answers) == ["allocated"] + ["unapplied"] * 3
    assert balance(market, books.funder_cash(market.funder_ids[0])) == cash + PRICE_MINOR + DISCOUNT_MINOR
    assert balance(market, books.UNAPPLIED) == unapplied + 3 * FACE_MINOR
    check_conserved(market)


def test_a_payment_meets_a_credit_note(market: House) -> None:
    """Whichever comes first, what is owed never falls below zero and no part of it is taken off twice."""
    asset_ids = buy(market, *(fresh() for _ in range(4)))
    for asset_id in asset_ids:
        half = FACE_MINOR // 2 + 1
        line, credited = receipt(asset_id, half, value_date=market.today), note(asset_id, half, on=market.today)
        (paid,), (result,) = at_once(
            sender(market, market.operator, "/v1/receipts", line),
            sender(market, market.platform, "/v1/credit-notes", credited),
        )
        if result["status"] == 201:
            assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR - half - paid["applied_minor"]
        else:
            assert result["errors"][0]["code"] == "more_than_outstanding"
            assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR - half
    check_conserved(market)


def test_two_credit_notes_do_not_spend_one_purse_twice(market: House) -> None:
    """Two assets of one seller are credited at once: its money pays what it can, the rest is owed."""
    seller = {"scheme": "platform", "value": "twice"}
    asset_ids = buy(market, fresh(seller=seller), fresh(seller=seller))
    company = seller_of(market, asset_ids[0])
    short = FACE_MINOR - HOLDBACK_MINOR
    notes = [note(asset_id, FACE_MINOR, on=market.today) for asset_id in asset_ids]
    answers = at_once(*(sender(market, market.platform, "/v1/credit-notes", one) for one in notes))
    assert [answer[0]["status"] for answer in answers] == [201, 201]
    assert balance(market, books.seller_cash(company)) == 0
    assert -balance(market, books.seller_recourse(company)) == 2 * short - 2 * PRICE_MINOR
    check_conserved(market)


def test_one_credit_note_sent_twice_at_once_counts_once(market: House) -> None:
    """Under two keys: one is kept, the other a duplicate."""
    (asset_id,) = market.submit(fresh())
    one = note(asset_id, 10, on=market.today)
    answers = at_once(*(sender(market, market.platform, "/v1/credit-notes", one) for _ in range(3)))
    assert sorted(answer[0]["status"] for answer in answers) == [201, 409, 409]
    assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR - 10


def test_batches_in_opposite_orders_do_not_deadlock(market: House) -> None:
    """Payments and credit notes over the same assets, forward and backward, all get their answers."""
    asset_ids = buy(market, *(fresh() for _ in range(8)))
    calls = []
    for order in (asset_ids, asset_ids[::-1], asset_ids[3:] + asset_ids[:3]):
        lines = [receipt(asset_id, 1_000, value_date=market.today) for asset_id in order]
        notes = [note(asset_id, 10, on=market.today) for asset_id in order]
        calls.append(sender(market, market.operator, "/v1/receipts", *lines))
        calls.append(sender(market, market.platform, "/v1/credit-notes", *notes))
    for answer in at_once(*calls):
        assert {result["status"] for result in answer} == {201}
    left = rows(market, "SELECT DISTINCT outstanding_minor FROM claim WHERE asset_id = ANY(:ids)", ids=asset_ids)
    assert left == [(FACE_MINOR - 3 * 1_010,)]
    check_conserved(market)


@pytest.mark.parametrize("moment", [time(10), time(14)])
def test_payments_meet_a_round_or_a_purchase(market: House, moment: time) -> None:
    """Assets are paid in part while they are being offered or bought: each is sold for what is owed, or not at all."""
    market.move(9, days=1)
    market.deposit(0, 10**9)
    market.funders[0].post("/v1/mandates", mandate(min_tenor_days=60, max_tenor_days=60, auto_commit=True))
    asset_ids = market.submit(*(fresh() | dated(market) for _ in range(8)))
    if moment > time(12):
        market.move(10, 30)
    now = datetime.combine(market.today, moment, tzinfo=UTC) - timedelta(hours=8)
    market.operator.put("/v1/clock", {"now": f"{now:%Y-%m-%dT%H:%M:%SZ}"})
    lines = [receipt(asset_id, 1_000, value_date=market.today) for asset_id in asset_ids]
    payments = [sender(market, market.operator, "/v1/receipts", *lines[start::2]) for start in (0, 1)]
    at_once(market.run, *payments)
    market.run()
    market.move(14, 30)
    sold = """
        SELECT claim.outstanding_minor, pool_asset.face_minor - collected_minor FROM claim
        JOIN pool_asset ON pool_asset.pool_id = claim.pool_id AND pool_asset.asset_id = claim.asset_id
        WHERE claim.asset_id = ANY(:ids)
    """
    found = rows(market, sold, ids=asset_ids)
    assert all(outstanding == face for outstanding, face in found)
    claims = "SELECT asset_id, state, outstanding_minor FROM claim WHERE asset_id = ANY(:ids)"
    for asset_id, state, outstanding in rows(market, claims, ids=asset_ids):
        assert (state in {"free", "assigned"}, outstanding) == (True, FACE_MINOR - 1_000)
        title = balance(market, books.funder_title(market.funder_ids[0]), asset_id)
        assert title == (outstanding if state == "assigned" else 0)
    assert balance(market, books.funder_reserved(market.funder_ids[0])) == 0
    check_conserved(market)
