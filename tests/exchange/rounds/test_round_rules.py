"""What of an answer is still done, and what came of a currency."""

import pytest

from exchange.pools.rules import Price
from exchange.rounds.rules import Given, Now, outcome_of, still_given
from tests.exchange.pools.book import candidate, free_asset


def test_what_is_worth_nothing_any_more_is_dropped() -> None:
    """A part so small that its price is less than a minor unit."""
    one = Given(free_asset("a"), candidate(), 1)
    now = Now({"a": one.asset.face_minor}, {"m": candidate()}, {(1, "CNY"): 10**9}, {})
    assert still_given([(one, Price(0, 1, 0, 0))], now, seed=b"") == ([], [(one, "price")])


@pytest.mark.parametrize(
    ("assets", "mandates", "eligible", "placed", "outcome"),
    [
        (0, 1, None, 0, "no_assets"),
        (1, 0, None, 0, "no_mandates"),
        (1, 1, None, 0, "solving"),
        (1, 1, 0, 0, "nothing_fits"),
        (1, 1, 1, 0, "nothing_placed"),
        (1, 1, 1, 1, "placed"),
    ],
)
def test_what_came_of_it(assets: int, mandates: int, eligible: int | None, placed: int, outcome: str) -> None:
    """One word for each."""
    assert outcome_of(assets=assets, mandates=mandates, eligible=eligible, placed=placed) == outcome
