"""Answers, receipts, lapses and purchases on one offer at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from exchange import http
from exchange.funding import actions
from exchange.pools.actions import release
from tests.exchange.funding.morning import CASH, PRICE, Morning
from tests.exchange.house import receipt
from tests.exchange.pools.contention import at_once, held_back, wait_for
from tests.exchange.pools.shared import twin
from tests.exchange.pools.soundness import claims, money, sound
from tests.exchange.rounds.steps import clear_round

NOW = datetime(2026, 3, 2, 2, 30, tzinfo=UTC)
OFFER = "SELECT FROM offer FOR UPDATE"
LIMITS = "SELECT FROM exposure FOR UPDATE"


def answer(morning: Morning, kind: str, body: dict[str, Any], key: str | None = None) -> Callable[[], int]:
    """A funder's program that answers; the status it gets."""
    client = twin(morning.house, morning.bank)
    return lambda: client.call("POST", f"{morning.path}/{kind}", body=body, key=key).status_code


def payment(morning: Morning, asset_id: str) -> Callable[[], Any]:
    """The bank's program, with a payment of the whole asset."""
    lines = {"items": [receipt(asset_id, 1_000_000, value_date=morning.house.today)]}
    return partial(twin(morning.house, morning.house.operator).post, "/v1/receipts", lines)


def test_two_commitments_at_once(morning: Morning) -> None:
    """Of three programs that take the offer, whole or in part, one does."""
    parts = [{}, {"asset_ids": morning.asset_ids[:1]}, {"asset_ids": morning.asset_ids[1:]}]
    statuses = at_once(morning.house.services, OFFER, *(answer(morning, "commitment", body) for body in parts))
    assert sorted(statuses) == [201, 409, 409]
    sound(morning.house)
    morning.house.move(14, 30)
    sound(morning.house)


def test_one_key_at_once(morning: Morning) -> None:
    """The same request twice at one time: one is told to wait, and gets the first answer when it asks again."""
    commit = answer(morning, "commitment", {}, "once")
    with held_back(morning.house.services, OFFER, commit) as (first,):
        assert answer(morning, "commitment", {}, "once")() == 409
        assert not first.done()
    assert first.result() == 201
    assert answer(morning, "commitment", {}, "once")() == 201
    sound(morning.house)


def test_commitment_against_refusal(morning: Morning) -> None:
    """One of them is the answer."""
    calls = answer(morning, "commitment", {}), answer(morning, "refusal", {"reason": "no"})
    statuses = at_once(morning.house.services, OFFER, *calls)
    assert sorted(statuses) == [201, 409]
    assert set(claims(morning.house).values()) == {"committed" if statuses[0] == 201 else "free"}
    sound(morning.house)


def test_a_commitment_under_way_does_not_lapse(morning: Morning) -> None:
    """The cut-off passes by an offer that is just being answered; the next one buys it."""
    house = morning.house
    with held_back(house.services, "SELECT FROM claim FOR UPDATE", answer(morning, "commitment", {})) as (commit,):
        house.operator.put("/v1/clock", {"now": "2026-03-02T05:30:00Z"})
        morning.job("cut_off")()
    assert commit.result() == 201
    sound(house)
    house.move(14, 30)
    assert set(claims(house).values()) == {"assigned"}
    sound(house)


@pytest.mark.parametrize("kind", ["commitment", "refusal"])
def test_an_answer_against_payments(morning: Morning, kind: str) -> None:
    """Whichever comes first, what is paid is not bought, and what is not is."""
    house, (first, second, third) = morning.house, morning.asset_ids
    body: dict[str, Any] = {"reason": "no"} if kind == "refusal" else {"asset_ids": [second, third]}
    calls = payment(morning, third), answer(morning, kind, body), payment(morning, first)
    at_once(house.services, "SELECT FROM claim FOR UPDATE", *calls)
    assert claims(house)[first] == claims(house)[third] == "closed"
    sound(house)
    house.move(14, 30)
    bought = claims(house)[second] == "assigned"
    assert money(house) == (CASH - PRICE * bought, 0)
    sound(house)


def test_purchases_against_payments(morning: Morning) -> None:
    """Two workers buy while the obligor pays: bought or paid first, each asset once, all money accounted for."""
    house = morning.house
    morning.commit()
    work = morning.job("purchase", offer_id=morning.offer_id)
    calls = work, payment(morning, morning.asset_ids[0]), work, payment(morning, morning.asset_ids[2])
    results = at_once(house.services, "SELECT FROM claim FOR UPDATE", *calls)
    assert not [one for one in results if isinstance(one, Exception)]
    house.run()
    states = claims(house)
    assert [states[asset_id] for asset_id in morning.asset_ids] == ["closed", "assigned", "closed"]
    sound(house)


def test_no_deadlock_of_answers_and_payments(morning: Morning, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commitment takes its claims before any limit, as payments do: neither has to be undone for the other."""
    monkeypatch.setattr(http, "RETRIES", 1)
    house, (first, second, _) = morning.house, sorted(morning.asset_ids)

    def commit_first() -> None:
        with house.services.database.transaction() as session:
            named: dict[str, Any] = {"offer_id": morning.offer_id, "funder_id": house.funder_ids[0]}
            actions.commit(session, **named, asset_ids=[second], answered_by="test", now=NOW)

    with ThreadPoolExecutor(1) as pool:
        with held_back(house.services, LIMITS, commit_first) as (commit,):
            pay = pool.submit(payment(morning, second))
            wait_for(house.services, 2)
        assert commit.exception() is None
        assert pay.result()["items"][0]["outcome"] == "allocated"
    assert claims(house)[second] == "closed"
    assert claims(house)[first] == "free"
    sound(house)


def test_an_asset_that_moved_on_stays_in_its_new_pool(morning: Morning) -> None:
    """A refusal comes while an asset leaves the offer and another round takes it: only what is still there is freed."""
    house, (first, *_) = morning.house, morning.asset_ids

    def refuse() -> None:
        morning.bank.post(f"{morning.path}/refusal", {"reason": "no"})

    with ThreadPoolExecutor(1) as pool:
        with house.services.database.transaction() as session:
            session.execute(text("SELECT FROM claim WHERE asset_id = :id FOR UPDATE"), {"id": first})
            refusal = pool.submit(refuse)
            wait_for(house.services, 1)
            release(session, asset_ids=[first], now=NOW)
            clear_round(house.services, session, {"fire_at": "2026-03-02T02:01:00+00:00"})
        assert refusal.exception() is None
    assert claims(house)[first] == "reserved"
    house.run()
    sound(house)
