"""Limits in abeyance: suspended by a default or a person, lifted by a cure or by people, never used in between."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange import jobs
from exchange.auth import Role
from exchange.funding import jobs as funding
from exchange.risk import limits, suspensions
from exchange.risk.suspensions import Cause
from tests.exchange.house import House, enter_client, mandate
from tests.exchange.servicing.test_close_of_business import due_in
from tests.exchange.settlement.book import FACE_MINOR, asset, dated, fresh, pay, rows

COMPANY = """
    SELECT company.company_id, company.number FROM receivable JOIN company ON company.company_id = obligor_id
    WHERE asset_id = :id
"""


def owes(house: House, asset_id: str) -> tuple[str, int]:
    """The obligor of an asset: its id, and its number in the ledger of limits."""
    (row,) = rows(house, COMPANY, id=asset_id)
    return row[0], row[1]


def standing(house: House, company_id: str, **query: object) -> list[dict[str, Any]]:
    """The suspensions of an obligor."""
    more = "".join(f"&{name}={value}" for name, value in query.items())
    items: list[dict[str, Any]] = house.operator.get(f"/v1/limit-suspensions?obligor_id={company_id}{more}")["items"]
    return items


def room(house: House, number: int) -> int:
    """What the obligor's limit leaves free."""
    with house.services.database.transaction() as session:
        locked = limits.lock_room(session, lines=[(number, "CNY")])[number, "CNY"]
        assert locked == limits.room_of(session, line=(number, "CNY"))
        return locked


def test_a_default_suspends_and_a_cure_lifts(market: House) -> None:
    """From the day of the default on nothing is free of the limit; the evening it is paid, all is as before."""
    market.move(9, days=1)
    (asset_id,) = market.submit(due_in(market, -92))
    company_id, number = owes(market, asset_id)
    before = room(market, number)
    assert before > 0
    market.move(22, days=1)
    began = market.today
    (suspension,) = standing(market, company_id)
    assert (suspension["cause"], suspension["reason"], suspension["asset_id"]) == ("stage", "default", asset_id)
    assert (suspension["suspended_on"], suspension["lifting"]) == (began.isoformat(), "cure")
    assert room(market, number) == 0
    market.move(22, days=30)
    assert len(standing(market, company_id)) == 1, "a charge-off suspends nothing again"
    pay(market, (asset_id, FACE_MINOR))
    market.move(22, days=1)
    (lifted,) = standing(market, company_id)
    assert (lifted["lifted_on"], lifted["lift_reason"], lifted["lifted_by"]) == (
        market.today.isoformat(),
        "cured",
        None,
    )
    assert room(market, number) == before
    for day, count in ((began - timedelta(days=1), 0), (began, 1), (market.today, 0)):
        assert len(standing(market, company_id, at=day)) == count


def test_by_hand_and_with_two_people(market: House) -> None:
    """A person suspends and lifts. Where the policy wants two, one asks and only another lifts."""
    market.move(9, days=1)
    terms = {"grace_days": 3, "lifting": {"by": "person", "second_person": True}}
    policy = {
        "product": "working_capital",
        "effective_from": (market.today + timedelta(days=1)).isoformat(),
        "terms": terms,
    }
    market.operator.put("/v1/servicing-policies", policy)
    (asset_id,) = market.submit(due_in(market, -91) | {"product": "working_capital"})
    company_id, number = owes(market, asset_id)
    by_hand = market.operator.post("/v1/limit-suspensions", {"obligor_id": company_id, "reason": "rumours"})
    assert (by_hand["cause"], by_hand["suspended_on"]) == ("person", market.today.isoformat())
    assert room(market, number) == 0
    path = f"/v1/limit-suspensions/{by_hand['suspension_id']}/lifting"
    assert market.operator.post(path, {"reason": "all well"})["lifted_on"] == market.today.isoformat()
    assert market.operator.refused("POST", path, {"reason": "again"})["code"] == "already_lifted"
    assert room(market, number) > 0
    market.move(22, days=2)
    (suspension,) = [one for one in standing(market, company_id) if one["cause"] == "stage"]
    path = f"/v1/limit-suspensions/{suspension['suspension_id']}/lifting"
    pay(market, (asset_id, FACE_MINOR))
    market.move(22, days=1)
    assert room(market, number) == 0, "a cure does not lift what people have to"
    assert market.operator.post(path, {"reason": "paid"})["lifted_on"] is None
    assert market.operator.refused("POST", path, {"reason": "paid"})["code"] == "second_person_needed"
    second = enter_client(market.services, market.app, role=Role.OPERATOR, name="second")
    shown = second.post(path, {"reason": "paid indeed"})
    assert (shown["lifted_by"], shown["asked_by"]) == (second.client_id, market.operator.client_id)
    assert room(market, number) > 0
    for bad in ("com_01h455vb4pex5vsknk084sn02q",):
        body = {"obligor_id": bad, "reason": "?"}
        assert market.operator.refused("POST", "/v1/limit-suspensions", body)["code"] == "not_found"
    nowhere = "/v1/limit-suspensions/sus_01h455vb4pex5vsknk084sn02q/lifting"
    assert market.operator.refused("POST", nowhere, {"reason": "?"})["code"] == "not_found"


def test_those_under_the_same_control(market: House) -> None:
    """A policy that says so suspends the limits of the controller's other companies with the same cause."""
    market.move(9, days=1)
    terms = {"grace_days": 3, "suspends_group": True, "suspends_at": "late_1"}
    policy = {
        "product": "equipment_lease",
        "effective_from": (market.today + timedelta(days=1)).isoformat(),
        "terms": terms,
    }
    market.operator.put("/v1/servicing-policies", policy)
    person = {"controller": {"national_id": "110101199003078574"}}
    own, sister = (due_in(market, days) | {"product": "equipment_lease"} for days in (-2, 200))
    own["obligor"] |= person
    sister["obligor"] |= person
    late, fine = market.submit(own, sister)
    market.move(22, days=2)
    causes = [standing(market, owes(market, one)[0])[0] for one in (late, fine)]
    assert [(one["cause"], one["asset_id"]) for one in causes] == [("stage", late), ("group", late)]
    pay(market, (late, FACE_MINOR))
    market.move(22, days=1)
    assert [one["lift_reason"] for one in (standing(market, owes(market, one)[0])[0] for one in (late, fine))] == [
        "cured"
    ] * 2


@pytest.fixture(scope="module")
def offered(market: House) -> list[str]:
    """Assets of different obligors in one committed offer, not bought yet."""
    market.move(9, days=1)
    market.deposit(0, 10**9)
    terms = {"name": "suspended", "min_tenor_days": 91, "max_tenor_days": 91, "auto_commit": True}
    market.funders[0].post("/v1/mandates", mandate(**terms))
    asset_ids = market.submit(*(fresh() | dated(market, days=91) for _ in range(3)))
    market.move(10, 30)
    assert {asset(market, one)["claim"] for one in asset_ids} == {"committed"}
    return asset_ids


def test_what_is_suspended_is_not_bought(market: House, offered: list[str]) -> None:
    """Suspended between answer and purchase: by the job that takes it out of the offer, or by the purchase itself."""
    first, second, _ = offered
    for one in (first, second):
        market.operator.post("/v1/limit-suspensions", {"obligor_id": owes(market, one)[0], "reason": "fire"})
    with market.services.database.transaction() as session:
        jobs.enqueue(session, job="servicing.leave_offers", payload={"obligors": [owes(market, first)[1]]})
    market.run()
    assert [asset(market, one)["claim"] for one in offered] == ["free", "committed", "committed"]
    market.move(14, 30)
    assert [asset(market, one)["claim"] for one in offered] == ["free", "free", "assigned"]
    market.move(10, 30, days=1)
    assert [asset(market, one)["claim"] for one in offered] == ["free", "free", "assigned"], "nor offered again"
    market.check()


steps = st.lists(st.sampled_from(["suspend", "lift", "reserve", "give"]), min_size=1, max_size=6)


@settings(max_examples=12)
@given(st.lists(steps, min_size=2, max_size=3))
def test_no_interleaving_uses_a_suspended_limit(market: House, scripts: list[list[str]]) -> None:
    """Threads suspend, lift and reserve as they like: whoever reserves holds the lock of whoever suspends."""
    number = owes(market, market.submit(due_in(market, 150))[0])[1]
    line, database = (number, "CNY"), market.services.database
    barrier = Barrier(len(scripts))

    def live(place: int) -> None:
        mine: list[str] = []
        barrier.wait()
        for turn, step in enumerate(scripts[place]):
            with database.transaction() as session:
                now = market.services.clock.now(session)
                if step == "suspend":
                    by = market.operator.client_id
                    cause = Cause(number, "person", f"{place}-{turn}", market.today, by=by)
                    mine += suspensions.suspend(session, services=market.services, causes=[cause], now=now)
                elif step == "lift" and mine:
                    suspensions.lift(
                        session,
                        suspension_id=mine.pop(),
                        client_id=market.operator.client_id,
                        reason="-",
                        today=market.today,
                        now=now,
                    )
                elif step == "reserve" and limits.lock_room(session, lines=[line])[line] >= 1:
                    assert not suspensions.suspended(session, obligors=[number])
                    limits.use_room(session, amounts={line: 1}, cause="reserved", now=now)
                elif step == "give":
                    limits.use_room(session, amounts={line: 0}, cause="released", now=now)

    with ThreadPoolExecutor(len(scripts)) as threads:
        list(threads.map(live, range(len(scripts))))
    left = rows(market, "SELECT count(*) FROM limit_suspension WHERE obligor = :n AND lifted_on IS NULL", n=number)[0][
        0
    ]
    assert (room(market, number) == 0) == (left > 0)


def test_the_purchase_waits_for_a_suspension(market: House, offered: list[str]) -> None:
    """A suspension that is about to commit is waited for: the purchase sees it."""
    assert funding.purchase is not None
    number = owes(market, offered[2])[1]
    with market.services.database.transaction() as session:
        now = market.services.clock.now(session)
        cause = Cause(number, "person", "late", market.today, by=market.operator.client_id)
        suspensions.suspend(session, services=market.services, causes=[cause], now=now)
        with ThreadPoolExecutor(1) as other:
            waiting = other.submit(room, market, number)
            assert not waiting.done()
            session.commit()
            assert waiting.result() == 0
