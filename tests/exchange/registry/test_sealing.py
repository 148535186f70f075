"""Facts become links of signed chains: each once, in order, whatever fails and whoever else seals."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from exchange.operations.queries import checks
from exchange.registry import actions, sealing
from exchange.registry.models import PendingEvent
from exchange.registry.rules import FactTooLarge, check_size
from exchange.services import Services
from ledger import log, records
from ledger.keys import FileSigner
from tests.exchange.house import House
from tests.exchange.owner import as_owner
from tests.exchange.receivables.shared import at_once
from tests.exchange.registry.hooked import hooked
from tests.exchange.registry.readers import head, keep, links, verified


class Crash(Exception):
    """Stands for a power cut."""


@dataclass(frozen=True, slots=True)
class StoppedClock:
    """A clock that cannot be read: sealing reads it between signing and storing."""

    def now(self, session: Session) -> datetime:  # noqa: ARG002 - the face of a clock
        """No time."""
        raise Crash


def pausing() -> tuple[threading.Event, threading.Event, Callable[[], None]]:
    """A sign that it has begun, one to go on, and what waits between them."""
    signing, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        signing.set()
        assert go_on.wait(20)

    return signing, go_on, pause


def seal_all(services: Services) -> int:
    """Seal until nothing is left."""
    total = 0
    while count := sealing.seal(services):
        total += count
    return total


def waiting(services: Services) -> list[int]:
    """The facts that wait for their signature."""
    with services.database.transaction() as session:
        return list(session.execute(select(PendingEvent.pending_id).order_by(PendingEvent.pending_id)).scalars())


def log_size(services: Services) -> int:
    """How many entries the log has."""
    with services.database.transaction() as session:
        return log.size(session.connection())


def numbers(house: House, asset_id: str) -> list[int]:
    """What the facts of an asset say, once its chain is verified."""
    return [record.body["n"] for record in verified(house.app.test_client(), links(house.services, asset_id))]


def test_facts_are_chained_in_their_order(house: House) -> None:
    """Facts of two assets, mixed and over three seals: each chain is whole and in order; a seal of nothing is none."""
    services = house.services
    keep(services, "a", 0, 1)
    keep(services, "b", 0)
    keep(services, "a", 2)
    assert seal_all(services) == 4
    keep(services, "b", 1)
    keep(services, "a", 3, 4)
    assert sealing.seal(services) == 3
    assert sealing.seal(services) == 0
    assert (numbers(house, "a"), numbers(house, "b")) == ([0, 1, 2, 3, 4], [0, 1])
    house.check()


def test_batches_follow_each_other(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain goes on over the edges of batches."""
    monkeypatch.setattr(sealing, "SEAL_BATCH", 3)
    keep(house.services, "long", *range(10))
    assert [sealing.seal(house.services) for _ in range(5)] == [3, 3, 3, 1, 0]
    assert numbers(house, "long") == list(range(10))


def test_one_fact_and_none(house: House) -> None:
    """A single fact gives its id, by which its place in the log is found; no facts give no ids."""
    services = house.services
    with services.database.transaction() as session:
        now = services.clock.now(session)
        assert actions.record_many(session, facts=[], now=now) == []
        hidden = {"seller": "platform:s", "documents": [{"kind": "order", "sha256": "0" * 64}]}
        facts = [
            actions.Fact("one", "asset.confirmed", {"n": 0}, hidden),
            actions.Fact("one", "asset.noted", {"n": 1}),
        ]
        first, second = actions.record_many(session, facts=facts, now=now)
        assert first < second
    size = log_size(services)
    seal_all(services)
    assert [link["log_index"] for link in links(services, "one")] == [size, size + 1]
    assert [len(link["disclosures"]) for link in links(services, "one")] == [2, 0]
    assert numbers(house, "one") == [0, 1]


def test_what_rolls_back_is_never_sealed(house: House) -> None:
    """A fact belongs to its business transaction; the gap in the ids hurts nobody."""
    with house.services.database.transaction() as session:
        now = house.services.clock.now(session)
        actions.record_many(session, facts=[actions.Fact("void", "asset.confirmed", {"n": 0})], now=now)
        session.rollback()
    keep(house.services, "kept", 0)
    assert seal_all(house.services) == 1
    assert links(house.services, "void") == []


def crashed_while_signing(services: Services) -> Services:
    """The key fails at its third signature."""
    left = iter(range(2))

    def crash() -> None:
        if next(left, None) is None:
            raise Crash

    return hooked(services, crash)


def crashed_before_storing(services: Services) -> Services:
    """Everything is signed, nothing stored."""
    return replace(services, clock=StoppedClock())


def crash() -> None:
    """The power is cut."""
    raise Crash


@pytest.mark.parametrize("crashed", [crashed_while_signing, crashed_before_storing], ids=lambda way: way.__name__)
def test_a_crash_loses_and_repeats_nothing(house: House, crashed: Callable[[Services], Services]) -> None:
    """Wherever sealing dies, all facts still wait, the log is as before, and the next sealer does all of it once."""
    services, asset_id = house.services, crashed.__name__
    pending, size = keep(services, asset_id, 0, 1, 2, 3), log_size(services)
    with pytest.raises(Crash):
        sealing.seal(crashed(services))
    assert (waiting(services), log_size(services), links(services, asset_id)) == (pending, size, [])
    house.check()
    assert seal_all(services) == 4
    assert (waiting(services), log_size(services)) == ([], size + 4)
    assert numbers(house, asset_id) == [0, 1, 2, 3]
    house.check()


def test_a_crash_before_the_checkpoint_leaves_it_to_the_next(house: House) -> None:
    """What is stored stays stored, and the next sealer's checkpoint covers it without a new fact."""
    services, web = house.services, house.app.test_client()
    keep(services, "uncovered", 0, 1)
    with pytest.raises(Crash):
        sealing.seal(hooked(services, crash, use="log"))
    assert (waiting(services), len(links(services, "uncovered"))) == ([], 2)
    assert head(web).size == log_size(services) - 2
    assert sealing.seal(services) == 0
    assert head(web).size == log_size(services)
    assert numbers(house, "uncovered") == [0, 1]
    house.check()


def test_a_second_sealer_keeps_away_and_business_goes_on(house: House) -> None:
    """While one signs, another does nothing, and new facts are recorded without waiting; they are sealed next."""
    services = house.services
    signing, go_on, pause = pausing()
    keep(services, "busy", 0, 1)

    def first(_: int) -> int:
        return sealing.seal(hooked(services, pause))

    def second(_: int) -> int:
        try:
            assert signing.wait(20)
            keep(services, "busy", 2)
            return sealing.seal(services)
        finally:
            go_on.set()

    assert at_once(2, lambda number: (first, second)[number](number)) == [2, 0]
    assert seal_all(services) == 1
    assert numbers(house, "busy") == [0, 1, 2]


def test_a_sealer_that_lost_its_lock_repeats_nothing(house: House) -> None:
    """Its lock's connection dies while it signs; another seals all. The first one fails, or finds nothing to add."""
    services = house.services
    signing, go_on, pause = pausing()
    keep(services, "lost", 0, 1, 2)
    kill = text("""
        SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_locks
        WHERE locktype = 'advisory' AND pid <> pg_backend_pid()
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """)

    def first(_: int) -> int:
        with pytest.raises((psycopg.Error, DBAPIError)):
            sealing.seal(hooked(services, pause))
        return -1

    def second(_: int) -> int:
        try:
            assert signing.wait(20)
            with as_owner(services.database) as session:
                assert session.execute(kill).scalar_one() == 1
            return seal_all(services)
        finally:
            go_on.set()

    assert at_once(2, lambda number: (first, second)[number](number)) == [-1, 3]
    services.database.dispose()
    assert (waiting(services), numbers(house, "lost")) == ([], [0, 1, 2])
    house.check()


def test_many_sealers_and_writers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three writers and three sealers at once: every fact is sealed once, each chain in its writer's order."""
    monkeypatch.setattr(sealing, "SEAL_BATCH", 7)
    services, size = house.services, log_size(house.services)
    written = threading.Semaphore(0)

    def step(number: int) -> int:
        if number < 3:
            for fact in range(0, 12, 3):
                keep(services, f"writer {number}", fact, fact + 1, fact + 2)
            written.release()
            return 0
        total = 0
        while count := sealing.seal(services) or written._value < 3:
            total += int(count)
        return total

    at_once(6, step)
    seal_all(services)
    assert (waiting(services), log_size(services)) == ([], size + 36)
    for number in range(3):
        assert numbers(house, f"writer {number}") == list(range(12))
    house.check()


def force(services: Services, asset_id: str, body: str) -> int:
    """Put a fact among the pending ones without asking whether it can be signed."""
    fact = {"asset_id": asset_id, "kind": "asset.noted", "body": body, "disclosable": "{}"}
    with services.database.transaction() as session:
        row = PendingEvent(**fact, recorded_at=services.clock.now(session))
        session.add(row)
        session.flush()
        return row.pending_id


UNSIGNABLE = {
    "record_too_large": orjson.dumps({"text": "x" * records.LARGEST_SIGNING_INPUT}).decode(),
    "not_canonical": '{"rate":0.5}',
    "malformed_fact": '{"cut',
    "malformed_record": '{"salt":"mine"}',
}


@pytest.mark.parametrize("code", UNSIGNABLE)
def test_a_fact_that_cannot_be_signed_stops_its_own_chain_alone(house: House, code: str) -> None:
    """It is set aside with its reason, in the sight of the checks; its asset waits behind it, all others go on."""
    services, stuck = house.services, f"stuck {code}"
    keep(services, stuck, 0)
    pending_id = force(services, stuck, UNSIGNABLE[code])
    after = keep(services, stuck, 1)
    keep(services, f"free {code}", 0, 1)
    assert seal_all(services) == 4
    assert (numbers(house, stuck), numbers(house, f"free {code}")) == ([0], [0, 1])
    assert waiting(services) == [pending_id, *after]
    with services.database.snapshot() as session:
        (found,) = checks(session, services=services)["log"]
    assert found["kind"] == "fact_set_aside"
    assert found["where"] == f"{stuck} asset.noted (pending_event {pending_id})"
    assert found["detail"].startswith(f"{code}: ")
    keep(services, f"free {code}", 2)
    assert seal_all(services) == 1
    with services.database.transaction() as session:
        actions.retry_set_aside(session)
    assert seal_all(services) == 1, "it is tried again, and set aside again"
    with services.database.transaction() as session:
        session.execute(text("DELETE FROM pending_event WHERE pending_id = :id"), {"id": pending_id})
    assert seal_all(services) == 1
    assert numbers(house, stuck) == [0, 1]
    house.check()


@given(
    text=st.text(max_size=3) | st.integers(400, 1200).map("好".__mul__) | st.integers(300, 700).map("\1".__mul__),
    hidden=st.integers(0, 20),
)
def test_what_is_accepted_is_never_too_large(text: str, hidden: int) -> None:
    """Whatever passes the door can be signed, with the longest place in a chain; little that could be is refused."""
    disclosable = {f"field_{number}": number for number in range(hidden)}
    body: dict[str, Any] = {"text": text}
    asset_id = "ast_" + "0" * 26
    place = {
        "type": "asset.confirmed",
        "asset": asset_id,
        "sequence": 2**31,
        "prev": "0" * 64,
        "recorded_at": 2**33,
    }
    written = orjson.dumps(body)
    if not fits(written, asset_id=asset_id, disclosable=disclosable):
        assert len(written) + 46 * hidden > 2300
        return
    signer = FileSigner.from_seed(bytes(32))
    records.seal(body | place, disclosable=disclosable, signer=signer, salt=lambda _: bytes(16))


def fits(body: bytes, *, asset_id: str, disclosable: dict[str, Any]) -> bool:
    """Whether the door lets a fact pass."""
    try:
        check_size("asset.confirmed", asset_id=asset_id, body=body, disclosable=disclosable)
    except FactTooLarge:
        return False
    return True


def test_a_fact_too_large_is_refused_when_it_is_noted(house: House) -> None:
    """The caller hears it in its own transaction, of which nothing stays."""
    services = house.services
    large = actions.Fact("large", "asset.confirmed", {"text": "x" * records.LARGEST_SIGNING_INPUT})
    for keep_facts in (actions.record_many, actions.note_many):
        with services.database.transaction() as session, pytest.raises(FactTooLarge, match="too large"):
            keep_facts(session, facts=[large], now=services.clock.now(session))
    assert waiting(services) == []
