"""Every cent of a collection or a credit note has a name, and the funder comes first."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange import books
from exchange.schemas import MAX_MINOR
from exchange.settlement import rules
from exchange.settlement.legs import collection_legs, dilution_legs
from exchange.settlement.rules import Dilution, Position, Shares
from ledger.books import Leg

amounts = st.integers(1, MAX_MINOR)


@st.composite
def positions(draw: st.DrawFn) -> Position:
    """A claim as it can be: the funder never expects more of the obligor than the obligor owes."""
    outstanding = draw(amounts)
    funded = draw(st.booleans())
    due = draw(st.integers(0, outstanding)) if funded else 0
    return Position("ast_1", "cmp_1", "cmp_1", "CNY", outstanding, "fnd_1" if funded else None, due)


def held(outstanding: int, due: int) -> Position:
    """A funder's claim."""
    return Position("ast_1", "cmp_1", "cmp_1", "CNY", outstanding, "fnd_1", due)


@given(positions(), amounts)
def test_no_part_of_a_collection_is_lost_or_invented(position: Position, amount: int) -> None:
    """Three parts, none negative, sum to the amount; no more is applied than is owed."""
    shares = rules.share(position, amount_minor=amount)
    parts = (shares.funder_minor, shares.holder_minor, shares.unapplied_minor)
    assert min(parts) >= 0
    assert sum(parts) == amount
    assert shares.applied_minor == min(amount, position.outstanding_minor)


@given(positions(), amounts)
def test_the_funder_is_paid_first(position: Position, amount: int) -> None:
    """The seller gets nothing while the funder is still due anything, and what is no one's debt is unapplied."""
    shares = rules.share(position, amount_minor=amount)
    assert shares.funder_minor <= position.funder_due_minor
    if shares.holder_minor:
        assert shares.funder_minor == position.funder_due_minor
    if shares.unapplied_minor:
        assert shares.applied_minor == position.outstanding_minor
    if position.funder_id is None:
        assert shares.funder_minor == 0


@given(positions(), st.lists(amounts, min_size=1, max_size=6))
def test_parts_of_a_payment_come_to_the_same_as_the_whole(position: Position, parts: list[int]) -> None:
    """Paying in instalments gives everybody what one payment of the sum would."""
    whole = rules.share(position, amount_minor=sum(parts))
    funder = seller = unapplied = 0
    for part in parts:
        left, due = position.outstanding_minor - funder - seller, position.funder_due_minor - funder
        now = Position("ast_1", "cmp_1", "cmp_1", "CNY", left, position.funder_id, due)
        shares = rules.share(now, amount_minor=part)
        funder, seller = funder + shares.funder_minor, seller + shares.holder_minor
        unapplied += shares.unapplied_minor
    assert (funder, seller, unapplied) == (whole.funder_minor, whole.holder_minor, whole.unapplied_minor)


@given(st.data(), positions(), st.integers(0, MAX_MINOR))
def test_a_credit_note_takes_the_holdback_first(data: st.DataObject, position: Position, cash: int) -> None:
    """The shortfall is exactly what is no longer covered; the seller never pays more than it has or owes."""
    amount = data.draw(st.integers(1, position.outstanding_minor))
    effect = rules.dilute(position, amount_minor=amount, seller_cash_minor=cash)
    holdback = position.outstanding_minor - position.funder_due_minor
    assert effect.amount_minor == amount
    assert effect.shortfall_minor == (max(amount - holdback, 0) if position.funder_id else 0)
    assert effect.paid_minor == min(effect.shortfall_minor, cash)


@given(positions(), amounts)
def test_a_collection_balances(position: Position, amount: int) -> None:
    """Money and title each sum to zero, and no leg is empty."""
    shares = rules.share(position, amount_minor=amount)
    check_legs(collection_legs(position, shares, amount_minor=amount))


@given(st.data(), positions(), st.integers(0, MAX_MINOR))
def test_a_credit_note_balances(data: st.DataObject, position: Position, cash: int) -> None:
    """The same, and a seller's own asset moves nothing in the books at all."""
    amount = data.draw(st.integers(1, position.outstanding_minor))
    effect = rules.dilute(position, amount_minor=amount, seller_cash_minor=cash)
    legs = dilution_legs(position, effect)
    check_legs(legs)
    assert bool(legs) == (position.funder_id is not None)


def check_legs(legs: Sequence[Leg]) -> None:
    """Each commodity sums to zero over legs that are not empty."""
    sums: dict[str, int] = {}
    for leg in legs:
        assert leg.amount_minor
        sums[leg.commodity] = sums.get(leg.commodity, 0) + leg.amount_minor
    assert not any(sums.values())


@pytest.mark.parametrize(
    ("position", "amount", "expected"),
    [
        (held(1_000, 900), 1, Shares(1, 0, 0)),
        (held(1_000, 900), 900, Shares(900, 0, 0)),
        (held(1_000, 900), 901, Shares(900, 1, 0)),
        (held(1_000, 900), 1_000, Shares(900, 100, 0)),
        (held(1_000, 900), 1_001, Shares(900, 100, 1)),
        (held(100, 0), 150, Shares(0, 100, 50)),
        (held(500, 500), 700, Shares(500, 0, 200)),
        (Position("ast_1", "cmp_1", "cmp_1", "CNY", 1_000, None, 0), 1_001, Shares(0, 1_000, 1)),
        (Position("ast_1", "cmp_1", "cmp_1", "CNY", 0, None, 0), 5, Shares(0, 0, 5)),
    ],
)
def test_shares_by_hand(position: Position, amount: int, expected: Shares) -> None:
    """Examples worked out on paper, at every edge."""
    assert rules.share(position, amount_minor=amount) == expected


@pytest.mark.parametrize(
    ("position", "amount", "cash", "expected"),
    [
        (held(1_000, 900), 100, 0, Dilution(100, 0, 0)),
        (held(1_000, 900), 101, 0, Dilution(101, 1, 0)),
        (held(1_000, 900), 300, 150, Dilution(300, 200, 150)),
        (held(1_000, 900), 300, 200, Dilution(300, 200, 200)),
        (held(1_000, 900), 1_000, 10_000, Dilution(1_000, 900, 900)),
        (held(1_000, 900), 300, -5, Dilution(300, 200, 0)),
        (held(100, 0), 100, 50, Dilution(100, 0, 0)),
        (Position("ast_1", "cmp_1", "cmp_1", "CNY", 1_000, None, 0), 1_000, 500, Dilution(1_000, 0, 0)),
    ],
)
def test_dilution_by_hand(position: Position, amount: int, cash: int, expected: Dilution) -> None:
    """Examples worked out on paper, at every edge."""
    assert rules.dilute(position, amount_minor=amount, seller_cash_minor=cash) == expected


def test_the_legs_of_a_collection() -> None:
    """A payment of 1,050 on 1,000, of which 900 are the funder's: five accounts move, and the title ends."""
    position = held(1_000, 900)
    legs = collection_legs(position, rules.share(position, amount_minor=1_050), amount_minor=1_050)
    assert legs == [
        Leg(books.BANK, "CNY/2", -1_050),
        Leg("funder/fnd_1/cash", "CNY/2", 900),
        Leg("seller/cmp_1/cash", "CNY/2", 100),
        Leg(books.UNAPPLIED, "CNY/2", 50),
        Leg("funder/fnd_1/title", "ast_1", -1_000),
        Leg(books.ISSUED, "ast_1", 1_000),
    ]


def test_the_legs_of_a_credit_note() -> None:
    """A credit note of 300 on the same, with 150 in the seller's purse: half is paid, half is owed."""
    position = held(1_000, 900)
    effect = rules.dilute(position, amount_minor=300, seller_cash_minor=150)
    assert dilution_legs(position, effect) == [
        Leg("seller/cmp_1/cash", "CNY/2", -150),
        Leg("funder/fnd_1/cash", "CNY/2", 150),
        Leg("seller/cmp_1/recourse", "CNY/2", -50),
        Leg("funder/fnd_1/recourse", "CNY/2", 50),
        Leg("funder/fnd_1/title", "ast_1", -300),
        Leg(books.ISSUED, "ast_1", 300),
    ]


def test_a_position_does_not_change() -> None:
    """Positions are facts of a moment; nobody edits one."""
    with pytest.raises(AttributeError):
        held(1, 1).outstanding_minor = 5  # type: ignore[misc]  # that is the point
