"""What is given up and what comes back, decided without a database."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange import books
from exchange.losses import rules
from exchange.settlement import rules as sharing
from exchange.settlement.legs import collection_legs, dilution_legs, loss_legs
from exchange.settlement.policies import DEFAULT, GivenUp, Policies, PolicyRefused, Terms, read_terms
from exchange.settlement.rules import Dilution, Lost, OpenCharge, Position

amounts = st.integers(0, 10**12)
DAY = date(2026, 3, 2)


@st.composite
def positions(draw: st.DrawFn) -> Position:
    """A funder's claim as it can be: charges on top, something given up before, recourse open."""
    outstanding = draw(st.integers(1, 10**12))
    due = draw(st.integers(0, outstanding))
    charges = tuple(
        OpenCharge(f"chg_{place}", kind, draw(st.integers(1, 10**6)))
        for place, kind in enumerate(draw(st.lists(st.sampled_from(["fee", "penalty"]), max_size=3)))
    )
    lost = tuple(
        Lost(place, draw(st.sampled_from(["fnd_1", "fnd_2"])), "com_2", draw(amounts), draw(st.integers(1, 10**9)))
        for place in range(1, draw(st.integers(0, 3)) + 1)
    )
    position = Position(
        "ast_1", "com_1", "com_2", "CNY", outstanding, "fnd_1", due, draw(st.integers(0, due)), "pol_1", DAY,
        charged_off=draw(st.booleans()), charges=charges, lost=lost,
    )  # fmt: skip
    return replace(position, recourse_minor=draw(st.integers(0, position.funder_lacks_minor)))


@settings(max_examples=80)
@given(positions(), amounts)
def test_every_cent_of_a_collection_has_a_name(position: Position, amount: int) -> None:
    """Claim, charges, recoveries, unapplied: they sum to the amount, each in its turn, and the books balance."""
    shares = sharing.share(position, amount_minor=amount)
    assert shares.used_minor + shares.unapplied_minor == amount
    assert shares.applied_minor + shares.charged_minor == min(amount, position.owed_minor)
    assert shares.recovered_minor == min(amount - min(amount, position.owed_minor), position.lost_minor)
    after = sharing.after_shares(position, shares)
    assert after.owed_minor + shares.applied_minor + shares.charged_minor == position.owed_minor
    assert after.recourse_minor <= after.funder_lacks_minor
    legs = collection_legs(position, shares, amount_minor=amount)
    balances(legs)
    got = sum(leg.amount_minor for leg in legs if leg.path == books.funder_cash("fnd_1"))
    back = sum(one.funder_minor for one in shares.recovered if one.lost.funder_id == "fnd_1")
    assert got == shares.funder_minor + shares.penalty_minor + back
    assert position.funder_lacks_minor - after.funder_lacks_minor == shares.funder_minor + back


@settings(max_examples=80)
@given(positions(), st.data())
def test_a_loss_that_comes_back_leaves_no_trace(position: Position, data: st.DataObject) -> None:
    """Whatever was given up, recovered in full, gives each what it lost; the holdback loses first."""
    amount = data.draw(st.integers(1, position.outstanding_minor))
    loss = sharing.lose(position, amount_minor=amount)
    holdback = position.outstanding_minor - position.funder_due_minor
    assert loss.funder_minor == max(amount - holdback, 0)
    balances(loss_legs(position, loss))
    after = sharing.after_loss(position, loss, number=9)
    assert after.funder_lacks_minor == position.funder_lacks_minor
    (first, *_) = sharing.recover(after.lost, amount_minor=amount)
    assert (first.lost.number, first.funder_minor, first.amount_minor) == (9, loss.funder_minor, amount)
    assert sum(one.amount_minor for one in sharing.recover(after.lost, amount_minor=10**15)) == after.lost_minor


@settings(max_examples=40)
@given(positions(), st.data())
def test_a_credit_note_balances_with_recourse_open(position: Position, data: st.DataObject) -> None:
    """What the seller makes good the holder does not owe any more."""
    amount = data.draw(st.integers(1, position.outstanding_minor))
    effect = sharing.dilute(position, amount_minor=amount, seller_cash_minor=data.draw(amounts))
    assert isinstance(effect, Dilution)
    balances(dilution_legs(position, effect))
    after = sharing.after_dilution(position, effect)
    assert after.recourse_minor == min(position.recourse_minor, position.funder_lacks_minor - effect.shortfall_minor)


def balances(legs: Any) -> None:  # noqa: ANN401 - any legs
    """Each commodity sums to zero."""
    sums: dict[str, int] = {}
    for leg in legs:
        sums[leg.commodity] = sums.get(leg.commodity, 0) + leg.amount_minor
    assert not any(sums.values())


def test_interest_for_being_late() -> None:
    """From the grace on, what was charged already is not charged again; what is not late is charged nothing."""
    claim = Position("ast_1", "com_1", "com_1", "CNY", 1_000_000, None, 0, due_date=date(2026, 3, 1))
    assert sharing.penalty_days(claim, grace_days=3, on=date(2026, 3, 4)) is None
    assert sharing.penalty_days(claim, grace_days=3, on=date(2026, 3, 6)) == (date(2026, 3, 4), date(2026, 3, 6))
    charged = replace(claim, penalised_until=date(2026, 3, 6))
    assert sharing.penalty_days(charged, grace_days=3, on=date(2026, 3, 5)) is None
    assert sharing.penalty_days(replace(claim, outstanding_minor=0), grace_days=3, on=date(2026, 5, 1)) is None
    assert sharing.penalty_minor(claim, rate_bps=3_600, days=2) == 2_000


@pytest.mark.parametrize(
    ("on", "unearned"), [(date(2026, 3, 1), 600), (date(2026, 3, 2), 590), (date(2026, 5, 1), 0), (date(2027, 1, 1), 0)]
)
def test_discount_is_earned_day_by_day(on: date, unearned: int) -> None:
    """600 over 61 days: what is earned is rounded up."""
    found = sharing.unearned_minor(discount_minor=600, bought_on=date(2026, 3, 1), due_date=date(2026, 5, 1), on=on)
    assert found == unearned


ORDER = {"steps": [{"legs": [{"due": due}]} for due in sharing.DUES]}
LATER = ORDER["steps"][1:]
TAKES_ALL = {"legs": [{"due": "all", "payee": "fees"}]}
MISLED = {"legs": [{"due": "fees", "payee": "penalty"}]}
SCHEDULE = ("schedule_not_rising", "/write_offs/1")
STEPS = "/order/steps"
PAIR = [{"due": "fees", "share_ppm": 400_000}, {"due": "penalty", "share_ppm": 599_999}]


HALVES = {"legs": PAIR, "remainder": "fees"}


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"order": {"steps": [HALVES, *LATER[1:]]}}, "shares_not_whole", f"{STEPS}/0/legs"),
        ({"order": {"steps": ORDER["steps"][1:]}}, "due_missing", STEPS),
        ({"order": {"steps": [*ORDER["steps"], TAKES_ALL]}}, "unknown_due", STEPS),
        ({"order": {"steps": [MISLED, *LATER]}}, "unknown_payee", STEPS),
        ({"order": {"steps": ORDER["steps"][::-1]}}, "holdback_before_funder", STEPS),
        ({"write_offs": [{"days_late": 9, "share_ppm": 5}, {"days_late": 9, "share_ppm": 6}]}, *SCHEDULE),
        ({"write_offs": [{"days_late": 8, "share_ppm": 5}, {"days_late": 9, "share_ppm": 5}]}, *SCHEDULE),
    ],
)  # fmt: skip
def test_terms_that_cannot_be(body: dict[str, Any], code: str, pointer: str) -> None:
    """Each with its code and place."""
    with pytest.raises(PolicyRefused) as refused:
        read_terms(body)
    assert [(fault.code, fault.pointer) for fault in refused.value.faults] == [(code, pointer)]


def test_the_narrowest_terms_count() -> None:
    """An originator's product before the originator, before the product, before all, before none."""
    made = {
        key: Terms(penalty_bps=place) for place, key in enumerate([("o", "p"), ("o", None), (None, "p"), (None, None)])
    }
    known = Policies(made)
    found = [known.of(*key).penalty_bps for key in [("o", "p"), ("o", "q"), ("x", "p"), ("x", "q")]]
    assert found == [0, 1, 2, 3]
    assert Policies({}).of("o", "p") is DEFAULT
    assert read_terms({"order": ORDER}) == DEFAULT
    late = Terms(write_offs=(GivenUp(10, 1), GivenUp(20, 2)))
    assert [late.given_up_ppm(days_late=days) for days in (9, 10, 19, 20, 500)] == [0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("outcome", "body", "codes"),
    [
        ("rejected", {"credited_minor": 1, "note_number": "N"}, ["contradictory_amount", "contradictory_note"]),
        ("upheld", {"credited_minor": 1}, ["contradictory_amount", "contradictory_note"]),
        ("partly_upheld", {"note_number": "N"}, ["contradictory_amount"]),
        ("partly_upheld", {"credited_minor": 10, "note_number": "N"}, ["not_a_part"]),
    ],
)
def test_outcomes_that_contradict_themselves(outcome: str, body: dict[str, Any], codes: list[str]) -> None:
    """Every contradiction at once."""
    with pytest.raises(rules.ResolutionRefused) as refused:
        rules.credited_minor(outcome, disputed_minor=10, owed_minor=100, body=body)
    assert [fault.code for fault in refused.value.faults] == codes


def test_what_an_outcome_credits() -> None:
    """All as far as it is still owed, a part, or nothing; nothing can be upheld on a closed claim."""
    note = {"note_number": "N"}
    assert rules.credited_minor("rejected", disputed_minor=10, owed_minor=0, body={}) == 0
    assert rules.credited_minor("upheld", disputed_minor=10, owed_minor=4, body=note) == 4
    assert (
        rules.credited_minor("partly_upheld", disputed_minor=10, owed_minor=9, body=note | {"credited_minor": 3}) == 3
    )
    with pytest.raises(rules.NothingOwed):
        rules.credited_minor("upheld", disputed_minor=10, owed_minor=0, body=note)
    with pytest.raises(rules.NothingOwed):
        rules.check_amount(1, owed_minor=0)


def test_recourse_and_schedules() -> None:
    """With, limited, without; and of a schedule what is missing, never more than is owed."""
    claim = Position("ast_1", "com_1", "com_1", "CNY", 1_000, "fnd_1", 901)
    asked = [rules.recourse_minor(claim, recourse=one, limited_ppm=200_000) for one in ("with", "limited", "without")]
    assert asked == [901, 180, 0]
    missing = [rules.still_to_give_up(claim, given_up_minor=500, share_ppm=share) for share in (0, 400_000, 10**6)]
    assert missing == [0, 100, 1_000]
    rules.check_mildness(5, least_minor=5)
