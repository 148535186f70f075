"""Note what is found, hold what has to be held, and keep what people decide."""

from collections.abc import Collection, Sequence
from datetime import date, datetime

import msgspec
import orjson
from sqlalchemy import insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.errors import Fault, InvalidRequest, NotFound
from exchange.ids import new_id
from exchange.reviews import rules
from exchange.reviews.models import ReviewDecision, ReviewItem, ReviewPolicy
from exchange.reviews.rules import Finding, Policy
from exchange.risk import suspensions
from exchange.risk.suspensions import Cause
from exchange.services import Services

SCREEN_JOB, LIST_JOB = "reviews.screen", "pools.list"
"""Who is next: what nothing is held against can be offered to funders."""

ENTER = text("""
    INSERT INTO review_item (item_id, kind, severity, key, company_id, asset_id, evidence, found_on, found_at)
    SELECT item_id, kind, severity, key, company_id, asset_id, cast(evidence AS jsonb), :today, :now
    FROM unnest(cast(:ids AS text[]), cast(:kinds AS text[]), cast(:severities AS text[]), cast(:keys AS text[]),
                cast(:companies AS text[]), cast(:assets AS text[]), cast(:evidence AS text[]))
         AS found(item_id, kind, severity, key, company_id, asset_id, evidence)
    ORDER BY kind, key
    ON CONFLICT (kind, key) DO NOTHING
    RETURNING item_id
""")
BLOCKED = text("""
    SELECT DISTINCT ON (asset_id) asset_id, item.item_id FROM review_item AS item
    LEFT JOIN review_decision AS decided ON decided.item_id = item.item_id
    WHERE asset_id = ANY(:ids) AND severity = 'block' AND coalesce(decision, 'confirmed') = 'confirmed'
    ORDER BY asset_id, item.item_id
""")
HOLD = text("""
    UPDATE claim SET kept_for = held.item_id
    FROM unnest(cast(:assets AS text[]), cast(:items AS text[])) AS held(asset_id, item_id)
    WHERE claim.asset_id = held.asset_id AND claim.state = 'free' AND claim.kept_for IS NULL
""")
FREE = text("UPDATE claim SET kept_for = :other WHERE asset_id = :id AND kept_for = :item_id")
TURN = text("SELECT pg_advisory_xact_lock(hashtext('reviews.policy'))")


def policy_in_force(session: Session) -> tuple[int, Policy]:
    """The policy that counts now, and its version; 0 is the one that comes with the code."""
    row = session.execute(select(ReviewPolicy).order_by(ReviewPolicy.version.desc()).limit(1)).scalar_one_or_none()
    return (0, Policy()) if row is None else (row.version, msgspec.convert(row.terms, Policy))


def put_policy(session: Session, *, policy: Policy, client_id: str, now: datetime) -> int:
    """Put a policy in force; gives its version. Only what is found of an asset can block (`InvalidRequest`)."""
    blocking = [kind for kind in rules.OF_OBLIGORS if policy.severity[kind] == "block"]
    if blocking:
        message = "it is found of an obligor, and only assets are held back"
        faults = tuple(Fault("cannot_block", f"/severity/{kind}", message) for kind in blocking)
        raise InvalidRequest("Only what is found of an asset can block it.", faults=faults)
    session.execute(TURN)
    version = policy_in_force(session)[0] + 1
    terms = msgspec.to_builtins(policy)
    session.execute(insert(ReviewPolicy).values(version=version, terms=terms, set_by=client_id, set_at=now))
    return version


def note(
    session: Session, *, services: Services, policy: Policy, findings: Collection[Finding], today: date, now: datetime
) -> list[str]:
    """Note what is found for the first time, and hold back what it blocks; the ids of what is new."""
    if not findings:
        return []
    _take_turns(session, [one.asset_id for one in findings if one.asset_id])
    found = sorted({(one.kind, one.key): one for one in findings}.values(), key=lambda one: one[:2])
    parameters = {
        "ids": [_new_id(services, one, now) for one in found],
        "kinds": [one.kind for one in found],
        "severities": [policy.severity[one.kind] for one in found],
        "keys": [one.key for one in found],
        "companies": [one.company_id for one in found],
        "assets": [one.asset_id for one in found],
        "evidence": [orjson.dumps(one.evidence).decode() for one in found],
        "today": today,
        "now": now,
    }
    new = list(session.execute(ENTER, parameters).scalars())
    held = blocked(session, asset_ids=[one.asset_id for one in found if one.asset_id])
    if held:
        session.execute(HOLD, {"assets": list(held), "items": list(held.values())})
    return new


def blocked(session: Session, *, asset_ids: Sequence[str]) -> dict[str, str]:
    """Of these assets those that a finding holds back, with the finding: not decided yet, or confirmed."""
    return {row.asset_id: row.item_id for row in session.execute(BLOCKED, {"ids": list(asset_ids)})}


def decide(
    session: Session,
    *,
    services: Services,
    item_id: str,
    decision: str,
    reason: str,
    suspend: bool,
    client_id: str,
    now: datetime,
) -> None:
    """Say what a finding is (`NotFound`, `DecidedAlready`).

    Dismissed, the asset that it held back can be offered, unless something else holds it; confirmed, it stays out, and
    the obligor's limits are suspended where that is asked for.
    """
    item = session.get(ReviewItem, item_id)
    if item is None:
        raise NotFound("There is no such finding.")
    values = {"decision": decision, "reason": reason, "decided_by": client_id, "decided_at": now}
    if item.asset_id is not None:
        _take_turns(session, [item.asset_id])
    row = upsert(ReviewDecision).values(item_id=item_id, **values).on_conflict_do_nothing()
    if session.execute(row.returning(ReviewDecision.item_id)).first() is None:
        raise rules.DecidedAlready("What was said of it before stays.")
    if decision == "dismissed" and item.severity == "block" and item.asset_id is not None:
        other = blocked(session, asset_ids=[item.asset_id]).get(item.asset_id)
        session.execute(FREE, {"id": item.asset_id, "item_id": item_id, "other": other})
        if other is None:
            jobs.enqueue(session, job=SCREEN_JOB, payload={"asset_ids": [item.asset_id]})
    if suspend:
        number = session.execute(NUMBER, {"id": item.company_id}).scalar_one()
        cause = Cause(number, "person", f"{item.kind}: {reason}", services.business_date(now), by=client_id)
        suspensions.suspend(session, services=services, causes=[cause], now=now)


NUMBER = text("SELECT number FROM company WHERE company_id = :id")


def _take_turns(session: Session, asset_ids: Sequence[str]) -> None:
    """Whoever notes or decides something of an asset waits for who does: else each might see the other's as open."""
    lock = text(
        "SELECT pg_advisory_xact_lock(hashtextextended('reviews/' || id, 0)) FROM unnest(cast(:ids AS text[])) AS id"
    )
    session.execute(lock, {"ids": sorted(set(asset_ids))})


def _new_id(services: Services, finding: Finding, now: datetime) -> str:
    return new_id("rvw", now=now, entropy=services.entropy, purpose=f"{finding.kind}/{finding.key}")
