"""Facts become links of signed chains: each once, in order, whatever fails and whoever else seals."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from exchange.registry import actions
from exchange.registry.models import PendingEvent
from exchange.services import Services
from ledger import log, records
from ledger.keys import FileSigner
from tests.exchange.house import House
from tests.exchange.receivables.shared import at_once
from tests.exchange.registry.readers import keep, links, verified


class Crash(Exception):
    """Stands for a power cut."""


@dataclass(frozen=True, slots=True)
class StoppedClock:
    """A clock that cannot be read: sealing reads it between signing and storing."""

    def now(self, session: Session) -> datetime:  # noqa: ARG002 - the face of a clock
        """No time."""
        raise Crash


@dataclass(frozen=True, slots=True)
class DeadKey:
    """The log's key, gone when it is asked to sign."""

    name: str
    private_key: Ed25519PrivateKey

    def sign(self, note: str) -> str:  # noqa: ARG002 - the face of a signer
        """No signature."""
        raise Crash


def hooked(services: Services, before: Callable[[], object]) -> Services:
    """The same services, but `before` happens before each signature."""
    signer = FileSigner.from_seed(services.entropy(32, "key", "record"))
    assert signer.kid == services.keyring.record_signer.kid
    plain = signer.sign

    def sign(data: Any) -> bytes:  # noqa: ANN401 - whatever the key takes
        before()
        return plain(data)

    signer.sign = sign
    return replace(services, keyring=replace(services.keyring, record_signer=signer))


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
    while count := actions.seal(services):
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
    assert actions.seal(services) == 3
    assert actions.seal(services) == 0
    assert (numbers(house, "a"), numbers(house, "b")) == ([0, 1, 2, 3, 4], [0, 1])
    house.check()


def test_batches_follow_each_other(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain goes on over the edges of batches."""
    monkeypatch.setattr(actions, "SEAL_BATCH", 3)
    keep(house.services, "long", *range(10))
    assert [actions.seal(house.services) for _ in range(5)] == [3, 3, 3, 1, 0]
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


def crashed_before_the_checkpoint(services: Services) -> Services:
    """Everything is written, but the checkpoint is not signed."""
    keyring = services.keyring
    dead = DeadKey(keyring.note_signer.name, keyring.note_signer.private_key)
    return replace(services, keyring=replace(keyring, note_signer=dead))  # type: ignore[arg-type]  # signs nothing


@pytest.mark.parametrize(
    "crashed",
    [crashed_while_signing, crashed_before_storing, crashed_before_the_checkpoint],
    ids=lambda way: way.__name__,
)
def test_a_crash_loses_and_repeats_nothing(house: House, crashed: Callable[[Services], Services]) -> None:
    """Wherever sealing dies, all facts still wait, the log is as before, and the next sealer does all of it once."""
    services, asset_id = house.services, crashed.__name__
    pending, size = keep(services, asset_id, 0, 1, 2, 3), log_size(services)
    with pytest.raises(Crash):
        actions.seal(crashed(services))
    assert (waiting(services), log_size(services), links(services, asset_id)) == (pending, size, [])
    house.check()
    assert seal_all(services) == 4
    assert (waiting(services), log_size(services)) == ([], size + 4)
    assert numbers(house, asset_id) == [0, 1, 2, 3]
    house.check()


def test_a_second_sealer_keeps_away_and_business_goes_on(house: House) -> None:
    """While one signs, another does nothing, and new facts are recorded without waiting; they are sealed next."""
    services = house.services
    signing, go_on, pause = pausing()
    keep(services, "busy", 0, 1)

    def first(_: int) -> int:
        return actions.seal(hooked(services, pause))

    def second(_: int) -> int:
        try:
            assert signing.wait(20)
            keep(services, "busy", 2)
            return actions.seal(services)
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
        SELECT count(pg_terminate_backend(pid)) FROM pg_locks
        WHERE locktype = 'advisory' AND pid <> pg_backend_pid()
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """)

    def first(_: int) -> int:
        with pytest.raises((psycopg.Error, DBAPIError)):
            actions.seal(hooked(services, pause))
        return -1

    def second(_: int) -> int:
        try:
            assert signing.wait(20)
            with services.database.transaction() as session:
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
    monkeypatch.setattr(actions, "SEAL_BATCH", 7)
    services, size = house.services, log_size(house.services)
    written = threading.Semaphore(0)

    def step(number: int) -> int:
        if number < 3:
            for fact in range(0, 12, 3):
                keep(services, f"writer {number}", fact, fact + 1, fact + 2)
            written.release()
            return 0
        total = 0
        while count := actions.seal(services) or written._value < 3:
            total += int(count)
        return total

    at_once(6, step)
    seal_all(services)
    assert (waiting(services), log_size(services)) == ([], size + 36)
    for number in range(3):
        assert numbers(house, f"writer {number}") == list(range(12))
    house.check()


def test_a_fact_that_cannot_be_signed_stops_the_line_unsigned(house: House) -> None:
    """Larger than any key service signs: refused, nothing of the batch is stored, and without it all is sealed."""
    services = house.services
    keep(services, "before", 0)
    with services.database.transaction() as session:
        fact = actions.Fact("large", "asset.confirmed", {"text": "x" * records.LARGEST_SIGNING_INPUT})
        (large,) = actions.record_many(session, facts=[fact], now=services.clock.now(session))
    with pytest.raises(records.RecordTooLarge):
        actions.seal(services)
    assert links(services, "before") == []
    with services.database.transaction() as session:
        session.execute(text("DELETE FROM pending_event WHERE pending_id = :id"), {"id": large})
    assert seal_all(services) == 1
