"""A party's door to the API: proves who it is, keeps its connection, repeats what was not answered."""

import base64
import itertools
import time
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

import msgspec
import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import OKPKey
from urllib3.util import Url, parse_url

from exchange.clock import system_now
from exchange.entropy import seeded_entropy

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFETIME = timedelta(minutes=2)
_RENEW_BEFORE = timedelta(minutes=1)
_TRIES = 6
_AGAIN = frozenset({502, 503, 504})
_FIRST_WAIT_SECONDS = 0.05


class ApiProblem(Exception):
    """The API refused a request; `code` is the problem's stable code."""

    def __init__(self, *, what: str, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code") or problem.get("error") or status)
        super().__init__(f"{what}: {status} {self.code}: {problem.get('detail') or problem.get('error_description')}")


class Unreachable(Exception):
    """The API did not answer, not even after several tries."""


def party_key(seed: int, *, name: str) -> Ed25519PrivateKey:
    """The key of a played party: the seed and its name decide it."""
    return Ed25519PrivateKey.from_private_bytes(seeded_entropy(seed)(32, "replay party", name))


def public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """The public half as the API takes it (RFC 8037)."""
    x = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x}


class Answer(Protocol):
    """What came back."""

    @property
    def status(self) -> int:
        """HTTP's."""

    @property
    def data(self) -> bytes:
        """The body."""


class Pool(Protocol):
    """What sends requests: connections of urllib3, or an application in this very process."""

    def request(self, method: str, url: str, *, body: bytes | None, headers: dict[str, str]) -> Answer:
        """Send, and wait for the answer."""

    def close(self) -> None:
        """Close what is kept."""


class ApiClient:
    """One party's connection. Not for use from several threads."""

    def __init__(
        self,
        base_url: str,
        *,
        client_id: str,
        key: Ed25519PrivateKey,
        issuer: str | None = None,
        pool: Pool | None = None,
    ) -> None:
        self.client_id = client_id
        self._issuer = issuer or base_url
        self._key = OKPKey.import_key(key)
        self._pool = pool or pool_of(base_url)
        self._token = ""
        self._expires_at: datetime | None = None
        self._assertions = itertools.count(1)

    def get(self, path: str, *, wait_seconds: int = 0) -> Any:  # noqa: ANN401 - whatever the operation answers
        """Read; `wait_seconds` lets an operation that can wait do so."""
        return self._call("GET", path, None, _patience(wait_seconds))

    def put(self, path: str, body: object, *, wait_seconds: int = 0) -> Any:  # noqa: ANN401 - same
        """Set; the same request may be repeated without harm. `wait_seconds` as for `get`."""
        return self._call("PUT", path, body, _patience(wait_seconds) | {"If-Match": "*"})

    def post(self, path: str, body: object, *, key: str | None = None) -> Any:  # noqa: ANN401 - same
        """Ask for something to be done, once under each idempotency `key`. A refusal raises `ApiProblem`."""
        return self._call("POST", path, body, {} if key is None else {"Idempotency-Key": key})

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def _call(self, method: str, path: str, body: object, headers: dict[str, str]) -> Any:  # noqa: ANN401 - same
        sent = None if body is None else msgspec.json.encode(body)
        if sent is not None:
            headers["Content-Type"] = "application/json"
        headers["Authorization"] = f"Bearer {self._access_token()}"
        status, answer = send(self._pool, method, path, body=sent, headers=headers)
        return _read(f"{method} {path}", status, answer)

    def _access_token(self) -> str:
        now = system_now()
        if self._expires_at is None or now >= self._expires_at - _RENEW_BEFORE:
            answer = self._new_token(now)
            self._token = answer["access_token"]
            self._expires_at = now + timedelta(seconds=answer["expires_in"])
        return self._token

    def _new_token(self, now: datetime) -> dict[str, Any]:
        seconds = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self._issuer,
            "iat": seconds,
            "exp": seconds + int(_ASSERTION_LIFETIME.total_seconds()),
            "jti": f"{now.timestamp():.6f}-{next(self._assertions)}",
        }
        assertion = jwt.encode({"alg": "Ed25519"}, claims, self._key, algorithms=["Ed25519"])
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        encoded = "&".join(f"{name}={_quoted(value)}" for name, value in form.items()).encode()
        content = {"Content-Type": "application/x-www-form-urlencoded"}
        status, answer = send(self._pool, "POST", "/oauth/token", body=encoded, headers=content)
        return cast("dict[str, Any]", _read("POST /oauth/token", status, answer))


def _patience(wait_seconds: int) -> dict[str, str]:
    return {"Prefer": f"wait={wait_seconds}"} if wait_seconds else {}


def pool_of(base_url: str) -> Pool:
    """A kept connection to the API."""
    url: Url = parse_url(base_url)
    kind = urllib3.HTTPSConnectionPool if url.scheme == "https" else urllib3.HTTPConnectionPool
    pool = kind(
        url.host or "",
        url.port,
        maxsize=1,
        block=True,
        timeout=urllib3.Timeout(connect=5, read=120),
        retries=False,
    )
    return cast("Pool", pool)


def send(pool: Pool, method: str, path: str, *, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
    """Send; again, as the very same request, when the answer was lost or was "not now" (`Unreachable`)."""
    failure: object = None
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_FIRST_WAIT_SECONDS * 2**attempt)
        try:
            response = pool.request(method, path, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            failure = error
            continue
        if response.status not in _AGAIN:
            return response.status, response.data
        failure = f"{response.status} {response.data[:200]!r}"
    raise Unreachable(f"{method} {path} was not answered: {failure}")


def _read(what: str, status: int, answer: bytes) -> Any:  # noqa: ANN401 - whatever the operation answers
    try:
        value = msgspec.json.decode(answer) if answer else None
    except msgspec.DecodeError:
        value = {"detail": answer[:200].decode(errors="replace")}
    if status >= 400:  # noqa: PLR2004 - where HTTP's refusals begin
        raise ApiProblem(what=what, status=status, problem=value if isinstance(value, dict) else {})
    return value


def _quoted(value: str) -> str:
    return value.replace(":", "%3A")  # the only character of ours that a form may not hold as it is
