"""What each limit is worth: prices at which every receivable, choosing for itself, chooses what can be had.

The Lagrangian dual of the market's linear relaxation over its limits alone (Held and Karp 1971): with prices p,
a receivable's option is worth value - (what it uses, at p), its best one counts, and the sum of these and of
p x limit bounds what any placement can be worth. The maximum over options is smoothed to heat x log-sum-exp
(Nesterov 2005), which makes choices shares and the bound twice differentiable; each heat takes projected Newton
steps in a trust region, and the next one is lower. The Hessian comes from receivables torn between options only:
the colder, the fewer. Sums are of shares of all faces together, so that numbers are near one.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from exchange.clearing.pairs import Pairs
from exchange.clearing.rows import Floats, Rows

TORN = 0.02
"""A receivable is torn when its shares p have sum p(1-p) above this."""
MOST_TORN = 20_000
"""Torn receivables that the Hessian is made of; of more, as many evenly spaced ones, weighted up."""
HOT, MOST_TORN_HOT = 30.0, 4_000
"""Above this heat nearly all are torn, between many options, and a sample of them says enough."""
REACH = 2.0
"""The first radius of the trust region: by how many heats a price may move a pair's worth."""
STEPS, PIVOTS = 24, 100
ENOUGH, ENOUGH_OF_SAMPLE, ENOUGH_OF_FEW = 2e-3, 1e-2, 1e-4
"""A step that gains less than this part of the heat ends a heat."""
FEW_PAIRS = 20_000
"""A step over so many takes next to no time."""
FITS_WELL, FITS_BADLY, FITS_AT_ALL = 0.6, 0.25, 0.01
"""How much of the gain that the quadratic model foretold has to come true."""
LEAST_SHARE = 1e-3
SLACK, FEW = 0.5, 3.0
"""A limit that has room for so few receivables of a sample, and of which this part is left, has no price yet."""

Choices = NDArray[np.float64]
Cooled = Callable[[float], None]


class Dual:
    """The bound as a function of prices, over some pairs; `portion` of all faces is in the receivables of these.

    Where pairs were left out that lose more than `margin` at the prices `around`, these hold only near there: no price
    is moved further than what makes half of that up (the box step of Marsten, Hogan and Blankenship 1975).
    """

    def __init__(
        self,
        rows: Rows,
        pairs: Pairs,
        *,
        portion: float = 1.0,
        around: Floats | None = None,
        margin: float = np.inf,
    ) -> None:
        held = rows.market.receivables.face
        total = max(1.0, float(held.sum()))
        self.rows, self.pairs = rows, pairs
        self.enough = ENOUGH_OF_SAMPLE if portion < 1 else ENOUGH_OF_FEW if len(pairs) <= FEW_PAIRS else ENOUGH
        self.uses = rows.matrix(pairs)
        self.used_by = sparse.csr_array(self.uses.T)
        self.value = pairs.value.astype(float)
        self.starts = starts(pairs)
        self.of = np.repeat(np.arange(len(self.starts)), np.diff(self.starts, append=len(pairs)))
        self.amount = held[pairs.receivable[self.starts]] / (total * portion)
        self.limit = np.where(rows.live, rows.limit / total, 0.0)
        squares = self.uses.multiply(self.uses).sum(axis=0)
        count = np.bincount(self.uses.indices, minlength=rows.size)
        self.strength: Floats = np.where(count, np.maximum(np.sqrt(squares / np.maximum(count, 1)), 1e-3), 1.0)
        centre = np.zeros(rows.size) if around is None else around
        self.low: Floats = np.maximum(centre - margin / 2 / self.strength, 0)
        self.high: Floats = centre + margin / 2 / self.strength

    def reduced(self, prices: Floats) -> Floats:
        """Each pair's value less what it uses, for a minor unit."""
        worth: Floats = self.value - self.uses @ (self.rows.spread @ prices)
        return worth

    def bound(self, prices: Floats) -> float:
        """No placement of these pairs is worth more, for each minor unit of all faces."""
        best = np.maximum(_best(self.reduced(prices), self.starts), 0)
        return float(prices @ self.limit + self.amount @ best)

    def smooth(self, prices: Floats, heat: float) -> tuple[float, Floats, Choices]:
        """The smoothed bound, its gradient, and the share of each receivable that goes to each pair."""
        worth = self.reduced(prices)
        best = np.maximum(_best(worth, self.starts), 0)
        pull = np.exp((worth - best[self.of]) / heat)
        total = np.exp(-best / heat) + _sums(pull, self.starts)
        shares = pull / total[self.of]
        value = prices @ self.limit + self.amount @ (best + heat * np.log(total))
        gradient = self.limit - self.rows.spread.T @ (self.used_by @ (shares * self.amount[self.of]))
        gradient[~self.rows.live] = 0
        return float(value), gradient, shares

    def curvature(self, shares: Choices, heat: float, free: NDArray[np.int64]) -> Floats:
        """The Hessian for these prices: of each torn receivable (E[uu'] - E[u]E[u]') x amount / heat."""
        torn = np.flatnonzero(_sums(shares * (1 - shares), self.starts) > TORN)
        more = max(1.0, len(torn) / (MOST_TORN_HOT if heat > HOT else MOST_TORN))
        torn = torn[(np.arange(int(len(torn) / more)) * more).astype(np.int64)]
        looked_at = np.zeros(len(self.starts), bool)
        looked_at[torn] = True
        some = np.flatnonzero(looked_at[self.of] & (shares > LEAST_SHARE))
        if not len(some):
            return np.zeros((len(free), len(free)))
        place = np.cumsum(np.diff(self.of[some], prepend=self.of[some[0]]) != 0)
        weight = self.amount[self.of[some]] * (more / heat)
        uses = sparse.csr_array(self.uses[some] @ self.rows.spread[:, free])
        mean = sparse.csr_array((shares[some], (place, np.arange(len(some))))) @ uses
        first = np.flatnonzero(np.diff(place, prepend=-1))
        spread = uses.T @ sparse.csr_array(uses.multiply((weight * shares[some])[:, None]))
        common = mean.T @ sparse.csr_array(mean.multiply(weight[first][:, None]))
        hessian: Floats = (spread - common).toarray()
        return hessian


def pools(dual: Dual, prices: Floats, heat: float) -> Floats:
    """How much of all faces each mandate gets."""
    shares = dual.smooth(prices, heat)[2]
    given = shares * dual.amount[dual.of]
    held: Floats = np.bincount(dual.pairs.mandate, given, len(dual.rows.market.mandates)).astype(float)
    return held


def starts(pairs: Pairs) -> NDArray[np.int64]:
    """Where each receivable's pairs begin."""
    return np.flatnonzero(np.diff(pairs.receivable, prepend=-1))


def descend(dual: Dual, prices: Floats, *, heats: Sequence[float], cooled: Cooled | None = None) -> Floats:
    """The prices of the least bound, from `prices` on, smoothed by each heat in turn."""
    for heat in heats:
        prices = _settle(dual, prices, heat)
        if cooled is not None:
            cooled(heat)
    return prices


def relax(dual: Dual, prices: Floats, heat: float) -> Floats:
    """The same prices, but 0 for small limits of which the larger part is left.

    A sample's receivables stand for many: what they could not have of a small limit, the single ones can.
    """
    _, left, shares = dual.smooth(prices, heat)
    counts = abs(dual.used_by) @ (shares * dual.amount[dual.of])
    counted: Floats = np.maximum(dual.limit, abs(dual.rows.spread).T @ counts)
    small = counted < FEW * dual.amount.mean()
    return np.where(small & (left > SLACK * counted), 0.0, prices)


def _settle(dual: Dual, prices: Floats, heat: float) -> Floats:
    """Newton steps at one heat; each price has a radius of its own, by how its own part of the model came true."""
    reach, enough = np.full(len(prices), REACH), heat * dual.enough
    value, gradient, shares = dual.smooth(prices, heat)
    for _ in range(STEPS):
        falls, rises = (gradient > 0) & (prices > dual.low), (gradient < 0) & (prices < dual.high)
        inside = (prices > dual.low) & (prices < dual.high)
        free = np.flatnonzero(dual.rows.live & (falls | rises | inside))
        if not len(free):
            break
        hessian = dual.curvature(shares, heat, free)
        steep = np.maximum(hessian.diagonal(), 0)  # rounding takes it a hair below where all pairs are alike
        hessian[np.diag_indices_from(hessian)] = steep * (1 + 1e-6) + max(steep.max() * 1e-12, 1e-300)
        unit = 1 / np.sqrt(hessian.diagonal())
        far = reach[free] * heat / dual.strength[free]
        low = np.maximum(dual.low[free] - prices[free], -far) / unit
        high = np.minimum(dual.high[free] - prices[free], far) / unit
        step = unit * _box_step(hessian * unit[:, None] * unit, unit * gradient[free], low, high)
        bend = hessian @ step
        foretold = gradient[free] @ step + step @ bend / 2
        moved = prices.copy()
        moved[free] = np.clip(prices[free] + step, dual.low[free], dual.high[free])
        next_value, next_gradient, next_shares = dual.smooth(moved, heat)
        came_true = (next_value - value) / foretold if foretold < 0 else 0.0
        told = step * (gradient[free] + bend / 2)
        came = step * (gradient[free] + next_gradient[free]) / 2
        well = came <= FITS_WELL * told
        reach[free] *= np.where(well, 2, np.where(came > FITS_BADLY * told, 1 / 3, 1))
        if came_true > FITS_AT_ALL:
            gained = value - next_value
            prices, value, gradient, shares = moved, next_value, next_gradient, next_shares
            if gained < enough:
                break
        elif -enough < foretold <= 0:
            break
    return prices


def _box_step(hessian: Floats, gradient: Floats, low: Floats, high: Floats) -> Floats:
    """The step d with low <= d <= high of the least gradient.d + d.hessian.d / 2.

    Block pivoting (Judice and Pires 1994): whatever is on the wrong side changes sides at once, one at a time where
    that does not help.
    """
    side = np.zeros(len(gradient), np.int8)
    fewest, patience = len(gradient) + 1, 4
    step = np.zeros(len(gradient))
    tiny = 1e-9 * np.abs(gradient).max()
    for _ in range(PIVOTS):
        free, held = np.flatnonzero(side == 0), np.flatnonzero(side)
        step = np.where(side < 0, low, high)
        if len(free):
            push = -(gradient[free] + hessian[np.ix_(free, held)] @ step[held])
            factor = linalg.cho_factor(hessian[np.ix_(free, free)], check_finite=False)
            step[free] = linalg.cho_solve(factor, push, check_finite=False)
        slope = gradient + hessian @ step
        inside = np.where(step < low, -1, np.where(step > high, 1, 0))
        turned = np.where(side == 0, inside, np.where(side * slope > tiny, 0, side))
        wrong = turned != side
        count = int(wrong.sum())
        if not count:
            break
        if count < fewest:
            fewest, patience = count, 4
        elif patience:
            patience -= 1
        else:
            wrong[: np.flatnonzero(wrong)[-1]] = False
        side = np.where(wrong, turned, side).astype(np.int8)
    return np.clip(step, low, high)


def _best(worth: Floats, begins: NDArray[np.int64]) -> Floats:
    return np.maximum.reduceat(worth, begins) if len(begins) else np.zeros(0)


def _sums(shares: Floats, begins: NDArray[np.int64]) -> Floats:
    return np.add.reduceat(shares, begins) if len(begins) else np.zeros(0)
