"""What clashed is noted for both sides, and whoever holds the elder claim is told."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.duplicates import rules
from exchange.duplicates.marks import SIMILAR, listed
from exchange.duplicates.rules import Asked, DuplicateReceivable, Verdict

ALERT_JOB = "title.alert"
"""Who is next: whoever holds the asset, or has an offer for it, is told."""

ASSET = "ast_"
MOST_ALERTED = 1_000
"""So many assets go into one piece of work: a flood of look-alikes alerts thousands."""

KINDS = (DuplicateReceivable.code, *SIMILAR)
"""What two claims can have in common, as it is shown: first that one brought the other's own document."""


class Sighting(NamedTuple):
    """A claim that looks like a known one, in what way."""

    known_id: str
    known_holder_id: str
    asked_id: str
    asked_holder_id: str
    kind: str


def note_refused(
    session: Session, *, asked: Sequence[Asked], verdicts: Sequence[Verdict], new: Collection[str], now: datetime
) -> None:
    """Note what was refused against every claim on the invoice, and alert the holders of those that were there before.

    `new` are the claims of the same batch: nobody has bought them yet.
    """
    refused = [(one, verdict) for one, verdict in zip(asked, verdicts, strict=True) if verdict.code]
    if not refused:
        return
    note = text("""
        INSERT INTO clash (known_id, known_holder_id, asked_holder_id, kinds, clashed_at)
        SELECT claim.claim_id, claim.holder_id, asked.holder_id, ARRAY[asked.kind], :now
        FROM unnest(cast(:invoices AS bigint[]), cast(:holders AS text[]), cast(:kinds AS text[]))
             WITH ORDINALITY AS asked(invoice_id, holder_id, kind, place)
        JOIN invoice_claim AS claim ON claim.invoice_id = asked.invoice_id AND claim.state <> 'released'
        ORDER BY asked.place, claim.claim_id
        RETURNING known_id
    """)
    parameters = {
        "now": now,
        "invoices": [verdict.invoice.invoice_id for _, verdict in refused],
        "holders": [one.holder_id for one, _ in refused],
        "kinds": [verdict.code for _, verdict in refused],
    }
    known = session.execute(note, parameters).scalars().all()
    _alert(session, set(known).difference(new), kind="refused")


def note_similar(session: Session, *, sightings: Sequence[Sighting], new: Collection[str], now: datetime) -> None:
    """Note pairs that look like one debt, each once, and alert the holders of those that are not `new`.

    A pair noted before alerts again only when the two have more in common than was known.
    """
    _alert(session, _note_pairs(session, sightings, now=now).difference(new), kind="similar")


def note_taken(session: Session, *, sightings: Sequence[Sighting], now: datetime) -> None:
    """Note that a claim brought what belongs to the invoice of others, and alert the holders of both sides."""
    _alert(session, _note_pairs(session, sightings, now=now), kind="refused")


def _note_pairs(session: Session, sightings: Sequence[Sighting], *, now: datetime) -> set[str]:
    """Note each pair once, with all it has in common; the claims of pairs of which more is known now."""
    if not sightings:
        return set()
    pairs: dict[tuple[str, str], set[str]] = {}
    holders: dict[str, str] = {}
    for one in sightings:
        pairs.setdefault(rules.elder(one.known_id, one.asked_id), set()).add(one.kind)
        holders |= {one.known_id: one.known_holder_id, one.asked_id: one.asked_holder_id}
    note = text("""
        INSERT INTO clash (known_id, known_holder_id, asked_id, asked_holder_id, kinds, clashed_at)
        SELECT known_id, known_holder_id, asked_id, asked_holder_id, string_to_array(kinds, ' '), :now
        FROM unnest(cast(:known AS text[]), cast(:known_holders AS text[]), cast(:asked AS text[]),
                    cast(:asked_holders AS text[]), cast(:kinds AS text[]))
             AS pair(known_id, known_holder_id, asked_id, asked_holder_id, kinds)
        ORDER BY known_id, asked_id
        ON CONFLICT (known_id, asked_id) DO UPDATE
            SET kinds = ARRAY(SELECT kind FROM unnest(cast(:all AS text[])) WITH ORDINALITY AS known(kind, place)
                              WHERE kind = ANY(clash.kinds || excluded.kinds) ORDER BY place)
            WHERE NOT clash.kinds @> excluded.kinds
        RETURNING known_id, asked_id
    """)
    parameters = {
        "now": now,
        "known": listed(known for known, _ in pairs),
        "known_holders": listed(holders[known] for known, _ in pairs),
        "asked": listed(asked for _, asked in pairs),
        "asked_holders": listed(holders[asked] for _, asked in pairs),
        "kinds": [" ".join(kind for kind in KINDS if kind in kinds) for kinds in pairs.values()],
        "all": listed(KINDS),
    }
    return {claim_id for pair in session.execute(note, parameters) for claim_id in pair}


def _alert(session: Session, claim_ids: Iterable[str], *, kind: str) -> None:
    """Have the holders of these assets told, each once; partners learn of a clash when they ask for theirs."""
    asset_ids = sorted(claim_id for claim_id in claim_ids if claim_id.startswith(ASSET))
    for first in range(0, len(asset_ids), MOST_ALERTED):
        payload = {"asset_ids": asset_ids[first : first + MOST_ALERTED], "kind": kind}
        jobs.enqueue(session, job=ALERT_JOB, payload=payload)
