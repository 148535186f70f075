"""The close of business: each fact once, whatever the worker does, and the same after days without one."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from exchange import jobs
from exchange.servicing import actions
from exchange.servicing import jobs as servicing
from tests.exchange.house import House, mandate
from tests.exchange.settlement.book import (
    FACE_MINOR,
    asset,
    buy,
    check_conserved,
    credit,
    fresh,
    note,
    own_house,
    pay,
    rows,
)

MILESTONE_DAYS = (-7, -3, -1, 0, 4, 19, 34, 64, 78, 93)


def due_in(house: House, days: int) -> dict[str, Any]:
    """An old enough receivable that is due `days` after today, which may be before."""
    today = house.today
    return fresh(
        issue_date=(today - timedelta(days=200)).isoformat(),
        due_date=(today + timedelta(days=days)).isoformat(),
        confirmation={"grade": "explicit", "confirmed_date": today.isoformat()},
    )


def facts(house: House, *asset_ids: str) -> list[tuple[date, str, int, int]]:
    """What was noted about the assets, in order."""
    query = """
        SELECT business_date, kind, days_past_due, outstanding_minor FROM servicing_fact
        WHERE asset_id = ANY(:ids) ORDER BY array_position(:ids, asset_id), business_date, kind
    """
    return [(row[0], row[1], row[2], row[3]) for row in rows(house, query, ids=list(asset_ids))]


def late_events(house: House, funder: int, asset_id: str) -> list[tuple[str, str, int, int]]:
    """Type, stage, days and amount of what a funder was told of an asset's lateness."""
    return [
        (event["type"], one["stage"], one["days_past_due"], one["outstanding_minor"])
        for event in house.events(funder)
        if event["type"] in {"asset.late", "asset.defaulted"} and (one := event["data"])["asset_id"] == asset_id
    ]


def test_each_milestone_on_its_day(market: House) -> None:
    """One asset for each milestone due tonight: noted. One for each other day: noted if it is late as it is listed."""
    market.move(9, days=1)
    hits = market.submit(*(due_in(market, -days) for days in MILESTONE_DAYS))
    misses = market.submit(*(due_in(market, -days) for days in (-8, -6, -2, 1, 2, 3)))
    late = market.submit(*(due_in(market, -days) for days in (5, 18, 20, 92, 94, 124)))
    market.move(22)
    kinds = ["reminder_7", "reminder_3", "reminder_1", "reminder_0", "late_1", "late_16", "late_31", "late_61"]
    kinds += ["near_breach", "default"]
    expected = [
        (market.today, kind, max(days, 0), FACE_MINOR) for kind, days in zip(kinds, MILESTONE_DAYS, strict=True)
    ]
    assert facts(market, *hits) == expected
    assert facts(market, *misses) == []
    assert [asset(market, one)["performance"] for one in hits] == [None] * 4 + kinds[4:]
    assert [(kind, days) for _, kind, days, _ in facts(market, *late)] == [
        ("late_1", 5),
        ("late_1", 18),
        ("late_16", 20),
        ("near_breach", 92),
        ("default", 94),
        ("charge_off", 124),
        ("default", 124),
    ]
    market.move(22, days=1)
    assert len(facts(market, *late)) == 9, "a day later 18 days are 19 and 92 are 93"


def test_before_ten_at_night_nothing_is_closed(market: House) -> None:
    """A minute before the close the day is still open."""
    market.move(9, days=1)
    (asset_id,) = market.submit(due_in(market, -4))
    market.move(21, 59)
    assert facts(market, asset_id) == []
    market.move(22)
    assert [kind for _, kind, _, _ in facts(market, asset_id)] == ["late_1"]


def test_reminders_are_not_signed_and_lateness_is(market: House) -> None:
    """The chain of an asset tells how it performed, not what we wrote to somebody."""
    market.move(9, days=1)
    (asset_id,) = market.submit(due_in(market, 0))
    market.move(22, 30, days=4)
    assert [kind for _, kind, _, _ in facts(market, asset_id)] == ["reminder_0", "late_1"]
    records = market.operator.get(f"/v1/assets/{asset_id}/records")["items"]
    assert [record["kind"] for record in records] == ["asset.confirmed", "asset.scored", "asset.late_1"]


def test_a_paid_asset_gets_nothing(market: House) -> None:
    """Paid or credited in full before the close, also when the work was split out before that."""
    market.move(9, days=1)
    paid, credited, meanwhile, part = market.submit(*(due_in(market, -4) for _ in range(4)))
    pay(market, (paid, FACE_MINOR), (part, 1))
    credit(market, note(credited, FACE_MINOR, on=market.today))
    with market.services.database.transaction() as session:
        servicing.close_day(market.services, session, {"fire_at": f"{market.today.isoformat()}T14:00:00+00:00"})
    pay(market, (meanwhile, FACE_MINOR))
    market.move(22, 30)
    assert facts(market, paid, credited, meanwhile) == []
    assert facts(market, part) == [(market.today, "late_1", 4, FACE_MINOR - 1)]


def test_closing_a_day_again_changes_nothing(market: House) -> None:
    """The same close twice and three times: no second fact, signature or callback."""
    market.move(9, days=1)
    (asset_id,) = buy(market, fresh(), days=1)
    market.move(22, 30, days=5)
    before = (counts(market), late_events(market, 0, asset_id))
    assert before[1] == [("asset.late", "late_1", 4, FACE_MINOR)]
    fire_at = f"{market.today.isoformat()}T14:00:00+00:00"
    for _ in range(2):
        with market.services.database.transaction() as session:
            jobs.enqueue(session, job="servicing.close_day", payload={"fire_at": fire_at})
        market.run()
    assert (counts(market), late_events(market, 0, asset_id)) == before
    check_conserved(market)


def counts(house: House) -> list[Any]:
    """How many facts, signatures, events and closed days there are."""
    query = """
        SELECT (SELECT count(*) FROM servicing_fact), (SELECT count(*) FROM asset_event),
               (SELECT count(*) FROM funder_event), (SELECT count(*) FROM closed_day)
    """
    return rows(house, query)


def test_workers_at_once_note_each_fact_once(market: House) -> None:
    """Four workers close the same assets at the same moment, each in a transaction of its own."""
    market.move(9, days=1)
    asset_ids = market.submit(*(due_in(market, -19) for _ in range(20)))
    now, today = market.services.clock, market.today
    barrier = Barrier(4)

    def close(backwards: bool) -> None:  # noqa: FBT001 - mapped over
        order = asset_ids[::-1] if backwards else asset_ids
        with market.services.database.transaction() as session:
            moment = now.now(session)
            barrier.wait()
            actions.close_assets(session, services=market.services, asset_ids=order, business_date=today, now=moment)

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(close, [False, True, False, True]))
    market.run()
    assert facts(market, *asset_ids) == [(today, "late_16", 19, FACE_MINOR)] * 20
    market.move(22, 30)
    signed = "SELECT count(*) FROM asset_event WHERE kind = 'asset.late_16' AND asset_id = ANY(:ids)"
    assert rows(market, signed, ids=asset_ids) == [(20,)]
    market.check()


def test_a_day_is_split_into_chunks(market: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many chunks a day has, every asset is in one; the day says how many it touched."""
    monkeypatch.setattr(servicing, "CHUNK", 2)
    market.move(9, days=1)
    asset_ids = market.submit(*(due_in(market, -34) for _ in range(5)))
    market.move(22, 30)
    assert len(facts(market, *asset_ids)) == 5
    day = market.operator.get(f"/v1/closed-days/{market.today}")
    chunks = -(-day["asset_count"] // 2) + 1
    assert (day["chunk_count"], day["chunks_done"]) == (chunks, chunks), "of assets, and one of funders"
    assert day["fact_count"] >= 5
    assert day["ended_at"] is not None
    assert market.operator.get("/v1/closed-days?limit=1")["items"] == [day]


def test_only_the_holder_is_told(market: House) -> None:
    """A seller's own asset is told to nobody, one in an offer neither, a bought one to its funder."""
    rival = len(market.funders)
    market.add_funder("Rival")
    (held,) = buy(market, fresh(), days=3)
    market.move(9, days=2)
    market.funders[0].post("/v1/mandates", mandate(min_face_minor=10**9))
    market.deposit(rival, 10**9)
    market.funders[rival].post("/v1/mandates", mandate(min_tenor_days=0))
    offered, own = market.submit(due_in(market, 8), due_in(market, -3))
    market.move(10, 30, days=6)
    assert (asset(market, offered)["claim"], asset(market, offered)["holder"]) == ("reserved", None)
    with market.services.database.transaction() as session:
        now = market.services.clock.now(session)
        on = market.today + timedelta(days=2 + 4)
        actions.close_assets(session, services=market.services, asset_ids=[offered], business_date=on, now=now)
    market.run()
    assert late_events(market, 0, held) == [("asset.late", "late_1", 4, FACE_MINOR)]
    for funder in range(len(market.funders)):
        assert late_events(market, funder, own) == late_events(market, funder, offered) == []
    assert late_events(market, rival, held) == []
    assert [kind for _, kind, _, _ in facts(market, own)] == ["late_1"]
    assert [kind for _, kind, _, _ in facts(market, offered)] == ["reminder_7", "reminder_3", "late_1"]


KEPT = (
    "SELECT business_date, kind, revision, days_past_due FROM servicing_fact ORDER BY 1, 2, 4",
    "SELECT funder_id, currency, business_date, earned_to_date_minor FROM accrual ORDER BY 1, 2, 3",
    "SELECT cause, reason, suspended_on, lifted_on FROM limit_suspension ORDER BY 3",
    "SELECT business_date, step, fact_count FROM closed_chunk WHERE step = 'accruals' ORDER BY 1, 2",
    "SELECT business_date FROM closed_day ORDER BY 1",
)
"""What a close leaves behind, but for when it was recorded and the ids, which differ from house to house."""


def test_missed_days_are_caught_up_to_the_same_facts(server_url: str, tmp_path: Path) -> None:
    """One house lives day by day, the other sleeps: facts, signatures and callbacks come out alike."""
    lives = []
    for name, steps in (("daily", [1] * 9), ("asleep", [9])):
        (tmp_path / name).mkdir()
        with own_house(server_url, tmp_path / name) as house:
            (bought,) = buy(house, fresh(), days=3)
            house.funders[0].post("/v1/mandates", mandate(min_face_minor=10**9))
            dues = [3 - days for days in MILESTONE_DAYS]
            asset_ids = [bought, *house.submit(*(due_in(house, days) for days in (*dues, 8, 0, 1, 2)))]
            for days in steps:
                house.move(22, 30, days=days)
            kinds = "SELECT kind, count(*) FROM asset_event GROUP BY 1 ORDER BY 1"
            told = late_events(house, 0, bought)
            lived = [tuple(row) for table in KEPT for row in rows(house, table)]
            lives.append(
                (house.today, facts(house, *asset_ids), [tuple(row) for row in rows(house, kinds)], told, lived)
            )
            house.check()
    assert lives[0] == lives[1]
    assert lives[0][3] == [("asset.late", "late_1", 4, FACE_MINOR)]
    assert len(lives[0][1]) > len(MILESTONE_DAYS)


def test_nothing_to_close(house: House) -> None:
    """A day on which no asset has a milestone is closed all the same, and an empty chunk is no error."""
    house.move(22, 30)
    assert rows(house, "SELECT business_date, asset_count FROM closed_day") == [(house.today, 0)]
    with house.services.database.transaction() as session:
        now = house.services.clock.now(session)
        actions.close_assets(session, services=house.services, asset_ids=[], business_date=house.today, now=now)
    assert rows(house, "SELECT * FROM servicing_fact") == []
