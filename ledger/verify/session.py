"""One run of the verifier: what it believes, what it has found, and what it can say of each file."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.errors import LedgerError, RecordRefused
from ledger.notes import TreeHead
from ledger.verify.belief import Beliefs
from ledger.verify.findings import Finding, Findings
from ledger.verify.tree import ForkedLog, LogCopy
from ledger.verify.trust import Judge


@dataclass(slots=True)
class FileReport:
    """What was checked in one file: its kind, how much of what, and what the reader should know."""

    file: str
    kind: str
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    undecided: str | None = None


class Progress:
    """Is told what is being done, and how far it is; shows nothing."""

    def begin(self, what: str, *, total: int) -> None:
        """Something of this size begins."""

    def step(self, done: int) -> None:
        """So much of it is done."""

    def end(self) -> None:
        """It is over."""


@dataclass(slots=True)
class Session:
    """What all files of a run share.

    Files told earlier help to judge later ones: `judge` knows the keys of the last of them, `heads` the checkpoints by
    file, `copies` the logs by origin, `entries` the log entries of single records.
    """

    beliefs: Beliefs = field(default_factory=Beliefs)
    jobs: int = 1
    progress: Progress = field(default_factory=Progress)
    findings: Findings = field(default_factory=Findings)
    judge: Judge | None = None
    heads: list[tuple[str, TreeHead]] = field(default_factory=list)
    copies: list[tuple[str, LogCopy]] = field(default_factory=list)
    entries: list[bytes] = field(default_factory=list)
    reports: list[FileReport] = field(default_factory=list)

    def refuse(self, refusal: LedgerError, *, file: str, inside: str | None = None, byte: int | None = None) -> None:
        """Note what a refusal says of a file, or of a file inside of it."""
        where = inside or (refusal.field if isinstance(refusal, RecordRefused) else None)
        self.findings.add(Finding(refusal.code, str(refusal), file, field=where, byte=byte))

    def add_head(self, head: TreeHead, *, file: str) -> int:
        """Compare a checkpoint with those told before and with the logs; gives with how many. Forks are found."""
        compared = 0
        for other_file, other in self.heads:
            if (other.origin, other.size) == (head.origin, head.size):
                compared += 1
                if other.root != head.root:
                    message = f"{other_file} has another root for the same {head.size} entries."
                    self.refuse(ForkedLog(message), file=file)
        for origin, copy in self.copies:
            if origin == head.origin and head.size <= copy.size:
                compared += 1
                try:
                    copy.check_head(head)
                except LedgerError as refusal:
                    self.refuse(refusal, file=file)
        self.heads.append((file, head))
        return compared

    def reporter(self, file: str) -> Callable[[str, str, int], None]:
        """Takes code, message and byte of a fault in a file."""

        def report(code: str, message: str, byte: int) -> None:
            self.findings.add(Finding(code, message, file, byte=byte))

        return report
