"""Reads of who is who."""

from joserfc.jwk import OKPKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from exchange.parties.assertion import bare_key
from exchange.parties.models import ApiClient, Originator


def is_originator(session: Session, *, originator_id: str) -> bool:
    """Whether there is such an originator."""
    return session.get(Originator, originator_id) is not None


def key_thumbprint(session: Session, *, client_id: str) -> str:
    """What names a client's key to everybody (RFC 7638, SHA-256)."""
    public_jwk = session.execute(select(ApiClient.public_jwk).where(ApiClient.client_id == client_id)).scalar_one()
    return OKPKey.import_key(bare_key(public_jwk)).thumbprint()
