"""Small rules of trades, by themselves."""

from datetime import date

import pytest

from exchange.trading.rules import PartRefused, cash_short, chosen, would_take
from ledger.books import InsufficientFunds
from tests.exchange.pools.book import candidate, free_asset

TODAY = date(2026, 3, 2)


def test_whom_a_listing_in_parts_interests() -> None:
    """Who takes any asset of it; whole, who takes them all."""
    fits, not_fits = (free_asset("a"), 10), (free_asset("b", currency="USD"), 10)
    one = candidate()
    assert would_take(one, [fits, not_fits], in_parts=True, today=TODAY)
    assert not would_take(one, [not_fits], in_parts=True, today=TODAY)
    assert not would_take(one, [fits, not_fits], in_parts=False, today=TODAY)


def test_what_goes_whole_is_taken_whole() -> None:
    """Naming assets or a part of it is refused."""
    assert chosen({"a": 5}, asset_ids=None, part_minor=None, least_minor=None) == {"a": 5}
    for named, part in ((["a"], None), (None, 3)):
        with pytest.raises(PartRefused, match="whole"):
            chosen({"a": 5}, asset_ids=named, part_minor=part, least_minor=None)


def test_what_is_needed_is_told() -> None:
    """And what there is, never less than nothing."""
    error = InsufficientFunds("k", "funder/f/cash", "CNY/2", 7, -2)
    assert cash_short(error).numbers == {"needed_minor": 7, "available_minor": 0}
