"""Proof of possession (DPoP, RFC 9449): a token is worth nothing to whoever lacks the key it was made for.

A proof is good once, for one method and address, within `NONCE_SLOTS` minutes of the nonce in it. The nonce is
computed, not kept: every process knows what any other gave out.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, LargeBinary, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from exchange.db import Base
from exchange.jose import ALGORITHMS, KeyUnusable, public_key, unverified, verified
from ledger.errors import LedgerError

SLOT_SECONDS = 60
NONCE_SLOTS = 5
AHEAD_SECONDS = 10
LONGEST_JTI = 128
SIGNING_ALGORITHMS = " ".join(ALGORITHMS)


class ProofRefused(Exception):
    """There is no proof that the caller has the key. `code` is RFC 9449's."""

    code = "invalid_dpop_proof"


class NonceWanted(ProofRefused):
    """The proof has no nonce of ours, or an old one: sign again with the one in the answer's `DPoP-Nonce`."""

    code = "use_dpop_nonce"


class UsedProof(Base):
    """A proof that was used: none is accepted twice. Not logged: what a crash of the server loses, its nonce ends."""

    __tablename__ = "used_proof"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    mark: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    slot: Mapped[int] = mapped_column(BigInteger, index=True)


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that holds: the key it was signed with (RFC 7638 thumbprint), and what names it."""

    key: str
    mark: bytes


def nonce(secret: bytes, *, now: datetime) -> str:
    """The nonce of this minute."""
    return _nonce(secret, _slot(now))


def read_proof(
    presented: str, *, method: str, url: str, secret: bytes, now: datetime, token: str | None = None
) -> Proof:
    """The proof in a `DPoP` header, for a request to `url` (without query), with the access `token` where there is one.

    Refuses `ProofRefused` (RFC 9449 section 4.3), and `NonceWanted` for a proof that holds but for its nonce.
    """
    try:
        header = unverified(presented).headers()
        if header.get("typ") != "dpop+jwt" or not isinstance(header.get("jwk"), dict):
            raise ProofRefused("the proof's header has typ dpop+jwt and the public key as jwk")
        key = public_key(header["jwk"])
        claims = verified(presented, key)
        _check(claims, method=method, url=url, token=token, now=now)
    except (LedgerError, KeyUnusable, KeyError, ValueError, TypeError, OverflowError):
        raise ProofRefused("the proof does not hold for this request") from None
    if not _recent(secret, claims.get("nonce"), now=now):
        raise NonceWanted("sign the proof again with the nonce in DPoP-Nonce")
    thumbprint = key.thumbprint()
    return Proof(thumbprint, hashlib.sha256(f"{thumbprint} {claims['jti']}".encode()).digest())


def use_proof(session: Session, *, proof: Proof, now: datetime) -> bool:
    """Note that a proof was used; False when it was used before. What no nonce admits any more is forgotten."""
    statement = text("""
        WITH old AS (DELETE FROM used_proof WHERE slot < :slot - :kept)
        INSERT INTO used_proof (mark, slot) VALUES (:mark, :slot) ON CONFLICT DO NOTHING RETURNING slot
    """)
    parameters = {"mark": proof.mark, "slot": _slot(now), "kept": NONCE_SLOTS + 1}
    return session.execute(statement, parameters).first() is not None


def _check(claims: dict[str, Any], *, method: str, url: str, token: str | None, now: datetime) -> None:
    """Refuse (`ValueError`) a proof for another request, another token, another time."""
    seconds = int(now.timestamp())
    if claims.get("htm") != method or claims.get("htu") != url:
        raise ValueError("htm or htu")
    if not seconds - SLOT_SECONDS * NONCE_SLOTS <= int(claims["iat"]) <= seconds + AHEAD_SECONDS:
        raise ValueError("iat")
    if claims.get("ath") != (None if token is None else _hash(token)):
        raise ValueError("ath")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= LONGEST_JTI or not jti.isprintable():
        raise ValueError("jti")


def _hash(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


def _recent(secret: bytes, presented: object, *, now: datetime) -> bool:
    slot = _slot(now)
    known = [_nonce(secret, slot - age) for age in range(-1, NONCE_SLOTS)]  # a process may be a minute ahead
    said = presented.encode() if isinstance(presented, str) else b""
    return sum(hmac.compare_digest(one.encode(), said) for one in known) > 0


def _slot(now: datetime) -> int:
    return int(now.timestamp()) // SLOT_SECONDS


def _nonce(secret: bytes, slot: int) -> str:
    return base64.urlsafe_b64encode(hmac.digest(secret, b"dpop nonce %d" % slot, "sha256")[:18]).decode()
