"""`Prefer: wait` on a POST: it comes back covered by a published checkpoint, or does not say so."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import TestResponse

from exchange.app import create_app
from exchange.registry import sealing, waiting
from ledger.policy import Policy
from tests.exchange.house import Client, House, receivable
from tests.exchange.registry.readers import head, keep, links


def submit(client: Client, number: str, *, prefer: str | None = "wait=20", **changes: object) -> TestResponse:
    """Submit a receivable and wait."""
    headers = {} if prefer is None else {"Prefer": prefer}
    return client.call(
        "POST",
        "/v1/receivables",
        body={"items": [receivable(number, **changes)]},
        headers=headers,
        key=f"wait-{number}",
    )


def sealing_soon(house: House, *, seconds: float = 0.3) -> threading.Timer:
    """Seal and publish in a moment."""
    timer = threading.Timer(seconds, house.run)
    timer.start()
    return timer


def test_the_answer_comes_with_the_checkpoint(house: House) -> None:
    """Whoever waits can prove the entry at once; asked again under its key, the answer says so again."""
    for _ in range(2):
        timer = sealing_soon(house)
        response = submit(house.platform, "W-1")
        covered = head(house.app.test_client()).size
        timer.join()
        assert response.status_code in {200, 207}, response.text
        assert response.headers["Preference-Applied"] == "wait"
        (item,) = response.get_json()["items"]
        chain = links(house.services, item["asset_id"])
        assert chain
        assert chain[0]["log_index"] < covered


@pytest.mark.parametrize("prefer", [None, "respond-async", "wait=", "wait=x", "wait=-1", "wait=0", "await=9"])
def test_who_does_not_ask_does_not_wait(house: House, prefer: str | None) -> None:
    """No header, another preference, no number: answered at once."""
    began = time.monotonic()
    response = submit(house.platform, f"N-{prefer}".replace("=", "-"), prefer=prefer)
    assert response.status_code < 300
    assert "Preference-Applied" not in response.headers
    assert time.monotonic() - began < 5


def test_patience_ends(house: House) -> None:
    """Nobody seals: the answer comes all the same when the caller's patience ends, and does not claim anything."""
    began = time.monotonic()
    response = submit(house.platform, "W-2", prefer="wait=1")
    assert response.status_code < 300
    assert 1 <= time.monotonic() - began < 10
    assert "Preference-Applied" not in response.headers
    house.run()


def test_patience_is_bounded() -> None:
    """Half a minute at most, whatever is asked."""
    assert waiting.patience_seconds("respond-async, wait=9999") == waiting.LONGEST_WAIT_SECONDS
    assert waiting.patience_seconds("wait=5; x") == 5
    assert waiting.patience_seconds("wait=99999") == 0


def test_a_refused_request_is_answered_at_once(house: House) -> None:
    """Nothing was done, so there is nothing to wait for."""
    began = time.monotonic()
    response = house.platform.call("POST", "/v1/receivables", body={}, headers={"Prefer": "wait=20"})
    assert response.status_code == 422
    assert "Preference-Applied" not in response.headers
    assert time.monotonic() - began < 10


def test_what_does_nothing_is_covered(house: House) -> None:
    """A request that recorded no fact has nothing that a checkpoint lacks."""
    house.run()
    refused = submit(house.platform, "W-3", due_date="2020-01-01")
    assert refused.status_code < 300
    assert refused.headers["Preference-Applied"] == "wait"


def test_only_a_few_may_wait(house: House) -> None:
    """Whoever comes beyond them is answered at once, so that waiting cannot take all threads; and a GET never waits."""
    with ThreadPoolExecutor(waiting.MOST_WAITERS) as pool:
        waiters = [
            pool.submit(submit, replace(house.platform, web=house.app.test_client()), f"W-4-{number}", prefer="wait=3")
            for number in range(waiting.MOST_WAITERS)
        ]
        while waiting._waiters._value:
            time.sleep(0.01)
        began = time.monotonic()
        assert "Preference-Applied" not in submit(house.platform, "W-5").headers
        assert house.platform.call("GET", "/v1/clock", headers={"Prefer": "wait=9"}).status_code == 200
        assert time.monotonic() - began < 3
        assert all(waiter.result().status_code < 300 for waiter in waiters)
    assert waiting._waiters._value == waiting.MOST_WAITERS
    house.run()


def test_a_waiting_caller_holds_no_connection(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks every connection is back in the pool."""
    seen: list[int] = []
    pool: Any = house.services.database.engine.pool

    def look(_seconds: float) -> None:
        seen.append(pool.checkedout())
        house.run()

    monkeypatch.setattr("exchange.registry.waiting.time.sleep", look)
    assert submit(house.platform, "W-6").headers["Preference-Applied"] == "wait"
    assert set(seen) == {0}


def test_under_a_policy_it_waits_for_the_quorum(house: House) -> None:
    """Sealed is not published: without its witnesses no answer claims to be covered."""
    vkey = "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
    policy = Policy.parse(f"witness w {vkey} http://127.0.0.1:1/\nquorum w\n")
    watched = replace(house.services, witness_policy=policy)
    platform = replace(house.platform, web=create_app(watched).test_client())
    timer = sealing_soon(house)
    response = submit(platform, "W-7", prefer="wait=2")
    timer.join()
    assert response.status_code < 300
    assert "Preference-Applied" not in response.headers


def test_facts_of_others_before_it_do_not_matter(house: House) -> None:
    """What waited for its signature before the request came is not waited for; a fact set aside holds up nobody."""
    keep(house.services, "long before", 0)
    with house.services.database.transaction() as session:
        assert waiting._last_fact(house.services) > 0
        assert not waiting._is_covered(house.services, after=0, until=10**9)
        after = waiting._last_fact(house.services)
        assert session.is_active
    assert waiting._is_covered(house.services, after=after, until=after)
    assert sealing.seal(house.services) >= 1
