"""Our own published vectors: the bytes stay what they are, and a fresh verifier finds them right."""

import json
from collections.abc import Callable
from datetime import date
from io import BytesIO
from typing import Any

import pytest

from ledger.encoding import base64_standard
from ledger.merkle import leaf_hash, root
from ledger.notes import parse_proof
from ledger.policy import Policy
from ledger.verify.belief import Beliefs
from ledger.verify.holders import holder_at
from ledger.verify.lines import Chunk
from ledger.verify.output import RIGHT, exit_code
from ledger.verify.run import verify_tape_file
from ledger.verify.session import FileReport, Session
from ledger.verify.small import verify_checkpoint_file, verify_key_set, verify_proof_file, verify_record_file
from ledger.verify.tape import chains_of
from tests.ledger.proof.archive import ONE, POLICY, Archive


@pytest.fixture(scope="module")
def vector(vectors: Callable[[str], Any]) -> Any:  # noqa: ANN401 - whatever the vector's file holds
    """A tape with everything that belongs to it."""
    return vectors("tape")


def session_of(vector: Any) -> Session:  # noqa: ANN401 - whatever the vector's file holds
    """A verifier that was told the first key and the policy."""
    return Session(Beliefs(root=vector["first_key"], policy=Policy.parse(vector["policy"])))


def test_the_pinned_archive(vector: dict[str, Any]) -> None:
    """The same seeds and events give the same tape, key chain, log entries, checkpoint and proof, for ever."""
    archive = Archive()
    assert archive.tape().decode().splitlines() == vector["tape"]
    assert [entry.decode() for entry in archive.leaves] == vector["entries"]
    assert archive.checkpoint() == vector["checkpoint"]
    assert archive.record_file(5).decode() == vector["record_file"]
    assert archive.proof(12) == vector["proof"]
    assert (vector["policy"], vector["first_key"]) == (POLICY, ONE.kid)


def test_the_pinned_archive_verifies(vector: dict[str, Any]) -> None:
    """From the first key's thumbprint and the policy alone, everything in it is right."""
    session = session_of(vector)
    report = FileReport("vector", "vector")
    session.reports.append(report)
    tape = "".join(f"{line}\n" for line in vector["tape"]).encode()
    verify_tape_file(BytesIO(tape), report, session)
    verify_record_file(vector["record_file"].encode(), report, session)
    verify_checkpoint_file(vector["checkpoint"].encode(), report, session)
    verify_proof_file(vector["proof"].encode(), report, session)
    verify_key_set(json.dumps(vector["key_set"]).encode(), report, session)
    assert (exit_code(session), session.findings.kept) == (RIGHT, [])
    assert session.judge is not None
    for told in vector["holders"]:
        chain = chains_of([Chunk(0, tape)], [told["asset"]], judge=session.judge)[told["asset"]]
        assert holder_at(told["asset"], chain, at=date.fromisoformat(told["at"])).holder == told["holder"]


def test_the_pinned_root(vector: dict[str, Any]) -> None:
    """The entries have the checkpoint's size and root, and the proof is under that checkpoint."""
    _, size, told = vector["checkpoint"].splitlines()[:3]
    hashed = root([leaf_hash(entry.encode()) for entry in vector["entries"]])
    assert (int(size), told) == (len(vector["entries"]), base64_standard(hashed))
    assert parse_proof(vector["proof"]).checkpoint == vector["checkpoint"]


def test_the_cross_checked_proof_with_its_witness(vectors: Callable[[str], Any]) -> None:
    """The proof that other implementations agreed on verifies under a policy that asks for its witness."""
    shared = vectors("tlog")
    policy = f"log {shared['log_vkey']}\nwitness w1 {shared['witness_vkey']}\nquorum w1\n"
    session = Session(Beliefs(policy=Policy.parse(policy), not_before_s=shared["cosigned_at_s"]))
    report = FileReport("vector", "proof")
    session.reports.append(report)
    session.entries.append(shared["entries"][2].encode())
    verify_proof_file(shared["proof"].encode(), report, session)
    assert (exit_code(session), report.counts) == (RIGHT, {"log index": 2, "log size": 5})
