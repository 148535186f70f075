"""A lease of six weekly rentals through the API: split, sold in parts, paid rental by rental, one of them late."""

from datetime import date

import msgspec

from ledger.encoding import parse_base64url
from ledger.schedules import read
from tests.exchange.house import House, mandate, receipt, receivable
from tests.exchange.settlement.book import rows
from tests.exchange.title.deeds import split

PRINCIPAL_MINOR, RATE_BPS = 600_000, 1_040
RENTALS = [100_701] * 5 + [100_703]
"""0.2 % a week on what is still lent; by hand: 6,000 x 0.002 / (1 - 1.002^-6) = 1,007.01, the rest in the last."""
FACE_MINOR = sum(RENTALS)
DAYS = ["2026-03-09", "2026-03-16", "2026-03-23", "2026-03-30", "2026-04-07", "2026-04-13"]
"""Mondays, and the Tuesday after the Tomb-Sweeping holiday."""
TERMS = {
    "first_due_date": "2026-03-09",
    "count": 6,
    "every": {"unit": "weeks", "length": 1},
    "calendar": "CN",
    "convention": "following",
    "principal_minor": PRINCIPAL_MINOR,
    "rate_bps": RATE_BPS,
}
SHARES = (FACE_MINOR * 2 // 5, FACE_MINOR - FACE_MINOR * 2 // 5)
PAID, LATE = 2, 2
"""Rentals paid on their day, and the number of the next, counted from 0, which is not."""


def plan(house: House, asset_id: str) -> list[tuple[str, int, int]]:
    """Due date, amount and what is open of each instalment, as operator and platform see it alike."""
    shown = house.operator.get(f"/v1/assets/{asset_id}/schedule")
    assert house.platform.get(f"/v1/assets/{asset_id}/schedule") == shown
    return [(one["due_date"], one["amount_minor"], one["open_minor"]) for one in shown["instalments"]]


def test_a_lease(house: House) -> None:
    """Each step leaves the books right, and the same numbers in offer, price, records and reports."""
    house.deposit(0, 10**9)
    house.funders[0].post("/v1/mandates", mandate(advance_bps=9_000))
    house.check()
    parts = _enter_and_split(house)
    _sell(house, parts)
    _pay_on_time(house, parts)
    _be_late(house, parts)
    _pay_off(house, parts)


def _enter_and_split(house: House) -> list[str]:
    """Submitted, confirmed, listed, split 2 : 3: the parts' rentals sum to the whole's, and to the parts."""
    lease = receivable(
        "LEASE-1",
        product="equipment_lease",
        face_minor=FACE_MINOR,
        due_date=DAYS[-1],
        schedule={"generate": TERMS},
        confirmation=None,
    )
    (asset_id,) = house.submit(lease)
    house.check()
    answer = {"asset_id": asset_id, "outcome": "accepted", "grade": "explicit", "confirmed_date": "2026-03-02"}
    assert house.platform.post("/v1/confirmations", {"items": [answer]})["items"][0]["status"] == 201
    house.run()
    house.check()
    whole = [(day, amount, amount) for day, amount in zip(DAYS, RENTALS, strict=True)]
    assert plan(house, asset_id) == whole
    assert _signed(house, asset_id, "asset.confirmed") == list(zip(map(date.fromisoformat, DAYS), RENTALS, strict=True))

    parts = split(house.platform, asset_id, *SHARES)
    house.run()
    house.check()
    plans = [plan(house, part) for part in parts]
    assert [sum(amount for _, amount, _ in one) for one in plans] == list(SHARES)
    assert [sum(one[place][1] for one in plans) for place in range(len(DAYS))] == RENTALS
    for part, one in zip(parts, plans, strict=True):
        assert [day for day, _, _ in one] == DAYS
        told = [(date.fromisoformat(day), amount) for day, amount, _ in one]
        assert _signed(house, part, "asset.split_off") == told
    return parts


def _sell(house: House, parts: list[str]) -> None:
    """Offered at the price of the rentals: 6 % a year on nine tenths of each until it is due, rounded up once."""
    bank = house.funders[0]
    house.move(10, 30)
    house.check()
    (offer,) = bank.get("/v1/offers?state=open")["items"]
    offered = {one["asset_id"]: one for one in bank.get(f"/v1/offers/{offer['offer_id']}")["assets"]}
    for part, face_minor in zip(parts, SHARES, strict=True):
        one = offered[part]
        shown = [(two["due_date"], two["amount_minor"]) for two in one["instalments"]]
        assert shown == [(day, amount) for day, amount, _ in plan(house, part)]
        money_days = sum(amount * (date.fromisoformat(day) - house.today).days for day, amount in shown)
        advance_minor = face_minor * 9 // 10
        discount_minor = -(-advance_minor * 600 * money_days // (face_minor * 10_000 * 360))
        assert (one["face_minor"], one["discount_minor"]) == (face_minor, discount_minor)
        assert one["price_minor"] == advance_minor - discount_minor
        assert one["due_date"] == DAYS[-1]
    bank.post(f"/v1/offers/{offer['offer_id']}/commitment", {})
    house.move(14, 30)
    house.check()
    assert bank.get("/v1/positions")["items"][0]["outstanding_minor"] == FACE_MINOR
    spent = rows(house, "SELECT sum(price_minor)::bigint FROM pool_asset")[0][0]
    assert spent == offer["price_minor"] == sum(one["price_minor"] for one in offered.values())
    for part in parts:
        seen = bank.get(f"/v1/assets/{part}/schedule")
        assert seen == house.operator.get(f"/v1/assets/{part}/schedule")


def _pay_on_time(house: House, parts: list[str]) -> None:
    """Two rentals, each on its day, by the whole lease's number: both parts' rentals are paid, to the minor unit."""
    for number in range(PAID):
        _go_to(house, date.fromisoformat(DAYS[number]))
        _pay(house, parts, RENTALS[number])
        for part in parts:
            still = [amount for _, _, amount in plan(house, part)]
            assert still[: number + 1] == [0] * (number + 1)
            assert still[number + 1 :] == [amount for _, amount, _ in plan(house, part)][number + 1 :]


def _be_late(house: House, parts: list[str]) -> None:
    """The third is not paid: by then it is the oldest that is open, whole; the next are not due."""
    _go_to(house, date(2026, 3, 27))
    house.move(22, 30)
    house.check()
    for part in parts:
        day, amount, still = next(one for one in plan(house, part) if one[2])
        assert (day, amount) == (DAYS[LATE], still)
        assert house.operator.get(f"/v1/assets/{part}")["performance"] == "late_1"


def _pay_off(house: House, parts: list[str]) -> None:
    """The late rental and half of the next; then all the rest: nothing is owed, and the whole is extinguished."""
    _go_to(house, date(2026, 3, 28))
    half_minor = RENTALS[3] // 2
    _pay(house, parts, RENTALS[LATE] + half_minor)
    open_minor = sum(amount for part in parts for _, _, amount in plan(house, part))
    assert open_minor == FACE_MINOR - sum(RENTALS[:3]) - half_minor
    assert {next(day for day, _, amount in plan(house, part) if amount) for part in parts} == {DAYS[3]}
    _pay(house, parts, open_minor)
    for part in parts:
        assert house.platform.get(f"/v1/assets/{part}")["state"] == "extinguished"
        assert {amount for _, _, amount in plan(house, part)} == {0}


def _pay(house: House, parts: list[str], amount_minor: int) -> None:
    """A bank line for the lease as a whole."""
    root = rows(house, "SELECT root_id FROM claim WHERE asset_id = :id", id=parts[0])[0][0]
    line = receipt(root, amount_minor, value_date=house.today)
    assert house.operator.post("/v1/receipts", {"items": [line]})["items"][0]["outcome"] == "allocated"
    house.run()
    house.check()


def _go_to(house: House, day: date) -> None:
    """Move to the morning of a day."""
    house.move(9, days=(day - house.today).days)
    house.check()


def _signed(house: House, asset_id: str, kind: str) -> list[tuple[date, int]] | None:
    """The schedule in an asset's first record."""
    record = house.operator.get(f"/v1/assets/{asset_id}/records")["items"][0]
    assert record["kind"] == kind
    return read(msgspec.json.decode(parse_base64url(record["jws"].split(".")[1])))
