"""The door's keeper: whose request this is, and whether its sender may use the token it shows.

A token may be bound to a key (DPoP, RFC 9449) or to a client certificate that the proxy in front has verified
(RFC 8705, told by it in `Client-Cert`, RFC 9440).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import ClassVar

from werkzeug.datastructures import Headers

from exchange import auth, dpop
from exchange.auth import Caller
from exchange.errors import Unauthenticated
from exchange.services import Services

CERTIFICATE = "x5t#S256"
KEY = "jkt"


class ProofMissing(Unauthenticated):
    """The token is bound to a key, and nothing proves that the sender has it."""

    code: ClassVar[str] = "invalid_dpop_proof"
    title: ClassVar[str] = "A proof of possession is needed"


class NonceMissing(ProofMissing):
    """The proof needs the nonce of this answer."""

    code: ClassVar[str] = "use_dpop_nonce"
    title: ClassVar[str] = "The proof needs the nonce in DPoP-Nonce"


def admit(services: Services, *, method: str, path: str, headers: Headers, now: datetime) -> Caller:
    """Who sends this request. Refuses `Unauthenticated`, `ProofMissing` and `NonceMissing`."""
    scheme, presented = auth.split(headers.get("Authorization"))
    token = auth.read_token(services.keyring, token=presented, issuer=services.settings.issuer, now=now)
    bound = token.confirmation
    if (scheme == "dpop") != (KEY in bound):
        raise auth.refused("A token that is bound to a key is sent as `Authorization: DPoP`, no other one is.")
    if KEY in bound:
        proof = read_proof(services, method=method, path=path, headers=headers, now=now, token=presented)
        if not hmac.compare_digest(proof.key, bound[KEY]):
            raise _missing(dpop.ProofRefused("the proof is by another key than the token's"))
    elif CERTIFICATE in bound:
        if not hmac.compare_digest(certificate(services, headers).get(CERTIFICATE, ""), bound[CERTIFICATE]):
            raise auth.refused("The token is bound to another client certificate.")
    elif services.settings.bound_tokens:
        raise auth.refused("Only tokens that are bound to a key or a certificate are taken here.")
    return token.caller


def read_proof(
    services: Services, *, method: str, path: str, headers: Headers, now: datetime, token: str | None = None
) -> dpop.Proof:
    """The one proof of a request, used up by this. Refuses `ProofMissing` and `NonceMissing`."""
    presented = headers.getlist("DPoP")
    if len(presented) != 1:
        raise _missing(dpop.ProofRefused("send one DPoP header"))
    url = services.settings.issuer.rstrip("/") + path
    secret = services.keyring.nonce_key
    try:
        proof = dpop.read_proof(presented[0], method=method, url=url, secret=secret, now=now, token=token)
    except dpop.ProofRefused as refused:
        raise _missing(refused) from None
    if not services.database.run(partial(dpop.use_proof, proof=proof, now=now)):
        raise _missing(dpop.ProofRefused("this proof was used before: sign a new one with a new jti"))
    return proof


def certificate(services: Services, headers: Headers) -> Mapping[str, str]:
    """What binds a token to the client certificate that the proxy verified; nothing where no proxy is trusted to."""
    told = headers.get("Client-Cert", "") if services.settings.client_certificates else ""
    try:
        der = base64.b64decode(told[1:-1], validate=True) if told == f":{told[1:-1]}:" else b""
    except binascii.Error:
        der = b""
    if not der:
        return {}
    return {CERTIFICATE: base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()}


def next_nonce(services: Services, *, now: datetime) -> str:
    """The nonce for a caller's next proof."""
    return dpop.nonce(services.keyring.nonce_key, now=now)


def _missing(refused: dpop.ProofRefused) -> ProofMissing:
    kind = NonceMissing if isinstance(refused, dpop.NonceWanted) else ProofMissing
    challenge = f'DPoP error="{refused.code}", algs="{dpop.SIGNING_ALGORITHMS}"'
    return kind(f"The request's proof was refused: {refused}.", headers={"WWW-Authenticate": challenge})
