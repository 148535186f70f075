"""Keys that never leave a PKCS#11 token (an HSM, or SoftHSM): CKM_EDDSA on Edwards25519.

Needs the package `python-pkcs11` (extra `hsm`), which is imported here and nowhere else.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.errors import LedgerError
from ledger.keys import PUBLIC_KEY_BYTES, jwk, public_key_from_bytes

# Loaded by name: the package is optional, and what it would add to the types is not there without it.
_PACKAGE: Any = import_module("pkcs11") if find_spec("pkcs11") else None

Answer = TypeVar("Answer")

_EDWARDS25519 = b"\x13\x0cedwards25519"
"""CKA_EC_PARAMS: the curve's name as a DER PrintableString (PKCS #11 3.0, section 2.3.10)."""
_DER_OCTET_STRING = bytes([0x04, PUBLIC_KEY_BYTES])


class TokenUnusable(LedgerError):
    """The token, its module or its PIN cannot be used, or it failed at what it was asked for."""

    code = "token_unusable"


class Token:
    """A PKCS#11 token, opened when it is first needed and opened again after it failed. Threads take turns."""

    def __init__(self, *, module: Path, label: str, pin: str) -> None:
        self._module = module
        self._label = label
        self._pin = pin
        self._session: Any = None
        self._private_keys: dict[str, Any] = {}
        self._turn = threading.Lock()

    def find(self, label: str) -> "TokenSigner | None":
        """The key labelled `label`, or None. Refuses `TokenUnusable`."""
        with self._turn:
            return self._asked(self._find, label)

    def create(self, label: str) -> "TokenSigner":
        """The key labelled `label`, generated in the token unless it is there. Refuses `TokenUnusable`."""
        with self._turn:
            return self._asked(self._find, label) or self._asked(self._generate, label)

    def sign(self, label: str, message: bytes) -> bytes:
        """The signature of `message` under a key that was found. Refuses `TokenUnusable`."""
        with self._turn:
            return self._asked(self._sign, label, message)

    def _asked(self, ask: Callable[..., Answer], *arguments: object) -> Answer:
        """What the token answers; after a failure the next question opens it anew."""
        if _PACKAGE is None:
            raise TokenUnusable("PKCS#11 needs the package python-pkcs11: install the extra `hsm`.")
        try:
            self._session = self._session or self._opened()
            return ask(*arguments)
        except (_PACKAGE.PKCS11Error, OSError, RuntimeError) as error:
            self._close()
            name = type(error).__name__
            raise TokenUnusable(f"The token {self._label} of {self._module} failed: {name} {error}".rstrip()) from error

    def _opened(self) -> Any:  # noqa: ANN401 - as `_PACKAGE`
        token = _PACKAGE.lib(str(self._module)).get_token(token_label=self._label)
        try:
            return token.open(rw=True, user_pin=self._pin)
        except _PACKAGE.UserAlreadyLoggedIn:
            return token.open(rw=True)  # a process logs in once for all its sessions

    def _close(self) -> None:
        """Let go of a session in which something failed; it may be gone itself."""
        session, self._session = self._session, None
        self._private_keys.clear()
        if session is not None:
            with suppress(_PACKAGE.PKCS11Error):
                session.close()

    def _find(self, label: str) -> "TokenSigner | None":
        wanted = {_PACKAGE.Attribute.LABEL: label, _PACKAGE.Attribute.CLASS: _PACKAGE.ObjectClass.PUBLIC_KEY}
        found = list(self._session.get_objects(wanted))
        if len(found) > 1:
            raise TokenUnusable(f"The token {self._label} has {len(found)} keys labelled {label}.")
        return TokenSigner(self, label, _public_key(found[0])) if found else None

    def _generate(self, label: str) -> "TokenSigner":
        kind, mechanism = _PACKAGE.KeyType.EC_EDWARDS, _PACKAGE.Mechanism.EC_EDWARDS_KEY_PAIR_GEN
        curve = {_PACKAGE.Attribute.EC_PARAMS: _EDWARDS25519}
        parameters = self._session.create_domain_parameters(kind, curve, local=True)
        public, _ = parameters.generate_keypair(mechanism=mechanism, store=True, label=label)
        return TokenSigner(self, label, _public_key(public))

    def _sign(self, label: str, message: bytes) -> bytes:
        private = self._private_keys.get(label)
        if private is None:
            private = self._session.get_key(object_class=_PACKAGE.ObjectClass.PRIVATE_KEY, label=label)
            self._private_keys[label] = private
        return bytes(private.sign(message, mechanism=_PACKAGE.Mechanism.EDDSA))


class TokenSigner:
    """A key in a token: a `keys.Signer`."""

    alg = "EdDSA"

    def __init__(self, token: Token, label: str, public_key: Ed25519PublicKey) -> None:
        self.public_key = public_key
        self.public_jwk = jwk(public_key)
        self.kid = self.public_jwk["kid"]
        self._token = token
        self._label = label

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`. Refuses `TokenUnusable`."""
        return self._token.sign(self._label, message)


def _public_key(handle: Any) -> Ed25519PublicKey:  # noqa: ANN401 - as `_PACKAGE`
    """CKA_EC_POINT is the point's 32 bytes, in most tokens wrapped in a DER octet string."""
    return public_key_from_bytes(bytes(handle[_PACKAGE.Attribute.EC_POINT]).removeprefix(_DER_OCTET_STRING))
