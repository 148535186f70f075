"""The client against a server that misbehaves as servers do."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from exchange.replay import client as module
from exchange.replay.client import ApiClient, ApiProblem, Unreachable, party_key, public_jwk

KEY = party_key(1, name="somebody")
Answer = tuple[int, object] | None
Script = Callable[[str, dict[str, str], bytes], Answer]


@contextmanager
def server(script: Script, *, lifetime: int = 600) -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    """A server that answers by `script` (None: hang up), gives tokens, and notes every request."""
    seen: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append((self.path, dict(self.headers), body))
            if self.path == "/oauth/token":
                answer: Answer = (200, {"access_token": f"t{len(seen)}", "expires_in": lifetime})
            else:
                answer = script(self.path, dict(self.headers), body)
            if answer is None:
                self.close_connection = True
                return
            text = answer[1] if isinstance(answer[1], bytes) else json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST  # noqa: N815 - http.server's names
        do_PUT = do_POST  # noqa: N815 - http.server's names

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_address[1]}", seen
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long between tries."""
    monkeypatch.setattr(module, "_FIRST_WAIT_SECONDS", 0.001)


def test_token_and_body() -> None:
    """The assertion says what RFC 7523 asks for, and the token is kept until it is about to expire."""
    with server(lambda *_: (200, {"ok": 1})) as (url, seen):
        door = ApiClient(url, client_id="cli_1", key=KEY)
        assert door.get("/a") == {"ok": 1}
        assert door.put("/b", {"x": 1}) == {"ok": 1}
        door.close()
    form = parse_qs(seen[0][2].decode())
    token = jwt.decode(form["client_assertion"][0], OKPKey.import_key({**public_jwk(KEY)}), algorithms=["Ed25519"])
    assert (token.claims["iss"], token.claims["sub"], token.claims["aud"]) == ("cli_1", "cli_1", url)
    assert form["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    assert [path for path, _, _ in seen] == ["/oauth/token", "/a", "/b"]
    assert seen[2][1]["Authorization"] == "Bearer t1"
    assert json.loads(seen[2][2]) == {"x": 1}


def test_token_is_renewed() -> None:
    """A token about to expire is replaced before it is used."""
    with server(lambda *_: (200, {}), lifetime=30) as (url, seen):
        door = ApiClient(url, client_id="cli_1", key=KEY)
        door.get("/a")
        door.get("/a")
        door.close()
    assert [path for path, _, _ in seen].count("/oauth/token") == 2


def test_lost_answers_are_asked_for_again() -> None:
    """After a hang-up and a 503 the very same request goes out again, under the same key."""
    answers: list[Answer] = [None, (503, {}), (201, {"done": True})]
    with server(lambda *_: answers.pop(0)) as (url, seen):
        door = ApiClient(url, client_id="cli_1", key=KEY)
        assert door.post("/v1/x", {"a": 1}, key="k1") == {"done": True}
        door.close()
    sent = [(headers["Idempotency-Key"], body) for path, headers, body in seen if path == "/v1/x"]
    assert sent == [("k1", b'{"a":1}')] * 3


def test_never_answered() -> None:
    """A server that never has time is unreachable, and the message says what was wanted."""
    with server(lambda *_: (503, {})) as (url, _):
        door = ApiClient(url, client_id="cli_1", key=KEY)
        with pytest.raises(Unreachable, match="POST /v1/x"):
            door.post("/v1/x", {})
        door.close()


@pytest.mark.parametrize(
    ("body", "code"),
    [({"code": "not_enough", "detail": "no"}, "not_enough"), (b"<html>", "409"), ([1], "409")],
)
def test_problems(body: object, code: str) -> None:
    """A refusal keeps its code; what is no problem document goes by its status."""
    with server(lambda *_: (409, body)) as (url, _):
        door = ApiClient(url, client_id="cli_1", key=KEY)
        with pytest.raises(ApiProblem) as caught:
            door.post("/v1/x", {})
        door.close()
    assert (caught.value.code, caught.value.status) == (code, 409)


def test_keys_follow_the_seed() -> None:
    """A party's key is decided by the seed and its name."""
    names = [public_jwk(party_key(seed, name=name))["x"] for seed, name in [(1, "a"), (1, "a"), (1, "b"), (2, "a")]]
    assert names[0] == names[1]
    assert len(set(names)) == 3
