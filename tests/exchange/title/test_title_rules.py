"""Shares lose nothing, parts of a price are what the whole was, ranks are strict."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.auth import Caller, Role
from exchange.schedules.schedule import explicit
from exchange.shares import apportion
from exchange.title import rules
from exchange.title.rules import Part, PartPrice, Priced, Title

weights = st.lists(st.integers(1, 10**15), min_size=1, max_size=50)
TODAY = date(2026, 3, 2)
PLATFORM, FUNDER = Caller("cli_1", Role.PLATFORM, "org_1"), Caller("cli_2", Role.FUNDER, "fnd_1")
OPERATOR = Caller("cli_3", Role.OPERATOR, None)


def title(**changes: object) -> Title:
    """A free claim of 1,000; `changes` make it otherwise."""
    facts: dict[str, object] = {
        "asset_id": "ast_1",
        "root_id": "ast_1",
        "originator_id": "org_1",
        "obligor_id": "com_o",
        "holder_id": "com_h",
        "holder": "platform:h",
        "held_since": date(2026, 3, 1),
        "currency": "CNY",
        "due_date": date(2026, 4, 1),
        "outstanding_minor": 1_000,
        "encumbered_minor": 0,
        "state": "free",
        "pool_id": None,
        "funder_id": None,
    }
    return Title(**facts | changes)  # type: ignore[arg-type]  # fields by name


HELD = title(state="assigned", pool_id="pol_1", funder_id="fnd_1")


@given(st.data(), weights)
def test_shares_sum_to_the_total_and_exceed_nobodys_weight(data: st.DataObject, owed: list[int]) -> None:
    """Largest remainder: each share is its quota rounded down or up, and at most the weight."""
    total = data.draw(st.integers(0, sum(owed)))
    shares = apportion(total, owed)
    assert sum(shares) == total
    for share, weight in zip(shares, owed, strict=True):
        assert total * weight // sum(owed) <= share <= min(weight, -(-total * weight // sum(owed)))


@pytest.mark.parametrize(
    ("total", "owed", "expected"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (2, [1, 1, 1], [1, 1, 0]),
        (10, [6, 3, 1], [6, 3, 1]),
        (5, [6, 3, 1], [3, 2, 0]),
        (0, [7, 2], [0, 0]),
        (1, [1, 999], [0, 1]),
    ],
)
def test_shares_by_hand(total: int, owed: list[int], expected: list[int]) -> None:
    """Worked out on paper; equal remainders go to the earlier."""
    assert apportion(total, owed) == expected


@given(st.lists(st.integers(1, 1_000), max_size=8), st.integers(0, 5_000))
def test_what_is_owed_covers_the_highest_rank_first(amounts: list[int], owed: int) -> None:
    """Nothing of a lower rank is held while a higher one is not whole; together never more than is owed."""
    held = rules.cover(amounts, outstanding_minor=owed)
    assert sum(held) == min(sum(amounts), owed)
    for place, amount in enumerate(amounts):
        assert held[place] <= amount
        if held[place] < amount:
            assert not any(held[place + 1 :])


@given(st.data(), weights)
def test_parts_of_a_price_are_what_the_whole_was(data: st.DataObject, amounts: list[int]) -> None:
    """Faces, and what the funder still expects, are kept to the minor unit; no part of a part is negative."""
    price, discount = data.draw(st.integers(0, sum(amounts))), data.draw(st.integers(0, 1_000))
    due = data.draw(st.integers(0, min(price + discount, sum(amounts))))
    parts = rules.split_price(Priced(price, discount, due), amounts_minor=amounts)
    assert [part.face_minor for part in parts] == amounts
    assert sum(part.price_minor + part.discount_minor for part in parts) == due
    assert sum(part.discount_minor for part in parts) <= discount
    assert sum(part.price_minor for part in parts) <= price
    for part in parts:
        assert min(part) >= 0
        assert part.price_minor + part.discount_minor + part.holdback_minor == part.face_minor


def test_a_price_split_by_hand() -> None:
    """Of 1,000 with 100 holdback, 200 were collected: 800 are owed, 700 of them to the funder."""
    parts = rules.split_price(Priced(891, 9, 700), amounts_minor=[400, 399, 1])
    assert parts == [PartPrice(400, 346, 4, 50), PartPrice(399, 346, 3, 50), PartPrice(1, 1, 0, 0)]


def test_nothing_but_holdback() -> None:
    """Where the funder has all it expects, the parts are their holder's."""
    assert rules.split_price(Priced(9, 1, 0), amounts_minor=[3, 2]) == [PartPrice(3, 0, 0, 3), PartPrice(2, 0, 0, 2)]


def test_parts_share_what_is_open_of_each_instalment() -> None:
    """A part too small to have something of each has fewer; one with a single instalment left is due on its day."""
    plan = explicit([(date(2026, 3, 20), 1), (date(2026, 4, 1), 999)])
    large, small = rules.parts_of(title(schedule=plan), asset_ids=["a", "b"], amounts_minor=[998, 2])
    assert large == Part("a", 998, date(2026, 4, 1), explicit([(date(2026, 3, 20), 1), (date(2026, 4, 1), 997)]))
    assert small == Part("b", 2, date(2026, 4, 1))
    assert (large.schedule_version, small.schedule_version) == (1, None)
    assert rules.parts_of(title(), asset_ids=["a"], amounts_minor=[1_000]) == [Part("a", 1_000, date(2026, 4, 1))]


def test_the_legs_of_a_split_balance() -> None:
    """The asset's units go back where they were issued; its parts' are issued to the same funder."""
    legs = rules.split_legs(HELD, parts=[Part("a", 600, HELD.due_date), Part("b", 400, HELD.due_date)])
    assert [(leg.path, leg.commodity, leg.amount_minor) for leg in legs] == [
        ("funder/fnd_1/title", "ast_1", -1_000),
        ("assets/issued", "ast_1", 1_000),
        ("assets/issued", "a", -600),
        ("funder/fnd_1/title", "a", 600),
        ("assets/issued", "b", -400),
        ("funder/fnd_1/title", "b", 400),
    ]


@pytest.mark.parametrize(
    ("claim", "caller", "amounts", "expected"),
    [
        (title(), PLATFORM, [600, 400], None),
        (HELD, FUNDER, [600, 400], None),
        (None, PLATFORM, [600, 400], "not_found"),
        (title(originator_id="org_2"), PLATFORM, [600, 400], "not_found"),
        (title(), FUNDER, [600, 400], "not_found"),
        (title(state="assigned", funder_id="fnd_2"), FUNDER, [600, 400], "not_found"),
        (HELD, PLATFORM, [600, 400], "claim_not_free"),
        (title(state="reserved"), PLATFORM, [600, 400], "claim_not_free"),
        (title(state="split", outstanding_minor=0), PLATFORM, [600, 400], "claim_not_free"),
        (title(due_date=date(2026, 3, 1)), PLATFORM, [600, 400], "claim_past_due"),
        (title(due_date=TODAY), PLATFORM, [600, 400], None),
        (title(), PLATFORM, [600, 401], "parts_differ"),
        (title(), PLATFORM, [600, 399], "parts_differ"),
        (title(encumbered_minor=601), PLATFORM, [600, 400], "encumbrance_not_covered"),
        (title(encumbered_minor=600), PLATFORM, [600, 400], None),
    ],
)
def test_who_may_split_what(claim: Title | None, caller: Caller, amounts: list[int], expected: str | None) -> None:
    """Every reason, and its neighbours on the other side."""
    found = rules.refuse_split(claim, caller=caller, asset_id="ast_1", amounts_minor=amounts, today=TODAY, at="")
    assert (found and found.fault.code) == expected


@pytest.mark.parametrize(
    ("claim", "caller", "day", "expected"),
    [
        (title(), PLATFORM, 2, None),
        (title(), PLATFORM, 1, None),
        (None, PLATFORM, 2, "not_found"),
        (HELD, PLATFORM, 2, "claim_not_free"),
        (title(encumbered_minor=1), PLATFORM, 2, "claim_encumbered"),
        (title(due_date=date(2026, 3, 1)), PLATFORM, 2, "claim_past_due"),
        (title(held_since=TODAY), PLATFORM, 1, "effective_date_out_of_order"),
        (title(), PLATFORM, 3, "effective_date_out_of_order"),
    ],
)
def test_who_may_hand_on_what(claim: Title | None, caller: Caller, day: int, expected: str | None) -> None:
    """The same for transfers: their dates follow each other and never lie ahead."""
    found = rules.refuse_transfer(
        claim, caller=caller, asset_id="ast_1", effective_date=date(2026, 3, day), today=TODAY, at=""
    )
    assert (found and found.fault.code) == expected


def test_who_may_hold() -> None:
    """Neither who has it already nor who owes it."""
    assert rules.refuse_holder(title(), holder_id="com_x", at="") is None
    for holder_id, expected in {"com_h": "same_holder", "com_o": "holder_is_obligor"}.items():
        found = rules.refuse_holder(title(), holder_id=holder_id, at="")
        assert found is not None
        assert found.fault.code == expected


@pytest.mark.parametrize(
    ("claim", "caller", "kind", "amount", "expected"),
    [
        (title(), PLATFORM, "pledge", 1_000, None),
        (title(encumbered_minor=999), PLATFORM, "lien", 1, None),
        (title(encumbered_minor=999), PLATFORM, "lien", 2, "more_than_free"),
        (HELD, FUNDER, "pledge", 1, None),
        (HELD, PLATFORM, "pledge", 1, "claim_not_free"),
        (HELD, OPERATOR, "court_order", 1, None),
        (None, OPERATOR, "pledge", 1, "not_found"),
        (title(originator_id="org_2"), PLATFORM, "pledge", 1, "not_found"),
        (title(state="reserved"), PLATFORM, "pledge", 1, "claim_not_free"),
        (title(state="committed"), OPERATOR, "court_order", 1, None),
        (title(state="closed", outstanding_minor=0), OPERATOR, "court_order", 1, "claim_not_free"),
    ],
)
def test_what_may_be_encumbered(
    claim: Title | None, caller: Caller, kind: str, amount: int, expected: str | None
) -> None:
    """As much as is free, by whoever disposes of it; a court's order reaches into offers."""
    found = rules.refuse_encumbrance(claim, caller=caller, asset_id="ast_1", kind=kind, amount_minor=amount, at="")
    assert (found and found.fault.code) == expected
