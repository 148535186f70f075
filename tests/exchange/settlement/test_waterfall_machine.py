"""One funded asset against a model in plain Python, whatever payments and credit notes come in whatever order."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from exchange import books
from tests.exchange.house import House, receipt
from tests.exchange.settlement.book import (
    DISCOUNT_MINOR,
    FACE_MINOR,
    PRICE_MINOR,
    asset,
    balance,
    buy,
    check_conserved,
    credit,
    fresh,
    note,
    pay,
    results,
    rows,
    seller_of,
)

amounts = st.one_of(st.integers(1, FACE_MINOR + 10), st.sampled_from([1, 50_000, 100_000, 899_999, 900_000, 900_001]))


@dataclass
class Model:
    """An asset's waterfall as one would explain it: who got what, who owes what."""

    owed: int = FACE_MINOR
    due: int = PRICE_MINOR + DISCOUNT_MINOR
    funder: int = 0
    seller: int = PRICE_MINOR
    recourse: int = 0
    unapplied: int = 0
    diluted: int = 0

    def pay(self, amount: int) -> None:
        """The obligor pays: the funder up to its due, then the seller; beyond what is owed it is nobody's."""
        applied = min(amount, self.owed)
        first = min(applied, self.due)
        self.owed, self.due = self.owed - applied, self.due - first
        self.funder, self.seller = self.funder + first, self.seller + applied - first
        self.unapplied += amount - applied

    def credit(self, amount: int) -> bool:
        """The seller takes something off: what the obligor's debt does not cover any more is the seller's to pay."""
        if amount > self.owed:
            return False
        self.owed -= amount
        self.diluted += amount
        short = max(self.due - self.owed, 0)
        paid = min(short, self.seller)
        self.due -= short
        self.funder, self.seller, self.recourse = self.funder + paid, self.seller - paid, self.recourse + short - paid
        return True


class Waterfall(RuleBasedStateMachine):
    """Payments, credit notes and days against one asset. The house outlives the examples: each buys its own asset."""

    house: House

    @initialize()
    def bought(self) -> None:
        """A funder buys an asset of a new seller."""
        self.model = Model()
        (self.asset_id,) = buy(self.house, fresh())
        self.seller_id = seller_of(self.house, self.asset_id)
        self.cash = balance(self.house, books.funder_cash(self.house.funder_ids[0]))
        self.nobodys = balance(self.house, books.UNAPPLIED)

    @rule(amount=amounts)
    def paid(self, amount: int) -> None:
        """One bank line."""
        before = self.model.owed
        (result,) = pay(self.house, (self.asset_id, amount))
        self.model.pay(amount)
        assert result["applied_minor"] == before - self.model.owed
        assert result["outcome"] == ("allocated" if before else "unapplied")

    @rule(lines=st.lists(amounts, min_size=2, max_size=4))
    def paid_in_a_batch(self, lines: list[int]) -> None:
        """Several lines, and one of them is sent again beside them."""
        items = [receipt(self.asset_id, amount, value_date=self.house.today) for amount in lines]
        answer = results(self.house.operator.post("/v1/receipts", {"items": [*items, items[0]]}))
        for amount in lines:
            self.model.pay(amount)
        assert [result["status"] for result in answer] == [201] * len(lines) + [409]

    @rule(amount=amounts)
    def credited(self, amount: int) -> None:
        """One credit note, and then the same again."""
        sent = note(self.asset_id, amount, on=self.house.today)
        kept = self.model.credit(amount)
        first, again = credit(self.house, sent, sent)
        assert (first["status"], again["status"]) == ((201, 409) if kept else (422, 422))

    @rule(parts=st.lists(st.integers(1, 60_000), min_size=2, max_size=4))
    def credited_in_parts(self, parts: list[int]) -> None:
        """Several small credit notes in one batch, each judged after the one before."""
        kept = [self.model.credit(amount) for amount in parts]
        answer = credit(self.house, *(note(self.asset_id, amount, on=self.house.today) for amount in parts))
        assert [result["status"] == 201 for result in answer] == kept

    @precondition(lambda self: self.model.owed)
    @rule(days=st.integers(1, 3))
    def days_pass(self, days: int) -> None:
        """Nothing that a day does moves money."""
        self.house.move(22, 30, days=days)

    @invariant()
    def everybody_has_what_is_theirs(self) -> None:
        """Books, claim and title say what the model says, and no cent is lost."""
        check_conserved(self.house)
        model, house, funder_id = self.model, self.house, self.house.funder_ids[0]
        assert balance(house, books.funder_cash(funder_id)) == self.cash + model.funder
        assert balance(house, books.seller_cash(self.seller_id)) == model.seller
        assert -balance(house, books.seller_recourse(self.seller_id)) == model.recourse
        assert balance(house, books.UNAPPLIED) == self.nobodys + model.unapplied
        assert balance(house, books.funder_title(funder_id), self.asset_id) == model.owed
        shown = asset(house, self.asset_id)
        assert (shown["outstanding_minor"], shown["claim"]) == (model.owed, "assigned" if model.owed else "closed")
        diluted = "SELECT coalesce(sum(amount_minor), 0) FROM credit_note WHERE asset_id = :id"
        assert rows(house, diluted, id=self.asset_id) == [(model.diluted,)]
        assert model.funder + model.recourse + model.due == PRICE_MINOR + DISCOUNT_MINOR


@pytest.fixture
def machine(market: House) -> Iterator[type[Waterfall]]:
    """The machine on this module's house."""
    Waterfall.house = market
    yield Waterfall
    del Waterfall.house


def test_the_waterfall_agrees_with_its_model(machine: type[Waterfall]) -> None:
    """Random lives of assets, the checkers after each step."""
    chosen = settings(max_examples=8, stateful_step_count=7)
    run_state_machine_as_test(machine, settings=chosen)
