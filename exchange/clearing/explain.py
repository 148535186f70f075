"""What a limit costs, from the prices of an answer: in numbers, and in words that people can act on."""

from collections import Counter
from dataclasses import dataclass

from exchange.clearing.bound import QUANTUM
from exchange.clearing.market import Market
from exchange.clearing.rows import PERMILLE
from exchange.clearing.solve import Answer

MILLION_MINOR = 100_000_000
"""One million of a currency with two decimals."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one more step of a limit is worth at most, and about that while the step is small.

    `step` is in `unit`; `gain` in minor units times bps times days; `like_placing_minor` is the face that, placed
    for what placed faces are worth on average, is worth as much.
    """

    limit: str
    group: int
    key: int
    step: int
    unit: str
    gain: int
    like_placing_minor: int

    @property
    def words(self) -> str:
        """One sentence."""
        return self.said(f"{self.limit} of group {self.group}" + (f", key {self.key}" if self.key >= 0 else ""))

    def said(self, of: str) -> str:
        """One sentence about a limit that is called this."""
        steps = {"minor units": "one more million", "per mille": "one more per mille", "units": "one unit more"}
        return (
            f"{steps[self.unit]} of this limit ({of}) would be worth as much as placing"
            f" {self.like_placing_minor / MILLION_MINOR:,.3f} million more"
        )


def costs(market: Market, answer: Answer) -> list[Cost]:
    """What each limit that holds something back costs, the dearest first.

    A price is the slope of the bound: by concavity, s more of a limit raise the bound by at most price x s. A share's
    step is taken of its mandate's pool, and so is that of an average (one bp, or one day, up; for a least average
    down), since the limit's right side is the pool times the step.
    """
    caps = {cap.name for cap in market.caps}
    shares = {share.name for share in market.shares}
    pools: Counter[int] = Counter()
    for _, mandate, amount in answer.entries:
        pools[mandate] += amount
    placed = sum(pools.values())
    found = []
    for name, group, key, price in answer.prices:
        if name in caps:
            step, unit, amount = MILLION_MINOR, "minor units", MILLION_MINOR * QUANTUM
        elif name in shares:
            step, unit, amount = 1, "per mille", pools[group] * QUANTUM // PERMILLE
        else:
            step, unit, amount = 1, "units", pools[group] * QUANTUM
        gain = price * amount // QUANTUM**2
        like = gain * placed // answer.value if answer.value else 0
        found.append(Cost(name, group, key, step, unit, gain, like))
    return sorted(found, key=lambda cost: (-cost.gain, cost.limit, cost.group, cost.key))
