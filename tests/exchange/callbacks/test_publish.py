"""From a business transaction to a funder's stream: nothing twice, nothing missing, always the same bytes."""

import hashlib
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.errors import ForeignKeyViolation
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from exchange.callbacks import actions, queries, rules
from exchange.callbacks.actions import Notice
from exchange.callbacks.models import CallbackEndpoint, Delivery, FunderEvent, OutboxRow
from exchange.callbacks.verifier import Link, follow
from exchange.clock import system_now
from exchange.ids import is_id
from exchange.registry.models import AssetEvent
from exchange.services import Services
from ledger.canonical import NotCanonical, parse_canonical
from tests.exchange.callbacks.conftest import FUNDERS, NOW


def tell(session: Session, *notices: Notice) -> None:
    """Tell these facts."""
    actions.tell_many(session, notices=notices, now=NOW)


def note(funder_id: str = "fnd_a", number: int = 1, pending_id: int | None = None) -> Notice:
    """Some fact."""
    return Notice(funder_id, "offer.made", {"n": number}, pending_id)


def seal(session: Session, *pending_ids: int) -> None:
    """Let these asset events be sealed, as far as the publisher can see."""
    session.add_all(
        AssetEvent(
            asset_id="ast_x",
            sequence=pending_id,
            kind="k",
            jws="",
            digest=b"",
            disclosures="",
            pending_id=pending_id,
            log_index=100 + pending_id,
            recorded_at=NOW,
        )
        for pending_id in pending_ids
    )
    session.flush()


def publish(session: Session, services: Services, *, limit: int = 1000) -> int:
    """Publish once."""
    return actions.publish(session, services=services, now=system_now(), limit=limit)


def stream(session: Session, funder_id: str = "fnd_a") -> list[bytes]:
    """A funder's events, each checked to be the link after the one before."""
    link: Link | None = None
    bodies = [item.body for item in queries.feed(session, funder_id=funder_id, after=0, limit=10_000)]
    for body in bodies:
        link = follow(body, last=link)
    return bodies


def numbers(session: Session, funder_id: str = "fnd_a") -> list[int]:
    """What the facts of a stream say."""
    return [parse_canonical(body)["data"]["n"] for body in stream(session, funder_id)]


@pytest.fixture
def session(services: Services) -> Iterator[Session]:
    """A session whose work is thrown away."""
    with Session(services.database.engine, autoflush=False) as session:
        yield session


def test_an_event_says_what_was_told(session: Session, services: Services) -> None:
    """The envelope holds type, moment, data, place, link and log index; the id is an opaque TypeID."""
    seal(session, 5)
    actions.tell(session, funder_id="fnd_a", type="asset.late", data={"asset_id": "ast_1"}, pending_id=5, now=NOW)
    assert publish(session, services) == 1
    event = session.scalars(select(FunderEvent)).one()
    assert event.body == (
        b'{"data":{"asset_id":"ast_1"},"log_index":105,"prev":null,"sequence":1,'
        b'"timestamp":"2026-11-23T09:00:00Z","type":"asset.late"}'
    )
    assert event.digest == hashlib.sha256(event.body).digest()
    assert is_id(event.event_id, prefix="evt")
    assert "." not in event.event_id


def test_nothing_to_say(session: Session, services: Services) -> None:
    """No notice and no outbox are no trouble."""
    tell(session)
    assert publish(session, services) == 0


def test_an_unsealed_fact_holds_back_only_its_funder(session: Session, services: Services) -> None:
    """Order within a stream is the order of telling, even when seals come in another one."""
    tell(session, note(number=1), note(number=2, pending_id=1), note(number=3), note("fnd_b", 4))
    tell(session, note("fnd_b", 5, pending_id=2), note("fnd_b", 6, pending_id=1))
    assert publish(session, services) == 2
    assert (numbers(session), numbers(session, "fnd_b")) == ([1], [4])
    seal(session, 1)
    assert publish(session, services) == 2
    assert (numbers(session), numbers(session, "fnd_b")) == ([1, 2, 3], [4])
    seal(session, 2)
    assert publish(session, services) == 2
    assert numbers(session, "fnd_b") == [4, 5, 6]
    assert session.scalar(select(func.count()).select_from(OutboxRow)) == 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    told=st.lists(st.tuples(st.sampled_from(FUNDERS), st.none() | st.integers(1, 6)), max_size=20),
    seals=st.permutations(range(1, 7)),
    limit=st.integers(1, 7),
)
def test_any_interleaving_gives_the_same_streams(
    session: Session,
    services: Services,
    told: list[tuple[str, int | None]],
    seals: list[int],
    limit: int,
) -> None:
    """However facts are sealed and batched, each funder gets all its own, in order, in one chain."""
    tell(session, *(note(funder_id, number, pending) for number, (funder_id, pending) in enumerate(told)))
    for pending_id in seals:
        seal(session, pending_id)
        while publish(session, services, limit=limit):
            pass
    for funder_id in FUNDERS:
        expected = [number for number, (name, _) in enumerate(told) if name == funder_id]
        assert numbers(session, funder_id) == expected
    session.rollback()


def test_a_seed_repeats_the_bytes(session: Session, services: Services) -> None:
    """Told in one batch or one by one, bodies and ids are the same."""
    seen = []
    for limit in (1, 100):
        tell(session, *(note(number=number) for number in range(5)))
        while publish(session, services, limit=limit):
            pass
        seen.append(session.execute(select(FunderEvent.event_id, FunderEvent.body)).all())
        session.rollback()
    assert seen[0] == seen[1]


def test_two_publishers_at_once(services: Services) -> None:
    """Two workers publish while facts are being told: no gap, nothing twice, nothing left."""
    done = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not done.is_set():
                with services.database.transaction() as session:
                    publish(session, services, limit=7)
        except BaseException as error:  # noqa: BLE001 - shown by the test's thread
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for number in range(0, 120, 4):
        with services.database.transaction() as session:
            tell(session, *(note(FUNDERS[n % 2], n) for n in range(number, number + 4)))
    done.set()
    for worker in workers:
        worker.join()
    with services.database.transaction() as session:
        publish(session, services)
        assert numbers(session, "fnd_a") == list(range(0, 120, 2))
        assert numbers(session, "fnd_b") == list(range(1, 120, 2))
    assert not failures


def test_only_one_publishes(services: Services) -> None:
    """While one publishes the other does not wait, it has nothing to do."""
    with services.database.transaction() as first, services.database.transaction() as second:
        tell(second, note())
        assert publish(first, services) == 0
        assert publish(second, services) == 0
    with services.database.transaction() as session:
        assert publish(session, services) == 1


def test_a_rollback_says_nothing(services: Services) -> None:
    """A fact of a transaction that did not happen is told to nobody."""
    with services.database.transaction() as session:
        tell(session, note())
        session.rollback()
    with services.database.transaction() as session:
        assert publish(session, services) == 0


def test_bad_facts_are_refused_where_they_are_told(session: Session) -> None:
    """Types outside the contract, floats, and more than a callback holds are the teller's fault, at once."""
    with pytest.raises(rules.UnknownEventType):
        tell(session, Notice("fnd_a", "offer.maid", {}))
    with pytest.raises(NotCanonical):
        tell(session, Notice("fnd_a", "offer.made", {"rate": 0.1}))
    with pytest.raises(rules.EventTooLarge):
        tell(session, Notice("fnd_a", "offer.made", {"text": "x" * 19_000}))


def test_nobody_is_told_who_is_no_funder(session: Session) -> None:
    """The database knows every funder."""
    with pytest.raises(ForeignKeyViolation):
        tell(session, note("fnd_none"))


def test_events_are_held_until_there_is_an_endpoint(
    services: Services, say: Callable[..., None], put: Callable[..., str]
) -> None:
    """Without an endpoint no delivery waits; putting one makes all events due."""
    say(count=3)
    with services.database.transaction() as session:
        assert queries.pending_counts(session, now=system_now()).undelivered_due == 0
    put("http://127.0.0.1:9/")
    say(count=2)
    with services.database.transaction() as session:
        assert queries.pending_counts(session, now=system_now()).undelivered_due == 5
        assert list(session.scalars(select(Delivery.sequence).order_by(Delivery.sequence))) == [1, 2, 3, 4, 5]


def test_the_secret_stays(services: Services, put: Callable[..., str]) -> None:
    """Putting again keeps the secret, whatever the URL; each funder has its own; none is stored plain."""
    secret = put("http://127.0.0.1:9/")
    assert put("http://127.0.0.1:9/b") == secret
    assert put("http://127.0.0.1:9/", "fnd_b") != secret
    with services.database.transaction() as session:
        sealed = session.scalars(select(CallbackEndpoint.secret_sealed)).all()
    assert not any(rules.secret_text(one[12:44]) == secret for one in sealed)


def test_bad_endpoints_are_refused(put: Callable[..., str]) -> None:
    """An endpoint that could never be called is not kept."""
    with pytest.raises(rules.BadEndpointUrl):
        put("gopher://bank.example")
    with pytest.raises(rules.AddressNotAllowed):
        put("https://169.254.169.254/latest/meta-data")
