"""What no placement can exceed, in integers: any prices of at least 0 prove a bound (weak duality)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exchange.clearing.dual import starts
from exchange.clearing.market import Ints
from exchange.clearing.pairs import Pairs
from exchange.clearing.rows import PERMILLE, Floats, Rows

QUANTUM = 1000
"""Prices are integers in thousandths of bps times days for each minor unit."""
CLOSE = 0.05
"""Options as near as this to the best (in 1/1,000,000 of bps times days) are compared in integers."""
NONE: Ints = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Prices:
    """Integer prices of the limits, ready to be put to pairs."""

    rows: Rows
    price: Ints

    @classmethod
    def of(cls, rows: Rows, prices: Floats) -> "Prices":
        """The nearest integers; none where there is no limit."""
        return cls(rows, np.where(rows.live, np.rint(np.maximum(prices, 0) * QUANTUM), 0).astype(np.int64))

    def floats(self) -> Floats:
        """In bps times days."""
        return self.price / QUANTUM

    def worth(self, pairs: Pairs) -> tuple[Ints, Ints, Ints]:
        """What each pair is worth at these prices: x for each minor unit less y for each unit of its price.

        In 1/1,000,000 of bps times days; the third is the price of the whole.
        """
        rows, market = self.rows, self.rows.market
        unit = PERMILLE * QUANTUM * pairs.value
        paid = np.zeros(len(pairs), np.int64)
        back = np.zeros(len(market.mandates), np.int64)
        shares = np.flatnonzero(rows.is_share)
        np.add.at(back, rows.pool_of[shares], self.price[shares] * rows.permille[shares])
        averages = 1 + len(market.caps) + len(market.shares)
        for place, column in enumerate(rows.columns):
            price = self.price[column.of(pairs)]
            if 0 < place <= len(market.caps) and market.caps[place - 1].of_price:
                paid += PERMILLE * price
            elif place >= averages:
                unit -= PERMILLE * price * rows.excess(market.averages[place - averages], pairs)
            else:
                unit -= PERMILLE * price
        unit += back[pairs.mandate]
        face = market.receivables.face[pairs.receivable]
        return unit, paid, market.price(pairs.receivable, pairs.mandate, face)

    def of_limits(self) -> int:
        """The limits at these prices, in 1/1,000 of bps times days times minor units."""
        priced = np.flatnonzero((self.price > 0) & ~self.rows.is_share)
        return sum(a * b for a, b in zip(self.price[priced].tolist(), self.rows.limit[priced].tolist(), strict=True))

    def of_receivables(self, pairs: Pairs) -> tuple[int, Floats]:
        """The sum over receivables of what their best option is worth, and each pair's worth for a minor unit.

        In 1/1,000,000 of bps times days (times minor units). Floats find the best but for ties, which integers decide.
        """
        unit, paid, price = self.worth(pairs)
        face = self.rows.market.receivables.face[pairs.receivable]
        each = unit - paid * (price / face)
        if not len(pairs):
            return 0, each
        begins = starts(pairs)
        best = np.maximum.reduceat(each, begins)
        of = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(pairs)))
        near = np.flatnonzero((each >= best[of] - CLOSE) & (each > -CLOSE))
        columns: Sequence[list[int]] = [one[near].tolist() for one in (of, face, unit, paid, price)]
        most: dict[int, int] = {}
        for receivable, amount, x, y, paid_for in zip(*columns, strict=True):
            exact = amount * x - y * paid_for
            if exact > most.get(receivable, 0):
                most[receivable] = exact
        return sum(most.values()), each


def total(prices: Prices, of_receivables: int) -> int:
    """The bound, rounded up: minor units times bps times days."""
    return -(-(PERMILLE * prices.of_limits() + of_receivables) // (PERMILLE * QUANTUM))
