"""Claim shares of invoices, many at a time, and give them back.

All platforms meet on the rows of `invoice`, locked in the order of their marks: whoever is first has its share, and the
shares never exceed the face. The same statements are made whatever the answer will be.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.duplicates import clashes, rules, similar
from exchange.duplicates.clashes import Sighting
from exchange.duplicates.marks import joined, listed
from exchange.duplicates.rules import Asked, Invoice, Verdict
from exchange.duplicates.similar import Suspect
from exchange.entropy import Entropy
from exchange.errors import NotFound
from exchange.ids import new_id

SCREEN_JOB = "duplicates.screen"
"""Looks again for likenesses that concurrent batches could not see of each other."""


class Answer(NamedTuple):
    """What became of one that asked: its claim, or a code why not.

    `similar` are claims of its own holder that look like it, `elsewhere` the kinds of likeness to claims of others and
    how many there are.
    """

    claim_id: str | None
    code: str | None = None
    free_minor: int | None = None
    similar: tuple[str, ...] = ()
    elsewhere: tuple[tuple[str, int], ...] = ()


def claim(
    session: Session,
    *,
    asked: Sequence[Asked],
    prefix: str,
    now: datetime,
    entropy: Entropy,
    consumed: bool = False,
) -> list[Answer]:
    """Claim what is free, each by itself, the first of equal ones first; an answer for each, in order.

    Ids begin with `prefix`. What is `consumed` was paid before it came here: nobody can finance it any more.
    """
    if not asked:
        return []
    alone = is_alone(session)
    verdicts = _judge(session, asked)
    claim_ids = [
        None if verdict.code else _name(one, verdict.ordinal, prefix=prefix, now=now, entropy=entropy)
        for one, verdict in zip(asked, verdicts, strict=True)
    ]
    suspects = [
        Suspect(claim_id, one.holder_id, verdict.invoice.invoice_id, one.face_minor, one.marks.similar)
        for one, verdict, claim_id in zip(asked, verdicts, claim_ids, strict=True)
        if claim_id and one.marks.similar
    ]
    sightings = similar.find(session, suspects=suspects)
    _store(session, asked, verdicts, claim_ids, now=now, consumed=consumed)
    remember(session, suspects)
    new = {claim_id for claim_id in claim_ids if claim_id}
    clashes.note_refused(session, asked=asked, verdicts=verdicts, new=new, now=now)
    clashes.note_similar(session, sightings=sightings, new=new, now=now)
    if suspects and not alone:
        screen_later(session, suspects)
    seen: dict[str, list[Sighting]] = {}
    for sighting in sightings:
        seen.setdefault(sighting.asked_id, []).append(sighting)
    return [
        Answer(claim_id, verdict.code, verdict.free_minor, *told(seen.get(claim_id or "", ()), one.holder_id))
        for one, verdict, claim_id in zip(asked, verdicts, claim_ids, strict=True)
    ]


def is_alone(session: Session) -> bool:
    """Whether nobody else is entering likenesses now: what follows sees all, and is seen by whoever comes after."""
    return bool(session.execute(text("SELECT pg_try_advisory_xact_lock(hashtext('duplicates.claim'))")).scalar_one())


def screen_later(session: Session, suspects: Sequence[Suspect]) -> None:
    """Have these looked at again, for likenesses to what others were entering meanwhile."""
    jobs.enqueue(session, job=SCREEN_JOB, payload={"suspects": [one.as_json() for one in suspects]})


def release_claims(session: Session, *, claim_ids: Sequence[str], now: datetime) -> None:
    """What was refused or void never was: its share of the invoice is free again. Claims that have ended stay so."""
    lock(session, claim_ids)
    release = text("""
        WITH ended AS (
            UPDATE invoice_claim SET state = 'released', ended_at = :now
            WHERE claim_id = ANY(:ids) AND state = 'live' RETURNING invoice_id, amount_minor
        )
        UPDATE invoice SET claimed_minor = claimed_minor - freed.amount
        FROM (SELECT invoice_id, sum(amount_minor)::bigint AS amount FROM ended GROUP BY invoice_id) AS freed
        WHERE invoice.invoice_id = freed.invoice_id
    """)
    session.execute(release, {"ids": list(claim_ids), "now": now})


def consume_claims(session: Session, *, claim_ids: Sequence[str], now: datetime) -> None:
    """What was repaid stays claimed for ever: a paid invoice is not financed again."""
    lock(session, claim_ids)
    consume = text("""
        UPDATE invoice_claim SET state = 'consumed', ended_at = :now WHERE claim_id = ANY(:ids) AND state = 'live'
    """)
    session.execute(consume, {"ids": list(claim_ids), "now": now})


def reduce_claims(session: Session, *, reductions: Mapping[str, int]) -> None:
    """Take off live claims, by id, what was credited or corrected away, in minor units; at most all of it.

    That part of the invoice is owed to nobody any more, so it is not free for others either.
    """
    amounts = {claim_id: amount for claim_id, amount in reductions.items() if amount > 0}
    lock(session, list(amounts))
    reduce = text("""
        WITH reduced AS (
            UPDATE invoice_claim AS claim SET amount_minor = claim.amount_minor - least(claim.amount_minor, less.amount)
            FROM unnest(cast(:ids AS text[]), cast(:amounts AS bigint[])) AS less(claim_id, amount)
            JOIN invoice_claim AS before ON before.claim_id = less.claim_id
            WHERE claim.claim_id = less.claim_id AND claim.state = 'live'
            RETURNING claim.invoice_id, before.amount_minor - claim.amount_minor AS amount
        ), total AS (SELECT invoice_id, sum(amount)::bigint AS amount FROM reduced GROUP BY invoice_id)
        UPDATE invoice SET claimed_minor = claimed_minor - amount, credited_minor = credited_minor + amount
        FROM total WHERE invoice.invoice_id = total.invoice_id
    """)
    session.execute(reduce, {"ids": list(amounts), "amounts": list(amounts.values())})


def end_claim(session: Session, *, claim_id: str, holder_id: str, repaid: bool, now: datetime) -> None:
    """End a partner's claim; refuses what is not its own (`NotFound`) and what has ended (`ClaimEnded`)."""
    lock(session, [claim_id])
    query = text("SELECT state FROM invoice_claim WHERE claim_id = :id AND holder_id = :holder_id")
    state = session.execute(query, {"id": claim_id, "holder_id": holder_id}).scalar_one_or_none()
    if state is None:
        raise NotFound("There is no such claim.")
    if state != "live":
        raise rules.ClaimEnded(f"The claim is {state}.")
    (consume_claims if repaid else release_claims)(session, claim_ids=[claim_id], now=now)


def screen(session: Session, *, suspects: Sequence[Suspect], now: datetime) -> None:
    """Look once more for likenesses of claims that were entered while others were.

    It waits for those that were under way when this began: of any two, one now sees the other.
    """
    session.execute(text("SELECT pg_advisory_xact_lock_shared(hashtext('duplicates.claim'))"))
    sightings = similar.find(session, suspects=suspects)
    clashes.note_similar(session, sightings=sightings, new=(), now=now)


def meter(session: Session, *, partner_id: str, count: int, today: date) -> None:
    """Count the invoices a partner asks about today; refuses too many (`TooManyQuestions`)."""
    add = text("""
        INSERT INTO partner_day (partner_id, business_date, asked) VALUES (:partner_id, :today, :count)
        ON CONFLICT (partner_id, business_date) DO UPDATE SET asked = partner_day.asked + :count RETURNING asked
    """)
    asked = session.execute(add, {"partner_id": partner_id, "today": today, "count": count}).scalar_one()
    rules.check_asked(asked)


def _name(one: Asked, ordinal: int, *, prefix: str, now: datetime, entropy: Entropy) -> str:
    purpose = f"{one.purpose}/{ordinal}" if ordinal else one.purpose
    return new_id(prefix, now=now, entropy=entropy, purpose=purpose)


def _judge(session: Session, asked: Sequence[Asked]) -> list[Verdict]:
    """What becomes of each, and the rows of invoices and documents brought to where that leaves them."""
    invoices, written = _lock_invoices(session, asked)
    owners, bound = _lock_documents(session, asked, invoices)
    verdicts = [rules.judge(one, invoice=invoices[one.marks.invoice], owners=owners) for one in asked]
    _write_invoices(session, [one for one in invoices.values() if _values(one) != written[one.invoice_id]])
    moved = {mark: owners.get(mark) for mark, invoice_id in bound.items() if _id(owners.get(mark)) != invoice_id}
    _write_documents(session, moved)
    return verdicts


def _lock_invoices(
    session: Session, asked: Sequence[Asked]
) -> tuple[dict[bytes, Invoice], dict[int, tuple[object, ...]]]:
    """The invoices as they stand, by mark, locked until the end; and what is written of each, by id.

    One nobody knew is entered as if its first claim were granted: mostly it is, and then nothing is left to write.
    """
    first = {one.marks.invoice: one for one in reversed(asked)}
    enter = text("""
        INSERT INTO invoice (mark, currency, face_minor, claimed_minor, credited_minor, claims)
        SELECT substr(:marks, (16 * place - 15)::int, 16) AS mark, currency, face, amount, 0, 1
        FROM unnest(cast(:currencies AS text[]), cast(:faces AS bigint[]), cast(:amounts AS bigint[]))
             WITH ORDINALITY AS asked(currency, face, amount, place)
        ORDER BY mark
        ON CONFLICT (mark) DO UPDATE SET claims = invoice.claims
        RETURNING mark, invoice_id, currency, face_minor, claimed_minor, credited_minor, claims, xmax = 0 AS fresh
    """)
    parameters = {
        "marks": joined(first),
        "currencies": listed(one.currency for one in first.values()),
        "faces": listed(one.face_minor for one in first.values()),
        "amounts": listed(one.amount_minor for one in first.values()),
    }
    invoices, written = {}, {}
    for mark, invoice_id, *values, fresh in session.execute(enter, parameters):
        written[invoice_id] = tuple(values)
        known = values[:2] if fresh else values
        invoices[bytes(mark)] = Invoice(invoice_id, *known)
    return invoices, written


def _lock_documents(
    session: Session, asked: Sequence[Asked], invoices: Mapping[bytes, Invoice]
) -> tuple[dict[bytes, Invoice], dict[bytes, int]]:
    """Whose each document was, locked until the end; and whose it is as written."""
    first = {mark: invoices[one.marks.invoice].invoice_id for one in reversed(asked) for mark in one.marks.documents}
    if not first:
        return {}, {}
    enter = text("""
        INSERT INTO invoice_document (mark, invoice_id)
        SELECT substr(:marks, (16 * place - 15)::int, 16) AS mark, invoice_id
        FROM unnest(cast(:ids AS bigint[])) WITH ORDINALITY AS asked(invoice_id, place)
        ORDER BY mark
        ON CONFLICT (mark) DO UPDATE SET invoice_id = invoice_document.invoice_id
        RETURNING mark, invoice_id, xmax = 0 AS fresh
    """)
    rows = session.execute(enter, {"marks": joined(first), "ids": listed(first.values())}).all()
    known = {one.invoice_id: one for one in invoices.values()}
    known |= load_invoices(session, {row.invoice_id for row in rows} - known.keys())
    bound = {bytes(mark): invoice_id for mark, invoice_id, _ in rows}
    return {bytes(mark): known[invoice_id] for mark, invoice_id, fresh in rows if not fresh}, bound


def load_invoices(session: Session, invoice_ids: Iterable[int]) -> dict[int, Invoice]:
    """Invoices by id, as they stand at this moment."""
    query = text("""
        SELECT invoice_id, currency, face_minor, claimed_minor, credited_minor, claims FROM invoice
        WHERE invoice_id = ANY(:ids)
    """)
    return {row.invoice_id: Invoice(*row) for row in session.execute(query, {"ids": sorted(invoice_ids)})}


def _write_invoices(session: Session, invoices: Sequence[Invoice]) -> None:
    if not invoices:
        return
    update = text("""
        UPDATE invoice SET currency = new.currency, face_minor = new.face, claimed_minor = new.claimed,
                           credited_minor = new.credited, claims = new.claims
        FROM unnest(cast(:ids AS bigint[]), cast(:currencies AS text[]), cast(:faces AS bigint[]),
                    cast(:claimed AS bigint[]), cast(:credited AS bigint[]), cast(:claims AS int[]))
             AS new(invoice_id, currency, face, claimed, credited, claims)
        WHERE invoice.invoice_id = new.invoice_id
    """)
    columns = zip(*(_values(one) for one in invoices), strict=True)
    names = ("currencies", "faces", "claimed", "credited", "claims")
    values = dict(zip(names, map(listed, columns), strict=True))
    session.execute(update, values | {"ids": listed(one.invoice_id for one in invoices)})


def _write_documents(session: Session, moved: Mapping[bytes, Invoice | None]) -> None:
    """Give documents to the invoices whose they are now; what a refused one named is nobody's."""
    if not moved:
        return
    free = text("DELETE FROM invoice_document WHERE mark = ANY(:marks)")
    session.execute(free, {"marks": [mark for mark, owner in moved.items() if owner is None]})
    give = text("""
        UPDATE invoice_document SET invoice_id = new.invoice_id
        FROM unnest(cast(:marks AS bytea[]), cast(:ids AS bigint[])) AS new(mark, invoice_id)
        WHERE invoice_document.mark = new.mark
    """)
    given = {mark: owner.invoice_id for mark, owner in moved.items() if owner is not None}
    session.execute(give, {"marks": list(given), "ids": list(given.values())})


def _store(
    session: Session,
    asked: Sequence[Asked],
    verdicts: Sequence[Verdict],
    claim_ids: Sequence[str | None],
    *,
    now: datetime,
    consumed: bool,
) -> None:
    granted = [
        (claim_id, one, verdict.invoice.invoice_id)
        for claim_id, one, verdict in zip(claim_ids, asked, verdicts, strict=True)
        if claim_id is not None
    ]
    enter = text("""
        INSERT INTO invoice_claim (claim_id, invoice_id, holder_id, amount_minor, state, claimed_at, ended_at)
        SELECT claim_id, invoice_id, holder_id, amount_minor, :state, :now, cast(:ended_at AS timestamptz)
        FROM unnest(cast(:ids AS text[]), cast(:invoices AS bigint[]), cast(:holders AS text[]),
                    cast(:amounts AS bigint[]))
             AS granted(claim_id, invoice_id, holder_id, amount_minor)
    """)
    parameters = {
        "state": "consumed" if consumed else "live",
        "now": now,
        "ended_at": now if consumed else None,
        "ids": listed(claim_id for claim_id, _, _ in granted),
        "invoices": listed(invoice_id for _, _, invoice_id in granted),
        "holders": listed(one.holder_id for _, one, _ in granted),
        "amounts": listed(one.amount_minor for _, one, _ in granted),
    }
    session.execute(enter, parameters)


def remember(session: Session, suspects: Sequence[Suspect]) -> None:
    """Keep by what claims look like others; what is kept already stays."""
    rows = [(mark, one.claim_id, one.face_minor) for one in suspects for _, mark in one.similar]
    enter = text("""
        INSERT INTO likeness (mark, claim_id, face_minor)
        SELECT substr(:marks, (16 * place - 15)::int, 16), claim_id, face_minor
        FROM unnest(cast(:ids AS text[]), cast(:faces AS bigint[]))
             WITH ORDINALITY AS marked(claim_id, face_minor, place)
        ON CONFLICT DO NOTHING
    """)
    parameters = {
        "marks": joined(mark for mark, _, _ in rows),
        "ids": listed(claim_id for _, claim_id, _ in rows),
        "faces": listed(face_minor for _, _, face_minor in rows),
    }
    session.execute(enter, parameters)


def told(sightings: Iterable[Sighting], holder_id: str) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
    """What a holder may know of likenesses: which of its own, and of the others' only kinds and how many."""
    own: list[str] = []
    elsewhere: dict[str, int] = {}
    for one in sightings:
        if one.known_holder_id == holder_id:
            own.append(one.known_id)
        else:
            elsewhere[one.kind] = elsewhere.get(one.kind, 0) + 1
    return tuple(sorted(list(dict.fromkeys(own))[: similar.MOST_SHOWN])), tuple(elsewhere.items())


def lock(session: Session, claim_ids: Sequence[str]) -> None:
    """Lock the invoices of these claims, in the order of their marks, as claiming does."""
    query = text("""
        SELECT FROM invoice WHERE invoice_id IN (SELECT invoice_id FROM invoice_claim WHERE claim_id = ANY(:ids))
        ORDER BY mark FOR UPDATE
    """)
    session.execute(query, {"ids": list(claim_ids)})


def _values(one: Invoice) -> tuple[object, ...]:
    """What is written of an invoice, as it stands."""
    return (one.currency, one.face_minor, one.claimed_minor, one.credited_minor, one.claims)


def _id(owner: Invoice | None) -> int | None:
    return None if owner is None else owner.invoice_id
