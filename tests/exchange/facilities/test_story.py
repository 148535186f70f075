"""A facility's life, told over HTTP; everything is recomputed after every step."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy.exc import OperationalError

from exchange import books
from exchange.facilities import jobs
from tests.exchange.facilities.vehicle import (
    JUNIOR,
    MEZZANINE,
    ROOMS,
    SENIOR,
    buys,
    cash,
    check,
    open_facility,
    pay_in,
    purse,
    shown,
    tranche,
    tranches,
)
from tests.exchange.house import House, receipt
from tests.exchange.pools.contention import held_back, terminate
from tests.exchange.settlement.book import pay, rows

COVER = {"name": "first", "kind": "cover", "rank": 4, "size_minor": 500_000, "rate_bps": 0, "per_loss_minor": 200_000}


WRITTEN = ("facility_day", "books_transfers", "tranche_holding", "tranche_movement", "distribution", "pending_event")
"""What a distribution writes, in its order; the worker is held before it writes each."""


def close_day(house: House, facility_id: str) -> None:
    """The evening's work on one facility."""
    payload = {"facility_id": facility_id, "business_date": house.today.isoformat()}
    with house.services.database.transaction() as session:
        jobs.close(house.services, session, payload)
    check(house)


def principals(house: House, facility_id: str) -> dict[str, tuple[int, int]]:
    """Principal and loss of each tranche."""
    return {one["name"]: (one["principal_minor"], one["lost_minor"]) for one in shown(house, facility_id)["tranches"]}


def state(house: House, facility_id: str) -> tuple[Any, ...]:
    """All that a distribution changes."""
    purses = [purse(house, facility_id, path) for path in (books.funder_cash, books.facility_reserve)]
    paid = shown(house, facility_id, "/distributions")["items"]
    return cash(house, SENIOR), cash(house, MEZZANINE), purses, principals(house, facility_id), paid


def test_life(market: House) -> None:
    """Bought, collected, late, lost, covered, recovered, amortised, closed: every cent is somebody's at every step."""
    made = [*tranches(), COVER | {"day_count": "ACT/360"}]
    rules: dict[str, Any] = {
        "triggers": [{"test": "delinquency", "threshold": 100_000, "turns": "amortising"}],
        "late_days": 10,
    }
    facility_id = open_facility(market, tranches=made, **rules)
    pay_in(market, facility_id, "first", {JUNIOR: 500_000})
    check(market)
    path = f"/v1/facilities/{facility_id}"
    market.operator.post(f"{path}/states", {"state": "revolving", "reason": "ramped up"})
    good, bad, late = buys(market, facility_id, 3)
    assert purse(market, facility_id) == 10_000_000 - 3 * 891_000

    pay(market, (good, 1_000_000))
    check(market)
    preview = shown(market, facility_id, "/waterfall")
    assert preview["profit_minor"] == 9_000, "the discount of the one that paid"
    _lost_and_recovered(market, facility_id, bad)

    market.move(23, 30, days=75)
    check(market)
    facility = shown(market, facility_id)
    assert (facility["state"], facility["health"], facility["reason"]) == ("amortising", "unhealthy", "delinquency")
    (raised,) = [one for one in shown(market, facility_id, "/facts")["items"] if one["axis"] == "trigger"]
    assert (raised["value"], raised["numbers"]["threshold"], raised["numbers"]["observed"]) == (
        "raised",
        100_000,
        10**6,
    )
    terms = "SELECT terms ->> 'budget_minor' FROM mandate WHERE mandate_id = :id ORDER BY version DESC LIMIT 1"
    assert rows(market, terms, id=facility["mandate_id"]) == [("0",)], "it buys nothing any more"
    pay(market, (late, 1_000_000))
    assert market.operator.refused("POST", f"{path}/states", {"state": "revolving", "reason": "no"})["status"] == 409
    before = [cash(market, one) for one in range(3)]
    market.operator.post(f"{path}/states", {"state": "closed", "reason": "all is collected"})
    check(market)
    assert purse(market, facility_id) == purse(market, facility_id, books.facility_cover) == 0
    lost = principals(market, facility_id)
    assert {principal for principal, _ in lost.values()} == {0}
    assert [name for name, (_, gone) in lost.items() if gone] == ["junior"], "interest was more than what was earned"
    got = [cash(market, one) - had for one, had in enumerate(before)]
    assert got[SENIOR] >= 0
    assert sum(got) > 0
    market.run()
    _seen_by_people(market, facility)
    kinds = [one["kind"] for one in market.operator.get(f"{path}/records")["items"]]
    assert kinds[:2] == ["facility.state", "facility.health"]
    assert kinds[-1] == "facility.distributed"


def _seen_by_people(market: House, facility: dict[str, Any]) -> None:
    """The console's pages name it, and why it is not healthy."""
    token = {"Authorization": f"Bearer {market.operator.token}"}
    page = market.app.test_client().get(f"/facilities/{facility['facility_id']}", headers=token)
    assert page.status_code == 200
    assert "delinquency" in page.text
    assert facility["name"] in market.app.test_client().get("/facilities", headers=token).text


def _lost_and_recovered(market: House, facility_id: str, bad: str) -> None:
    """891,000 of capital are lost: 200,000 by the cover's cap, the rest by the junior; recovered, all is as before."""
    before = principals(market, facility_id)
    market.operator.post(f"/v1/assets/{bad}/write-offs", {"amount_minor": 1_000_000, "reason": "insolvent"})
    close_day(market, facility_id)
    after = principals(market, facility_id)
    assert after["first"] == (300_000, 200_000)
    assert after["junior"] == (2_000_000 - 691_000, 691_000)
    assert after["senior"] == before["senior"]
    close_day(market, facility_id)
    assert principals(market, facility_id) == after, "done twice, it comes to the same"
    body = receipt(bad, 300_000, value_date=market.today)
    del body["reference"]
    market.operator.post(f"/v1/assets/{bad}/recoveries", body)
    close_day(market, facility_id)
    mended = principals(market, facility_id)
    assert mended["junior"][1] > 0 or mended["first"][1] > 0
    body = receipt(bad, 700_000, value_date=market.today)
    del body["reference"]
    market.operator.post(f"/v1/assets/{bad}/recoveries", body)
    close_day(market, facility_id)
    assert principals(market, facility_id) == before, "loss and recovery leave no trace"
    parts = [(one["amount_minor"], one["parts"]) for one in shown(market, facility_id, "/losses")["items"]]
    assert parts[0] == (891_000, [["first", 200_000], ["junior", 691_000]])
    assert sum(amount for amount, _ in parts) == 0


def test_holders_see_their_own(market: House) -> None:
    """A holder sees its part and the pool's figures, nothing of who else there is; others see nothing."""
    facility_id = open_facility(market)
    path = f"/v1/facilities/{facility_id}"
    stranger = market.add_funder("Stranger")
    for part in ("", "/base", "/nav", "/tests", "/waterfall", "/facts", "/distributions", "/losses", "/stress"):
        assert stranger.refused("GET", path + part)["status"] == 404
        told = str(market.funders[MEZZANINE].get(path + part))
        assert market.funder_ids[SENIOR] not in told
        assert market.funder_ids[JUNIOR] not in told
    assert stranger.get("/v1/facilities")["items"] == []
    shares = market.funders[SENIOR].get(f"{path}/capital-calls")["items"]
    assert [(one["tranche"], one["funder_id"]) for one in shares] == [("senior", market.funder_ids[SENIOR])]
    own = {one["name"]: one["own"] for one in market.funders[SENIOR].get(path)["tranches"]}
    assert own["senior"]["principal_minor"] == 6_000_000
    assert own["mezzanine"] is own["junior"] is None
    told = market.funders[SENIOR].get(f"{path}/capital-calls")
    assert market.funders[SENIOR].refused("GET", f"{path}/holdings")["status"] == 403, told


def test_two_workers_run_one_payment_date(market: House) -> None:
    """Two at once: one distribution, and each cent once."""
    facility_id = open_facility(market)
    buys(market, facility_id, 1)
    market.schedule = {}
    market.move(12, days=40)
    before = cash(market, SENIOR)
    payload = {"facility_id": facility_id, "business_date": market.today.isoformat()}

    def work(_: int) -> None:
        with market.services.database.transaction() as session:
            jobs.close(market.services, session, payload)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    market.only(*ROOMS)
    check(market)
    made = shown(market, facility_id, "/distributions")["items"]
    days = [one["payment_date"] for one in made]
    assert len(days) == len(set(days)) > 0
    paid = sum(line["amount_minor"] for one in made for line in one["payments"] if line["due"] == "senior_interest")
    assert cash(market, SENIOR) - before == paid > 0
    mine = market.funders[SENIOR].get(f"/v1/facilities/{facility_id}/distributions")["items"]
    assert sum(part["amount_minor"] for one in mine for part in one["own"]) == paid


def test_a_worker_killed_in_a_distribution_pays_nobody_half(market: House) -> None:
    """Killed before the money, before the movements, before the record: nothing of it is there; run again, it is."""
    facility_id = open_facility(market)
    buys(market, facility_id, 1)
    market.schedule = {}
    market.move(12, days=40)
    before = state(market, facility_id)
    for lock in ("SELECT FROM books_balances FOR UPDATE", *(f"LOCK TABLE {table} IN SHARE MODE" for table in WRITTEN)):
        with held_back(market.services, lock, lambda: close_day(market, facility_id)) as (worker,):
            terminate(market.services)
            assert isinstance(worker.exception(timeout=10), OperationalError), lock
        check(market)
        assert state(market, facility_id) == before, lock
    close_day(market, facility_id)
    market.only(*ROOMS)
    paid = shown(market, facility_id, "/distributions")["items"]
    assert [one["state"] for one in paid] == ["warehousing"] * len(paid)
    got = sum(line["amount_minor"] for one in paid for line in one["payments"] if line["due"] == "senior_interest")
    assert cash(market, SENIOR) - before[0] == got > 0
    close_day(market, facility_id)
    assert cash(market, SENIOR) - before[0] == got, "a second run pays nothing"


def test_rules_wait_while_money_leaves(market: House) -> None:
    """A change waits for its notice, and for redemptions; those are paid as far as enough stays below the senior."""
    facility_id = open_facility(market, notice_days=5)
    path = f"/v1/facilities/{facility_id}"
    junior = market.funders[JUNIOR]
    assert junior.refused("POST", f"{path}/redemptions", {"tranche": "junior", "amount_minor": 1})["code"] == (
        "not_redeemable"
    )
    market.operator.post(f"{path}/states", {"state": "revolving", "reason": "ramped up"})
    wanted = {"tranche": "junior", "amount_minor": 1_500_000}
    redemption_id = junior.post(f"{path}/redemptions", wanted)["redemption_id"]
    assert junior.refused("POST", f"{path}/redemptions", wanted)["code"] == "more_than_committed"
    terms = shown(market, facility_id)["rules"]
    changed = terms | {"advance_bps": 8_000}
    assert market.operator.post(f"{path}/rules", changed)["version"] == 2
    assert market.operator.refused("POST", f"{path}/rules", changed)["code"] == "change_waiting"
    market.move(12, days=6)
    close_day(market, facility_id)
    states = [one["state"] for one in shown(market, facility_id, "/rules")["items"]]
    assert states == ["in_force", "blocked"]
    paid = shown(market, facility_id, "/redemptions")["items"][0]
    junior.post(f"/v1/redemptions/{redemption_id}/withdrawal", {})
    assert junior.refused("POST", f"/v1/redemptions/{redemption_id}/withdrawal", {})["code"] == "redemption_over"
    close_day(market, facility_id)
    states = [one["state"] for one in shown(market, facility_id, "/rules")["items"]]
    assert states == ["past", "in_force"]
    assert shown(market, facility_id)["rules"]["advance_bps"] == 8_000
    assert paid["outcome"] is None
    assert market.operator.refused("POST", f"{path}/rules/2/withdrawal", {})["code"] == "change_over"


def test_paying_in_is_refused(market: House) -> None:
    """A senior that comes before the junior; a share paid twice; more than is committed; a funder without money."""
    body = {"name": "Top heavy", "tranches": tranches(), "rules": {}}
    facility_id = open_facility(market, pay=(1_000_000, 500_000, 500_000))
    path = f"/v1/facilities/{facility_id}"
    assert market.operator.refused("POST", "/v1/facilities", body)["status"] == 422
    more = {"tranche": "senior", "funder_id": market.funder_ids[SENIOR], "amount_minor": 6_000_000}
    market.operator.post(f"{path}/commitments", more)
    assert market.operator.refused("POST", f"{path}/commitments", more)["code"] == "more_than_committed"
    call = {"tranche": "senior", "amount_minor": 6_000_000, "due_date": market.today.isoformat()}
    call_id = market.operator.post(f"{path}/capital-calls", call)["call_id"]
    refused = market.funders[SENIOR].refused("POST", f"/v1/capital-calls/{call_id}/payment", {})
    assert (refused["code"], refused["numbers"]["tranche"]) == ("subordination_broken", "senior")
    assert market.funders[JUNIOR].refused("POST", f"/v1/capital-calls/{call_id}/payment", {})["status"] == 404
    poor = market.add_funder("Poor")
    share = {"tranche": "junior", "funder_id": market.funder_ids[-1], "amount_minor": 1_500_000}
    market.operator.post(f"{path}/commitments", share)
    call = {"tranche": "junior", "amount_minor": 1_500_000, "due_date": market.today.isoformat()}
    call_id = market.operator.post(f"{path}/capital-calls", call)["call_id"]
    assert poor.refused("POST", f"/v1/capital-calls/{call_id}/payment", {})["code"] == "not_enough_cash"
    market.deposit(len(market.funders) - 1, 1_500_000)
    key = "one-and-the-same"
    first = poor.post(f"/v1/capital-calls/{call_id}/payment", {}, key=key)
    assert poor.post(f"/v1/capital-calls/{call_id}/payment", {}, key=key) == first
    assert poor.refused("POST", f"/v1/capital-calls/{call_id}/payment", {})["code"] == "share_paid"
    check(market)
    assert tranche(market, facility_id, "junior")["principal_minor"] == 2_000_000


def test_a_silent_servicer_lowers_the_value(market: House) -> None:
    """After ten days without a word value falls and purchases stop, by themselves; a report mends both."""
    rules: dict[str, Any] = {
        "silence": [{"days": 10, "share_ppm": 500_000}],
        "triggers": [{"test": "servicer_silence", "threshold": 9, "turns": "stop"}],
    }
    facility_id = open_facility(market, **rules)
    buys(market, facility_id, 1)
    value = shown(market, facility_id, "/nav")["nav"]["assets_minor"]
    market.move(12, days=10)
    close_day(market, facility_id)
    assert shown(market, facility_id)["health"] == "unhealthy"
    assert shown(market, facility_id, "/nav")["nav"]["assets_minor"] == value // 2
    kept = shown(market, facility_id, "/nav", as_of=market.today)
    assert kept["as_of"] == market.today.isoformat()
    report = {"currency": "CNY", "asset_count": 1, "outstanding_minor": 1_000_000}
    answer = market.platform.post("/v1/servicer-reports", report)
    assert (answer["known_count"] >= 1, market.platform.refused("POST", "/v1/servicer-reports", report)["code"]) == (
        True,
        "report_known",
    )
    market.move(12, days=1)
    close_day(market, facility_id)
    assert shown(market, facility_id)["health"] == "healthy"
    yesterday = market.today.fromordinal(market.today.toordinal() - 1)
    old = shown(market, facility_id, "/nav", as_of=yesterday)
    assert old["nav"]["assets_minor"] == value // 2, "as it was then"
    wrong = f"/v1/facilities/{facility_id}/nav?as_of=2020-01-01"
    assert market.operator.refused("GET", wrong)["code"] == "not_recorded"
    calm, hard = (shown(market, facility_id, "/stress", pd_bps=20_000)[name]["nav"] for name in ("calm", "stressed"))
    assert hard["nav_minor"] < calm["nav_minor"]
