"""An exit pack: manifest and files, tape, the whole log, each record in it, and the books."""

import gzip
import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.canonical import NotCanonical, canonical_bytes, parse_canonical
from ledger.encoding import MalformedBase64, base64_standard, parse_base64url
from ledger.errors import LedgerError
from ledger.merkle import HASH_BYTES
from ledger.notes import TreeHead
from ledger.policy import Policy
from ledger.records import BadSignature, UnknownKey, WrongType, read_header
from ledger.verify.belief import Undecided, judged
from ledger.verify.books import ACCOUNTS, LEGS, TRANSFERS, Books
from ledger.verify.findings import Finding
from ledger.verify.lines import Chunk, read_chunks
from ledger.verify.session import FileReport, Session
from ledger.verify.stores import CHUNK_BYTES, UNREADABLE, Below, Store, read_small
from ledger.verify.tape import Job, LoggedRecord, key_chain, verify_tape
from ledger.verify.tree import LogCopy
from ledger.verify.trust import Trust, parse_key_set

FORMAT, TYPE = "exchange-pack/1", "pack.manifest"
MANIFEST, SIGNATURE = "manifest.json", "manifest.jws"
KEYS, POLICY, CHECKPOINT, TAPE = "keys.json", "policy.txt", "log/checkpoint", "records.ndjson.gz"
TABLE = ".ndjson.gz"
WHOLE = "exchange"
"""The scope of a pack of the whole exchange, in which every log entry has its record."""
_LARGEST_MANIFEST = 64 * 1024 * 1024


class MalformedManifest(LedgerError):
    """The manifest is not that of a pack."""

    code = "malformed_manifest"


class ManifestMismatch(LedgerError):
    """The signature is about another manifest."""

    code = "manifest_mismatch"


class UnreadableSignature(LedgerError):
    """The manifest's signature is not a compact JWS in its one spelling."""

    code = "unreadable_signature"


def verify_pack(store: Store, report: FileReport, session: Session) -> None:
    """Check a pack whole; faults go to the session's findings, and the check goes on behind each it can pass.

    Raises `Undecided` where nothing says whom to believe.
    """
    try:
        manifest_bytes = read_small(store, MANIFEST, limit=_LARGEST_MANIFEST)
        manifest = _parse_manifest(manifest_bytes)
    except LedgerError as refusal:
        session.refuse(refusal, file=report.file, inside=MANIFEST)
        return
    _Pack(store, manifest, manifest_bytes, report, session).verify()


def _parse_manifest(data: bytes) -> dict[str, Any]:
    try:
        manifest = parse_canonical(data)
        known = manifest["format"] == FORMAT and type(manifest["scope"]) is str
        known = known and type(manifest["log"]["size"]) is int and type(manifest["made_at"]) is str
        known = known and all(
            type(one["bytes"]) is int and type(one["sha256"]) is str for one in manifest["files"].values()
        )
    except (NotCanonical, KeyError, TypeError, AttributeError) as error:
        raise MalformedManifest(f"The manifest is not that of a pack: {error}.") from error
    if not known:
        raise MalformedManifest(f"The manifest is not that of a pack of format {FORMAT}.")
    return dict(manifest)


class _Pack:
    """One pack while it is checked."""

    def __init__(
        self, store: Store, manifest: dict[str, Any], manifest_bytes: bytes, report: FileReport, session: Session
    ) -> None:
        self._store = store
        self._manifest = manifest
        self._bytes = manifest_bytes
        self._report = report
        self._session = session

    def verify(self) -> None:
        self._check_files()
        own = self._own_keys()
        chain = key_chain(self._chunks(TAPE, quiet=True)) if TAPE in self._manifest["files"] else ()
        trust, why = self._session.beliefs.trust(chain=chain, own=own)
        self._report.notes.append(f"Record keys: {why}.")
        trust, fault = judged(trust, otherwise=self._session.beliefs.keys or own)
        if fault is not None:
            self._session.refuse(fault, file=self._report.file, inside=TAPE)
        self._session.judge = trust.judge()
        self._check_keys(trust, own)
        self._check_signature(trust)
        head = self._check_checkpoint(trust)
        with tempfile.TemporaryFile() as leaves:
            walked = self._walk(head, _Leaves(leaves.fileno()))
            self._check_tape(trust, walked)
        self._check_books()

    def _found(self, code: str, message: str, *, inside: str | None = None, byte: int | None = None) -> None:
        self._session.findings.add(Finding(code, message, self._report.file, field=inside, byte=byte))

    def _check_files(self) -> None:
        """Each file as the manifest describes it, none missing, none besides."""
        told = self._manifest["files"]
        found = set(self._store.names()) - {MANIFEST, SIGNATURE}
        for name in sorted(found - told.keys()):
            self._found("foreign_file", "The file is not in the manifest.", inside=name)
        self._session.progress.begin("files", total=sum(one["bytes"] for one in told.values()))
        done = 0
        for name, one in sorted(told.items()):
            if name not in found:
                self._found("file_missing", "The manifest names a file that is missing.", inside=name)
                continue
            try:
                size, digest = _measure(self._store, name, limit=one["bytes"])
            except (LedgerError, *UNREADABLE) as error:
                self._found("file_missing", f"The file cannot be read: {error}.", inside=name)
                continue
            if (size, digest) != (one["bytes"], one["sha256"]):
                self._found("file_altered", "The file is not the one that the manifest describes.", inside=name)
            elif name.endswith(TABLE) and name != TAPE:  # the tape's rows are counted where they are read
                self._check_rows(name, one.get("rows"))
            done += one["bytes"]
            self._session.progress.step(done)
        self._report.counts["files"] = len(told)

    def _check_rows(self, name: str, told: object) -> None:
        try:
            with self._store.open(name) as raw, gzip.GzipFile(fileobj=raw) as table:
                rows = sum(block.count(b"\n") for block in iter(partial(table.read, CHUNK_BYTES), b""))
        except (LedgerError, *UNREADABLE) as error:
            self._found("not_gzip", f"The file cannot be unpacked: {error}.", inside=name)
            return
        if rows != told:
            self._found("rows_missing", f"The file has {rows} rows, not {told!s:.20}.", inside=name)

    def _own_keys(self) -> Mapping[str, Ed25519PublicKey]:
        try:
            return parse_key_set(read_small(self._store, KEYS))
        except LedgerError as refusal:
            self._session.refuse(refusal, file=self._report.file, inside=KEYS)
            return {}

    def _check_keys(self, trust: Trust, own: Mapping[str, Ed25519PublicKey]) -> None:
        """The chain of keys and the set of keys know the same record keys."""
        history = trust.judge().history
        if history is not None:
            lives = {kid for kid, life in history.lives.items() if life.use == "record"}
            for kid in sorted(lives ^ own.keys()):
                known = "chain of keys" if kid in lives else "set of keys"
                self._found("keys_differ", f"The key {kid} is in the {known} alone.", inside=KEYS)

    def _check_signature(self, trust: Trust) -> None:
        judge = trust.judge()
        try:
            text = read_small(self._store, SIGNATURE).removesuffix(b"\n")
            kid, statement = _open_statement(text, keys=judge.keys)
            expected = {name: self._manifest[name] for name in ("format", "made_at", "scope")}
            expected["manifest"] = hashlib.sha256(self._bytes).hexdigest()
            if statement != canonical_bytes(expected):
                raise ManifestMismatch("The signature is about another manifest.")
        except LedgerError as refusal:
            self._session.refuse(refusal, file=self._report.file, inside=SIGNATURE)
            return
        made_at_s = _seconds(self._manifest["made_at"])
        fault = judge.fault(kid, subject="", time_s=made_at_s, index=self._manifest["log"]["size"])
        if fault:
            self._found(fault, f"The key {kid} was not in force for this manifest.", inside=SIGNATURE)

    def _check_checkpoint(self, trust: Trust) -> TreeHead | None:
        beliefs = self._session.beliefs
        try:
            note = read_small(self._store, CHECKPOINT).decode("utf-8", "surrogateescape")
            own = Policy.parse(read_small(self._store, POLICY).decode("utf-8", "replace"))
            head, why = beliefs.head(note, judge=trust.judge(), own=own)
        except Undecided as question:
            self._report.undecided = str(question)
            return None
        except LedgerError as refusal:
            self._session.refuse(refusal, file=self._report.file, inside=CHECKPOINT)
            return None
        self._report.notes.append(f"Checkpoint: {why}.")
        stated = {"origin": head.origin, "root": base64_standard(head.root), "size": head.size}
        if self._manifest["log"] != stated:
            self._found("manifest_mismatch", "The manifest tells of another checkpoint.", inside=MANIFEST)
        return head

    def _walk(self, head: TreeHead | None, leaves: "_Leaves") -> "_Leaves":
        """Compute the log's tree again, up to the checkpoint's size, or to what the manifest says."""
        size = head.size if head else self._manifest["log"]["size"]
        self._session.progress.begin("log", total=size)
        copy = LogCopy(Below(self._store, "log"), size=size)

        def found(code: str, message: str, *, field: str) -> None:
            self._found(code, message, inside=f"log/{field}")

        root = copy.walk(report=found, take=leaves.take, step=self._session.progress.step)
        if head is not None and root is not None and root != head.root:
            self._found("forked_log", "The log's entries have another root than the checkpoint.", inside=CHECKPOINT)
        self._report.counts["log entries"] = leaves.count
        if head is not None:
            self._session.add_head(head, file=self._report.file)
            self._session.copies.append((head.origin, copy))
        return leaves

    def _check_tape(self, trust: Trust, leaves: "_Leaves") -> None:
        told = self._manifest["files"].get(TAPE)
        if told is None:
            self._found("file_missing", "The pack has no tape.", inside=TAPE)
            return
        self._session.progress.begin("records", total=told["bytes"])
        leaves.cover()

        job = Job(f"{self._report.file}/{TAPE}", trust, leaves=True)

        def take(batch: Iterable[LoggedRecord]) -> None:
            for record in batch:
                fault = leaves.fault(record)
                if fault:
                    code, message = fault
                    where = (record.asset, record.sequence, "index", record.at)
                    self._session.findings.add(Finding(code, message, job.file, *where))

        tally = verify_tape(
            self._chunks(TAPE),
            job,
            findings=self._session.findings,
            jobs=self._session.jobs,
            take_leaves=take,
            progress=self._session.progress.step,
        )
        if told.get("rows") != tally.records:
            self._found("rows_missing", f"The tape has {tally.records} records, not {told.get('rows')}.", inside=TAPE)
        if self._manifest["scope"] == WHOLE:
            for index in leaves.uncovered():
                self._found("entry_without_record", f"Log entry {index} has no record in the tape.", inside=TAPE)
        self._report.counts |= {"records": tally.records, "assets": tally.assets}

    def _check_books(self) -> None:
        if not {ACCOUNTS, TRANSFERS, LEGS} <= self._manifest["files"].keys():
            self._found("file_missing", "The pack has no books.", inside="books")
            return
        self._session.progress.begin("books", total=0)

        def found(code: str, message: str, *, file: str, byte: int | None = None) -> None:
            self._found(code, message, inside=file, byte=byte)

        books = Books(found)
        books.check(self._chunks)
        self._report.counts |= {"transfers": books.transfers, "legs": books.legs}

    def _chunks(self, name: str, *, quiet: bool = False) -> Iterable[Chunk]:
        """The lines of a table; `quiet` where they are read again later, and faults told then."""
        report = self._session.reporter(f"{self._report.file}/{name}")
        try:
            with self._store.open(name) as raw:
                yield from read_chunks(raw, report=(lambda *_: None) if quiet else report, zipped=True)
        except LedgerError as refusal:
            if not quiet:
                self._session.refuse(refusal, file=self._report.file, inside=name)


class _Leaves:
    """The hash of every log entry, in a file of its own: 32 bytes an entry that are not in memory."""

    def __init__(self, descriptor: int) -> None:
        self.count = 0
        self._descriptor = descriptor
        self._buffer = bytearray()
        self._covered = bytearray()

    def take(self, index: int, hashed: bytes) -> None:
        """The next entry's hash."""
        self.count = index + 1
        self._buffer += hashed
        if len(self._buffer) >= CHUNK_BYTES:
            self._flush()

    def cover(self) -> None:
        """All entries are there; now their records come."""
        self._flush()
        self._covered = bytearray(self.count)

    def fault(self, record: LoggedRecord) -> tuple[str, str] | None:
        """Code and message of what is wrong with a record's place in the log, or None."""
        index = record.log_index
        if index is None or index >= self.count:
            return "not_in_log", "The record has no place in the log."
        if os.pread(self._descriptor, HASH_BYTES, index * HASH_BYTES) != record.leaf_hash:
            return "leaf_mismatch", f"Log entry {index} is not that of this record."
        if self._covered[index]:
            return "entry_covered_twice", f"Log entry {index} is that of two records."
        self._covered[index] = 1
        return None

    def uncovered(self) -> Iterable[int]:
        """The entries without a record."""
        index = self._covered.find(0)
        while index >= 0:
            yield index
            index = self._covered.find(0, index + 1)

    def _flush(self) -> None:
        os.write(self._descriptor, self._buffer)
        self._buffer.clear()


def _open_statement(text: bytes, *, keys: Mapping[str, Ed25519PublicKey]) -> tuple[str, bytes]:
    """The key that signed a manifest's statement, and the statement."""
    signing_input, _, signature = text.rpartition(b".")
    header, _, payload = signing_input.partition(b".")
    kid, kind = read_header(header)
    if kind != TYPE:
        raise WrongType(f"The header's typ is {kind}+jws, not {TYPE}+jws.", field="header")
    if kid not in keys:
        raise UnknownKey(f"The manifest is signed under the unknown key {kid}.", field="header")
    try:
        keys[kid].verify(parse_base64url(signature), signing_input)
        return kid, parse_base64url(payload)
    except InvalidSignature as error:
        raise BadSignature(f"The signature is not that of key {kid}.", field="signature") from error
    except MalformedBase64 as error:
        raise UnreadableSignature("The signature is not a JWS in its one spelling.") from error


def _measure(store: Store, name: str, *, limit: int) -> tuple[int, str]:
    """Size and digest of a file, read to one byte beyond its limit."""
    digest, size = hashlib.sha256(), 0
    with store.open(name) as file:
        while size <= limit and (block := file.read(min(CHUNK_BYTES, limit + 1 - size))):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def _seconds(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return 0
