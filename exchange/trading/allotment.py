"""Who gets what in an auction: strictly by price, ties by a public seed, nothing that a mandate refuses."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

import msgspec

from exchange.pools.rules import Candidate, FreeAsset, WhyNot, price_on, why_not
from exchange.pools.terms import Terms
from exchange.schedules.schedule import split

MOST_PARTS = 49
"""Parts of one asset that an auction sells: one more is what is left of it."""


@dataclass(frozen=True, slots=True)
class Auctioned:
    """What is for sale: assets by lot, highest discount, what of a face is paid, least part (None: lots go whole).

    `rooms` has what each obligor's limit leaves free, in minor units.
    """

    lots: Mapping[int, Sequence[FreeAsset]]
    reserve_bps: int
    advance_bps: int
    least_minor: int | None
    rooms: Mapping[int, int]

    @property
    def assets(self) -> list[FreeAsset]:
        """All of them, lot by lot."""
        return [asset for held in self.lots.values() for asset in held]


@dataclass(frozen=True, slots=True)
class Bid:
    """A bid that is open: `candidate` is its mandate at the discount it names, `amount_minor` the face it wants."""

    bid_id: str
    lot: int
    candidate: Candidate
    discount_bps: int
    amount_minor: int


class Award(NamedTuple):
    """So much of an asset's face goes to a bid."""

    bid_id: str
    asset_id: str
    amount_minor: int


@dataclass(slots=True)
class Allotment:
    """What was given, what is left of each asset, and why bids got nothing: by bid, of (asset, reason)."""

    left_minor: dict[str, int]
    room_minor: dict[int, int]
    awards: list[Award] = field(default_factory=list)
    refusals: dict[str, list[tuple[str, WhyNot]]] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)


def at_discount(terms: Terms, *, discount_bps: int, advance_bps: int) -> Terms:
    """A mandate's terms at an auction's price: its limits stay, its own rates and advance do not count."""
    own = {"base_rate_bps": discount_bps, "grade_spreads_bps": (0,), "advance_bps": advance_bps}
    return msgspec.structs.replace(terms, **own)


def allot(auctioned: Auctioned, bids: Sequence[Bid], *, seed: bytes, today: date) -> Allotment:
    """Serve the bids one after the other, the lowest discount first; equal ones in an order that the seed decides.

    A lot goes whole, or with a least part to several: each bid takes of the lot's assets in their order what is left,
    up to its amount. Nothing goes to a mandate that refuses it, the bids before counted, and nothing beyond what an
    obligor's limit leaves.
    """
    done = Allotment({asset.asset_id: asset.face_minor for asset in auctioned.assets}, dict(auctioned.rooms))
    whole = auctioned.least_minor is None
    for bid in sorted(bids, key=lambda one: (one.discount_bps, _lot(seed, one.bid_id))):
        before = deepcopy(bid.candidate.usage), dict(done.room_minor)
        wanted = _wanted(bid, auctioned.lots[bid.lot], done, least_minor=auctioned.least_minor)
        got, refused = _served(bid, wanted, done, all_or_none=whole, today=today)
        if refused:
            done.refusals[bid.bid_id] = refused
        if whole and refused:
            _put_back(bid.candidate, before[0])
            done.room_minor = before[1]
            continue
        for award in got:
            done.left_minor[award.asset_id] -= award.amount_minor
            done.parts[award.asset_id] = done.parts.get(award.asset_id, 0) + 1
        done.awards += got
    return done


def lot_rates(bids: Sequence[Bid], awards: Sequence[Award]) -> dict[int, int]:
    """The highest discount that won in each lot: what all its winners get where the price is uniform."""
    won = {award.bid_id for award in awards}
    rates: dict[int, int] = {}
    for bid in bids:
        if bid.bid_id in won:
            rates[bid.lot] = max(bid.discount_bps, rates.get(bid.lot, 0))
    return rates


def part_of(asset: FreeAsset, amount_minor: int) -> FreeAsset:
    """What a part of an asset will be like; its instalments to a minor unit."""
    if amount_minor == asset.face_minor or not asset.schedule:
        return replace(asset, face_minor=amount_minor)
    schedule = split(asset.schedule, shares_minor=[amount_minor, asset.face_minor - amount_minor])[0]
    return replace(asset, face_minor=amount_minor, schedule=schedule, due_date=schedule[-1].due_date)


def _wanted(bid: Bid, assets: Sequence[FreeAsset], done: Allotment, *, least_minor: int | None) -> Iterator[FreeAsset]:
    """What of its lot a bid could have: each asset, or the part of it that is left and asked for."""
    if least_minor is None:
        if all(done.left_minor[asset.asset_id] == asset.face_minor for asset in assets):
            yield from assets
        return
    wanted_minor = bid.amount_minor
    for asset in assets:
        amount_minor = min(wanted_minor, done.left_minor[asset.asset_id])
        whole = amount_minor == asset.face_minor
        if whole or (amount_minor >= least_minor and done.parts.get(asset.asset_id, 0) < MOST_PARTS):
            wanted_minor -= amount_minor
            yield part_of(asset, amount_minor)


def _served(
    bid: Bid, wanted: Iterator[FreeAsset], done: Allotment, *, all_or_none: bool, today: date
) -> tuple[list[Award], list[tuple[str, WhyNot]]]:
    got, refused = [], []
    for asset in wanted:
        room_minor = done.room_minor.get(asset.obligor, 0)
        reasons = why_not(bid.candidate, asset, room_minor=room_minor, today=today)
        refused += [(asset.asset_id, why) for why in reasons]
        if reasons and all_or_none:
            return [], refused
        if not reasons:
            price = price_on(bid.candidate.terms, asset, today=today)
            bid.candidate.usage.take(asset, price.price_minor)
            done.room_minor[asset.obligor] = room_minor - asset.face_minor
            got.append(Award(bid.bid_id, asset.asset_id, asset.face_minor))
    return got, refused


def _put_back(candidate: Candidate, usage: object) -> None:
    """Undo in place: bids of one mandate share what it has taken up."""
    for name in candidate.usage.__slots__:
        setattr(candidate.usage, name, getattr(usage, name))


def _lot(seed: bytes, bid_id: str) -> bytes:
    return hashlib.sha256(seed + bid_id.encode()).digest()
