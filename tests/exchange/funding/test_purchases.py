"""Purchases: title against money, once, and for what is still there."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.exchange.funding.morning import CASH, PRICE, Morning
from tests.exchange.house import House, mandate
from tests.exchange.pools.contention import held_back, terminate
from tests.exchange.pools.shared import invoice
from tests.exchange.pools.soundness import claims, money, sound
from tests.exchange.rounds.steps import clear_round


def transfers(house: House, ending: str) -> int:
    """How many transfers in the books have a key that ends so."""
    query = text("SELECT count(*) FROM books_transfers WHERE key LIKE '%' || :ending")
    with house.services.database.snapshot() as session:
        return int(session.execute(query, {"ending": ending}).scalar_one())


def kinds(house: House) -> list[str]:
    """What the funder was told, in order."""
    return [event["type"] for event in house.events(0)]


@pytest.mark.parametrize(
    "lock",
    [
        "SELECT FROM claim FOR UPDATE",
        "LOCK TABLE books_transfers IN SHARE MODE",
        "LOCK TABLE pool_asset IN SHARE MODE",
        "LOCK TABLE pending_event IN SHARE MODE",
        "LOCK TABLE callback_outbox IN SHARE MODE",
    ],
)
def test_a_worker_killed_in_a_purchase(morning: Morning, lock: str) -> None:
    """Killed before the posting, after it, or at the very end: no money, no title and no news; then all of it."""
    house = morning.house
    morning.commit()
    with held_back(house.services, lock, morning.job("purchase", offer_id=morning.offer_id)) as (worker,):
        terminate(house.services)
        assert isinstance(worker.exception(timeout=10), OperationalError)
    assert set(claims(house).values()) == {"committed"}
    assert money(house) == (CASH - 3 * PRICE, 3 * PRICE)
    assert transfers(house, "/purchase") == 0
    sound(house)
    house.move(14, 30)
    assert set(claims(house).values()) == {"assigned"}
    assert kinds(house) == ["deposit.received", "offer.made", "purchase.settled"]
    sound(house)


@pytest.mark.parametrize(
    "lock",
    [
        "LOCK TABLE books_transfers IN SHARE MODE",
        "LOCK TABLE offer IN SHARE MODE",
        "LOCK TABLE callback_outbox IN SHARE MODE",
    ],
)
def test_a_worker_killed_while_it_offers(house: House, lock: str) -> None:
    """Pools wait for their offers: no half of one, and the next worker makes it."""
    house.deposit(0, CASH)
    house.funders[0].post("/v1/mandates", mandate())
    house.submit(invoice(house))
    with house.services.database.transaction() as session:
        clear_round(house.services, session, {"fire_at": "2026-03-02T02:00:00+00:00"})
        round_id = session.execute(text("SELECT round_id FROM clearing_round")).scalar_one()
    work = Morning(house, house.funders[0], "", []).job("offer_round", round_id=round_id)
    with held_back(house.services, lock, work) as (worker,):
        terminate(house.services)
        assert isinstance(worker.exception(timeout=10), OperationalError)
    assert house.funders[0].get("/v1/offers")["items"] == []
    assert money(house) == (CASH, 0)
    house.check()
    work()
    work()
    house.run()
    assert len(house.funders[0].get("/v1/offers")["items"]) == 1
    assert kinds(house) == ["deposit.received", "offer.made"]
    assert money(house) == (CASH - PRICE, PRICE)
    sound(house)


def test_a_purchase_happens_once(morning: Morning) -> None:
    """The same work twice, a second cut-off, the next day: one transfer, one notice."""
    house = morning.house
    morning.commit()
    morning.job("cut_off")()
    morning.job("cut_off")()
    house.run()
    for offer_id in [morning.offer_id] * 2:
        morning.job("purchase", offer_id=offer_id)()
    house.move(14, 30, days=1)
    assert transfers(house, "/purchase") == 1
    assert kinds(house).count("purchase.settled") == 1
    assert money(house) == (CASH - 3 * PRICE, 0)
    sound(house)


def test_what_is_not_committed_is_not_bought(morning: Morning) -> None:
    """The work of a purchase on an open, a refused or a lapsed offer does nothing."""
    house, work = morning.house, morning.job("purchase", offer_id=morning.offer_id)
    work()
    assert set(claims(house).values()) == {"reserved"}
    morning.bank.post(f"{morning.path}/refusal", {"reason": "no"})
    work()
    assert set(claims(house).values()) == {"free"}
    assert transfers(house, "/purchase") == 0
    sound(house)


@pytest.mark.parametrize("committed", [False, True])
def test_what_is_paid_leaves_its_offer(morning: Morning, *, committed: bool) -> None:
    """Paid in full or in part, before or after the commitment: it is not bought, and its money comes back."""
    house, (first, second, third) = morning.house, morning.asset_ids
    if committed:
        morning.commit()
    morning.pay(first)
    morning.pay(second, 1)
    if not committed:
        morning.commit()
    assert claims(house) == {first: "closed", second: "free", third: "committed"}
    assert money(house) == (CASH - 3 * PRICE, 3 * PRICE)
    sound(house)
    house.move(14, 30)
    assert claims(house) == {first: "closed", second: "free", third: "assigned"}
    assert money(house) == (CASH - PRICE, 0)
    sound(house)


def test_a_credit_note_takes_an_asset_out_of_its_offer(morning: Morning) -> None:
    """The terms of an offer never change: what shrinks leaves."""
    house, (first, *rest) = morning.house, morning.asset_ids
    note = {"asset_id": first, "number": "CN-1", "amount_minor": 1, "reason": "return", "issue_date": "2026-03-02"}
    assert house.platform.post("/v1/credit-notes", {"items": [note]})["items"][0]["status"] == 201
    assert claims(house) == {first: "free"} | dict.fromkeys(rest, "reserved")
    morning.commit()
    house.move(14, 30)
    assert money(house) == (CASH - 2 * PRICE, 0)
    sound(house)


def test_an_offer_all_of_whose_assets_are_paid(morning: Morning) -> None:
    """Committed or not, nothing is bought, nothing is posted to anybody, and the money comes back."""
    house = morning.house
    for asset_id in morning.asset_ids:
        morning.pay(asset_id)
    morning.commit()
    house.move(14, 30)
    assert money(house) == (CASH, 0)
    assert transfers(house, "/purchase") == 0
    assert "purchase.settled" not in kinds(house)
    sound(house)


def test_an_empty_offer_lapses_like_any_other(morning: Morning) -> None:
    """Nothing is left to release, but the money."""
    for asset_id in morning.asset_ids:
        morning.pay(asset_id)
    morning.house.move(14, 30)
    assert morning.state == "lapsed"
    assert money(morning.house) == (CASH, 0)
    sound(morning.house)
