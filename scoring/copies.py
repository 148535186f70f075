"""Invoices brought twice: under the same number however it is typed, or as nearly the same invoice."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

NEAR_DAYS = 2
NEAR_PERMILLE = 5
"""A near copy differs by at most so many days in its dates, and by so many in a thousand of the larger face."""


@dataclass(frozen=True, order=True)
class Invoice:
    """What can be compared: parties, number, face, days of issue and due, and digests of the papers behind it."""

    day: int
    reference: str
    seller: str
    buyer: str
    number: str
    face_minor: int
    issue_day: int
    due_day: int
    papers: frozenset[str] = frozenset()


@dataclass(frozen=True, order=True)
class Copy:
    """A later invoice, the earliest that it repeats, and how it was recognised."""

    reference: str
    of: str
    how: Literal["number", "paper", "likeness"]


def plain_number(number: str) -> str:
    """Return a number as all clerks would agree: no case, width, separators or leading zeros."""
    letters = "".join(letter for letter in unicodedata.normalize("NFKC", number).upper() if letter.isalnum())
    return letters.lstrip("0")


def copies(invoices: Iterable[Invoice]) -> list[Copy]:
    """Return the invoices that repeat an earlier one of the same seller, in order of day and reference.

    By number: the plain numbers are equal. By paper: the parties are the same, dates and faces are near, and a
    digest is shared. By likeness: the same without a digest, where the papers of one of the two are not known: a
    hint, for a standing order may look like this.
    """
    by_number: dict[tuple[str, str], Invoice] = {}
    by_pair: dict[tuple[str, str], list[Invoice]] = defaultdict(list)
    found = []
    for invoice in sorted(invoices, key=lambda one: (one.day, one.reference)):
        original = by_number.setdefault((invoice.seller, plain_number(invoice.number)), invoice)
        pair = by_pair[invoice.seller, invoice.buyer]
        copy = (
            Copy(invoice.reference, original.reference, "number") if original is not invoice else _near(invoice, pair)
        )
        if copy:
            found.append(copy)
        pair.append(invoice)
    return found


def _near(invoice: Invoice, earlier: list[Invoice]) -> Copy | None:
    """Return the nearest of the earlier invoices of the pair that this one nearly is; a shared paper is nearer."""
    found: list[tuple[bool, int, int, int]] = []
    for at, other in enumerate(earlier):
        apart = abs(invoice.face_minor - other.face_minor)
        days = max(abs(invoice.issue_day - other.issue_day), abs(invoice.due_day - other.due_day))
        if apart * 1_000 > NEAR_PERMILLE * max(invoice.face_minor, other.face_minor) or days > NEAR_DAYS:
            continue
        shared = bool(invoice.papers & other.papers)
        if shared or not (invoice.papers and other.papers):
            found.append((not shared, apart, days, at))
    if not found:
        return None
    no_paper, _, _, at = min(found)
    return Copy(invoice.reference, earlier[at].reference, "likeness" if no_paper else "paper")
