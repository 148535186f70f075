"""What a round takes in, frozen, and the market that clearing makes of it.

Whether an asset fits a mandate is decided by the mandates' own rules (`exchange.pools.rules`); in the market it is the
asset's `product`: assets that the same mandates take are one kind. A rate for each grade and tenor that there is makes
the market's `grade`. Discounts by another day count than ACT/360 are rounded down there, so that no price is too low.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from exchange.clearing.market import (
    FINANCED,
    LARGEST_MINOR,
    MOST_FACE,
    MOST_WORTH,
    Average,
    Cap,
    Flags,
    Ints,
    Mandates,
    Market,
    Receivables,
    Share,
)
from exchange.clearing.pairs import blocks
from exchange.clearing.rows import Rows
from exchange.pools.rules import Candidate, FreeAsset, Key, Taken, Usage, columns_of, fits, key_of, over_share
from exchange.pools.terms import BPS, KEYS, PERMILLE, YEARS, Terms
from ledger.encoding import base64url

MONEY_YEAR = 360
PD_STEP_PPM = 10
"""Averages of PD are reckoned in steps of so many ppm, rounded up."""
LEAST_FINANCED = 1


class FrozenMandate(Struct, frozen=True):
    """A mandate's version in force at the cut-off, what it had taken up (by, key, price, face), its funder's cash."""

    mandate_id: str
    version: int
    funder_id: str
    terms: Terms
    cash_minor: int
    total: tuple[int, int]
    taken: tuple[tuple[str, Any, int, int], ...]

    @property
    def candidate(self) -> Candidate:
        """As the rules take it."""
        by_key: dict[Key, Taken] = {(by, key): Taken(price, face) for by, key, price, face in self.taken}
        usage = Usage(self.cash_minor, Taken(*self.total), by_key)
        return Candidate(self.mandate_id, self.version, self.funder_id, self.terms, usage)


class Inputs(Struct, frozen=True):
    """One currency of a round at its cut-off. Rooms are what limits leave: by obligor, and by group."""

    currency: str
    today: date
    seed: str
    assets: tuple[FreeAsset, ...]
    mandates: tuple[FrozenMandate, ...]
    rooms: tuple[tuple[int, int], ...]
    group_rooms: tuple[tuple[str, int], ...]

    def room_of(self, asset: FreeAsset) -> int:
        """What the limits of an asset's obligor and its group left for it."""
        own = dict(self.rooms).get(asset.obligor, 0)
        return min(own, dict(self.group_rooms).get(asset.obligor_group, own))

    def to_bytes(self) -> bytes:
        """The bytes that are kept."""
        return msgspec.json.encode(self)


@dataclass(frozen=True, slots=True)
class Stated:
    """A market, and what its numbers stand for: `assets` are what any mandate could take and can be reckoned with.

    `eligible` counts what fits a mandate, whether or not limits leave room for it.
    """

    market: Market
    assets: list[FreeAsset]
    candidates: list[Candidate]
    keys: dict[str, list[Any]]
    eligible: int


def frozen(candidate: Candidate) -> FrozenMandate:
    """A candidate as it is kept; by keys in a fixed order."""
    usage = candidate.usage
    taken = [(by, key, *sums) for (by, key), sums in usage.by_key.items()]
    return FrozenMandate(
        candidate.mandate_id,
        candidate.version,
        candidate.funder_id,
        candidate.terms,
        usage.cash_minor,
        (usage.total.price_minor, usage.total.face_minor),
        tuple(sorted(taken, key=lambda row: (row[0], str(row[1])))),
    )


def inputs_of(data: bytes) -> Inputs:
    """What was frozen."""
    return msgspec.json.decode(data, type=Inputs)


def digest_of(data: bytes) -> str:
    """SHA-256, base64url."""
    return base64url(hashlib.sha256(data).digest())


def market_of(inputs: Inputs) -> Stated:
    """The market of a currency."""
    candidates = [mandate.candidate for mandate in inputs.mandates]
    everything = list(inputs.assets)
    columns = columns_of(everything, today=inputs.today)
    taken = np.zeros((len(everything), len(candidates)), dtype=np.bool_)
    for place, one in enumerate(candidates):
        taken[:, place] = fits(one.terms, everything, columns, today=inputs.today)
    tenors: Ints = columns["tenor_days"]
    codes, rates = _rates(candidates, [asset.grade for asset in everything], tenors)
    ask = np.where(taken, rates.T[codes], 0).max(axis=1, initial=0)
    held = _Held(everything, taken, np.maximum(columns["earning_days"], 0), codes, ask, columns["pd_ppm"])
    stated = _stated(inputs, candidates, held, rates)
    some, possible = held.countable(), _possible(stated.market)
    if np.array_equal(possible, taken[some]):
        return stated
    taken[:] = False
    taken[some] = possible
    return replace(_stated(inputs, candidates, held, rates), eligible=stated.eligible)


def _stated(inputs: Inputs, candidates: list[Candidate], held: "_Held", rates: Ints) -> Stated:
    some = held.countable()
    assets = [held.assets[place] for place in some.tolist()]
    keys: dict[str, list[Any]] = {}
    coded: dict[str, Ints] = {}
    for by in KEYS:
        keys[by], coded[by] = _coded([key_of(asset, by) for asset in assets])
    kind, takes = _kinds(held.taken[some])
    receivables = held.receivables(some, coded, kind=kind)
    mandates = _mandates(candidates, rates, takes)
    limits = _Limits(candidates, keys)
    caps = [*limits.caps(), *_rooms(inputs, keys, len(candidates), assets)]
    market = Market(receivables, mandates, tuple(caps), limits.shares(), _averages(candidates))
    return Stated(market, assets, candidates, keys, len(assets))


def _possible(market: Market) -> Flags:
    """[receivable, mandate]: whether anything of it, alone, keeps every cap, and none of it is of a share used up.

    What no placement can have would only loosen the bound, and cost the solver its time.
    """
    rows, held = Rows(market), market.receivables
    upto = 1 + len(market.caps)
    possible = np.zeros((len(held), len(market.mandates)), dtype=np.bool_)
    for _, pairs in blocks(market):
        face = held.face[pairs.receivable]
        least = np.maximum(1, market.mandates.smallest[pairs.mandate])
        amount = np.where(held.split[pairs.receivable], np.minimum(face, least), face)
        keeps = (rows.weights(pairs, amount)[:, :upto] <= rows.limit[rows.indices(pairs)[:, :upto]]).all(axis=1)
        for share in market.shares:
            keeps &= share.permille[pairs.mandate, held.keys[share.key][pairs.receivable]] > 0
        possible[pairs.receivable[keeps], pairs.mandate[keeps]] = True
    return possible


@dataclass(frozen=True, slots=True)
class _Held:
    """All assets of the inputs, whom they fit, and `ask`, the highest rate at which one does: less is saved."""

    assets: Sequence[FreeAsset]
    taken: Flags
    tenor: Ints
    code: Ints
    ask: Ints
    pd_ppm: Ints

    def countable(self) -> Ints:
        """Those that fit anybody, but for the largest ones that 64-bit integers have no room for."""
        face = np.array([asset.face_minor for asset in self.assets], dtype=np.int64)
        worth = face.astype(float) * (FINANCED + self.ask * self.tenor)
        some = np.flatnonzero(self.taken.any(axis=1) & (worth < MOST_WORTH / 2))
        smallest_first = some[np.argsort(face[some], kind="stable")]
        room = np.cumsum(face[smallest_first].astype(float)) < MOST_FACE / 2
        return np.sort(smallest_first[room])

    def receivables(self, some: Ints, keys: dict[str, Ints], *, kind: Ints) -> Receivables:
        """As clearing takes them."""
        assets = [self.assets[place] for place in some.tolist()]
        nothing = np.zeros(len(some), np.int64)
        return Receivables(
            face=np.array([asset.face_minor for asset in assets], dtype=np.int64),
            tenor=self.tenor[some],
            grade=self.code[some],
            product=kind,
            sector=nothing,
            currency=nothing,
            ask=self.ask[some],
            recourse=np.ones(len(some), np.bool_),
            split=np.array([asset.divisible and not asset.schedule for asset in assets], dtype=np.bool_),
            keys=keys,
            measures={"pd": -(-self.pd_ppm[some] // PD_STEP_PPM), "tenor": self.tenor[some]},
        )


class _Limits:
    """The mandates' own limits, less what they have taken up."""

    def __init__(self, candidates: Sequence[Candidate], keys: dict[str, list[Any]]) -> None:
        self._candidates, self._keys = candidates, keys
        self._own = np.arange(len(candidates))

    def caps(self) -> list[Cap]:
        """Amounts: of price, but for a pool's largest size."""
        funders, funder = _coded([one.funder_id for one in self._candidates])
        cash = {one.funder_id: one.usage.cash_minor for one in self._candidates}
        budget = [one.terms.budget_minor - one.usage.total.price_minor for one in self._candidates]
        caps = [
            Cap("budget", self._own, _amounts(budget)[:, None], of_price=True),
            Cap("cash", funder, _amounts([cash[one] for one in funders])[:, None], of_price=True),
            self._cap("obligor_cap", "obligor", lambda terms: terms.obligor_cap_minor),
            self._cap("seller_cap", "seller", lambda terms: terms.seller_cap_minor),
        ]
        if any(one.terms.max_pool_minor is not None for one in self._candidates):
            largest = [_most(one.terms.max_pool_minor) for one in self._candidates]
            caps.append(Cap("max_pool", self._own, _amounts(largest)[:, None]))
        return caps + [
            self._cap(f"{by}_amount", by, partial(_limit, by=by, name="most_minor"))
            for by in KEYS
            if any(limit.most_minor is not None for limit in self._limits(by))
        ]

    def shares(self) -> tuple[Share, ...]:
        """Shares of each pool; none of what has more than its share already."""
        found = []
        for by in KEYS:
            if all(limit.most_permille is None for limit in self._limits(by)):
                continue
            keys = self._keys[by]
            permille = np.full((len(self._candidates), len(keys)), PERMILLE, dtype=np.int64)
            for place, one in enumerate(self._candidates):
                most = _limit(one.terms, by=by, name="most_permille")
                if most is not None:
                    permille[place] = [
                        PERMILLE if key is None else 0 if over_share(one.usage, (by, key), most) else most
                        for key in keys
                    ]
            found.append(Share(f"{by}_share", by, permille))
        return tuple(found)

    def _cap(self, name: str, by: str, limit_of: Callable[[Terms], int | None]) -> Cap:
        """The same limit on every key, less what is taken up under each."""
        keys = {key: place for place, key in enumerate(self._keys[by])}
        limit = np.full((len(self._candidates), len(keys)), LARGEST_MINOR, dtype=np.int64)
        for place, one in enumerate(self._candidates):
            limit[place] = _most(limit_of(one.terms))
            for (kind, key), sums in one.usage.by_key.items():
                if kind == by and key in keys:
                    limit[place, keys[key]] -= sums.price_minor
        if None in keys:
            limit[:, keys[None]] = LARGEST_MINOR
        limit = np.clip(limit, 0, LARGEST_MINOR)
        alike = limit.shape[1] > 1 and bool((limit == limit[:, :1]).all())
        return Cap(name, self._own, limit[:, :1] if alike else limit, key=by, of_price=True)

    def _limits(self, by: str) -> list[Any]:
        return [limit for one in self._candidates for limit in one.terms.limits if limit.by == by]


def _limit(terms: Terms, *, by: str, name: str) -> int | None:
    return next((getattr(limit, name) for limit in terms.limits if limit.by == by), None)


def _most(limit: int | None) -> int:
    return LARGEST_MINOR if limit is None else limit


def _amounts(values: Sequence[int]) -> Ints:
    return np.clip(np.array(values, dtype=np.int64), 0, LARGEST_MINOR)


def _coded(values: Sequence[Any]) -> tuple[list[Any], Ints]:
    """Values in the order in which they come, and each one's place among them."""
    places: dict[Any, int] = {}
    codes = [places.setdefault(value, len(places)) for value in values]
    return list(places), np.array(codes, dtype=np.int64)


def _rates(candidates: Sequence[Candidate], grades: Sequence[int], tenors: Ints) -> tuple[Ints, Ints]:
    """A code for each grade and tenor that there is, and [mandate, code] what is earned in a year of 360 days."""
    kinds, codes = _coded(list(zip(grades, tenors.tolist(), strict=True)))
    rates = [
        [
            one.terms.rate_bps(grade=grade, tenor_days=tenor) * MONEY_YEAR // YEARS[one.terms.day_count]
            for grade, tenor in kinds
        ]
        for one in candidates
    ]
    return codes, np.array(rates, dtype=np.int64).reshape(len(candidates), len(kinds))


def _kinds(taken: Flags) -> tuple[Ints, Flags]:
    """Assets by who takes them: a code for each, and [mandate, code] whether it takes these."""
    codes = _coded([row.tobytes() for row in taken])[1]
    first = np.unique(codes, return_index=True)[1]
    return codes, taken[first].T


def _mandates(candidates: Sequence[Candidate], rates: Ints, takes: Flags) -> Mandates:
    def each(of: Callable[[Terms], int]) -> Ints:
        return _amounts([of(one.terms) for one in candidates])

    count = len(candidates)
    return Mandates(
        currency=np.zeros(count, np.int64),
        max_grade=np.full(count, rates.shape[1]),
        max_tenor=each(lambda terms: terms.max_tenor_days),
        rates=rates,
        products=takes,
        sectors=np.ones((count, 1), np.bool_),
        smallest=each(lambda terms: terms.min_face_minor),
        largest=each(lambda terms: terms.max_face_minor),
        recourse_only=np.zeros(count, np.bool_),
        min_pool=each(lambda terms: terms.min_pool_minor),
        advance=each(lambda terms: terms.advance_bps),
        financed=_financed(candidates),
    )


def _financed(candidates: Sequence[Candidate]) -> Ints:
    """In proportion to what is advanced; of a funder's own mandates a later one is worth a little less."""
    ranks: dict[str, set[int]] = {}
    for one in candidates:
        ranks.setdefault(one.funder_id, set()).add(one.terms.rank)
    return np.array(
        [
            max(
                LEAST_FINANCED,
                FINANCED * one.terms.advance_bps // BPS - sorted(ranks[one.funder_id]).index(one.terms.rank),
            )
            for one in candidates
        ],
        dtype=np.int64,
    )


def _rooms(inputs: Inputs, keys: dict[str, list[Any]], mandates: int, assets: Sequence[FreeAsset]) -> list[Cap]:
    """What limits of obligors and of their groups leave, over all mandates together. Without a limit it is nothing."""
    everybody = np.zeros(mandates, np.int64)
    rooms, groups = dict(inputs.rooms), dict(inputs.group_rooms)
    own = _amounts([rooms.get(obligor, 0) for obligor in keys["obligor"]])
    caps = [Cap("obligor_limit", everybody, own[None, :], key="obligor", own=False)] if assets and mandates else []
    if groups and caps:
        of_groups = _amounts([groups.get(group, LARGEST_MINOR) for group in keys["obligor_group"]])
        caps.append(Cap("group_limit", everybody, of_groups[None, :], key="obligor_group", own=False))
    return caps


def _averages(candidates: Sequence[Candidate]) -> tuple[Average, ...]:
    def average(name: str, measure: str | None, limits: Sequence[int | None], *, at_least: bool = False) -> Average:
        applies = np.array([limit is not None for limit in limits], dtype=np.bool_)
        return Average(name, _amounts([limit or 0 for limit in limits]), applies, measure, at_least)

    terms = [one.terms for one in candidates]
    pd = [None if one.max_average_pd_ppm is None else one.max_average_pd_ppm // PD_STEP_PPM for one in terms]
    rate = [
        None if one.min_average_rate_bps is None else -(-one.min_average_rate_bps * MONEY_YEAR // YEARS[one.day_count])
        for one in terms
    ]
    found = (
        average("average_pd", "pd", pd),
        average("average_tenor", "tenor", [one.max_average_tenor_days for one in terms]),
        average("average_rate", None, rate, at_least=True),
    )
    return tuple(one for one in found if one.applies.any())
