"""What a funder does with its endpoint: halted, asked to repeat, throttled, ordered, under a new secret."""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select, update

from exchange.callbacks import actions, endpoints, queries
from exchange.callbacks.delivery import deliver
from exchange.callbacks.models import CallbackEndpoint, Delivery
from exchange.callbacks.verifier import Link, VerificationError, follow, verify
from exchange.clock import system_now
from exchange.errors import NotFound
from exchange.services import Services
from tests.exchange.callbacks.conftest import NOW
from tests.exchange.callbacks.receiver import Receiver

Say = Callable[..., None]
Put = Callable[..., str]


def change(services: Services, **values: object) -> None:
    """Let time pass for the endpoint."""
    with services.database.transaction() as session:
        session.execute(update(CallbackEndpoint).values(**values))


def test_the_heartbeat_tells_silence_from_loss(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """When it is due the last sequence and digest come, signed; who has less knows; then it is quiet again."""
    secret = put(receiver.url, heartbeat_seconds=60)
    say(count=2)
    assert deliver(services) == 2
    change(services, beat_due_at=system_now())
    assert deliver(services) == 1
    assert deliver(services) == 0
    beat = receiver.received[-1]
    verify(beat.headers, beat.body, secret=secret, now=int(system_now().timestamp()))
    first = follow(receiver.received[0].body, last=None)
    last = follow(receiver.received[1].body, last=first)
    assert last is not None
    assert json.loads(beat.body)["data"] == {"last_sequence": 2, "last_digest": last.digest}
    assert follow(beat.body, last=last) == last
    with pytest.raises(VerificationError, match="come to event 2"):
        follow(beat.body, last=first)


def test_held_while_halted_and_sent_in_order(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """A halted endpoint gets nothing, however much is told; started again it gets all of it, in order."""
    put(receiver.url)
    say(count=1)
    for enabled, told, come in ((False, 3, 0), (True, 0, 4)):
        with services.database.transaction() as session:
            endpoints.switch(session, funder_id="fnd_a", enabled=enabled, machine_now=system_now())
        if told:
            say(count=told)
            with services.database.transaction() as session:
                view = queries.endpoint(session, funder_id="fnd_a", now=system_now())
            assert view is not None
            assert (view.held, view.disabled_reason) == (4, "asked")
        assert deliver(services) == come
    assert receiver.sequences() == [1, 2, 3, 4]


def test_recovered_and_resent_under_the_same_id(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """What was taken comes again when asked for: a time, or one event; others' and unknown ones do not."""
    put(receiver.url)
    say(count=3)
    deliver(services)
    second, now = timedelta(seconds=1), system_now()
    with services.database.transaction() as session:
        again = partial(endpoints.recover, session, funder_id="fnd_a", machine_now=now)
        assert again(since=NOW + second, until=NOW + 2 * second) == 0
        assert again(since=NOW, until=NOW) == 3
    assert deliver(services) == 3
    with services.database.transaction() as session:
        endpoints.resend(session, funder_id="fnd_a", sequence=2, machine_now=now)
    assert deliver(services) == 1
    assert receiver.sequences() == [1, 2, 3, 1, 2, 3, 2]
    assert len(set(receiver.ids())) == 3
    with services.database.transaction() as session:
        with pytest.raises(NotFound):
            endpoints.resend(session, funder_id="fnd_a", sequence=4, machine_now=now)
        with pytest.raises(NotFound):
            endpoints.resend(session, funder_id="fnd_b", sequence=1, machine_now=now)
        tried = queries.attempts(session, funder_id="fnd_a", sequence=2, before=None, limit=10)
    assert [one["status"] for one in tried] == [204, 204, 204]


def test_an_example_has_no_place_in_the_stream(services: Services, receiver: Receiver, put: Put) -> None:
    """It is signed and of the right form, comes once, and leaves the receiver's link as it was."""
    secret = put(receiver.url)
    with services.database.transaction() as session:
        endpoints.ask_example(session, funder_id="fnd_a", kind="settlement.collected")
    assert deliver(services) == 1
    assert deliver(services) == 0
    (one,) = receiver.received
    verify(one.headers, one.body, secret=secret, now=int(system_now().timestamp()))
    assert follow(one.body, last=Link(7, "x")) == Link(7, "x")


def test_no_more_than_asked_for_in_a_minute(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """A throttled endpoint rests when its minute is full, and gets the rest in the next."""
    put(receiver.url, per_minute=2)
    say(count=5)
    assert deliver(services) == 2
    past = system_now() - timedelta(minutes=1)
    change(services, minute_at=past, rests_until=past)
    assert deliver(services) == 2
    assert receiver.sequences() == [1, 2, 3, 4]


def test_order_by_asset(services: Services, receiver: Receiver, put: Put) -> None:
    """Nothing of an asset passes an event of it that waits; other assets do."""
    put(receiver.url, ordered=True)
    with services.database.transaction() as session:
        for asset_id in ("ast_1", "ast_1", "ast_2"):
            data = {"asset_id": asset_id, "value_date": "2026-11-23"}
            actions.tell(session, funder_id="fnd_a", type="asset.repaid", data=data, pending_id=None, now=NOW)
    with services.database.transaction() as session:
        actions.publish(session, services=services, now=system_now())
    receiver.answers = [(500, {})]
    assert deliver(services) == 1
    change(services, rests_until=None)
    assert deliver(services) == 1
    assert receiver.sequences() == [1, 3]
    change(services, rests_until=None)
    assert deliver(services) == 0
    with services.database.transaction() as session:
        session.execute(update(Delivery).values(next_attempt_at=system_now()))
        assert session.scalar(select(CallbackEndpoint.rests_until)) is not None
    change(services, rests_until=None)
    assert deliver(services) == 2
    assert receiver.sequences() == [1, 3, 1, 2]


def test_a_secret_rotated_in_the_middle_of_retries(services: Services, receiver: Receiver, say: Say, put: Put) -> None:
    """The next attempt is signed under both; once the overlap is over, under the new one alone."""
    old = put(receiver.url)
    say()
    receiver.answers = [(500, {}), (500, {})]
    deliver(services)
    with services.database.transaction() as session:
        new, _ = endpoints.rotate(session, services=services, funder_id="fnd_a", machine_now=system_now())
    for over in (False, True):
        change(services, rests_until=None, **({"previous_until": system_now()} if over else {}))
        with services.database.transaction() as session:
            session.execute(update(Delivery).values(next_attempt_at=system_now()))
        assert deliver(services) == 1
        one, now = receiver.received[-1], int(system_now().timestamp())
        verify(one.headers, one.body, secret=new, now=now)
        if over:
            with pytest.raises(VerificationError, match="No v1 signature"):
                verify(one.headers, one.body, secret=old, now=now)
        else:
            verify(one.headers, one.body, secret=old, now=now)
    assert len(set(receiver.ids())) == 1
