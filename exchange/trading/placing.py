"""Free assets placed with mandates outside a round: parted where several share one, judged, pooled and offered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.auth import Caller, Role
from exchange.errors import Fault, InvalidRequest, NotFound
from exchange.funding.actions import offer_pools
from exchange.ids import new_id
from exchange.pools import queries
from exchange.pools.actions import lock_mandates, write_pool
from exchange.pools.rules import Candidate, Match, WhyNot, price_on, why_not
from exchange.risk import limits
from exchange.services import Services
from exchange.title.actions import lock_titles, split
from exchange.title.rules import Refused
from exchange.title.schemas import SplitItem
from exchange.trading import rules

EXCHANGE = Caller("exchange", Role.OPERATOR, None)
"""Who splits what is sold in parts."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What a mandate is to get; `purpose` names it among all placements."""

    purpose: str
    candidate: Candidate
    asset_ids: Sequence[str]


class Placed(NamedTuple):
    """The pool of each purpose that got anything, and why assets were refused."""

    pools: dict[str, str]
    refusals: dict[str, list[WhyNot]]


def candidates_of(session: Session, *, mandate_ids: Sequence[str], now: datetime) -> dict[str, Candidate]:
    """The mandates in force among these, with what they and their funders have taken up."""
    owners = text("SELECT DISTINCT funder_id FROM mandate WHERE mandate_id = ANY(:ids) ORDER BY funder_id")
    funder_ids = session.execute(owners, {"ids": list(mandate_ids)}).scalars().all()
    found = [one for funder_id in funder_ids for one in queries.candidates(session, now=now, funder_id=funder_id)]
    return {one.mandate_id: one for one in found if one.mandate_id in mandate_ids}


def part(
    session: Session,
    *,
    services: Services,
    caller: Caller,
    shares: Mapping[str, Sequence[int]],
    whole_minor: Mapping[str, int],
    today: date,
    now: datetime,
) -> dict[str, list[str]]:
    """Part assets (locked) into shares, and what is left of each; the part of each share, the rest last.

    An asset whose only share is all of it stays as it is.
    """
    parted: dict[str, list[str]] = {}
    items: list[tuple[int, SplitItem]] = []
    for index, (asset_id, amounts) in enumerate(shares.items()):
        rest_minor = whole_minor[asset_id] - sum(amounts)
        wanted = [*amounts, rest_minor] if rest_minor else list(amounts)
        if len(wanted) == 1:
            parted[asset_id] = [asset_id]
        else:
            items.append((index, SplitItem(asset_id, wanted)))
    made = split(session, services=services, caller=caller, items=items, today=today, now=now)
    for index, item in items:
        parts = made[index]
        if isinstance(parts, Refused):
            raise rules.PartRefused("It cannot be parted.", faults=(parts.fault,))
        parted[item.asset_id] = [one.asset_id for one in parts]
    return parted


def place(
    session: Session, *, services: Services, placements: Sequence[Placement], now: datetime, today: date
) -> Placed:
    """Reserve free assets, locked, for mandates, locked too: a pool for each placement, limits used.

    Whatever a mandate refuses as it stands now stays free. What candidates have taken up is counted on.
    """
    asset_ids = [one for placement in placements for one in placement.asset_ids]
    assets = queries.assets(session, asset_ids=asset_ids, today=today)
    lines = {(asset.obligor, asset.currency) for asset in assets.values()}
    rooms = limits.lock_room(session, lines=sorted(lines))
    used: dict[limits.Line, int] = {}
    placed = Placed({}, {})
    for placement in placements:
        candidate, matches = placement.candidate, []
        for asset_id in placement.asset_ids:
            asset = assets[asset_id]
            line = (asset.obligor, asset.currency)
            room_minor = rooms.get(line, 0) - used.get(line, 0)
            reasons = why_not(candidate, asset, room_minor=room_minor, today=today)
            if reasons:
                placed.refusals[asset_id] = reasons
                continue
            price = price_on(candidate.terms, asset, today=today)
            candidate.usage.take(asset, price.price_minor)
            used[line] = used.get(line, 0) + asset.face_minor
            matches.append(Match(asset, candidate.mandate_id, price))
        if matches:
            pool_id = new_id("pol", now=now, entropy=services.entropy, purpose=placement.purpose)
            write_pool(session, candidate, matches, pool_id=pool_id, round_id=None, now=now)
            placed.pools[placement.purpose] = pool_id
    limits.use_room(session, amounts=used, cause="reserved", now=now)
    return placed


def co_fund(
    session: Session,
    *,
    services: Services,
    asset_id: str,
    shares: Sequence[Mapping[str, Any]],
    today: date,
    now: datetime,
) -> list[dict[str, Any]]:
    """Part a free asset among mandates and offer each its share at its own price; the rest stays with its holder.

    Refuses `NotFound`, `InvalidRequest` for more than is owed, `NotForAuction` for an asset that is not free,
    `MandateRefuses` with every reason. All shares are offered or none.
    """
    names = [share["mandate_id"] for share in shares]
    lock_mandates(session, mandate_ids=names)
    title = lock_titles(session, asset_ids=[asset_id]).get(asset_id)
    if title is None:
        raise NotFound("There is no such asset.")
    if title.disputed or title.encumbered_minor or not queries.is_free(session, asset_id=asset_id):
        raise rules.NotForAuction("Only a free asset is parted among funders.", state=title.state)
    amounts = [share["amount_minor"] for share in shares]
    if sum(amounts) > title.outstanding_minor:
        fault = Fault("parts_differ", "/shares", f"not more than is owed, {title.outstanding_minor}", sum(amounts))
        raise InvalidRequest("The shares are more than the asset.", faults=(fault,))
    known = candidates_of(session, mandate_ids=names, now=now)
    if unknown := [at for at, name in enumerate(names) if name not in known]:
        faults = tuple(Fault("not_found", f"/shares/{at}/mandate_id", "no such mandate", names[at]) for at in unknown)
        raise InvalidRequest("There is no such mandate.", faults=faults)
    whole = {asset_id: title.outstanding_minor}
    cut = {asset_id: amounts}
    parted = part(session, services=services, caller=EXCHANGE, shares=cut, whole_minor=whole, today=today, now=now)
    parts = parted[asset_id][: len(names)]
    placements = [Placement(f"{one}/co-funding", known[name], [one]) for one, name in zip(parts, names, strict=True)]
    placed = place(session, services=services, placements=placements, today=today, now=now)
    if placed.refusals:
        told = [(f"/shares/{parts.index(one)}", why) for one, reasons in placed.refusals.items() for why in reasons]
        raise rules.refused_by_mandate(told)
    offer_pools(session, services=services, pool_ids=list(placed.pools.values()), today=today, now=now)
    return [
        {
            "asset_id": one,
            "mandate_id": name,
            "amount_minor": amount_minor,
            "pool_id": placed.pools[f"{one}/co-funding"],
        }
        for one, name, amount_minor in zip(parts, names, amounts, strict=True)
    ]
