"""Signed records: one fact about one asset, as a compact JWS that any off-the-shelf library verifies.

A record is a JWS (RFC 7515) with Ed25519 over canonical JSON. Fields that only some may see are SD-JWT
disclosures (RFC 9901): the payload holds their salted digests, the values travel beside it, and the signature
is the same with or without them. A record names its asset, its place in that asset's chain (`sequence`, from
1) and the digest of the record before it (`prev`), so a chain can neither lose, gain nor reorder a record
unseen.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.canonical import NotCanonical, canonical_bytes, parse_canonical
from ledger.encoding import MalformedBase64, base64url, base64url_ascii, parse_base64url
from ledger.errors import LedgerError
from ledger.keys import Signer

ALGORITHMS = ("EdDSA", "Ed25519")
"""RFC 8037's name, which we write, and RFC 9864's for the same algorithm."""
API_VERSION = "exchange/v1"
SALT_BYTES = 16
LARGEST_SIGNING_INPUT = 4095
"""Bytes of header, dot and payload; cloud key services sign messages of at most 4,096 bytes."""

_RESERVED = frozenset({"_sd", "_sd_alg", "...", "salt"})
_LEAF_MEMBERS = frozenset({"apiVersion", "asset", "kid", "kind", "prev", "record", "sequence", "time"})
_TYPE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class RecordRefused(LedgerError):
    """Base of what is refused about a record."""

    code = "record_refused"


class MalformedRecord(RecordRefused):
    """The record is not of the form this module writes."""

    code = "malformed_record"


class RecordTooLarge(RecordRefused):
    """The signing input is longer than a key service signs."""

    code = "record_too_large"


class UnknownKey(RecordRefused):
    """The record names a key that the reader was not given."""

    code = "unknown_key"


class WrongAlgorithm(RecordRefused):
    """The record claims another algorithm than Ed25519."""

    code = "wrong_algorithm"


class BadSignature(RecordRefused):
    """The signature is not the named key's over these bytes."""

    code = "bad_signature"


class PayloadNotCanonical(RecordRefused):
    """The signed payload is not in canonical form."""

    code = "payload_not_canonical"


class MalformedDisclosure(RecordRefused):
    """The disclosure is not the canonical form of salt, name and value, or its name is taken."""

    code = "malformed_disclosure"


class ForeignDisclosure(RecordRefused):
    """The disclosure's digest is not in the record: it belongs to another record, or was altered."""

    code = "foreign_disclosure"


class DuplicateDisclosure(RecordRefused):
    """One field was disclosed twice."""

    code = "duplicate_disclosure"


class MalformedLeaf(LedgerError):
    """The log entry is not of the form `leaf` writes."""

    code = "malformed_leaf"


class SealedRecord(NamedTuple):
    """A signed record: the compact JWS, the SHA-256 of its ASCII bytes, its disclosures as ordered."""

    jws: str
    digest: bytes
    disclosures: tuple[str, ...]


class OpenedRecord(NamedTuple):
    """A record whose signature held: the key, the type, the body as sealed, the fields disclosed."""

    kid: str
    type: str
    body: dict[str, Any]
    disclosed: dict[str, Any]


class Leaf(NamedTuple):
    """A log entry: which record (`digest` of the JWS) stands where in which asset's chain, and since when."""

    kind: str
    asset: str
    sequence: int
    prev: bytes | None
    digest: bytes
    kid: str
    time: str


def seal(
    body: Mapping[str, object],
    *,
    disclosable: Mapping[str, object],
    signer: Signer,
    salt: Callable[[str], bytes],
) -> SealedRecord:
    """Sign `body`, with the fields of `disclosable` as salted digests.

    `body` has `type` (lower case, as in `asset.confirmed`), `asset`, `sequence` (from 1) and `prev` (the hex
    digest of the asset's previous record, None for the first). `salt(name)` gives 16 unguessable bytes for a
    field; `salt("salt")` those that blind the record itself. Refuses `MalformedRecord`, `RecordTooLarge` and
    `canonical.NotCanonical`.
    """
    if not _RESERVED.isdisjoint(body) or not _RESERVED.isdisjoint(disclosable):
        raise MalformedRecord(f"The names {', '.join(sorted(_RESERVED))} are reserved.")
    if not disclosable.keys().isdisjoint(body):
        raise MalformedRecord("A field is either in the body or disclosable, not both.")
    record_type = _check_body(body)
    payload = dict(body)
    payload["salt"] = _salt_text(salt, "salt")
    disclosures = [_disclosure(name, value, _salt_text(salt, name)) for name, value in disclosable.items()]
    if disclosures:
        payload["_sd"] = sorted(map(disclosure_digest, disclosures))
        payload["_sd_alg"] = "sha-256"
    return _signed(canonical_bytes(payload), signer, record_type, tuple(disclosures))


def open_record(
    jws: str,
    *,
    keys: Mapping[str, Ed25519PublicKey],
    disclosures: Sequence[str] = (),
) -> OpenedRecord:
    """Verify a record and the disclosures that came with it.

    `keys` are the public keys trusted, by thumbprint; a key or an address inside the record is never
    honoured. Refuses `MalformedRecord`, `RecordTooLarge`, `WrongAlgorithm`, `UnknownKey`, `BadSignature`,
    `PayloadNotCanonical`, `MalformedDisclosure`, `ForeignDisclosure` and `DuplicateDisclosure`.
    """
    signing_input, _, signature_text = jws.rpartition(".")
    if len(signing_input) > LARGEST_SIGNING_INPUT:
        raise RecordTooLarge(f"The signing input is longer than {LARGEST_SIGNING_INPUT} bytes.")
    header_text, dot, payload_text = signing_input.partition(".")
    if not dot:
        raise MalformedRecord("The record is not a compact JWS of three parts.")
    try:
        header_bytes, payload, signature = map(parse_base64url, (header_text, payload_text, signature_text))
    except MalformedBase64 as error:
        raise MalformedRecord("A part of the record is not base64url in its one spelling.") from error
    kid, record_type = _parse_header(header_bytes)
    if kid not in keys:
        raise UnknownKey(f"The record is signed under the unknown key {kid}.")
    try:
        keys[kid].verify(signature, signing_input.encode("ascii"))
    except InvalidSignature as error:
        raise BadSignature(f"The signature is not that of key {kid}.") from error
    return _opened(kid, record_type, payload, disclosures)


def disclosure_digest(disclosure: str) -> str:
    """The base64url SHA-256 by which a payload names a disclosure (RFC 9901, section 4.2.3)."""
    return base64url(hashlib.sha256(disclosure.encode("ascii")).digest())


def leaf(
    asset: str,
    *,
    kind: str,
    sequence: int,
    prev: bytes | None,
    digest: bytes,
    kid: str,
    recorded_at: datetime,
) -> bytes:
    """The log entry for a record: canonical JSON that holds its place and digests, and nothing commercial.

    `digest` and `prev` are SHA-256 of the JWS and of the asset's previous one. `recorded_at` (aware) is kept
    to the second. Refuses `MalformedLeaf` and `canonical.NotCanonical`.
    """
    if recorded_at.tzinfo is None:
        raise MalformedLeaf("A log entry's time needs a time zone.")
    entry = {
        "apiVersion": API_VERSION,
        "asset": asset,
        "kid": kid,
        "kind": kind,
        "prev": None if prev is None else prev.hex(),
        "record": digest.hex(),
        "sequence": sequence,
        "time": recorded_at.astimezone(UTC).strftime(_TIME_FORMAT),
    }
    _check_leaf(entry)
    return canonical_bytes(entry)


def parse_leaf(data: bytes) -> Leaf:
    """The log entry in `data`. Refuses `MalformedLeaf`."""
    try:
        entry = parse_canonical(data)
    except NotCanonical as error:
        raise MalformedLeaf("The log entry is not canonical JSON.") from error
    if not isinstance(entry, dict) or entry.keys() != _LEAF_MEMBERS or entry["apiVersion"] != API_VERSION:
        raise MalformedLeaf(f"The log entry is not an {API_VERSION} leaf.")
    _check_leaf(entry)
    return Leaf(
        kind=entry["kind"],
        asset=entry["asset"],
        sequence=entry["sequence"],
        prev=None if entry["prev"] is None else bytes.fromhex(entry["prev"]),
        digest=bytes.fromhex(entry["record"]),
        kid=entry["kid"],
        time=entry["time"],
    )


def _check_place(asset: object, sequence: object, prev: object) -> str | None:
    """What is wrong with a record's place in its asset's chain, or None."""
    if type(asset) is not str or not asset:
        return "asset is not a non-empty string"
    if type(sequence) is not int or sequence < 1:
        return "sequence is not an integer from 1"
    if prev is None:
        return None if sequence == 1 else "prev is missing from a record that is not its asset's first"
    if sequence == 1:
        return "prev is given for an asset's first record"
    return None if type(prev) is str and _DIGEST.fullmatch(prev) else "prev is not 64 lower-case hex digits"


def _check_body(body: Mapping[str, object]) -> str:
    """The body's type, once its required members are in order."""
    fault = _check_place(body.get("asset"), body.get("sequence"), body.get("prev"))
    if fault:
        raise MalformedRecord(f"In the record, {fault}.")
    record_type = body.get("type")
    if type(record_type) is not str or not _TYPE.fullmatch(record_type):
        raise MalformedRecord("In the record, type is not a lower-case token.")
    return record_type


def _check_leaf(entry: Mapping[str, object]) -> None:
    fault = _check_place(entry["asset"], entry["sequence"], entry["prev"])
    if fault:
        raise MalformedLeaf(f"In the log entry, {fault}.")
    for member, pattern in (("kind", _TYPE), ("record", _DIGEST), ("time", _TIME)):
        value = entry[member]
        if type(value) is not str or not pattern.fullmatch(value):
            raise MalformedLeaf(f"In the log entry, {member} is not of its form.")
    if type(entry["kid"]) is not str:
        raise MalformedLeaf("In the log entry, kid is not a string.")


def _salt_text(salt: Callable[[str], bytes], name: str) -> str:
    drawn = salt(name)
    if len(drawn) != SALT_BYTES:
        raise MalformedRecord(f"The salt of {name} has {len(drawn)} bytes, not {SALT_BYTES}.")
    return base64url(drawn)


def _disclosure(name: str, value: object, salt_text: str) -> str:
    return base64url(canonical_bytes([salt_text, name, value]))


@lru_cache(maxsize=1024)
def _header(alg: str, kid: str, record_type: str) -> bytes:
    """The encoded JWS header and its dot; only a few differ, so each is built once."""
    return base64url_ascii(canonical_bytes({"alg": alg, "kid": kid, "typ": f"{record_type}+jws"})) + b"."


def _signed(payload: bytes, signer: Signer, record_type: str, disclosures: tuple[str, ...]) -> SealedRecord:
    signing_input = _header(signer.alg, signer.kid, record_type) + base64url_ascii(payload)
    if len(signing_input) > LARGEST_SIGNING_INPUT:
        raise RecordTooLarge(f"The signing input has {len(signing_input)} bytes, more than {LARGEST_SIGNING_INPUT}.")
    jws = signing_input + b"." + base64url_ascii(signer.sign(signing_input))
    return SealedRecord(jws.decode("ascii"), hashlib.sha256(jws).digest(), disclosures)


def _parse_header(data: bytes) -> tuple[str, str]:
    """The key and the record type a header names. It holds alg, kid and typ alone: no key, URL or `crit`."""
    try:
        header = parse_canonical(data)
    except NotCanonical as error:
        raise MalformedRecord("The header is not canonical JSON.") from error
    if not isinstance(header, dict) or header.keys() != {"alg", "kid", "typ"}:
        raise MalformedRecord("The header has other members than alg, kid and typ.")
    alg, kid, typ = header["alg"], header["kid"], header["typ"]
    if alg not in ALGORITHMS:
        raise WrongAlgorithm(f"The record's algorithm is {alg!r}, not Ed25519.")
    if not isinstance(kid, str) or not isinstance(typ, str) or not typ.endswith("+jws"):
        raise MalformedRecord("The header's kid or typ is not of its form.")
    return kid, typ.removesuffix("+jws")


def _opened(kid: str, record_type: str, payload: bytes, disclosures: Sequence[str]) -> OpenedRecord:
    """What a payload says whose signature held."""
    try:
        body = parse_canonical(payload)
    except NotCanonical as error:
        raise PayloadNotCanonical("The signed payload is not canonical JSON.") from error
    if not isinstance(body, dict) or _check_body(body) != record_type:
        raise MalformedRecord("The signed payload is not an object of the header's type.")
    digests = body.pop("_sd", [])
    if body.pop("_sd_alg", "sha-256") != "sha-256" or not isinstance(digests, list):
        raise MalformedRecord("The record's digests are not a list of SHA-256 digests.")
    body.pop("salt", None)
    return OpenedRecord(kid, record_type, body, _disclosed(disclosures, digests=digests, body=body))


def _disclosed(disclosures: Sequence[str], *, digests: list[Any], body: Mapping[str, object]) -> dict[str, Any]:
    disclosed: dict[str, Any] = {}
    for disclosure in disclosures:
        try:
            parts = parse_canonical(parse_base64url(disclosure))
        except (MalformedBase64, NotCanonical) as error:
            raise MalformedDisclosure("A disclosure is not base64url of canonical JSON.") from error
        match parts:
            case [str(), str(name), value] if name not in _RESERVED and name not in body:
                pass
            case _:
                raise MalformedDisclosure("A disclosure is not salt, free name and value.")
        if disclosure_digest(disclosure) not in digests:
            raise ForeignDisclosure(f"The record does not vouch for the disclosure of {name}.")
        if name in disclosed:
            raise DuplicateDisclosure(f"The field {name} is disclosed twice.")
        disclosed[name] = value
    return disclosed
