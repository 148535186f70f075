"""The limits of a market as rows of one sparse matrix.

A placement of a pair counts in a few sums: its mandate's pool, one sum of each cap and share, one of each average.
A limit is a row over these sums: of a cap, sum <= limit; of a share, sum - permille / 1000 x pool <= 0; of an
average, the sum of (measure - limit) <= 0. Sums that cannot reach their limit whatever is placed share one that
has none: of 40,000 debtors a few hundred matter.
"""

from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from exchange.clearing.market import Average, Cap, Ints, Market
from exchange.clearing.pairs import Pairs

Floats = NDArray[np.float64]
NEVER = 2**62
"""The limit of a sum that has none."""
PERMILLE = 1000
AMPLE = 1050
"""How much of its least size a pool is to have before it is rounded to whole receivables."""


@dataclass(frozen=True, slots=True)
class Column:
    """The sums of one limit: `first + group[mandate] x width + place[receivable]`. `keys[place]` is the key, or -1."""

    name: str
    first: int
    group: Ints
    width: int
    place: Ints | None
    keys: Ints
    own: bool

    def of(self, pairs: Pairs) -> Ints:
        """The sum in which each pair counts."""
        at = self.first + self.group[pairs.mandate] * self.width
        return at if self.place is None else at + self.place[pairs.receivable]


class Rows:
    """The sums of a market and their limits.

    `limit[sum]` is `NEVER` where there is none; `permille[sum]` is above 0 where the limit is a share of the pool,
    whose sum is `pool_of[sum]`. `spread[sum, limit]` is what a price on a limit costs a unit of a sum. The first
    sums are the mandates' pools.
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self._own = np.arange(len(market.mandates))
        self.columns: list[Column] = []
        self._sizes = 0
        limits: list[Ints] = []
        self._add("pool", self._own, len(self._own))
        limits.append(np.full(len(self._own), NEVER))
        limits += [self._cap(cap) for cap in market.caps]
        shares: list[tuple[int, Ints]] = []
        for share in market.shares:
            column = self._add(share.name, self._own, share.permille.size, market.receivables.keys[share.key])
            shares.append((column.first, share.permille))
            limits.append(np.where(share.permille >= PERMILLE, NEVER, 0).ravel())
        for average in market.averages:
            self._add(average.name, self._own, len(self._own))
            limits.append(np.where(average.applies, 0, NEVER))
        self.limit: Ints = np.concatenate(limits)
        self.size = len(self.limit)
        self.live = self.limit < NEVER
        self.permille: Ints = np.zeros(self.size, np.int64)
        self.pool_of: Ints = np.zeros(self.size, np.int64)
        for first, permille in shares:
            self.permille[first : first + permille.size] = permille.ravel()
            self.pool_of[first : first + permille.size] = np.repeat(self._own, permille.shape[1])
        self.is_share = self.live & (self.permille > 0)
        self.spread = self._spread()

    def demanding(self, mandates: Ints) -> "Rows":
        """The same rows, and one more for each of these mandates: its pool has at least its least size.

        Its price, which stands with the pool's sum, is what the mandate is paid for what it takes. Only for prices:
        the least size binds a pool that there is, and nobody has to have one.
        """
        more = copy(self)
        more.limit, more.live = self.limit.copy(), self.live.copy()
        more.limit[mandates] = -(self.market.mandates.min_pool[mandates] * AMPLE // PERMILLE)
        more.live[mandates] = True
        demand = sparse.csr_array((np.full(len(mandates), -1.0), (mandates, mandates)), shape=self.spread.shape)
        more.spread = sparse.csr_array(self.spread + demand)
        return more

    def indices(self, pairs: Pairs) -> Ints:
        """[pair, column]: the sums each pair counts in."""
        return np.stack([column.of(pairs) for column in self.columns], axis=1)

    def weights(self, pairs: Pairs, amount: Ints | None = None) -> Ints:
        """[pair, column]: what placing `amount`, or the whole face, adds to each of these sums."""
        market = self.market
        placed = market.receivables.face[pairs.receivable] if amount is None else amount
        added = np.repeat(placed[:, None], len(self.columns), axis=1)
        for at, cap in enumerate(market.caps, 1):
            if cap.of_price:
                added[:, at] = market.price(pairs.receivable, pairs.mandate, placed)
        for at, average in enumerate(market.averages, 1 + len(market.caps) + len(market.shares)):
            added[:, at] = placed * self.excess(average, pairs)
        return added

    def excess(self, average: Average, pairs: Pairs) -> Ints:
        """How far each pair is on the wrong side of an average's limit; 0 where the mandate has none."""
        held = self.market.receivables
        if average.measure is None:
            measure = self.market.mandates.rates[pairs.mandate, held.grade[pairs.receivable]]
        else:
            measure = held.measures[average.measure][pairs.receivable]
        over = measure - average.limit[pairs.mandate]
        return np.where(average.applies[pairs.mandate], -over if average.at_least else over, 0)

    def matrix(self, pairs: Pairs, *, whole: bool = False) -> sparse.csr_array:
        """[pair, sum]: what one minor unit of each pair, or the whole face, adds to the sums with limits."""
        added = self.weights(pairs).astype(np.float64)
        if not whole:
            added /= self.market.receivables.face[pairs.receivable][:, None]
        where = self.indices(pairs).astype(np.int32)
        counts = (np.diff(self.spread.indptr) > 0)[where]
        begins = np.append(0, np.cumsum(counts.sum(axis=1))).astype(np.int32)
        return sparse.csr_array((added[counts], where[counts], begins), shape=(len(pairs), self.size))

    def fits_alone(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Whether each pair's whole face keeps every cap by itself: what does not can only be placed in parts."""
        upto = 1 + len(self.market.caps)
        within: NDArray[np.bool_] = self.weights(pairs)[:, :upto] <= self.limit[self.indices(pairs)[:, :upto]]
        return np.asarray(within.all(axis=1))

    def name_of(self, at: int) -> tuple[str, int, int, bool]:
        """The limit of a sum: its name, the group, the key (-1: for all), and whether groups are the mandates."""
        column = max((one for one in self.columns if one.first <= at), key=lambda one: one.first)
        group, place = divmod(at - column.first, column.width)
        return column.name, group, int(column.keys[place]), column.own

    def _add(self, name: str, group: Ints, size: int, key: Ints | None = None, keys: Ints | None = None) -> Column:
        last = self.columns[-1] if self.columns else None
        first = 0 if last is None else last.first + self._sizes
        groups = int(group.max(initial=-1)) + 1
        width = size // max(1, groups) if keys is None else len(keys)
        known = (np.arange(width) if key is not None else np.full(width, -1)) if keys is None else keys
        self._sizes = size
        self.columns.append(Column(name, first, group, width, key, known, group is self._own))
        return self.columns[-1]

    def _cap(self, cap: Cap) -> Ints:
        held = self.market.receivables
        groups = len(cap.limit)
        if cap.key is None:
            self._add(cap.name, cap.group, groups)
            return np.where(cap.limit[:, 0] < held.face.sum(), cap.limit[:, 0], NEVER)
        key = held.keys[cap.key]
        totals = np.zeros(int(key.max(initial=-1)) + 1, np.int64)
        np.add.at(totals, key, held.face)
        tight = np.flatnonzero(totals > cap.limit.min(axis=0, initial=NEVER))
        place = np.zeros(len(totals), np.int64)
        place[tight] = np.arange(1, len(tight) + 1)
        limit = np.full((groups, len(tight) + 1), NEVER)
        limit[:, 1:] = cap.limit if cap.limit.shape[1] == 1 else cap.limit[:, tight]
        limit[:, 1:][limit[:, 1:] >= totals[tight]] = NEVER
        self._add(cap.name, cap.group, limit.size, place[key], np.concatenate([[-1], tight]))
        return limit.ravel()

    def _spread(self) -> sparse.csr_array:
        live, shares = np.flatnonzero(self.live), np.flatnonzero(self.is_share)
        factors = np.concatenate([np.ones(len(live)), -self.permille[shares] / PERMILLE])
        sums = np.concatenate([live, self.pool_of[shares]])
        return sparse.csr_array((factors, (sums, np.concatenate([live, shares]))), shape=(self.size, self.size))
