"""The receiver believes what verifies, in order, and counts everything else."""

import hashlib
from datetime import UTC, datetime

import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.callbacks import rules
from exchange.clock import system_now
from exchange.replay.receiver import Inbox, Receiver

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SECRET = bytes(range(24))
MOMENT = datetime(2026, 1, 5, tzinfo=UTC)


def event(sequence: int, prev: bytes | None) -> bytes:
    """The body of an event."""
    return rules.event_body(
        "offer.made",
        data=b'{"offer_id":"off_1"}',
        sequence=sequence,
        prev=prev,
        log_index=None,
        recorded_at=MOMENT,
    )


def sign(event_id: str, timestamp: int, body: bytes, key: Ed25519PrivateKey) -> str:
    """The signatures of a callback."""
    return rules.signature_header(body, event_id=event_id, timestamp=timestamp, secrets=[SECRET], private_key=key)


def send(url: str, body: bytes, *, key: Ed25519PrivateKey = KEY) -> int:
    """Send a callback as the exchange does."""
    timestamp = int(system_now().timestamp())
    signature = sign("evt_1", timestamp, body, key)
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(timestamp), "webhook-signature": signature}
    return urllib3.request("POST", url, body=body, headers=headers, retries=False).status


def keyed(inbox: Inbox) -> None:
    """Give an inbox its keys."""
    inbox.secret, inbox.public_key = rules.secret_text(SECRET), rules.public_key_text(KEY)


def test_a_chain_is_followed() -> None:
    """Events in order are kept; a repeated one is fine, one ahead of its turn has to come again."""
    first = event(1, None)
    second = event(2, hashlib.sha256(first).digest())
    with Receiver() as receiver:
        url, inbox = receiver.open("f1")
        keyed(inbox)
        assert [send(url, body) for body in (second, first, first, second)] == [409, 204, 204, 204]
        assert [taken["sequence"] for taken in inbox.take()] == [1, 2]
        assert inbox.take() == []
        assert receiver.kinds() == {"offer.made": 2}
        assert receiver.totals() == {
            "received": 4, "verified": 4, "in_order": 2, "missing_events": 1, "repeated_event": 1,
        }  # fmt: skip


def test_what_does_not_verify() -> None:
    """A foreign key, a broken chain, an unknown path, an endless body: none is believed."""
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with Receiver() as receiver:
        url, inbox = receiver.open("f1")
        assert send(url, event(1, None)) == 400
        keyed(inbox)
        assert send(url, event(1, None), key=other) == 400
        assert send(url, event(1, b"x" * 32)) == 400
        assert send(url + "x", event(1, None)) == 404
        assert urllib3.request("POST", url, body=b"x" * 70_000, retries=False).status == 413
        assert inbox.counts["in_order"] == 0
        assert inbox.counts["no_key"] == inbox.counts["bad_signature"] == inbox.counts["broken_chain"] == 1


def test_many() -> None:
    """Hundreds over one kept connection all arrive."""
    prev, count = None, 300
    with Receiver() as receiver, urllib3.PoolManager() as pool:
        url, inbox = receiver.open("f1")
        keyed(inbox)
        for sequence in range(1, count + 1):
            body = event(sequence, prev)
            prev = hashlib.sha256(body).digest()
            name, timestamp = f"evt_{sequence}", int(system_now().timestamp())
            headers = {
                "webhook-id": name,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": sign(name, timestamp, body, KEY),
            }
            assert pool.request("POST", url, body=body, headers=headers).status == 204
        assert len(inbox.take()) == count
