"""Log-odds to probability without floating point at the door: the same integers on every machine."""

from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from scoring.facts import Int64s

MICRO = 1_000_000
MILLI_LIMIT = 12_000
"""Log-odds beyond 12 (6 ppm from certain) are held there."""


@cache
def _ppm_table() -> Int64s:
    """Return the probability in ppm for each thousandth of log-odds from -12 to 12, computed in decimal."""
    with localcontext() as context:
        context.prec = 18
        step = Decimal("0.001").exp()
        odds = (Decimal(-MILLI_LIMIT) / 1000).exp()
        table = np.empty(2 * MILLI_LIMIT + 1, dtype=np.int64)
        for at in range(len(table)):
            table[at] = int((MICRO * odds / (1 + odds)).to_integral_value())
            odds *= step
    table.flags.writeable = False
    return table


def probability_ppm(logit_micro: Int64s) -> Int64s:
    """Return the probability (ppm) of log-odds given in millionths, to the nearest thousandth of log-odds."""
    milli = np.clip((logit_micro + 500) // 1000, -MILLI_LIMIT, MILLI_LIMIT)
    return _ppm_table()[milli + MILLI_LIMIT]
