"""Software that is not ours, from published formats alone, comes to the same verdict about what we sign and log."""

import base64
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ledger.notes import parse_proof
from tests.interop.conftest import FOREIGN, Evidence, program, run

SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410)."""
PLACES = (0, 1, 7, 255, 256, 299)


def records(evidence: Evidence) -> list[dict[str, Any]]:
    """The tape."""
    return [json.loads(line) for line in gzip.open(evidence.pack / "records.ndjson.gz")]


def published(evidence: Evidence, path: str) -> str:
    """What anybody can fetch."""
    response = evidence.house.app.test_client().get(path)
    assert response.status_code == 200
    return response.text


def b64url(text: str) -> bytes:
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def log_request(evidence: Evidence) -> dict[str, Any]:
    """What a reader of the log is given."""
    return {
        "vkey": published(evidence, "/.well-known/log-key").splitlines()[0],
        "checkpoint": (evidence.pack / "log/checkpoint").read_text(),
        "old": evidence.old,
        "tiles": str(evidence.pack / "log"),
    }


def damages(evidence: Evidence, folder: Path) -> list[dict[str, Any]]:
    """Requests about a log that is not right: a forged root, a foreign key, an altered tile."""
    right = log_request(evidence)
    text = right["checkpoint"]
    root = text.splitlines()[2]
    other = base64.b64encode(bytes([base64.b64decode(root)[0] ^ 1]) + base64.b64decode(root)[1:]).decode()
    tiles = folder / "log"
    for path in (evidence.pack / "log").rglob("*"):
        if path.is_file():
            place = tiles / path.relative_to(evidence.pack / "log")
            place.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes()
            altered = path.as_posix().endswith("tile/0/000")
            place.write_bytes(bytes([data[0] ^ 1]) + data[1:] if altered else data)
    foreign = "log.example/ar+cfa7503d+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
    return [right | {"checkpoint": text.replace(root, other)}, right | {"vkey": foreign}, right | {"tiles": str(tiles)}]


def test_records_in_javascript(evidence: Evidence, node_modules: Path) -> None:
    """Every signature holds for jose, the bytes for canonicalize; sd-jwt opens what is disclosed and no more."""
    tape = records(evidence)
    disclosed = [one for one in tape if one["disclosures"]]
    assert len(disclosed) >= 2
    asked = [{**one, "others": disclosed[one == disclosed[0]]["disclosures"][:1]} for one in tape]
    jwks = json.loads(published(evidence, "/.well-known/jwks.json"))
    request = json.dumps({"jwks": jwks, "records": asked})
    answers = json.loads(run(program("node"), FOREIGN / "records.mjs", node_modules, stdin=request))
    assert len(answers) == len(tape) > 300
    for record, answer in zip(tape, answers, strict=True):
        payload = json.loads(b64url(record["jws"].split(".")[1]))
        assert answer["header"]["typ"] == f"{payload['type']}+jws"
        assert answer["canonical"] is True
        assert "error" in answer["tampered"]
        assert {"error": None}.keys().isdisjoint(answer["closed"])
        assert {"invoice_number", "obligor", "documents"}.isdisjoint(answer["closed"])
        names = {json.loads(b64url(one))[1] for one in record["disclosures"]}
        assert answer["open"].keys() - answer["closed"].keys() == names
    (chinese,) = (one["open"] for one in answers if one["open"].get("invoice_number") == "发票 №1")
    assert [paper["kind"] for paper in chinese["documents"]] == ["invoice", "contract"]
    swapped = [one["swapped"] for one in answers]
    assert all("invoice_number" not in one and "seller" not in one for one in swapped)


def test_log_in_go(evidence: Evidence, go_log: Path, tmp_path: Path) -> None:
    """sumdb/note opens the checkpoint; sumdb/tlog proves growth and inclusion from our tiles, and finds damage."""
    leaves = {place: base64.b64encode(parse_proof(proof_of(evidence, place)).extra).decode() for place in PLACES}
    request = log_request(evidence) | {"entries": leaves}
    assert run(go_log, stdin=json.dumps(request)).strip() == str(len(PLACES))
    swapped = request | {"entries": {0: leaves[1]}}
    for wrong in [swapped, *(one | {"entries": leaves} for one in damages(evidence, tmp_path))]:
        refuses(partial(run, go_log, stdin=json.dumps(wrong)))


def test_log_in_python(evidence: Evidence, aics_tlog: Path, tmp_path: Path) -> None:
    """aics-tlog audits every tile and bundle, and our proof files' hashes lead to the root."""
    proofs = {place: parse_proof(proof_of(evidence, place)) for place in PLACES}
    entries = {place: [encoded(one.extra), [encoded(step) for step in one.hashes]] for place, one in proofs.items()}
    request = log_request(evidence) | {"entries": entries}

    def checked(asked: dict[str, Any]) -> str:
        return run(sys.executable, FOREIGN / "log.py", stdin=json.dumps(asked), PYTHONPATH=str(aics_tlog))

    assert int(checked(request)) >= 2
    swapped = request | {"entries": {0: entries[1]}}
    for wrong in [swapped, *(one | {"entries": entries} for one in damages(evidence, tmp_path))]:
        refuses(partial(checked, wrong))


def test_a_signature_by_openssl(evidence: Evidence, tmp_path: Path) -> None:
    """A record is header, dot, payload and 64 bytes: openssl verifies them under the published key."""
    jws = records(evidence)[-1]["jws"]
    signed, _, signature = jws.rpartition(".")
    kid = json.loads(b64url(signed.partition(".")[0]))["kid"]
    (key,) = (one for one in json.loads(published(evidence, "/.well-known/jwks.json"))["keys"] if one["kid"] == kid)
    (tmp_path / "key.der").write_bytes(SPKI + b64url(key["x"]))
    (tmp_path / "signature").write_bytes(b64url(signature))

    def verified(message: str) -> str:
        (tmp_path / "message").write_text(message)
        pkeyutl = (program("openssl"), "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER")
        names = ("-inkey", "key.der", "-in", "message", "-sigfile", "signature")
        paths = [one if one.startswith("-") else tmp_path / one for one in names]
        return run(*pkeyutl, *paths)

    assert "Verified Successfully" in verified(signed)
    refuses(lambda: verified(signed + "x"))


def proof_of(evidence: Evidence, index: int) -> str:
    """The proof file of an entry, under the pack's checkpoint."""
    proof = published(evidence, f"/log/proof/{index}")
    assert proof.endswith((evidence.pack / "log/checkpoint").read_text())
    return proof


def encoded(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()


def refuses(work: Callable[[], object]) -> None:
    """A foreign verifier that finds nothing wrong with what is wrong would have checked nothing."""
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        work()
    assert refusal.value.returncode == 1, refusal.value.stderr
