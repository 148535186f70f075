"""Find claims on invoices that look like others: among those in the tables, and among those that came together."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.duplicates import rules
from exchange.duplicates.clashes import Sighting
from exchange.duplicates.marks import joined, listed

MOST_SHOWN = 20
"""So many are looked at for one mark: a thousand alike would each name a thousand."""

KNOWN = text("""
    SELECT asked.place, known.claim_id, known.holder_id
    FROM unnest(cast(:least AS bigint[]), cast(:most AS bigint[]), cast(:invoices AS bigint[]))
         WITH ORDINALITY AS asked(least, most, invoice_id, place)
    CROSS JOIN LATERAL (
        SELECT claim.claim_id, claim.holder_id
        FROM likeness JOIN invoice_claim AS claim ON claim.claim_id = likeness.claim_id
        WHERE likeness.mark = substr(:marks, (16 * asked.place - 15)::int, 16)
          AND likeness.face_minor BETWEEN asked.least AND asked.most
          AND claim.state <> 'released' AND claim.invoice_id <> asked.invoice_id
        ORDER BY claim.claim_id LIMIT :most_shown
    ) AS known
""")


class Suspect(NamedTuple):
    """A claim whose invoice may look like another's; `similar` are kinds and marks, as stored."""

    claim_id: str
    holder_id: str
    invoice_id: int
    face_minor: int
    similar: tuple[tuple[str, bytes], ...]

    def as_json(self) -> list[Any]:
        """As it waits in the list of work."""
        return [*self[:4], [[kind, mark.hex()] for kind, mark in self.similar]]

    @classmethod
    def from_json(cls, values: list[Any]) -> "Suspect":
        """The inverse of `as_json`."""
        claim_id, holder_id, invoice_id, face_minor, similar = values
        marks = tuple((kind, bytes.fromhex(mark)) for kind, mark in similar)
        return cls(claim_id, holder_id, invoice_id, face_minor, marks)


def find(session: Session, *, suspects: Sequence[Suspect], together: bool = True) -> list[Sighting]:
    """What each looks like: up to twenty claims a mark, also those of its own batch where they came `together`."""
    asked = [(one, kind, mark, *rules.reach(kind, one.face_minor)) for one in suspects for kind, mark in one.similar]
    if not asked:
        return []
    parameters = {
        "marks": joined(mark for _, _, mark, _, _ in asked),
        "least": listed(least for *_, least, _ in asked),
        "most": listed(most for *_, most in asked),
        "invoices": listed(one.invoice_id for one, *_ in asked),
        "most_shown": MOST_SHOWN,
    }
    rows: dict[int, list[tuple[str, str]]] = {}
    for place, claim_id, holder_id in session.execute(KNOWN, parameters):
        rows.setdefault(place - 1, []).append((claim_id, holder_id))
    batch = _together(asked) if together else repeat([])
    return [
        Sighting(claim_id, holder_id, one.claim_id, one.holder_id, kind)
        for place, (one, kind, *_) in enumerate(asked)
        for claim_id, holder_id in [*rows.get(place, ()), *next(batch)][:MOST_SHOWN]
    ]


def _together(asked: Sequence[tuple[Suspect, str, bytes, int, int]]) -> Iterator[list[tuple[str, str]]]:
    """For each that asks, those before it in the same batch with its mark and a face in its reach; sorted by face."""
    before: dict[bytes, list[tuple[int, int]]] = {}
    for place, (one, _, mark, least, most) in enumerate(asked):
        others = before.setdefault(mark, [])
        near = others[bisect_left(others, (least, -1)) : bisect_right(others, (most, len(asked)))]
        found = (asked[other][0] for _, other in near)
        yield [(it.claim_id, it.holder_id) for it in found if it.invoice_id != one.invoice_id][:MOST_SHOWN]
        insort(others, (one.face_minor, place))
