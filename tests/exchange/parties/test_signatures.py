"""Commitments that are signed (RFC 9421): taken if every byte is right, kept word for word, refused otherwise.

What is signed is put together here by the letter of the RFC, not by the library that the exchange verifies with.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError
from werkzeug.test import TestResponse

from exchange.clock import system_now
from exchange.parties import signatures
from ledger.keys import jwk, thumbprint
from tests.exchange.house import Client, House, mandate
from tests.exchange.owner import as_owner
from tests.exchange.pools.shared import house_on
from tests.exchange.settlement.book import fresh

ISSUER = "http://127.0.0.1:8080"
COVERED = ("@method", "@target-uri", "authorization", "content-digest")


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two funders, the first with an open offer."""
    with house_on(server_url, tmp_path_factory.mktemp("signed"), funders=2) as house:
        house.deposit(0, 10**9)
        house.funders[0].post("/v1/mandates", mandate())
        house.submit(fresh())
        house.move(10, 30)
        yield house


@pytest.fixture(scope="module")
def path(house: House) -> str:
    """Where the offer is committed to."""
    (offer,) = house.funders[0].get("/v1/offers?state=open")["items"]
    return f"/v1/offers/{offer['offer_id']}/commitment"


def signed(client: Client, path: str, body: bytes, **change: Any) -> dict[str, str]:  # noqa: ANN401 - a part of the base
    """The headers of a signed request; `change` says what is signed instead of what is sent."""
    digest = base64.b64encode(hashlib.sha256(change.get("content", body)).digest()).decode()
    mark = change.get("keyid", thumbprint(client.key.public_key()))
    created = int((system_now() + change.get("later", timedelta())).timestamp())
    covered = change.get("covered", COVERED)
    inner = " ".join(f'"{one}"' for one in covered)
    parameters = f'({inner});created={created};keyid="{mark}";tag="{change.get("tag", signatures.TAG)}"'
    sent = {"authorization": f"Bearer {client.token}", "content-digest": f"sha-256=:{digest}:"}
    values = {"@method": "POST", "@target-uri": ISSUER + path, **sent} | change.get("values", {})
    base = "".join(f'"{name}": {values[name]}\n' for name in covered) + f'"@signature-params": {parameters}'
    mac = base64.b64encode(change.get("key", client.key).sign(base.encode())).decode()
    return sent | {"signature-input": f"sig={parameters}", "signature": f"sig=:{mac}:"}


def send(client: Client, path: str, body: bytes, headers: dict[str, str], key: str) -> TestResponse:
    """The request, as it goes over the wire."""
    headers = headers | {"Content-Type": "application/json", "Idempotency-Key": key}
    return client.web.post(path, data=body, headers=headers)


REFUSED: dict[str, dict[str, Any]] = {
    "another body": {"content": b'{"asset_ids": []}'},
    "another address": {"values": {"@target-uri": f"{ISSUER}/v1/offers/other/commitment"}},
    "another method": {"values": {"@method": "PUT"}},
    "another token": {"values": {"authorization": "Bearer other"}},
    "long ago": {"later": timedelta(minutes=-2)},
    "of the future": {"later": timedelta(minutes=2)},
    "another purpose": {"tag": "app-123"},
    "an unknown key": {"keyid": "A" * 43},
    "without the body": {"covered": COVERED[:3]},
    "without the token": {"covered": (*COVERED[:2], "content-digest")},
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_right_is_refused(house: House, path: str, what: str) -> None:
    """With one code, nothing done, and word of what a signature has to cover."""
    client = house.funders[0]
    answer = send(client, path, b"{}", signed(client, path, b"{}", **REFUSED[what]), what.replace(" ", "-"))
    assert (answer.status_code, answer.get_json()["code"]) == (401, "invalid_signature"), answer.get_json()
    assert '"@target-uri"' in answer.headers["Accept-Signature"]
    assert client.get("/v1/offers?state=open")["items"]


def test_anothers_key(house: House, path: str) -> None:
    """A valid signature of somebody else under one's own name, or under theirs, is worth nothing."""
    client, other = house.funders
    theirs = thumbprint(other.key.public_key())
    changes: list[dict[str, Any]] = [{"key": other.key}, {"key": other.key, "keyid": theirs}]
    for number, change in enumerate(changes):
        answer = send(client, path, b"{}", signed(client, path, b"{}", **change), f"anothers-{number}")
        assert answer.get_json()["code"] == "invalid_signature"


def test_garbage_is_refused(house: House, path: str) -> None:
    """Headers that are no structured fields."""
    client = house.funders[0]
    headers = signed(client, path, b"{}")
    for number, name in enumerate(("signature-input", "signature", "content-digest")):
        for value in ("(", "sig=1", ""):
            answer = send(client, path, b"{}", headers | {name: value}, f"garbage-{number}-{len(value)}")
            assert answer.get_json()["code"] == "invalid_signature", (name, value)
    unsigned = {name: value for name, value in headers.items() if name != "signature"}
    assert send(client, path, b"{}", unsigned, "unsigned").get_json()["code"] == "invalid_signature"


def test_where_signatures_are_asked_for(house: House, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unsigned commitment is not one."""
    wanting = house.services.settings.__class__
    monkeypatch.setattr(wanting, "signed_commitments", property(lambda _: True), raising=False)
    answer = house.funders[0].refused("POST", path, {})
    assert (answer["status"], answer["code"]) == (401, "signature_missing")


def test_a_signed_commitment_is_kept(house: House, path: str) -> None:
    """Taken, once; whoever reads it again can verify it with nothing of ours, and nobody can change it."""
    client, other = house.funders
    body = json.dumps({}, indent=1).encode()
    headers = signed(client, path, body)
    for _ in range(2):
        assert send(client, path, body, headers, "taken").status_code == 201
    subject = path.split("/")[3]
    (kept,) = client.get(f"/v1/signed-requests?subject={subject}")["items"]
    assert base64.b64decode(kept["body"]) == body
    assert (kept["method"], kept["url"]) == ("POST", ISSUER + path)
    assert kept["headers"] == headers
    inner = kept["headers"]["signature-input"].removeprefix("sig=")
    values = {"@method": kept["method"], "@target-uri": kept["url"], **kept["headers"]}
    base = "".join(f'"{name}": {values[name]}\n' for name in COVERED) + f'"@signature-params": {inner}'
    mac = base64.b64decode(kept["headers"]["signature"].removeprefix("sig=:").removesuffix(":"))
    client.key.public_key().verify(mac, base.encode())
    assert kept["public_jwk"]["x"] == jwk(client.key.public_key())["x"]
    assert other.get(f"/v1/signed-requests?subject={subject}")["items"] == []
    with pytest.raises(DBAPIError, match="sealed"), as_owner(house.services.database) as owner:
        owner.connection().exec_driver_sql("DELETE FROM signed_request")


def test_others_see_it_when_its_token_is_over(house: House, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator is not shown an access token that still opens something."""
    address = f"/v1/signed-requests?subject={path.split('/')[3]}"
    assert house.operator.get(address)["items"] == []
    later = system_now() + timedelta(minutes=11)
    monkeypatch.setattr(signatures, "system_now", lambda: later)
    assert len(house.operator.get(address)["items"]) == 1
