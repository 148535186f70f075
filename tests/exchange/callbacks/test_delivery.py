"""Delivery to a real HTTP receiver: in order, at least once, at nobody else's cost."""

import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from exchange.callbacks import actions, delivery, queries, transport
from exchange.callbacks.delivery import Courier, Sent, claim, deliver, record
from exchange.callbacks.models import CallbackEndpoint, Delivery
from exchange.callbacks.rules import Attempt, public_key_text
from exchange.callbacks.verifier import follow, verify
from exchange.clock import system_now
from exchange.services import Services
from tests.exchange.callbacks.conftest import put_in, until
from tests.exchange.callbacks.receiver import Receiver

Say = Callable[..., None]
Put = Callable[..., str]


def endpoint(services: Services, funder_id: str = "fnd_a") -> CallbackEndpoint:
    """The endpoint as it stands."""
    with services.database.transaction() as session:
        return session.get_one(CallbackEndpoint, funder_id)


def row(services: Services, sequence: int = 1) -> Delivery:
    """A delivery as it stands."""
    with services.database.transaction() as session:
        return session.get_one(Delivery, ("fnd_a", sequence))


def change(services: Services, table: Any, **values: Any) -> None:  # noqa: ANN401 - a table and its columns
    """Let time pass, as far as the database can tell."""
    with services.database.transaction() as session:
        session.execute(update(table).values(**values))


def publish(services: Services) -> None:
    """Publish what was told."""
    with services.database.transaction() as session:
        actions.publish(session, services=services, now=system_now())


def wake(services: Services) -> None:
    """Make everything due again and no endpoint rest."""
    past = system_now() - timedelta(seconds=1)
    change(services, Delivery, next_attempt_at=past)
    change(services, CallbackEndpoint, rests_until=None, leased_until=None)


def test_callbacks_arrive_signed_and_in_order(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """Every event comes once, in order, signed both ways, in one chain, as in the feed."""
    secret = put(receiver.url + "/hooks?bank=1")
    say(count=250)
    assert deliver(services) == 250
    link = None
    for one in receiver.received:
        assert one.path == "/hooks?bank=1"
        assert one.headers["content-type"] == "application/json"
        public_key = public_key_text(services.keyring.callback_key)
        now = int(system_now().timestamp())
        verify(one.headers, one.body, secret=secret, public_key=public_key, now=now)
        link = follow(one.body, last=link)
    with services.database.transaction() as session:
        items = queries.feed(session, funder_id="fnd_a", after=0, limit=1000)
        assert [item.body for item in items] == [one.body for one in receiver.received]
        assert queries.pending_counts(session, now=system_now()) == queries.PendingCounts(0, 0)
        assert queries.totals(session) == queries.Totals(published=250, delivered=250, failing=0)
        last = queries.last_deliveries(session, limit=2)
    assert [one.sequence for one in last] == [250, 249]
    assert deliver(services) == 0


def test_killed_between_sending_and_recording(
    services: Services, receiver: Receiver, say: Say, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker dies after sending: when its lease ends, the same event comes again, under its id."""
    put(receiver.url)
    say()

    def die(*_: object, **__: object) -> None:
        raise SystemError

    with monkeypatch.context() as patched:
        patched.setattr(delivery, "record", die)
        with pytest.raises(SystemError):
            deliver(services)
    assert deliver(services) == 0  # the lease still holds
    change(services, CallbackEndpoint, leased_until=system_now())
    assert deliver(services) == 1
    first, second = receiver.ids()
    assert first == second
    assert receiver.received[0].body == receiver.received[1].body


def test_a_failure_is_tried_again_and_lets_the_rest_wait(
    services: Services, receiver: Receiver, say: Say, put: Put
) -> None:
    """A 500 stops the lane, the endpoint rests, the event waits 5 s; then all comes."""
    put(receiver.url)
    say(count=3)
    receiver.answers = [(204, {}), (500, {})]
    assert deliver(services) == 2
    failed = row(services, 2)
    assert (failed.attempts, failed.last_status, failed.delivered_at) == (1, 500, None)
    assert failed.next_attempt_at is not None
    assert timedelta(seconds=1) < failed.next_attempt_at - system_now() <= timedelta(seconds=6)
    assert endpoint(services).failing_since is not None
    with services.database.transaction() as session:
        assert queries.pending_counts(session, now=system_now()).undelivered_due == 0
        assert queries.totals(session) == queries.Totals(published=3, delivered=1, failing=1)
    wake(services)
    assert deliver(services) == 2
    assert receiver.sequences() == [1, 2, 2, 3]
    assert endpoint(services).failing_since is None


def test_one_bad_event_does_not_stop_the_stream(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """While an event waits for its next attempt, those after it go out."""
    put(receiver.url)
    say(count=3)
    receiver.answers = [(400, {})]
    assert deliver(services) == 1
    change(services, CallbackEndpoint, rests_until=None)
    assert deliver(services) == 2
    assert receiver.sequences() == [1, 2, 3]


def test_eight_attempts_then_the_feed(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """After eight failures an event is given up; putting the endpoint sends it again."""
    put(receiver.url)
    say()
    receiver.answers = [(500, {})] * 8
    for _ in range(8):
        wake(services)
        assert deliver(services) == 1
    assert row(services).next_attempt_at is None
    change(services, CallbackEndpoint, rests_until=None)
    assert deliver(services) == 0
    put(receiver.url)
    assert deliver(services) == 1
    assert len(set(receiver.ids())) == 1


def test_redirects_are_failures(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """A redirect is not followed, wherever it leads."""
    put(receiver.url)
    say()
    for status in (301, 302, 307):
        receiver.answers = [(status, {"Location": receiver.url + "/elsewhere"})]
        wake(services)
        assert deliver(services) == 1
        assert row(services).last_status == status
    assert [one.path for one in receiver.received] == ["/"] * 3


def test_retry_after(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """A receiver that asks for an hour gets an hour."""
    put(receiver.url)
    say()
    receiver.answers = [(503, {"Retry-After": "3600"})]
    deliver(services)
    again = row(services).next_attempt_at
    assert again is not None
    assert timedelta(minutes=59) < again - system_now() <= timedelta(hours=1)


def test_gone_disables_and_putting_enables(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """410 ends the calls; events are held, and all come when the endpoint is put again."""
    put(receiver.url)
    say(count=2)
    receiver.answers = [(410, {})]
    assert deliver(services) == 1
    assert endpoint(services).disabled_reason == "gone"
    publish(services)
    say(count=2)
    with services.database.transaction() as session:
        assert session.scalar(select(func.count()).select_from(Delivery)) == 2
        view = queries.endpoint(session, funder_id="fnd_a", now=system_now())
        told = queries.feed(session, funder_id="fnd_a", after=2, limit=1)[0].body
    assert b'"reason":"gone"' in told
    assert b'"type":"endpoint.disabled"' in told
    assert view is not None
    assert (view.disabled_reason, view.last_sequence, view.undelivered, view.held) == ("gone", 5, 5, 5)
    change(services, CallbackEndpoint, rests_until=None)
    assert deliver(services) == 0
    put(receiver.url + "/new")
    assert deliver(services) == 5
    assert receiver.sequences() == [1, 1, 2, 3, 4, 5]


def test_five_days_of_failure_disable(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """An endpoint that has only failed for five days is left alone; one success starts the count anew."""
    put(receiver.url)
    say(count=4)
    days = system_now() - timedelta(days=5)
    change(services, CallbackEndpoint, failing_since=days)
    receiver.answers = [(204, {}), (500, {}), (500, {})]
    assert deliver(services) == 2
    assert endpoint(services).disabled_at is None
    change(services, CallbackEndpoint, failing_since=days, rests_until=None)
    assert deliver(services) == 1
    assert endpoint(services).disabled_reason == "failing"


def test_a_slow_endpoint_blocks_nobody(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """While one funder's receiver thinks, the other gets all its callbacks."""
    put(receiver.url + "/slow")
    put(receiver.url + "/fast", "fnd_b")
    say()
    say("fnd_b", 50)
    with Courier(services) as courier:
        ended = 0
        while ended < 50:
            ended += courier.deliver(limit=10)
        assert courier.busy
        assert courier.deliver() == 0
        receiver.release.set()
        until(lambda: courier.deliver() == 1)
    assert [one.path for one in receiver.received].count("/slow") == 1


def test_a_dripping_answer_is_cut_off(
    services: Services, receiver: Receiver, say: Say, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver that never ends its answer, one byte at a time, does not hold a lane for long."""
    monkeypatch.setattr(transport, "ATTEMPT_SECONDS", 0.3)
    put(receiver.url + "/drip")
    say()
    with Courier(services) as courier:
        until(lambda: courier.deliver() == 1)
    assert not receiver.release.is_set()


def test_two_workers_keep_one_order(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """Two couriers at once: each event comes once and in its funder's order."""
    put(receiver.url + "/a")
    put(receiver.url + "/b", "fnd_b")
    say("fnd_a", 60)
    say("fnd_b", 60)

    def work() -> None:
        with Courier(services) as courier:
            while not drained():
                courier.deliver(limit=5)

    def drained() -> bool:
        with services.database.transaction() as session:
            return queries.pending_counts(session, now=system_now()).undelivered_due == 0

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for path in ("/a", "/b"):
        assert [one.sequence for one in receiver.received if one.path == path] == list(range(1, 61))


def test_an_outcome_after_the_lease_does_not_judge_the_endpoint(services: Services, say: Say, put: Put) -> None:
    """What an old address answered late neither disables the new one nor undoes a delivery."""
    put("http://127.0.0.1:9/old")
    say()
    (lane,) = claim(services, lanes=1, limit=10)
    assert claim(services, lanes=1, limit=10) == []
    put("http://127.0.0.1:9/new")
    with services.database.transaction() as session:
        record(session, services=services, lane=lane, sent=[Sent(lane.letters[0], Attempt(status=410), system_now())])
    assert endpoint(services).disabled_at is None
    wake(services)
    (lane,) = claim(services, lanes=1, limit=10)
    with services.database.transaction() as session:
        record(session, services=services, lane=lane, sent=[Sent(lane.letters[0], Attempt(status=200), system_now())])
        record(session, services=services, lane=lane, sent=[Sent(lane.letters[0], Attempt(status=500), system_now())])
    assert row(services).last_status == 200


def test_the_address_is_checked_again_at_every_attempt(
    services: Services, receiver: Receiver, say: Say, put: Put
) -> None:
    """What was allowed when it was put is not called once the operator has closed the network."""
    put(receiver.url)
    put("https://localhost:9/", "fnd_b")
    say()
    say("fnd_b")
    closed = Services(
        type(services.settings)(home=services.settings.home),
        services.database,
        services.clock,
        services.entropy,
        services.keyring,
    )
    assert deliver(closed) == 2
    assert receiver.received == []
    with services.database.transaction() as session:
        errors = set(session.scalars(select(Delivery.last_error)))
    assert "The URL cannot be used: write https." in errors
    assert any("not on the public internet" in str(error) for error in errors)


def test_a_moved_endpoint_is_called_at_its_new_place(
    services: Services, receiver: Receiver, say: Say, put: Put
) -> None:
    """The connection to the old URL is given up."""
    with Courier(services) as courier:
        for path in ("/one", "/two"):
            put(receiver.url + path)
            say()
            until(lambda: courier.deliver() == 1)
    assert [one.path for one in receiver.received] == ["/one", "/two"]


def test_the_fairest_comes_first(services: Services, say: Say, put: Put) -> None:
    """With one lane free, the endpoint that waited longest gets it."""
    for funder_id in ("fnd_a", "fnd_b"):
        put("http://127.0.0.1:9/", funder_id)
        say(funder_id)
    served = []
    for _ in range(4):
        (lane,) = claim(services, lanes=1, limit=1)
        served.append(lane.funder_id)
        with services.database.transaction() as session:
            session.execute(
                text("UPDATE callback_endpoint SET leased_until = clock_timestamp() WHERE funder_id = :id"),
                {"id": lane.funder_id},
            )
    assert all(one != other for one, other in pairwise(served))


def test_closing_finishes_the_letter(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """A courier that is told to stop records the letter it is at and sends no other."""
    put(receiver.url + "/slow")
    say(count=5)
    courier = Courier(services)
    courier.deliver()
    closer = threading.Thread(target=courier.close)
    closer.start()
    until(lambda: courier._closing)
    receiver.release.set()
    closer.join()
    assert receiver.sequences() == [1]
    assert row(services).delivered_at is not None


def test_putting_waits_for_the_publisher(services: Services, receiver: Receiver, say: Say) -> None:
    """An event published while an endpoint is being put is delivered all the same."""
    with services.database.transaction() as session:
        put_in(session, services, url=receiver.url, funder_id="fnd_a")
        with pytest.raises(AssertionError):
            say()  # the publisher leaves the field to the one who puts
    with services.database.transaction() as session:
        assert queries.pending_counts(session, now=system_now()).unpublished == 1
