"""Obligors looked at again: what is unlike before is on the work list, once, and limits follow."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from exchange.reviews import rules
from exchange.reviews.rules import Order, Policy
from tests.exchange.facts.bodies import CREDIT, TOLD
from tests.exchange.house import House, receivable
from tests.exchange.premises import premises
from tests.exchange.reviews.test_screening import platform, reviews, tell

START = date(2026, 3, 2)
POLICY = Policy()


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house in which reviews fall due by themselves."""
    with premises(server_url, tmp_path_factory.mktemp("home")) as house:
        house.only("reviews")
        yield house


def order(day: int, amount_minor: int = 1_000_000, quantity_kg: int | None = 1_000) -> Order:
    """An order of plastics."""
    return Order(f"fct-{day:04}-{amount_minor}", day, "CNY", amount_minor, quantity_kg, "PP")


def test_an_order_unlike_the_others_names_its_feature() -> None:
    """Ten times the usual quantity at the usual price: it is the amount or the quantity, not the price."""
    usual = [order(day, 1_000_000 + day * 1_000, 1_000 + day) for day in range(0, 100, 10)]
    odd = order(100, 12_000_000, 12_000)
    found = rules.odd_orders([*usual, odd], since_day=95, policy=POLICY)
    assert [(one.fact_id, evidence["feature"] in {"amount", "quantity"}) for one, evidence in found] == [
        (odd.fact_id, True)
    ]
    small = order(100, 1_050_000, 400)
    assert rules.odd_orders([*usual, small], since_day=95, policy=POLICY)[0][1]["feature"] in {"price", "quantity"}
    assert rules.odd_orders([*usual, order(100, 1_050_000, 1_050)], since_day=95, policy=POLICY) == []


@given(st.lists(st.integers(0, 400), max_size=30), st.integers(1, 10**9))
def test_few_orders_and_equal_ones_are_never_odd(days: list[int], amount_minor: int) -> None:
    """Too little to compare with, or nothing but the same at any pace: amount, quantity and price are never named."""
    found = rules.odd_orders([order(day, amount_minor) for day in days], since_day=0, policy=POLICY)
    assert {evidence["feature"] for _, evidence in found} <= {"days_between"}
    assert rules.odd_orders([order(day) for day in days[:8]], since_day=0, policy=POLICY) == []


@pytest.mark.parametrize(("price_minor", "off"), [(1_000_000, None), (1_249_999, None), (1_250_000, -2_000),
                                                  (800_000, 2_500)])  # fmt: skip
def test_off_the_market(price_minor: int, off: int | None) -> None:
    """From a fifth above or below the price of a ton."""
    assert rules.off_market(order(1), price_minor=price_minor, policy=POLICY) == off
    assert rules.off_market(order(1, quantity_kg=None), price_minor=price_minor, policy=POLICY) is None


def test_reports_that_got_worse_are_noted_once(house: House) -> None:
    """More overdue, a lower score: by member with both values; as soon as it is told; a better one is nothing."""
    company = platform("w-report")
    tell(house, "registrations", company=company, name="W", status="active")
    for day, changes in (("2026-01-01", {}), ("2026-02-01", {"overdue_minor": 900, "score": 500})):
        tell(house, "reports", **TOLD | CREDIT | {"company": company, "effective_date": day} | changes)
    house.run()
    found = reviews(house, kind="report_changed")
    assert [item["evidence"]["worse"] for item in found] == [{"overdue_minor": [100, 900], "score": [600, 500]}]
    tell(house, "reports", **TOLD | CREDIT | {"company": company})
    house.run()
    assert len(reviews(house, kind="report_changed")) == 1


def test_orders_against_history_and_market(house: House) -> None:
    """Told over HTTP: the odd one is on the list with its feature, the dear one with its distance to the market."""
    company, seller = platform("w-orders"), platform("w-seller")
    for one in (company, seller):
        tell(house, "registrations", company=one, name="W", status="active")
    tell(house, "prices", series="PP-W", currency="CNY", price_minor=1_000_000, effective_date="2025-12-01")
    goods = {"company": company, "counterparty": seller, "currency": "CNY", "material": "PP-W"}
    for number in range(10):
        day = (START - timedelta(days=100 - 10 * number)).isoformat()
        amounts = {"amount_minor": 1_000_000 + number, "quantity_kg": 1_000}
        tell(house, "orders", **goods, number=f"W-{number}", effective_date=day, **amounts)
    tell(house, "orders", **goods, number="W-ODD", amount_minor=1_900_000, quantity_kg=1_000)
    house.run()
    odd, dear = reviews(house, kind="order_anomaly"), reviews(house, kind="price_anomaly")
    assert [item["evidence"]["feature"] for item in odd] == ["price"] or odd[0]["evidence"]["feature"] == "amount"
    assert [item["evidence"]["off_bps"] for item in dear] == [9_000]


def test_a_grade_that_falls_takes_the_limit_with_it(house: House) -> None:
    """Paid late ever since: looked at on Monday, the grade is worse, a person is told, and the limit is down."""
    name = "w-grade"
    house.submit(receivable("W-LIVE", obligor=platform(name), due_date="2026-08-01"))
    house.move(9, 30, days=(7 - house.today.weekday()) % 7)
    before = limit(house, name)
    late = [past(name, number) for number in range(40)]
    assert {one["status"] for one in house.platform.post("/v1/trade-history", {"items": late})["items"]} == {201}
    house.move(9, 30, days=7)
    found = reviews(house, kind="grade_moved")
    assert found
    assert found[-1]["evidence"]["to"] > found[-1]["evidence"]["from"]
    assert limit(house, name) < before


def past(name: str, number: int) -> dict[str, Any]:
    """An invoice that was settled sixty days late."""
    issued = date(2025, 1, 6) + timedelta(days=5 * number)
    return {
        "invoice_number": f"PAST-{name}-{number}",
        "seller": platform("seller-1"),
        "obligor": platform(name),
        "currency": "CNY",
        "face_minor": 100,
        "issue_date": issued.isoformat(),
        "due_date": (issued + timedelta(days=30)).isoformat(),
        "settled_date": (issued + timedelta(days=90)).isoformat(),
    }


def limit(house: House, name: str) -> int:
    """An obligor's limit."""
    query = text("SELECT limit_minor FROM exposure JOIN company ON number = obligor WHERE value = :name")
    with house.services.database.transaction() as session:
        return int(session.execute(query, {"name": name}).scalar_one())


def test_many_invoices_in_a_week(house: House) -> None:
    """Six in a week where there was none: noted once a week."""
    day = house.today.isoformat()
    many = [receivable(f"FAST-{n}", obligor=platform("w-fast"), issue_date=day, due_date="2026-08-01",
                       confirmation={"grade": "explicit", "confirmed_date": day}) for n in range(6)]  # fmt: skip
    house.submit(*many)
    house.move(9, 30, days=7 - house.today.weekday())
    assert len(reviews(house, kind="velocity")) <= 1
    with house.services.database.transaction() as session:
        assert session.execute(text("SELECT count(*) FROM obligor_rating")).scalar_one() > 0
