"""Recognises files by their content, and verifies each in the order in which they help each other."""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from datetime import date
from io import SEEK_END
from pathlib import Path
from typing import IO

from ledger.errors import LedgerError
from ledger.records import OpenedRecord
from ledger.verify import certificate
from ledger.verify.belief import Undecided, judged
from ledger.verify.holders import Holding, holders_at
from ledger.verify.lines import GZIP, LONGEST_LINE, Chunk, read_chunks
from ledger.verify.pack import MANIFEST, TAPE, verify_pack
from ledger.verify.session import FileReport, Session
from ledger.verify.small import (
    verify_checkpoint_file,
    verify_key_set,
    verify_log,
    verify_proof_file,
    verify_record_file,
)
from ledger.verify.stores import LARGEST_TEXT, FileTooLarge, Folder, opened
from ledger.verify.tape import Job, chains_of, check_lines, key_chain, verify_tape

ZIP = b"PK\x03\x04"
_STARTS = ((ZIP, "pack"), (GZIP, "tape"), (b"c2sp.org/tlog-proof", "proof"), (b"{", "json"))
_SIGNATURE = "\n— ".encode()
_CERTIFICATE_STARTS = (b'{"entries":[', b'{"head":{"bound":')
KINDS = ("key set", "pack", "log", "tape", "record", "checkpoint", "proof", "certificate")
"""In the order of their turn: keys first, then what brings them along, at last what needs them."""


class UnknownContent(LedgerError):
    """The file is none that this verifier knows."""

    code = "unknown_content"


def verify_files(paths: Iterable[Path], session: Session) -> None:
    """Verify every file; reports and findings are the session's."""
    kinds = [(_kind(path), path) for path in paths]
    for kind, path in sorted(kinds, key=lambda one: KINDS.index(one[0]) if one[0] in KINDS else len(KINDS)):
        report = FileReport(str(path), kind)
        session.reports.append(report)
        try:
            _verify(kind, path, report, session)
        except Undecided as question:
            report.undecided = str(question)
        except OSError as error:
            report.undecided = f"It cannot be read: {error.strerror or error}."
        except LedgerError as refusal:
            session.refuse(refusal, file=report.file)
        session.progress.end()


def verify_tape_file(raw: IO[bytes], report: FileReport, session: Session, *, zipped: bool | None = None) -> None:
    """A tape, gzipped or not (None: as its first bytes say): its chain of keys first, then all of it.

    Raises `Undecided`, also then with what can be found without a key.
    """
    chain = key_chain(read_chunks(raw, report=lambda *_: None, zipped=zipped))
    total = raw.seek(0, SEEK_END)
    raw.seek(0)
    chunks = read_chunks(raw, report=session.reporter(report.file), zipped=zipped)
    try:
        trust, why = session.beliefs.trust(chain=chain, own={})
    except Undecided:
        check_lines(chunks, report.file, session.findings)
        raise
    report.notes.append(f"Record keys: {why}.")
    trust, fault = judged(trust, otherwise=session.beliefs.keys or {})
    if fault is not None:
        session.refuse(fault, file=report.file)
    session.judge = trust.judge()
    session.progress.begin("records", total=total)
    job = Job(report.file, trust)
    tally = verify_tape(chunks, job, findings=session.findings, jobs=session.jobs, progress=session.progress.step)
    report.counts |= {"records": tally.records, "assets": tally.assets}
    report.notes.append(
        "Places in the log, and whether records are missing at an end, only a pack or the log can tell."
    )


def holders(path: Path, *, asset: str, at: date, session: Session) -> list[Holding]:
    """Who held an asset on a day, by a tape or pack that was verified in this session."""

    def chains(assets: Collection[str]) -> Mapping[str, list[OpenedRecord]]:
        return _chains(path, assets, session)

    return holders_at(asset, at=at, chains=chains)


def life(path: Path, *, asset: str, session: Session) -> list[OpenedRecord]:
    """The verified records of an asset in a tape or pack that was verified in this session."""
    return _chains(path, [asset], session)[asset]


def _kind(path: Path) -> str:
    """What a file is, by its content; `unknown` for all else."""
    if path.is_dir():
        return "pack" if (path / MANIFEST).exists() else "log"
    try:
        with path.open("rb") as file:
            start = file.read(LONGEST_LINE)
    except OSError:
        return "unreadable"
    by_start = next((kind for sign, kind in _STARTS if start.lstrip().startswith(sign)), None)
    if start.startswith(_CERTIFICATE_STARTS):
        return "certificate"
    if by_start == "json":
        lines = start.rstrip(b"\n").count(b"\n")
        return "key set" if b'"keys"' in start else "tape" if lines or len(start) == LONGEST_LINE else "record"
    if by_start is None and _SIGNATURE in start:
        return "checkpoint"
    return by_start or ("tape" if path.name.endswith((".ndjson", ".gz")) else "unknown")


def _verify(kind: str, path: Path, report: FileReport, session: Session) -> None:
    small: dict[str, Callable[[bytes, FileReport, Session], None]] = {
        "key set": verify_key_set,
        "record": verify_record_file,
        "checkpoint": verify_checkpoint_file,
        "proof": verify_proof_file,
    }
    if kind in small:
        small[kind](_read(path), report, session)
    elif kind == "pack":
        with opened(path) as store:
            verify_pack(store, report, session)
    elif kind == "log":
        verify_log(Folder(path), report, session)
    elif kind == "tape":
        _verify_tape(path, report, session)
    elif kind == "certificate":
        session.progress.begin("certificate", total=0)
        report.counts |= certificate.check(path.read_bytes())
    elif kind == "unreadable":
        raise Undecided("The file cannot be read.")
    else:
        raise UnknownContent("The file is no record, tape, proof, checkpoint, set of keys, log, pack or certificate.")


def _verify_tape(path: Path, report: FileReport, session: Session) -> None:
    with path.open("rb") as raw:
        verify_tape_file(raw, report, session, zipped=True if path.name.endswith(".gz") else None)


def _chains(path: Path, assets: Collection[str], session: Session) -> dict[str, list[OpenedRecord]]:
    if session.judge is None:
        raise Undecided("No record key is known.")
    with ExitStack() as stack:
        where = stack.enter_context(opened(path)).open(TAPE) if _kind(path) == "pack" else path.open("rb")
        chunks: Iterable[Chunk] = read_chunks(stack.enter_context(where), report=lambda *_: None)
        return chains_of(chunks, assets, judge=session.judge)


def _read(path: Path) -> bytes:
    """A small file whole. Refuses `FileTooLarge`."""
    with path.open("rb") as file:
        data = file.read(LARGEST_TEXT + 1)
    if len(data) > LARGEST_TEXT:
        raise FileTooLarge(f"The file is larger than {LARGEST_TEXT} bytes.")
    return data
