"""From a market to an answer: prices of the limits, a bound, and a placement that keeps every limit."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # publishes none

from exchange.clearing.bound import QUANTUM, Prices, total
from exchange.clearing.dual import Dual, descend, pools, relax, starts
from exchange.clearing.exact import whole_market
from exchange.clearing.market import Ints, Market, Progress, checked, reordered
from exchange.clearing.pairs import Pairs, blocks, joined
from exchange.clearing.parts import divide, fill_parts
from exchange.clearing.placement import Placement
from exchange.clearing.polish import Polisher
from exchange.clearing.rounding import round_choices
from exchange.clearing.rows import Floats, Rows

HEATS = tuple(20_000 / 3**power for power in range(10))
"""From where nobody's choice is settled to where all but ties are, in bps times days."""
HOT, WARM = 6, 4
"""How many heats a sample is enough for; from which one on all receivables count."""
MILD = 7
SAMPLE = 16_000
"""Receivables in the sample that the first prices of a large market come from."""
FAR, MIDDLE, NEAR = 5_000.0, 2_000.0, 800.0
"""Pairs that are worth so much less than their receivable's best one are left out: at the sample's prices, at those
of a warm market, and at the last."""
MOST_PAIRS = 6_000_000
"""Pairs that are looked at together: about half a kilobyte each."""
SMALL = 4_000
"""Pairs up to which a market is solved by branch and bound."""
WIDTH, EXCHANGES = 60, 60
"""Receivables looked at on each side of an exchange; exchanges in a row."""
SWEEPS, LAST_SWEEPS = 8, 4
STRICT, STRICTER, STRICTEST = 1.1, 1.25, 4.0
"""How much more than its price a unit over a limit costs, and how that grows from sweep to sweep."""
WORTH_FILLING = 0.2
"""A pool that would have this part of its least size is filled up to it, if that can be; a smaller one is given up."""
MOST_NEEDY = 5_000
"""Pairs of a mandate whose pool has to be filled up."""
TRIES, GOOD, TRIED_AGAIN = 2, 0.005, 20_000
"""How often receivables are rounded, hotter each time, in a market of at most so many, until the gap is good."""
AWKWARD = 1_000
"""When more than one pair in so many can only be placed in parts, prices for placing whole are sought as well."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Who gets what: `entries` of (receivable, mandate, amount), in order.

    `prices` are (limit, group, key, price). Value and bound in minor units times bps times days. `complete` is false
    when it, or the search in a small market, was stopped by the clock: then another run may differ.
    """

    entries: tuple[tuple[int, int, int], ...]
    prices: tuple[tuple[str, int, int, int], ...]
    value: int
    bound: int
    complete: bool

    @property
    def gap(self) -> float:
        """How much better the best placement may be at most, as a part of the bound."""
        return (self.bound - self.value) / self.bound if self.bound else 0.0


class Stopped(Exception):
    """The clearing was asked to stop."""


def clear(
    market: Market, *, seed: bytes, progress: Progress | None = None, stop: Callable[[], bool] | None = None
) -> Answer:
    """Place receivables with mandates for the greatest value under all limits.

    Ties and the order of work follow from `seed` alone, which treats equal mandates and equal receivables equally:
    they are shuffled by it first. `stop` is asked between steps: once it says so the best placement so far is the
    answer, which keeps every limit and is marked incomplete; before there is one, nothing is placed. Refuses
    `MarketMalformed` and its kin.
    """
    checked(market)
    receivables = shuffled(len(market.receivables), seed + b"receivables")
    mandates = shuffled(len(market.mandates), seed + b"mandates")
    with threadpool_limits(1, user_api="blas"):  # one order of sums: the same bytes from the same build of BLAS
        return _Clearing(reordered(market, receivables, mandates), progress, stop).run(receivables, mandates)


def shuffled(count: int, seed: bytes) -> Ints:
    """A permutation that follows from the seed: places by the splitmix64 of (SHA-256 of the seed) + place."""
    begin = np.frombuffer(hashlib.sha256(seed).digest()[:8], "<u8")
    mixed = begin + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(mixed ^ (mixed >> np.uint64(31)), kind="stable")


class _Kept:
    """The pairs that a screen keeps, a block at a time."""

    def __init__(self, margin: float | None) -> None:
        self.margin = np.inf if margin is None else margin
        self.pairs: list[Pairs] = []
        self._below: list[Floats] = []

    def add(self, pairs: Pairs, worth: Floats) -> None:
        """Those of a block that are close enough to their receivable's best."""
        if not len(pairs):
            return
        begins = starts(pairs)
        best = np.maximum(np.maximum.reduceat(worth, begins), 0)
        below = (np.repeat(best, np.diff(begins, append=len(pairs))) - worth) / (QUANTUM * 1000)
        self.pairs.append(pairs)
        self._below.append(below)
        self._keep(len(self.pairs) - 1)
        while sum(map(len, self.pairs)) > MOST_PAIRS:
            self.margin /= 2
            self._keep(0)

    def _keep(self, begin: int) -> None:
        for place in range(begin, len(self.pairs)):
            close = self._below[place] <= self.margin
            self.pairs[place] = self.pairs[place].where(close)
            self._below[place] = self._below[place][close]


class _Clearing:
    """One market being cleared."""

    def __init__(self, market: Market, progress: Progress | None, stop: Callable[[], bool] | None) -> None:
        self.market, self.rows = market, Rows(market)
        self._progress, self._stop = progress, stop
        self.prices: Floats = np.zeros(self.rows.size)
        self.bound = 0
        self.ended = True

    def run(self, receivables: Ints, mandates: Ints) -> Answer:
        """The answer, in the order in which the market was given."""
        placement: Placement | None = None
        complete = False
        try:
            near = self._price()
            placement = Placement(self.rows, near)
            self._place(placement)
            complete = self.ended
        except Stopped:
            self._stop = None
            if placement is not None:
                self._make_whole(placement)
        if not self.bound:
            self.bound = self._screen(None)[1]
        entries = [] if placement is None else placement.entries()
        told = sorted((int(receivables[i]), int(mandates[j]), amount) for i, j, amount in entries)
        return Answer(tuple(told), self._priced(mandates), placement.value() if placement else 0, self.bound, complete)

    def _price(self) -> Pairs:
        """Find the prices and the bound; the pairs that are worth looking at, at these prices."""
        held = self.market.receivables
        count, face = len(held), held.face
        self._tell("pairs", 0, 0)
        if count <= 2 * SAMPLE:
            pairs = joined([pairs for _, pairs in blocks(self.market)])
            last = Dual(self.rows, pairs)
            self._descend(last, 0, len(HEATS))
        else:
            sample = np.arange(SAMPLE)  # they are shuffled
            pairs = joined([pairs for _, pairs in blocks(self.market, sample)])
            portion = float(face[sample].sum()) / float(face.sum())
            sampled = Dual(self.rows, pairs, portion=portion)
            self._descend(sampled, 0, HOT)
            self.prices = relax(sampled, self.prices, HEATS[HOT - 1])
            self._descend(Dual(self.rows, self._screen(FAR)[0]), WARM, MILD)
            last = Dual(self.rows, self._screen(MIDDLE)[0])
            self._descend(last, MILD - 1, len(HEATS))
        self.prices = Prices.of(self.rows, self.prices).floats()
        needy = self._needy(last, self.prices)
        del last
        if len(pairs) <= SMALL and count <= 2 * SAMPLE:
            near, self.bound = self._screen(None)
            return near
        near, self.bound = self._screen(NEAR)
        return self._with_all_of(needy, near)

    def _needy(self, dual: Dual, prices: Floats) -> Ints:
        """The mandates that would have less than their least pool, but enough of it to be worth filling up."""
        held = pools(dual, prices, HEATS[-1])
        least = self.market.mandates.min_pool / max(1, int(self.market.receivables.face.sum()))
        return np.flatnonzero((WORTH_FILLING * least < held) & (held < least))

    def _with_all_of(self, mandates: Ints, near: Pairs) -> Pairs:
        """These pairs and all others of some mandates, the best `MOST_NEEDY` of each: a pool is filled with either."""
        count = len(self.market.receivables)
        added = [near.where(~np.isin(near.mandate, mandates))]
        for mandate in mandates.tolist():
            alone = reordered(self.market, np.arange(count), np.array([mandate]))
            pairs = joined([pairs for _, pairs in blocks(alone)])
            pairs = Pairs(pairs.receivable, np.full(len(pairs), mandate), pairs.value)
            worth = Prices.of(self.rows, self.prices).of_receivables(pairs)[1]
            added.append(pairs.where(np.argsort(-worth, kind="stable")[:MOST_NEEDY]))
        every = joined(added)
        return every.where(np.lexsort((every.mandate, every.receivable)))

    def _place(self, placement: Placement) -> None:
        """Round, exchange, mend, and fill up with parts."""
        rows, pairs = self.rows, placement.pairs
        if 0 < len(pairs) <= SMALL:
            found, ended = whole_market(placement)
            self.ended = self.ended and ended
            self._tell("exact", int(found), 1)
        fits = np.flatnonzero(rows.fits_alone(pairs))
        dual, prices = self._whole_prices(pairs, fits)
        cost = dual.rows.spread @ prices
        if placement.value():
            self._polish(Polisher(placement, cost, prices, width=WIDTH, steps=EXCHANGES))
            return
        empty, best, most = placement.saved(), placement.saved(), -1
        for heat in HEATS[: -1 - TRIES : -1]:
            placement.restore(empty)
            empty = placement.saved()
            placement.place(fits[round_choices(dual, prices, dual.smooth(prices, heat)[2])])
            self._polish(Polisher(placement, cost, prices, width=WIDTH, steps=EXCHANGES))
            if placement.value() > most:
                best, most = placement.saved(), placement.value()
            if self.bound - most <= GOOD * self.bound or len(placement.face) > TRIED_AGAIN:
                break
        placement.restore(best)

    def _whole_prices(self, pairs: Pairs, fits: Ints) -> tuple[Dual, Floats]:
        """Prices at which receivables are rounded: only what can be placed whole counts, and pools get their size."""
        rows = self.rows
        dual = Dual(rows, pairs.where(fits))
        prices = self.prices
        if (len(pairs) - len(fits)) * AWKWARD > len(pairs):
            prices = descend(dual, prices, heats=HEATS[MILD - 1 :])
        needy = self._needy(dual, prices)
        if not len(needy):
            return dual, prices
        dual = Dual(rows.demanding(needy), dual.pairs)
        return dual, descend(dual, prices, heats=HEATS[WARM:])

    def _polish(self, polisher: Polisher) -> None:
        """Exchange whole receivables and divide those that may be split, by turns, until every limit is kept."""
        placement, every = polisher.placement, range(len(self.market.mandates))
        strict = STRICT
        self._tell("divide", 0, 0)
        divide(polisher, strict=strict)
        for sweep in range(SWEEPS):
            self._tell("exchange", sweep, SWEEPS)
            if not sum(polisher.improve(mandate, strict=strict) for mandate in every):
                break
            strict *= STRICTER
        self._repair(polisher, strict)
        self._mend(polisher, strict)
        for _ in range(2):
            closed = self._close_small(polisher)
            before, most = placement.saved(), placement.value()
            self._tell("divide", 0, 0)
            divide(polisher, strict=STRICTEST)
            self._mend(polisher, strict)
            if placement.value() < most:
                placement.restore(before)
            if not (closed or self._close_small(polisher)):
                break
        fill_parts(placement)

    def _repair(self, polisher: Polisher, strict: float) -> None:
        """Mend every mandate's limits where that costs least."""
        for mandate in range(len(self.market.mandates)):
            if polisher.placement.broken(mandate):
                self._tell("settle", mandate, len(self.market.mandates))
                polisher.repair(mandate, strict=strict)

    def _mend(self, polisher: Polisher, strict: float) -> None:
        """Take out what breaks limits, and gain back what can be."""
        every = range(len(self.market.mandates))
        for mandate in every:
            polisher.mend(mandate)
        for sweep in range(LAST_SWEEPS):
            self._tell("improve", sweep, LAST_SWEEPS)
            if sum(polisher.improve(mandate, strict=strict) for mandate in every) <= len(every) // 10:
                break

    def _close_small(self, polisher: Polisher) -> int:
        """Empty the pools that stayed below their least size; how many."""
        placement = polisher.placement
        least = self.market.mandates.min_pool.tolist()
        small = [mandate for mandate, size in enumerate(least) if 0 < placement.sums[mandate] < size]
        for mandate in small:
            polisher.settle(mandate)
            if placement.broken(mandate) or placement.sums[mandate] < least[mandate]:
                placement.clear(mandate)
                polisher.closed.add(mandate)
        return len(small)

    def _make_whole(self, placement: Placement) -> None:
        """Stopped half-way: take out whatever breaks a limit."""
        cost = self.rows.spread @ self.prices
        polisher = Polisher(placement, cost, self.prices, width=WIDTH, steps=EXCHANGES)
        for mandate in range(len(self.market.mandates)):
            polisher.mend(mandate)
        self._close_small(polisher)

    def _screen(self, margin: float | None) -> tuple[Pairs, int]:
        """The pairs within `margin` of their receivable's best at these prices, and the bound they prove.

        The margin is halved whenever there are more pairs than fit in memory.
        """
        prices, kept, best_sum = Prices.of(self.rows, self.prices), _Kept(margin), 0
        done, count = 0, len(self.market.receivables)
        for block, pairs in blocks(self.market):
            self._tell("screen", done, count)
            block_sum, worth = prices.of_receivables(pairs)
            best_sum += block_sum
            done += len(block)
            kept.add(pairs, worth)
        return joined(kept.pairs), total(prices, best_sum)

    def _descend(self, dual: Dual, begin: int, end: int) -> None:
        for place in range(begin, end):
            self._tell("prices", place, len(HEATS))
            self.prices = descend(dual, self.prices, heats=HEATS[place : place + 1])

    def _priced(self, mandates: Ints) -> tuple[tuple[str, int, int, int], ...]:
        """(limit, group, key, price) of every limit that has a price, in the order in which the market was given."""
        price = Prices.of(self.rows, self.prices).price
        told = []
        for at in np.flatnonzero(price).tolist():
            name, group, key, own = self.rows.name_of(at)
            told.append((name, int(mandates[group]) if own else group, key, int(price[at])))
        return tuple(sorted(told))

    def _tell(self, what: str, done: int, of: int) -> None:
        if self._stop is not None and self._stop():
            raise Stopped
        if self._progress is not None:
            self._progress(what, done, of)
