"""Keys, vectors and records for the tests of what can be proven."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.keys import FileSigner
from ledger.notes import NoteSigner
from ledger.records import SealedRecord, seal

VECTORS = Path(__file__).parents[2] / "vectors"


def salt(name: str) -> bytes:
    """Sixteen bytes that only the name decides."""
    return hashlib.sha256(name.encode()).digest()[:16]


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], Any]:
    """Reads a file of pinned vectors by its name."""

    def read(name: str) -> Any:  # noqa: ANN401 - whatever the vector's file holds
        return json.loads((VECTORS / f"{name}.json").read_text())

    return read


@pytest.fixture(scope="session")
def signer() -> FileSigner:
    """A record key."""
    return FileSigner.from_seed(bytes(range(32)))


@pytest.fixture(scope="session")
def note_signer() -> NoteSigner:
    """A log key."""
    return NoteSigner("log.example/ar", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@pytest.fixture(scope="session")
def make_record(signer: FileSigner) -> Callable[..., SealedRecord]:
    """Seals a record of one asset; `body` members may be overridden, `disclosable` given."""

    def make(*, disclosable: dict[str, object] | None = None, **members: object) -> SealedRecord:
        body = {
            "type": "asset.confirmed",
            "asset": "ast_1",
            "sequence": 1,
            "prev": None,
            "face_minor": 10_000,
        }
        return seal(body | members, disclosable=disclosable or {}, signer=signer, salt=salt)

    return make
