"""Reads of the signed chain, of what waits to be signed, and of the keys that sign."""

from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import ScalarSelect, func, select
from sqlalchemy.orm import Session

from exchange.registry.models import AssetEvent, PendingEvent, SetAsideEvent, SigningKey
from exchange.registry.rules import KeyState, key_state
from ledger.canonical import parse_canonical
from ledger.encoding import parse_base64url
from ledger.key_history import Use
from ledger.keys import public_key_from_bytes
from ledger.notes import ED25519, Verifier

ORDER_OF_VERIFIERS = (KeyState.CURRENT, KeyState.OUTGOING, KeyState.NEXT, KeyState.RETIRED)
"""As a reader needs them; a denounced key is not to be relied on."""


def chain(session: Session, *, asset_id: str, disclosed: bool, reader: str | None = None) -> list[dict[str, Any]]:
    """The signed links of one asset in order; `disclosed` says whether the reader may see the disclosures too.

    A `reader`, a funder or platform, is not told what other funders paid: the price of a purchase is its buyer's to
    see and the seller's platform's, that of a trade between funders its buyer's.
    """
    query = select(AssetEvent).where(AssetEvent.asset_id == asset_id).order_by(AssetEvent.sequence)
    return [
        {
            "sequence": event.sequence,
            "kind": event.kind,
            "jws": event.jws,
            "disclosures": event.disclosures.split("~")
            if disclosed and event.disclosures and not (reader and _of_others(event, reader))
            else [],
            "log_index": event.log_index,
        }
        for event in session.execute(query).scalars()
    ]


def _of_others(event: AssetEvent, reader: str) -> bool:
    """Whether an assignment is another funder's, and its price not the reader's to know."""
    if event.kind != "asset.assigned":
        return False
    content = parse_canonical(parse_base64url(event.jws.split(".")[1]))
    return content["holder"] != reader and (reader.startswith("fnd_") or "trade" in content)


def unsealed() -> ScalarSelect[int]:
    """How many facts wait for their signature."""
    return select(func.count()).select_from(PendingEvent).scalar_subquery()


def set_aside(session: Session) -> list[dict[str, Any]]:
    """The facts that cannot be signed, oldest first: each holds back the chain of its asset."""
    query = (
        select(SetAsideEvent, PendingEvent.kind)
        .join(PendingEvent, PendingEvent.pending_id == SetAsideEvent.pending_id)
        .order_by(SetAsideEvent.pending_id)
    )
    return [
        {
            "kind": "fact_set_aside",
            "where": f"{one.asset_id} {kind} (pending_event {one.pending_id})",
            "detail": f"{one.code}: {one.detail}",
        }
        for one, kind in session.execute(query)
    ]


def signing_keys(session: Session) -> Sequence[SigningKey]:
    """Every key that ever signed records or checkpoints, or is to, in the order of their introduction."""
    return session.execute(select(SigningKey).order_by(SigningKey.use.desc(), SigningKey.ordinal)).scalars().all()


def public_key(key: SigningKey) -> Ed25519PublicKey:
    """The public half."""
    return public_key_from_bytes(key.public_key)


def record_keys(session: Session) -> list[Ed25519PublicKey]:
    """The public keys of records, oldest first: retired and denounced ones too, since records under them live."""
    return [public_key(key) for key in signing_keys(session) if key.use == Use.RECORD]


def log_keys(session: Session, *, log_name: str, denounced: bool = False) -> list[Verifier]:
    """The public keys of checkpoints, the current one first, then outgoing, next and retired; `denounced` ones last."""
    order = [*ORDER_OF_VERIFIERS, *([KeyState.COMPROMISED] if denounced else [])]
    keys = [key for key in signing_keys(session) if key.use == Use.LOG and key_state(key) in order]
    keys.sort(key=lambda key: order.index(key_state(key)))
    return [Verifier(log_name, ED25519, key.public_key) for key in keys]
