"""The discount earned: straight-line, day by day, to the last cent, whatever becomes of the asset."""

from datetime import date, timedelta

from exchange import worker
from exchange.servicing import accruals
from tests.exchange.house import House
from tests.exchange.settlement.book import DISCOUNT_MINOR, FACE_MINOR, buy, fresh, pay, rows


def earned(house: House, day: date) -> int:
    """What the first funder has earned by the end of a day, computed anew."""
    with house.services.database.transaction() as session:
        found = accruals.earned(session, funder_ids=house.funder_ids[:1], day=day, time_zone="Asia/Shanghai")
    return found.get((house.funder_ids[0], "CNY"), 0)


def listed(house: House, start: date, until: date) -> list[tuple[date, int, int]]:
    """What the API shows a funder of some days."""
    answer = house.funders[0].get(f"/v1/accruals?from_date={start}&until_date={until}")
    assert {item["funder_id"] for item in answer["items"]} <= {house.funder_ids[0]}
    return [
        (date.fromisoformat(one["business_date"]), one["earned_minor"], one["earned_to_date_minor"])
        for one in answer["items"]
    ]


def test_a_life_of_sixty_days(market: House) -> None:
    """Each day has its sixtieth, to the cent; a late close or a split changes nothing; at the end all is earned."""
    (asset_id,) = buy(market, fresh(face_minor=FACE_MINOR + 7), days=60)
    bought, discount = (
        market.today,
        rows(market, "SELECT discount_minor FROM pool_asset WHERE asset_id = :id", id=asset_id)[0][0],
    )
    assert discount % 60, "a discount that does not divide by the days"
    for days in (1, 1, 5, 20):
        market.move(22, days=days)
    amounts = [400_000, 350_000, 250_007]
    split = market.funders[0].post("/v1/splits", {"items": [{"asset_id": asset_id, "amounts_minor": amounts}]})
    parts = [one["asset_id"] for one in split["items"][0]["parts"]]
    market.move(22, days=3)
    pay(market, (parts[0], amounts[0]))
    early = rows(market, "SELECT discount_minor FROM pool_asset WHERE asset_id = :id", id=parts[0])[0][0]
    market.move(22)
    rest = discount - early
    for days in (1, 9, 20, 1):
        market.move(22, days=days)
    found = listed(market, bought, market.today)
    assert [day for day, _, _ in found] == [bought + timedelta(days=number) for number in range(1, 61)]
    for day, _, to_date in found:
        gone = (day - bought).days
        assert to_date == (discount * gone // 60 if gone <= 30 else early + rest * gone // 60)
        assert earned(market, day) == to_date
    assert found[-1][2] == sum(amount for _, amount, _ in found) == discount


def test_the_cut_off_is_the_schedule_s() -> None:
    """What is earned by a day is what was there when the worker closes it."""
    assert worker.SCHEDULE["servicing.close_day"] == f"{accruals.CUT_OFF.minute} {accruals.CUT_OFF.hour} * * *"


def test_an_asset_paid_early_or_never(market: House) -> None:
    """Early payment earns the rest at once; one that is never paid has earned all on its due date."""
    before = earned(market, market.today)
    paid, never = buy(market, fresh(), fresh(), days=60)
    market.move(22, days=6)
    assert earned(market, market.today) - before == 2 * (DISCOUNT_MINOR * 6 // 60)
    pay(market, (paid, FACE_MINOR))
    market.move(22, days=1)
    assert earned(market, market.today) - before == DISCOUNT_MINOR + DISCOUNT_MINOR * 7 // 60
    market.move(22, days=53 + 5)
    assert earned(market, market.today) - before == 2 * DISCOUNT_MINOR
    assert rows(market, "SELECT kind FROM servicing_fact WHERE asset_id = :id ORDER BY business_date", id=never)[
        -1
    ] == ("late_1",)
    last = rows(market, "SELECT earned_to_date_minor FROM accrual ORDER BY business_date DESC LIMIT 1")
    assert last == [(before + 2 * DISCOUNT_MINOR,)]
