"""The verifier that funders copy, held against signatures made without any of our code."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from exchange.callbacks import rules
from exchange.callbacks.verifier import Link, VerificationError, follow, verify

# The example of the Standard Webhooks reference libraries.
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - published
STANDARD_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
STANDARD_BODY = b'{"test": 2432232314}'

SECRET = bytes(range(32))
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
WHSEC = rules.secret_text(SECRET)
WHPK = rules.public_key_text(KEY)
AT = 1_767_225_600
BODY = (
    b'{"data":{"n":1},"log_index":null,"prev":null,"sequence":1,"timestamp":"2026-01-01T00:00:00Z","type":"offer.made"}'
)
PINNED = (
    "v1,1D+tZigcO/x3gWpbAqwOnaRE5PMh/AS6mKuWVU1anj4= "
    "v1a,09SHrfW05UTPahmwub0b1pXv+4y0jbBWJ7Eh6mElGF6RFYSeuvfL8Ay3zU97fwbk6Ixuu3jtAC8rOKs9LD4hBw=="
)


def signed(body: bytes = BODY, *, event_id: str = "evt_1", at: int = AT) -> dict[str, str]:
    """A callback's headers as the exchange makes them."""
    signature = rules.signature_header(body, event_id=event_id, timestamp=at, secrets=[SECRET], private_key=KEY)
    return {"Webhook-Id": event_id, "Webhook-Timestamp": str(at), "Webhook-Signature": signature}


def code_of(
    headers: dict[str, str],
    body: bytes = BODY,
    *,
    now: int = AT,
    secret: str | None = WHSEC,
    public_key: str | None = WHPK,
) -> str:
    """The code of the refusal."""
    with pytest.raises(VerificationError) as refused:
        verify(headers, body, secret=secret, public_key=public_key, now=now)
    return refused.value.code


def test_published_vector() -> None:
    """The example of the standard's own libraries verifies, and not a second too late."""
    verify(STANDARD_HEADERS, STANDARD_BODY, secret=STANDARD_SECRET, now=1614265330)
    assert (
        code_of(STANDARD_HEADERS, STANDARD_BODY, now=1614265631, secret=STANDARD_SECRET, public_key=None) == "too_old"
    )


def test_pinned_vector() -> None:
    """Our signature never changes: HMAC and Ed25519 are both deterministic."""
    assert signed()["Webhook-Signature"] == PINNED


def test_signature_computed_by_hand() -> None:
    """Plain hmac and cryptography, after the text of the standard, give the same header."""
    message = b"evt_1." + str(AT).encode() + b"." + BODY
    shared = base64.b64encode(hmac.new(SECRET, message, hashlib.sha256).digest()).decode()
    public = base64.b64encode(KEY.sign(message)).decode()
    assert signed()["Webhook-Signature"] == f"v1,{shared} v1a,{public}"


@pytest.mark.parametrize(("secret", "public_key"), [(WHSEC, None), (None, WHPK), (WHSEC, WHPK)])
def test_either_key_or_both(secret: str | None, public_key: str | None) -> None:
    """A funder may rely on the secret, on the public key, or on both."""
    verify(signed(), BODY, secret=secret, public_key=public_key, now=AT)


@pytest.mark.parametrize("now", [AT - 300, AT + 300])
def test_clocks_may_differ_by_the_tolerance(now: int) -> None:
    """Five minutes either way, by default, and the wider or narrower window that is asked for."""
    verify(signed(), BODY, secret=WHSEC, now=now)
    with pytest.raises(VerificationError):
        verify(signed(), BODY, secret=WHSEC, now=now, tolerance_s=299)


def test_rotation() -> None:
    """Of several signatures of a kind one has to be right, among kinds not known yet."""
    headers = signed()
    headers["Webhook-Signature"] = f"v9,AA== v1,AAAA v1a,AAAA nonsense v1,!! {headers['Webhook-Signature']}"
    verify(headers, BODY, secret=WHSEC, public_key=WHPK, now=AT)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("Webhook-Id", "evt_2", "bad_signature"),
        ("Webhook-Id", "evt.1", "bad_id"),
        ("Webhook-Id", "\u00e9vt", "bad_id"),
        ("Webhook-Timestamp", str(AT + 1), "bad_signature"),
        ("Webhook-Timestamp", str(AT - 301), "too_old"),
        ("Webhook-Timestamp", str(AT + 301), "too_new"),
        ("Webhook-Timestamp", f" {AT}", "bad_timestamp"),
        ("Webhook-Timestamp", f"+{AT}", "bad_timestamp"),
        ("Webhook-Timestamp", f"{AT}.0", "bad_timestamp"),
        ("Webhook-Timestamp", "", "bad_timestamp"),
        ("Webhook-Timestamp", "9" * 5000, "bad_timestamp"),
        ("Webhook-Timestamp", "\u0661", "bad_timestamp"),
        ("Webhook-Signature", "", "bad_signature"),
        ("Webhook-Signature", "v1,", "bad_signature"),
        ("Webhook-Signature", PINNED.split(" ", maxsplit=1)[0], "bad_signature"),
        ("Webhook-Signature", PINNED.rsplit(" ", maxsplit=1)[-1], "bad_signature"),
        ("Webhook-Signature", PINNED.replace("v1a", "v1"), "bad_signature"),
    ],
)
def test_changed_headers_are_refused(name: str, value: str, code: str) -> None:
    """Whatever is changed in a header is found, and says how."""
    assert code_of(signed() | {name: value}) == code


@pytest.mark.parametrize("name", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_missing_headers_are_refused(name: str) -> None:
    """All three headers are needed."""
    headers = signed()
    del headers[name]
    assert code_of(headers) == "missing_header"


@given(position=st.integers(0, len(BODY) - 1), mask=st.integers(1, 255))
def test_any_changed_byte_is_found(position: int, mask: int) -> None:
    """One flipped bit anywhere in the body breaks both signatures."""
    changed = BODY[:position] + bytes([BODY[position] ^ mask]) + BODY[position + 1 :]
    assert code_of(signed(), changed, public_key=None) == "bad_signature"
    assert code_of(signed(), changed, secret=None) == "bad_signature"


@pytest.mark.parametrize(
    ("secret", "public_key", "code"),
    [
        (None, None, "no_key"),
        ("whsec_", None, "bad_key"),
        ("whsec_!", None, "bad_key"),
        ("whsec_\u00e9", None, "bad_key"),
        (WHSEC.removeprefix("whsec_"), None, "bad_key"),
        (None, "whpk_AAAA", "bad_key"),
        (None, WHSEC, "bad_key"),
        (rules.secret_text(b"another"), WHPK, "bad_signature"),
        (WHSEC, "whpk_" + base64.b64encode(bytes(range(32))).decode(), "bad_signature"),
    ],
)
def test_wrong_keys_are_refused(secret: str | None, public_key: str | None, code: str) -> None:
    """A key that is none is told apart from one that is another's."""
    assert code_of(signed(), secret=secret, public_key=public_key) == code


def chain(length: int) -> list[bytes]:
    """The first bodies of a stream."""
    bodies: list[bytes] = []
    for sequence in range(1, length + 1):
        prev = hashlib.sha256(bodies[-1]).digest() if bodies else None
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        bodies.append(
            rules.event_body("offer.made", data=b"{}", recorded_at=moment, sequence=sequence, prev=prev, log_index=None)
        )
    return bodies


def test_a_whole_stream_is_followed() -> None:
    """From the first event on, each link is the next."""
    link = None
    for body in chain(5):
        link = follow(body, last=link)
    assert link == Link(5, hashlib.sha256(chain(5)[-1]).hexdigest())


def test_what_is_missing_repeated_or_changed_is_told() -> None:
    """A receiver knows from number and hash alone that it has missed nothing."""
    first, second, third = chain(3)
    link = follow(first, last=None)
    changed = json.dumps(json.loads(first) | {"type": "offer.lapsed"}).encode()
    for body, last, code in (
        (third, link, "missing_events"),
        (second, None, "missing_events"),
        (first, link, "repeated_event"),
        (second, follow(changed, last=None), "broken_chain"),
    ):
        with pytest.raises(VerificationError) as refused:
            follow(body, last=last)
        assert refused.value.code == code
