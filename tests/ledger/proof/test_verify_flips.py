"""Every byte of everything that is handed over, flipped one at a time: all are found."""

import json
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import IO

import pytest

from ledger.canonical import canonical_bytes
from ledger.errors import LedgerError
from ledger.policy import Policy
from ledger.verify.belief import Beliefs, Undecided
from ledger.verify.output import RIGHT, WRONG, exit_code
from ledger.verify.pack import MANIFEST, SIGNATURE, MalformedManifest, _Pack, _parse_manifest, verify_pack
from ledger.verify.run import verify_tape_file
from ledger.verify.session import FileReport, Session
from ledger.verify.small import verify_checkpoint_file, verify_key_set, verify_proof_file, verify_record_file
from ledger.verify.stores import FileMissing, opened, read_small
from ledger.verify.trust import parse_key_set
from tests.ledger.proof.archive import EVENTS, ONE, POLICY, Archive

ARCHIVE = Archive([*EVENTS[:3], EVENTS[5], EVENTS[7]])
SMALL, SMALLER = Archive([*EVENTS[:3], EVENTS[6]]), Archive([*EVENTS[:2], EVENTS[6]])
BELIEFS = Beliefs(keys=parse_key_set(ARCHIVE.key_set()), policy=Policy.parse(POLICY))
ROOTED = BELIEFS._replace(keys=None, root=ONE.kid)
Check = Callable[[bytes, FileReport, Session], None]


class Memory:
    """Files in memory, as a pack's store."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def names(self) -> list[str]:
        """Every file."""
        return sorted(self.files)

    def open(self, name: str) -> IO[bytes]:
        """One file."""
        if name not in self.files:
            raise FileMissing(name)
        return BytesIO(self.files[name])


def verify_tape_bytes(data: bytes, report: FileReport, session: Session) -> None:
    """A tape that is no file."""
    verify_tape_file(BytesIO(data), report, session)


def code(check: Check, data: bytes, beliefs: Beliefs) -> int:
    """What a run over one file comes to."""
    session = Session(beliefs)
    session.reports.append(FileReport("file", "kind"))
    try:
        check(data, session.reports[0], session)
    except Undecided as question:
        session.reports[0].undecided = str(question)
    return exit_code(session)


def flips(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The data with one bit of each byte flipped in turn; which bit depends on the place."""
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        yield place, bytes(flipped)


def missed(check: Check, data: bytes, beliefs: Beliefs = BELIEFS) -> list[int]:
    """The bytes of a file whose flipping is not found."""
    assert code(check, data, beliefs) == RIGHT
    return [place for place, flipped in flips(data) if code(check, flipped, beliefs) != WRONG]


@pytest.mark.parametrize("beliefs", [BELIEFS, ROOTED], ids=["keys given", "one thumbprint"])
def test_every_byte_of_a_tape(beliefs: Beliefs) -> None:
    """Records, disclosures, separators, line ends: with nothing but the tape and a key."""
    lines = [json.loads(line) for line in SMALLER.tape().splitlines()]
    unplaced = [canonical_bytes({name: line[name] for name in ("disclosures", "jws")}) + b"\n" for line in lines]
    assert missed(verify_tape_bytes, b"".join(unplaced), beliefs) == []


def test_a_tape_whose_keys_run_together() -> None:
    """Where a flip takes away the only records about keys, it is found without any key."""
    tape = Archive(EVENTS[:2]).tape()
    place = tape.index(b"\n")
    assert code(verify_tape_bytes, tape, ROOTED) == RIGHT
    assert code(verify_tape_bytes, tape[:place] + b" " + tape[place + 1 :], ROOTED) == WRONG


def test_every_byte_of_a_record_with_its_proof() -> None:
    """The place in the log, too, is proven here."""
    assert missed(verify_record_file, ARCHIVE.record_file(3)) == []


def test_every_byte_of_a_checkpoint() -> None:
    """Text, log's signature, witness's cosignature."""
    assert missed(verify_checkpoint_file, ARCHIVE.checkpoint().encode()) == []


def test_every_byte_of_a_proof() -> None:
    """Entry, index, hashes, checkpoint."""
    assert missed(verify_proof_file, ARCHIVE.proof(2).encode()) == []


def test_every_byte_of_a_key_set() -> None:
    """Each key has its thumbprint beside it, and nothing in the set is idle."""
    assert missed(verify_key_set, canonical_bytes(json.loads(ARCHIVE.key_set()))) == []


def in_memory(folder: Path) -> dict[str, bytes]:
    """A right pack's files."""
    SMALL.write_pack(folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_byte_of_the_files_of_a_pack(tmp_path: Path) -> None:
    """Keys, policy, tape, tiles, bundles, books, tables: the manifest has their hashes."""
    files = in_memory(tmp_path)
    manifest = json.loads(files[MANIFEST])
    for name in files.keys() - {MANIFEST, SIGNATURE}:

        def check(data: bytes, report: FileReport, session: Session, *, name: str = name) -> None:
            _Pack(Memory(files | {name: data}), manifest, files[MANIFEST], report, session)._check_files()

        assert (name, missed(check, files[name])) == (name, [])


def test_every_byte_of_a_manifest_and_its_signature(tmp_path: Path) -> None:
    """The signature is about the whole manifest, and has one spelling."""
    files = in_memory(tmp_path)
    trust, _ = BELIEFS.trust(own={})
    for name in (MANIFEST, SIGNATURE):

        def check(data: bytes, report: FileReport, session: Session, *, name: str = name) -> None:
            store = Memory(files | {name: data})
            try:
                manifest = _parse_manifest(store.files[MANIFEST])
            except MalformedManifest as refusal:
                session.refuse(refusal, file=report.file)
            else:
                _Pack(store, manifest, store.files[MANIFEST], report, session)._check_signature(trust)

        assert (name, missed(check, files[name])) == (name, [])


def test_a_byte_of_every_file_of_a_pack(tmp_path: Path) -> None:
    """Hashes and signature, of which the two tests above flip every byte, are a part of checking a pack."""
    files = in_memory(tmp_path)

    def check(data: bytes, report: FileReport, session: Session) -> None:
        verify_pack(Memory(files | {name: data}), report, session)

    for name, whole in files.items():
        assert code(check, whole, BELIEFS) == RIGHT
        for place in range(0, len(whole), max(1, len(whole) // 5)):
            flipped = whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]
            assert (name, place, code(check, flipped, BELIEFS)) == (name, place, WRONG)


def test_every_byte_of_a_zip_file(tmp_path: Path) -> None:
    """Whatever is flipped: a file reads as it was, or is refused, or has another name; never otherwise."""
    content = {"stored": b"one two three", "deflated": b"four " * 9}
    with zipfile.ZipFile(tmp_path / "right.zip", "w") as archive:
        archive.writestr("stored", content["stored"])
        archive.writestr("deflated", content["deflated"], zipfile.ZIP_DEFLATED)
    refused = set()
    for place, flipped in flips((tmp_path / "right.zip").read_bytes()):
        (tmp_path / "flipped.zip").write_bytes(flipped)
        for name, data in content.items():
            try:
                with opened(tmp_path / "flipped.zip") as store:
                    assert read_small(store, name) == data, place
            except LedgerError as refusal:
                refused.add(refusal.code)
    assert refused == {"damaged_zip", "file_missing"}
