"""Receivables that may be split: who gets how much of them, chosen for all at once, and what is left of them."""

import numpy as np
from scipy import optimize, sparse

from exchange.clearing.market import Flags, Ints
from exchange.clearing.pairs import Pairs
from exchange.clearing.placement import NOWHERE, Placement
from exchange.clearing.polish import Polisher
from exchange.clearing.rows import Floats

CLOSE = 0.005
"""Options worth so much less than a receivable's best one, as a part of what they are worth, are left out."""
PASSES = 3
"""How often the amounts are chosen: each time without the parts that came out too small."""
DRAWN = 1e-6
"""How far below its limit a row stays, as a part of a usual receivable: HiGHS keeps limits to 1e-7."""
ROUNDED = 2
"""Minor units that an amount may be off by."""


def divide(polisher: Polisher, *, strict: float) -> None:
    """Choose anew how much each mandate gets of the receivables that may be split, around all that may not.

    A linear programme: amounts fill limits exactly where whole receivables leave room, and make room where these
    are over. What cannot be mended costs `strict` times its price, and stays broken.
    """
    placement, pairs = polisher.placement, polisher.pairs
    some = _options(polisher)
    if not len(some):
        return
    placement.lift(polisher.rows.market.receivables.split)
    smallest = np.maximum(1, polisher.rows.market.mandates.smallest)
    amount, near = _amounts(polisher, some, strict)
    for _ in range(PASSES - 1):
        fits = (amount == 0) | (amount >= smallest[pairs.mandate[some]])
        if fits.all():
            break
        some = some[fits & near]
        if not len(some):
            return
        amount, near = _amounts(polisher, some, strict)
    face = placement.face[pairs.receivable[some]]
    placement.place(some[amount == face])
    for place in np.flatnonzero((amount >= smallest[pairs.mandate[some]]) & (amount < face)).tolist():
        placement.put_part(int(some[place]), int(amount[place]))


def _options(polisher: Polisher) -> Ints:
    """The pairs of receivables that may be split which are close to their best one."""
    pairs = polisher.pairs
    some = np.flatnonzero(polisher.rows.market.receivables.split[pairs.receivable])
    lost = np.maximum(polisher.rival[some] - polisher.profit[some], 0)
    close = (lost <= CLOSE * polisher.worth[some]) & ~np.isin(pairs.mandate[some], sorted(polisher.closed))
    chosen: Ints = some[close]
    return chosen


def _amounts(polisher: Polisher, some: Ints, strict: float) -> tuple[Ints, Flags]:
    """How much of each of these pairs, and which of them come close to being taken."""
    rows, pairs = polisher.rows, polisher.pairs.where(some)
    face = polisher.placement.face[pairs.receivable]
    unit = max(1.0, float(face.mean())) if len(face) else 1.0
    tops, room, fines = _limits(polisher, pairs, face, unit)
    who, of = np.unique(pairs.receivable, return_inverse=True)
    once = sparse.csc_array((np.ones(len(some)), (of, np.arange(len(some)))), shape=(len(who), len(some)))
    over = np.flatnonzero(room < 0)
    beyond = sparse.csc_array((-np.ones(len(over)), (over, np.arange(len(over)))), shape=(len(room), len(over)))
    most = np.append(face / unit, np.full(len(over), np.inf))
    cost = np.append(-pairs.value.astype(float), strict * fines[over])
    uses = sparse.block_array([[tops, beyond], [once, sparse.csc_array((len(who), len(over)))]], format="csc")
    done = optimize.linprog(
        cost,
        A_ub=uses,
        b_ub=np.append(room, polisher.placement.face[who] / unit),
        bounds=np.column_stack([np.zeros(len(most)), most]),
        method="highs-ds",
    )
    if done.x is None:
        return np.zeros(len(some), np.int64), np.ones(len(some), bool)
    amount = np.floor(done.x[: len(some)] * unit).astype(np.int64)
    amount = np.where((amount >= face - ROUNDED) & rows.fits_alone(pairs), face, np.minimum(amount, face - 1))
    amount = np.where(amount > ROUNDED, amount, 0)
    reduced = (cost - uses.T @ done.ineqlin.marginals)[: len(some)]
    return amount, (amount > 0) | (reduced < CLOSE / 2 * pairs.value)


def _limits(polisher: Polisher, pairs: Pairs, face: Ints, unit: float) -> tuple[sparse.csc_array, Floats, Floats]:
    """The limits that these pairs can reach: what a unit of each adds, what is left, both scaled, and their price."""
    counts = sparse.csc_array(polisher.rows.matrix(pairs) @ polisher.spread)
    sums = np.flatnonzero((np.diff(counts.indptr) > 0) & polisher.rows.live)
    counts = sparse.csc_array(counts[:, sums])
    reach = counts.maximum(0).T @ face
    room = polisher.room(sums)
    tight = np.flatnonzero(reach > room)
    counts, room, sums = sparse.csc_array(counts[:, tight]), room[tight], sums[tight]
    scale = np.maximum(abs(counts).max(axis=0).toarray().ravel(), 1e-9) if len(tight) else np.zeros(0)
    tops = sparse.csc_array((counts @ sparse.diags_array(1 / scale, shape=(len(scale),) * 2)).T)
    drawn = room / scale / unit - ROUNDED * np.diff(counts.indptr) / unit - DRAWN
    return tops, drawn, polisher.fine[sums] * scale


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
