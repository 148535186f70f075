"""The parts of the solver by themselves: what they promise of markets that are large, split, or searched to a count."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from exchange.clearing import exact, solve
from exchange.clearing.bound import Prices
from exchange.clearing.dual import Dual, descend, pools, relax
from exchange.clearing.pairs import blocks, joined
from exchange.clearing.parts import divide
from exchange.clearing.placement import Placement
from exchange.clearing.polish import Polisher
from exchange.clearing.rows import Floats, Rows
from exchange.clearing.solve import HEATS, WIDTH, clear
from tests.benchmarks.clearing import make_market

STRICT = 4.0


@cache
def priced() -> tuple[Dual, Floats]:
    """A market of 2,000 over all its pairs, and its prices."""
    market = make_market(2_000, 8, seed=3)
    dual = Dual(Rows(market), joined([pairs for _, pairs in blocks(market)]))
    return dual, descend(dual, np.zeros(dual.rows.size), heats=HEATS)


def polisher(*, split: bool) -> Polisher:
    """Nothing placed yet; every receivable may be split into the smallest parts, or none."""
    dual, prices = priced()
    market = dual.rows.market
    held = replace(market.receivables, split=np.full(len(market.receivables), split))
    own = replace(market.mandates, smallest=np.ones(len(market.mandates), np.int64))
    rows = Rows(replace(market, receivables=held, mandates=own))
    placement = Placement(rows, dual.pairs)
    return Polisher(placement, rows.spread @ prices, prices, width=WIDTH, steps=WIDTH)


def test_divided_amounts_keep_every_limit_and_reach_the_bound() -> None:
    """Where all may be split the linear programme of amounts is the market: it comes within 1 % of the bound."""
    dual, prices = priced()
    by = polisher(split=True)
    divide(by, strict=STRICT)
    placement = by.placement
    market = by.rows.market
    assert all(not placement.broken(mandate) for mandate in range(len(market.mandates)))
    assert all(amount >= market.mandates.smallest[by.pairs.mandate[at]] for at, amount in placement.parts.items())
    placed = np.zeros(len(market.receivables), np.int64)
    for receivable, _, amount in placement.entries():
        placed[receivable] += amount
    assert (placed <= market.receivables.face).all()
    assert placement.value() > 0.99 * dual.bound(prices) * float(market.receivables.face.sum())


def test_what_may_not_be_split_is_not_divided() -> None:
    """No receivable that may be split: nothing moves."""
    by = polisher(split=False)
    divide(by, strict=STRICT)
    assert not by.placement.parts
    assert not by.placement.value()


def test_prices_of_small_loose_limits_are_dropped_and_no_others() -> None:
    """A limit for less than three receivables, of which more than half is left, loses its price."""
    dual, prices = priced()
    heat = HEATS[6]
    dear = np.where(dual.rows.live, prices + 50.0, 0.0)
    relaxed = relax(dual, dear, heat)
    dropped = np.flatnonzero(relaxed != dear)
    assert len(dropped)
    assert not relaxed[dropped].any()
    _, left, _ = dual.smooth(dear, heat)
    assert (left[dropped] > 0).all()
    tight = dual.rows.live & (left <= 0)
    assert tight.any()
    assert (relaxed[tight] == dear[tight]).all()


def test_a_screen_that_keeps_too_many_pairs_halves_its_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is dropped is further from its receivable's best than whatever is kept, and the bound stays."""
    dual, prices = priced()
    market = dual.rows.market
    clearing = solve._Clearing(market, None)
    clearing.prices = prices
    every, bound, _ = clearing._screen(None)
    monkeypatch.setattr(solve, "MOST_PAIRS", len(every) // 2)
    fewer, same, margin = clearing._screen(50_000.0)
    assert margin < 50_000.0
    assert 0 < len(fewer) <= len(every) // 2
    assert same == bound
    _, worth = Prices.of(dual.rows, prices).of_receivables(every)
    best = np.full(len(market.receivables), 0.0)
    np.maximum.at(best, every.receivable, worth)
    below = best[every.receivable] - worth
    code = every.receivable * len(market.mandates) + every.mandate
    kept = np.isin(code, fewer.receivable * len(market.mandates) + fewer.mandate)
    assert below[kept].max() < below[~kept].min()


def test_a_search_that_was_at_its_count_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Branch and bound after one node, and at its end: both keep every limit, and only one is said to be complete."""
    monkeypatch.setattr(solve, "MOST_TRIES", 1)
    ends = []
    for nodes, gap in ((1, 0.0), (10_000, 0.5)):
        monkeypatch.setattr(exact, "NODES", nodes)
        monkeypatch.setattr(exact, "GAP", gap)
        answer = clear(make_market(300, 6, seed=1), seed=b"1")
        assert answer.entries
        ends.append(answer.complete)
    assert ends == [False, True]


def test_a_pool_below_its_least_size_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mandate that would have most of its least pool gets all of it, from pairs that nobody else looks at."""
    market = make_market(2_000, 8, seed=3)
    dual, prices = priced()
    held = pools(dual, prices, HEATS[-1]) * float(market.receivables.face.sum())
    one = int(np.argsort(held)[len(held) // 2])
    least = market.mandates.min_pool.copy()
    least[one] = int(1.1 * held[one])
    monkeypatch.setattr(solve, "NEAR", 50.0)
    monkeypatch.setattr(solve, "SMALL", 0)
    answer = clear(replace(market, mandates=replace(market.mandates, min_pool=least)), seed=b"1")
    assert sum(amount for _, mandate, amount in answer.entries if mandate == one) >= least[one]
