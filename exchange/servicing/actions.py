"""Close a business date: compute each asset's history anew, note what is new in it, withdraw what is not in it."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.orm import Session

from exchange.db import copy_rows
from exchange.errors import NotFound
from exchange.parties.models import Originator
from exchange.services import Services
from exchange.servicing import clocks, effects, rules
from exchange.servicing.effects import Changes, Noted
from exchange.servicing.models import ServicingFact, ServicingPolicy, ServicingTouched, ServicingWithdrawal
from exchange.servicing.rules import Clock, Tag
from exchange.servicing.terms import Terms, check

CANDIDATES = text("""
    SELECT asset_id FROM (
        SELECT root_id, asset_id FROM claim WHERE outstanding_minor > 0 AND due_date = ANY(:dates)
        UNION
        SELECT root_id, asset_id FROM claim
        WHERE outstanding_minor > 0 AND due_date <= :day
          AND (:everything OR (listed_at AT TIME ZONE :zone)::date >= :day - 1)
        UNION
        SELECT root_id, asset_id FROM claim WHERE outstanding_minor > 0 AND schedule_version IS NOT NULL
        UNION
        SELECT root_id, asset_id FROM servicing_touched JOIN claim USING (asset_id) WHERE state <> 'split'
        UNION
        SELECT claim.root_id, claim.asset_id FROM forbearance JOIN claim ON claim.root_id = forbearance.root_id
        WHERE outcome = 'accepted' AND claim.outstanding_minor > 0
    ) AS candidate
    ORDER BY root_id, asset_id
""")
"""Where nothing happened and no day of a policy is met, an asset stands as it stood."""

FACTS = text("""
    SELECT fact.asset_id, fact.business_date, kind, revision, days_past_due, outstanding_minor,
           withdrawal.asset_id IS NOT NULL AS withdrawn
    FROM servicing_fact AS fact
    LEFT JOIN servicing_withdrawal AS withdrawal USING (asset_id, business_date, kind, revision)
    WHERE fact.asset_id = ANY(:ids) AND fact.business_date <= :day ORDER BY asset_id, business_date, kind, revision
""")


def set_policy(
    session: Session,
    *,
    originator_id: str,
    product: str,
    effective_from: date,
    terms: Terms,
    client_id: str,
    today: date,
    now: datetime,
) -> None:
    """Put a version of a policy in force from a day on; '' is every originator, or every product.

    Refuses `terms.PolicyRefused`, and an originator nobody knows (`NotFound`).
    """
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('servicing.policy'))"))
    known = select(Originator.originator_id).where(Originator.originator_id == originator_id)
    if originator_id and session.execute(known).first() is None:
        raise NotFound("There is no such originator.")
    last = select(func.max(ServicingPolicy.effective_from)).where(
        ServicingPolicy.originator_id == originator_id, ServicingPolicy.product == product
    )
    check(terms, effective_from=effective_from, last_from=session.execute(last).scalar_one(), today=today)
    values = {"originator_id": originator_id, "product": product, "effective_from": effective_from}
    session.execute(
        insert(ServicingPolicy).values(terms=msgspec.to_builtins(terms), set_by=client_id, set_at=now, **values)
    )


def assets_to_close(session: Session, *, business_date: date, time_zone: str) -> list[str]:
    """The assets for which `business_date` may mean something."""
    in_force = clocks.policies(session)
    dates: set[date] = set()
    for terms in in_force.terms(business_date):
        dates |= rules.milestones(terms, day=business_date)
    parameters = {
        "dates": sorted(dates),
        "day": business_date,
        "zone": time_zone,
        "everything": in_force.changes_on(business_date),
    }
    return list(session.execute(CANDIDATES, parameters).scalars())


def close_assets(
    session: Session, *, services: Services, asset_ids: Sequence[str], business_date: date, now: datetime
) -> int:
    """Bring the facts of the assets up to a business date: signed from lateness on, and their holders told; how many.

    Whoever closes an earlier day later, or the same day again, finds it done. A claim that changes meanwhile waits.
    """
    clocks.lock(session, asset_ids=asset_ids)
    if services.business_date(now) == business_date:  # a day that is caught up leaves it to today's
        session.execute(delete(ServicingTouched).where(ServicingTouched.asset_id.in_(asset_ids)))
    claims = [
        row
        for row in clocks.claims(session, asset_ids=asset_ids, time_zone=services.settings.time_zone)
        if row.state != "split"
    ]
    at = clocks.clocks(session, rows=claims, in_force=clocks.policies(session))
    known = _known(session, [row.asset_id for row in claims], until=business_date)
    compared = (_compared(row, at[row.asset_id], known.get(row.asset_id, ()), day=business_date) for row in claims)
    changed = [one for one in compared if one.noted or one.withdrawn]
    _store(session, changed, business_date=business_date, now=now)
    effects.tell(session, changed, business_date=business_date, now=now)
    effects.suspend(session, changed, services=services, business_date=business_date, now=now)
    effects.follow(session, changed, business_date=business_date)
    return sum(len(one.noted) for one in changed)


def _known(session: Session, asset_ids: Sequence[str], *, until: date) -> dict[str, list[tuple[Noted, bool]]]:
    """Every fact of the assets, and whether it still stands."""
    found: dict[str, list[tuple[Noted, bool]]] = {}
    for row in session.execute(FACTS, {"ids": list(asset_ids), "day": until}):
        tag = Tag(row.business_date, row.kind, row.days_past_due, row.outstanding_minor)
        found.setdefault(row.asset_id, []).append((Noted(row.asset_id, tag, row.revision), not row.withdrawn))
    return found


def _compared(claim: Any, clock: Clock, known: Iterable[tuple[Noted, bool]], *, day: date) -> Changes:  # noqa: ANN401 - a row
    """What the history of an asset says, against what was noted of it."""
    tags = rules.history(clock, until=day)
    told = {*tags, *rules.reminders(clock, day=day)}
    revisions: dict[tuple[date, str], int] = {}
    standing, untrue = set(), []
    for noted, stands in known:
        place = (noted.tag.day, noted.tag.kind)
        revisions[place] = max(noted.revision, revisions.get(place, 0))
        if not stands:
            continue
        if not rules.is_status(noted.tag.kind):
            standing |= {one for one in told if (one.day, one.kind) == place}  # reminded is reminded
        elif noted.tag in told:
            standing.add(noted.tag)
        else:
            untrue.append(noted)
    fresh = [Noted(claim.asset_id, tag, revisions.get((tag.day, tag.kind), 0) + 1) for tag in sorted(told - standing)]
    return Changes(claim, clock, tags, fresh, untrue)


def _store(session: Session, changed: Sequence[Changes], *, business_date: date, now: datetime) -> None:
    withdrawn = [
        (asset_id, tag.day, tag.kind, revision, business_date, now)
        for one in changed
        for asset_id, tag, revision in one.withdrawn
    ]
    columns = "asset_id business_date kind revision withdrawn_on recorded_at"
    copy_rows(session, ServicingWithdrawal.__tablename__, columns.split(), withdrawn)
    noted = [
        (asset_id, tag.day, tag.kind, revision, tag.days_past_due, tag.outstanding_minor, now)
        for one in changed
        for asset_id, tag, revision in one.noted
    ]
    columns = "asset_id business_date kind revision days_past_due outstanding_minor recorded_at"
    copy_rows(session, ServicingFact.__tablename__, columns.split(), noted)
