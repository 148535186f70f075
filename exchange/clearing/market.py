"""A market to clear: receivables, mandates, and the limits that tie placements together."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from exchange.errors import Refusal

YEAR_BPS = 3_600_000
"""Basis points times days (ACT/360) in which a rate of 1 bp a year earns the whole face."""
FINANCED = 50 * 360
"""What being financed at all is worth, in basis points times days: as much as half a per cent a year saved."""
WHOLE_BPS = 10_000
LARGEST_MINOR = 2**53 - 1
MOST_KEYS, DIMENSIONS = 10_000_000, 2
MOST_BPS, MOST_DAYS, MOST_FACE, MOST_WORTH = 100_000, 3_650, 2**50, 2**62
"""What the sums of 64-bit integers have room for: rates, tenors, all faces together, and what one is worth."""

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Progress = Callable[[str, int, int], None]
"""Takes what is being done, how much of it is done, and how much there is (0: not known)."""


class MarketMalformed(Refusal):
    """The market's numbers do not describe a market."""

    code = "market_malformed"
    title = "The market cannot be cleared as stated"


@dataclass(frozen=True, slots=True)
class Receivables:
    """One entry a receivable: amounts in minor units, tenor in days, the seller's highest discount in bps a year.

    Codes count from 0. `split` says that it may go in parts; `measures` and `keys` are what limits refer to by name.
    """

    face: Ints
    tenor: Ints
    grade: Ints
    product: Ints
    sector: Ints
    currency: Ints
    ask: Ints
    recourse: Flags
    split: Flags
    keys: dict[str, Ints]
    measures: dict[str, Ints] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.face)


@dataclass(frozen=True, slots=True)
class Mandates:
    """One entry a mandate. `rates` is [mandate, grade] in bps a year; a pool smaller than `min_pool` is none at all.

    A receivable fits when its face is within smallest..largest; a part of one is at least `smallest`. Of a face the
    mandate pays `advance` bps, less the discount; `financed` is what being financed by it is worth, in bps times days.
    """

    currency: Ints
    max_grade: Ints
    max_tenor: Ints
    rates: Ints
    products: Flags
    sectors: Flags
    smallest: Ints
    largest: Ints
    recourse_only: Flags
    min_pool: Ints
    advance: Ints
    financed: Ints

    def __len__(self) -> int:
        return len(self.max_grade)


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `limit[group, key]` minor units of face, or of price, may be placed with a group of mandates.

    `group` is each mandate's group (its own number: a limit of its own; its funder's: a limit they share; zero
    for all: the market's). `key` names a column of the receivables' keys; without one all count together.
    `limit` is [groups, keys], or [groups, 1] for the same limit whatever the key. One that is not `own` to a funder
    would tell it of others: it is left out of extracts.
    """

    name: str
    group: Ints
    limit: Ints
    key: str | None = None
    of_price: bool = False
    own: bool = True


@dataclass(frozen=True, slots=True)
class Share:
    """Each key has at most `permille[mandate, key]` of a mandate's pool, by face."""

    name: str
    key: str
    permille: Ints


@dataclass(frozen=True, slots=True)
class Average:
    """The mean over a mandate's pool, weighted by face, is at most `limit[mandate]`, or at least.

    Of a column of the receivables' measures, or without one of the mandate's own rate. `applies[mandate]` says
    who has the limit at all.
    """

    name: str
    limit: Ints
    applies: Flags
    measure: str | None = None
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Market:
    """Everything a clearing takes in; `checked` says whether it is a market at all."""

    receivables: Receivables
    mandates: Mandates
    caps: tuple[Cap, ...] = ()
    shares: tuple[Share, ...] = ()
    averages: tuple[Average, ...] = ()

    def value(self, receivable: Ints, mandate: Ints) -> Ints:
        """What placing one minor unit is worth, in bps times days: being financed, and what the seller saves."""
        held = self.receivables
        saved = held.ask[receivable] - self.mandates.rates[mandate, held.grade[receivable]]
        worth: Ints = self.mandates.financed[mandate] + saved * held.tenor[receivable]
        return worth

    def price(self, receivable: Ints, mandate: Ints, amount: Ints) -> Ints:
        """What the mandate pays for `amount`: of a whole receivable the discount is rounded up, of a part down."""
        held = self.receivables
        rate = self.mandates.rates[mandate, held.grade[receivable]]
        advance = _of(amount, self.mandates.advance[mandate], WHOLE_BPS)
        earned = rate * held.tenor[receivable]
        whole = amount == held.face[receivable]
        price: Ints = advance - np.where(whole, -_of(-advance, earned, YEAR_BPS), _of(advance, earned, YEAR_BPS))
        return price


Columns = TypeVar("Columns", Receivables, Mandates)


def _of(amount: Ints, rate: Ints, unit: int) -> Ints:
    """floor(amount x rate / unit), where the product itself may not fit into 64 bits."""
    many, rest = np.divmod(amount, unit)
    part: Ints = many * rate + rest * rate // unit
    return part


def reordered(market: Market, receivables: Ints, mandates: Ints) -> Market:
    """The same market, its receivables and mandates in another order; the groups of caps keep their numbers."""
    return Market(
        _taken(market.receivables, receivables),
        _taken(market.mandates, mandates),
        tuple(replace(cap, group=cap.group[mandates]) for cap in market.caps),
        tuple(replace(share, permille=share.permille[mandates]) for share in market.shares),
        tuple(replace(one, limit=one.limit[mandates], applies=one.applies[mandates]) for one in market.averages),
    )


def checked(market: Market) -> None:
    """Refuses `MarketMalformed`: columns of unequal length, numbers out of range, names that refer to nothing."""
    held, mandates = market.receivables, market.mandates
    count, funders = len(held), len(mandates)
    for thing, size in ((held, count), (mandates, funders)):
        for one in fields(thing):
            column = getattr(thing, one.name)
            for values in column.values() if isinstance(column, dict) else (column,):
                _require(len(values) == size, f"{one.name} has {len(values)} entries, not {size}")
    amounts = chain(
        (held.face, mandates.smallest, mandates.largest, mandates.min_pool), (cap.limit for cap in market.caps)
    )
    for values in amounts:
        _require(_within(values, 0, LARGEST_MINOR), "an amount is negative or above 2^53-1")
    _require(_within(held.face, 1, LARGEST_MINOR), "a face amount is not positive")
    _require(_within(held.tenor, 0, MOST_DAYS), f"a tenor is not within 0..{MOST_DAYS} days")
    _require(_within(held.ask, 0, MOST_BPS) and _within(mandates.rates, 0, MOST_BPS), "a rate is out of range")
    _require(_within(mandates.advance, 0, WHOLE_BPS), "an advance is above the whole face")
    _require(_within(mandates.financed, 0, MOST_BPS), "what being financed is worth is out of range")
    most = held.face.astype(float) * (mandates.financed.max(initial=0) + held.ask * held.tenor)
    _require(float(most.max(initial=0)) < MOST_WORTH, "a receivable is worth too much to be counted")
    codes = (
        (held.grade, mandates.rates.shape[1]),
        (held.product, mandates.products.shape[1]),
        (held.sector, mandates.sectors.shape[1]),
    )
    for values, most in codes:
        _require(_within(values, 0, most - 1), "a grade, product or sector has no entry with the mandates")
    _require(sum(held.face.tolist()) < MOST_FACE, "the faces together are too large to be counted")
    _checked_limits(market)


def _checked_limits(market: Market) -> None:
    held, funders = market.receivables, len(market.mandates)
    for cap in market.caps:
        _require(cap.limit.ndim == DIMENSIONS, f"{cap.name}: limits are by group and key")
        _require(cap.key is None or cap.key in held.keys, f"{cap.name}: no key {cap.key}")
        _require(len(cap.group) == funders and _within(cap.group, 0, len(cap.limit) - 1), f"{cap.name}: groups")
        keys = 1 if cap.key is None else int(held.keys[cap.key].max(initial=-1)) + 1
        _require(cap.limit.shape[1] in {1, keys}, f"{cap.name}: {cap.limit.shape[1]} limits for {keys} keys")
    for share in market.shares:
        _require(share.key in held.keys, f"{share.name}: no key {share.key}")
        _require(len(share.permille) == funders and _within(share.permille, 0, 1000), f"{share.name}: per mille")
        _require(_within(held.keys[share.key], 0, share.permille.shape[1] - 1), f"{share.name}: keys")
    for average in market.averages:
        _require(average.measure is None or average.measure in held.measures, f"{average.name}: no such measure")
        _require(len(average.limit) == funders == len(average.applies), f"{average.name}: limits")
        _require(_within(average.limit, 0, MOST_BPS), f"{average.name}: a limit is out of range")
    for name, values in chain(held.keys.items(), held.measures.items()):
        _require(_within(values, 0, MOST_KEYS if name in held.keys else MOST_BPS), f"{name} is out of range")
    limits: list[Cap | Share | Average] = [*market.caps, *market.shares, *market.averages]
    _require(len({limit.name for limit in limits}) == len(limits), "two limits have one name")


def _within(values: Ints, low: int, high: int) -> bool:
    return not values.size or (int(values.min()) >= low and int(values.max()) <= high)


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 - a condition and what to say when it does not hold
    if not holds:
        raise MarketMalformed(f"Not a market: {message}.")


def _taken(columns: Columns, order: Ints) -> Columns:
    taken: dict[str, Any] = {}
    for one in fields(columns):
        column = getattr(columns, one.name)
        taken[one.name] = (
            {name: values[order] for name, values in column.items()} if isinstance(column, dict) else column[order]
        )
    return type(columns)(**taken)
