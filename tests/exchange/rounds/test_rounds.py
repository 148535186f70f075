"""Rounds in the database: once for each cut-off, whole or not at all, and never more than limits and cash allow."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from exchange.jobs import Handler
from exchange.pools import jobs
from exchange.rounds import jobs as rounds
from ledger import log
from tests.exchange.house import House, mandate, receipt
from tests.exchange.pools.contention import at_once, held_back, terminate
from tests.exchange.pools.shared import invoice
from tests.exchange.pools.soundness import claims, sound

TEN = datetime(2026, 3, 2, 2, tzinfo=UTC)
TURN = "SELECT pg_advisory_xact_lock(hashtext('pools.round'))"
LOCK_ROUND = "SELECT FROM clearing_round FOR UPDATE"
CONTROLLER = {"controller": {"national_id": "11010519491231002X"}}


def step(house: House, handler: Handler, payload: dict[str, Any] | None = None) -> Callable[[], None]:
    """A worker that does one piece of a round."""

    def work() -> None:
        with house.services.database.transaction() as session:
            handler(house.services, session, payload or {"fire_at": TEN.isoformat()})

    return work


def of_round(house: House) -> dict[str, Any]:
    """The payload that names the only round that is not over."""
    with house.services.database.snapshot() as session:
        query = text("SELECT round_id FROM clearing_round WHERE state IN ('open', 'solved')")
        return {"round_id": session.execute(query).scalar_one()}


def ready(house: House, count: int = 2, **changes: object) -> list[str]:
    """A funder with a mandate and money, and some free assets of one million each."""
    house.deposit(0, 50_000_000)
    house.funders[0].post("/v1/mandates", mandate(**changes))
    return house.submit(*(invoice(house) for _ in range(count)))


def rows(house: House, table: str) -> int:
    """How many rows a table has."""
    with house.services.database.snapshot() as session:
        return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608 - a name of ours


def states(house: House) -> list[str]:
    """The states of all rounds, by their cut-offs."""
    with house.services.database.snapshot() as session:
        return list(session.execute(text("SELECT state FROM clearing_round ORDER BY cut_off_at")).scalars())


def why_not(house: House, mandate_id: str, asset_id: str) -> list[str]:
    """The codes of the first funder's reasons."""
    answer = house.funders[0].get(f"/v1/mandates/{mandate_id}/why-not/{asset_id}")
    assert answer["matches"] == (not answer["refusals"])
    return [reason["code"] for reason in answer["refusals"]]


def test_a_round_is_asked_for_once(house: House) -> None:
    """Three workers at the same cut-off are one round; later new assets do not make it another."""
    ready(house)
    asked = [step(house, rounds.ask_round)] * 3
    assert at_once(house.services, TURN, *asked) == [None] * 3
    house.run()
    assert (rows(house, "clearing_round"), rows(house, "pool"), rows(house, "pool_asset")) == (1, 1, 2)
    house.submit(invoice(house))
    step(house, rounds.ask_round)()
    house.move(10, 30)
    assert (rows(house, "clearing_round"), rows(house, "pool"), rows(house, "pool_asset")) == (1, 1, 2)
    assert len(house.funders[0].get("/v1/offers")["items"]) == 1
    sound(house)


def test_rounds_never_overlap(house: House) -> None:
    """Cut-offs that come together: one is open, the others wait, and each begins when the one before is over."""
    ready(house, 3)
    for minute in (0, 1, 2):
        step(house, rounds.ask_round, {"fire_at": TEN.replace(minute=minute).isoformat()})()
    assert states(house) == ["open", "waiting", "waiting"]
    with house.services.database.transaction() as session, pytest.raises(IntegrityError, match="running"):
        session.execute(text("UPDATE clearing_round SET state = 'open' WHERE state = 'waiting'"))
    house.run()
    assert states(house) == ["done"] * 3
    assert (rows(house, "pool"), rows(house, "pool_asset")) == (1, 3)
    sound(house)


def test_solved_and_applied_once(house: House) -> None:
    """Two workers that solve, and two that apply, leave what one does."""
    asset_ids = ready(house)
    step(house, rounds.ask_round)()
    named = of_round(house)
    assert at_once(house.services, LOCK_ROUND, *[step(house, rounds.solve_round, named)] * 2) == [None] * 2
    assert at_once(house.services, LOCK_ROUND, *[step(house, rounds.apply_round, named)] * 2) == [None] * 2
    house.run()
    assert claims(house) == dict.fromkeys(asset_ids, "reserved")
    assert rows(house, "offer") == 1
    sound(house)


@pytest.mark.parametrize(
    ("handler", "lock"),
    [
        (rounds.ask_round, TURN),
        (rounds.ask_round, "LOCK TABLE work_item IN SHARE MODE"),
        (rounds.solve_round, LOCK_ROUND),
        (rounds.solve_round, "LOCK TABLE work_item IN SHARE MODE"),
        (rounds.apply_round, "SELECT FROM claim FOR UPDATE"),
        (rounds.apply_round, "SELECT FROM exposure FOR UPDATE"),
        (rounds.apply_round, "LOCK TABLE work_item IN SHARE MODE"),
    ],
)
def test_a_worker_killed_in_a_round_leaves_no_offer(house: House, handler: Handler, lock: str) -> None:
    """Killed at any step, before or after it wrote: no pool, no offer; the next worker takes the round up again."""
    asset_ids = ready(house)
    before: list[Handler] = [rounds.ask_round, rounds.solve_round]
    named: dict[str, Any] | None = None
    for done in before[: [*before, rounds.apply_round].index(handler)]:
        step(house, done, named)()
        named = of_round(house)
    with held_back(house.services, lock, step(house, handler, named)) as (worker,):
        terminate(house.services)
        assert isinstance(worker.exception(timeout=10), OperationalError)
    assert [rows(house, name) for name in ("pool", "pool_asset", "offer")] == [0] * 3
    assert set(claims(house).values()) == {"free"}
    sound(house)
    house.move(10, 30)
    assert claims(house) == dict.fromkeys(asset_ids, "reserved")
    assert states(house) == ["done"]
    sound(house)


def test_what_is_gone_meanwhile_is_dropped(house: House) -> None:
    """Paid, disputed, the mandate changed, the money gone since the cut-off: dropped, said so, and the rest is done."""
    whole, paid, part_paid = ready(house, 3)
    house.add_funder("Second")
    house.deposit(1, 5_000_000)
    house.funders[1].post("/v1/mandates", mandate(currency="CNY", min_face_minor=2_000_000, base_rate_bps=0))
    (large,) = house.submit(invoice(house, face_minor=2_000_000, obligor={"scheme": "platform", "value": "obligor-2"}))
    step(house, rounds.ask_round)()
    named = of_round(house)
    step(house, rounds.solve_round, named)()
    lines = [receipt(paid, 1_000_000, value_date=house.today), receipt(part_paid, 1, value_date=house.today)]
    house.operator.post("/v1/receipts", {"items": lines})
    (other,) = house.funders[1].get("/v1/mandates")["items"]
    house.funders[1].post(f"/v1/mandates/{other['mandate_id']}/end", None)
    step(house, rounds.apply_round, named)()
    house.run()
    assert claims(house) == {whole: "reserved", paid: "closed", part_paid: "free", large: "free"}
    shown = house.operator.get(f"/v1/rounds/{named['round_id']}")
    assert {one["asset_id"]: one["code"] for one in shown["dropped"]} == {
        paid: "not_free",
        part_paid: "amount_changed",
        large: "mandate_changed",
    }
    sound(house)


def test_the_seed_is_the_published_checkpoint(house: House) -> None:
    """A round's seed is the root that everybody could read before it."""
    ready(house)
    with house.services.database.snapshot() as session:
        checkpoint = log.latest_checkpoint(session.connection())
    step(house, rounds.ask_round)()
    with house.services.database.snapshot() as session:
        seed = session.execute(text("SELECT seed FROM clearing_round")).scalar_one()
    assert checkpoint is not None
    assert seed == checkpoint.root.hex()


def test_a_round_before_anything(house: House) -> None:
    """No mandates, no assets: an empty round. Its seed is what the log is from the first day: the keys' records."""
    step(house, rounds.ask_round)()
    with house.services.database.snapshot() as session:
        row = session.execute(text("SELECT seed, asset_count, matched_count, matched_face FROM clearing_round")).one()
        root = session.execute(text("SELECT encode(root, 'hex') FROM log_checkpoint")).scalar_one()
    assert tuple(row) == (root, 0, 0, {})
    assert rows(house, "work_item") == 0


def test_why_not_says_what_the_round_does(house: House) -> None:
    """Asked before the round, the answer is the round's: an asset is offered if and only if nothing is against it."""
    house.deposit(0, 50_000_000)
    terms = mandate(max_tenor_days=90, max_face_minor=2_000_000, recourse=["without"], max_pd_ppm=500_000)
    mandate_id = house.funders[0].post("/v1/mandates", terms)["mandate_id"]
    seller, obligor = ({"scheme": "platform", "value": name} | CONTROLLER for name in ("kin-1", "kin-2"))
    assets = house.submit(
        invoice(house),
        invoice(house, days=91),
        invoice(house, days=0),
        invoice(house, face_minor=2_000_001),
        invoice(house, recourse="with", confirmation={"grade": "deemed", "confirmed_date": "2026-03-02"}),
        invoice(house, currency="USD"),
        invoice(house, seller=seller),
    )
    (related,) = house.submit(invoice(house, seller=seller, obligor=obligor))
    refused = house.funders[0].refused("GET", f"/v1/assets/{related}/why-not")
    assert (refused["status"], refused["code"]) == (404, "not_found"), "it is not listed at all"
    reasons = {asset_id: why_not(house, mandate_id, asset_id) for asset_id in assets}
    assert list(reasons.values()) == [
        [],
        ["max_tenor"],
        ["min_tenor"],
        ["max_face"],
        ["recourse"],
        ["currency"],
        [],
    ]
    house.move(10, 30)
    assert {asset_id for asset_id, state in claims(house).items() if state == "reserved"} == {
        asset_id for asset_id, found in reasons.items() if not found
    }
    sound(house)


def test_an_asset_that_is_not_free_matches_nothing(house: House) -> None:
    """Offered, committed, bought or paid: no round gives it to anybody, and why-not says so first."""
    (asset_id,) = ready(house, 1)
    (own,) = house.funders[0].get("/v1/mandates")["items"]
    assert why_not(house, own["mandate_id"], asset_id) == []
    house.move(10, 30)
    assert why_not(house, own["mandate_id"], asset_id) == ["not_free"]
    (offer,) = house.funders[0].get("/v1/offers")["items"]
    house.funders[0].post(f"/v1/offers/{offer['offer_id']}/commitment", {})
    house.move(14, 30)
    assert why_not(house, own["mandate_id"], asset_id) == ["not_free"]
    house.operator.post("/v1/receipts", {"items": [receipt(asset_id, 1_000_000, value_date=house.today)]})
    assert why_not(house, own["mandate_id"], asset_id)[:2] == ["not_free", "min_face"]


def test_budget_and_caps_count_over_rounds_and_versions(house: House) -> None:
    """What a mandate holds from earlier rounds, under any of its versions, counts; a narrower one takes no more."""
    house.deposit(0, 50_000_000)
    bank = house.funders[0]
    wide = mandate(name="core", base_rate_bps=0, budget_minor=3_000_000, obligor_cap_minor=2_000_000)
    bank.post("/v1/mandates", wide)
    other = {"scheme": "platform", "value": "obligor-2"}
    house.submit(*(invoice(house) for _ in range(3)))
    house.move(10, 30)
    assert sorted(claims(house).values()) == ["free", "reserved", "reserved"]
    answer = bank.post("/v1/mandates", wide | {"budget_minor": 2_000_000})
    (offer,) = bank.get("/v1/offers")["items"]
    assert (offer["mandate_version"], answer["version"]) == (1, 2)
    bank.post(f"/v1/offers/{offer['offer_id']}/commitment", {})
    (extra,) = house.submit(invoice(house, obligor=other))
    assert why_not(house, answer["mandate_id"], extra) == ["budget"]
    house.move(10, 30, days=1)
    assert sorted(claims(house).values()) == ["assigned", "assigned", "free", "free"]
    assert bank.get("/v1/mandates")["items"][0]["used_minor"] == 2_000_000
    bank.post("/v1/mandates", wide)
    house.move(10, 30, days=1)
    assert claims(house)[extra] == "reserved"
    sound(house)


def test_a_part_paid_asset_is_offered_at_what_is_still_owed(house: House) -> None:
    """The face in a pool is what is left, and so is the price."""
    (asset_id,) = ready(house, 1, base_rate_bps=0)
    house.operator.post("/v1/receipts", {"items": [receipt(asset_id, 400_000, value_date=house.today)]})
    house.move(10, 30)
    (offer,) = house.funders[0].get("/v1/offers")["items"]
    assert (offer["face_minor"], offer["price_minor"]) == (600_000, 600_000)
    sound(house)


def test_obligors_limit_over_all_funders(house: House) -> None:
    """Many mandates with much money together never take more than the obligor's limit leaves."""
    house.add_funder("Second")
    for funder in (0, 1):
        house.deposit(funder, 10**9)
        house.funders[funder].post("/v1/mandates", mandate())
    house.submit(*(invoice(house, face_minor=7_000_000) for _ in range(12)))
    for _ in range(2):
        house.move(10, 30, days=1)
        sound(house)
    taken = [state for state in claims(house).values() if state != "free"]
    with house.services.database.snapshot() as session:
        limit_minor = session.execute(text("SELECT limit_minor FROM exposure")).scalar_one()
    assert 0 < len(taken) == limit_minor // 7_000_000 < 12


def test_days_missed_are_caught_up(house: House) -> None:
    """A clock that jumps over days runs every round once; later ones do not spend money that is held already."""
    house.deposit(0, 1_500_000)
    house.funders[0].post("/v1/mandates", mandate())
    house.submit(*(invoice(house) for _ in range(3)))
    house.move(10, 30, days=3)
    assert rows(house, "clearing_round") == 4
    assert sorted(claims(house).values()) == ["free", "free", "reserved"]
    sound(house)


def test_currencies_do_not_mix(house: House) -> None:
    """Each currency clears by itself: its own assets, mandates, cash and limits, though the obligor is one."""
    bank = house.funders[0]
    house.deposit(0, 2_000_000, currency="CNY")
    house.deposit(0, 3_000, currency="JPY")
    for currency in ("CNY", "JPY", "USD"):
        bank.post("/v1/mandates", mandate(name=currency, currency=currency))
    cny, jpy, usd = house.submit(
        invoice(house), invoice(house, currency="JPY", face_minor=2_000), invoice(house, currency="USD")
    )
    house.move(10, 30)
    assert claims(house) == {cny: "reserved", jpy: "reserved", usd: "free"}
    offers = {offer["currency"]: offer["face_minor"] for offer in bank.get("/v1/offers")["items"]}
    assert offers == {"CNY": 1_000_000, "JPY": 2_000}
    sound(house)


def test_pools_are_their_funders_own(house: House) -> None:
    """A funder reads its own pools page by page, the operator all; others and the platform none."""
    house.add_funder("Second")
    ready(house, 2, name="one", max_face_minor=1_000_000)
    house.funders[0].post("/v1/mandates", mandate(name="two", min_face_minor=1_000_001))
    house.submit(invoice(house, face_minor=1_000_001))
    house.move(10, 30)
    first = house.funders[0].get("/v1/pools?limit=1")
    second = house.funders[0].get(f"/v1/pools?limit=1&after={first['next']}")
    last = house.funders[0].get(f"/v1/pools?limit=1&after={second['next']}")
    pools = first["items"] + second["items"]
    assert (last["items"], last["next"]) == ([], None)
    assert sorted((pool["asset_count"], pool["live_count"], pool["face_minor"]) for pool in pools) == [
        (1, 1, 1_000_001),
        (2, 2, 2_000_000),
    ]
    assert house.operator.get("/v1/pools")["items"] == pools
    assert house.funders[1].get("/v1/pools")["items"] == []
    assert house.platform.refused("GET", "/v1/pools")["code"] == "forbidden"
    assert house.funders[0].refused("GET", "/v1/pools?after=W10")["code"] == "bad_cursor"
    assert house.funders[0].refused("GET", "/v1/pools?limit=0")["status"] == 422


def test_listing_again_changes_nothing(house: House) -> None:
    """An asset that is listed twice keeps the claim it has."""
    asset_ids = ready(house)
    house.move(10, 30)
    with house.services.database.transaction() as session:
        jobs.list_assets(house.services, session, {"asset_ids": asset_ids})
    assert claims(house) == dict.fromkeys(asset_ids, "reserved")
    assert house.today == date(2026, 3, 2)
