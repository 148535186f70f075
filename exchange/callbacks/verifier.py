"""Verifies callbacks of the exchange. Copy this file: it needs Python 3.11 and `cryptography`, nothing else.

Standard Webhooks 1.0: `webhook-signature` holds, space-separated, `v1,` (HMAC-SHA256 under the secret) and
`v1a,` (Ed25519 under the exchange's key) signatures of `<webhook-id>.<webhook-timestamp>.<body>`. Verify the
bytes as they came, before any JSON reader touches them. A callback may come more than once: act on each
`webhook-id` once.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class VerificationError(Exception):
    """The callback must not be acted on; `code` says why and never changes its meaning."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Link:
    """How far a stream was followed: the last event's number and the SHA-256 of its body, in hex."""

    sequence: int
    digest: str


def verify(
    headers: Mapping[str, str],
    body: bytes,
    *,
    secret: str | None = None,
    public_key: str | None = None,
    now: int,
    tolerance_s: int = 300,
) -> None:
    """Return if the callback is the exchange's own and fresh, else raise `VerificationError`.

    `secret` is `whsec_...`, `public_key` is `whpk_...`; with both, a signature of each kind has to be right.
    `now` is in unix seconds. Codes: no_key, bad_key, missing_header, bad_id, bad_timestamp, too_old, too_new,
    bad_signature.
    """
    if secret is None and public_key is None:
        raise VerificationError("no_key", "Give the endpoint's secret, the exchange's public key, or both.")
    own = {name.lower(): value for name, value in headers.items()}
    try:
        event_id, timestamp, signatures = (own[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as error:
        raise VerificationError("missing_header", f"There is no header {error}.") from None
    if not event_id.isascii() or "." in event_id:
        raise VerificationError("bad_id", "A webhook-id is ASCII and has no dot.")
    _check_time(timestamp, now=now, tolerance_s=tolerance_s)
    message = f"{event_id}.{timestamp}.".encode() + body
    given = [_decoded(part) for part in signatures.split(" ")]
    if secret is not None:
        wanted = hmac.digest(_key(secret, "whsec_"), message, "sha256")
        if not any(kind == "v1" and hmac.compare_digest(value, wanted) for kind, value in given):
            raise VerificationError("bad_signature", "No v1 signature is right under the secret.")
    if public_key is not None:
        key = _public_key(public_key)
        if not any(kind == "v1a" and _signed(key, value, message) for kind, value in given):
            raise VerificationError("bad_signature", "No v1a signature is right under the public key.")


def follow(body: bytes, *, last: Link | None) -> Link | None:
    """The link `body` is, if it comes right after `last` (None: before the first event); verify it first.

    A heartbeat and an example have no place in the stream: `last` again, unless the heartbeat tells of later events.
    `VerificationError`: missing_events (read them with GET /v1/events?after=), repeated_event, broken_chain.
    """
    event = json.loads(body)
    if "sequence" not in event:
        come = event["data"].get("last_sequence", 0) if event["type"] == "stream.heartbeat" else 0
        if come > (0 if last is None else last.sequence):
            raise VerificationError("missing_events", f"The stream has come to event {come}.")
        return last
    expected = 1 if last is None else last.sequence + 1
    if event["sequence"] > expected:
        raise VerificationError("missing_events", f"Event {expected} has not come yet, {event['sequence']} has.")
    if event["sequence"] < expected:
        raise VerificationError("repeated_event", f"Event {event['sequence']} has come before.")
    if event["prev"] != (None if last is None else last.digest):
        raise VerificationError("broken_chain", f"Event {expected} does not name the digest of the one before it.")
    return Link(expected, hashlib.sha256(body).hexdigest())


def _check_time(timestamp: str, *, now: int, tolerance_s: int) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= len(str(2**63))):
        raise VerificationError("bad_timestamp", "The webhook-timestamp is not unix seconds.")
    if int(timestamp) < now - tolerance_s:
        raise VerificationError("too_old", "The callback was sent too long ago, or is being replayed.")
    if int(timestamp) > now + tolerance_s:
        raise VerificationError("too_new", "The callback comes from the future: check your clock.")


def _decoded(part: str) -> tuple[str, bytes]:
    kind, _, value = part.partition(",")
    try:
        return kind, base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return "", b""


def _key(text: str, prefix: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(prefix) or not key:
        raise VerificationError("bad_key", f"The key is not {prefix} and base64.")
    return key


def _public_key(text: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(_key(text, "whpk_"))
    except ValueError:
        raise VerificationError("bad_key", "The public key is not 32 bytes of Ed25519.") from None


def _signed(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
