"""Days of a small market in any order: after every step books, log, limits, claims and money agree."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.exchange.house import House, mandate, receipt
from tests.exchange.pools.shared import copied, house_on, invoice
from tests.exchange.pools.soundness import claims, money, sound

NAMES = st.sampled_from(["one", "two"])
FUNDERS = st.sampled_from([0, 1])
ANY = st.integers(0, 99)


@pytest.fixture(scope="module")
def market(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two funders with three mandates whose budgets and caps are soon full."""
    with house_on(server_url, tmp_path_factory.mktemp("market"), funders=2) as house:
        cautious, eager = house.funders
        narrow = {"obligor_cap_minor": 2_500_000, "seller_cap_minor": 4_000_000, "budget_minor": 5_000_000}
        cautious.post("/v1/mandates", mandate(name="core", advance_bps=9_000, **narrow))
        cautious.post("/v1/mandates", mandate(name="long", rank=2, min_tenor_days=61))
        eager.post("/v1/mandates", mandate(name="all", base_rate_bps=650, auto_commit=True, budget_minor=3_000_000))
        yield house


class Market(RuleBasedStateMachine):
    """What parties can do, in any order."""

    base: ClassVar[House]
    server_url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._copy = copied(self.base, self.server_url)
        self.house = self._copy.__enter__()
        self.house.only("pools", "funding", "servicing")
        self.deposited = [0, 0]
        self.open_hours = False  # until the first round: a clock that jumps over the cut-off offers after it

    def teardown(self) -> None:
        """Leave the copy."""
        self._copy.__exit__(None, None, None)

    @rule(funder=FUNDERS, amount_minor=st.integers(1, 3_000_000))
    def deposit(self, funder: int, amount_minor: int) -> None:
        """A funder pays in."""
        self.house.deposit(funder, amount_minor)
        self.deposited[funder] += amount_minor

    @rule(seller=NAMES, obligor=NAMES, faces=st.lists(st.integers(1, 1_500_000), min_size=1, max_size=4), long=ANY)
    def submit(self, seller: str, obligor: str, faces: list[int], long: int) -> None:
        """The platform brings confirmed receivables."""
        parties = {
            "seller": {"scheme": "platform", "value": f"seller-{seller}"},
            "obligor": {"scheme": "platform", "value": f"obligor-{obligor}"},
        }
        self.house.submit(*(invoice(self.house, face_minor=face, days=30 + long, **parties) for face in faces))

    @rule()
    def next_round(self) -> None:
        """It gets half past ten of the next day."""
        self.house.move(10, 30, days=1)
        self.open_hours = True

    @precondition(lambda self: self.open_hours)
    @rule()
    def cut_off(self) -> None:
        """It gets half past two: committed offers are bought, open ones lapse."""
        self.house.move(14, 30)
        self.open_hours = False
        for funder in (0, 1):
            assert self._offers(funder) == []
            assert money(self.house, funder)[1] == 0

    @rule(funder=FUNDERS, place=ANY, part=st.booleans())
    def commit(self, funder: int, place: int, *, part: bool) -> None:
        """A funder takes one of its open offers, whole or its first asset that is still there."""
        for offer in self._offers(funder)[place % 3 :][:1]:
            path, states = f"/v1/offers/{offer['offer_id']}", claims(self.house)
            there = [one for one in self._assets(funder, path) if states[one] == "reserved"]
            if part and there:
                self.house.funders[funder].post(f"{path}/commitment", {"asset_ids": there[:1]})
                assert {claims(self.house)[one] for one in there[1:]} <= {"free"}
            else:
                self.house.funders[funder].post(f"{path}/commitment", {})

    @rule(funder=FUNDERS, place=ANY)
    def refuse(self, funder: int, place: int) -> None:
        """A funder refuses one of its open offers."""
        for offer in self._offers(funder)[place % 3 :][:1]:
            path = f"/v1/offers/{offer['offer_id']}/refusal"
            self.house.funders[funder].post(path, {"reason": "no"})
            assert self.house.funders[funder].refused("POST", path, {"reason": "no"})["code"] == "offer_not_open"

    @rule(funder=FUNDERS, place=ANY)
    def meddle(self, funder: int, place: int) -> None:
        """A funder answers another's offer: for it there is none."""
        for offer in self._offers(1 - funder)[place % 3 :][:1]:
            path = f"/v1/offers/{offer['offer_id']}"
            assert self.house.funders[funder].refused("POST", f"{path}/commitment", {})["status"] == 404

    @rule(place=ANY, percent=st.sampled_from([1, 50, 100, 150]))
    def pay(self, place: int, percent: int) -> None:
        """An obligor pays an asset, wherever it is: in part, whole, or more than it owes."""
        known = sorted(claims(self.house))
        if known:
            asset_id = known[place % len(known)]
            amount_minor = self.house.operator.get(f"/v1/assets/{asset_id}")["face_minor"] * percent // 100
            line = receipt(asset_id, max(amount_minor, 1), value_date=self.house.today)
            self.house.operator.post("/v1/receipts", {"items": [line]})

    @invariant()
    def all_agrees(self) -> None:
        """Every law of `soundness`, and what the funders paid in is still somebody's."""
        self.house.run()
        sound(self.house)
        for funder in (0, 1):
            cash_minor, reserved_minor = money(self.house, funder)
            pools = self.house.funders[funder].get("/v1/pools?limit=1000")["items"]
            most_minor = self.deposited[funder] + sum(pool["collected_minor"] for pool in pools)
            assert 0 <= cash_minor + reserved_minor <= most_minor

    def _offers(self, funder: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.house.funders[funder].get("/v1/offers?state=open")["items"]
        return found

    def _assets(self, funder: int, path: str) -> list[str]:
        return [asset["asset_id"] for asset in self.house.funders[funder].get(path)["assets"]]


def test_a_market_in_any_order(market: House, server_url: str) -> None:
    """Deposits, submissions, rounds, answers, payments and cut-offs, as they come."""
    Market.base, Market.server_url = market, server_url
    shown_as_found = [phase for phase in Phase if phase is not Phase.shrink]  # shrinking takes minutes
    run_state_machine_as_test(Market, settings=settings(max_examples=4, stateful_step_count=25, phases=shown_as_found))
