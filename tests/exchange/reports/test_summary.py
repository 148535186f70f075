"""The summary against a book small enough to work out on paper."""

from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any

from exchange.risk.facts import day_number
from exchange.servicing.actions import close_assets
from tests.exchange.house import House, calendar_date, mandate, receipt
from tests.exchange.settlement.book import (
    DISCOUNT_MINOR,
    FACE_MINOR,
    PRICE_MINOR,
    credit,
    dated,
    fresh,
    note,
    own_house,
    rows,
)

DUE_MINOR = PRICE_MINOR + DISCOUNT_MINOR
NEXT_DAY_DISCOUNT_MINOR = 150
"""One day at 6 % a year on an advance of 900,000."""
KEY_RECORDS = 6
"""The log begins with the lives of its keys: of records and of checkpoints two introduced, and one in force."""


def test_an_empty_exchange(server_url: str, tmp_path: Path) -> None:
    """Before anything happened there are zeros and no rates, and nothing to divide by."""
    with own_house(server_url, tmp_path, funders=0) as house:
        summary = house.operator.get("/v1/summary")
        assert summary == {
            "assets": {"submitted": 0, "confirmed": 0, "financed": 0},
            "grades": {},
            "volume": {},
            "financed_share_bps": {},
            "yields": {},
            "lateness": {"settled": 0, "late": 0, "late_30": 0, "days_late_sum": 0, "overdue_now": 0},
            "losses": {},
            "dilution": {},
            "unapplied": {},
            "calibration": {
                "matured": 0,
                "events": 0,
                "predicted_events_milli": 0,
                "auc_bps": None,
                "ece_ppm": None,
                "bins": [],
            },
            "callbacks": {"published": 0, "delivered": 0, "failing": 0},
            "log": {"size": KEY_RECORDS, "root": summary["log"]["root"]},
        }
        assert house.platform.refused("GET", "/v1/summary")["status"] == 403


def test_a_small_book(house: House) -> None:
    """One asset paid on time, one 35 days late, one diluted, defaulted, charged off and half recovered; and others."""
    day = house.today
    on_time, late, lost = _bought(house, 60, 60, 1)
    _others(house)
    credit(house, note(lost, 200_000, on=day))
    house.move(22, 30, days=125)
    _paid(house, on_time, FACE_MINOR, day + timedelta(days=30))
    _paid(house, late, FACE_MINOR, day + timedelta(days=60 + 35))
    _paid(house, lost, 300_000, house.today)
    _paid(house, "nobody", 777, house.today)
    house.run()
    house.check()
    found = house.operator.get("/v1/summary")

    _check_volumes(found)
    # 18,000 on 891,000 for 30 and for 95 days: 18,000 x 360 / 111,375,000 = 5.81 % a year.
    assert found["yields"] == {"CNY": {"income_minor": 2 * DISCOUNT_MINOR, "annualised_bps": 581}}
    assert found["lateness"] == {"settled": 2, "late": 1, "late_30": 1, "days_late_sum": 35, "overdue_now": 1}
    assert found["losses"] == {
        "CNY": {
            "defaulted": 1,
            "defaulted_minor": 800_000,
            "charged_off_minor": 800_000,
            "recovered_minor": 300_000,
            "funder_loss_minor": DUE_MINOR - 100_000 - 300_000,
        }
    }
    assert found["dilution"] == {"CNY": {"credit_notes": 1, "diluted_minor": 200_000, "owed_by_sellers_minor": 0}}
    assert found["unapplied"] == {"CNY": {"receipts": 1, "amount_minor": 777}}
    published = len(house.events(0)) + len(house.events(0, settlements=True))
    assert found["callbacks"] == {"published": published, "delivered": 0, "failing": 0}
    assert found["log"]["size"] == rows(house, "SELECT count(*) FROM asset_event")[0][0]
    assert found["calibration"] == _calibration_by_hand(house, {on_time: False, late: True, lost: True})


def _check_volumes(found: dict[str, Any]) -> None:
    """Counts and amounts of the small book, by hand."""
    assert found["assets"] == {"submitted": 6, "confirmed": 4, "financed": 3}
    assert sum(found["grades"].values()) == 4
    price = 2 * PRICE_MINOR + DUE_MINOR - NEXT_DAY_DISCOUNT_MINOR
    assert found["volume"] == {
        "CNY": {
            "submitted": 5,
            "submitted_minor": 5 * FACE_MINOR,
            "confirmed": 3,
            "confirmed_minor": 3 * FACE_MINOR,
            "financed": 3,
            "financed_minor": 3 * FACE_MINOR,
            "price_minor": price,
        },
        "USD": {
            "submitted": 1,
            "submitted_minor": FACE_MINOR,
            "confirmed": 1,
            "confirmed_minor": FACE_MINOR,
            "financed": 0,
            "financed_minor": 0,
            "price_minor": 0,
        },
    }
    assert found["financed_share_bps"] == {"CNY": 10_000, "USD": 0}


def _bought(house: House, *tenors: int) -> list[str]:
    house.deposit(0, 10**9)
    house.funders[0].post("/v1/mandates", mandate(advance_bps=9_000, auto_commit=True))
    asset_ids = house.submit(*(fresh() | dated(house, days=days) for days in tenors))
    house.move(10, 30)
    house.move(14, 30)
    return asset_ids


def _others(house: House) -> None:
    """Refused, unanswered, and in a currency nobody buys, due far away."""
    refused, _, _ = house.submit(
        fresh(confirmation=None), fresh(confirmation=None), fresh(currency="USD") | dated(house, days=300)
    )
    answer = {"asset_id": refused, "outcome": "refused", "grade": "explicit", "reason": "no"}
    answer["confirmed_date"] = house.today.isoformat()
    house.platform.post("/v1/confirmations", {"items": [answer]})


def _paid(house: House, reference: str, amount_minor: int, on: date) -> None:
    house.operator.post("/v1/receipts", {"items": [receipt(reference, amount_minor, value_date=on)]})


def _calibration_by_hand(house: House, outcomes: dict[str, bool]) -> dict[str, Any]:
    """Three assets of known outcome: pairs for the ranking, one bin for each asset."""
    judged = [(house.operator.get(f"/v1/assets/{one}")["pd_ppm"], bad) for one, bad in sorted(outcomes.items())]
    goods, bads = [pd for pd, bad in judged if not bad], [pd for pd, bad in judged if bad]
    wins = sum(2 * (bad > good) + (bad == good) for good, bad in product(goods, bads))
    judged.sort(key=lambda one: one[0])
    gaps = sum(abs(pd - 1_000_000 * bad) for pd, bad in judged)
    return {
        "matured": 3,
        "events": 2,
        "predicted_events_milli": sum(pd for pd, _ in judged) // 1000,
        "auc_bps": round(10_000 * wins / (2 * len(goods) * len(bads))),
        "ece_ppm": round(gaps / 3),
        "bins": [{"predicted_ppm": pd, "observed_ppm": 1_000_000 * bad, "assets": 1} for pd, bad in judged],
    }


def test_a_debt_of_a_seller_is_not_a_recovery(house: House) -> None:
    """A credit note after the charge-off is no money: what was recovered is what was paid."""
    (lost,) = _bought(house, 1)
    with house.services.database.transaction() as session:
        now, charged_off_on = house.services.clock.now(session), house.today + timedelta(days=1 + 123)
        services = house.services
        close_assets(session, services=services, asset_ids=[lost], business_date=charged_off_on, now=now)
    house.move(9, days=1)
    _paid(house, lost, 10_000, house.today)
    house.move(9, days=1)
    credit(house, note(lost, 400_000, on=house.today))
    found = house.operator.get("/v1/summary")
    assert found["losses"]["CNY"]["charged_off_minor"] == FACE_MINOR
    assert found["losses"]["CNY"]["recovered_minor"] == 10_000
    paid = 300_000  # of the shortfall, by the seller: the holdback bears the first 100,000
    assert found["losses"]["CNY"]["funder_loss_minor"] == DUE_MINOR - 10_000 - paid
    assert found["dilution"]["CNY"]["diluted_minor"] == 400_000


def test_lateness_counts_from_the_due_date(house: House) -> None:
    """Paid on the due day is on time, a day later is late; thirty days is late, thirty-one is late_30."""
    delays = (0, 1, 30, 31)
    asset_ids = house.submit(*(fresh() | dated(house, days=1) for _ in delays), fresh() | dated(house, days=33))
    due = day_number(house.today) + 1
    house.move(9, days=33)
    for asset_id, days in zip(asset_ids[:-1], delays, strict=True):
        _paid(house, asset_id, FACE_MINOR, calendar_date(due + days))
    found = house.operator.get("/v1/summary")
    assert found["lateness"] == {"settled": 4, "late": 3, "late_30": 1, "days_late_sum": 62, "overdue_now": 0}
    assert (found["calibration"]["matured"], found["calibration"]["events"]) == (4, 1)
    house.move(9, days=1)
    assert house.operator.get("/v1/summary")["lateness"]["overdue_now"] == 1
    assert found["yields"] == {}
