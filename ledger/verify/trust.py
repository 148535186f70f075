"""Whom the verifier believes: keys it was given, or the chain of keys from one thumbprint on."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.canonical import DuplicateKey, NotCanonical, parse_json
from ledger.errors import LedgerError
from ledger.key_history import SUBJECT, KeyHistory, KeyRecord, Use
from ledger.keys import jwk, public_key_from_bytes, public_key_from_jwk
from ledger.notes import ED25519, Verifier
from ledger.records import ALGORITHMS, read_header


class KeySetRefused(LedgerError):
    """The file is not a JWK set, or has a key twice."""

    code = "key_set_refused"


class Trust(NamedTuple):
    """What to believe, small enough to be handed to every process: raw public keys, the chain of keys, its root.

    A key that is given (`given`) is believed always; one that only the chain knows, in its life.
    """

    given: tuple[tuple[str, bytes], ...] = ()
    chain: tuple[KeyRecord, ...] = ()
    root: str | None = None

    def judge(self) -> "Judge":
        """Read the chain. Refuses what `KeyHistory.read` refuses."""
        return _judge(self)


class Judge:
    """The keys believed, and what to say of a signature under one of them."""

    def __init__(self, trust: Trust) -> None:
        self.keys = {kid: public_key_from_bytes(raw) for kid, raw in trust.given}
        self.history = KeyHistory.read(trust.chain, root=trust.root) if trust.root else None
        if self.history:
            self.keys |= self.history.public_keys(Use.RECORD)

    def fault(self, kid: str, *, subject: str, time_s: int, index: int | None) -> str | None:
        """The code of what is wrong with a record's signature by its time and place, or None.

        Records about keys are judged with their chain.
        """
        if self.history is None or subject == SUBJECT or kid not in self.history.lives:
            return None
        return self.history.judge(kid, log_time=time_s, index=index)

    def log_keys(self, origin: str, *, size: int) -> list[Verifier]:
        """The keys of the log of that name that the chain of keys knows, in force for a checkpoint of `size`."""
        if self.history is None:
            return []
        return [
            Verifier(origin, ED25519, key.public_bytes_raw())
            for kid, key in self.history.public_keys(Use.LOG).items()
            if self.history.judge(kid, log_time=None, index=max(size - 1, 0)) is None
        ]


@lru_cache(maxsize=4)
def _judge(trust: Trust) -> Judge:
    return Judge(trust)


def parse_key_set(data: bytes) -> dict[str, Ed25519PublicKey]:
    """The public keys of a JWK set, by thumbprint, in the set's order.

    Refuses `KeySetRefused`, `canonical.DuplicateKey` and `keys.KeyRefused`.
    """
    match _parsed(data):
        case {"keys": list(members), **others} if not others:
            pass
        case _:
            raise KeySetRefused("The file is not a JWK set.")
    keys: dict[str, Ed25519PublicKey] = {}
    for member in members:
        if not isinstance(member, dict):
            raise KeySetRefused("A key of the set is not an object.")
        key = public_key_from_jwk(member)
        whole = jwk(key)
        stated = member | {"alg": "EdDSA"} if member.get("alg") in ALGORITHMS else member
        if "kid" not in member or not stated.items() <= whole.items():
            raise KeySetRefused(f"The key {whole['kid']} has other members than it needs, or lacks its kid.")
        if whole["kid"] in keys:
            raise KeySetRefused(f"The key {whole['kid']} is in the set twice.")
        keys[whole["kid"]] = key
    return keys


def _parsed(data: bytes) -> object:
    try:
        return parse_json(data)
    except DuplicateKey:
        raise
    except NotCanonical as error:
        raise KeySetRefused(f"The file is not a JWK set: {error}") from error


def raw_keys(keys: Mapping[str, Ed25519PublicKey]) -> tuple[tuple[str, bytes], ...]:
    """The keys as `Trust` holds them."""
    return tuple((kid, key.public_bytes_raw()) for kid, key in keys.items())


def root_among(chain: Iterable[KeyRecord], *, known: Iterable[str]) -> str | None:
    """The first key that signed a record of the chain and is among those known. Refuses what `read_header` refuses."""
    names = set(known)
    return next((kid for kid in signers(chain) if kid in names), None)


def signers(chain: Iterable[KeyRecord]) -> list[str]:
    """Under which key each record of the chain says it is signed. Refuses what `records.read_header` refuses."""
    return [read_header(record.jws.partition(".")[0].encode("ascii", "replace"))[0] for record in chain]
