"""Wherever a public key is registered, one that no signature can be trusted under is refused."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from click.testing import CliRunner

from exchange.cli import group
from ledger.encoding import base64url
from ledger.keys import KeyRefused
from tests.exchange.good_bodies import SINGLE
from tests.exchange.house import CONTRACT, House

P = 2**255 - 19
UNTRUSTED = {
    "the identity": (1).to_bytes(32, "little"),
    "of order 2": (P - 1).to_bytes(32, "little"),
    "of order 4": bytes(32),
    "not canonical": (P + 3).to_bytes(32, "little"),
    "off the curve": (2).to_bytes(32, "little"),
}
CODES = {KeyRefused.code, *(kind.code for kind in KeyRefused.__subclasses__())}


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference in the contract stands for."""
    reference = schema.get("$ref")
    found: Mapping[str, Any] = CONTRACT["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
    return found


def doors() -> Iterator[tuple[str, str]]:
    """Path and name of each operation of the contract that takes a public key."""
    for path, methods in CONTRACT["paths"].items():
        for operation in methods.values():
            content = operation.get("requestBody", {}).get("content", {}) if isinstance(operation, dict) else {}
            schema = resolved(content.get("application/json", {}).get("schema", {}))
            if "public_jwk" in schema.get("properties", {}):
                yield path, operation["operationId"]


def test_there_are_doors() -> None:
    """The contract is read as it is meant to be: platforms, funders and obligors register keys."""
    assert {"/v1/originators", "/v1/funders", "/v1/obligors"} <= {path for path, _ in doors()}


@pytest.mark.parametrize(("path", "name"), list(doors()))
def test_a_key_that_cannot_be_trusted_is_refused_at_every_door(house: House, path: str, name: str) -> None:
    """By a code of its own, at the member that is wrong."""
    place = path.replace("{originator_id}", house.originator_id)
    assert "{" not in place
    client = house.funders[0] if name == "create_sandbox" else house.operator
    for x in UNTRUSTED.values():
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url(x)}
        problem = client.refused("POST", place, SINGLE[name] | {"public_jwk": jwk})
        (fault,) = problem["errors"]
        assert (fault["code"] in CODES, fault["pointer"]) == (True, "/public_jwk/x")


@pytest.mark.parametrize("x", UNTRUSTED.values(), ids=list(UNTRUSTED))
def test_the_command_refuses_it_too(
    house: House, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, x: bytes
) -> None:
    """An operator's own key is no exception."""
    monkeypatch.setenv("DATABASE_URL", house.services.database.url)
    home = tmp_path_factory.mktemp("door")
    monkeypatch.setenv("EXCHANGE_HOME", str(home))
    (home / "key.json").write_text(f'{{"kty":"OKP","crv":"Ed25519","x":"{base64url(x)}"}}')
    typed = ["add-client", "--role", "auditor", "--public-jwk", str(home / "key.json")]
    assert isinstance(CliRunner().invoke(group, typed).exception, KeyRefused)
