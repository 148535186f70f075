"""When a round is held, what it says while it runs, and what a solver that ran away leaves."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from exchange.rounds import jobs
from exchange.rounds.answers import Solved, solve
from tests.exchange.house import House, mandate
from tests.exchange.pools.shared import invoice
from tests.exchange.pools.soundness import claims, sound


def ready(house: House) -> str:
    """A funder with a mandate and money, and a free asset."""
    house.deposit(0, 50_000_000)
    house.funders[0].post("/v1/mandates", mandate())
    (asset_id,) = house.submit(invoice(house))
    return asset_id


def test_no_round_while_the_market_is_closed(house: House) -> None:
    """On a Sunday the calendar's round leaves the currency out; one that is asked for does not, and offers wait."""
    settings = replace(house.services.settings, calendars=(("CNY", "CN"),))
    house.services = replace(house.services, settings=settings)
    house.only("pools", "funding")
    house.move(9, days=6)
    assert house.today.isoweekday() == 7
    asset_id = ready(house)
    house.move(10, 30)
    held = house.operator.get("/v1/rounds?limit=100")["items"][-1]
    assert (held["state"], held["asset_count"], claims(house)) == ("done", 0, {asset_id: "free"})
    asked = house.operator.post("/v1/rounds", None)["round_id"]
    house.run()
    assert house.operator.get(f"/v1/rounds/{asked}")["matched_count"] == 1
    (offer,) = house.funders[0].get("/v1/offers")["items"]
    assert offer["valid_until"] == "2026-03-09T05:00:00Z", "one o'clock on Monday"
    sound(house)


def test_progress_is_shown_while_it_runs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step that the solver tells can be read at once, while the round is open."""
    ready(house)
    seen: list[tuple[str, Any]] = []

    def watched(*args: Any, progress: Callable[[str, int, int], None], **kwargs: Any) -> Solved:  # noqa: ANN401 - passed on
        def told(step: str, done: int, of: int) -> None:
            progress(step, done, of)
            (shown,) = house.operator.get(f"/v1/rounds/{asked}")["clearings"]
            seen.append((shown["outcome"], shown["progress"]))
            assert shown["progress"] == {"step": step, "done": done, "of": of}

        return solve(*args, progress=told, **kwargs)

    monkeypatch.setattr(jobs, "TELL_SECONDS", 0.0)
    monkeypatch.setattr(jobs, "solve", watched)
    asked = house.operator.post("/v1/rounds", None)["round_id"]
    house.run()
    assert len(seen) > 1
    assert {outcome for outcome, _ in seen} == {"solving"}
    assert house.operator.get(f"/v1/rounds/{asked}")["matched_count"] == 1


def test_a_solver_that_ran_away_leaves_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended by its time: no answer at all, no offer, and the round is still open; done again, it gives its answer."""
    asset_id = ready(house)
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "SOLVE_SECONDS", -1.0)
        asked = house.operator.post("/v1/rounds", None)["round_id"]
        with pytest.raises(TimeoutError, match="a solver ran"):
            house.run()
    shown = house.operator.get(f"/v1/rounds/{asked}")
    (cleared,) = shown["clearings"]
    assert (shown["state"], cleared["outcome"], cleared["complete"]) == ("open", "solving", None)
    assert (house.funders[0].get("/v1/offers")["items"], claims(house)) == ([], {asset_id: "free"})
    sound(house)
    house.run()
    assert claims(house) == {asset_id: "reserved"}
    assert house.operator.get(f"/v1/rounds/{asked}")["state"] == "done"
    sound(house)


def test_a_currency_nobody_holds_and_a_round_of_nothing(house: House) -> None:
    """No mandate in the currency: said so, and nothing is offered; on-demand rounds of no assets end at once."""
    empty = house.operator.post("/v1/rounds", None)
    assert empty["state"] == "done"
    ready(house)
    (other,) = house.submit(invoice(house, currency="USD"))
    asked = house.operator.post("/v1/rounds", None)["round_id"]
    house.run()
    outcomes = {one["currency"]: one["outcome"] for one in house.operator.get(f"/v1/rounds/{asked}")["clearings"]}
    assert (outcomes, claims(house)[other]) == ({"CNY": "placed", "USD": "no_mandates"}, "free")
    sound(house)
