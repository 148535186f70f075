"""The demo's own verifier: it agrees with the ledger, and finds whatever was changed."""

from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from exchange.replay.proof import check_record
from ledger import merkle, records
from ledger.keys import FileSigner, jwks
from ledger.notes import NoteSigner, Proof, TreeHead, checkpoint_text, proof_text

SIGNER = FileSigner.from_seed(bytes(range(32)))
NOTES = NoteSigner("log.example/demo", Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64))))
KEYS = jwks([SIGNER.public_key])
BODY = {"type": "asset.confirmed", "asset": "ast_1", "sequence": 1, "prev": None}
RECORD = records.seal(BODY, disclosable={"number": "A-1"}, signer=SIGNER, salt=lambda _: bytes(16))
LEAF = records.leaf(
    "ast_1",
    kind="asset.confirmed",
    sequence=1,
    prev=None,
    digest=RECORD.digest,
    kid=SIGNER.kid,
    recorded_at=datetime(2026, 1, 5, tzinfo=UTC),
)


def proof_of(index: int, *, size: int, leaf: bytes = LEAF) -> str:
    """The proof file of our record at `index` of a log of `size`."""
    hashes = [merkle.leaf_hash(leaf if at == index else str(at).encode()) for at in range(size)]
    path = tuple(merkle.root(hashes[begin:end]) for begin, end in merkle.inclusion_ranges(index, size=size))
    note = NOTES.sign(checkpoint_text(TreeHead("log.example/demo", size, merkle.root(hashes))))
    return proof_text(Proof(index, path, note, leaf))


def check(jws: str, proof: str) -> dict[str, object]:
    """Check with the published keys."""
    return check_record(jws, jwks=KEYS, log_key=NOTES.verifier.vkey, proof=proof)


@given(st.integers(1, 70).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))))
def test_it_agrees_with_the_ledger(place: tuple[int, int]) -> None:
    """A record anywhere in a log of any size is found to be there."""
    index, size = place
    assert check(RECORD.jws, proof_of(index, size=size))["asset"] == "ast_1"


PROOF = proof_of(5, size=11)


@given(st.integers(0, len(PROOF) - 1), st.sampled_from("A1+\n"))
def test_a_changed_proof_is_refused(place: int, character: str) -> None:
    """Any character of the proof file changed, and the check fails (but for the file's last line end)."""
    changed = PROOF[:place] + character + PROOF[place + 1 :]
    if changed in {PROOF, PROOF.rstrip("\n") + character}:
        return
    with pytest.raises((ValueError, InvalidSignature, KeyError, IndexError)):
        check(RECORD.jws, changed)


@given(st.integers(0, len(RECORD.jws) - 1), st.sampled_from("Az0_"))
def test_a_changed_record_is_refused(place: int, character: str) -> None:
    """Any character of the record changed, and the check fails."""
    changed = RECORD.jws[:place] + character + RECORD.jws[place + 1 :]
    if changed == RECORD.jws:
        return
    with pytest.raises((ValueError, InvalidSignature, KeyError)):
        check(changed, PROOF)


def test_paths_of_the_wrong_length() -> None:
    """A path with a hash too many or too few leads nowhere."""
    lines = PROOF.split("\n")
    for broken in ([*lines[:4], *lines[5:]], [*lines[:5], lines[4], lines[4], *lines[5:]]):
        with pytest.raises(ValueError, match=r"path|not in the log"):
            check(RECORD.jws, "\n".join(broken))


def test_another_log_is_refused() -> None:
    """A checkpoint under another key of the same name is not believed."""
    other = NoteSigner("log.example/demo", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    with pytest.raises(ValueError, match="another key"):
        check_record(RECORD.jws, jwks=KEYS, log_key=other.verifier.vkey, proof=PROOF)
