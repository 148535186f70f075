"""Each limit of a mandate, at the number it allows and at the next one."""

from datetime import timedelta
from typing import Any

import pytest

from exchange.pools.rules import WhyNot, keys_of, why_not
from tests.exchange.pools.book import TODAY, candidate, free_asset


def due(days: int) -> dict[str, Any]:
    """A due date so many days from today."""
    return {"due_date": TODAY + timedelta(days=days)}


@pytest.mark.parametrize(
    ("limits", "fits", "breaks", "reason"),
    [
        ({}, {}, {"currency": "USD"}, ("currency", "CNY", "USD")),
        ({"products": ("a", "b")}, {"product": "b"}, {"product": "c"}, ("product", ("a", "b"), "c")),
        ({"max_pd_ppm": 7}, {"pd_ppm": 7}, {"pd_ppm": 8}, ("max_pd", 7, 8)),
        ({"min_tenor_days": 7}, due(7), due(6), ("min_tenor", 7, 6)),
        ({}, due(0), due(-1), ("min_tenor", 0, -1)),
        ({"max_tenor_days": 7}, due(7), due(8), ("max_tenor", 7, 8)),
        ({"min_face_minor": 7}, {"face_minor": 7}, {"face_minor": 6}, ("min_face", 7, 6)),
        ({"max_face_minor": 7}, {"face_minor": 7}, {"face_minor": 8}, ("max_face", 7, 8)),
        ({"recourse": ("with",)}, {}, {"recourse": "limited"}, ("recourse", ("with",), "limited")),
        (
            {"confirmation_grades": ("explicit",)},
            {},
            {"confirmation_grade": "deemed"},
            ("confirmation_grade", ("explicit",), "deemed"),
        ),
        ({}, {"related": False}, {"related": True}, ("related_party", False, True)),
        ({"advance_bps": 5_000}, {"face_minor": 2}, {"face_minor": 1}, ("price", 1, 0)),
        ({"base_rate_bps": 5_000, "max_tenor_days": 9_999}, due(719), due(7_200), ("price", 1, -9_000)),
        ({"budget_minor": 7}, {"face_minor": 7}, {"face_minor": 8}, ("budget", 7, 8)),
        ({"obligor_cap_minor": 7}, {"face_minor": 7}, {"face_minor": 8}, ("obligor_cap", 7, 8)),
        ({"seller_cap_minor": 7}, {"face_minor": 7}, {"face_minor": 8}, ("seller_cap", 7, 8)),
        ({"cash_minor": 7}, {"face_minor": 7}, {"face_minor": 8}, ("cash", 7, 8)),
    ],
)
def test_every_limit_at_its_edge(
    limits: dict[str, Any], fits: dict[str, Any], breaks: dict[str, Any], reason: tuple[str, Any, Any]
) -> None:
    """What is equal to a limit fits; one further is refused with exactly one reason, and both numbers in it."""
    one = candidate(**limits)
    assert why_not(one, free_asset(**fits), room_minor=10**9, today=TODAY) == []
    assert why_not(one, free_asset(**breaks), room_minor=10**9, today=TODAY) == [WhyNot(*reason)]


def test_every_rule_that_is_broken_is_named() -> None:
    """A funder that asks why is told everything at once."""
    one = candidate(
        products=(), max_pd_ppm=0, min_tenor_days=99, min_face_minor=2_000, recourse=(), confirmation_grades=()
    )
    asset = free_asset(related=True, currency="USD")
    codes = [reason.code for reason in why_not(one, asset, room_minor=999, today=TODAY)]
    assert codes == [
        "currency",
        "product",
        "max_pd",
        "min_tenor",
        "min_face",
        "recourse",
        "confirmation_grade",
        "related_party",
        "obligor_limit",
    ]


def test_what_was_taken_counts_in_every_limit() -> None:
    """Budget and both caps count what the mandate has taken up before; cash is what is left."""
    one = candidate(budget_minor=10, obligor_cap_minor=9, seller_cap_minor=8, cash_minor=6)
    one.usage.add(keys_of(free_asset()), price_minor=4, face_minor=5)
    reasons = why_not(one, free_asset(face_minor=7), room_minor=6, today=TODAY)
    assert reasons == [
        WhyNot("budget", 10, 11),
        WhyNot("obligor_cap", 9, 11),
        WhyNot("seller_cap", 8, 11),
        WhyNot("cash", 6, 7),
        WhyNot("obligor_limit", 6, 7),
    ]


def test_caps_are_of_each_obligor_and_each_seller() -> None:
    """What one obligor or seller takes up leaves the others' caps alone."""
    one = candidate(obligor_cap_minor=10, seller_cap_minor=10)
    one.usage.add(keys_of(free_asset(obligor=1, seller=2)), price_minor=10, face_minor=10)
    assert why_not(one, free_asset(obligor=3, seller=4, face_minor=10), room_minor=10, today=TODAY) == []
