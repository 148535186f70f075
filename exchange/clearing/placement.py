"""Who gets what, in whole minor units, and what that comes to in every sum."""

from collections.abc import Iterable

import numpy as np

from exchange.clearing.market import Flags, Ints
from exchange.clearing.pairs import Pairs
from exchange.clearing.rows import PERMILLE, Rows

NOWHERE = -1
Saved = tuple[Ints, list[int], dict[int, int], Ints]


class Placement:
    """Receivables placed whole with one of their pairs each, or in parts; every sum is exact.

    `at[receivable]` is the pair that has it whole, or `NOWHERE`; `parts[pair]` the amount of a part.
    """

    def __init__(self, rows: Rows, pairs: Pairs) -> None:
        self.rows, self.pairs = rows, pairs
        market = rows.market
        self.face = market.receivables.face
        self.worth: Ints = self.face[pairs.receivable] * pairs.value
        self.at: Ints = np.full(len(self.face), NOWHERE)
        self.parts: dict[int, int] = {}
        self.placed_in_parts: Ints = np.zeros(len(self.face), np.int64)
        self.sums = [0] * rows.size
        self.first: Ints = np.searchsorted(pairs.receivable, np.arange(len(self.face) + 1))
        order = np.argsort(pairs.mandate, kind="stable")
        cuts = np.searchsorted(pairs.mandate[order], np.arange(1, len(market.mandates)))
        self.of_mandate = np.split(order, cuts)
        self.where = rows.indices(pairs)
        self.adds = rows.weights(pairs)
        self._limit: list[int] = rows.limit.tolist()
        self._least: list[int] = market.mandates.min_pool.tolist()
        self._permille: list[int] = np.where(rows.is_share, rows.permille, 0).tolist()
        self._pool_of: list[int] = rows.pool_of.tolist()
        shares = np.flatnonzero(rows.is_share)
        self.shares: list[list[int]] = [[] for _ in self.of_mandate]
        for at in shares.tolist():
            self.shares[rows.pool_of[at]].append(at)
        self._caps = [self._limited(mine) for mine in self.of_mandate]

    def place(self, chosen: Ints) -> None:
        """Place these pairs' receivables whole, on top of nothing."""
        self.at[self.pairs.receivable[chosen]] = chosen
        sums = np.array(self.sums)
        np.add.at(sums, self.where[chosen].ravel(), self.adds[chosen].ravel())
        self.sums = sums.tolist()

    def lift(self, receivables: Flags) -> None:
        """Take these receivables from whoever has them, whole or in parts."""
        held = self.at[receivables & (self.at != NOWHERE)]
        sums = np.array(self.sums)
        np.subtract.at(sums, self.where[held].ravel(), self.adds[held].ravel())
        self.sums = sums.tolist()
        self.at[receivables] = NOWHERE
        for pair in [pair for pair in self.parts if receivables[self.pairs.receivable[pair]]]:
            self.take_part(pair)

    def move(self, receivable: int, pair: int) -> None:
        """Take a whole receivable from where it is, and put it with `pair` or `NOWHERE`."""
        old = int(self.at[receivable])
        for one, sign in ((old, -1), (pair, 1)):
            if one != NOWHERE:
                for at, added in self.change(one, sign).items():
                    self.sums[at] += added
        self.at[receivable] = pair

    def put_part(self, pair: int, amount: int) -> None:
        """Place a part of a receivable."""
        self.parts[pair] = amount
        self._count_part(pair, amount, 1)

    def take_part(self, pair: int) -> None:
        """Take a part back."""
        self._count_part(pair, self.parts.pop(pair), -1)

    def left_of(self, receivable: int) -> int:
        """How much of a receivable nobody has."""
        return 0 if self.at[receivable] != NOWHERE else int(self.face[receivable] - self.placed_in_parts[receivable])

    def change(self, pair: int, sign: int = 1) -> dict[int, int]:
        """What a whole placement adds to the sums, or with -1 takes from them."""
        return {at: sign * add for at, add in zip(self.where[pair].tolist(), self.adds[pair].tolist(), strict=True)}

    def admits(self, *changes: dict[int, int]) -> bool:
        """Whether all limits hold after these changes of the sums together, if they hold before."""
        total = changes[0]
        for change in changes[1:]:
            total = total | {at: total.get(at, 0) + added for at, added in change.items()}
        sums, permille, pool_of = self.sums, self._permille, self._pool_of
        for at, added in total.items():
            if added > 0:
                share = permille[at]
                if not share:
                    if sums[at] + added > self._limit[at]:
                        return False
                elif PERMILLE * (sums[at] + added) > share * (sums[pool_of[at]] + total.get(pool_of[at], 0)):
                    return False
            elif added < 0 and at < len(self.shares):
                pool = sums[at] + added
                if 0 < pool < self._least[at] <= sums[at]:
                    return False
                if any(PERMILLE * (sums[one] + total.get(one, 0)) > permille[one] * pool for one in self.shares[at]):
                    return False
        return True

    def keeps_least(self, *changes: dict[int, int]) -> bool:
        """Whether no pool falls below its least size by these changes together."""
        for mandate in {at for change in changes for at in change if at < len(self.shares)}:
            pool = self.sums[mandate] + sum(change.get(mandate, 0) for change in changes)
            if 0 < pool < self._least[mandate] <= self.sums[mandate]:
                return False
        return True

    def saved(self) -> Saved:
        """What `restore` takes."""
        return self.at.copy(), list(self.sums), dict(self.parts), self.placed_in_parts.copy()

    def restore(self, saved: Saved) -> None:
        """Go back."""
        self.at, self.sums, self.parts, self.placed_in_parts = saved

    def broken(self, mandate: int) -> list[int]:
        """The sums of a mandate that are over their limit."""
        sums, pool = self.sums, self.sums[mandate]
        over = [at for at in self._caps[mandate] if sums[at] > self._limit[at]]
        return over + [at for at in self.shares[mandate] if PERMILLE * sums[at] > self._permille[at] * pool]

    def limits_of(self, mandate: int) -> list[int]:
        """The sums of a mandate that have a limit."""
        return self._caps[mandate] + self.shares[mandate]

    def elsewhere(self, pair: int) -> int:
        """The most valuable other pair of the same receivable that has room for it now, or `NOWHERE`."""
        receivable = int(self.pairs.receivable[pair])
        most, best = 0, NOWHERE
        for other in range(self.first[receivable], self.first[receivable + 1]):
            worth = int(self.worth[other])
            if other != pair and worth > most and self.admits(self.change(other)):
                most, best = worth, other
        return best

    def clear(self, mandate: int) -> None:
        """Take everything from a mandate."""
        mine = self.of_mandate[mandate]
        for pair in mine[self.at[self.pairs.receivable[mine]] == mine].tolist():
            self.move(int(self.pairs.receivable[pair]), NOWHERE)
        for pair in self.parts_of(mandate):
            self.take_part(pair)

    def parts_of(self, mandate: int) -> list[int]:
        """The pairs with which a mandate has parts."""
        return [pair for pair in self.parts if self.pairs.mandate[pair] == mandate]

    def entries(self) -> Iterable[tuple[int, int, int]]:
        """(receivable, mandate, amount) of every placement, whole ones first."""
        held = np.flatnonzero(self.at != NOWHERE)
        whole = self.pairs.mandate[self.at[held]]
        yield from zip(held.tolist(), whole.tolist(), self.face[held].tolist(), strict=True)
        for pair in sorted(self.parts):
            yield int(self.pairs.receivable[pair]), int(self.pairs.mandate[pair]), self.parts[pair]

    def value(self) -> int:
        """What it is all worth: minor units times bps times days."""
        held = self.at[self.at != NOWHERE]
        whole: int = sum(self.worth[held].tolist())
        return whole + sum(amount * int(self.pairs.value[pair]) for pair, amount in self.parts.items())

    def part_change(self, pair: int, amount: int) -> dict[int, int]:
        """What a part adds to the sums."""
        one = self.pairs.where(np.array([pair]))
        added = self.rows.weights(one, np.array([amount]))[0]
        return dict(zip(self.where[pair].tolist(), added.tolist(), strict=True))

    def _count_part(self, pair: int, amount: int, sign: int) -> None:
        self.placed_in_parts[self.pairs.receivable[pair]] += sign * amount
        for at, added in self.part_change(pair, amount).items():
            self.sums[at] += sign * added

    def _limited(self, mine: Ints) -> list[int]:
        sums = np.unique(self.where[mine])
        limited: list[int] = sums[self.rows.live[sums] & ~self.rows.is_share[sums]].tolist()
        return limited
