"""Groups and round trips: planted ones are found, honest trade is not accused."""

from collections.abc import Iterator
from itertools import permutations
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import fraud
from scoring.fraud import Cycle, Edge, cycles, self_dealing, shared_control


def test_companies_join_through_shared_handles() -> None:
    """Two companies with one controller and two with one account are one group when they overlap."""
    links = [
        ("b", "controller:x"),
        ("a", "controller:x"),
        ("b", "account:1"),
        ("c", "account:1"),
        ("d", "device:9"),
    ]
    assert shared_control(links) == {"a": "a", "b": "a", "c": "a"}


@given(st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("123456")), max_size=14), st.randoms())
def test_groups_are_the_connected_parts(links: list[tuple[str, str]], random: object) -> None:
    """Groups equal those found by spreading from each company, in any order of links."""
    reached = {company: {company} for company, _ in links}
    for _ in links:
        for company, group in reached.items():
            handles = {handle for member, handle in links if member in group}
            reached[company] = group | {member for member, handle in links if handle in handles}
    expected = {company: min(group) for company, group in reached.items() if len(group) > 1}
    assert shared_control(links) == expected
    random.shuffle(links)  # type: ignore[attr-defined]  # hypothesis' own Random
    assert shared_control(links) == expected


def test_self_dealing_is_trade_inside_a_group() -> None:
    """Pairs inside one group, and a company selling to itself, are named once; others are not."""
    groups = {"a": "a", "b": "a"}
    trades = [("a", "b"), ("a", "b"), ("a", "c"), ("c", "c"), ("c", "d")]
    assert self_dealing(trades, groups=groups) == [("a", "b"), ("c", "c")]


def ring(*names: str, day: int = 10, value_minor: int = 100) -> list[Edge]:
    """Return trades a day apart that lead round the names and back."""
    pairs = zip(names, (*names[1:], names[0]), strict=True)
    return [Edge(day + at, seller, buyer, value_minor) for at, (seller, buyer) in enumerate(pairs)]


@pytest.mark.parametrize("size", [2, 3, 6])
def test_a_planted_ring_is_found_once(size: int) -> None:
    """A ring of 2 to 6 companies is found once, from its first trade, among honest trade."""
    planted = ring(*"abcdef"[:size])
    honest = [Edge(day, f"s{day % 5}", f"m{day % 7}", 100) for day in range(60)]
    found = cycles([*honest, *reversed(planted)])
    assert found == [Cycle(tuple(planted))]
    assert found[0].companies == tuple("abcdef"[:size])


def test_what_is_no_round_trip() -> None:
    """Seven trades, lost value, time going back, a slow ring, and trade with oneself are not accused."""
    assert cycles(ring(*"abcdefg")) == []
    assert cycles([Edge(1, "a", "b", 100), Edge(2, "b", "a", 79)]) == []
    assert cycles([Edge(1, "a", "b", 100), Edge(5, "c", "a", 100), Edge(7, "b", "c", 100)]) == []
    assert cycles([Edge(3, "a", "b", 100), Edge(2, "b", "c", 100), Edge(1, "c", "a", 100)]) == []
    assert cycles([Edge(1, "a", "b", 100), Edge(200, "b", "a", 100)]) == []
    assert cycles([Edge(1, "a", "a", 100)]) == []
    assert cycles([]) == []


def test_the_least_trade_may_keep_exactly_80_percent() -> None:
    """Exactly 80 % of the value is still a round trip, in either order of sizes."""
    assert len(cycles([Edge(1, "a", "b", 100), Edge(1, "b", "a", 80)])) == 1
    assert len(cycles([Edge(1, "a", "b", 80), Edge(1, "b", "a", 100)])) == 1


def test_worthless_trades_are_refused() -> None:
    """A trade of no value is refused."""
    with pytest.raises(fraud.TradeInvalid):
        cycles([Edge(1, "a", "b", 0)])


def plain_cycles(trades: list[Edge]) -> Iterator[tuple[Edge, ...]]:
    """Yield round trips by trying every order of every few trades."""
    for size in range(2, 5):
        for path in permutations(sorted({*trades}), size):
            days = [edge.day for edge in path]
            values = [edge.value_minor for edge in path]
            linked = all(one.buyer == two.seller for one, two in zip(path, (*path[1:], path[0]), strict=True))
            simple = len({edge.seller for edge in path}) == size
            first = path[0] == min(path)
            if linked and simple and first and days == sorted(days) and min(values) * 10 >= max(values) * 8:
                yield path


edges = st.builds(
    Edge, st.integers(0, 3), st.sampled_from("abcd"), st.sampled_from("abcd"), st.sampled_from([79, 80, 100])
)


@given(st.lists(edges, max_size=7))
@settings(max_examples=100, deadline=None)
def test_search_agrees_with_trying_everything(trades: list[Edge]) -> None:
    """The search finds what trying every order finds."""
    found = [cycle.edges for cycle in cycles(trades) if len(cycle.edges) < 5]
    assert sorted(found) == sorted(plain_cycles(trades))


def test_a_large_honest_book_is_searched_quickly() -> None:
    """20,000 trades from sellers to processors, with one ring, take seconds at most."""
    chance = np.random.default_rng(1)
    day, seller, buyer, value = (chance.integers(0, top, 20_000).tolist() for top in (365, 300, 3_000, 10**6))
    book = [Edge(d, f"s{s}", f"b{b}", v + 1) for d, s, b, v in zip(day, seller, buyer, value, strict=True)]
    started = perf_counter()
    assert len(cycles(book + ring("b1", "b2", "b3", value_minor=2 * 10**6))) == 1
    assert perf_counter() - started < 5
