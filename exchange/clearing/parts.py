"""What is left of receivables that may be split, in parts, where there is room."""

import numpy as np

from exchange.clearing.placement import NOWHERE, Placement


def fill_parts(placement: Placement) -> int:
    """Give mandates the largest parts they have room for of receivables that nobody has whole; how many parts.

    The most valuable first. A part has at least the mandate's smallest ticket; a mandate that has nothing gets none.
    """
    market, pairs = placement.rows.market, placement.pairs
    smallest = market.mandates.smallest.tolist()
    loose = market.receivables.split & (placement.at == NOWHERE)
    candidates = np.flatnonzero(loose[pairs.receivable])
    count = 0
    for pair in candidates[np.argsort(-pairs.value[candidates], kind="stable")].tolist():
        mandate = int(pairs.mandate[pair])
        left = placement.left_of(int(pairs.receivable[pair]))
        if pair not in placement.parts and placement.sums[mandate]:
            amount = _room(placement, pair, low=max(1, smallest[mandate]), high=left)
            if amount:
                placement.put_part(pair, amount)
                count += 1
    return count


def _room(placement: Placement, pair: int, *, low: int, high: int) -> int:
    """The largest amount that all limits admit, by halving; 0 when not even `low` is."""
    if high < low or not placement.admits(placement.part_change(pair, low)):
        return 0
    if placement.admits(placement.part_change(pair, high)):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if placement.admits(placement.part_change(pair, middle)) else (low, middle)
    return low
