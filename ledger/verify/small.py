"""Single files: a record, a proof, a checkpoint, a set of keys; and a copy of the log."""

import hashlib

from ledger.errors import LedgerError, RecordRefused
from ledger.merkle import InclusionNotProven, leaf_hash, verify_inclusion
from ledger.notes import Proof, TreeHead, parse_proof
from ledger.records import OpenedRecord, open_record
from ledger.verify.belief import Undecided
from ledger.verify.findings import Finding
from ledger.verify.line import Line, LineRefused, claimed_place, parse_line, place_of
from ledger.verify.record import LeafMismatch, check_terms, leaf_of, recorded_at_s
from ledger.verify.session import FileReport, Session
from ledger.verify.stores import Store, read_small
from ledger.verify.tree import LogCopy
from ledger.verify.trust import Judge, parse_key_set


class IndexMismatch(LedgerError):
    """The record says another place in the log than its proof."""

    code = "index_mismatch"


class NotText(LedgerError):
    """The file is not UTF-8."""

    code = "not_utf8"


def verify_record_file(data: bytes, report: FileReport, session: Session) -> None:
    """A record with its disclosures and, where it brings one, its proof. Raises `Undecided`."""
    line = data.removesuffix(b"\n")
    try:
        content = parse_line(line)
    except LineRefused as refusal:
        session.refuse(refusal, file=report.file, byte=refusal.byte)
        return
    judge = _judge(report, session)
    try:
        record = open_record(content.jws, keys=judge.keys, disclosures=content.disclosures)
        check_terms(record)
        entry = leaf_of(record, digest=hashlib.sha256(content.jws.encode("ascii")).digest())
    except RecordRefused as refusal:
        asset, sequence = claimed_place(content.jws)
        byte = place_of(refusal, line, content)
        session.findings.add(Finding(refusal.code, str(refusal), report.file, asset, sequence, refusal.field, byte))
        return
    session.entries.append(entry)
    report.counts |= {"records": 1, "disclosures": len(record.disclosed)}
    report.notes.append(f"{record.type} of {record.body['asset']}, record {record.body['sequence']} of its chain.")
    index = content.log_index
    if content.proof is None:
        report.notes.append("Its place in the log is not proven: the file brings no proof.")
    else:
        index = _check_proven(content, entry, report, session)
    _check_life(record, index, report, session)


def verify_proof_file(data: bytes, report: FileReport, session: Session) -> None:
    """A proof that the log holds an entry: the one it brings, or that of a record told before. Raises `Undecided`."""
    try:
        proof = parse_proof(_text(data))
        head = _head(proof.checkpoint, report, session)
        entries = [proof.extra] if proof.extra else session.entries
        if not any(_holds(entry, proof, head) for entry in entries):
            if not proof.extra and not entries:
                raise Undecided("The proof does not bring its entry: give the record's file, too.")
            raise InclusionNotProven(f"The proof does not lead from its entry {proof.index} to the root.")
    except LedgerError as refusal:
        session.refuse(refusal, file=report.file)
        return
    report.counts |= {"log index": proof.index, "log size": head.size}


def verify_checkpoint_file(data: bytes, report: FileReport, session: Session) -> None:
    """A checkpoint, and whether it agrees with the other checkpoints and logs of the run. Raises `Undecided`."""
    try:
        head = _head(_text(data), report, session)
    except LedgerError as refusal:
        session.refuse(refusal, file=report.file)
        return
    report.counts["log size"] = head.size
    compared = session.add_head(head, file=report.file)
    report.notes.append(
        f"Consistent with {compared} other checkpoints and logs of this run, unless said otherwise."
        if compared
        else "Not compared with any other state of the log: give a copy of the log, or a pack, too."
    )


def verify_key_set(data: bytes, report: FileReport, session: Session) -> None:
    """A set of keys: each well-formed, none of low order, none private, none twice, each under its own name."""
    try:
        keys = parse_key_set(data)
    except LedgerError as refusal:
        session.refuse(refusal, file=report.file)
        return
    report.counts["keys"] = len(keys)
    report.notes.append(f"Thumbprints: {', '.join(keys)}.")
    if session.beliefs.root is not None:
        known = "is" if session.beliefs.root in keys else "is not"
        report.notes.append(f"The key {session.beliefs.root} {known} among them.")


def verify_log(store: Store, report: FileReport, session: Session) -> None:
    """A copy of the log: its checkpoint, and the whole tree computed again. Raises `Undecided`."""
    try:
        head = _head(_text(read_small(store, "checkpoint")), report, session)
    except LedgerError as refusal:
        session.refuse(refusal, file=report.file, inside="checkpoint")
        return
    copy = LogCopy(store, size=head.size)
    session.progress.begin("log", total=head.size)

    def found(code: str, message: str, *, field: str) -> None:
        session.findings.add(Finding(code, message, report.file, field=field))

    root = copy.walk(report=found, take=lambda *_: None, step=session.progress.step)
    if root is not None and root != head.root:
        found("forked_log", "The log's entries have another root than the checkpoint.", field="checkpoint")
    report.counts["log entries"] = head.size
    session.add_head(head, file=report.file)
    session.copies.append((head.origin, copy))


def _judge(report: FileReport, session: Session) -> Judge:
    """The keys of the files before, or those the caller brought along."""
    if session.judge is None:
        trust, why = session.beliefs.trust(own={})
        session.judge = trust.judge()
        report.notes.append(f"Record keys: {why}.")
    return session.judge


def _head(note: str, report: FileReport, session: Session) -> TreeHead:
    head, why = session.beliefs.head(note, judge=session.judge)
    report.notes.append(f"Checkpoint of {head.origin}, size {head.size}: {why}.")
    return head


def _check_proven(content: Line, entry: bytes, report: FileReport, session: Session) -> int | None:
    """Check the proof that a record's file brings; the place in the log that it proves."""
    try:
        proof = parse_proof(content.proof or "")
        head = _head(proof.checkpoint, report, session)
        if proof.extra and proof.extra != entry:
            raise LeafMismatch("The proof brings another log entry than that of this record.")
        verify_inclusion(leaf_hash(entry), index=proof.index, size=head.size, proof=proof.hashes, root_hash=head.root)
        if content.log_index not in {None, proof.index}:
            raise IndexMismatch(f"The record says place {content.log_index}, its proof {proof.index}.")
    except LedgerError as refusal:
        session.refuse(refusal, file=report.file, inside="proof")
        return None
    report.counts |= {"log index": proof.index, "log size": head.size}
    return proof.index


def _check_life(record: OpenedRecord, index: int | None, report: FileReport, session: Session) -> None:
    judge = _judge(report, session)
    asset, sequence = record.body["asset"], record.body["sequence"]
    fault = judge.fault(record.kid, subject=asset, time_s=recorded_at_s(record), index=index)
    if fault:
        message = f"The key {record.kid} was not in force for this record."
        session.findings.add(Finding(fault, message, report.file, asset, sequence, "header"))


def _holds(entry: bytes, proof: Proof, head: TreeHead) -> bool:
    try:
        verify_inclusion(leaf_hash(entry), index=proof.index, size=head.size, proof=proof.hashes, root_hash=head.root)
    except InclusionNotProven:
        return False
    return True


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise NotText(f"The file is not UTF-8 from byte {error.start} on.") from error
