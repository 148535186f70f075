"""Small markets, and one mandate's choice among a few: HiGHS's branch and bound (Huangfu and Hall 2018)."""

import numpy as np
from scipy import optimize, sparse

from exchange.clearing.market import Ints
from exchange.clearing.placement import Placement
from exchange.clearing.rows import Floats, Rows

MARGIN = 2e-6
"""How far below its limit a row has to stay, in its largest entry: HiGHS keeps limits to 1e-6."""
FEW_NODES, FEW_GAP = 50, 2e-4
NODES, GAP = 300, 1e-3
"""When the search for a whole market's placement ends."""
AT_ITS_END = (0, 2)
"""The statuses of one that was not at its count of nodes first: the best is found, or there is none."""


def pack(value: Floats, uses: Floats, room: Floats) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]] | None":
    """The most valuable choice among the rows of `uses` whose sums stay within `room`, or None when there is none."""
    if not len(value):
        return None
    tight = np.flatnonzero(np.maximum(uses, 0).sum(axis=0) > room)
    scale = np.maximum(np.abs(uses[:, tight]).max(axis=0, initial=0), 1.0)
    done = optimize.milp(
        -value / max(1.0, np.abs(value).max(initial=0)),
        constraints=optimize.LinearConstraint(uses[:, tight].T / scale[:, None], -np.inf, room[tight] / scale - MARGIN),
        integrality=np.ones(len(value)),
        bounds=optimize.Bounds(0, 1),
        options={"node_limit": FEW_NODES, "mip_rel_gap": FEW_GAP},
    )
    return None if done.x is None else done.x > 1 / 2


def whole_market(placement: Placement) -> tuple[bool, bool]:
    """Place all at once, by branch and bound over every pair; whether anything was found, and the search ended.

    The search is counted in nodes, never timed: it is the same on every run.

    A variable for each pair: whether it is placed, or how much of it where the receivable may be split; a second one
    there says whether there is a part, which then has the mandate's smallest size; and one for each mandate with a
    least pool says whether there is a pool.
    """
    rows, pairs = placement.rows, placement.pairs
    split = rows.market.receivables.split[pairs.receivable] & (len(pairs) > 0)
    whole = rows.fits_alone(pairs) & ~split
    rules, limits = _rules(placement, np.flatnonzero(split))
    extra = rules.shape[1] - len(pairs)
    done = optimize.milp(
        np.append(-placement.worth / max(1.0, float(placement.worth.max(initial=0))), np.zeros(extra)),
        constraints=optimize.LinearConstraint(rules, -np.inf, limits),
        integrality=np.append(~split, np.ones(extra)).astype(int),
        bounds=optimize.Bounds(0, np.append(whole | split, np.ones(extra))),
        options={"node_limit": NODES, "mip_rel_gap": GAP},
    )
    ended = done.status in AT_ITS_END
    if done.x is None:
        return False, ended
    part = done.x[: len(pairs)]
    placement.place(np.flatnonzero((part > 1 - MARGIN) & (whole | split)))
    for pair in np.flatnonzero(split & (part > MARGIN) & (part <= 1 - MARGIN)).tolist():
        receivable = int(pairs.receivable[pair])
        left = placement.left_of(receivable)
        smallest = max(1, int(rows.market.mandates.smallest[pairs.mandate[pair]]))
        amount = min(left, max(smallest, int(part[pair] * placement.face[receivable])))
        if amount >= smallest:
            placement.put_part(pair, amount)
    return True, ended


def _rules(placement: Placement, parts: Ints) -> tuple[sparse.csr_array, Floats]:
    """Every rule as a row <= a limit; the columns are the pairs, the parts and the mandates with a least pool."""
    rows, pairs = placement.rows, placement.pairs
    mandates = rows.market.mandates
    face = placement.face[pairs.receivable].astype(float)
    needy = np.flatnonzero(mandates.min_pool > 0)
    count, part_count, pool_count = len(pairs), len(parts), len(needy)
    ids = np.arange(count)
    tops, limits = _limits(rows, placement, part_count)
    once = sparse.csr_array((np.ones(count), (pairs.receivable, ids)), shape=(len(placement.face), count))
    once = once[np.unique(pairs.receivable)]
    picked = sparse.csr_array((np.ones(part_count), (np.arange(part_count), parts)), shape=(part_count, count))
    least = sparse.diags_array(mandates.smallest[pairs.mandate[parts]] / face[parts], shape=(part_count, part_count))
    there = sparse.eye_array(part_count)
    biggest = max(1.0, float(face.max(initial=0)))
    pool = sparse.csr_array((face / biggest, (pairs.mandate, ids)), shape=(len(mandates), count))[needy]
    most = sparse.diags_array(np.asarray(pool.sum(axis=1)).ravel(), shape=(pool_count, pool_count))
    floor = sparse.diags_array(mandates.min_pool[needy] / biggest + 2 * MARGIN, shape=(pool_count, pool_count))
    rules = sparse.block_array(
        [
            [tops, sparse.csr_array((tops.shape[0], part_count)), sparse.csr_array((tops.shape[0], pool_count))],
            [once, None, None],
            [picked, -there, None],
            [-picked, least, None],
            [pool, None, -most],
            [-pool, None, floor],
        ],
        format="csr",
    )
    ends = [limits, np.ones(once.shape[0]), np.zeros(2 * part_count + 2 * pool_count)]
    return rules, np.concatenate(ends)


def _limits(rows: Rows, placement: Placement, part_count: int) -> tuple[sparse.csr_array, Floats]:
    """The limits that can be reached at all, each scaled by its largest entry and drawn in by the margin."""
    live = np.flatnonzero(rows.live)
    uses = sparse.csr_array((rows.matrix(placement.pairs, whole=True) @ sparse.csc_array(rows.spread)[:, live]).T)
    limit = np.where(rows.is_share, 0, rows.limit)[live].astype(float)
    reachable = np.flatnonzero(np.asarray(uses.maximum(0).sum(axis=1)).ravel() > limit)
    uses, limit = uses[reachable], limit[reachable]
    scale = np.maximum(np.asarray(abs(uses).max(axis=1).todense()).ravel(), 1e-9) if len(limit) else limit
    ratio = limit == 0
    uses = sparse.csr_array(sparse.diags_array(1 / scale, shape=(len(scale),) * 2) @ uses)
    # An empty pool keeps its shares and averages: the margin has to come with what is placed, not with the row.
    drawn = sparse.csr_array(uses + sparse.diags_array(ratio * 2 * MARGIN, shape=(len(scale),) * 2) @ abs(uses).sign())
    # The discount of a part is rounded the other way: a minor unit for each.
    return drawn, np.where(ratio, 0.0, limit / scale - MARGIN - part_count / scale)
