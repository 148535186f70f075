"""A client's minute is counted once, over all processes, and costs the database next to nothing."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from exchange import http
from exchange.clock import system_now
from exchange.rates import Meter, TooManyRequests
from tests.exchange.house import House

NOW = datetime(2026, 3, 2, 8, 0, 15, tzinfo=UTC)


def spend(house: House, meter: Meter, client_id: str, *, times: int, now: datetime = NOW) -> int:
    """How many of so many requests were let through."""
    passed = 0
    for _ in range(times):
        try:
            meter.spend(client_id, database=house.services.database, now=now)
        except TooManyRequests:
            continue
        passed += 1
    return passed


def test_so_many_and_no_more(house: House) -> None:
    """The next minute is a new one; what is left and how long it lasts is told all along."""
    meter = Meter(limit=3)
    told = [meter.spend("a", database=house.services.database, now=NOW)["RateLimit"] for _ in range(3)]
    assert told == [f'"requests";r={left};t=45' for left in (2, 1, 0)]
    with pytest.raises(TooManyRequests) as caught:
        meter.spend("a", database=house.services.database, now=NOW)
    assert caught.value.headers["Retry-After"] == "45"
    assert caught.value.headers["RateLimit-Policy"] == '"requests";q=3;w=60'
    assert spend(house, meter, "other", times=5) == 3
    assert spend(house, meter, "a", times=5, now=NOW + timedelta(seconds=45)) == 3


@pytest.mark.parametrize("limit", [1, 7, 400, 1000])
def test_processes_share_one_count(house: House, limit: int) -> None:
    """Many threads in two processes: never more than the limit together, and one alone gets all of it."""
    client = f"shared-{limit}"
    meters = [Meter(limit=limit) for _ in range(2)]
    with ThreadPoolExecutor(4) as threads:
        tried = [threads.submit(spend, house, meters[number % 2], client, times=limit) for number in range(4)]
        passed = sum(one.result() for one in tried)
    assert limit - 2 * meters[0].handful < passed <= limit
    assert spend(house, Meter(limit=limit), f"{client}-alone", times=2 * limit) == limit


def test_floods_do_not_reach_the_database(house: House) -> None:
    """A handful is one update, and who is over the limit costs none."""
    meter = Meter(limit=1000)
    statements: list[str] = []
    engine = house.services.database.engine
    event.listen(engine, "before_cursor_execute", lambda _c, _u, statement, *_: statements.append(statement))
    assert spend(house, meter, "flood", times=5000) == 1000
    assert len([one for one in statements if "request_count" in one]) == 200


def test_over_http(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers tell; the third is 429 with the same headers, whatever it asks for."""
    now = system_now() + timedelta(minutes=1)
    monkeypatch.setattr(http, "system_now", lambda: now)
    monkeypatch.setitem(house.app.extensions, http.METER, Meter(limit=2))
    headers = {"Authorization": f"Bearer {house.operator.token}"}
    answers = [house.operator.web.get("/v1/clock", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].get_json()["code"] == "too_many_requests"
    assert all(answer.headers["RateLimit-Policy"] == '"requests";q=2;w=60' for answer in answers)
    assert [answer.headers["RateLimit"].split(";")[1] for answer in answers] == ["r=1", "r=0", "r=0"]
    assert "Retry-After" in answers[-1].headers


def test_what_a_reader_has_already(house: House) -> None:
    """A strong tag with every read; the same again is 304 without a body."""
    headers = {"Authorization": f"Bearer {house.operator.token}"}
    answer = house.operator.web.get("/v1/workers", headers=headers)
    tag = answer.headers["ETag"]
    assert (answer.status_code, tag[:1]) == (200, '"')
    again = house.operator.web.get("/v1/workers", headers=headers | {"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    other = house.operator.web.get("/v1/workers", headers=headers | {"If-None-Match": '"other"'})
    assert (other.status_code, other.data) == (200, answer.data)
