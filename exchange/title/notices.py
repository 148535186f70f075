"""Tell obligors that their debts were assigned, keep their acknowledgements, and what funders filed."""

from collections.abc import Sequence
from datetime import date, datetime
from hashlib import sha256
from itertools import groupby
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.db import copy_rows
from exchange.errors import Fault, InvalidRequest, NotFound
from exchange.ids import new_id
from exchange.registry.actions import Fact, note_many
from exchange.services import Services
from exchange.title import papers, rules
from exchange.title.models import Filing, Notice, NoticedAsset
from exchange.title.papers import Line, Named
from exchange.title.rules import Refused
from exchange.title.schemas import FilingItem

BOUGHT = text("""
    SELECT receivable.originator_id, receivable.obligor_id, obligor.name AS obligor_name,
           obligor.scheme || ':' || obligor.value AS obligor_number, pool.funder_id, funder.name AS funder,
           claim.asset_id, receivable.invoice_number, holder.name AS holder_name,
           holder.scheme || ':' || holder.value AS holder_number, claim.due_date, claim.outstanding_minor,
           claim.currency
    FROM claim
    JOIN pool ON pool.pool_id = claim.pool_id
    JOIN funder ON funder.funder_id = pool.funder_id
    JOIN receivable ON receivable.asset_id = claim.root_id
    JOIN company AS obligor ON obligor.company_id = receivable.obligor_id
    JOIN company AS holder ON holder.company_id = claim.holder_id
    WHERE claim.pool_id = :pool_id AND claim.state = 'assigned'
      AND NOT EXISTS (SELECT FROM assignment_notice WHERE assignment_notice.pool_id = :pool_id)
    ORDER BY receivable.originator_id, receivable.obligor_id, claim.asset_id
""")

# What the notice names and its funder still has: meanwhile it may have been split or paid off.
NAMED = text("""
    SELECT asset_id FROM claim
    WHERE pool_id = :pool_id AND state = 'assigned' AND root_id IN (
        SELECT root_id FROM noticed_asset JOIN claim ON claim.asset_id = noticed_asset.asset_id
        WHERE notice_id = :notice_id
    )
    ORDER BY asset_id
""")


def give(session: Session, *, services: Services, pool_id: str, today: date, now: datetime) -> None:
    """Make the notices of a purchase, once: one for each obligor and originator, over what is still owed."""
    groups = [
        list(rows)
        for _, rows in groupby(
            session.execute(BOUGHT, {"pool_id": pool_id}), key=lambda row: (row.originator_id, row.obligor_id)
        )
    ]
    notices, named, facts = [], [], []
    for rows in groups:
        first = rows[0]
        purpose = f"{pool_id}/{first.originator_id}/{first.obligor_id}"
        notice_id = new_id("ntc", now=now, entropy=services.entropy, purpose=purpose)
        said = _text(notice_id, rows, today=today)
        digest = sha256(said.encode()).digest()
        amount_minor = sum(row.outstanding_minor for row in rows)
        parties = (first.funder_id, first.originator_id, first.obligor_id, first.currency)
        notices.append((notice_id, pool_id, *parties, len(rows), amount_minor, said, digest, today))
        named += [(notice_id, row.asset_id) for row in rows]
        body = {"notice": notice_id, "digest": digest.hex(), "given_date": today.isoformat()}
        facts += [Fact(row.asset_id, "asset.notice_given", body) for row in rows]
    columns = (
        "notice_id pool_id funder_id originator_id obligor_id currency asset_count amount_minor text digest given_on"
    )
    copy_rows(session, Notice.__tablename__, columns.split(), notices)
    copy_rows(session, NoticedAsset.__tablename__, ("notice_id", "asset_id"), named)
    note_many(session, facts=facts, now=now)


def acknowledge(
    session: Session,
    *,
    caller: Caller,
    notice_id: str,
    acknowledged_on: date,
    evidence: str | None,
    today: date,
    now: datetime,
) -> Notice:
    """Keep an obligor's acknowledgement, from itself or from a platform that has it on paper.

    Refuses `NotFound`, `AlreadyAcknowledged`, `EvidenceNeeded`, and a date before the notice or after today
    (`InvalidRequest`).
    """
    party = Notice.obligor_id if caller.role is Role.OBLIGOR else Notice.originator_id
    query = select(Notice).where(Notice.notice_id == notice_id, party == caller.party_id).with_for_update()
    notice = session.execute(query).scalar_one_or_none()
    if notice is None:
        raise NotFound("There is no such notice.")
    if notice.acknowledged_on is not None:
        raise rules.AlreadyAcknowledged(f"It was acknowledged on {notice.acknowledged_on}.")
    if evidence is None and caller.role is not Role.OBLIGOR:
        raise rules.EvidenceNeeded("Give the SHA-256 of what the obligor signed.")
    _check_date(acknowledged_on, given_on=notice.given_on, today=today)
    notice.acknowledged_on, notice.acknowledged_by = acknowledged_on, caller.client_id
    notice.evidence = bytes.fromhex(evidence) if evidence else None
    session.flush()
    body = {
        "notice": notice_id,
        "digest": notice.digest.hex(),
        "acknowledged_date": acknowledged_on.isoformat(),
        "by": caller.role.value,
    }
    body |= {"evidence": evidence} if evidence else {}
    ids = session.execute(NAMED, {"notice_id": notice_id, "pool_id": notice.pool_id}).scalars()
    facts = [Fact(asset_id, "asset.notice_acknowledged", body) for asset_id in ids]
    note_many(session, facts=facts, now=now)
    return notice


def keep_filings(
    session: Session, *, funder_id: str, items: Sequence[tuple[int, FilingItem]], today: date, now: datetime
) -> dict[int, Refused | None]:
    """Keep the numbers under which a funder filed assets it bought; for each index None, or why not."""
    lock = text("""
        SELECT claim.asset_id FROM claim JOIN pool ON pool.pool_id = claim.pool_id
        WHERE claim.asset_id = ANY(:ids) AND pool.funder_id = :funder_id AND claim.state = 'assigned'
        ORDER BY claim.root_id, claim.asset_id FOR UPDATE OF claim
    """)
    ids = [item.asset_id for _, item in items]
    own = set(session.execute(lock, {"ids": ids, "funder_id": funder_id}).scalars())
    known = {(one.asset_id, one.number) for one in _filings(session, sorted(own), funder_id=funder_id)}
    results: dict[int, Refused | None] = {}
    kept: list[FilingItem] = []
    for index, item in items:
        results[index] = _refused_filing(index, item, own=own, known=known, today=today)
        if results[index] is None:
            known.add((item.asset_id, item.number))
            kept.append(item)
    rows = ((one.asset_id, funder_id, one.number, one.filed_date, one.expires_date, now) for one in kept)
    columns = ("asset_id", "funder_id", "number", "filed_on", "expires_on", "recorded_at")
    copy_rows(session, Filing.__tablename__, columns, rows)
    facts = [
        Fact(
            one.asset_id,
            "asset.filed",
            {
                "number": one.number,
                "filed_date": one.filed_date.isoformat(),
                "expires_date": one.expires_date.isoformat(),
            },
        )
        for one in kept
    ]
    note_many(session, facts=facts, now=now)
    return results


def _text(notice_id: str, rows: Sequence[Any], *, today: date) -> str:
    first = rows[0]
    lines = [
        Line(
            row.asset_id,
            row.invoice_number,
            Named(row.holder_name, row.holder_number),
            row.due_date,
            row.outstanding_minor,
        )
        for row in rows
    ]
    return papers.notice_text(
        notice_id,
        obligor=Named(first.obligor_name, first.obligor_number),
        funder=first.funder,
        currency=first.currency,
        lines=lines,
        given_on=today,
    )


def _check_date(acknowledged_on: date, *, given_on: date, today: date) -> None:
    if not given_on <= acknowledged_on <= today:
        message = f"from {given_on}, when the notice was given, to today, {today}"
        fault = Fault("date_out_of_range", "/acknowledged_date", message, acknowledged_on)
        raise InvalidRequest("The date cannot be.", faults=(fault,))


def _filings(session: Session, asset_ids: Sequence[str], *, funder_id: str) -> Sequence[Filing]:
    query = select(Filing).where(Filing.asset_id.in_(asset_ids), Filing.funder_id == funder_id)
    return session.execute(query).scalars().all()


def _refused_filing(
    index: int, item: FilingItem, *, own: set[str], known: set[tuple[str, str]], today: date
) -> Refused | None:
    at = f"/items/{index}"
    if item.asset_id not in own:
        return rules.not_found(item.asset_id, at)
    if (item.asset_id, item.number) in known:
        return Refused(409, Fault("duplicate_filing", f"{at}/number", "this filing was entered before", item.number))
    if item.filed_date > today:
        message = f"not after today, {today}"
        return Refused(422, Fault("filing_in_future", f"{at}/filed_date", message, item.filed_date))
    if item.expires_date < item.filed_date:
        message = f"not before the filing, {item.filed_date}"
        return Refused(422, Fault("expires_before_filing", f"{at}/expires_date", message, item.expires_date))
    return None
