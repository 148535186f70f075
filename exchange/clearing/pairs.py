"""Which receivable fits which mandate, a block of receivables at a time: the whole list would not fit in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from exchange.clearing.market import Flags, Ints, Market

BLOCK_CELLS = 1_000_000
"""Receivables times mandates that are looked at together."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs that fit, by receivable and then mandate; `value` in bps times days for each minor unit."""

    receivable: Ints
    mandate: Ints
    value: Ints

    def __len__(self) -> int:
        return len(self.receivable)

    def where(self, chosen: Flags | Ints) -> "Pairs":
        """Some of them, in the same order."""
        return Pairs(self.receivable[chosen], self.mandate[chosen], self.value[chosen])


def blocks(market: Market, only: Ints | None = None) -> Iterator[tuple[Ints, Pairs]]:
    """The receivables of each block (all, or those in `only`) and the pairs among them."""
    chosen = np.arange(len(market.receivables)) if only is None else only
    size = max(1, BLOCK_CELLS // max(1, len(market.mandates)))
    for begin in range(0, len(chosen), size):
        block = chosen[begin : begin + size]
        row, mandate = np.nonzero(fits(market, block))
        receivable = block[row]
        yield block, Pairs(receivable, mandate, market.value(receivable, mandate))


def fits(market: Market, block: Ints) -> Flags:
    """Whether each of these receivables may go to each mandate: [receivable, mandate]."""
    held, mandates = market.receivables, market.mandates
    grade = held.grade[block]
    fitting: Flags = mandates.products.T[held.product[block]]
    fitting &= mandates.sectors.T[held.sector[block]]
    fitting &= grade[:, None] <= mandates.max_grade
    fitting &= held.ask[block][:, None] >= mandates.rates.T[grade]
    fitting &= held.tenor[block][:, None] <= mandates.max_tenor
    face = held.face[block][:, None]
    fitting &= (mandates.smallest <= face) & (face <= mandates.largest)
    fitting &= held.currency[block][:, None] == mandates.currency
    fitting &= held.recourse[block][:, None] | ~mandates.recourse_only
    return fitting


def joined(parts: list[Pairs]) -> Pairs:
    """Blocks in a row."""
    if not parts:
        none = np.zeros(0, np.int64)
        return Pairs(none, none, none)
    columns = zip(*((part.receivable, part.mandate, part.value) for part in parts), strict=True)
    return Pairs(*(np.concatenate(column) for column in columns))
