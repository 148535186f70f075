"""What the books do is told to the cent, answered by the funder, and closed every night in the same bytes."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from exchange.callbacks import days
from exchange.conventions import repr_digest
from tests.exchange.house import House, mandate, receipt, receivable
from tests.exchange.settlement.book import own_house

BOOKED = text("""
    SELECT path, commodity, balance_minor FROM books_accounts JOIN books_balances USING (account_id)
    WHERE path LIKE 'funder/' || :funder || '/%' AND balance_minor <> 0
""")


@pytest.fixture(scope="module")
def market(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two funders with money, of whom one buys three assets: what is paid on them, each test says."""
    with own_house(server_url, tmp_path_factory.mktemp("settled"), funders=2) as house:
        house.only("funding", "pools", "rounds", "callbacks")
        for funder in (0, 1):
            house.deposit(funder, 50_000_000)
        house.funders[0].post("/v1/mandates", mandate(advance_bps=9_000))
        house.submit(*(receivable(f"INV-{number}") for number in range(3)))
        house.move(10, 30)
        for offer in house.funders[0].get("/v1/offers?state=open")["items"]:
            house.funders[0].post(f"/v1/offers/{offer['offer_id']}/commitment", {})
        house.move(14, 30)
        yield house


def assets(house: House) -> list[str]:
    """What the first funder holds."""
    return [one["asset_id"] for one in house.funders[0].get("/v1/assets")["items"]]


def settled(house: House, funder: int = 0) -> list[dict[str, Any]]:
    """A funder's settlement events but for closed days."""
    return [one for one in house.events(funder, settlements=True) if one["type"] != "settlement.day_closed"]


def said(house: House, funder: int = 0) -> Counter[str]:
    """What the events of a funder come to, by account; titles are one."""
    sums: Counter[str] = Counter()
    for event in settled(house, funder):
        for account, amount_minor in days._amounts(event["data"]):
            sums[account] += amount_minor
    return Counter({account: minor for account, minor in sums.items() if minor})


def booked(house: House, funder: int = 0) -> Counter[str]:
    """What the books have on a funder's accounts."""
    sums: Counter[str] = Counter()
    with house.services.database.transaction() as session:
        for path, unit, minor in session.execute(BOOKED, {"funder": house.funder_ids[funder]}):
            account = path.split("/", 2)[2]
            sums["title title" if account == "title" else f"{account} {unit}"] += minor
    return sums


def test_each_step_is_told_with_amounts_references_and_its_place_in_the_log(market: House) -> None:
    """Deposit, reservation, purchase, collection: type, legs with running balances, transfer, ids, log index."""
    asset_id = assets(market)[0]
    line = receipt(asset_id, 400_000, value_date=market.today)
    (entered,) = market.operator.post("/v1/receipts", {"items": [line]})["items"]
    market.run()
    events = settled(market)
    assert [one["type"].removeprefix("settlement.") for one in events] == [
        "deposited", "reserved", "purchased", "collected",
    ]  # fmt: skip
    purchased, collected = (one["data"] for one in events[-2:])
    assert events[-2]["log_index"] is not None
    assert purchased["title"] == {"amount_minor": 3_000_000, "moves": 3}
    spent = sum(leg["amount_minor"] for leg in purchased["legs"] if leg["commodity"] == "CNY/2")
    assert purchased["seller_minor"] == -spent
    assert collected["asset_id"] == asset_id
    assert collected["receipt_id"] == entered["receipt_id"]
    assert collected["transfer"] == f"{entered['receipt_id']}/receipt"
    records = market.funders[0].get(f"/v1/assets/{asset_id}/records")["items"]
    assert events[-1]["log_index"] == records[-1]["log_index"]
    balances: dict[tuple[str, str], int] = {}
    for event in events:
        for leg in event["data"]["legs"]:
            place = (leg["account"], leg["commodity"])
            balances[place] = balances.get(place, 0) + leg["amount_minor"]
            assert balances[place] == leg["balance_minor"]


def test_events_sum_to_the_books(market: House) -> None:
    """Credit notes, payments in part and in full, of one asset or another: the events are the journal, to the cent."""
    first, second, third = assets(market)
    day = market.today.isoformat()
    note = {"asset_id": second, "number": "CN-1", "amount_minor": 150_000, "reason": "return", "issue_date": day}
    market.platform.post("/v1/credit-notes", {"items": [note]})
    for asset_id, amount_minor in ((third, 1_000_000), (first, 250_000), (second, 333_333)):
        line = receipt(asset_id, amount_minor, value_date=market.today)
        market.operator.post("/v1/receipts", {"items": [line]})
        market.run()
        assert said(market) == booked(market)
    assert said(market, 1) == booked(market, 1)
    kinds = {one["type"] for one in settled(market)}
    assert {"settlement.diluted", "settlement.collected"} <= kinds
    market.check()


def test_a_funder_acknowledges_and_disputes(market: House) -> None:
    """One word an event, idempotent; a dispute may be acknowledged later; what is open or disputed is operations'."""
    bank, other = market.funders
    sequences = [one["sequence"] for one in bank.get("/v1/settlements?state=open")["items"]]
    assert sequences == [one["sequence"] for one in settled(market)]
    first, second, *rest = sequences
    answers = [
        {"sequence": first, "answer": "acknowledged"},
        {"sequence": second, "answer": "disputed", "reason": "one cent short"},
        {"sequence": 10**9, "answer": "acknowledged"},
        {"sequence": rest[0], "answer": "disputed"},
        {"sequence": first, "answer": "acknowledged"},
    ]
    got = bank.post("/v1/settlement-answers", {"items": answers})["items"]
    assert [one["status"] for one in got] == [201, 201, 404, 422, 201]
    changed = [{"sequence": first, "answer": "disputed", "reason": "after all"}]
    assert bank.post("/v1/settlement-answers", {"items": changed})["items"][0]["status"] == 409
    assert [one["sequence"] for one in bank.get("/v1/settlements?state=open")["items"]] == rest
    stranger = other.post("/v1/settlement-answers", {"items": [{"sequence": first + 10, "answer": "acknowledged"}]})
    assert stranger["items"][0]["status"] == 404
    waiting = market.operator.get("/v1/unacknowledged-settlements?days=3&limit=1")
    assert [(one["sequence"], one["answer"], one["reason"]) for one in waiting["items"]] == [
        (second, "disputed", "one cent short")
    ]
    assert market.operator.get(f"/v1/unacknowledged-settlements?days=3&after={waiting['next']}")["items"] == []
    market.move(9, days=4)
    late = market.operator.get("/v1/unacknowledged-settlements?days=3")["items"]
    assert {one["sequence"] for one in late if one["funder_id"] == market.funder_ids[0]} == {second, *rest}
    assert late[0]["age_days"] == 4
    agreed = [{"sequence": second, "answer": "acknowledged"}]
    assert bank.post("/v1/settlement-answers", {"items": agreed})["items"][0]["status"] == 201
    assert second not in {one["sequence"] for one in market.operator.get("/v1/unacknowledged-settlements")["items"]}


def test_a_day_is_closed_once_and_for_ever(market: House) -> None:
    """The file of a past day: opening, each event, closing; its digests were told; any time the same bytes."""
    bank = market.funders[0]
    market.move(9, days=1)
    market.move(9, days=1)
    closed = [one for one in market.events(0, settlements=True) if one["type"] == "settlement.day_closed"]
    told = closed[0]["data"]
    path = f"/v1/settlement-days/{told['business_date']}"
    answer = bank.call("GET", path)
    content = answer.get_data()
    assert hashlib.sha256(content).hexdigest() == told["digest"]
    assert answer.headers["Repr-Digest"] == repr_digest(hashlib.sha256(content).digest())
    assert hashlib.sha256(bank.call("GET", f"{path}/csv").get_data()).hexdigest() == told["csv_digest"]
    opening, *events, closing = map(json.loads, content.splitlines())
    assert opening["positions"] == {}
    assert len(events) == told["events"] == closing["events"]
    assert (events[0]["sequence"], events[-1]["sequence"]) == (told["first_sequence"], told["last_sequence"])
    pushed = {one["sequence"]: one for one in settled(market)}
    assert all(pushed[one["sequence"]].items() <= one.items() for one in events)
    assert Counter(closing["positions"]) == booked(market)
    quiet = json.loads(
        bank.call("GET", f"/v1/settlement-days/{market.today.replace(day=1)}").get_data().splitlines()[0]
    )
    assert quiet["positions"] == {}
    market.deposit(0, 77)
    market.run()
    assert bank.call("GET", path).get_data() == content
    assert bank.refused("GET", f"/v1/settlement-days/{market.today}")["code"] == "day_open"
    assert bank.refused("GET", "/v1/settlement-days/2026-13-01")["code"] == "not_found"
    assert market.funders[1].call("GET", path).get_data() != content


def test_a_late_day_waits_and_then_counts_for_the_next(market: House) -> None:
    """While something of a day is not in the stream the day stays open; what is told after it belongs to the next."""
    services, funder_id = market.services, market.funder_ids[1]
    day = market.today
    market.deposit(1, 5)  # in the books, not in the stream
    with services.database.transaction() as session:
        now = services.clock.now(session)
        assert not days.close(session, services=services, funder_id=funder_id, until=day, now=now)
        assert days.close(session, services=services, funder_id=funder_id, until=day.replace(day=day.day - 1), now=now)
    market.run()
    with services.database.transaction() as session:
        assert days.close(session, services=services, funder_id=funder_id, until=day, now=now)
    market.deposit(1, 6)
    market.run()
    last = market.funders[1].get("/v1/settlements?limit=1000")["items"][-1]
    assert last["business_date"] > day.isoformat()
    assert said(market, 1) == booked(market, 1)
