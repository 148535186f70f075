"""A pack: what an outsider alters, and what an insider alters who can sign the manifest again."""

import gzip
import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable
from errno import ENOSPC
from pathlib import Path

import pytest

from ledger.keys import FileSigner
from ledger.merkle import HASH_BYTES
from ledger.policy import Policy
from ledger.verify import pack as verify_module
from ledger.verify.belief import Beliefs
from ledger.verify.output import RIGHT, UNDECIDED, exit_code
from ledger.verify.run import verify_files
from ledger.verify.session import Session
from ledger.verify.stores import LARGEST_TEXT
from tests.ledger.proof.archive import (
    EVENTS,
    LOG,
    ONE,
    POLICY,
    TWO,
    Archive,
    Event,
    altered,
    books,
    finish,
    jws,
    lines,
    packed,
    put,
    sign,
)

ARCHIVE = Archive()
STRANGER = FileSigner(LOG.private_key)
BELIEFS = Beliefs(root=ONE.kid, policy=Policy.parse(POLICY))


def run(path: Path, beliefs: Beliefs = BELIEFS) -> Session:
    """Verify one pack."""
    session = Session(beliefs)
    verify_files([path], session)
    return session


def codes(path: Path, beliefs: Beliefs = BELIEFS) -> set[str]:
    """The codes of what is found."""
    return set(run(path, beliefs).findings.counts)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack that is right."""
    ARCHIVE.write_pack(tmp_path / "pack")
    return tmp_path / "pack"


@pytest.mark.parametrize(
    "beliefs", [BELIEFS, Beliefs(root=ONE.kid), Beliefs()], ids=["policy", "thumbprint", "nothing"]
)
def test_a_pack_verifies(pack: Path, beliefs: Beliefs) -> None:
    """With a policy, with one thumbprint, with nothing: then it says what it believed."""
    session = run(pack, beliefs)
    assert exit_code(session) == RIGHT
    assert session.reports[0].counts == {
        "files": 10,
        "log entries": len(EVENTS),
        "records": len(EVENTS),
        "assets": 5,
        "transfers": 2,
        "legs": 4,
    }
    if beliefs == Beliefs():
        assert any(ONE.kid in note and "compare" in note for note in session.reports[0].notes)


def test_a_pack_in_a_zip_file(pack: Path, tmp_path: Path) -> None:
    """The same files in one; two of one name are refused."""
    names = [path for path in sorted(pack.rglob("*")) if path.is_file()]
    with zipfile.ZipFile(tmp_path / "pack.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in names:
            archive.write(path, path.relative_to(pack).as_posix())
    assert codes(tmp_path / "pack.zip") == set()
    with zipfile.ZipFile(tmp_path / "lzma.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("manifest.json", b"{}")
    assert codes(tmp_path / "lzma.zip") == {"damaged_zip"}
    for name in names:
        data = (tmp_path / "pack.zip").read_bytes()
        with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
            info = archive.getinfo(name.relative_to(pack).as_posix())
        begin = info.header_offset + 30 + len(info.filename)
        (tmp_path / "bad.zip").write_bytes(data[:begin] + b"\xff" + data[begin + 1 :])
        assert codes(tmp_path / "bad.zip") & {"file_missing", "file_altered", "damaged_zip"}, name
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "pack.zip", "a") as archive:
        archive.writestr("keys.json", b"")
    assert codes(tmp_path / "pack.zip") == {"damaged_zip"}
    (tmp_path / "pack.zip").write_bytes((tmp_path / "pack.zip").read_bytes()[:-30])
    assert codes(tmp_path / "pack.zip") == {"damaged_zip"}


def test_files_missing_and_foreign(pack: Path) -> None:
    """Neither one file less nor one more nor a link passes."""
    (pack / "tables/offer.ndjson.gz").rename(pack / "more")
    session = run(pack)
    assert [(one.code, one.field) for one in session.findings.kept] == [
        ("foreign_file", "more"),
        ("file_missing", "tables/offer.ndjson.gz"),
    ]
    (pack / "tables/offer.ndjson.gz").symlink_to(pack / "more")
    assert codes(pack) == {"foreign_file", "file_missing"}


@pytest.mark.parametrize("name", ["manifest.json", "manifest.jws", "keys.json", "log/checkpoint", "policy.txt"])
def test_a_pack_without_one_of_its_parts(pack: Path, name: str) -> None:
    """Each part is missed."""
    (pack / name).unlink()
    assert "file_missing" in codes(pack)


def test_a_pack_without_a_manifest_worth_its_name(pack: Path) -> None:
    """Another format, no format, a manifest of another pack."""
    bare = b'{"files":{"x":{"bytes":1,"sha256":1}},"format":"exchange-pack/1","log":{"size":1},"made_at":"","scope":""}'
    for data in (b"{}", b"[]", b"x", bare, (pack / "manifest.json").read_bytes().replace(b"pack/1", b"pack/2")):
        put(pack, "manifest.json", data)
        assert codes(pack) == {"malformed_manifest"}


def test_a_manifest_signed_for_another(pack: Path) -> None:
    """By a strange key, of another type, over another statement, cut short."""
    good = (pack / "manifest.jws").read_bytes().strip()
    for code, data in (
        ("unknown_key", jws(b"{}", "pack.manifest+jws", signer=STRANGER)),
        ("wrong_type", jws(b"{}", "asset.confirmed+jws")),
        ("manifest_mismatch", jws(b"{}", "pack.manifest+jws")),
        ("unreadable_signature", good + b"="),
        ("bad_signature", good.rpartition(b".")[0] + b"." + b"A" * 86),
    ):
        put(pack, "manifest.jws", data)
        assert codes(pack) == {code}


def gz(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """A change of what is packed."""
    return lambda data: packed(change(gzip.decompress(data)))


def last_line_gone(data: bytes) -> bytes:
    """Without the last line."""
    return b"".join(data.splitlines(keepends=True)[:-1])


@pytest.mark.parametrize(
    ("name", "change", "code"),
    [
        ("records.ndjson.gz", gz(lambda data: data.replace(b'"index":7', b'"index":6', 1)), "leaf_mismatch"),
        ("records.ndjson.gz", gz(lambda data: data.replace(b'"index":7', b'"index":77', 1)), "not_in_log"),
        ("records.ndjson.gz", gz(lambda data: data.replace(b'"index":7,', b"", 1)), "not_in_log"),
        ("records.ndjson.gz", gz(last_line_gone), "entry_without_record"),
        ("keys.json", lambda _: json.dumps({"keys": [ONE.public_jwk]}).encode(), "keys_differ"),
        ("log/checkpoint", lambda _: ARCHIVE.checkpoint(9).encode(), "manifest_mismatch"),
        ("log/checkpoint", lambda _: ARCHIVE.checkpoint(time_s=None).encode(), "quorum_not_reached"),
        ("log/tile/0/000.p/14", lambda data: bytes(32) + data[32:], "tile_mismatch"),
        ("log/tile/entries/000.p/14", lambda data: data[:-1], "malformed_bundle"),
        ("log/tile/entries/000.p/14", lambda data: data.replace(b"asset.released", b"asset.RELEASED"), "forked_log"),
        ("policy.txt", lambda _: b"quorum w9\n", "malformed_policy"),
        ("keys.json", lambda data: data + b" " * LARGEST_TEXT, "file_too_large"),
    ],
)
def test_what_an_insider_alters(pack: Path, name: str, change: Callable[[bytes], bytes], code: str) -> None:
    """The manifest is right about the altered file and well signed; records, log and chain still tell."""
    altered(pack, name, change)
    assert code in codes(pack)


def test_a_pack_of_another_history(tmp_path: Path) -> None:
    """Two packs of one log that forked: each right by itself, not both."""
    forked = Archive([*EVENTS[:-1], ("ast_1", "asset.paid", {}, {})])
    ARCHIVE.write_pack(tmp_path / "one")
    forked.write_pack(tmp_path / "two")
    session = Session(BELIEFS)
    verify_files([tmp_path / "one", tmp_path / "two"], session)
    assert set(session.findings.counts) == {"forked_log"}


def test_a_funders_pack_has_only_some_records(tmp_path: Path) -> None:
    """Log entries of others have no record in it, and a chain may end early; a whole pack may not."""
    some = [line for line in ARCHIVE.tape().splitlines(keepends=True) if b'"index":13,' not in line]
    ARCHIVE.write_pack(tmp_path / "part", scope="fnd_1", tape=b"".join(some))
    ARCHIVE.write_pack(tmp_path / "whole", tape=b"".join(some))
    assert codes(tmp_path / "part") == set()
    assert codes(tmp_path / "whole") == {"entry_without_record"}


def test_a_record_twice(tmp_path: Path) -> None:
    """The log has it once."""
    first, *rest = ARCHIVE.tape().splitlines(keepends=True)
    ARCHIVE.write_pack(tmp_path, tape=b"".join([first, first, *rest]))
    assert codes(tmp_path) == {"entry_covered_twice", "reordered_chain"}


def test_leaves_that_do_not_fit_into_memory(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often they go to the disk, each record is held against its own."""
    monkeypatch.setattr(verify_module, "CHUNK_BYTES", 2 * HASH_BYTES)
    assert codes(pack) == set()
    altered(pack, "records.ndjson.gz", gz(lambda data: data.replace(b'"index":7', b'"index":6', 1)))
    assert codes(pack) >= {"leaf_mismatch"}


def test_a_log_that_nobody_vouches_for(tmp_path: Path) -> None:
    """Neither caller nor policy nor chain of keys knows the log's key: what can be found is found."""
    Archive(EVENTS[:3]).write_pack(tmp_path)
    altered(tmp_path, "policy.txt", lambda _: b"quorum none\n")
    session = run(tmp_path, Beliefs(root=ONE.kid))
    assert (exit_code(session), session.reports[0].undecided) == (
        UNDECIDED,
        "No key of the log is known: give --policy or --log-key.",
    )
    put(tmp_path, "log/tile/0/000.p/3", bytes(96))
    assert codes(tmp_path, Beliefs(root=ONE.kid)) == {"file_altered", "tile_mismatch"}


@pytest.mark.parametrize("name", ["records.ndjson.gz", "books/legs.ndjson.gz"])
def test_a_table_gone_that_the_manifest_names(pack: Path, name: str) -> None:
    """The rest is checked nevertheless."""
    (pack / name).unlink()
    assert "file_missing" in codes(pack)


def test_one_record_for_two_entries(pack: Path) -> None:
    """Counted rows and covered entries do not let a record stand for another."""
    manifest = json.loads((pack / "manifest.json").read_bytes())
    manifest["files"]["records.ndjson.gz"]["rows"] += 1
    put(pack, "manifest.json", json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode())
    assert codes(pack) == {"rows_missing", "manifest_mismatch"}


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("tables/offer.ndjson.gz", lambda data: data[:-9], {"not_gzip"}),
        ("tables/offer.ndjson.gz", lambda data: data[:10] + b"\xff" + data[11:], {"not_gzip"}),
        ("tables/offer.ndjson.gz", lambda _: b"x", {"not_gzip"}),
        ("books/legs.ndjson.gz", lambda data: data[:-9], {"not_gzip", "truncated_gzip"}),
    ],
)
def test_a_table_that_cannot_be_unpacked(
    pack: Path, name: str, change: Callable[[bytes], bytes], expected: set[str]
) -> None:
    """Its hash is right, its content is none."""
    data = change((pack / name).read_bytes())
    put(pack, name, data)
    manifest = json.loads((pack / "manifest.json").read_bytes())
    manifest["files"][name] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    sign(pack, manifest)
    assert expected <= codes(pack)


@pytest.mark.parametrize("rows", [0, 2, None, "1"])
@pytest.mark.parametrize(
    "name", ["tables/offer.ndjson.gz", "books/accounts.ndjson.gz", "books/legs.ndjson.gz", "records.ndjson.gz"]
)
def test_rows_that_the_manifest_counts_otherwise(pack: Path, name: str, rows: object) -> None:
    """Of any table, too few or too many, or not counted at all."""
    manifest = json.loads((pack / "manifest.json").read_bytes())
    manifest["files"][name]["rows"] = rows
    sign(pack, manifest)
    session = run(pack)
    assert [(one.code, one.field) for one in session.findings.kept] == [("rows_missing", name)]


def test_a_manifest_of_no_time(pack: Path) -> None:
    """Where it does not say when it was made, no key was in force for it: the log's size decides."""
    manifest = json.loads((pack / "manifest.json").read_bytes()) | {"made_at": "yesterday"}
    sign(pack, manifest)
    assert codes(pack) == set()
    sign(pack, manifest, signer=TWO)
    assert codes(pack) == {"signed_before_activation"}


def test_a_manifest_under_a_key_not_in_force(pack: Path) -> None:
    """The next key is known, but it signs nothing before it is activated."""
    finish(pack, signer=TWO)
    assert codes(pack) == {"signed_before_activation"}


@pytest.mark.parametrize(
    ("table", "change", "code"),
    [
        ("legs", lambda rows: rows[0].update(amount_minor=-901), "unbalanced_transfer"),
        ("legs", lambda rows: rows[0].update(account_id=3), "unbalanced_transfer"),
        ("legs", lambda rows: rows[0].update(account_id=9), "unknown_account"),
        ("legs", lambda rows: rows[0].update(transfer_id=9), "foreign_leg"),
        ("legs", lambda rows: rows[0].update(amount_minor="900"), "not_a_row"),
        ("legs", lambda rows: rows[0].update(amount_minor=2**63), "not_a_row"),
        ("legs", list.clear, "transfer_legs"),
        ("legs", lambda rows: rows.append({**rows[0], "transfer_id": 1}), "foreign_leg"),
        ("transfers", lambda rows: rows[0].update(refusal=None), "transfer_legs"),
        ("transfers", lambda rows: rows[1].update(refusal={}), "transfer_legs"),
        ("accounts", lambda rows: rows[0].update(balance_minor=-899), "balance_mismatch"),
        ("accounts", lambda rows: rows[0].update(version=2), "balance_mismatch"),
        ("accounts", lambda rows: rows.reverse(), "rows_out_of_order"),
        ("accounts", lambda rows: rows.append("x"), "not_a_row"),
    ],
)
def test_books_that_do_not_come_out(pack: Path, table: str, change: Callable[..., object], code: str) -> None:
    """Transfers that do not balance, accounts that come to something else, legs of nothing."""
    rows = books()[table]
    change(rows)
    altered(pack, f"books/{table}.ndjson.gz", lambda _: packed(lines(rows)))
    assert code in codes(pack)


def test_a_pack_without_books_or_tape(pack: Path) -> None:
    """Left out by an insider, they are missed."""
    (pack / "books/legs.ndjson.gz").unlink()
    (pack / "records.ndjson.gz").unlink()
    finish(pack)
    assert "file_missing" in codes(pack, Beliefs())


def test_a_thumbprint_that_the_pack_does_not_know(pack: Path) -> None:
    """It is not the pack of whoever published the key."""
    assert codes(pack, Beliefs(root="A" * 43)) == {"unknown_root"}


def test_a_log_of_several_tiles(tmp_path: Path) -> None:
    """600 entries: two full tiles, a partial one, a level above; any checkpoint within is held against them."""
    events: list[Event] = [
        ("ast_1", "asset.confirmed" if number == 0 else "asset.noted", {}, {}) for number in range(600)
    ]
    archive = Archive([*EVENTS[:3], *events])
    archive.write_pack(tmp_path / "pack")
    assert codes(tmp_path / "pack") == set()
    for size in (1, 255, 256, 257, 512, 600):
        (tmp_path / "checkpoint").write_text(archive.checkpoint(size))
        session = Session(BELIEFS)
        verify_files([tmp_path / "checkpoint", tmp_path / "pack"], session)
        assert (exit_code(session), session.reports[-1].counts) == (RIGHT, {"log size": size})
    put(tmp_path / "pack", "log/tile/1/000.p/2", bytes(64))
    assert "tile_mismatch" in codes(tmp_path / "pack")
    (tmp_path / "pack/log/tile/0/001").unlink()
    assert {"file_missing", "tile_mismatch", "file_altered"} == codes(tmp_path / "pack")


def test_a_log_of_full_tiles_only(tmp_path: Path) -> None:
    """256 entries: nothing is left over on the lowest level."""
    Archive([("ast_1", "asset.noted", {}, {})] * 256).write_log(tmp_path / "log")
    session = run(tmp_path / "log")
    assert (exit_code(session), session.reports[0].counts) == (RIGHT, {"log entries": 256})


def test_no_room_to_work_in(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is no fault of the pack: nothing can be said."""

    def full() -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    session = run(pack)
    assert (exit_code(session), session.reports[0].undecided) == (
        UNDECIDED,
        "It cannot be read: No space left on device.",
    )


def test_logs_that_are_damaged(tmp_path: Path) -> None:
    """A copy of the log without tiles, with short ones, with other entries, or shorter than a checkpoint."""
    ARCHIVE.write_log(tmp_path / "log")
    (tmp_path / "checkpoint").write_text(ARCHIVE.checkpoint())
    put(tmp_path / "log", "tile/0/000.p/14", bytes(32))
    session = Session(BELIEFS)
    verify_files([tmp_path / "log", tmp_path / "checkpoint"], session)
    assert set(session.findings.counts) == {"tile_mismatch"}
    entries = (tmp_path / "log/tile/entries/000.p/14").read_bytes()
    put(tmp_path / "log", "tile/entries/000.p/14", entries.replace(b"asset.released", b"asset.RELEASED"))
    assert codes(tmp_path / "log") == {"tile_mismatch", "forked_log"}
    put(tmp_path / "log", "tile/entries/000.p/14", entries[: 2 + int.from_bytes(entries[:2], "big")])
    assert codes(tmp_path / "log") == {"malformed_bundle"}
    (tmp_path / "log/checkpoint").unlink()
    assert codes(tmp_path / "log") == {"file_missing"}


def test_a_pack_with_useless_keys_and_nobody_to_believe(pack: Path) -> None:
    """Neither a chain of keys nor a set: what can be found is found, the rest stays open."""
    put(pack, "keys.json", b"{}")
    (pack / "records.ndjson.gz").unlink()
    finish(pack)
    session = run(pack, Beliefs())
    assert set(session.findings.counts) == {"key_set_refused"}
    assert session.reports[0].undecided
    given = Beliefs(keys={ONE.kid: ONE.public_key})
    assert codes(pack, given) == {"key_set_refused", "file_missing"}
