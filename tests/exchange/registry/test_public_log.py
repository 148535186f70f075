"""The log and its keys for everybody: C2SP tiles, proofs, checkpoints, and what a cache may keep."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from exchange.app import create_app
from exchange.services import Services
from ledger import merkle, tiles
from ledger.notes import parse_proof, verify_proof
from tests.exchange.house import House
from tests.exchange.registry.readers import head, keep, links, log_key, read, verified

FOREVER = "public, max-age=31536000, immutable"
BRIEFLY = "public, max-age=2"
KEY_EVENTS = 6
"""What the log begins with: of records and of checkpoints a first key, in force, and a next one."""
LENGTHS = {"first": 100, "second": 160, "third": 34}
SIZE = KEY_EVENTS + sum(LENGTHS.values())


@pytest.fixture(scope="module")
def web(house: House) -> FlaskClient:
    """Anybody, reading a log of 300 entries that grew in three steps."""
    assert SIZE == 300
    for asset_id, count in LENGTHS.items():
        keep(house.services, asset_id, *range(count))
        house.run()
    return house.app.test_client()


def test_the_checkpoint_is_signed_by_the_published_key(web: FlaskClient) -> None:
    """It tells the size, and a cache may keep it for a moment."""
    response = read(web, "/log/checkpoint")
    assert (response.mimetype, response.headers["Cache-Control"]) == ("text/plain", BRIEFLY)
    assert head(web).size == SIZE
    assert log_key(web).name == head(web).origin == "exchange.localhost/log"


def test_entries_and_tiles_lead_to_the_signed_root(web: FlaskClient) -> None:
    """An auditor with nothing but the bundles computes the same root, and every tile is made of them."""
    bundles = [read(web, "/log/tile/entries/000").data, read(web, "/log/tile/entries/001.p/44").data]
    entries = [entry for bundle in bundles for entry in tiles.decode_bundle(bundle)]
    hashes = [merkle.leaf_hash(entry) for entry in entries]
    assert merkle.root(hashes) == head(web).root
    assert read(web, "/log/tile/0/000").data == b"".join(hashes[:256])
    assert read(web, "/log/tile/0/001.p/44").data == b"".join(hashes[256:])
    assert read(web, "/log/tile/1/000.p/1").data == merkle.root(hashes[:256])


@pytest.mark.parametrize(
    "place", ["0/000", "0/000.p/100", "0/000.p/255", "entries/000.p/1", "0/001.p/44", "entries/000"]
)
def test_tiles_are_kept_for_ever(web: FlaskClient, place: str) -> None:
    """A tile of a width never changes; one that has grown still gives its beginnings."""
    response = read(web, f"/log/tile/{place}")
    assert (response.mimetype, response.headers["Cache-Control"]) == ("application/octet-stream", FOREVER)
    whole = read(web, f"/log/tile/{place.partition('.')[0]}").data if "000" in place else response.data
    assert whole.startswith(response.data)


@pytest.mark.parametrize(
    "path",
    [
        *("/log/tile/0/001", "/log/tile/0/001.p/45", "/log/tile/0/002", "/log/tile/1/000", "/log/tile/1/000.p/2"),
        *("/log/tile/7/000.p/1", "/log/tile/8/000", "/log/tile/entries/001", "/log/tile/entries/001.p/45"),
        *("/log/tile/0/0", "/log/tile/0/x000/000", "/log/tile/0/000.p/0", "/log/tile/0/000.p/256", "/log/tile/00/000"),
        *("/log/tile/0/000/", "/log/tile/-1/000", "/log/tile/0/000.p/044", "/log/tile/", "/log/tile/entries"),
        *("/log/tile/0/" + "x999/" * 8 + "999", "/log/tile/0/" + "x999/" * 5 + "999", "/log/tile/0/%00"),
        *(f"/log/proof/{SIZE}", "/log/proof/-1", "/log/proof/x", f"/log/proof/{10**30}", f"/log/proof/{2**63}"),
        *("/log/proof/", "/log/tile/٠/000", "/log/nothing"),
    ],
)  # fmt: skip
def test_what_the_log_does_not_have(web: FlaskClient, path: str) -> None:
    """One kind of answer for all of it: a problem, which no cache keeps for ever."""
    response = read(web, path, status=404)
    assert response.mimetype == "application/problem+json"
    assert "immutable" not in response.headers.get("Cache-Control", "")
    assert response.get_json(force=True)["code"] == "not_found"


def test_every_entry_can_be_proven(web: FlaskClient, house: House) -> None:
    """From the first to the last, whichever checkpoint it came with; a proof grows old, so a cache keeps it briefly."""
    for asset_id, count in LENGTHS.items():
        chain = links(house.services, asset_id)
        assert [record.body["n"] for record in verified(web, chain)] == list(range(count))
    signed, log = head(web), log_key(web)
    for index in (0, 63, 64, 127, 128, 255, 256, 257, 298, 299):
        proof = parse_proof(read(web, f"/log/proof/{index}").text)
        assert verify_proof(proof.extra, proof=proof, log=log) == signed
    response = read(web, "/log/proof/0")
    assert (response.mimetype, response.headers["Cache-Control"]) == ("text/plain", BRIEFLY)


def test_keys_are_public_and_nothing_else_is(web: FlaskClient) -> None:
    """Keys are shown without their private halves; a cache may keep them for a while."""
    response = read(web, "/.well-known/jwks.json")
    for key in response.get_json()["keys"]:
        assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
    assert response.headers["Cache-Control"] == BRIEFLY
    assert read(web, "/.well-known/log-key").headers["Cache-Control"] == BRIEFLY


def test_everybody_sees_how_far_the_log_is(web: FlaskClient) -> None:
    """What is signed is published where no policy asks for witnesses, and nothing holds the log back."""
    response = read(web, "/log/status")
    assert response.headers["Cache-Control"] == BRIEFLY
    assert response.get_json() == {
        "entries": SIZE,
        "signed": SIZE,
        "published": SIZE,
        "quorum": "none",
        "witnesses": [],
        "halted": None,
    }


@pytest.mark.parametrize(
    "path", ["/log/checkpoint", "/log/status", "/log/tile/0/000", "/log/proof/0", "/.well-known/jwks.json"]
)
def test_the_log_is_read_only(web: FlaskClient, path: str) -> None:
    """No other method does anything."""
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert web.open(path, method=method).status_code == 405
    assert web.head(path).status_code == 200


def test_an_empty_log_has_nothing_yet(services: Services, tmp_path: Path) -> None:
    """Neither checkpoint nor tile nor proof nor key; looking at the guard makes none."""
    assert tmp_path == services.settings.home
    web = create_app(services).test_client()
    for path in ("/log/checkpoint", "/log/tile/0/000.p/1", "/log/tile/entries/000.p/1", "/log/proof/0"):
        assert read(web, path, status=404).get_json(force=True)["code"] == "not_found"
    assert read(web, "/log/status").get_json()["signed"] == 0
    assert list(tmp_path.iterdir()) == []
