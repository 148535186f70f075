"""Patterns of fraud in who controls whom and who trades with whom: groups, self-dealing, round trips."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scoring.errors import ScoringError

CYCLE_TRADES_MAX = 6
VALUE_KEPT_PERCENT = 80
CYCLE_WINDOW_DAYS = 120
"""A round trip is looked for within this many days of its first trade."""


class TradeInvalid(ScoringError):
    """A trade's value is not positive."""

    code = "fraud_trade_invalid"


@dataclass(frozen=True, order=True)
class Edge:
    """One trade: the seller's receivable on the buyer."""

    day: int
    seller: str
    buyer: str
    value_minor: int


@dataclass(frozen=True, order=True)
class Cycle:
    """Trades in time order that lead from a company back to itself."""

    edges: tuple[Edge, ...]

    @property
    def companies(self) -> tuple[str, ...]:
        """The companies in the order of trade."""
        return tuple(edge.seller for edge in self.edges)


def shared_control(links: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return, for each company in a group of two or more, the group's name: its alphabetically first company.

    A link is (company, handle), the handle being a controller, bank account, address or device in one
    namespace each (`controller:...`, `account:...`). Companies that share a handle, directly or through
    others, are one group.
    """
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    owner: dict[str, str] = {}
    for company, handle in links:
        one, other = root(company), root(owner.setdefault(handle, company))
        parent[max(one, other)] = min(one, other)
    sizes: dict[str, int] = defaultdict(int)
    for company in parent:
        sizes[root(company)] += 1
    return {company: root(company) for company in sorted(parent) if sizes[root(company)] > 1}


def self_dealing(trades: Iterable[tuple[str, str]], *, groups: dict[str, str]) -> list[tuple[str, str]]:
    """Return the (seller, buyer) pairs that are one company or of one group of `shared_control`, sorted."""
    return sorted(
        {(seller, buyer) for seller, buyer in trades if groups.get(seller, seller) == groups.get(buyer, buyer)}
    )


def cycles(edges: Iterable[Edge], *, window_days: int = CYCLE_WINDOW_DAYS) -> list[Cycle]:
    """Return round trips of 2 to 6 trades, sorted: days never go back, the least keeps 80 % of the largest.

    Each company appears once; each cycle is reported once, from its earliest trade.
    Only companies that can be on some cycle are searched. Refuses: TradeInvalid.
    """
    trades = sorted({*edges})
    if any(edge.value_minor <= 0 for edge in trades):
        raise TradeInvalid("a trade has no positive value")
    closed = _on_some_cycle(trades)
    suspect = [edge for edge in trades if {edge.seller, edge.buyer} <= closed and edge.seller != edge.buyer]
    by_seller: dict[str, list[Edge]] = defaultdict(list)
    for edge in suspect:
        by_seller[edge.seller].append(edge)
    return [Cycle(path) for first in suspect for path in _walk((first,), by_seller=by_seller, window_days=window_days)]


def _on_some_cycle(trades: list[Edge]) -> set[str]:
    """Return the companies left after taking away, again and again, those that only sell or only buy."""
    pairs = {(edge.seller, edge.buyer) for edge in trades if edge.seller != edge.buyer}
    while True:
        both = {seller for seller, _ in pairs} & {buyer for _, buyer in pairs}
        kept = {pair for pair in pairs if both.issuperset(pair)}
        if kept == pairs:
            return both
        pairs = kept


def _walk(path: tuple[Edge, ...], *, by_seller: dict[str, list[Edge]], window_days: int) -> Iterator[tuple[Edge, ...]]:
    """Yield every completion of `path` to a cycle, later trades in time order."""
    start, last = path[0], path[-1]
    onward = by_seller.get(last.buyer, ())
    for edge in onward[bisect_left(onward, (last.day, ""), key=lambda e: (e.day, e.seller)) :]:
        if edge.day > start.day + window_days:
            return
        if edge < start or not _keeps_value((*path, edge)):
            continue
        if edge.buyer == start.seller:
            yield (*path, edge)
        elif len(path) < CYCLE_TRADES_MAX - 1 and all(edge.buyer != step.seller for step in path):
            yield from _walk((*path, edge), by_seller=by_seller, window_days=window_days)


def _keeps_value(path: tuple[Edge, ...]) -> bool:
    """Return whether the smallest trade keeps the wanted share of the largest."""
    values = [edge.value_minor for edge in path]
    return min(values) * 100 >= VALUE_KEPT_PERCENT * max(values)
