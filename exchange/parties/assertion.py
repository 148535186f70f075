"""Client authentication by a signed assertion (RFC 7521, RFC 7523 section 3, `private_key_jwt`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from exchange import jose
from exchange.auth import Caller, Role
from exchange.parties import actions, clients
from exchange.parties.models import ApiClient

LIFETIME = timedelta(minutes=5)
AHEAD_SECONDS = 10
LONGEST_JTI = 128


class AssertionRefusedError(Exception):
    """The client did not prove who it is. OAuth answers with errors of its own, so this is no problem document."""


class ScopeRefusedError(Exception):
    """The client asks for more than it may have."""


def authenticate(session: Session, *, assertion: str, issuer: str, now: datetime, scope: str | None = None) -> Caller:
    """The caller one of whose keys signed `assertion`, which is used up by this (`AssertionRefusedError`).

    `iss` and `sub` name the client, `aud` is `issuer` as a string and nothing else, `exp` is at most five minutes
    away, `iat` and `nbf` are at most ten seconds ahead, `jti` was never used. `scope` narrows what the client may do
    (`ScopeRefusedError`); None leaves it all.
    """
    client, header = _client(session, assertion)
    keys = clients.live_keys(session, client_id=client.client_id)
    claims, key = _verified(assertion, {row.thumbprint: row.public_jwk for row in keys}, kid=header.get("kid"))
    try:
        _check_claims(claims, client_id=client.client_id, issuer=issuer, now=now)
    except (ValueError, KeyError, TypeError, OverflowError):
        raise AssertionRefusedError("the client assertion does not verify, or has expired") from None
    scopes = _scopes(client.scopes, scope)
    expires_at = now + LIFETIME + timedelta(seconds=AHEAD_SECONDS)
    if not actions.use_assertion(
        session, client_id=client.client_id, jti=claims["jti"], expires_at=expires_at, now=now
    ):
        raise AssertionRefusedError("this client assertion was used before: sign a new one with a new jti")
    return Caller(client.client_id, Role(client.role), client.party_id, key, scopes)


def _client(session: Session, assertion: str) -> tuple[ApiClient, Mapping[str, Any]]:
    """The client the assertion claims to come from; nothing else of it is believed before its signature holds."""
    try:
        signed = jose.unverified(assertion)
        client_id = orjson.loads(signed.payload)["sub"]
    except (ValueError, KeyError, TypeError):
        raise AssertionRefusedError("the client assertion is not a signed JWT with a sub") from None
    query = select(ApiClient).where(
        ApiClient.client_id == str(client_id).replace("\0", ""), ApiClient.revoked_at.is_(None)
    )
    client = session.execute(query).scalar_one_or_none()
    if client is None:
        raise AssertionRefusedError("no such client")
    return client, signed.headers()


def _verified(assertion: str, keys: Mapping[str, Any], *, kid: object) -> tuple[dict[str, Any], str]:
    """The claims, and the thumbprint of the key whose signature they bear; `kid` may name it and is else no matter."""
    for thumbprint in [kid] if kid in keys else keys:
        try:
            return jose.verified(assertion, jose.public_key(keys[str(thumbprint)])), str(thumbprint)
        except ValueError:
            continue
    raise AssertionRefusedError("the client assertion does not verify, or has expired")


def _scopes(allowed: Sequence[str] | None, asked: str | None) -> frozenset[str] | None:
    if asked is None:
        return None if allowed is None else frozenset(allowed)
    wanted = frozenset(asked.split())
    if not wanted or (allowed is not None and not wanted <= set(allowed)):
        raise ScopeRefusedError("this client may not ask for these scopes")
    return wanted


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
