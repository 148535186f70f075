"""What a reader without login needs to check the log: bytes, keys, and ledger.verify."""

from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from exchange.registry.actions import Fact, record_many
from exchange.registry.queries import chain
from exchange.services import Services
from ledger.keys import keyring, public_key_from_jwk
from ledger.notes import TreeHead, Verifier, open_checkpoint
from ledger.records import OpenedRecord
from ledger.verify import verify_chain, verify_record


def read(web: FlaskClient, path: str, *, status: int = 200) -> TestResponse:
    """What anybody gets."""
    response = web.get(path)
    assert response.status_code == status, response.text
    return response


def record_keys(web: FlaskClient) -> Mapping[str, Ed25519PublicKey]:
    """The published keys of records."""
    return keyring([public_key_from_jwk(key) for key in read(web, "/.well-known/jwks.json").get_json()["keys"]])


def log_key(web: FlaskClient) -> Verifier:
    """The published key of the log that signs now: the first line."""
    return Verifier.parse(read(web, "/.well-known/log-key").text.splitlines()[0])


def head(web: FlaskClient) -> TreeHead:
    """The size and root that the log's key has signed last."""
    return open_checkpoint(read(web, "/log/checkpoint").text, log=log_key(web))


def verified(web: FlaskClient, links: Sequence[Mapping[str, Any]]) -> list[OpenedRecord]:
    """The records of an asset, proven to be its chain, and its first two and last two proven to be in the log."""
    keys, log = record_keys(web), log_key(web)
    for link in [*links[:2], *links[2:][-2:]]:
        proof = read(web, f"/log/proof/{link['log_index']}").text
        found = verify_record(link["jws"], proof=proof, keys=keys, log=log, disclosures=link["disclosures"])
        assert (found.index, found.record.body["sequence"]) == (link["log_index"], link["sequence"])
        assert (found.leaf.kind, found.record.type) == (link["kind"], link["kind"])
    return verify_chain([link["jws"] for link in links], keys=keys)


def keep(services: Services, asset_id: str, *numbers: int) -> list[int]:
    """Facts of an asset in a transaction of their own, the first of which is its birth; their pending ids."""
    facts = [Fact(asset_id, "asset.noted" if number else "asset.confirmed", {"n": number}) for number in numbers]
    with services.database.transaction() as session:
        return record_many(session, facts=facts, now=services.clock.now(session))


def links(services: Services, asset_id: str) -> list[dict[str, Any]]:
    """An asset's signed links."""
    with services.database.transaction() as session:
        return chain(session, asset_id=asset_id, disclosed=True)
