"""The life of the exchange's keys, read from the chain of signed records about them, and what it says of a signature.

The chain has the subject `keys`. Its first record introduces the first record key and is signed by it: that key's
thumbprint is all a reader has to be given. Each later record is signed by the record key in force, so the chain
vouches for every key after the first. A record key is in force from the log entry of its activation to that of the
next one's; what it signed outside is named by a stable code.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from math import inf
from typing import Any, NamedTuple, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.canonical import NotCanonical, parse_canonical
from ledger.encoding import MalformedBase64, parse_base64url
from ledger.errors import LedgerError
from ledger.keys import KeyRefused, public_key_from_jwk, thumbprint
from ledger.records import OpenedRecord, open_record

SUBJECT = "keys"
"""What the chain's records name as their asset."""
GRACE_SECONDS = 300
"""How far a record's time may lie outside its key's life where no log index says more: what was noted waits for its
signature, and clocks differ."""

NOT_TRUSTED = "key_not_trusted"
BEFORE_INTRODUCTION = "signed_before_introduction"
BEFORE_ACTIVATION = "signed_before_activation"
AFTER_RETIREMENT = "signed_after_retirement"
AFTER_COMPROMISE = "signed_after_compromise"


class Use(StrEnum):
    """What a key signs: asset records, or the log's checkpoints."""

    RECORD = "record"
    LOG = "log"


class KeyEvent(StrEnum):
    """What happens to a key."""

    INTRODUCED = "key.introduced"
    ACTIVATED = "key.activated"
    RETIRED = "key.retired"
    COMPROMISED = "key.compromised"


class KeyHistoryRefused(LedgerError):
    """Base of what is refused about the chain of key records, besides what `records.open_record` refuses."""

    code = "key_history_refused"


class BrokenKeyChain(KeyHistoryRefused):
    """A record is missing, repeated or out of order, or is not about keys."""

    code = "key_chain_broken"


class MalformedKeyEvent(KeyHistoryRefused):
    """The record does not say what such a record has to say about a key."""

    code = "malformed_key_event"


class ImpossibleKeyEvent(KeyHistoryRefused):
    """The event cannot follow those before it: an unknown key activated, a retired one retired again."""

    code = "impossible_key_event"


class WrongKeySigner(KeyHistoryRefused):
    """The record is signed by a key that was not in force."""

    code = "wrong_key_signer"


class UnknownRoot(KeyHistoryRefused):
    """The key to start from is not in the chain."""

    code = "unknown_root"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A record of the chain and, where it is known, its index in the log."""

    jws: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened: unix seconds as the record says, and the log index."""

    time: int
    index: int | None

    def follows(self, time: int | None, index: int | None) -> bool:
        """Whether what is told of `time` and `index` certainly came before this."""
        if index is not None and self.index is not None:
            return index < self.index
        return time is not None and time < self.time - GRACE_SECONDS

    def precedes(self, time: int | None, index: int | None) -> bool:
        """Whether what is told of `time` and `index` certainly came after this."""
        if index is not None and self.index is not None:
            return index > self.index
        return time is not None and time > self.time + GRACE_SECONDS


@dataclass(slots=True)
class Life:
    """What the chain tells of one key; `compromised_since` is in unix seconds."""

    kid: str
    use: Use
    public_key: Ed25519PublicKey
    introduced: Moment
    activated: Moment | None = None
    retired: Moment | None = None
    denounced: Moment | None = None
    compromised_since: int | None = None

    def is_compromised_at(self, time: int | None, index: int | None) -> bool:
        """Whether a signature told to be of `time` and `index` falls into the hands the key fell into.

        What is not in the log may have been made at any time.
        """
        if self.compromised_since is None or self.denounced is None:
            return False
        late = time is not None and time >= self.compromised_since
        beyond = self.denounced.index is not None and index is not None and index > self.denounced.index
        return index is None or late or beyond


class _Event(NamedTuple):
    """A record of the chain, as the judgement of trust needs it."""

    kind: KeyEvent
    kid: str
    signer: str
    moment: Moment


class KeyHistory:
    """Every key of the chain, which of them to trust, and when each was in force."""

    def __init__(self) -> None:
        self.lives: dict[str, Life] = {}
        self.in_force: str | None = None
        self.trusted: frozenset[str] = frozenset()
        self._events: list[_Event] = []
        self._last: tuple[int, str | None] = (0, None)

    @classmethod
    def read(cls, records: Iterable[KeyRecord], *, root: str) -> Self:
        """The history that `records` (in chain order) tell to whoever trusts the key with the thumbprint `root`.

        `root` is best the first key; a later one vouches for what it signed and what stands before that. Refuses
        what `records.open_record` refuses, and every `KeyHistoryRefused`.
        """
        history = cls()
        for record in records:
            history._take(record)
        if root not in history.lives:
            raise UnknownRoot(f"The chain of keys does not know the key {root}.")
        history.trusted = history._trusted_from(root)
        return history

    def public_keys(self, use: Use = Use.RECORD) -> dict[str, Ed25519PublicKey]:
        """The trusted keys by thumbprint, as `records.open_record` wants them."""
        lives = (self.lives[kid] for kid in self.trusted)
        return {life.kid: life.public_key for life in lives if life.use is use}

    def judge(self, kid: str, *, log_time: int | None, index: int | None) -> str | None:
        """What is wrong with a signature under `kid`, as a stable code, or None.

        `log_time` is the time in the record's log entry (unix seconds), `index` that entry's place in the log, None
        where the record is not in the log or nobody said where. For a checkpoint give no time, and as index the last
        entry it covers.
        """
        life = self.lives.get(kid)
        if life is None or kid not in self.trusted:
            return NOT_TRUSTED
        if life.is_compromised_at(log_time, index):
            return AFTER_COMPROMISE
        if life.retired is not None and life.retired.precedes(log_time, index):
            return AFTER_RETIREMENT
        # The first key is trusted by itself; it may have signed before there was a chain to introduce it.
        return None if kid == self._events[0].kid else _prematurity(life, log_time, index)

    def _take(self, record: KeyRecord) -> None:
        opened = open_record(record.jws, keys=self._keys() or _first_key(record.jws))
        self._check_place(record, opened.body)
        try:
            kind, use = KeyEvent(opened.type), Use(opened.body["use"])
            moment = Moment(_whole(opened.body["recorded_at"]), record.index)
            public_key = public_key_from_jwk(opened.body["key"])
        except (ValueError, KeyError, TypeError, AttributeError, KeyRefused) as error:
            raise MalformedKeyEvent(f"Record {self._last[0]} of the keys says nothing sensible of a key.") from error
        kid = thumbprint(public_key)
        if opened.body.get("kid") != kid:
            raise MalformedKeyEvent(f"Record {self._last[0]} of the keys gives its key a foreign name.")
        self._check_signer(opened, kind, use, kid)
        if kind is KeyEvent.INTRODUCED:
            if kid in self.lives:
                raise ImpossibleKeyEvent(f"The key {kid} is introduced twice.")
            self.lives[kid] = Life(kid, use, public_key, moment)
        else:
            self._happen(kind, use, kid, moment, opened.body)
        self._events.append(_Event(kind, kid, opened.kid, moment))

    def _check_place(self, record: KeyRecord, body: Mapping[str, Any]) -> None:
        sequence, prev = self._last[0] + 1, self._last[1]
        if (body["asset"], body["sequence"], body.get("prev")) != (SUBJECT, sequence, prev):
            raise BrokenKeyChain(f"Where record {sequence} of the keys belongs stands another.")
        before = self._events[-1].moment.index if self._events else None
        if None not in (before, record.index) and not before < record.index:  # type: ignore[operator]  # neither is None
            raise BrokenKeyChain(f"Record {sequence} of the keys stands before its predecessor in the log.")
        self._last = sequence, hashlib.sha256(record.jws.encode("ascii")).hexdigest()

    def _check_signer(self, opened: OpenedRecord, kind: KeyEvent, use: Use, kid: str) -> None:
        """The key in force signs; where that one is lost, the key that comes into force signs its own activation."""
        first = not self._events and kind is KeyEvent.INTRODUCED and use is Use.RECORD
        itself = opened.kid == kid and (first or (kind is KeyEvent.ACTIVATED and use is Use.RECORD))
        if not itself and (self.in_force is None or opened.kid != self.in_force):
            raise WrongKeySigner(f"Record {self._last[0]} of the keys is signed by {opened.kid}, not in force then.")

    def _happen(self, kind: KeyEvent, use: Use, kid: str, moment: Moment, body: Mapping[str, Any]) -> None:
        life = self.lives.get(kid)
        if life is None or life.use is not use:
            raise ImpossibleKeyEvent(f"The chain does not know {kid} as a {use} key.")
        if kind is KeyEvent.ACTIVATED and not (life.activated or life.retired):
            life.activated = moment
            self.in_force = kid if use is Use.RECORD else self.in_force
        elif kind is KeyEvent.RETIRED and not life.retired and kid != self.in_force:
            life.retired = moment
        elif kind is KeyEvent.COMPROMISED and life.retired:
            since = _whole(body.get("since"))
            life.denounced = life.denounced or moment
            life.compromised_since = min(since, life.compromised_since or since)
        else:
            raise ImpossibleKeyEvent(f"{kind} cannot happen to the key {kid} now.")

    def _keys(self) -> dict[str, Ed25519PublicKey]:
        return {kid: life.public_key for kid, life in self.lives.items() if life.use is Use.RECORD}

    def _safe_until(self, kid: str) -> float:
        since = self.lives[kid].compromised_since
        return inf if since is None else since

    def _trusted_from(self, root: str) -> frozenset[str]:
        """The root; what it had before itself when it signed last; and whom the trusted introduced in good hands.

        No event is older than those before it, whatever it says: a thief may write any time.
        """
        times = accumulate((event.moment.time for event in self._events), max)
        clean = [time < self._safe_until(event.signer) for event, time in zip(self._events, times, strict=True)]
        signed = [place for place, event in enumerate(self._events) if event.signer == root and clean[place]]
        vouched = max(signed, default=-1)
        trusted = {root}
        for place, event in enumerate(self._events):
            if event.kind is KeyEvent.INTRODUCED and clean[place] and (place <= vouched or event.signer in trusted):
                trusted.add(event.kid)
        return frozenset(trusted)


def _prematurity(life: Life, log_time: int | None, index: int | None) -> str | None:
    """A time says when a fact was noted, not when it was signed: only an index can tell of the activation."""
    if life.introduced.follows(log_time, index):
        return BEFORE_INTRODUCTION
    if life.activated is None or (index is not None and life.activated.follows(None, index)):
        return BEFORE_ACTIVATION
    return None


def _first_key(jws: str) -> dict[str, Ed25519PublicKey]:
    """The key that the chain's first record introduces, read before its own signature is checked with it."""
    try:
        payload = parse_canonical(parse_base64url(jws.split(".")[1]))
        public_key = public_key_from_jwk(payload["key"])
    except (IndexError, KeyError, TypeError, AttributeError, MalformedBase64, NotCanonical, KeyRefused) as error:
        raise MalformedKeyEvent("The first record of the keys introduces no key.") from error
    return {thumbprint(public_key): public_key}


def _whole(value: object) -> int:
    if type(value) is not int:
        raise MalformedKeyEvent("A time in a record of the keys is not in whole seconds.")
    return value
