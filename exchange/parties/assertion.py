"""Client authentication by a signed assertion (RFC 7521, RFC 7523 section 3, `private_key_jwt`)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.parties import actions
from exchange.parties.models import ApiClient

LIFETIME = timedelta(minutes=5)
AHEAD_SECONDS = 10
LONGEST_JTI = 128
ALGORITHMS = ["Ed25519", "EdDSA"]


class AssertionRefusedError(Exception):
    """The client did not prove who it is. OAuth answers with errors of its own, so this is no problem document."""


def authenticate(session: Session, *, assertion: str, issuer: str, now: datetime) -> Caller:
    """The caller whose key signed `assertion`, which is used up by this (`AssertionRefusedError`).

    `iss` and `sub` name the client, `aud` is `issuer` as a string and nothing else, `exp` is at most five minutes
    away, `iat` and `nbf` are at most ten seconds ahead, `jti` was never used.
    """
    client = _client(session, assertion)
    try:
        token = jwt.decode(assertion, OKPKey.import_key(bare_key(client.public_jwk)), algorithms=ALGORITHMS)
        claims = token.claims
        _check_claims(claims, client_id=client.client_id, issuer=issuer, now=now)
    except (JoseError, ValueError, KeyError, TypeError, OverflowError):
        raise AssertionRefusedError("the client assertion does not verify, or has expired") from None
    expires_at = now + LIFETIME + timedelta(seconds=AHEAD_SECONDS)
    if not actions.use_assertion(
        session, client_id=client.client_id, jti=claims["jti"], expires_at=expires_at, now=now
    ):
        raise AssertionRefusedError("this client assertion was used before: sign a new one with a new jti")
    return Caller(client.client_id, Role(client.role), client.party_id)


def bare_key(public_jwk: Mapping[str, str]) -> dict[str, str | list[str]]:
    """The key itself, without what its owner calls it or the name it has for the algorithm (there are two)."""
    return {name: public_jwk[name] for name in ("kty", "crv", "x")}


def _client(session: Session, assertion: str) -> ApiClient:
    """The client the assertion claims to come from; nothing else of it is believed before its signature holds."""
    try:
        client_id = orjson.loads(jws.extract_compact(assertion.encode()).payload)["sub"]
    except (JoseError, ValueError, KeyError, TypeError):
        raise AssertionRefusedError("the client assertion is not a signed JWT with a sub") from None
    query = select(ApiClient).where(
        ApiClient.client_id == str(client_id).replace("\0", ""), ApiClient.revoked_at.is_(None)
    )
    client = session.execute(query).scalar_one_or_none()
    if client is None:
        raise AssertionRefusedError("no such client")
    return client


def _check_claims(claims: dict[str, Any], *, client_id: str, issuer: str, now: datetime) -> None:
    """Refuse (`ValueError`) claims that RFC 7523 or FAPI 2.0 would refuse."""
    seconds = int(now.timestamp())
    if claims.get("iss") != client_id or claims.get("aud") != issuer:
        raise ValueError("iss or aud")
    if not seconds < int(claims["exp"]) <= seconds + LIFETIME.total_seconds() + AHEAD_SECONDS:
        raise ValueError("exp")
    if any(int(claims.get(name, seconds)) > seconds + AHEAD_SECONDS for name in ("iat", "nbf")):
        raise ValueError("iat or nbf")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= LONGEST_JTI or not jti.isprintable():
        raise ValueError("jti")
