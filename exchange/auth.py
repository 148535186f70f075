"""Who is calling: access tokens that the exchange itself signed, and what their role and scope may do."""

from collections.abc import Mapping
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
    """A client that proved who it is, and for whom it speaks: an originator, funder, company or partner, or nobody.

    `key` names the client's key that signed for the token (RFC 7638 thumbprint). `scopes` are what the token is for,
    None for all that the role may do.
    """

    client_id: str
    role: Role
    party_id: str | None
    key: str = ""
    scopes: frozenset[str] | None = None

    def may(self, scope: str) -> bool:
        """Whether the token is for this."""
        return self.scopes is None or scope in self.scopes


@dataclass(frozen=True, slots=True)
class Token:
    """An access token: for whom, and what its sender has to prove besides (RFC 7800 `cnf`; empty: nothing)."""

    caller: Caller
    confirmation: Mapping[str, str]


def issue_token(
    keyring: Keyring, *, caller: Caller, issuer: str, now: datetime, confirmation: Mapping[str, str] | None = None
) -> str:
    """An access token (RFC 9068 in shape) for `caller`, good for `TOKEN_LIFETIME`, of use only with `confirmation`."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": issuer,
        "sub": caller.client_id,
        "role": caller.role.value,
        "party": caller.party_id,
        "key": caller.key,
        "iat": int(now.timestamp()),
        "exp": int((now + TOKEN_LIFETIME).timestamp()),
    }
    if caller.scopes is not None:
        claims["scope"] = " ".join(sorted(caller.scopes))
    if confirmation:
        claims["cnf"] = dict(confirmation)
    return jwt.encode({"alg": "Ed25519", "typ": "at+jwt"}, claims, keyring.token_key, algorithms=ALGORITHMS)


def split(authorization: str | None) -> tuple[str, str]:
    """Scheme, in small letters, and token of an `Authorization` header; refuses every other one (`Unauthenticated`)."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() not in {"bearer", "dpop"} or not token.strip():
        raise refused("Send `Authorization: Bearer` or `DPoP` with an access token; it comes from POST /oauth/token.")
    return scheme.lower(), token.strip()


def read_token(keyring: Keyring, *, token: str, issuer: str, now: datetime) -> Token:
    """What an access token says; refuses every other text (`Unauthenticated`)."""
    try:
        decoded = jwt.decode(token, keyring.token_key, algorithms=ALGORITHMS)
        jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": issuer},
            exp={"essential": True},
        ).validate(decoded.claims)
        if decoded.header.get("typ") != "at+jwt":
            raise refused("This is not an access token.")
        claims = decoded.claims
        scopes = frozenset(claims["scope"].split()) if "scope" in claims else None
        caller = Caller(claims["sub"], Role(claims["role"]), claims["party"], claims["key"], scopes)
        return Token(caller, claims.get("cnf", {}))
    except (JoseError, ValueError, KeyError):
        raise refused("The access token is wrong or has expired.") from None


def refused(detail: str, *, challenge: str = 'Bearer error="invalid_token"') -> Unauthenticated:
    """A refusal that says how to come in."""
    return Unauthenticated(detail, headers={"WWW-Authenticate": challenge})
