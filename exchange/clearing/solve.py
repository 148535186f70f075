"""From a market to an answer: prices of the limits, a bound, and a placement that keeps every limit."""

import hashlib
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # publishes none

from exchange.clearing.bound import QUANTUM, Prices, total
from exchange.clearing.dual import Dual, descend, pools, relax, starts
from exchange.clearing.exact import whole_market
from exchange.clearing.market import Ints, Market, Progress, checked, reordered
from exchange.clearing.pairs import Pairs, blocks, joined
from exchange.clearing.parts import divide, fill_parts
from exchange.clearing.placement import Placement, Saved
from exchange.clearing.polish import Polisher
from exchange.clearing.rounding import round_choices
from exchange.clearing.rows import Floats, Rows

HEATS = tuple(20_000 / 3**power for power in range(10))
"""From where nobody's choice is settled to where all but ties are, in bps times days."""
HOT, WARM = 6, 4
"""How many heats a sample is enough for; from which one on all receivables count."""
MILD = 7
SAMPLE, LARGE_SAMPLE = 16_000, 160_000
"""Receivables in the samples that the first prices of a large market come from."""
MORE_SCREENS, LOOSE = 2, 2e-4
"""How often pairs are chosen anew while those that were left out raise the bound by more than this part."""
FAR, MIDDLE, NEAR = 5_000.0, 2_000.0, 800.0
"""Pairs that are worth so much less than their receivable's best one are left out: at the sample's prices, at those
of a warm market, and at the last."""
MOST_PAIRS = 10_000_000
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
TRIED, MOST_TRIES, GOOD = 20_000, 4, 0.005
"""Receivables that are rounded in all, hotter each time: a small market as often as it takes until the gap is good."""
AWKWARD = 1_000
"""When more than one pair in so many can only be placed in parts, prices for placing whole are sought as well."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Who gets what: `entries` of (receivable, mandate, amount), in order.

    `prices` are (limit, group, key, price). Value and bound in minor units times bps times days. `complete` is false
    when the search through a small market was at its count of nodes before it was at an end.
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


def clear(market: Market, *, seed: bytes, progress: Progress | None = None) -> Answer:
    """Place receivables with mandates for the greatest value under all limits.

    Ties and the order of work follow from `seed` alone, which treats equal mandates and equal receivables equally:
    they are shuffled by it first. Work is counted, never timed: the same market and seed give the same answer on a
    slow machine. `progress` may raise to stop it, which leaves no answer. Refuses `MarketMalformed` and its kin.
    """
    checked(market)
    receivables = shuffled(len(market.receivables), seed + b"receivables")
    mandates = shuffled(len(market.mandates), seed + b"mandates")
    with threadpool_limits(1, user_api="blas"):  # one order of sums: the same bytes from the same build of BLAS
        return _Clearing(reordered(market, receivables, mandates), progress).run(receivables, mandates)


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

    def __init__(self, market: Market, progress: Progress | None) -> None:
        self.market, self.rows = market, Rows(market)
        self._progress = progress
        self.prices: Floats = np.zeros(self.rows.size)
        self.bound = 0
        self.ended = True

    def run(self, receivables: Ints, mandates: Ints) -> Answer:
        """The answer, in the order in which the market was given."""
        placement = Placement(self.rows, self._price())
        self._place(placement)
        told = sorted((int(receivables[i]), int(mandates[j]), amount) for i, j, amount in placement.entries())
        return Answer(tuple(told), self._priced(mandates), placement.value(), self.bound, self.ended)

    def _price(self) -> Pairs:
        """Find the prices and the bound; the pairs that are worth looking at, at these prices."""
        count = len(self.market.receivables)
        if count <= 2 * SAMPLE:
            last = self._dual(None, count)
            self._descend(last, 0, len(HEATS))
        else:
            for size, margin, begin, end in ((SAMPLE, None, 0, HOT), (LARGE_SAMPLE, FAR, WARM, MILD)):
                sampled = self._dual(margin, size)
                self._descend(sampled, begin, end)
                if size < count:
                    self.prices = relax(sampled, self.prices, HEATS[end - 1])
            last = self._dual(MIDDLE, count)
            self._descend(last, MILD - 1, len(HEATS))
        self.prices = Prices.of(self.rows, self.prices).floats()
        if len(last.pairs) <= SMALL and count <= 2 * SAMPLE:
            near, self.bound = self._screen(None)[:2]
            return near
        near, self.bound = self._screen(NEAR)[:2]
        for _ in range(MORE_SCREENS):
            if self.bound <= (1 + LOOSE) * last.bound(self.prices) * float(self.market.receivables.face.sum()):
                break
            kept = self.prices, near, self.bound
            del last
            last = self._dual(MIDDLE, count)
            self._descend(last, len(HEATS) - 2, len(HEATS))
            self.prices = Prices.of(self.rows, self.prices).floats()
            near, self.bound = self._screen(NEAR)[:2]
            if self.bound > kept[2]:
                self.prices, near, self.bound = kept
                break
        return self._with_all_of(self._needy(last, self.prices), near)

    def _dual(self, margin: float | None, count: int) -> Dual:
        """Over the first so many receivables (they are shuffled) and their pairs within `margin` at these prices."""
        face = self.market.receivables.face
        some = np.arange(min(count, len(face)))
        pairs, _, margin = self._screen(margin, some)
        portion = float(face[some].sum()) / max(1.0, float(face.sum()))
        return Dual(self.rows, pairs, portion=min(1.0, portion), around=self.prices, margin=margin)

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
        fits = np.flatnonzero(rows.fits_alone(pairs))
        dual, prices = self._whole_prices(pairs, fits)
        polisher = Polisher(placement, dual.rows.spread @ prices, prices, width=WIDTH, steps=EXCHANGES)
        empty, best, most = placement.saved(), placement.saved(), -1
        for heat in HEATS[: -1 - min(MOST_TRIES, max(1, TRIED // max(1, len(placement.face)))) : -1]:
            placement.restore(empty)
            empty = placement.saved()
            placement.place(fits[round_choices(dual, prices, dual.smooth(prices, heat)[2])])
            best, most = self._polish(polisher, best, most)
            if self.bound - most <= GOOD * self.bound:
                break
        if most < self.bound and 0 < len(pairs) <= SMALL:
            placement.restore(empty)
            found, self.ended = whole_market(placement)
            self._tell("exact", int(found), 1)
            if placement.value() > most and self._holds(placement):
                best, most = placement.saved(), placement.value()
            best, most = self._polish(polisher, best, most)
        placement.restore(best)

    def _holds(self, placement: Placement) -> bool:
        """Whether every limit is kept, and every pool has its least size or is none."""
        least = self.market.mandates.min_pool.tolist()
        return not any(
            placement.broken(mandate) or 0 < placement.sums[mandate] < size for mandate, size in enumerate(least)
        )

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

    def _polish(self, polisher: Polisher, best: Saved, most: int) -> tuple[Saved, int]:
        """Exchange whole receivables and divide those that may be split, by turns, until every limit is kept.

        The better of what came of it and of the best so far, and its value.
        """
        placement, every = polisher.placement, range(len(self.market.mandates))
        polisher.closed.clear()
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
            before, worth = placement.saved(), placement.value()
            self._tell("divide", 0, 0)
            divide(polisher, strict=STRICTEST)
            self._mend(polisher, strict)
            if placement.value() < worth:
                placement.restore(before)
            if not (closed or self._close_small(polisher)):
                break
        fill_parts(placement)
        return (placement.saved(), placement.value()) if placement.value() > most else (best, most)

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

    def _screen(self, margin: float | None, only: Ints | None = None) -> tuple[Pairs, int, float]:
        """The pairs within `margin` of their receivable's best at these prices, the bound they prove, and the margin.

        It is halved whenever there are more pairs than fit in memory.
        """
        prices, kept, best_sum = Prices.of(self.rows, self.prices), _Kept(margin), 0
        done, count = 0, len(self.market.receivables) if only is None else len(only)
        for block, pairs in blocks(self.market, only):
            self._tell("screen", done, count)
            block_sum, worth = prices.of_receivables(pairs)
            best_sum += block_sum
            done += len(block)
            kept.add(pairs, worth)
        return joined(kept.pairs), total(prices, best_sum), kept.margin

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
        if self._progress is not None:
            self._progress(what, done, of)
