"""Keys that sign records: the seam for any key store, the key in a file, and the public half as JWK.

Ed25519 only (RFC 8032). A key is named by its RFC 7638 thumbprint, so that a name cannot be given to another
key.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ledger.canonical import canonical_bytes
from ledger.encoding import MalformedBase64, base64url, parse_base64url
from ledger.errors import LedgerError

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 32

# Edwards25519 (RFC 8032, section 5.1): -x^2 + y^2 = 1 + d x^2 y^2 modulo p.
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
# The y of every point whose order divides 8. A public key there lets one signature pass for many messages.
_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_LOW_ORDER_Y = frozenset({0, 1, _P - 1, _Y_OF_ORDER_8, _P - _Y_OF_ORDER_8})

_FORBIDDEN_MODE = 0o037
"""What a key file's mode must not allow: the group may read (secret mounts need it), others nothing."""


class KeyRefused(LedgerError):
    """The public key is not a point a signature can be trusted under, or not of the one kind in use."""

    code = "key_refused"


class LowOrderKey(KeyRefused):
    """The public key is one of the points under which a signature can hold for many messages."""

    code = "low_order_key"


class KeyFileExists(LedgerError):
    """A key is already in the file; a key is never overwritten."""

    code = "key_file_exists"


class KeyFileUnusable(LedgerError):
    """The file is missing, holds no Ed25519 private key, or is open to others than its owner."""

    code = "key_file_unusable"


class Signer(Protocol):
    """A key that signs, wherever it is kept."""

    @property
    def kid(self) -> str:
        """The RFC 7638 thumbprint of the public key."""

    @property
    def alg(self) -> str:
        """The JWS algorithm's name."""

    @property
    def public_key(self) -> Ed25519PublicKey:
        """The public half."""

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public half as a JWK (RFC 8037), with `kid`, `alg` and `use`."""

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`."""


class FileSigner:
    """An Ed25519 key held in memory, from a file or a seed."""

    alg = "EdDSA"

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self.public_key = private_key.public_key()
        self.public_jwk = jwk(self.public_key)
        self.kid = self.public_jwk["kid"]
        self.sign = private_key.sign

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key that the 32-byte `seed` stands for. Refuses `KeyRefused`."""
        return cls(private_key_from_seed(seed))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The key in the PEM file at `path`. Refuses `KeyFileUnusable`, also when others may read it."""
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                pem = file.read()
        except OSError as error:
            raise KeyFileUnusable(f"{path} cannot be read: {error.strerror}.") from error
        if mode & _FORBIDDEN_MODE:
            raise KeyFileUnusable(f"{path} is open to others (mode {mode & 0o777:04o}); make it 0600.")
        try:
            private_key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyFileUnusable(f"{path} holds no private key in plain PEM.") from error
        if not isinstance(private_key, Ed25519PrivateKey):
            raise KeyFileUnusable(f"{path} holds a key of another kind than Ed25519.")
        return cls(private_key)

    @classmethod
    def create(cls, path: Path, entropy: Callable[[int], bytes]) -> Self:
        """A new key from 32 bytes of `entropy`, kept in `path` as PEM, mode 0600. Refuses `KeyFileExists`.

        The file appears whole and with its final mode, or not at all; of two that create it at once one is
        refused.
        """
        private_key = private_key_from_seed(entropy(SEED_BYTES))
        pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise KeyFileExists(f"{draft} is there already: {path} is being created, or a crash left it.") from error
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(descriptor)
            path.hardlink_to(draft)
        except FileExistsError as error:
            raise KeyFileExists(f"{path} holds a key already.") from error
        finally:
            draft.unlink()
        return cls(private_key)


def private_key_from_seed(seed: bytes) -> Ed25519PrivateKey:
    """The key that the 32-byte `seed` stands for (RFC 8032, section 5.1.5). Refuses `KeyRefused`."""
    if len(seed) != SEED_BYTES:
        raise KeyRefused(f"An Ed25519 seed has {SEED_BYTES} bytes, not {len(seed)}.")
    return Ed25519PrivateKey.from_private_bytes(seed)


def thumbprint(public_key: Ed25519PublicKey) -> str:
    """The RFC 7638 thumbprint: base64url SHA-256 of the key's required members (RFC 8037, section 2)."""
    return base64url(hashlib.sha256(canonical_bytes(_required_members(public_key))).digest())


def jwk(public_key: Ed25519PublicKey) -> dict[str, str]:
    """The public key as a JWK (RFC 8037) that names itself."""
    return _required_members(public_key) | {"kid": thumbprint(public_key), "alg": "EdDSA", "use": "sig"}


def jwks(public_keys: Iterable[Ed25519PublicKey]) -> dict[str, list[dict[str, str]]]:
    """A JWK set (RFC 7517, section 5): current, next and retired keys, in the order given."""
    return {"keys": [jwk(public_key) for public_key in public_keys]}


def keyring(public_keys: Iterable[Ed25519PublicKey]) -> dict[str, Ed25519PublicKey]:
    """The keys by their thumbprints, as `records.open_record` wants them."""
    return {thumbprint(public_key): public_key for public_key in public_keys}


def public_key_from_jwk(members: Mapping[str, object]) -> Ed25519PublicKey:
    """The Ed25519 key of a JWK. Refuses `KeyRefused`, as `public_key_from_bytes` and for a foreign `kid`."""
    if members.get("kty") != "OKP" or members.get("crv") != "Ed25519":
        raise KeyRefused("The JWK is not an Ed25519 key (kty OKP, crv Ed25519).")
    if "d" in members:
        raise KeyRefused("The JWK holds a private key; only the public half may be shown.")
    x = members.get("x")
    try:
        data = parse_base64url(x) if isinstance(x, str) else b""
    except MalformedBase64 as error:
        raise KeyRefused("The JWK's x is not base64url.") from error
    public_key = public_key_from_bytes(data)
    if members.get("kid", thumbprint(public_key)) != thumbprint(public_key):
        raise KeyRefused("The JWK's kid is not the thumbprint of its key.")
    return public_key


def public_key_from_bytes(data: bytes) -> Ed25519PublicKey:
    """The Ed25519 key encoded in 32 bytes (RFC 8032, section 5.1.2).

    Refuses `KeyRefused` for another length, a y not below p, a point off the curve, or one of low order.
    """
    if len(data) != PUBLIC_KEY_BYTES:
        raise KeyRefused(f"An Ed25519 public key has {PUBLIC_KEY_BYTES} bytes, not {len(data)}.")
    y = int.from_bytes(data, "little") & (2**255 - 1)
    if y >= _P:
        raise KeyRefused("The public key is not in canonical form.")
    if y in _LOW_ORDER_Y:
        raise LowOrderKey("The public key is a point of low order.")
    # x^2 = (y^2 - 1) / (d y^2 + 1) has a root exactly when numerator times denominator is a square (Euler).
    if pow((y * y - 1) * (_D * y * y + 1), (_P - 1) // 2, _P) != 1:
        raise KeyRefused("The public key is not a point of the curve.")
    return Ed25519PublicKey.from_public_bytes(data)


def _required_members(public_key: Ed25519PublicKey) -> dict[str, str]:
    return {"crv": "Ed25519", "kty": "OKP", "x": base64url(public_key.public_bytes_raw())}
