"""Limits over what a mandate holds, asked of one asset."""

from dataclasses import replace
from typing import Any

import pytest

from exchange.pools.rules import Taken, over_share, why_not, why_not_usage
from exchange.pools.terms import Limit
from tests.exchange.pools.book import TODAY, candidate, free_asset


def codes(asset_face: int, **changes: Any) -> list[str]:  # noqa: ANN401 - any of the terms
    """What is against an asset of a mandate that holds 600 of obligor 1 and 400 of others."""
    one = candidate(**changes)
    one.usage.total, one.usage.by_key = Taken(1_000, 1_000), {("obligor", 1): Taken(600, 600)}
    asset = free_asset(face_minor=asset_face)
    return [why.code for why in why_not_usage(one.terms, one.usage, asset, price_minor=asset_face)]


@pytest.mark.parametrize(
    ("most_permille", "expected"), [(599, ["obligor_share"]), (600, []), (1000, [])], ids=["over", "at", "under"]
)
def test_nothing_is_added_to_more_than_its_share(most_permille: int, expected: list[str]) -> None:
    """A share is judged by what is held already."""
    assert codes(10, limits=(Limit(by="obligor", most_permille=most_permille),)) == expected


def test_amounts_and_pools() -> None:
    """A key's amount counts the asset too; one that no pool has room for says so."""
    assert codes(10, limits=(Limit(by="obligor", most_minor=609),)) == ["obligor_amount"]
    assert codes(10, limits=(Limit(by="obligor", most_minor=610),)) == []
    assert codes(10, max_pool_minor=9) == ["max_pool"]
    assert codes(10, max_pool_minor=10) == []


def test_a_share_of_nothing_is_not_over() -> None:
    """The first asset of a key is welcome."""
    assert not over_share(candidate().usage, ("obligor", 1), 0)


def test_a_part_may_fit_where_the_whole_does_not() -> None:
    """Of what is divisible, the smallest part is asked for."""
    one = candidate(min_face_minor=10)
    whole = free_asset(face_minor=1_000)
    assert [why.code for why in why_not(one, whole, room_minor=10, today=TODAY)] == ["obligor_limit"]
    assert why_not(one, replace(whole, divisible=True), room_minor=10, today=TODAY) == []
