"""The rating centre: looked up by who may, with every question kept."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from exchange.ratings import rules
from scoring.grades import NAMES as GRADES
from tests.exchange.house import House, receivable
from tests.exchange.premises import premises

CONSENT = {"purpose": "monitoring", "consent": "a" * 64, "from_date": "2026-03-02", "until_date": "2026-06-30"}
BUYERS = 7


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Seven obligors with a past: from prompt to very late; all were looked at once."""
    with premises(server_url, tmp_path_factory.mktemp("home")) as house:
        house.only()
        past = [past_trade(buyer, number) for buyer in range(BUYERS) for number in range(6)]
        answer = house.platform.post("/v1/trade-history", {"items": past})
        assert {item["status"] for item in answer["items"]} == {201}
        house.submit(*[receivable(f"LIVE-{buyer}", obligor=obligor(buyer)) for buyer in range(BUYERS)])
        sweep(house)
        yield house


def obligor(buyer: int) -> dict[str, Any]:
    """One of the seven."""
    return {"scheme": "platform", "value": f"b-{buyer}", "sector": "film" if buyer < 6 else "pipe"}


def past_trade(buyer: int, number: int) -> dict[str, Any]:
    """An invoice of last year, settled ten days later for each buyer than for the one before."""
    issued = date(2025, 6, 1) + timedelta(days=10 * number)
    due = issued + timedelta(days=30)
    return {
        "invoice_number": f"OLD-{buyer}-{number}",
        "seller": {"scheme": "platform", "value": "seller-1"},
        "obligor": obligor(buyer),
        "currency": "CNY",
        "face_minor": 1_000_000,
        "issue_date": issued.isoformat(),
        "due_date": due.isoformat(),
        "settled_date": (due + timedelta(days=10 * buyer)).isoformat(),
    }


def sweep(house: House) -> None:
    """Look at everybody who owes something, now."""
    with house.services.database.transaction() as session:
        session.execute(text("INSERT INTO work_item (job, payload, attempts, due_at) "
                             "VALUES ('reviews.sweep', '{}', 0, now())"))  # fmt: skip
    house.run()


def company_id(house: House, buyer: int) -> str:
    """The id of one of the seven."""
    with house.services.database.transaction() as session:
        query = text("SELECT company_id FROM company WHERE value = :value")
        return str(session.execute(query, {"value": f"b-{buyer}"}).scalar_one())


def allow(house: House, **terms: Any) -> str:  # noqa: ANN401 - terms of a grant
    """Grant the first funder something."""
    return str(
        house.operator.post("/v1/rating-grants", CONSENT | {"funder_id": house.funder_ids[0]} | terms)["grant_id"]
    )


def test_a_rating_with_reasons_peers_and_payment_index(house: House) -> None:
    """The prompt payer is at 80 and safer than most; the one thirty days late at 50; why is said in both languages."""
    best, worst = (house.operator.get(f"/v1/companies/{company_id(house, buyer)}/rating") for buyer in (0, 3))
    assert (best["payment_index"]["index"], worst["payment_index"]["index"]) == (80, 50)
    assert best["payment_index"]["invoices"] == 6
    assert best["rating"]["pd_ppm"] <= worst["rating"]["pd_ppm"]
    assert best["peers"]["sector"]["percentile"] >= worst["peers"]["sector"]["percentile"]
    assert best["peers"]["sector"]["peers"] == 5
    assert best["peers"]["product"]["peers"] == BUYERS - 1
    assert all(reason["en"] and reason["zh"] for reason in best["rating"]["reasons"])


def test_a_place_among_few_is_not_told(house: House) -> None:
    """The only one of its sector has no place in it: that would tell of nobody, or of one."""
    alone = house.operator.get(f"/v1/companies/{company_id(house, 6)}/rating")["peers"]
    assert alone["sector"] == {"peers": 0, "percentile": None}


def test_past_ratings_stay(house: House) -> None:
    """As of a day before it was looked at there is none; history has what was, newest first; a month later again."""
    path = f"/v1/companies/{company_id(house, 1)}"
    assert house.operator.get(f"{path}/rating?as_of=2026-03-01")["rating"] is None
    first = house.operator.get(f"{path}/ratings")["items"]
    sweep(house)
    assert house.operator.get(f"{path}/ratings")["items"] == first, "nothing changed the same day"
    house.move(9, days=31)
    sweep(house)
    later = house.operator.get(f"{path}/ratings")["items"]
    assert later[-len(first) :] == first
    assert len(later) == len(first) + 1
    assert house.operator.get(f"{path}/rating?as_of=2026-03-02")["rating"] == first[0]
    moves = house.operator.get("/v1/rating-migration?from_date=2026-03-02&until_date=2026-04-02")["items"]
    assert sum(one["obligors"] for one in moves) == BUYERS
    assert all(sum(one["to"].values()) + one["not_rated"] == one["obligors"] for one in moves)


def test_who_may_ask_is_granted(house: House) -> None:
    """Without a grant there is nothing; with one only that company; expired or revoked, nothing again."""
    funder, asked, other = house.funders[0], company_id(house, 0), company_id(house, 1)
    paths = (f"/v1/companies/{asked}/rating", f"/v1/companies/{asked}/ratings")
    assert {funder.refused("GET", path)["code"] for path in paths} == {"not_found"}
    grant = allow(house, company_id=asked)
    assert funder.get(paths[0])["company_id"] == asked
    assert funder.refused("GET", f"/v1/companies/{other}/rating")["code"] == "not_found"
    assert funder.refused("GET", "/v1/rating-migration?from_date=2026-03-02&until_date=2026-03-02")["status"] == 404
    assert [one["grant_id"] for one in funder.get("/v1/rating-grants")["items"]] == [grant]
    house.operator.post(f"/v1/rating-grants/{grant}/revocation", {"reason": "withdrawn"})
    assert funder.refused("GET", paths[0])["code"] == "not_found"
    allow(house, until_date="2026-03-02")
    if house.today > date(2026, 3, 2):
        assert funder.refused("GET", paths[0])["code"] == "not_found"
    allow(house)
    assert funder.get("/v1/rating-migration?from_date=2026-03-02&until_date=2026-03-02")["items"]
    assert funder.get(f"/v1/companies/{other}/rating")["company_id"] == other


def test_another_funder_sees_no_grant(house: House) -> None:
    """Neither in the list nor by asking."""
    stranger = house.add_funder("Stranger")
    allow(house, company_id=company_id(house, 2))
    assert stranger.get("/v1/rating-grants")["items"] == []
    assert stranger.refused("GET", f"/v1/companies/{company_id(house, 2)}/rating")["code"] == "not_found"


def test_every_question_is_kept(house: House) -> None:
    """Who, about whom, what, by which grant; one that was not answered is none. Rows cannot be taken away."""
    funder, asked = house.funders[0], company_id(house, 4)
    grant = allow(house, company_id=asked)
    before = house.operator.get(f"/v1/rating-accesses?company_id={asked}")["items"]
    funder.get(f"/v1/companies/{asked}/rating")
    house.operator.get(f"/v1/companies/{asked}/ratings")
    kept = house.operator.get(f"/v1/rating-accesses?company_id={asked}")["items"][len(before) :]
    assert [(one["asked"], one["funder_id"], one["grant_id"]) for one in kept] == [
        ("rating", house.funder_ids[0], grant),
        ("history", None, None),
    ]


def test_a_grant_that_cannot_be(house: House) -> None:
    """Ending before it begins, for nobody, about nobody; a number that nobody has."""
    wrong = CONSENT | {"funder_id": house.funder_ids[0], "until_date": "2026-03-01"}
    assert house.operator.refused("POST", "/v1/rating-grants", wrong)["errors"][0]["code"] == "until_before_from"
    nobody = CONSENT | {"funder_id": "fnd_01h455vb4pex5vsknk084sn02q"}
    assert house.operator.refused("POST", "/v1/rating-grants", nobody)["code"] == "not_found"
    number = "/v1/rated-companies?scheme=uscc&value=91330200MA2XXXXX0X"
    assert house.operator.refused("GET", number)["code"] == "not_found"


@pytest.mark.parametrize(("days", "points"), [(-40, 100), (-30, 100), (0, 80), (15, 70), (22, 60), (30, 50), (120, 20),
                                              (180, 1), (999, 1)])  # fmt: skip
def test_the_index_at_its_corners(days: int, points: int) -> None:
    """As published: prompt is 80, fifteen days beyond terms 70, thirty days 50."""
    assert rules.payment_index([(days, 5)]) == points


@given(st.integers(-50, 400), st.integers(-50, 400))
def test_later_is_never_better(one: int, other: int) -> None:
    """The index falls, or stays, with every day."""
    early, late = sorted((one, other))
    assert rules.index_of(early) >= rules.index_of(late)


@given(st.lists(st.tuples(st.integers(-50, 400), st.integers(1, 10**12)), max_size=20))
def test_weighted_by_amount(told: list[tuple[int, int]]) -> None:
    """Between the worst and the best of its invoices; none without any."""
    index = rules.payment_index(told)
    if not told:
        assert index is None
        return
    points = [rules.index_of(days) // 100 for days, _ in told]
    assert index is not None
    assert min(points) <= index <= max(points)


@given(st.dictionaries(st.integers(0, 30), st.integers(0, 10)), st.dictionaries(st.integers(0, 30), st.integers(0, 10)))
def test_nobody_is_lost_in_the_matrix(before: dict[int, int], after: dict[int, int]) -> None:
    """Each obligor of the first day is in one cell."""
    matrix = rules.migration(before, after, grades=len(GRADES))
    assert sum(map(sum, matrix)) == len(before)
    for obligor, grade in before.items():
        assert matrix[grade][after.get(obligor, len(GRADES))] > 0
