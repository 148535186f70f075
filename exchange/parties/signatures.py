"""Requests that their sender signed (RFC 9421), kept word for word: who committed cannot say later that it did not.

As FAPI 2.0 HTTP Signatures has it: the signature covers method, address, token, proof of possession and the digest of
the body (RFC 9530), is tagged as such, and is made by one of the client's own keys, named by its thumbprint.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import urlsplit

from flask import request
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, InvalidSignature, algorithms
from sqlalchemy import and_, insert, select
from sqlalchemy.orm import Session

from exchange import jose
from exchange.auth import TOKEN_LIFETIME
from exchange.clock import system_now
from exchange.errors import Refusal
from exchange.http import Call
from exchange.parties.clients import live_keys
from exchange.parties.models import ApiClient, ClientKey, SignedRequest

TAG = "fapi-2-request"
COVERED = ("@method", "@target-uri", "authorization", "content-digest")
PROOF = "dpop"
KEPT = ("authorization", "content-digest", "signature-input", "signature")
"""With the token, for without it nothing verifies. It is shown to others when it is over."""
WANTED = {
    "Accept-Signature": f'sig=("@method" "@target-uri" "authorization" "content-digest");created;keyid;tag="{TAG}"'
}
LONGEST_AGE = timedelta(minutes=1)
BY_KIND: Mapping[str, type[algorithms.HTTPSignatureAlgorithm]] = {
    "OKP": algorithms.ED25519,
    "EC": algorithms.ECDSA_P256_SHA256,
    "RSA": algorithms.RSA_PSS_SHA512,
}
"""By the kind of key, the one algorithm of RFC 9421 it signs with."""


class SignatureRefused(Refusal):
    """A request that cannot be proven to be its sender's is not acted on as if it could."""

    code: ClassVar[str] = "invalid_signature"
    title: ClassVar[str] = "The request's signature is not right"
    status: ClassVar[int] = HTTPStatus.UNAUTHORIZED
    definitive: ClassVar[bool] = False


class SignatureMissing(SignatureRefused):
    """This exchange takes commitments only if they are signed."""

    code: ClassVar[str] = "signature_missing"
    title: ClassVar[str] = "Sign this request"


@dataclass(frozen=True, slots=True)
class Message:
    """A request as a verifier wants it; names of headers in small letters."""

    method: str
    url: str
    headers: Mapping[str, str]


class _OneKey(HTTPSignatureKeyResolver):
    """Knows a single key, and whether it was the one that was asked for."""

    def __init__(self, thumbprint: str, key: jose.PublicKey) -> None:
        self.thumbprint, self.key, self.named = thumbprint, key, False

    def resolve_public_key(self, key_id: str) -> object:
        """The key, if that is its name."""
        self.named = key_id == self.thumbprint
        return self.key.public_key if self.named else None


def keep_signature(call: Call, *, subject: str) -> None:
    """Check the request's signature, if it has one, and keep it as its sender's word on `subject`.

    Refuses `SignatureRefused`, and `SignatureMissing` where signatures are asked for (`EXCHANGE_SIGNED_COMMITMENTS`).
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    if "signature-input" not in headers:
        if call.services.settings.signed_commitments:
            raise SignatureMissing("This has to be signed (RFC 9421).", headers=WANTED)
        return
    target = urlsplit(request.url)._replace(scheme="", netloc="").geturl().removeprefix(request.root_path)
    message = Message(request.method, call.services.settings.issuer + target, headers)
    keys = {row.thumbprint: row.public_jwk for row in live_keys(call.session, client_id=call.caller.client_id)}
    try:
        thumbprint = signer(message, body=call.raw, keys=keys)
    except InvalidSignature as error:
        raise SignatureRefused(f"The signature is not taken: {error}.", headers=WANTED) from None
    covered = {name: headers[name] for name in (*KEPT, PROOF) if name in headers}
    values = {"client_id": call.caller.client_id, "thumbprint": thumbprint, "received_at": system_now()}
    call.session.execute(
        insert(SignedRequest).values(
            subject=subject, method=message.method, url=message.url, headers=covered, body=call.raw, **values
        )
    )


def signer(message: Message, *, body: bytes, keys: Mapping[str, Mapping[str, Any]]) -> str:
    """Which of the keys (JWKs by thumbprint) signed message and body, a minute ago at most (`InvalidSignature`)."""
    needed = (*COVERED, PROOF) if PROOF in message.headers else COVERED
    refused = InvalidSignature("it names no key of this client")
    for thumbprint, jwk in keys.items():
        key = _OneKey(thumbprint, jose.public_key(jwk))
        verifier = HTTPMessageVerifier(signature_algorithm=BY_KIND[key.key.key_type], key_resolver=key)
        try:
            verifier.verify(message, max_age=LONGEST_AGE, expect_tag=TAG, require_components=needed, body=body)
        except InvalidSignature as error:
            refused = error if key.named else refused
        else:
            return thumbprint
    raise refused


def signed_requests(session: Session, *, party_id: str | None, subject: str) -> list[dict[str, Any]]:
    """What was signed about `subject`, by the clients of a party or by anybody's: all that a verifier needs, keys too.

    What somebody else signed is there when the access token in it is over.
    """
    same_key = and_(ClientKey.client_id == SignedRequest.client_id, ClientKey.thumbprint == SignedRequest.thumbprint)
    query = (
        select(SignedRequest, ClientKey.public_jwk)
        .join(ClientKey, same_key)
        .join(ApiClient, ApiClient.client_id == SignedRequest.client_id)
        .where(SignedRequest.subject == subject)
        .order_by(SignedRequest.request_id)
    )
    over = SignedRequest.received_at < system_now() - TOKEN_LIFETIME
    query = query.where(over if party_id is None else ApiClient.party_id == party_id)
    return [
        {
            "client_id": kept.client_id,
            "received_at": kept.received_at,
            "method": kept.method,
            "url": kept.url,
            "headers": kept.headers,
            "body": base64.b64encode(kept.body).decode(),
            "public_jwk": jwk,
        }
        for kept, jwk in session.execute(query)
    ]
