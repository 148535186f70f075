"""What becomes known later: the same facts stand in the end, what stood before is withdrawn by name, all is told."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.exchange.house import House, receipt
from tests.exchange.settlement.book import FACE_MINOR, asset, buy, fresh, pay, rows

STANDING = """
    SELECT business_date, kind, days_past_due, outstanding_minor, revision
    FROM servicing_fact LEFT JOIN servicing_withdrawal AS untrue USING (asset_id, business_date, kind, revision)
    WHERE asset_id = :id AND kind NOT LIKE 'reminder%' AND untrue.asset_id IS NULL ORDER BY business_date, kind
"""


def standing(house: House, asset_id: str) -> list[tuple[int, str, int, int]]:
    """The facts of an asset that stand, by days after its due date."""
    due = date.fromisoformat(asset(house, asset_id)["due_date"])
    return [((row[0] - due).days, *row[1:4]) for row in rows(house, STANDING, id=asset_id)]


def late_told(house: House, asset_id: str) -> list[tuple[str, str]]:
    """What a funder was told of an asset's stages, and of what was withdrawn."""
    names = ("asset.late", "asset.near_breach", "asset.defaulted", "asset.cured", "asset.tag_withdrawn")
    return [
        (event["type"], event["data"].get("stage") or event["data"]["tag"])
        for event in house.events(0)
        if event["type"] in names and event["data"]["asset_id"] == asset_id
    ]


def enter(house: House, asset_id: str, amount_minor: int, *, on: date) -> None:
    """Enter a payment with the value date the bank says."""
    line = receipt(asset_id, amount_minor, value_date=on)
    assert house.operator.post("/v1/receipts", {"items": [line]})["items"][0]["outcome"] == "allocated"


def test_payments_known_late_leave_the_facts_of_payments_on_time(market: House) -> None:
    """Two assets, the same payments; of one the bank tells a month later. The same facts stand in the end."""
    on_time, late = buy(market, fresh(), fresh(), days=2)
    due = market.today + timedelta(days=2)
    market.move(22, days=2)
    for days, amount in ((10, 400_000), (25, 600_000)):
        market.move(9, days=(due + timedelta(days=days) - market.today).days)
        enter(market, on_time, amount, on=market.today)
        market.move(22)
    market.move(22, days=5)
    assert standing(market, late) == [(4, "late_1", 4, FACE_MINOR), (19, "late_16", 19, FACE_MINOR)]
    for days, amount in ((25, 600_000), (10, 400_000)):
        enter(market, late, amount, on=due + timedelta(days=days))
    market.move(22, days=1)
    expected = [(4, "late_1", 4, FACE_MINOR), (19, "late_16", 19, 600_000), (25, "cured", 0, 0)]
    assert standing(market, late) == standing(market, on_time) == expected
    assert late_told(market, on_time) == [("asset.late", "late_1"), ("asset.late", "late_16"), ("asset.cured", "cured")]
    assert late_told(market, late)[2:] == [
        ("asset.tag_withdrawn", "late_16"),
        ("asset.late", "late_16"),
        ("asset.cured", "cured"),
    ]
    assert asset(market, late)["performance"] == "cured"
    records = [one["kind"] for one in market.operator.get(f"/v1/assets/{late}/records")["items"]]
    assert records[-3:] == ["asset.tag_withdrawn", "asset.late_16", "asset.cured"]
    market.check()


def test_a_payment_on_time_that_was_told_late_withdraws_lateness(market: House) -> None:
    """The asset never was late: nothing but the withdrawal is left of it, by which the old fact is named."""
    (asset_id,) = buy(market, fresh(), days=1)
    due = market.today + timedelta(days=1)
    market.move(22, 30, days=7)
    assert asset(market, asset_id)["performance"] == "late_1"
    enter(market, asset_id, FACE_MINOR, on=due)
    market.move(22, 30, days=1)
    assert standing(market, asset_id) == []
    assert asset(market, asset_id)["performance"] is None
    (event,) = [one for one in market.events(0) if one["type"] == "asset.tag_withdrawn"][-1:]
    fact = {"business_date": (due + timedelta(days=4)).isoformat(), "tag": "late_1"}
    assert event["data"] == fact | {"asset_id": asset_id, "effective_date": market.today.isoformat()}
    before = late_told(market, asset_id)
    market.move(22, 30, days=1)
    assert late_told(market, asset_id) == before, "and that is all there is to say"


def test_a_late_asset_that_is_paid_is_cured(market: House) -> None:
    """The evening after, its last holder is told."""
    (asset_id,) = buy(market, fresh(), days=1)
    market.move(9, days=6)
    pay(market, (asset_id, FACE_MINOR))
    market.move(22)
    assert standing(market, asset_id) == [(4, "late_1", 4, FACE_MINOR), (5, "cured", 0, 0)]
    assert rows(market, "SELECT count(*) FROM servicing_touched WHERE asset_id = :id", id=asset_id) == [(0,)]


@pytest.mark.parametrize("table", ["servicing_fact", "servicing_withdrawal", "accrual", "closed_chunk"])
def test_what_was_noted_cannot_be_changed(market: House, table: str) -> None:
    """The service's role may add facts; it may not change or remove one."""

    def forbidden(statement: str) -> None:
        with pytest.raises(DBAPIError, match="permission denied"), market.services.database.transaction() as session:
            session.execute(text(statement))

    forbidden(f"DELETE FROM {table}")  # noqa: S608 - a table of ours
    forbidden(f"UPDATE {table} SET business_date = business_date")  # noqa: S608 - same


def policy(house: House, *, start: int, **terms: Any) -> dict[str, Any]:  # noqa: ANN401 - any terms
    """A policy from so many days after today on."""
    day = house.today + timedelta(days=start)
    return {"effective_from": day.isoformat(), "terms": {"grace_days": 3} | terms}


def test_a_stricter_policy_for_one_product(market: House) -> None:
    """It counts from its day, for its product alone, and stands beside the ones before."""
    market.move(9, days=1)
    today = market.today
    dates = {
        "issue_date": (today - timedelta(days=60)).isoformat(),
        "due_date": (today - timedelta(days=2)).isoformat(),
    }
    confirmation = {"confirmation": {"grade": "explicit", "confirmed_date": today.isoformat()}}
    strict, other = market.submit(
        fresh(product="working_capital", **dates, **confirmation),
        fresh(product="equipment_lease", **dates, **confirmation),
    )
    market.move(22)
    assert standing(market, strict) == standing(market, other) == []
    terms = {"grace_days": 0, "buckets": [{"from_day": 1, "to_day": 2}, {"from_day": 3}], "near_breach_day": 0}
    body = policy(market, start=1, **terms) | {"product": "working_capital", "originator_id": market.originator_id}
    shown = market.operator.put("/v1/servicing-policies", body)
    assert shown["terms"]["default_day"] == 90
    assert shown in market.platform.get("/v1/servicing-policies")["items"]
    market.move(22, days=1)
    assert standing(market, strict) == [(3, "late_3", 3, FACE_MINOR)]
    assert standing(market, other) == []
    again = market.operator.refused("PUT", "/v1/servicing-policies", body)
    assert [fault["code"] for fault in again["errors"]] == ["effective_too_early"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"terms": {"grace_days": 3, "buckets": [{"from_day": 2}]}}, "bucket_gap"),
    ({"terms": {"grace_days": 3, "suspends_at": "late_99"}}, "unknown_stage"),
    ({"terms": {"grace_days": 3, "convention": "following"}}, "calendar_missing"),
    ({"terms": {"grace_days": 3, "calendar": "Mars"}}, "not_one_of"),
    ({"terms": {"grace_days": 61}}, "out_of_range"),
    ({"terms": {"grace_days": 3, "buckets": []}}, "bad_length"),
    ({"effective_from": "2026-03-01"}, "effective_too_early"),
]


@pytest.mark.parametrize(("changes", "code"), REFUSED)
def test_a_policy_that_is_refused(market: House, changes: dict[str, Any], code: str) -> None:
    """Each fault has its code and its place; nothing is put in force."""
    before = market.operator.get("/v1/servicing-policies")
    body = policy(market, start=400) | changes
    problem = market.operator.refused("PUT", "/v1/servicing-policies", body)
    assert code in {fault["code"] for fault in problem["errors"]}
    assert market.operator.get("/v1/servicing-policies") == before


def test_a_policy_of_nobody(market: House) -> None:
    """An originator that is not known has no policy."""
    body = policy(market, start=1) | {"originator_id": "org_01h455vb4pex5vsknk084sn02q"}
    assert market.operator.refused("PUT", "/v1/servicing-policies", body)["code"] == "not_found"


def test_a_day_that_was_not_closed(market: House) -> None:
    """And what is no day at all."""
    for day in ("2030-01-01", "yesterday", "2026-02-30"):
        assert market.operator.refused("GET", f"/v1/closed-days/{day}")["code"] == "not_found"
