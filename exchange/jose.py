"""Keys and signed tokens of others (JOSE): which kinds are taken, the same at every door.

FAPI 2.0 (section 5.4): Ed25519, ES256 and PS256, RSA from 2,048 bits on; nothing symmetric, no key that has a private
half in it.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from exchange.errors import Refusal
from ledger.encoding import MalformedBase64, parse_base64url
from ledger.keys import KeyRefused, public_key_from_jwk

ALGORITHMS = ("Ed25519", "EdDSA", "ES256", "PS256")
"""Ed25519 has two names: RFC 9864's and the older one of RFC 8037."""
RSA_BITS = (2048, 4096)
LONGEST_TOKEN = 8192
MEMBERS = {"OKP": ("kty", "crv", "x"), "EC": ("kty", "crv", "x", "y"), "RSA": ("kty", "n", "e")}
"""What makes each kind of public key (RFC 7638): names its owner gives it are left out."""

_OF_KIND = {"OKP": ["Ed25519", "EdDSA"], "EC": ["ES256"], "RSA": ["PS256"]}
"""The algorithms for which a key of each kind may sign."""

PublicKey = OKPKey | ECKey | RSAKey


class KeyUnusable(Refusal):
    """The key is of no kind that is taken."""

    code = "unusable_key"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The key is of no kind that is taken"


def public_key(jwk: Mapping[str, Any]) -> PublicKey:
    """The key in a JWK. Refuses `KeyUnusable`, for a private one too, and `KeyRefused` for a weak Ed25519 key."""
    names = MEMBERS.get(str(jwk.get("kty")))
    if names is None or "d" in jwk or not all(isinstance(jwk.get(name), str) for name in names):
        raise KeyUnusable("a public key of type OKP (Ed25519), EC (P-256) or RSA")
    bare = {name: jwk[name] for name in names}
    try:
        match bare["kty"], bare.get("crv"):
            case "OKP", "Ed25519":
                public_key_from_jwk(bare)
                return OKPKey.import_key(bare)
            case "EC", "P-256":
                return ECKey.import_key(bare)
            case "RSA", _:
                _check_size(bare["n"])
                return RSAKey.import_key(bare)
    except (JoseError, MalformedBase64, ValueError) as error:
        if isinstance(error, KeyRefused | KeyUnusable):
            raise
        raise KeyUnusable("the key cannot be read") from None
    raise KeyUnusable("the curve is Ed25519 or P-256")


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """What names a public key to everybody (RFC 7638, SHA-256). Refuses `KeyUnusable`."""
    return public_key(jwk).thumbprint()


def unverified(token: str) -> jws.CompactSignature:
    """A compact JWS taken apart; nothing of it is to be believed yet (`ValueError`)."""
    if len(token) > LONGEST_TOKEN:
        raise ValueError("longer than any")
    try:
        return jws.extract_compact(token.encode(), registry=_Registry())
    except JoseError:
        raise ValueError("not a compact JWS") from None


def verified(token: str, key: PublicKey) -> dict[str, Any]:
    """The claims of a JWT that the key has signed (`ValueError`)."""
    try:
        return jwt.decode(token, key, registry=_Registry(algorithms=_OF_KIND[key.key_type])).claims
    except (JoseError, TypeError, OverflowError):
        raise ValueError("not a JWT of this key") from None


class _Registry(jws.JWSRegistry):
    """A proof's header has a whole RSA key in it."""

    max_header_length = 2048


def _check_size(modulus: str) -> None:
    smallest, largest = RSA_BITS
    if not smallest <= int.from_bytes(parse_base64url(modulus)).bit_length() <= largest:
        raise KeyUnusable(f"an RSA key of {smallest} to {largest} bits")
