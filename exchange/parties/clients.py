"""The programs of a party and the keys they prove themselves with: entered, replaced one by one, revoked."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.orm import Session

from exchange import jose
from exchange.auth import Role
from exchange.entropy import Entropy
from exchange.errors import Fault, InvalidRequest, NotFound, Refusal
from exchange.ids import new_id
from exchange.parties.models import ApiClient, ClientKey
from ledger.keys import KeyRefused

MOST_KEYS = 5
"""Live keys of one client: the old one and the next, and room for a second site."""


class KeyInUse(Refusal):
    """Two clients with one key would be one hand that signs for two."""

    code = "key_in_use"
    title = "Another client of this party has this key, or this one had it before"


class LastKey(Refusal):
    """A client without a key could never come back: enter the next one first."""

    code = "last_key"
    title = "This is the client's last key"


class TooManyKeys(Refusal):
    """A client has so many keys and no more."""

    code = "too_many_keys"
    title = "Retire a key first"


def register_client(
    session: Session,
    *,
    role: Role,
    party_id: str | None,
    public_jwk: Mapping[str, Any],
    now: datetime,
    entropy: Entropy,
    scopes: Sequence[str] | None = None,
) -> str:
    """A client that authenticates with the private half of `public_jwk`; gives its id.

    `scopes` are all it can ever ask for, None for whatever its role may do. Refuses `jose.KeyUnusable`.
    """
    mark = jose.thumbprint(public_jwk)
    purpose = f"{role}/{party_id}/{public_jwk['x'] if public_jwk['kty'] == 'OKP' else mark}"
    client_id = new_id("cli", now=now, entropy=entropy, purpose=purpose)
    values = {"client_id": client_id, "role": role.value, "party_id": party_id, "created_at": now}
    session.execute(insert(ApiClient).values(scopes=None if scopes is None else sorted(scopes), **values))
    _enter_key(session, client_id=client_id, mark=mark, public_jwk=public_jwk, now=now)
    return client_id


def check_new_key(session: Session, *, party_id: str | None, public_jwk: Mapping[str, Any]) -> None:
    """Refuse (`KeyInUse`) a key that a client of the party has, or ever had."""
    query = (
        select(ClientKey.client_id)
        .join(ApiClient, ApiClient.client_id == ClientKey.client_id)
        .where(ApiClient.party_id.is_not_distinct_from(party_id), ClientKey.thumbprint == jose.thumbprint(public_jwk))
        .limit(1)
    )
    if session.execute(query).first() is not None:
        raise KeyInUse("Give each client a key of its own, and each time a new one.")


def check_key(public_jwk: Mapping[str, Any]) -> None:
    """Refuse (`InvalidRequest`) a key in a body that is none, or too weak, by its own code and at its member."""
    try:
        jose.public_key(public_jwk)
    except KeyRefused as error:
        fault = Fault(error.code, "/public_jwk/x", str(error), public_jwk["x"])
    except jose.KeyUnusable as error:
        fault = Fault("unusable_key", "/public_jwk", str(error))
    else:
        return
    raise InvalidRequest("The public key cannot be used.", faults=(fault,))


def add_key(session: Session, *, client_id: str, public_jwk: Mapping[str, Any], now: datetime) -> str:
    """One more key of a client, good at once besides those it has; gives its thumbprint.

    Refuses `KeyInUse`, `TooManyKeys` and `jose.KeyUnusable`.
    """
    client = _locked(session, client_id)
    check_new_key(session, party_id=client.party_id, public_jwk=public_jwk)
    if len(live_keys(session, client_id=client_id)) >= MOST_KEYS:
        raise TooManyKeys(f"A client has at most {MOST_KEYS} keys at a time.", most=MOST_KEYS)
    mark = jose.thumbprint(public_jwk)
    _enter_key(session, client_id=client_id, mark=mark, public_jwk=public_jwk, now=now)
    return mark


def retire_key(session: Session, *, client_id: str, thumbprint: str, now: datetime) -> None:
    """End a key: no assertion by it is taken any more. Refuses `NotFound` and `LastKey`."""
    _locked(session, client_id)
    live = [row.thumbprint for row in live_keys(session, client_id=client_id)]
    if thumbprint not in live:
        raise NotFound("Your client has no such key.")
    if live == [thumbprint]:
        raise LastKey("Enter the next key before you retire this one.")
    named = (ClientKey.client_id == client_id, ClientKey.thumbprint == thumbprint)
    session.execute(update(ClientKey).where(*named).values(retired_at=now))


def revoke(session: Session, *, client_id: str, now: datetime) -> None:
    """Let a client get no more tokens, for good; the last one it has ends within minutes. Refuses `NotFound`."""
    if session.get(ApiClient, client_id, with_for_update=True) is None:
        raise NotFound("There is no such client.")
    named = (ApiClient.client_id == client_id, ApiClient.revoked_at.is_(None))
    session.execute(update(ApiClient).where(*named).values(revoked_at=now))


def live_keys(session: Session, *, client_id: str) -> Sequence[Row[Any]]:
    """A client's keys that are in use (thumbprint, public_jwk, added_at), the oldest first."""
    query = (
        select(ClientKey.thumbprint, ClientKey.public_jwk, ClientKey.added_at)
        .where(ClientKey.client_id == client_id, ClientKey.retired_at.is_(None))
        .order_by(ClientKey.added_at, ClientKey.thumbprint)
    )
    return session.execute(query).all()


def _locked(session: Session, client_id: str) -> ApiClient:
    query = select(ApiClient).where(ApiClient.client_id == client_id).with_for_update()
    return session.execute(query).scalar_one()


def _enter_key(session: Session, *, client_id: str, mark: str, public_jwk: Mapping[str, Any], now: datetime) -> None:
    values = {"client_id": client_id, "thumbprint": mark, "public_jwk": dict(public_jwk), "added_at": now}
    session.execute(insert(ClientKey).values(**values))
