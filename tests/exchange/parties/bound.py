"""A client as FAPI 2.0 wants it: every request proves the key (DPoP), every proof has the server's nonce."""

import base64
import hashlib
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from flask.testing import FlaskClient
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from werkzeug.test import TestResponse

from exchange.clock import system_now
from tests.exchange.house import ASSERTION_TYPE

ISSUER = "http://127.0.0.1:8080"
TOKEN_URL = f"{ISSUER}/oauth/token"
numbers = count(1)


class Wide(jws.JWSRegistry):
    """A proof's header has a whole RSA key in it."""

    max_header_length = 2048


def seconds() -> int:
    """The machine's time."""
    return int(system_now().timestamp())


def sign(key: OKPKey | ECKey | RSAKey, claims: dict[str, Any], **header: Any) -> str:  # noqa: ANN401 - any header
    """A JWT by the algorithm of the key's kind."""
    algorithm = {"OKP": "Ed25519", "EC": "ES256", "RSA": "PS256"}[key.key_type]
    return jwt.encode({"alg": algorithm} | header, claims, key, registry=Wide(algorithms=[algorithm]))


def half_hash(token: str) -> str:
    """`ath`: what ties a proof to an access token."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Bound:
    """A client with the key it signs in with and the one its tokens are bound to."""

    web: FlaskClient
    client_id: str
    key: OKPKey | ECKey | RSAKey
    proof_key: OKPKey | ECKey | RSAKey = field(default_factory=lambda: OKPKey.generate_key("Ed25519"))
    nonce: str = ""
    token: str = ""

    def assertion(self, **claims: Any) -> str:  # noqa: ANN401 - any claim
        """A signed assertion, used by nobody yet."""
        now = seconds()
        own = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": ISSUER,
            "exp": now + 60,
            "jti": f"a-{next(numbers)}",
        }
        return sign(self.key, own | claims)

    def proof(self, method: str, url: str, *, header: dict[str, Any] | None = None, **claims: Any) -> str:  # noqa: ANN401 - any claim
        """A proof for a request; what is None is left out."""
        own: dict[str, Any] = {"htm": method, "htu": url, "iat": seconds(), "jti": f"p-{next(numbers)}"}
        own |= {"nonce": self.nonce, "ath": half_hash(self.token) if self.token else None} | claims
        kept = {name: value for name, value in own.items() if value is not None}
        marks = {"typ": "dpop+jwt", "jwk": self.proof_key.as_dict(private=False)} | (header or {})
        return sign(self.proof_key, kept, **{name: value for name, value in marks.items() if value is not None})

    def ask(self, *, proof: str | None, assertion: str | None = None, **form: str) -> TestResponse:
        """A request for a token."""
        sent = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or self.assertion(),
        } | form
        return self.web.post("/oauth/token", data=sent, headers={"DPoP": proof} if proof else {})

    def sign_in(self, **form: str) -> str:
        """A bound token, the second time with the nonce that the first answer gave."""
        self.token, assertion = "", self.assertion()
        first = self.ask(proof=self.proof("POST", TOKEN_URL, nonce=None), assertion=assertion, **form)
        assert (first.status_code, first.get_json()["error"]) == (400, "use_dpop_nonce")
        self.nonce = first.headers["DPoP-Nonce"]
        second = self.ask(proof=self.proof("POST", TOKEN_URL), assertion=assertion, **form)
        assert (second.status_code, second.get_json()["token_type"]) == (200, "DPoP"), second.text
        self.token = second.get_json()["access_token"]
        return self.token

    def send(
        self, method: str, path: str, *, proof: str | None = None, scheme: str = "DPoP", json: object = None
    ) -> TestResponse:
        """A request with the token and a proof, its own unless another is given."""
        proof = self.proof(method, ISSUER + path.partition("?")[0]) if proof is None else proof
        headers = {"Authorization": f"{scheme} {self.token}", "Idempotency-Key": f"b-{next(numbers)}"}
        headers |= {"DPoP": proof} if proof else {}
        return self.web.open(path, method=method, headers=headers, json=json)
