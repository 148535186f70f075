"""Exchanges, one mandate at a time, until nothing can be gained and no limit is broken."""

import numpy as np
from scipy import sparse

from exchange.clearing.exact import pack
from exchange.clearing.market import Ints
from exchange.clearing.placement import NOWHERE, Placement
from exchange.clearing.rows import PERMILLE, Floats

SETTLINGS = 3
WIDER = (2, 5)
"""How much further exchanges that mend look."""
NOTHING = 1e-6
"""A repair that mends less than this part of what is broken is none."""


class Polisher:
    """What goes out of a mandate, what comes in, and what that does to its limits.

    The prices say which receivables are close enough to be looked at: `width` on each side, those that lose least
    (for their size) by going, and gain most by coming. Prices of limits that are broken are multiplied by `strict`.
    """

    def __init__(self, placement: Placement, cost: Floats, prices: Floats, *, width: int, steps: int) -> None:
        self.placement, self.width, self.steps = placement, width, steps
        self.rows, self.pairs, self.worth = placement.rows, placement.pairs, placement.worth
        self.uses = self.rows.matrix(self.pairs, whole=True)
        self.profit: Floats = self.worth - self.uses @ cost
        self.root: Floats = np.sqrt(np.maximum(self.worth.astype(float), 1.0))
        self.rival = _rivals(self.profit, placement.first, self.pairs.receivable)
        self.spread = sparse.csc_array(self.rows.spread)
        self.closed: set[int] = set()
        squares = np.sqrt(self.rows.matrix(self.pairs).power(2).sum(axis=0))
        count = np.sqrt(np.bincount(self.uses.indices, minlength=self.rows.size))
        usual = float(np.median(self.pairs.value)) / 2 if len(self.pairs) else 1.0
        self.fine: Floats = np.maximum(prices, usual * count / np.maximum(squares, 1e-3))

    def improve(self, mandate: int, *, strict: float) -> int:
        """Make up to `steps` exchanges; how many there were."""
        if mandate in self.closed or not len(self.placement.of_mandate[mandate]):
            return 0
        return _Exchange(self, mandate, strict).run()

    def settle(self, mandate: int) -> None:
        """Mend a mandate's limits and its pool's size by choosing again, exactly, among the close; then among more."""
        width = self.width
        for _ in range(SETTLINGS):
            if _Exchange(self, mandate, whole=True).settle():
                break
            self.width *= 3
        self.width = width

    def repair(self, mandate: int, *, strict: float) -> None:
        """Mend a mandate's limits: by exchanges among more, or the better of choosing again and of taking out."""
        placement, width = self.placement, self.width
        for wider in WIDER:
            self.width = wider * width
            self.improve(mandate, strict=strict)
        self.width = width
        if not placement.broken(mandate):
            return
        before = placement.saved()
        self.settle(mandate)
        settled, worth = None, -1
        if not placement.broken(mandate):
            settled, worth = placement.saved(), placement.value()
        placement.restore(before)
        self.mend(mandate)
        while self.improve(mandate, strict=strict):
            pass
        if settled is not None and placement.value() < worth:
            placement.restore(settled)

    def mend(self, mandate: int) -> int:
        """Take out what counts in broken limits, first what mends most for its worth; how many went.

        What goes makes the pool smaller, which may break a share: then that is mended, until nothing is broken in which
        it has anything: a limit that mandates share may be broken by others alone, who mend it.
        """
        placement, gone = self.placement, 0
        while broken := placement.broken(mandate):
            mine = placement.of_mandate[mandate]
            held = mine[placement.at[self.pairs.receivable[mine]] == mine]
            held = held[((self.uses[held] @ self.spread[:, broken]).toarray() > 0).any(axis=1)]
            gone += 1
            if len(held):
                sums = np.array(placement.limits_of(mandate))
                room, fine = self.room(sums), self.fine[sums]
                owed = np.maximum(-room, 0) @ fine
                then = np.maximum(-(self.uses[held] @ self.spread[:, sums]).toarray() - room, 0) @ fine
                best = held[np.argmax((owed - then) / np.maximum(self.worth[held], 1))]
                placement.move(int(self.pairs.receivable[best]), NOWHERE)
                continue
            parts = np.array(placement.parts_of(mandate), np.int64)
            parts = parts[((self.uses[parts] @ self.spread[:, broken]).toarray() > 0).any(axis=1)]
            if not len(parts):
                break
            placement.take_part(int(parts[-1]))
        return gone

    def room(self, sums: Ints) -> Floats:
        """How far each sum is below its limit."""
        tally, rows = self.placement.sums, self.rows
        share = rows.is_share[sums]
        now = np.array([tally[at] for at in sums.tolist()], dtype=np.int64)
        pool = np.array([tally[at] for at in rows.pool_of[sums].tolist()], dtype=np.int64)
        room: Floats = np.where(share, rows.permille[sums] * pool / PERMILLE, rows.limit[sums]) - now
        return room


class _Exchange:
    """One mandate's exchanges: row 0 is nobody going, column 0 nobody coming."""

    def __init__(self, by: Polisher, mandate: int, strict: float = 1.0, *, whole: bool = False) -> None:
        self.whole = whole
        self.by, self.mandate, self.strict = by, mandate, strict
        placement, mine = by.placement, by.placement.of_mandate[mandate]
        self.broken = bool(broken := placement.broken(mandate))
        at = placement.at[by.pairs.receivable[mine]]
        self.going = self._going(mine[at == mine], broken)
        coming = mine[(at != mine) & (placement.placed_in_parts[by.pairs.receivable[mine]] == 0)]
        had = placement.at[by.pairs.receivable[coming]]
        gain = by.profit[coming] - np.where(had >= 0, by.profit[had], 0.0)
        order = np.argsort(-gain / by.root[coming], kind="stable")
        chosen = order[: by.width]
        if broken:
            helps = (by.uses[coming[order]] @ by.spread[:, broken]).toarray().min(axis=1) < 0
            chosen = np.union1d(chosen, order[helps][: by.width])
        self.coming = coming[chosen]
        if whole:
            had = placement.at[by.pairs.receivable[self.coming]]
            self.coming = self.coming[[w == NOWHERE or placement.admits(placement.change(w, -1)) for w in had.tolist()]]
        had = placement.at[by.pairs.receivable[self.coming]]
        brought = by.worth[self.coming] - np.where(had >= 0, by.worth[had], 0)
        self.goes_to = [placement.elsewhere(pair) for pair in self.going.tolist()]
        there = np.array([by.worth[pair] if pair >= 0 else 0 for pair in self.goes_to], dtype=np.int64)
        lost = by.worth[self.going] - there
        self.gain: Floats = np.append(0.0, brought)[None, :] - np.append(0.0, lost)[:, None]
        self.allowed = np.ones(self.gain.shape, bool)
        both = np.concatenate([self.going, self.coming])
        sums = np.unique(np.append(placement.where[both].ravel(), np.array(placement.shares[mandate], np.int64)))
        self.sums = sums[by.rows.live[sums]]
        uses = (by.uses[both] @ by.spread[:, self.sums]).toarray()
        none = np.zeros((1, len(self.sums)))
        self.leaves = np.concatenate([none, uses[: len(self.going)]])
        self.enters = np.concatenate([none, uses[len(self.going) :]])

    def settle(self) -> bool:
        """Choose among all of these at once, exactly; whether that kept every limit."""
        by, placement = self.by, self.by.placement
        value = np.concatenate([-self.gain[1:, 0], self.gain[0, 1:]])
        uses = np.concatenate([self.leaves[1:], self.enters[1:]])
        room = by.room(self.sums) + self.leaves.sum(axis=0)
        face = placement.face[by.pairs.receivable[np.concatenate([self.going, self.coming])]].astype(float)
        least = int(by.rows.market.mandates.min_pool[self.mandate])
        beyond = placement.sums[self.mandate] - float(face[: len(self.going)].sum()) - least
        chosen = pack(value, np.column_stack([uses, -face]), np.append(room, beyond))
        if chosen is None:
            return False
        for place, pair in enumerate(self.going.tolist()):
            if not chosen[place]:
                placement.move(int(by.pairs.receivable[pair]), NOWHERE)
        for place, pair in enumerate(self.coming.tolist(), len(self.going)):
            receivable = int(by.pairs.receivable[pair])
            had = int(placement.at[receivable])
            if chosen[place] and (had == NOWHERE or placement.admits(placement.change(had, -1))):
                placement.move(receivable, pair)
        for place, (pair, to) in enumerate(zip(self.going.tolist(), self.goes_to, strict=True)):
            if not chosen[place] and to != NOWHERE and placement.admits(placement.change(to)):
                placement.move(int(by.pairs.receivable[pair]), to)
        return not placement.broken(self.mandate) and not 0 < placement.sums[self.mandate] < least

    def _going(self, held: Ints, broken: list[int]) -> Ints:
        """Who may go: those with the nearest rival; while limits are broken, those that count in one of them."""
        by = self.by
        near = (by.profit[held] - by.rival[held]) / by.root[held]
        order = np.argsort(near, kind="stable")
        if not broken:
            nearest: Ints = held[order[: by.width]]
            return nearest
        counts = (by.uses[held[order]] @ by.spread[:, broken]).toarray().max(axis=1) > 0
        first = order[counts][: by.width]
        chosen: Ints = held[np.union1d(first, order[: by.width]) if self.whole else first]
        return chosen

    def run(self) -> int:
        """Exchange while it helps."""
        done = 0
        for _ in range(self.by.steps):
            score = self._score()
            best = int(np.argmax(score))
            if score.flat[best] <= 0:
                break
            out, into = divmod(best, score.shape[1])
            done += self._exchange(out, into)
        return done

    def _score(self) -> Floats:
        room = self.by.room(self.sums)
        fine = self.strict * self.by.fine[self.sums]
        owed = float((np.maximum(-room, 0) * fine).sum())
        if owed:
            score = self.gain + owed * (1 - NOTHING)
            for at, left in enumerate(room.tolist()):
                over = self.enters[None, :, at] - self.leaves[:, None, at] - left
                score -= np.maximum(over, 0) * fine[at]
            return np.where(self.allowed, score, 0.0)
        out, into = np.nonzero(self.allowed & (self.gain > 0))
        widest = self.enters.max(axis=0) - self.leaves.min(axis=0)
        for at in np.flatnonzero(widest > room).tolist():
            keeps = self.enters[into, at] - self.leaves[out, at] <= room[at]
            out, into = out[keeps], into[keeps]
        score = np.zeros(self.gain.shape)
        score[out, into] = self.gain[out, into]
        return score

    def _exchange(self, out: int, into: int) -> int:
        """Do it if every mandate it touches admits it; 1 if done."""
        by, placement = self.by, self.by.placement
        goes = comes = to = had = NOWHERE
        if into:
            comes = int(self.coming[into - 1])
            had = int(placement.at[by.pairs.receivable[comes]])
            if had != NOWHERE and not placement.admits(placement.change(had, -1)):
                self.allowed[:, into] = False
                return 0
        if out:
            goes, to = int(self.going[out - 1]), self.goes_to[out - 1]
            if to != NOWHERE and not placement.admits(placement.change(to)):
                self.gain[out] -= by.worth[to]
                self.goes_to[out - 1] = NOWHERE
                return 0
        signs = ((comes, 1), (had, -1), (goes, -1), (to, 1))
        changes = [placement.change(pair, sign) for pair, sign in signs if pair != NOWHERE]
        if not changes or not (placement.keeps_least(*changes) if self.broken else placement.admits(*changes)):
            self.allowed[out, into] = False
            return 0
        if out:
            placement.move(int(by.pairs.receivable[goes]), to)
            self.allowed[out] = False
        if into:
            placement.move(int(by.pairs.receivable[comes]), comes)
            self.allowed[:, into] = False
        self.broken = self.broken and bool(placement.broken(self.mandate))
        return 1


def _rivals(profit: Floats, first: Ints, receivable: Ints) -> Floats:
    """What each pair's receivable would bring with its best other pair, or nowhere (0)."""
    if not len(profit):
        return profit
    order = np.lexsort((-profit, receivable))
    heads = first[:-1][np.diff(first) > 0]
    counts = np.diff(first)[np.diff(first) > 0]
    second = np.zeros(len(heads))
    second[counts > 1] = profit[order[heads[counts > 1] + 1]]
    rival = np.empty(len(profit))
    rival[order] = np.repeat(profit[order[heads]], counts)
    rival[order[heads]] = second
    return np.maximum(rival, 0)
