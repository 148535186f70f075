"""The funder's door to its callbacks and its stream."""

from collections.abc import Callable, Iterator
from http import HTTPStatus

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_smorest import Api

from exchange.auth import Caller, Role, issue_token
from exchange.callbacks.api import room
from exchange.callbacks.delivery import deliver
from exchange.callbacks.verifier import verify
from exchange.clock import system_now
from exchange.errors import Refusal
from exchange.http import EXTENSION, METER, problem_response
from exchange.rates import Meter
from exchange.services import Services
from ledger.canonical import canonical_bytes
from tests.exchange.callbacks.receiver import Receiver


@pytest.fixture
def client(services: Services) -> Iterator[FlaskClient]:
    """An application with nothing but this room, called by the first funder."""
    app = Flask(__name__)
    app.config |= {"API_TITLE": "t", "API_VERSION": "1", "OPENAPI_VERSION": "3.1.0"}
    app.extensions |= {EXTENSION: services, METER: Meter(limit=1000)}
    app.register_error_handler(Refusal, problem_response)
    Api(app).register_blueprint(room)
    with app.test_client() as client:
        client.environ_base["HTTP_AUTHORIZATION"] = authorization(services, "fnd_a")
        yield client


def authorization(services: Services, funder_id: str) -> str:
    """A funder's header."""
    caller = Caller("cli_1", Role.FUNDER, funder_id)
    token = issue_token(services.keyring, caller=caller, issuer=services.settings.issuer, now=system_now())
    return f"Bearer {token}"


def test_put_receive_read(
    client: FlaskClient, services: Services, receiver: Receiver, say: Callable[..., None]
) -> None:
    """A funder puts its endpoint, verifies what comes, and reads the same in its stream."""
    assert client.get("/v1/callback-endpoint").status_code == HTTPStatus.NOT_FOUND
    given = client.put("/v1/callback-endpoint", json={"url": receiver.url})
    assert given.status_code == HTTPStatus.OK
    assert given.json is not None
    assert given.json == client.put("/v1/callback-endpoint", json={"url": receiver.url}).json
    say(count=3)
    deliver(services)
    keys = {"secret": given.json["secret"], "public_key": given.json["public_key"]}
    for one in receiver.received:
        verify(one.headers, one.body, now=int(system_now().timestamp()), **keys)
    state = client.get("/v1/callback-endpoint").json
    assert state is not None
    assert state["url"] == receiver.url
    assert (state["last_sequence"], state["undelivered"], state["disabled_at"]) == (3, 0, None)
    assert "secret" not in state
    feed = client.get("/v1/events?limit=2")
    assert feed.data == b'{"items":[' + b",".join(one.body for one in receiver.received[:2]) + b'],"next":2}'
    rest = client.get("/v1/events?after=2").json
    assert rest is not None
    assert rest["next"] is None
    assert canonical_bytes(rest["items"][0]) == receiver.received[2].body


def test_no_funder_reads_another(client: FlaskClient, services: Services, say: Callable[..., None]) -> None:
    """A stream is its funder's alone, and so is the endpoint."""
    say("fnd_a", 2)
    client.put("/v1/callback-endpoint", json={"url": "http://127.0.0.1:9/"})
    other = {"Authorization": authorization(services, "fnd_b")}
    assert client.get("/v1/events", headers=other).json == {"items": [], "next": None}
    assert client.get("/v1/callback-endpoint", headers=other).status_code == HTTPStatus.NOT_FOUND


def test_bad_endpoints(client: FlaskClient) -> None:
    """What cannot be an endpoint is refused with a code and a pointer, and nothing is kept."""
    bad: list[tuple[dict[str, object], str]] = [
        ({"url": "ftp://bank.example/"}, "bad_endpoint_url"),
        ({"url": "https://169.254.169.254/"}, "address_not_allowed"),
        ({"url": 7}, "not_text"),
        ({}, "missing"),
        ({"url": "https://bank.example/", "secret": "mine"}, "unknown_field"),
    ]
    for body, code in bad:
        refused = client.put("/v1/callback-endpoint", json=body)
        assert refused.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
        assert refused.json is not None
        assert refused.json["errors"][0]["code"] == code
    assert client.get("/v1/callback-endpoint").status_code == HTTPStatus.NOT_FOUND


def test_bad_pages(client: FlaskClient) -> None:
    """A page that cannot be is a problem, not a failure."""
    for query in ("after=-1", "after=x", "after=1e3", "limit=0", "limit=1001", f"after={10**30}"):
        assert client.get(f"/v1/events?{query}").status_code == HTTPStatus.UNPROCESSABLE_ENTITY
