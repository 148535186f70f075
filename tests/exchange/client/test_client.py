"""The client that is written from the contract, over real HTTP: from the first token to the first funded asset."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner
from werkzeug.serving import make_server

from exchange.app import create_app
from exchange.cli import group
from exchange.client import Exchange, Problem, Unanswered
from exchange.client.transport import PrivateKey
from exchange.contract.client_text import client_text
from exchange.contract.document import operations
from tests.architecture.source import ROOT
from tests.exchange.house import CONTRACT, House, mandate, receivable
from tests.exchange.premises import premises


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house for this module."""
    with premises(server_url, tmp_path_factory.mktemp("home")) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(house: House) -> Iterator[str]:
    """Where the house answers over HTTP, taking bound tokens and signed commitments only."""
    server = make_server("127.0.0.1", 0, house.app, threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    strict = replace(house.services.settings, issuer=url, bound_tokens=True, signed_commitments=True)
    server.app = create_app(replace(house.services, settings=strict))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield url
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.mark.parametrize(
    "kind", ["ed25519", "EC -pkeyopt ec_paramgen_curve:P-256", "RSA -pkeyopt rsa_keygen_bits:2048"]
)
def test_from_a_key_to_a_funded_asset(house: House, address: str, tmp_path: Path, kind: str) -> None:
    """A key pair of openssl's, a mandate, an offer, a signed commitment, the purchase."""
    key = tmp_path / "bank.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", *kind.split(), "-out", key], check=True, timeout=30)
    name = kind.split(maxsplit=1)[0]
    bank = _enter(house, address, key=key, name=name)
    opened = bank.create_mandate(**mandate(name=name))
    today = house.today.isoformat()
    confirmed = {"grade": "explicit", "confirmed_date": today}
    house.submit(receivable(f"INV-{name}", issue_date=today, confirmation=confirmed))
    house.move(10, days=1)
    (offer,) = bank.list_offers(state="open", limit=1)
    assert offer["mandate_id"] == opened["mandate_id"]
    once = bank.commit_to_offer(offer["offer_id"], idempotency_key=f"take-{name}")
    assert bank.commit_to_offer(offer["offer_id"], idempotency_key=f"take-{name}") == once
    house.move(14)
    assert len(list(bank.list_pools(limit=1))) == 1
    (signed,) = bank.list_signed_requests(subject=offer["offer_id"])["items"]
    assert signed["url"] == f"{address}/v1/offers/{offer['offer_id']}/commitment"
    bank.end_mandate(opened["mandate_id"])
    with pytest.raises(Problem, match="not_found") as refused:
        bank.show_offer("ofr_01h455vb4pex5vsknk084sn02q")
    assert refused.value.status == 404


def test_headers_for_curl(house: House, address: str, tmp_path: Path) -> None:
    """`exchange headers` writes what curl sends."""
    key = tmp_path / "bank.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, timeout=30)
    bank = _enter(house, address, key=key, name="curl")
    url = f"{address}/v1/offers?limit=1"
    words = ["headers", "--client", bank.client_id, "--key", str(key), "GET", url]
    told = CliRunner().invoke(group, words)
    assert told.exit_code == 0, told.output
    curl = ["curl", "--silent", "--fail-with-body", "--max-time", "20", "--header", "@-", url]
    ran = subprocess.run(curl, input=told.output, capture_output=True, text=True, check=False, timeout=30)
    assert (ran.returncode, json.loads(ran.stdout)) == (0, {"items": [], "next": None})


def test_the_client_is_as_the_contract_says() -> None:
    """Written again it is the same: else run `exchange contract`. Every operation with a token is a method."""
    assert (ROOT / "exchange/client/operations.py").read_text() == client_text(CONTRACT)
    names = {one["operationId"] for _, _, one in operations(CONTRACT) if one["security"]}
    assert names == {name for name in vars(Exchange) if not name.startswith("__")}


def test_what_cannot_be_reached(tmp_path: Path) -> None:
    """Nobody there: said as such, after several tries."""
    key = tmp_path / "bank.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, timeout=30)
    with pytest.raises(Unanswered):
        Exchange("http://127.0.0.1:9", client_id="nobody", key=key).show_clock()


def _enter(house: House, address: str, *, key: Path, name: str) -> Exchange:
    """A bank that the operator has entered by its public key, with money."""
    jwk = PrivateKey(key.read_bytes()).public
    entered = house.operator.post("/v1/funders", {"name": f"Bank {name}", "public_jwk": jwk})
    house.deposit_references.append(entered["deposit_reference"])
    house.deposit(-1, 10**9)
    return Exchange(address, client_id=entered["client_id"], key=key)
