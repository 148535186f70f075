"""How a party's program proves who it is and asks: private_key_jwt, DPoP, signed requests, keys that repeat safely."""

import base64
import hashlib
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import urllib3
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from exchange.clock import system_now
from exchange.entropy import system_entropy

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SIGNED = ("@method", "@target-uri", "authorization", "content-digest", "dpop")
TRIES = 5
AGAIN = {502, 503, 504}
REFUSED = 400
KINDS: Mapping[str, tuple[type[Any], str, type[algorithms.HTTPSignatureAlgorithm]]] = {
    "OKP": (OKPKey, "Ed25519", algorithms.ED25519),
    "EC": (ECKey, "ES256", algorithms.ECDSA_P256_SHA256),
    "RSA": (RSAKey, "PS256", algorithms.RSA_PSS_SHA512),
}


class Problem(Exception):
    """The exchange refused; `code` is stable (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status, self.problem = status, problem
        self.code = str(problem.get("code") or problem.get("error") or status)
        super().__init__(f"{status} {self.code}: {problem.get('detail') or problem.get('error_description')}")


class Unanswered(Exception):
    """No answer, not even after several tries: whether it was done is not known. Repeat it with the same key."""


class PrivateKey(HTTPSignatureKeyResolver):
    """A client's key: `public` is what it registers."""

    def __init__(self, pem: bytes) -> None:
        private = load_pem_private_key(pem, None)
        kind = "RSA" if isinstance(private, RSAPrivateKey) else "EC" if hasattr(private, "curve") else "OKP"
        maker, self.algorithm, self.signs = KINDS[kind]
        self.pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.private, self.jwk = private, maker.import_key(self.pem)
        self.public: dict[str, Any] = self.jwk.as_dict(private=False)
        self.name: str = self.jwk.thumbprint()

    def resolve_private_key(self, key_id: str) -> object:
        """The key, if that is its name."""
        return self.private if key_id == self.name else None

    def jwt(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        """A JWT of now, used once."""
        claims = {**claims, "iat": int(system_now().timestamp()), "jti": system_entropy(16).hex()}
        return jwt.encode({"alg": self.algorithm, **header}, claims, self.jwk, algorithms=[self.algorithm])


class _Message:
    """A request as it is signed."""

    def __init__(self, method: str, url: str, headers: dict[str, str]) -> None:
        self.method, self.url, self.headers = method, url, headers


class Transport:
    """One party's connection, its token and its proofs. Not for several threads at once."""

    def __init__(self, base_url: str, *, client_id: str, key: Path | str, issuer: str | None = None) -> None:
        """`key` is the PEM file of the client's private key; `issuer`, if it is not the address that is called."""
        self._base, self._issuer = base_url.rstrip("/"), (issuer or base_url).rstrip("/")
        self.client_id, self._key = client_id, PrivateKey(Path(key).read_bytes())
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=60), retries=False)
        self._nonce, self._token, self._ends = "", "", system_now()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,  # noqa: ANN401 - a JSON value, or bytes as they are
        key: str | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the operation answers
        """The answer; `key` is the idempotency key. Raises `Problem` and `Unanswered`."""
        asked = urlencode({name: value for name, value in (query or {}).items() if value is not None})
        target = f"{path}?{asked}" if asked else path
        raw = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        failure: object = None
        for attempt in range(TRIES):
            time.sleep(0.05 * 2**attempt if attempt else 0)
            try:
                headers = self.headers(method, target, body=raw, key=key)
                answer = self._pool.request(method, self._base + target, body=raw, headers=headers, redirect=False)
            except urllib3.exceptions.HTTPError as error:
                failure = error
                continue
            self._nonce = answer.headers.get("DPoP-Nonce", self._nonce)
            failure = f"{answer.status} {answer.data[:200]!r}"
            if answer.status not in AGAIN and not (answer.status == 401 and b"use_dpop_nonce" in answer.data):  # noqa: PLR2004 - RFC 9449
                return _read(answer)
        raise Unanswered(f"{method} {path}: {failure}")

    def pages(self, path: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The items of every page."""
        after = query.get("after")
        while True:
            page = self.call("GET", path, query={**query, "after": after})
            yield from page["items"]
            after = page["next"]
            if after is None:
                return

    def headers(self, method: str, target: str, *, body: bytes | None = None, key: str | None = None) -> dict[str, str]:
        """What a request to `target` (path and query) carries: token, proof, digest; with a `key`, a signature too."""
        token, url = self._access_token(), self._issuer + target
        proof = self._proof(method, url.partition("?")[0], ath=_hash(token.encode()))
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
            signer = HTTPMessageSigner(signature_algorithm=self._key.signs, key_resolver=self._key)
            message = _Message(method, url, headers)
            signer.sign(
                message,
                key_id=self._key.name,
                created=system_now(),
                tag="fapi-2-request",
                covered_component_ids=SIGNED,
                include_alg=False,
                body=body or b"",
            )
        return headers

    def _access_token(self) -> str:
        now = system_now()
        if now >= self._ends - timedelta(minutes=1):
            answer = self._new_token()
            self._token, self._ends = answer["access_token"], now + timedelta(seconds=answer["expires_in"])
        return self._token

    def _new_token(self) -> dict[str, Any]:
        answer = self._ask_for_token()
        if b"use_dpop_nonce" in answer.data:
            answer = self._ask_for_token()
        told: dict[str, Any] = _read(answer)
        return told

    def _ask_for_token(self) -> urllib3.BaseHTTPResponse:
        now, place = int(system_now().timestamp()), "/oauth/token"
        claims = {"iss": self.client_id, "sub": self.client_id, "aud": self._issuer, "exp": now + 60}
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._key.jwt({}, claims),
        }
        headers = {
            "DPoP": self._proof("POST", self._issuer + place),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        answer = self._pool.request("POST", self._base + place, body=urlencode(form), headers=headers, redirect=False)
        self._nonce = answer.headers.get("DPoP-Nonce", self._nonce)
        return answer

    def _proof(self, method: str, url: str, **claims: str) -> str:
        claims = {"htm": method, "htu": url, **claims} | ({"nonce": self._nonce} if self._nonce else {})
        return self._key.jwt({"typ": "dpop+jwt", "jwk": self._key.public}, claims)


def new_key() -> str:
    """An idempotency key that was never used."""
    return system_entropy(16).hex()


def part(value: str) -> str:
    """A part of a path, as it has to be written."""
    return quote(value, safe="")


def given(**members: Any) -> dict[str, Any]:  # noqa: ANN401 - members of a body
    """The members that were given."""
    return {name.rstrip("_"): value for name, value in members.items() if value is not None}


def _read(answer: urllib3.BaseHTTPResponse) -> Any:  # noqa: ANN401 - whatever the operation answers
    is_json = "json" in answer.headers.get("Content-Type", "")
    value = msgspec.json.decode(answer.data) if is_json else answer.data
    if answer.status >= REFUSED:
        raise Problem(answer.status, value if isinstance(value, dict) else {"detail": repr(value[:200])})
    return value


def _hash(value: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(value).digest()).rstrip(b"=").decode()
