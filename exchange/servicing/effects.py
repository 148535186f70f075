"""What follows from facts: they are signed and told, limits are suspended and lifted, others go on from them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.callbacks.actions import Notice, tell_many
from exchange.pools.actions import release
from exchange.registry.actions import Fact, record_many
from exchange.risk import suspensions
from exchange.risk.suspensions import Cause
from exchange.services import Services
from exchange.servicing import rules
from exchange.servicing.rules import Clock, Tag
from exchange.servicing.terms import CURED, LASTING

OFFERS_JOB = "servicing.leave_offers"
NOT_CHARGED_OFF = "charge_off_withdrawn"
FOLLOWERS: dict[str, frozenset[str] | None] = {
    "losses.follow": frozenset({"default", "charge_off", NOT_CHARGED_OFF}),
    "collections.follow": None,
}
"""Who goes on from the facts: of which kinds, or of all that collections follow."""

EVENTS = {"near_breach": "asset.near_breach", CURED: "asset.cured"} | dict.fromkeys(LASTING, "asset.defaulted")
"""As what a holder is told of a fact, where that is not `asset.late`."""

WELL = text("""
    SELECT root_id FROM unnest(cast(:roots AS text[])) AS asked(root_id) WHERE NOT EXISTS (
        SELECT FROM claim
        JOIN LATERAL (
            SELECT kind FROM servicing_fact AS fact
            WHERE fact.asset_id = claim.asset_id AND kind NOT LIKE 'reminder%' AND NOT EXISTS (
                SELECT FROM servicing_withdrawal AS withdrawal
                WHERE withdrawal.asset_id = fact.asset_id AND withdrawal.business_date = fact.business_date
                  AND withdrawal.kind = fact.kind AND withdrawal.revision = fact.revision)
            ORDER BY business_date DESC LIMIT 1
        ) AS last ON last.kind <> 'cured'
        WHERE claim.root_id = asked.root_id AND claim.outstanding_minor > 0
    )
""")
"""Receivables of which no open part is late any more."""


class Noted(NamedTuple):
    """A fact as it is stored: a tag of an asset, the how-manieth of its day and kind."""

    asset_id: str
    tag: Tag
    revision: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What a close changes of one asset: its row, its clock, its history, what is new in it and what is untrue."""

    claim: Any
    clock: Clock
    tags: list[Tag]
    noted: list[Noted]
    withdrawn: list[Noted]


class _Said(NamedTuple):
    """A signed fact, and what its holder is told of it."""

    claim: Any
    kind: str
    body: dict[str, Any]
    event: str
    told: dict[str, Any]


def tell(session: Session, changed: Sequence[Changes], *, business_date: date, now: datetime) -> None:
    """Sign the facts, what is withdrawn first, and tell whoever holds the assets, or held them when they were paid."""
    said = [one for each in changed for one in _said(each, business_date)]
    pending = record_many(session, facts=[Fact(one.claim.asset_id, one.kind, one.body) for one in said], now=now)
    notices = [
        Notice(one.claim.funder_id, one.event, one.told | {"asset_id": one.claim.asset_id}, pending_id)
        for one, pending_id in zip(said, pending, strict=True)
        if one.claim.funder_id is not None
    ]
    tell_many(session, notices=notices, now=now)


def suspend(
    session: Session, changed: Sequence[Changes], *, services: Services, business_date: date, now: datetime
) -> None:
    """Suspend the limits of obligors whose assets came to the stage that asks for it; lift what cured ones did."""
    well = {one.claim.root_id for one in changed if not one.tags or one.tags[-1].kind == CURED}
    if well:
        roots = list(session.execute(WELL, {"roots": sorted(well)}).scalars())
        suspensions.lift_cured(session, root_ids=sorted(roots), day=business_date, now=now)
    causes = [cause for one in changed for cause in _causes(session, one)]
    if causes:
        suspensions.suspend(session, services=services, causes=causes, now=now)
        jobs.enqueue(session, job=OFFERS_JOB, payload={"obligors": sorted({one.obligor for one in causes})})


def follow(session: Session, changed: Sequence[Changes], *, business_date: date) -> None:
    """Hand the facts on to those who go on from them."""
    for job, kinds in FOLLOWERS.items():
        items = [item for one in changed for item in _items(one, kinds)]
        if items:
            jobs.enqueue(session, job=job, payload={"business_date": business_date.isoformat(), "items": items})


def leave_offers(session: Session, *, obligors: Sequence[int], now: datetime) -> None:
    """Take the assets of obligors whose limits are suspended out of offers; one that is bought meanwhile is not."""
    query = text("""
        SELECT claim.asset_id FROM claim
        JOIN receivable ON receivable.asset_id = claim.root_id
        JOIN company ON company.company_id = receivable.obligor_id
        WHERE company.number = ANY(:obligors) AND claim.state IN ('reserved', 'committed')
    """)
    barred = suspensions.suspended(session, obligors=obligors)
    release(session, asset_ids=list(session.execute(query, {"obligors": sorted(barred)}).scalars()), now=now)


def _said(one: Changes, on: date) -> Iterator[_Said]:
    for _, tag, _ in one.withdrawn:  # the old fact is named by its day and kind
        body = {"business_date": tag.day.isoformat(), "tag": tag.kind, "effective_date": on.isoformat()}
        yield _Said(one.claim, "asset.tag_withdrawn", body, "asset.tag_withdrawn", body)
    for _, tag, _ in one.noted:
        if rules.is_status(tag.kind):
            status: dict[str, Any] = {
                "business_date": tag.day.isoformat(),
                "days_past_due": tag.days_past_due,
                "outstanding_minor": tag.outstanding_minor,
            }
            event = EVENTS.get(tag.kind, "asset.late")
            yield _Said(one.claim, f"asset.{tag.kind}", status, event, status | {"stage": tag.kind})


def _causes(session: Session, one: Changes) -> list[Cause]:
    """The suspension of an asset's obligor, and of those under the same control where the policy says so.

    A fact that is only stated anew suspends nothing again.
    """
    restated = {(old.tag.day, old.tag.kind) for old in one.withdrawn}
    fresh = {new.tag for new in one.noted if (new.tag.day, new.tag.kind) not in restated}
    day = rules.suspension_day(one.tags, one.clock, fresh=fresh)
    if day is None:
        return []
    terms, claim = one.clock.terms(day), one.claim
    lifting = (terms.lifting.by, terms.lifting.second_person)
    causes = [Cause(claim.obligor, "stage", terms.suspends_at, day, claim.root_id, *lifting)]
    if terms.suspends_group and claim.controller_id is not None:
        group = text("SELECT number FROM company WHERE controller_id = :controller AND number <> :own ORDER BY number")
        others = session.execute(group, {"controller": claim.controller_id, "own": claim.obligor}).scalars()
        causes += [Cause(number, "group", terms.suspends_at, day, claim.root_id, *lifting) for number in others]
    return causes


def _items(one: Changes, kinds: Collection[str] | None) -> list[Mapping[str, Any]]:
    """What is new of an asset; one whose lateness was withdrawn altogether is as good as cured.

    `fact` names the fact, which may be stated and withdrawn several times.
    """
    facts = [noted for noted in one.noted if rules.is_followed(noted.tag.kind)]
    if one.withdrawn and not one.tags:
        last = one.withdrawn[-1]
        facts.append(last._replace(tag=Tag(last.tag.day, CURED, 0, one.clock.owed_minor(last.tag.day))))
    if kinds is not None and all(tag.kind != "charge_off" for tag in one.tags):
        untrue = [old for old in one.withdrawn if old.tag.kind == "charge_off"]
        facts += [old._replace(tag=old.tag._replace(kind=NOT_CHARGED_OFF)) for old in untrue]
    return [
        {
            "asset_id": one.claim.asset_id,
            "kind": tag.kind,
            "days_past_due": tag.days_past_due,
            "outstanding_minor": tag.outstanding_minor,
            "fact": f"{tag.day}.{revision}",
        }
        for _, tag, revision in facts
        if kinds is None or tag.kind in kinds
    ]
