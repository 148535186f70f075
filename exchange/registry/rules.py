"""What may happen to a key and when; which facts are too large to be signed."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Protocol

import orjson

from exchange.errors import Refusal
from ledger.records import LARGEST_SIGNING_INPUT

FRAME_BYTES = 600
"""More than header, salt, place in the chain and time take in any signing input, besides kind and asset id."""
DIGEST_BYTES = 46
"""What the digest of a hidden field takes in the payload: 43 characters, quotes and a comma."""


class KeyState(StrEnum):
    """Where a key is in its life. An outgoing one has a successor but cosigns checkpoints still."""

    NEXT = "next"
    CURRENT = "current"
    OUTGOING = "outgoing"
    RETIRED = "retired"
    COMPROMISED = "compromised"


class KeyMoments(Protocol):
    """The moments of a key's life."""

    @property
    def activated_at(self) -> datetime | None:
        """When it began to sign."""

    @property
    def superseded_at(self) -> datetime | None:
        """When another took its place."""

    @property
    def retired_at(self) -> datetime | None:
        """When it signed for the last time."""

    @property
    def compromised_since(self) -> datetime | None:
        """Since when others may have had it."""


class UnknownSigningKey(Refusal):
    """No key has that thumbprint."""

    code = "unknown_signing_key"
    status = HTTPStatus.NOT_FOUND
    title = "No such key"


class KeyNotNext(Refusal):
    """Only a key that has not signed yet is activated."""

    code = "key_not_next"
    title = "The key is not a next key"


class KeyInUse(Refusal):
    """The current key is not retired: another has to be activated in its place first."""

    code = "key_in_use"
    title = "The key is the current one"


class KeyRetired(Refusal):
    """The key is retired already."""

    code = "key_retired"
    title = "The key is retired"


class KeyNotHeld(Refusal):
    """The private half is not where this process could sign with it: sealing would stop."""

    code = "key_not_held"
    title = "The key's private half is not here"


class CompromiseNotEarlier(Refusal):
    """The moment lies ahead, or the key is denounced since an earlier one: what was flagged stays flagged."""

    code = "compromise_not_earlier"
    title = "The key cannot be denounced since that moment"


class FactTooLarge(Refusal):
    """The fact does not fit into what key services sign; nothing of the request was kept."""

    code = "fact_too_large"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The fact is too large to be signed"


def key_state(key: KeyMoments) -> KeyState:
    """Where a key is in its life."""
    if key.compromised_since is not None:
        return KeyState.COMPROMISED
    if key.retired_at is not None:
        return KeyState.RETIRED
    if key.activated_at is None:
        return KeyState.NEXT
    return KeyState.CURRENT if key.superseded_at is None else KeyState.OUTGOING


def check_activation(key: KeyMoments, *, kid: str) -> None:
    """Refuse `KeyNotNext`."""
    state = key_state(key)
    if state is not KeyState.NEXT:
        raise KeyNotNext(f"The key {kid} is {state}: a key is activated once, and introduced before that.")


def check_retirement(key: KeyMoments, *, kid: str) -> None:
    """Refuse `KeyInUse` and `KeyRetired`."""
    state = key_state(key)
    if state is KeyState.CURRENT:
        raise KeyInUse(f"The key {kid} signs: activate its successor first.")
    if state not in {KeyState.NEXT, KeyState.OUTGOING}:
        raise KeyRetired(f"The key {kid} is {state} already.")


def check_compromise(key: KeyMoments, *, kid: str, since: datetime, now: datetime) -> None:
    """Refuse `CompromiseNotEarlier`."""
    if since > now:
        raise CompromiseNotEarlier(f"{since:%Y-%m-%dT%H:%M:%SZ} has not come yet.")
    if key.compromised_since is not None and since >= key.compromised_since:
        raise CompromiseNotEarlier(f"The key {kid} is denounced since {key.compromised_since:%Y-%m-%dT%H:%M:%SZ}.")


def check_size(kind: str, *, asset_id: str, body: bytes, disclosable: Mapping[str, object]) -> None:
    """Refuse (`FactTooLarge`) a fact whose record could be longer than key services sign; `body` is its JSON.

    The signing input is base64, four bytes for three. The bound is a little high, and never too low.
    """
    hidden = DIGEST_BYTES * len(disclosable)
    frame = FRAME_BYTES + 2 * len(kind) + len(orjson.dumps(asset_id))
    largest = (len(body) + hidden + frame) * 4 // 3
    if largest > LARGEST_SIGNING_INPUT:
        raise FactTooLarge(
            f"A fact of kind {kind} is too large to be signed.", bytes=largest, most_bytes=LARGEST_SIGNING_INPUT
        )
