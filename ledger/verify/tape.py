"""A tape of records: every line, signature, disclosure and chain, in flat memory, on as many cores as wanted.

The lines go out in chunks. A chunk's checker cannot know what stood before it, so it hands back the links of its first
asset, which are then joined to the chain of the chunk before.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import NamedTuple

from ledger.errors import LedgerError, RecordRefused
from ledger.key_history import KeyRecord
from ledger.merkle import leaf_hash
from ledger.records import OpenedRecord, open_record, read_header
from ledger.verify.chain import BrokenChain, Chain, Link, link_of
from ledger.verify.findings import Finding, Findings
from ledger.verify.line import Line, LineRefused, NotARecord, claimed_place, parse_line, place_of
from ledger.verify.lines import Chunk
from ledger.verify.record import check_terms, leaf_of, recorded_at_s
from ledger.verify.trust import Judge, Trust

_QUEUED = 3
"""Chunks a process that are read ahead of the checking."""

Progress = Callable[[int], None]
"""Takes how many bytes of the file on the disk are dealt with."""


class Job(NamedTuple):
    """What every chunk of a tape is checked for. `leaves`: give the hash of each record's log entry, too."""

    file: str
    trust: Trust
    leaves: bool = False


class LoggedRecord(NamedTuple):
    """The hash of a record's log entry and the place in the log that the tape gives it, if any."""

    log_index: int | None
    leaf_hash: bytes
    asset: str
    sequence: int
    at: int


class Checked(NamedTuple):
    """What came of a chunk.

    `head` are the links of its first asset (None for a line that could not be read), `tail` is the state of the chain
    at its end, where more assets follow.
    """

    records: int
    head: list[Link | None]
    tail: Chain | None
    kept: list[Finding]
    counts: Counter[str]
    leaves: list[LoggedRecord]


class Tally(NamedTuple):
    """What a tape holds: records, and assets they are about."""

    records: int
    assets: int


def verify_tape(
    chunks: Iterable[Chunk],
    job: Job,
    *,
    findings: Findings,
    jobs: int = 1,
    take_leaves: Callable[[list[LoggedRecord]], None] | None = None,
    progress: Progress | None = None,
) -> Tally:
    """Check a tape, sorted by asset and sequence; faults go to `findings`, log entries to `take_leaves`.

    With `jobs` above 1 that many processes check chunks while this one reads and joins them, in order. Refuses what
    `Trust.judge` refuses.
    """
    job.trust.judge()
    chain = Chain()
    records = 0
    for chunk, checked in _in_order(chunks, job, jobs=jobs):
        records += checked.records
        findings.merge(checked.kept, checked.counts)
        for link in checked.head:
            _follow(chain, link, job.file, findings)
        if checked.tail is not None:
            checked.tail.assets += chain.assets
            chain = checked.tail
        if take_leaves is not None:
            take_leaves(checked.leaves)
        if progress is not None:
            progress(chunk.done)
    return Tally(records, chain.assets)


def check_chunk(chunk: Chunk, job: Job) -> Checked:
    """Check the lines of a chunk by themselves and with each other."""
    judge = job.trust.judge()
    findings = Findings()
    head: list[Link | None] = []
    tail: Chain | None = None
    leaves: list[LoggedRecord] = []
    first: Link | None = None
    at, records = chunk.at, 0
    for line in chunk.data.split(b"\n")[:-1]:
        records += 1
        link = _check_line(line, at, judge, job, findings, leaves)
        at += len(line) + 1
        first = first or link
        if tail is None and (link is None or first is None or link.asset == first.asset):
            head.append(link)
            continue
        if tail is None:
            tail = _behind(head)
        _follow(tail, link, job.file, findings)
    return Checked(records, head, tail, findings.kept, findings.counts, leaves)


def key_chain(chunks: Iterable[Chunk]) -> tuple[KeyRecord, ...]:
    """The records about keys in a tape, as they stand there, nothing of them verified."""
    found = []
    for chunk in chunks:
        for line in chunk.data.split(b"\n")[:-1]:
            try:
                content = parse_line(line)
                _, kind = read_header(content.jws.encode("ascii").partition(b".")[0])
            except (LedgerError, UnicodeEncodeError):
                continue
            if kind.startswith("key."):
                found.append(KeyRecord(content.jws, content.log_index))
    return tuple(found)


def check_lines(chunks: Iterable[Chunk], file: str, findings: Findings) -> None:
    """Find what is wrong with the lines of a tape whose keys nobody knows."""
    for chunk in chunks:
        at = chunk.at
        for line in chunk.data.split(b"\n")[:-1]:
            try:
                parse_line(line)
            except LineRefused as refusal:
                findings.add(Finding(refusal.code, str(refusal), file, byte=at + refusal.byte))
            at += len(line) + 1


def chains_of(chunks: Iterable[Chunk], assets: Collection[str], *, judge: Judge) -> dict[str, list[OpenedRecord]]:
    """The verified records of these assets, by asset, as they stand in the tape; what cannot be read is passed over."""
    chains: dict[str, list[OpenedRecord]] = {asset: [] for asset in assets}
    for chunk in chunks:
        for line in chunk.data.split(b"\n")[:-1]:
            try:
                content = parse_line(line)
                asset, _ = claimed_place(content.jws)
                if asset in chains:
                    opened = open_record(content.jws, keys=judge.keys, disclosures=content.disclosures)
                    chains[str(asset)].append(opened)
            except LedgerError:
                continue
    return chains


def _in_order(chunks: Iterable[Chunk], job: Job, *, jobs: int) -> Iterator[tuple[Chunk, Checked]]:
    if jobs <= 1:
        for chunk in chunks:
            yield chunk, check_chunk(chunk, job)
        return
    with ProcessPoolExecutor(jobs) as pool:
        waiting: deque[tuple[Chunk, Future[Checked]]] = deque()
        for chunk in chunks:
            waiting.append((chunk._replace(data=b""), pool.submit(check_chunk, chunk, job)))
            if len(waiting) > _QUEUED * jobs:
                yield _result(waiting)
        while waiting:
            yield _result(waiting)


def _result(waiting: deque[tuple[Chunk, "Future[Checked]"]]) -> tuple[Chunk, Checked]:
    chunk, future = waiting.popleft()
    return chunk, future.result()


def _check_line(
    line: bytes, at: int, judge: Judge, job: Job, findings: Findings, leaves: list[LoggedRecord]
) -> Link | None:
    """Check a line by itself; its link in the chain, or None where it cannot be read."""
    try:
        content = parse_line(line)
        if content.proof is not None:
            raise NotARecord("A tape holds no proofs.")
    except LineRefused as refusal:
        findings.add(Finding(refusal.code, str(refusal), job.file, byte=at + refusal.byte))
        return None
    try:
        record = open_record(content.jws, keys=judge.keys, disclosures=content.disclosures)
        check_terms(record)
        time_s = recorded_at_s(record)
    except RecordRefused as refusal:
        findings.add(_refused(refusal, line, at, content, job.file))
        return None
    digest = hashlib.sha256(content.jws.encode("ascii"))
    body = record.body
    asset, sequence = body["asset"], body["sequence"]
    fault = judge.fault(record.kid, subject=asset, time_s=time_s, index=content.log_index)
    if fault:
        message = f"The key {record.kid} was not in force for this record."
        findings.add(Finding(fault, message, job.file, asset, sequence, "header", at))
    if job.leaves:
        entry = leaf_of(record, digest=digest.digest())
        leaves.append(LoggedRecord(content.log_index, leaf_hash(entry), asset, sequence, at))
    return link_of(record, digest=digest.hexdigest(), log_index=content.log_index, at=at)


def _refused(refusal: RecordRefused, line: bytes, at: int, content: Line, file: str) -> Finding:
    asset, sequence = claimed_place(content.jws)
    byte = at + place_of(refusal, line, content)
    return Finding(refusal.code, str(refusal), file, asset, sequence, refusal.field, byte)


def _follow(chain: Chain, link: Link | None, file: str, findings: Findings) -> None:
    if link is None:
        chain.lose()
        return
    try:
        chain.follow(link)
    except BrokenChain as broken:
        findings.add(Finding(broken.code, str(broken), file, link.asset, link.sequence, "payload", link.at))


def _behind(head: list[Link | None]) -> Chain:
    """The state of a chain behind the links of a chunk's first asset, which are checked elsewhere."""
    chain = Chain()
    chain.last = next(link for link in reversed(head) if link is not None)
    if head[-1] is None:
        chain.lose()
    return chain
