"""One funded asset that goes wrong in any way and order, against a model in plain Python of who has what."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from exchange import books
from tests.exchange.house import House
from tests.exchange.losses.wrong import check, follow
from tests.exchange.settlement.book import (
    DISCOUNT_MINOR,
    FACE_MINOR,
    PRICE_MINOR,
    asset,
    balance,
    buy,
    credit,
    fresh,
    note,
    pay,
    seller_of,
)

amounts = st.one_of(st.integers(1, FACE_MINOR + 10), st.sampled_from([1, 50_000, 100_000, 899_999, 900_000, 950_000]))


@dataclass
class Model:
    """An asset and its two parties, as one would explain it."""

    owed: int = FACE_MINOR
    due: int = PRICE_MINOR + DISCOUNT_MINOR
    held: bool = True
    funder: int = 0
    seller: int = PRICE_MINOR
    diluted: int = 0
    answers: int = 0
    defaulted: bool = False
    unapplied: int = 0
    lost: list[list[int]] = field(default_factory=list)

    @property
    def lacks(self) -> int:
        """What the funder hopes for or has given up."""
        return self.due + sum(funder for funder, _ in self.lost)

    def pay(self, amount: int) -> int:
        """Money for the asset: the funder up to its due, the seller, then losses backwards; the rest is nobody's."""
        applied = min(amount, self.owed)
        first = min(applied, self.due)
        self.owed, self.due = self.owed - applied, self.due - first
        self.funder, self.seller = self.funder + first, self.seller + applied - first
        left = amount - applied
        for one in reversed(self.lost):
            for place in (0, 1):
                back = min(left, one[place])
                one[place], left = one[place] - back, left - back
                if place == 0:
                    self.funder += back
                else:
                    self.seller += back
        self.unapplied += left
        self.answers = min(self.answers, self.lacks)
        self.collect()
        return amount - left

    def credit(self, amount: int) -> bool:
        """The seller takes something off, and makes good what its funder cannot get any more."""
        if amount > self.owed:
            return False
        self.owed -= amount
        short = max(self.due - self.owed, 0)
        paid = min(short, self.seller)
        self.due, self.seller, self.funder = self.due - short, self.seller - paid, self.funder + paid
        self.diluted += short - paid
        self.answers = min(self.answers, self.lacks)
        self.collect()
        return True

    def give_up(self, amount: int) -> bool:
        """The holdback loses first."""
        if amount > self.owed:
            return False
        funders = max(amount - (self.owed - self.due), 0)
        self.owed, self.due = self.owed - amount, self.due - funders
        self.lost.append([funders, amount - funders])
        return True

    def default(self) -> None:
        """The seller answers for all that its funder lacks, once."""
        if self.held and self.owed and not self.defaulted:
            self.defaulted, self.answers = self.lacks > 0, self.lacks
            self.collect()

    def collect(self) -> None:
        """Whoever owes keeps no money: credit notes first, then the default, which ends with the asset coming back."""
        paid = min(self.seller, self.diluted)
        self.seller, self.funder, self.diluted = self.seller - paid, self.funder + paid, self.diluted - paid
        paid = min(self.seller, self.answers)
        if not paid:
            return
        self.seller, self.funder, self.answers = self.seller - paid, self.funder + paid, self.answers - paid
        hoped = min(paid, self.due)
        self.due -= hoped
        inherited = paid - hoped
        for one in reversed(self.lost):
            part = min(inherited, one[0])
            one[0], one[1], inherited = one[0] - part, one[1] + part, inherited - part
        if not self.due and self.owed:
            self.held, self.answers = False, 0


class Losses(RuleBasedStateMachine):
    """Whatever may happen to an asset. The house outlives the examples: each buys its own asset."""

    house: House

    @initialize()
    def bought(self) -> None:
        """A funder buys an asset of a new seller, with recourse."""
        self.model = Model()
        (self.asset_id,) = buy(self.house, fresh(recourse="with"))
        self.seller_id = seller_of(self.house, self.asset_id)
        self.cash = balance(self.house, books.funder_cash(self.house.funder_ids[0]))
        self.nobodys = balance(self.house, books.UNAPPLIED)
        self.losses = balance(self.house, books.funder_losses(self.house.funder_ids[0]))

    @rule(amount=amounts)
    def paid(self, amount: int) -> None:
        """One bank line."""
        (result,) = pay(self.house, (self.asset_id, amount))
        assert result["applied_minor"] == self.model.pay(amount)

    @rule(amount=amounts)
    def credited(self, amount: int) -> None:
        """One credit note."""
        (result,) = credit(self.house, note(self.asset_id, amount, on=self.house.today))
        assert result["status"] == (201 if self.model.credit(amount) else 422)

    @rule(amount=amounts)
    def given_up(self, amount: int) -> None:
        """Written off by hand."""
        path = f"/v1/assets/{self.asset_id}/write-offs"
        body = {"amount_minor": amount, "reason": "insolvent"}
        status = self.house.operator.call("POST", path, body=body).status_code
        owed = self.model.owed
        assert status == (201 if self.model.give_up(amount) else 422 if owed else 409)

    @rule(kind=st.sampled_from(["default", "charge_off"]))
    def followed(self, kind: str) -> None:
        """What the close of business noted; the second time it changes nothing."""
        follow(self.house, kind, self.asset_id)
        if kind == "default":
            self.model.default()

    @rule(amount=st.integers(1, FACE_MINOR), upheld=st.booleans())
    def disputed(self, amount: int, upheld: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        """Opened, and resolved either way."""
        path = f"/v1/assets/{self.asset_id}/disputes"
        body = {"amount_minor": amount, "reason": "quality", "statement": "it melts"}
        answer = self.house.platform.call("POST", path, body=body)
        if amount > self.model.owed:
            assert answer.status_code == (422 if self.model.owed else 409)
            return
        resolution = {"outcome": "rejected", "finding": "it does not"}
        if upheld:
            number = note(self.asset_id, amount, on=self.house.today)["number"]
            resolution = {"outcome": "upheld", "finding": "it does", "note_number": str(number)}
            assert self.model.credit(amount)
        self.house.platform.post(f"{path}/{answer.get_json(force=True)['number']}/resolution", resolution)

    @invariant()
    def everybody_has_what_is_theirs(self) -> None:
        """Books, claim, title and memos say what the model says, and no cent is lost."""
        house, model, funder_id = self.house, self.model, self.house.funder_ids[0]
        house.run()
        check(house)
        assert balance(house, books.funder_cash(funder_id)) == self.cash + model.funder
        assert balance(house, books.seller_cash(self.seller_id)) == model.seller
        assert -balance(house, books.seller_recourse(self.seller_id)) == model.diluted + model.answers
        assert balance(house, books.UNAPPLIED) == self.nobodys + model.unapplied
        lost = sum(funder for funder, _ in model.lost)
        assert balance(house, books.funder_losses(funder_id)) == self.losses + lost
        assert balance(house, books.funder_title(funder_id), self.asset_id) == (model.owed if model.held else 0)
        shown = asset(house, self.asset_id)
        state = "closed" if not model.owed else "assigned" if model.held else "free"
        assert (shown["outstanding_minor"], shown["claim"]) == (model.owed, state)


@pytest.fixture
def machine(market: House) -> Iterator[type[Losses]]:
    """The machine on this module's house."""
    Losses.house = market
    yield Losses
    del Losses.house


def test_losses_agree_with_their_model(machine: type[Losses]) -> None:
    """Random lives of assets that go wrong, the checkers after each step."""
    run_state_machine_as_test(machine, settings=settings(max_examples=8, stateful_step_count=7))
