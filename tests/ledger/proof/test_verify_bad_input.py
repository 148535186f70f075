"""Every kind of bad input has a code of its own, and is found where it is."""

import gzip
import hmac
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from ledger.canonical import canonical_bytes
from ledger.encoding import base64url
from ledger.keys import FileSigner
from ledger.notes import NoteSigner
from ledger.policy import Policy
from ledger.records import SealedRecord, seal
from ledger.verify.belief import Beliefs
from ledger.verify.findings import Finding
from ledger.verify.lines import LONGEST_LINE
from ledger.verify.output import UNDECIDED, exit_code
from ledger.verify.run import verify_files
from ledger.verify.session import Session
from ledger.verify.trust import parse_key_set
from tests.ledger.proof.archive import EVENTS, LOG, ONE, POLICY, START, WITNESS, Archive, jws, salt

ARCHIVE = Archive()
LINES = ARCHIVE.tape().splitlines(keepends=True)  # ast_1 1-4, ast_2 1-2, ast_3 1, ast_4 1-2, keys 1-5
BELIEFS = Beliefs(keys=parse_key_set(ARCHIVE.key_set()), policy=Policy.parse(POLICY))


def found(path: Path, data: bytes, beliefs: Beliefs = BELIEFS) -> list[Finding]:
    """What is found in a file."""
    path.write_bytes(data)
    session = Session(beliefs)
    verify_files([path], session)
    return session.findings.kept


def line(record: str, disclosures: tuple[str, ...] = ()) -> bytes:
    """A line of a tape."""
    return canonical_bytes({"disclosures": list(disclosures), "jws": record}) + b"\n"


def birth(**members: object) -> SealedRecord:
    """The first record of an asset that stands before all others."""
    body = {"type": "asset.confirmed", "asset": "ast_0", "sequence": 1, "prev": None, "recorded_at": START}
    return seal(body | members, disclosable={"seller": "x"}, signer=ONE, salt=salt)


GOOD = birth()
HEADER, PAYLOAD, SIGNATURE = GOOD.jws.split(".")
CANONICAL = canonical_bytes(
    {"asset": "ast_0", "prev": None, "recorded_at": START, "sequence": 1, "type": "asset.confirmed"}
)
MAC = hmac.digest(ONE.public_key.public_bytes_raw(), b"x", "sha256")


def header(**members: object) -> str:
    """A record with another header, signed for it."""
    told = canonical_bytes({"alg": "EdDSA", "kid": ONE.kid, "typ": "asset.confirmed+jws"} | members)
    signing_input = f"{base64url(told)}.{PAYLOAD}"
    return f"{signing_input}.{base64url(ONE.sign(signing_input.encode()))}"


def payload(data: bytes) -> str:
    """A well-signed record with any payload."""
    return jws(data, "asset.confirmed+jws").decode()


JWS_FAULTS = {
    "incomplete_record": HEADER,
    "bad_signature": f"{HEADER}.{PAYLOAD}.{SIGNATURE[:64]}",
    "unsigned_record": f"{header(alg='none').rpartition('.')[0]}.",
    "symmetric_algorithm": f"{header(alg='HS256').rpartition('.')[0]}.{base64url(MAC)}",
    "wrong_algorithm": header(alg="ES256"),
    "wrong_type": header(typ="JWT"),
    "key_in_header": header(jku="https://elsewhere.example/keys"),
    "malformed_record": header(crit=["b64"]),
    "unknown_key": header(kid="another"),
    "reencoded_record": f"{HEADER}.{PAYLOAD}.{SIGNATURE}==",
    "record_too_large": f"{HEADER}.{'A' * 5000}.{SIGNATURE}",
    "duplicate_member": payload(CANONICAL[:-1] + b',"type":"asset.confirmed"}'),
    "payload_not_canonical": payload(b" " + CANONICAL),
    "undated_record": payload(CANONICAL.replace(b'"recorded_at":%d,' % START, b"")),
}


@pytest.mark.parametrize("code", JWS_FAULTS)
def test_a_bad_record_in_a_tape(tmp_path: Path, code: str) -> None:
    """Each fault is found by its code, in the first line, and nothing else is found in the rest."""
    (finding,) = found(tmp_path / "tape.ndjson", line(JWS_FAULTS[code]) + b"".join(LINES))
    assert finding.code == code
    assert 0 < (finding.byte or 0) < len(line(JWS_FAULTS[code]))


@pytest.mark.parametrize("typ", ["jwk", "x5u", "x5c", "x5t"])
def test_other_ways_to_bring_a_key(tmp_path: Path, typ: str) -> None:
    """A key, a certificate, or an address of one, in the header."""
    (finding,) = found(tmp_path / "tape.ndjson", line(header(**{typ: "x"})) + LINES[0] + b"".join(LINES[1:]))
    assert finding.code == "key_in_header"


DISCLOSURE = GOOD.disclosures[0]
OTHER = birth(face_minor=1, asset="ast_9").disclosures[0]
FOREIGN = seal(
    {"type": "a", "asset": "a", "sequence": 1, "prev": None}, disclosable={"seller": "y"}, signer=ONE, salt=salt
).disclosures[0]


@pytest.mark.parametrize(
    ("code", "disclosures", "number"),
    [
        ("foreign_disclosure", (FOREIGN,), 0),
        ("duplicate_disclosure", (DISCLOSURE, DISCLOSURE), 1),
        ("malformed_disclosure", (DISCLOSURE, DISCLOSURE + "="), 1),
        ("malformed_disclosure", (DISCLOSURE, base64url(b'["a",1,2]')), 1),
    ],
)
def test_a_bad_disclosure(tmp_path: Path, code: str, disclosures: tuple[str, ...], number: int) -> None:
    """Swapped with another record's, given twice, or no disclosure: found at its own byte."""
    data = line(GOOD.jws, disclosures)
    (finding,) = found(tmp_path / "tape.ndjson", data + b"".join(LINES))
    assert (finding.code, finding.asset, finding.sequence) == (code, "ast_0", 1)
    assert finding.field == f"disclosures/{number}"
    assert data[finding.byte :].startswith(disclosures[number].encode())


def test_disclosures_swapped_between_two_records(tmp_path: Path) -> None:
    """Each of the two records is named."""
    one, two = json.loads(LINES[0]), json.loads(LINES[4])
    one["disclosures"], two["disclosures"] = two["disclosures"], one["disclosures"]
    lines = [*LINES]
    lines[0], lines[4] = canonical_bytes(one) + b"\n", canonical_bytes(two) + b"\n"
    findings = found(tmp_path / "tape.ndjson", b"".join(lines))
    assert [(one.code, one.asset) for one in findings] == [
        ("foreign_disclosure", "ast_1"),
        ("foreign_disclosure", "ast_2"),
    ]


def cut(*places: int) -> bytes:
    """The tape with these lines, in this order."""
    return b"".join(LINES[place] for place in places)


ALL = list(range(len(LINES)))


@pytest.mark.parametrize(
    ("order", "codes"),
    [
        ([0, 2, 1, 3, *ALL[4:]], ["missing_link", "reordered_chain", "missing_link"]),
        ([0, 0, *ALL[1:]], ["reordered_chain"]),
        ([0, 1, 3, *ALL[4:]], ["missing_link"]),
        (ALL[1:], ["missing_link"]),
        ([*ALL[4:], 0, 1, 2, 3], ["assets_out_of_order"]),
    ],
    ids=["reordered", "doubled", "missing", "headless", "unsorted"],
)
def test_a_tape_out_of_order(tmp_path: Path, order: list[int], codes: list[str]) -> None:
    """Reordered, doubled, missing within, missing at the start, assets in disorder."""
    findings = found(tmp_path / "tape.ndjson", cut(*order))
    assert [finding.code for finding in findings] == codes


def chained(*events: tuple[str, dict[str, object]]) -> bytes:
    """A chain of one asset with these kinds and members."""
    archive = Archive([("ast_1", kind, dict(members), {}) for kind, members in events])
    return archive.tape()


def test_a_record_that_names_another_before_it(tmp_path: Path) -> None:
    """Rewritten and signed again, a record no longer leads to the next."""
    rewritten = chained(("asset.confirmed", {"face_minor": 1})), chained(("asset.confirmed", {}), ("asset.paid", {}))
    data = rewritten[0] + rewritten[1].splitlines(keepends=True)[1]
    (finding,) = found(tmp_path / "tape.ndjson", data)
    assert (finding.code, finding.asset, finding.sequence, finding.byte) == (
        "prev_mismatch",
        "ast_1",
        2,
        len(rewritten[0]),
    )


def test_a_correction_without_ground(tmp_path: Path) -> None:
    """It has to name an earlier record of its own chain by its digest."""
    for corrects in ({"sequence": 1, "record": "ab" * 32}, {"sequence": 2}, "x", None):
        archive = Archive([("ast_1", "asset.confirmed", {}, {})])
        archive.add("ast_1", "asset.corrected", {"reason": "typo"}, {})
        body = {"type": "asset.corrected", "asset": "ast_1", "sequence": 2, "recorded_at": START + 1}
        body |= {"prev": archive.records[0][2].digest.hex(), "corrects": corrects}
        bad = seal(body, disclosable={}, signer=ONE, salt=salt)
        (finding,) = found(tmp_path / "tape.ndjson", archive.line(0) + line(bad.jws))
        assert finding.code == "correction_unfounded"


def test_life_after_the_end(tmp_path: Path) -> None:
    """Nothing follows the record that supersedes its asset."""
    data = chained(("asset.confirmed", {}), ("asset.superseded", {"reason": "x"}), ("asset.paid", {}))
    assert [finding.code for finding in found(tmp_path / "tape.ndjson", data)] == ["life_after_superseded"]


def test_places_in_the_log_against_the_chain(tmp_path: Path) -> None:
    """A later record cannot have an earlier place in the log."""
    lines = [json.loads(text) for text in LINES[:2]]
    lines[0]["index"] = 99
    data = b"".join(canonical_bytes(one) + b"\n" for one in lines)
    assert [finding.code for finding in found(tmp_path / "tape.ndjson", data)] == ["log_out_of_order"]


def pretty(data: bytes) -> bytes:
    """The line with a space that does not belong there."""
    return data.replace(b'"jws":', b'"jws": ')


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("truncated", lambda data: data[:-30]),
        ("not_json", lambda data: b"{" + data),
        ("not_json", lambda data: b"\n" + data),
        ("not_utf8", lambda data: data.replace(b'"jws"', b'"jw\xff"', 1)),
        ("line_not_canonical", pretty),
        ("duplicate_member", lambda data: data.replace(b'"jws":', b'"index":1,"jws":', 1)),
        ("not_a_record", lambda data: data.replace(b'"jws":', b'"jwt":', 1)),
        ("not_a_record", lambda data: b"[]\n" + data),
        ("not_a_record", lambda data: data.replace(b'"index":5', b'"index":-5', 1)),
        ("not_a_record", lambda data: data.replace(b'"index":5', b'"index":"5"', 1)),
        ("not_a_record", lambda data: b'{"disclosures":[1],"jws":"x"}\n' + data),
        ("not_a_record", lambda data: b'{"disclosures":{},"jws":"x"}\n' + data),
        ("not_a_record", lambda data: b'{"jws":1}\n' + data),
        ("not_a_record", lambda data: b'{"jws":"x","proof":1}\n' + data),
        ("not_a_record", lambda _: ARCHIVE.record_file(5) + b"\n" + b"".join(LINES[1:])),
        ("line_not_canonical", lambda data: b'{"jws":1.5}\n' + data),
        ("line_not_canonical", lambda data: b'{"jws":' + b"[" * 100 + b"]" * 100 + b"}\n" + data),
        ("line_too_long", lambda data: b"x" * (LONGEST_LINE + 1) + b"\n" + data),
        ("truncated_gzip", lambda data: gzip.compress(data)[:-20]),
        ("not_gzip", lambda data: gzip.compress(data)[:10] + b"\xff" * 50),
        ("not_gzip", lambda data: gzip.compress(data) + b"garbage"),
    ],
)
def test_a_damaged_tape(tmp_path: Path, code: str, change: Callable[[bytes], bytes]) -> None:
    """Cut short, not JSON, spelt otherwise, too long, damaged gzip."""
    codes = {finding.code for finding in found(tmp_path / "tape.ndjson", change(b"".join(LINES)))}
    assert codes - {"missing_link"} == {code}


def test_a_tape_that_only_claims_to_be_zipped(tmp_path: Path) -> None:
    """The name says gzip, the content does not."""
    assert [finding.code for finding in found(tmp_path / "tape.ndjson.gz", b"".join(LINES))] == ["not_gzip"]


def test_a_gigabyte_without_a_line_end(tmp_path: Path) -> None:
    """It is refused by its first bytes; what follows is passed over in a little memory."""
    path = tmp_path / "tape.ndjson"
    path.write_bytes(b"".join(LINES))
    with path.open("r+b") as file:
        file.truncate(2**30)
    session = Session(BELIEFS)
    verify_files([path], session)
    assert [finding.code for finding in session.findings.kept] == ["line_too_long"]
    assert session.reports[0].counts["records"] == len(LINES)


@pytest.mark.parametrize("name", ["keys.json", "checkpoint", "record.json", "proof"])
def test_a_gigabyte_where_a_small_file_belongs(tmp_path: Path, name: str) -> None:
    """Only its beginning is read."""
    start = {
        "keys.json": ARCHIVE.key_set(),
        "checkpoint": ARCHIVE.checkpoint().encode(),
        "record.json": ARCHIVE.record_file(5),
        "proof": ARCHIVE.proof(5).encode(),
    }
    path = tmp_path / name
    path.write_bytes(start[name])
    with path.open("r+b") as file:
        file.truncate(2**30)
    session = Session(BELIEFS)
    verify_files([path], session)
    assert [finding.code for finding in session.findings.kept] == [
        "line_too_long" if name == "record.json" else "file_too_large"
    ]


@pytest.mark.parametrize("data", [b"", b"hello\n", b"\x00" * 100, b"eyJ.e30.x"])
def test_a_file_of_no_known_kind(tmp_path: Path, data: bytes) -> None:
    """Not recognised is wrong: it is not what it was handed over as."""
    assert [finding.code for finding in found(tmp_path / "x", data)] == ["unknown_content"]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing is not wrong: nothing can be said."""
    session = Session(BELIEFS)
    verify_files([tmp_path / "none"], session)
    assert exit_code(session) == UNDECIDED


def key_set(*changes: dict[str, object]) -> bytes:
    """The set of the first key with members changed, once for each change."""
    return json.dumps({"keys": [ONE.public_jwk | change for change in changes]}).encode()


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("low_order_key", key_set({"x": base64url(bytes(32)), "kid": "x"})),
        ("low_order_key", key_set({"x": base64url((1).to_bytes(32, "little"))})),
        ("key_refused", key_set({"d": "secret"})),
        ("key_refused", key_set({"kid": "another"})),
        ("key_refused", key_set({"crv": "X25519"})),
        ("key_set_refused", key_set({}, {})),
        ("key_set_refused", key_set({"use": "enc"})),
        ("key_set_refused", b'{"keys":[1]}'),
        ("key_set_refused", b'{"keys":{}}'),
        ("key_set_refused", b'{"keys":'),
        ("duplicate_key", b'{"keys":[],"keys":[]}'),
    ],
)
def test_a_bad_set_of_keys(tmp_path: Path, code: str, data: bytes) -> None:
    """Keys of low order, private halves, foreign names, keys twice."""
    assert [finding.code for finding in found(tmp_path / "keys.json", data)] == [code]


def test_bad_checkpoints(tmp_path: Path) -> None:
    """Unsigned by the log, without the witness, with a witness too long ago, of another log."""
    path = tmp_path / "checkpoint"
    stranger = NoteSigner("log.example/other", LOG.private_key)
    fresh = BELIEFS._replace(not_before_s=START + 50)
    assert found(path, ARCHIVE.checkpoint().encode(), fresh) == []
    stale = BELIEFS._replace(not_before_s=START + 101)
    for code, note, beliefs in (
        ("quorum_not_reached", ARCHIVE.checkpoint(time_s=None), BELIEFS),
        ("stale_witness", ARCHIVE.checkpoint(), stale),
        ("missing_note_signature", ARCHIVE.checkpoint(log=stranger), BELIEFS),
        ("bad_note_signature", ARCHIVE.checkpoint().replace("\n14\n", "\n15\n"), BELIEFS),
        ("not_utf8", "\udcff" + ARCHIVE.checkpoint(), BELIEFS),
    ):
        data = note.encode(errors="surrogateescape")
        assert [finding.code for finding in found(path, data, beliefs)] == [code]


def test_two_checkpoints_of_a_fork(tmp_path: Path) -> None:
    """Two roots for one size, or a root that the copy of the log has not: the log has two histories."""
    forked = Archive([*EVENTS[:-1], ("ast_1", "asset.paid", {}, {})])
    (tmp_path / "one").write_text(ARCHIVE.checkpoint())
    (tmp_path / "two").write_text(forked.checkpoint())
    ARCHIVE.write_log(tmp_path / "log")
    for names in (["one", "two"], ["log", "two"]):
        session = Session(BELIEFS)
        verify_files([tmp_path / name for name in names], session)
        assert set(session.findings.counts) == {"forked_log"}
    (tmp_path / "two").write_text(ARCHIVE.checkpoint(9))
    session = Session(BELIEFS)
    verify_files([tmp_path / name for name in ("log", "one", "two")], session)
    assert not session.findings


def test_bad_proofs(tmp_path: Path) -> None:
    """Of another entry, of another record, at another place."""
    record = json.loads(ARCHIVE.record_file(5))
    other = Archive([*EVENTS, ("ast_9", "asset.paid", {}, {})])
    for code, change in (
        ("leaf_mismatch", {"proof": ARCHIVE.proof(6)}),
        ("inclusion_not_proven", {"proof": ARCHIVE.proof(6, extra=False)}),
        ("index_mismatch", {"index": 6}),
        ("malformed_proof", {"proof": ARCHIVE.proof(5) + "x"}),
    ):
        data = canonical_bytes(record | change)
        expected = "malformed_note" if code == "malformed_proof" else code
        assert [finding.code for finding in found(tmp_path / "record.json", data)] == [expected]
    mixed = ARCHIVE.proof(5).replace(ARCHIVE.checkpoint(), other.checkpoint()).encode()
    assert [finding.code for finding in found(tmp_path / "x.tlog-proof", mixed)] == ["inclusion_not_proven"]


def test_signed_after_its_key_was_denounced(tmp_path: Path) -> None:
    """What a stolen key signs later is flagged, whatever time it claims."""
    two = FileSigner.from_seed(bytes([2]) * 32)
    archive = Archive(EVENTS[:6])
    archive.add("keys", "key.activated", {"use": "record", "key": two}, {})
    archive.add("keys", "key.retired", {"use": "record", "key": ONE}, {}, signer=two)
    archive.add("keys", "key.compromised", {"use": "record", "key": ONE, "since": START + 6}, {}, signer=two)
    good = Beliefs(root=ONE.kid)
    assert found(tmp_path / "tape.ndjson", archive.tape(), good) == []
    archive.add("ast_9", "asset.confirmed", {}, {}, signer=ONE)
    (finding,) = found(tmp_path / "tape.ndjson", archive.tape(), good)
    assert (finding.code, finding.asset) == ("signed_after_compromise", "ast_9")


def test_a_single_record_under_a_key_not_in_force(tmp_path: Path) -> None:
    """A tape that came before it tells the life of its key."""
    archive = Archive(EVENTS[:6])
    archive.add("ast_9", "asset.confirmed", {}, {}, signer=FileSigner.from_seed(bytes([2]) * 32))
    (tmp_path / "tape.ndjson").write_bytes(Archive(EVENTS[:6]).tape())
    (tmp_path / "record.json").write_bytes(archive.record_file(6))
    session = Session(Beliefs(root=ONE.kid, policy=Policy.parse(POLICY)))
    verify_files([tmp_path / "record.json", tmp_path / "tape.ndjson"], session)
    assert [(one.code, one.asset) for one in session.findings.kept] == [("signed_before_activation", "ast_9")]


def test_a_checkpoint_beyond_the_copy_of_the_log(tmp_path: Path) -> None:
    """What the copy does not reach it cannot speak of, and the reader is told."""
    ARCHIVE.write_log(tmp_path / "log")
    longer = Archive([*EVENTS, ("ast_9", "asset.confirmed", {}, {})])
    (tmp_path / "checkpoint").write_text(longer.checkpoint())
    session = Session(BELIEFS)
    verify_files([tmp_path / "log", tmp_path / "checkpoint"], session)
    assert not session.findings
    assert session.reports[-1].notes[-1].startswith("Not compared")


def test_the_cosigner_is_who_the_policy_names() -> None:
    """The archive's witness key is that of its policy."""
    assert WITNESS.verifier.vkey in POLICY
    assert BytesIO(POLICY.encode()).read().decode() == POLICY
