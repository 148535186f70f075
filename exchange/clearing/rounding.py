"""From shares to whole receivables, so that every limit's sum stays where the shares have it."""

from itertools import pairwise

import numpy as np
from scipy import sparse

from exchange.clearing.dual import Choices, Dual
from exchange.clearing.market import Ints
from exchange.clearing.rows import Floats

SURE = 0.98
SLIGHT = 0.02
PASSES = 4
"""How often each torn receivable is asked: first of shares, then of the choices of all others."""


def round_choices(dual: Dual, prices: Floats, shares: Choices) -> Ints:
    """The pair chosen for each receivable that gets one.

    Who is sure of one option takes it. The torn follow from the largest to the smallest, each to the option that
    leaves the least sum of squares of (sum - limit) x price over the limits that have a price; then again.
    """
    best = np.maximum.reduceat(shares, dual.starts) if len(dual.starts) else np.zeros(0)
    sure = shares > SURE
    nowhere = 1 - np.add.reduceat(shares, dual.starts) if len(dual.starts) else np.zeros(0)
    torn = (best <= SURE) & (nowhere <= SURE)
    priced = np.flatnonzero(prices > 0)
    face = dual.rows.market.receivables.face[dual.pairs.receivable]
    expected = np.where(torn[dual.of], shares, sure) * face
    sums = dual.rows.spread.T @ (dual.used_by @ expected)
    limits = np.where(dual.rows.is_share, 0, dual.rows.limit)
    scale = prices[priced] / max(1.0, float(face.mean())) if len(face) else prices[priced]
    ahead: list[float] = ((sums - limits)[priced] * scale).tolist()
    some = np.flatnonzero(torn[dual.of] & (shares > SLIGHT))
    uses = sparse.csr_array(dual.uses[some] @ dual.rows.spread[:, priced])
    uses = sparse.csr_array(uses.multiply(face[some][:, None]).multiply(scale[None, :]))
    chosen = [np.flatnonzero(sure), _follow(dual, some, uses, (shares, nowhere), ahead)]
    return np.sort(np.concatenate(chosen))


def _follow(dual: Dual, some: Ints, uses: sparse.csr_array, given: tuple[Choices, Choices], ahead: list[float]) -> Ints:
    """The torn receivables' options, one after the other; `ahead` is how far each sum is over its limit."""
    shares, nowhere = given
    begin, at, by = uses.indptr.tolist(), uses.indices.tolist(), uses.data.tolist()
    lines = [list(zip(at[a:b], by[a:b], strict=True)) for a, b in pairwise(begin)]
    share = shares[some].tolist()
    heads = np.flatnonzero(np.diff(dual.of[some], prepend=-1))
    ends = np.append(heads[1:], len(some))
    order = np.argsort(-dual.amount[dual.of[some][heads]], kind="stable") if len(heads) else heads
    torn = list(
        zip(heads[order].tolist(), ends[order].tolist(), nowhere[dual.of[some][heads]][order].tolist(), strict=True)
    )
    now: list[list[tuple[int, float]]] = [[(option, share[option]) for option in range(a, b)] for a, b, _ in torn]
    for _ in range(PASSES):
        for place, (head, end, out) in enumerate(torn):
            for option, part in now[place]:
                for limit, use in lines[option]:
                    ahead[limit] -= part * use
            least, best = (0.0, -1) if out > SLIGHT else (np.inf, -1)
            for option in range(head, end):
                cost = sum(use * (2 * ahead[limit] + use) for limit, use in lines[option])
                if cost < least:
                    least, best = cost, option
            now[place] = [(best, 1.0)] if best >= 0 else []
            for limit, use in lines[best] if best >= 0 else ():
                ahead[limit] += use
    return some[np.array([option for one in now for option, _ in one], np.int64)]
