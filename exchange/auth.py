"""Who is calling: access tokens that the exchange itself signed, and what their role may do."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from exchange.errors import Unauthenticated
from exchange.keyring import Keyring

TOKEN_LIFETIME = timedelta(minutes=10)
ALGORITHMS = ["Ed25519"]


class Role(StrEnum):
    """What a client is. A partner is another platform, which asks only whether an invoice was financed already."""

    OPERATOR = "operator"
    PLATFORM = "platform"
    FUNDER = "funder"
    AUDITOR = "auditor"
    OBLIGOR = "obligor"
    PARTNER = "partner"


@dataclass(frozen=True, slots=True)
class Caller:
    """A client that proved who it is, and for whom it speaks: an originator, funder, company or partner, or nobody."""

    client_id: str
    role: Role
    party_id: str | None


def issue_token(keyring: Keyring, *, caller: Caller, issuer: str, now: datetime) -> str:
    """An access token (RFC 9068 in shape) for `caller`, good for `TOKEN_LIFETIME`."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": issuer,
        "sub": caller.client_id,
        "role": caller.role.value,
        "party": caller.party_id,
        "iat": int(now.timestamp()),
        "exp": int((now + TOKEN_LIFETIME).timestamp()),
    }
    return jwt.encode({"alg": "Ed25519", "typ": "at+jwt"}, claims, keyring.token_key, algorithms=ALGORITHMS)


def read_token(keyring: Keyring, *, authorization: str | None, issuer: str, now: datetime) -> Caller:
    """The caller an `Authorization` header speaks of; refuses every other header (`Unauthenticated`)."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _refused("Send `Authorization: Bearer <access token>`; a token comes from POST /oauth/token.")
    try:
        decoded = jwt.decode(token.strip(), keyring.token_key, algorithms=ALGORITHMS)
        jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": issuer},
            exp={"essential": True},
        ).validate(decoded.claims)
        if decoded.header.get("typ") != "at+jwt":
            raise _refused("This is not an access token.")
        return Caller(decoded.claims["sub"], Role(decoded.claims["role"]), decoded.claims["party"])
    except (JoseError, ValueError, KeyError):
        raise _refused("The access token is wrong or has expired.") from None


def _refused(detail: str) -> Unauthenticated:
    return Unauthenticated(detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
