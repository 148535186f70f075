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

from ledger.canonical import DuplicateKey, NotCanonical, canonical_bytes, parse_canonical
from ledger.disclosures import (
    RESERVED,
    DuplicateMember,
    hide,
    reveal,
    salt_text,
)
from ledger.encoding import MalformedBase64, base64url_ascii, parse_base64url
from ledger.errors import LedgerError, RecordRefused
from ledger.keys import Signer
from ledger.merkle import HASH_BYTES

ALGORITHMS = ("EdDSA", "Ed25519")
"""RFC 8037's name, which we write, and RFC 9864's for the same algorithm."""
API_VERSION = "exchange/v1"
LARGEST_SIGNING_INPUT = 4095
"""Bytes of header, dot and payload; cloud key services sign messages of at most 4,096 bytes."""
LARGEST_RECORD = LARGEST_SIGNING_INPUT + 87
"""Characters of a whole record: with the second dot and the 86 characters of a signature."""

_HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})
_KEY_MEMBERS = frozenset({"jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256"})
"""Header members by which a JWS brings its own key, or says where to fetch it."""
_LEAF_MEMBERS = frozenset({"apiVersion", "asset", "kid", "kind", "prev", "record", "sequence", "time"})
_TYPE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class MalformedRecord(RecordRefused):
    """The record is not of the form this module writes."""

    code = "malformed_record"


class IncompleteRecord(RecordRefused):
    """The record is not a JWS of three parts: it was cut short, or is no JWS at all."""

    code = "incomplete_record"


class ReencodedRecord(RecordRefused):
    """A part of the record is not base64url, or padded, or another spelling of its bytes."""

    code = "reencoded_record"


class RecordTooLarge(RecordRefused):
    """The signing input is longer than a key service signs."""

    code = "record_too_large"


class UnknownKey(RecordRefused):
    """The record names a key that the reader was not given."""

    code = "unknown_key"


class WrongAlgorithm(RecordRefused):
    """The record claims another algorithm than Ed25519."""

    code = "wrong_algorithm"


class UnsignedRecord(WrongAlgorithm):
    """The record claims to need no signature (alg none)."""

    code = "unsigned_record"


class SymmetricAlgorithm(WrongAlgorithm):
    """The record claims a shared secret (HS256): with it, whoever has the public key could sign."""

    code = "symmetric_algorithm"


class WrongType(RecordRefused):
    """The header's typ is not a record's, or not the type the payload states."""

    code = "wrong_type"


class KeyInHeader(RecordRefused):
    """The record brings its own key, or an address of one."""

    code = "key_in_header"


class BadSignature(RecordRefused):
    """The signature is not the named key's over these bytes."""

    code = "bad_signature"


class PayloadNotCanonical(RecordRefused):
    """The signed payload is not in canonical form."""

    code = "payload_not_canonical"


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
    if not RESERVED.isdisjoint(body) or not RESERVED.isdisjoint(disclosable):
        raise MalformedRecord(f"The names {', '.join(sorted(RESERVED))} are reserved.")
    if not disclosable.keys().isdisjoint(body):
        raise MalformedRecord("A field is either in the body or disclosable, not both.")
    record_type = body.get("type")
    if type(record_type) is not str or not _is_type(record_type):
        raise MalformedRecord("In the record, type is not a lower-case token.")
    _check_body(body)
    payload = dict(body)
    payload["salt"] = salt_text(salt, "salt")
    if not disclosable:
        return _signed(canonical_bytes(payload), signer, record_type, ())
    disclosures, payload["_sd"] = hide(disclosable, salt=salt)
    payload["_sd_alg"] = "sha-256"
    return _signed(canonical_bytes(payload), signer, record_type, disclosures)


def open_record(
    jws: str,
    *,
    keys: Mapping[str, Ed25519PublicKey],
    disclosures: Sequence[str] = (),
) -> OpenedRecord:
    """Verify a record and the disclosures that came with it.

    `keys` are the public keys trusted, by thumbprint; a key or an address inside the record is never
    honoured. Refuses every subclass of `RecordRefused` but `SaltRefused`: each kind of fault has its own.
    """
    if len(jws) > LARGEST_RECORD:
        raise RecordTooLarge(f"The signing input is longer than {LARGEST_SIGNING_INPUT} bytes.")
    try:
        signing_input, _, signature_text = jws.encode("ascii").rpartition(b".")
    except UnicodeEncodeError as error:
        raise ReencodedRecord("The record has characters beyond ASCII.") from error
    if len(signing_input) > LARGEST_SIGNING_INPUT:
        raise RecordTooLarge(f"The signing input is longer than {LARGEST_SIGNING_INPUT} bytes.")
    header_text, dot, payload_text = signing_input.partition(b".")
    if not dot:
        raise IncompleteRecord("The record is not a compact JWS of three parts.")
    kid, record_type = read_header(header_text)
    payload, signature = _decoded("payload", payload_text), _decoded("signature", signature_text)
    if kid not in keys:
        raise UnknownKey(f"The record is signed under the unknown key {kid}.", field="header")
    try:
        keys[kid].verify(signature, signing_input)
    except InvalidSignature as error:
        raise BadSignature(f"The signature is not that of key {kid}.", field="signature") from error
    return _opened(kid, record_type, payload, disclosures)


@lru_cache(maxsize=1024)
def read_header(text: bytes) -> tuple[str, str]:
    """The key and the record type that an encoded header names; only a few differ, so each is read once.

    A header holds alg, kid and typ alone: no key, no URL, no `crit`. Refuses `ReencodedRecord`, `DuplicateMember`,
    `MalformedRecord`, `KeyInHeader`, `WrongAlgorithm`, `UnsignedRecord`, `SymmetricAlgorithm` and `WrongType`.
    """
    try:
        header = parse_canonical(_decoded("header", text))
    except DuplicateKey as error:
        raise DuplicateMember(f"In the header: {error}", field="header") from error
    except NotCanonical as error:
        raise MalformedRecord("The header is not canonical JSON.", field="header") from error
    if not isinstance(header, dict):
        raise MalformedRecord("The header is not an object.", field="header")
    if not _KEY_MEMBERS.isdisjoint(header):
        raise KeyInHeader("The header brings its own key, or an address of one.", field="header")
    if header.keys() != _HEADER_MEMBERS:
        raise MalformedRecord("The header has other members than alg, kid and typ.", field="header")
    _check_algorithm(header["alg"])
    kid, typ = header["kid"], header["typ"]
    if not isinstance(kid, str):
        raise MalformedRecord("The header's kid is not a string.", field="header")
    if not isinstance(typ, str) or not typ.endswith("+jws") or not _TYPE.fullmatch(typ[:-4]):
        raise WrongType(f"The header's typ is {typ!r}, not that of a record.", field="header")
    return kid, typ[:-4]


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
    fault = _check_place(asset, sequence, None if prev is None else prev.hex())
    if fault or len(digest) != HASH_BYTES or type(kid) is not str or not _is_type(kind):
        raise MalformedLeaf(f"In the log entry, {fault or 'kind, record or kid is not of its form'}.")
    entry = {
        "apiVersion": API_VERSION,
        "asset": asset,
        "kid": kid,
        "kind": kind,
        "prev": None if prev is None else prev.hex(),
        "record": digest.hex(),
        "sequence": sequence,
        "time": _time_text(recorded_at),
    }
    return canonical_bytes(entry)


@lru_cache(maxsize=1024)
def _time_text(moment: datetime) -> str:
    """Whole seconds in UTC; the records of one batch share one time. Refuses `MalformedLeaf`."""
    told = moment.astimezone(UTC).strftime(_TIME_FORMAT)
    if moment.tzinfo is None or not _TIME.fullmatch(told):
        raise MalformedLeaf("A log entry's time needs a time zone, and a year of four digits.")
    return told


@lru_cache(maxsize=1024)
def _is_type(text: str) -> bool:
    """Whether this is a record's type; there are only a few."""
    return _TYPE.fullmatch(text) is not None


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


def _check_body(body: Mapping[str, object]) -> None:
    """Refuse a body without its place in a chain."""
    fault = _check_place(body.get("asset"), body.get("sequence"), body.get("prev"))
    if fault:
        raise MalformedRecord(f"In the record, {fault}.", field="payload")


def _check_algorithm(alg: object) -> None:
    if alg in ALGORITHMS:
        return
    if alg == "none":
        raise UnsignedRecord("The record claims to need no signature (alg none).", field="header")
    if isinstance(alg, str) and alg.startswith("HS"):
        raise SymmetricAlgorithm(f"The record's algorithm is {alg}, a shared secret's.", field="header")
    raise WrongAlgorithm(f"The record's algorithm is {alg!r}, not Ed25519.", field="header")


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


def _decoded(field: str, text: bytes) -> bytes:
    try:
        return parse_base64url(text)
    except MalformedBase64 as error:
        raise ReencodedRecord(f"The {field} is not base64url in its one spelling.", field=field) from error


def _opened(kid: str, record_type: str, payload: bytes, disclosures: Sequence[str]) -> OpenedRecord:
    """What a payload says whose signature held."""
    try:
        body = parse_canonical(payload)
    except DuplicateKey as error:
        raise DuplicateMember(f"In the payload: {error}", field="payload") from error
    except NotCanonical as error:
        raise PayloadNotCanonical("The signed payload is not canonical JSON.", field="payload") from error
    if not isinstance(body, dict):
        raise MalformedRecord("The signed payload is not an object.", field="payload")
    _check_body(body)
    if body.get("type") != record_type:
        raise WrongType("The signed payload is not of the header's type.", field="payload")
    digests = body.pop("_sd", [])
    if body.pop("_sd_alg", "sha-256") != "sha-256" or not isinstance(digests, list):
        raise MalformedRecord("The record's digests are not a list of SHA-256 digests.", field="payload")
    body.pop("salt", None)
    disclosed = reveal(disclosures, digests=digests, body=body) if disclosures else {}
    return OpenedRecord(kid, record_type, body, disclosed)
