"""The clock, the checks, health."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from exchange.auth import Role
from exchange.operations import rules
from tests.exchange.house import House, receivable
from tests.exchange.owner import as_owner

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)


@given(st.timedeltas(timedelta(days=-999), timedelta(days=999)))
def test_the_clock_only_moves_forward(by: timedelta) -> None:
    """Not at all if it is the machine's; on the virtual one not back, and to stand still is no move back."""
    with pytest.raises(rules.ClockNotVirtual):
        rules.check_move(virtual=False, now=NOW, to=NOW + by)
    if by >= timedelta():
        rules.check_move(virtual=True, now=NOW, to=NOW + by)
        return
    with pytest.raises(rules.ClockMovesForward) as refused:
        rules.check_move(virtual=True, now=NOW, to=NOW + by)
    assert refused.value.faults[0].pointer == "/now"


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("wait=10", 10),
        ("respond-async, wait=5", 5),
        ("respond-async;wait=5", 5),
        ("wait=9999", 30),
        ("wait=99999", 0),
        ("wait=-1", 0),
        ("wait=１", 0),
        ("await=10", 0),
        ("wait=", 0),
        ("wait=0", 0),
    ],
)
def test_patience(prefer: str | None, seconds: int) -> None:
    """RFC 7240's `wait`, up to half a minute, for operators only: whoever waits holds a thread of ours."""
    assert rules.patience_seconds(prefer, role=Role.OPERATOR) == seconds
    for role in (Role.PLATFORM, Role.FUNDER, Role.AUDITOR):
        assert rules.patience_seconds(prefer, role=role) == 0


def test_quiet_says_what_is_pending(house: House) -> None:
    """Quiet, then work, then facts to seal, then quiet again; a move that fires makes work."""
    assert house.operator.get("/v1/clock") == {
        "now": "2026-03-02T01:00:00Z",
        "virtual": True,
        "idle": True,
        "quiet": True,
        "pending": {"work": 0, "unsealed": 0, "unpublished": 0, "undelivered": 0},
    }
    house.platform.post("/v1/receivables", {"items": [receivable("A")]})
    state = house.funders[0].get("/v1/clock")
    assert not state["quiet"]
    assert (state["pending"]["work"], state["pending"]["unsealed"]) == (1, 1)
    house.run()
    assert house.operator.get("/v1/clock")["quiet"]
    moved = house.operator.put("/v1/clock", {"now": "2026-03-02T02:00:00Z"})
    assert (moved["now"], moved["quiet"]) == ("2026-03-02T02:00:00Z", False)
    house.run()
    assert house.operator.get("/v1/clock")["quiet"]


def test_back_in_time(house: House) -> None:
    """Refused, and the clock stands where it stood; to the moment it is already is no harm."""
    problem = house.operator.refused("PUT", "/v1/clock", {"now": "2026-03-02T00:59:59Z"})
    assert (problem["status"], problem["code"]) == (422, "clock_moves_forward")
    assert house.operator.put("/v1/clock", {"now": "2026-03-02T09:00:00+08:00"})["now"] == "2026-03-02T01:00:00Z"


def test_a_move_overtaken_by_another(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another operator moved it further while we looked, ours is refused as a step back."""
    house.operator.put("/v1/clock", {"now": "2026-03-02T05:00:00Z"})
    monkeypatch.setattr(rules, "check_move", lambda **_: None)
    problem = house.operator.refused("PUT", "/v1/clock", {"now": "2026-03-02T04:00:00Z"})
    assert problem["code"] == "clock_moves_forward"
    assert house.operator.get("/v1/clock")["now"] == "2026-03-02T05:00:00Z"


def test_waiting_ends(house: House) -> None:
    """The operator may wait for quiet; if it does not come, the answer does."""
    house.platform.post("/v1/receivables", {"items": [receivable("A")]})
    begin = time.monotonic()
    assert not house.operator.get("/v1/clock", Prefer="wait=1")["quiet"]
    assert 1 <= time.monotonic() - begin < 10
    begin = time.monotonic()
    assert not house.platform.get("/v1/clock", Prefer="wait=20")["quiet"]
    house.run()
    assert house.operator.get("/v1/clock", Prefer="wait=20")["quiet"]
    assert time.monotonic() - begin < 10


def test_checks_find_what_is_wrong(house: House) -> None:
    """Clean at first; a changed balance and a changed log entry are found and told in the contract's form."""
    house.deposit(0, 1000)
    house.submit(receivable("A"))
    assert house.operator.get("/v1/checks") == {"books": [], "log": []}
    with as_owner(house.services.database) as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text("UPDATE books_balances SET balance_minor = balance_minor + 1 WHERE balance_minor > 0"))
        session.execute(text("UPDATE log_checkpoint SET note = replace(note, 'exchange', 'another')"))
    found = house.operator.get("/v1/checks")
    assert found["books"]
    assert found["log"]


def test_health(house: House) -> None:
    """Open to all, and says nothing else."""
    response = house.app.test_client().get("/health")
    assert (response.status_code, response.get_json()) == (200, {"status": "ok"})
