"""What people write differently and mean the same: references inside a text, names of companies, account numbers."""

import re
import unicodedata
from collections.abc import Iterator

from exchange.banking.statement import Line

SHORTEST_REFERENCE = 4
LONGEST_RUN = 4
"""A reference may be broken into so many pieces by blanks or punctuation."""
MOST_PIECES = 400

_SPLIT = re.compile(r"[^\w]+|_+")
_LEGAL = re.compile(
    r"(股份有限公司|有限责任公司|有限公司|集团公司|集团|公司)$|"
    r"\b(co|company|corp|corporation|inc|incorporated|ltd|limited|llc|plc|gmbh|ag|kg|sa|sarl|srl|spa|bv|nv|pte|pty|oy|ab|as)\b"
)


def reference(text: str) -> str:
    """A reference without case, width, blanks and punctuation."""
    return _SPLIT.sub("", _folded(text))


def company(name: str) -> str:
    """A company's name without case, width, punctuation and legal form."""
    folded = _SPLIT.sub(" ", _folded(name)).strip()
    bare = _LEGAL.sub(" ", folded)
    while (shorter := _LEGAL.sub(" ", bare).strip()) != bare:
        bare = shorter
    return "".join(bare.split()) or "".join(folded.split())


def account(number: str) -> str:
    """An account number without blanks and case."""
    return "".join(number.split()).upper()


def references(line: Line) -> Iterator[str]:
    """Every reference the line may mean: structured ones whole, then each run of pieces of its text, long ones first.

    A piece of text counts when it has a digit and is not too short to mean something.
    """
    structured = dict.fromkeys(reference(one) for one in (*line.references, line.end_to_end_id))
    yield from filter(None, structured)
    pieces = [piece for piece in _SPLIT.split(_folded(line.remittance)) if piece][:MOST_PIECES]
    for start in range(len(pieces)):
        for count in range(min(LONGEST_RUN, len(pieces) - start), 0, -1):
            run = "".join(pieces[start : start + count])
            if (
                len(run) >= SHORTEST_REFERENCE
                and any(character.isdigit() for character in run)
                and run not in structured
            ):
                yield run


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
