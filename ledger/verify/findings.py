"""What a verifier found wrong. It goes on after each fault: a bounded number is kept, all are counted."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, Self

KEPT = 100
"""Findings that are kept in full."""
LONGEST_MESSAGE = 500
"""Characters of a message: what a forger wrote does not fill the screen."""


class Finding(NamedTuple):
    """One fault: a stable code, what it means here, and where.

    `byte` counts from the start of the file, as it reads once unpacked. Whatever does not apply is None.
    """

    code: str
    message: str
    file: str
    asset: str | None = None
    sequence: int | None = None
    field: str | None = None
    byte: int | None = None


class Findings:
    """The first findings in full, and how many there are of each code."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.counts: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self.counts)

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it if it is among the first."""
        self.counts[finding.code] += 1
        if len(self.kept) < KEPT:
            self.kept.append(finding._replace(message=finding.message[:LONGEST_MESSAGE]))

    def merge(self, kept: Iterable[Finding], counts: Counter[str]) -> Self:
        """Take over what another part of the work found."""
        self.kept.extend(list(kept)[: KEPT - len(self.kept)])
        self.counts.update(counts)
        return self
