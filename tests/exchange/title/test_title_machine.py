"""Title in any order against a model in plain Python: shares always sum to the face still alive."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.exchange.house import Client, House, mandate
from tests.exchange.pools.shared import copied, house_on, invoice
from tests.exchange.pools.soundness import claims, sound
from tests.exchange.settlement.book import credit, note, pay
from tests.exchange.title.deeds import code, encumber, shares, split, transfer

ANY = st.integers(0, 999)
AMOUNTS = st.integers(1, 400_000)


@dataclass
class Node:
    """An asset as one would draw it: who has it, what is owed, what encumbers it (in rank), and its parts."""

    holder: str
    owed: int
    rights: list[list[int | str]] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    def take(self, amount: int) -> None:
        """Less is owed: the last in rank gives way."""
        self.owed -= amount
        while sum(int(size) for size, _ in self.rights) > self.owed:
            over = sum(int(size) for size, _ in self.rights) - self.owed
            last = self.rights[-1]
            if int(last[0]) <= over:
                self.rights.pop()
            else:
                last[0] = int(last[0]) - over


class Deeds(RuleBasedStateMachine):
    """What parties can do to two invoices. The house is copied for each example."""

    base: ClassVar[House]
    server_url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._copy = copied(self.base, self.server_url)
        self.house = self._copy.__enter__()
        self.house.only("pools", "funding", "servicing")
        self.nodes: dict[str, Node] = {}
        self.roots: list[str] = []
        self.hops = 0

    def teardown(self) -> None:
        """Leave the copy."""
        self._copy.__exit__(None, None, None)

    @initialize()
    def born(self) -> None:
        """Two invoices are digitised."""
        self.roots = self.house.submit(*(invoice(self.house, days=60) for _ in range(2)))
        for root in self.roots:
            self.nodes[root] = Node("platform:seller-1", 1_000_000)

    @rule(place=ANY, cut=st.integers(1, 999))
    def split(self, place: int, cut: int) -> None:
        """Whoever may splits an asset in three; the first part takes what is encumbered."""
        asset_id, node = self._leaf(place)
        if node.owed < 3 or self._client(asset_id) is None:
            return
        first = max(node.owed * cut // 1_000, sum(int(size) for size, _ in node.rights), 1)
        rest = node.owed - first
        if rest < 2:
            return
        client = self._client(asset_id)
        assert client is not None
        parts = split(client, asset_id, first, rest - 1, 1)
        for part, owed in zip(parts, (first, rest - 1, 1), strict=True):
            self.nodes[part] = Node(node.holder, owed)
        self.nodes[parts[0]].rights, node.rights, node.parts, node.owed = node.rights, [], parts, 0

    @rule(place=ANY)
    def hand_on(self, place: int) -> None:
        """A free asset that nobody else has a right in goes to another company."""
        asset_id, node = self._leaf(place)
        self.hops += 1
        done = transfer(self.house, asset_id, f"company-{self.hops}")
        state = claims(self.house)[asset_id]
        assert (done["status"] == 201) == (state == "free" and not node.rights), done
        if done["status"] == 201:
            node.holder = f"platform:company-{self.hops}"

    @rule(place=ANY, amount=AMOUNTS, priority=st.sampled_from([1, 100]))
    def encumber(self, place: int, amount: int, priority: int) -> None:
        """A right is entered if so much is free."""
        asset_id, node = self._leaf(place)
        if self._client(asset_id) is None:
            return
        client = self._client(asset_id)
        assert client is not None
        done = encumber(client, asset_id, amount, priority=priority)
        free = node.owed - sum(int(size) for size, _ in node.rights)
        if amount > free:
            assert code(done) == "more_than_free"
            return
        ahead = [right for right in node.rights if str(right[1]).startswith("1/")] if priority == 1 else node.rights
        node.rights.insert(len(ahead), [amount, f"{priority}/{done['encumbrance_id']}"])

    @rule(place=ANY)
    def release(self, place: int) -> None:
        """An operator ends the first right in an asset."""
        asset_id, node = self._leaf(place)
        if node.rights:
            name = str(node.rights.pop(0)[1]).partition("/")[2]
            path = f"/v1/encumbrances/{name}/release"
            assert self.house.operator.post(path, {"reason": "over"})["asset_id"] == asset_id

    @rule(place=ANY, amount=AMOUNTS, whole=st.booleans())
    def paid(self, place: int, amount: int, *, whole: bool) -> None:
        """A payment names an invoice, or any part of it."""
        asset_id = self._named(place)
        met = self._below(asset_id)
        owed = sum(self.nodes[one].owed for one in met)
        amount = owed + 1 if whole else amount
        (result,) = pay(self.house, (asset_id, amount))
        assert result.get("applied_minor", 0) == min(amount, owed)
        self._share(met, min(amount, owed))

    @rule(place=ANY, amount=AMOUNTS)
    def credited(self, place: int, amount: int) -> None:
        """A credit note names an invoice, or any part of it."""
        asset_id = self._named(place)
        met = self._below(asset_id)
        (result,) = credit(self.house, note(asset_id, amount, on=self.house.today))
        assert (result["status"] == 201) == (amount <= sum(self.nodes[one].owed for one in met))
        if result["status"] == 201:
            self._share(met, amount)

    @rule()
    def round(self) -> None:
        """The next morning's round and cut-off: what is free and unencumbered is bought."""
        wanted = {one for one, state in claims(self.house).items() if state == "free" and not self.nodes[one].rights}
        self.house.move(10, 30, days=1)
        self.house.move(14, 30)
        bought = {one for one, state in claims(self.house).items() if state == "assigned"}
        assert {one for one in wanted if self.nodes[one].owed > 1} <= bought
        for one in bought:
            self.nodes[one].holder = self.house.funder_ids[0]

    @invariant()
    def all_agrees(self) -> None:
        """Every law of the market, and every holder's share as the model has it."""
        self.house.run()
        sound(self.house)
        for root in self.roots:
            leaves = [one for one in self._below(root) if self.nodes[one].owed]
            assert sorted(shares(self.house.operator, root)) == sorted(
                (self.nodes[one].holder, self.nodes[one].owed) for one in leaves
            )

    def _leaf(self, place: int) -> tuple[str, Node]:
        leaves = [one for root in self.roots for one in self._below(root)]
        asset_id = leaves[place % len(leaves)]
        return asset_id, self.nodes[asset_id]

    def _named(self, place: int) -> str:
        return list(self.nodes)[place % len(self.nodes)]

    def _below(self, asset_id: str) -> list[str]:
        parts = self.nodes[asset_id].parts
        return [below for part in sorted(parts) for below in self._below(part)] if parts else [asset_id]

    def _client(self, asset_id: str) -> Client | None:
        """Who disposes of the asset now."""
        state = claims(self.house)[asset_id]
        return {"free": self.house.platform, "assigned": self.house.funders[0]}.get(state)

    def _share(self, met: list[str], amount: int) -> None:
        """Each gets its quota, rounded down; what is left goes to the largest remainders, ties in order."""
        owed = sum(self.nodes[one].owed for one in met)
        if not owed:
            return
        quotas = {one: Fraction(amount * self.nodes[one].owed, owed) for one in met}
        left = amount - sum(int(quota) for quota in quotas.values())
        lucky = sorted(met, key=lambda one: quotas[one] - int(quotas[one]), reverse=True)[:left]
        for one in met:
            self.nodes[one].take(int(quotas[one]) + (one in lucky))


@pytest.fixture(scope="module")
def market(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A funder that buys all it can."""
    with house_on(server_url, tmp_path_factory.mktemp("deeds")) as house:
        house.deposit(0, 10**9)
        house.funders[0].post("/v1/mandates", mandate(auto_commit=True, advance_bps=9_000, min_tenor_days=1))
        yield house


def test_title_in_any_order(market: House, server_url: str) -> None:
    """Splits, transfers, encumbrances, rounds, payments and credit notes, as they come."""
    Deeds.base, Deeds.server_url = market, server_url
    shown_as_found = [phase for phase in Phase if phase is not Phase.shrink]  # shrinking takes minutes
    run_state_machine_as_test(Deeds, settings=settings(max_examples=6, stateful_step_count=15, phases=shown_as_found))
