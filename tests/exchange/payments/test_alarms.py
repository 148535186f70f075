"""Money that was announced and did not come, that went elsewhere, or that stays away from one originator."""

from datetime import timedelta
from typing import Any

from exchange.auth import Role
from tests.exchange.house import Client, House, enter_client, make_key, public_jwk
from tests.exchange.payments.desk import business_day, put_policy
from tests.exchange.settlement.bank import ACCOUNT
from tests.exchange.settlement.book import buy, fresh, pay, results


def advise(
    house: House, asset_id: str, amount_minor: int, *, client: Client | None = None, **more: str
) -> dict[str, Any]:
    """What becomes of an advice; of today, unless it says otherwise."""
    item = {
        "asset_id": asset_id,
        "amount_minor": amount_minor,
        "paid_date": house.today.isoformat(),
        "account": ACCOUNT,
    }
    (result,) = results((client or house.platform).post("/v1/payment-advices", {"items": [item | more]}))
    return result


def alarms(house: House, asset_id: str | None, state: str = "") -> list[dict[str, Any]]:
    """The alarms about an asset."""
    query = f"?limit=1000{'&state=' + state if state else ''}"
    return [one for one in house.operator.get(f"/v1/alarms{query}")["items"] if one["asset_id"] == asset_id]


def told(house: House, kind: str) -> list[dict[str, Any]]:
    """What the funder was told of alarms."""
    return [event["data"] for event in house.events(0) if event["type"] == kind]


def evening(house: House, days: int = 0) -> None:
    """The evening's look at what is missing."""
    house.move(22, days=days)


def test_announced_money_that_does_not_come(desk: House) -> None:
    """Three business days after the advice: an alarm, the holder told once; acknowledged once; cleared by the money."""
    (asset_id,) = buy(desk, fresh())
    lately, then = (f"{desk.today - timedelta(days=days)}" for days in (1, 12))
    assert advise(desk, asset_id, 300_000, paid_date=lately)["status"] == 201
    assert advise(desk, asset_id, 400_000, paid_date=then)["status"] == 201
    evening(desk)
    evening(desk)
    (alarm,) = alarms(desk, asset_id, "raised")
    assert (alarm["kind"], alarm["numbers"]["amount_minor"]) == ("missing_receipt", 400_000)
    assert [one["asset_id"] for one in told(desk, "alarm.raised")] == [asset_id]
    item = {"alarm_id": alarm["alarm_id"], "reason": "the bank is looking"}
    codes = [results(desk.operator.post("/v1/alarms/acknowledgements", {"items": [item]}))[0]["status"] for _ in "12"]
    assert codes == [201, 409]
    pay(desk, (asset_id, 399_999))
    evening(desk, 1)
    assert [one["alarm_id"] for one in alarms(desk, asset_id, "acknowledged")] == [alarm["alarm_id"]]
    pay(desk, (asset_id, 600_001))
    evening(desk, 1)
    (cleared,) = alarms(desk, asset_id)
    assert (cleared["state"], cleared["acknowledged_reason"]) == ("cleared", "the bank is looking")
    assert [one["alarm_id"] for one in told(desk, "alarm.cleared")] == [alarm["alarm_id"]]


def test_one_receipt_covers_one_advice(desk: House) -> None:
    """Two advices of the same amount need the money twice."""
    (asset_id,) = buy(desk, fresh())
    for _ in range(2):
        advise(desk, asset_id, 100_000, paid_date=f"{desk.today - timedelta(days=12)}")
    pay(desk, (asset_id, 100_000))
    evening(desk)
    (alarm,) = alarms(desk, asset_id)
    covered = desk.operator.get(f"/v1/assets/{asset_id}/money")["advices"]
    assert [one["covered_at"] is None for one in covered] == [False, True]
    assert alarm["advice_id"] == covered[1]["advice_id"]


def test_money_paid_elsewhere(desk: House) -> None:
    """An account that is none of ours is an alarm at once; a virtual one of ours is not."""
    (asset_id,) = buy(desk, fresh())
    number = {"number": "622200001111222299", "account": ACCOUNT, "asset_id": asset_id}
    assert results(desk.operator.post("/v1/virtual-accounts", {"items": [number]}))[0]["status"] == 201
    advise(desk, asset_id, 5, account="6222 0000 1111 2222 99")
    assert alarms(desk, asset_id) == []
    advise(desk, asset_id, 5, account="4000 1234 0000")
    desk.run()
    (alarm,) = alarms(desk, asset_id, "raised")
    assert (alarm["kind"], alarm["numbers"]["account"]) == ("wrong_account", "********0000")
    assert [one["asset_id"] for one in told(desk, "alarm.raised")][-1] == asset_id
    assert alarm in desk.platform.get("/v1/alarms?limit=1000")["items"]


def test_who_may_say_what(desk: House) -> None:
    """A platform of its own assets, an obligor of its own debts, nobody of days to come."""
    item = fresh()
    (asset_id,) = desk.submit(item)
    key = make_key("obligor of alarms")
    entry = item["obligor"] | {"originator_id": desk.originator_id, "public_jwk": public_jwk(key)}
    entered = desk.operator.post("/v1/obligors", entry)
    obligor = Client(desk.app.test_client(), entered["client_id"], key)
    (other,) = desk.submit(fresh())
    assert advise(desk, asset_id, 1, client=obligor)["status"] == 201
    assert advise(desk, other, 1, client=obligor)["status"] == 404
    assert advise(desk, "ast_01h455vb4pex5vsknk084sn02q", 1)["status"] == 404
    tomorrow = (desk.today + timedelta(days=1)).isoformat()
    assert advise(desk, asset_id, 1, paid_date=tomorrow)["errors"][0]["code"] == "paid_in_future"
    auditor = enter_client(desk.services, desk.app, role=Role.AUDITOR, name="auditor of alarms")
    assert auditor.get("/v1/alarms?limit=1")["items"] == desk.operator.get("/v1/alarms?limit=1")["items"]
    unknown = {"alarm_id": "alm_01h455vb4pex5vsknk084sn02q", "reason": "x"}
    assert results(desk.operator.post("/v1/alarms/acknowledgements", {"items": [unknown]}))[0]["status"] == 404


def test_many_late_at_once(desk: House) -> None:
    """Most obligors of one originator do not pay what fell due: one alarm, told to the holder, until they pay."""
    put_policy(desk, late_share_bps=6_000, late_obligors=2, advice_days=1)
    asset_ids = buy(desk, *(fresh() for _ in range(3)), days=2)
    pay(desk, (asset_ids[0], 1_000_000))
    evening(desk, 6)
    (alarm,) = [one for one in alarms(desk, None) if one["kind"] == "late_share"]
    assert alarm["numbers"]["late_obligors"] == 2
    assert [one["kind"] for one in told(desk, "alarm.raised")].count("late_share") == 1
    evening(desk, 1)
    pay(desk, *((one, 1_000_000) for one in asset_ids[1:]))
    evening(desk, 1)
    assert [one["state"] for one in alarms(desk, None) if one["kind"] == "late_share"] == ["cleared"]
    assert alarm["alarm_id"] in [one["alarm_id"] for one in told(desk, "alarm.cleared")]


def test_whose_the_money_was(desk: House) -> None:
    """Day by day, by effective date: a deposit of today was nobody's yesterday."""
    yesterday = desk.today
    before = {one["currency"]: one for one in desk.operator.get(f"/v1/money?day={yesterday}")["items"]}["CNY"]
    business_day(desk)
    desk.deposit(0, 12_345)
    after = {one["currency"]: one for one in desk.operator.get("/v1/money")["items"]}["CNY"]
    again = {one["currency"]: one for one in desk.operator.get(f"/v1/money?day={yesterday}")["items"]}["CNY"]
    assert again == before
    grown = {name: after[name] - before[name] for name in ("funders_minor", "bank_minor", "sellers_minor")}
    assert grown == {"funders_minor": 12_345, "bank_minor": 12_345, "sellers_minor": 0}
    assert desk.operator.get("/v1/money?day=1999-01-01") == {"items": []}
