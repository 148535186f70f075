"""A facility's life, told over HTTP; everything is recomputed after every step."""

from tests.exchange.facilities.vehicle import buys, check, open_facility, purse
from tests.exchange.house import House


def test_life(market: House) -> None:
    """Bought, collected, distributed."""
    facility_id = open_facility(market)
    assert purse(market, facility_id) == 10_000_000
    buys(market, facility_id, 5)
    market.move(23, 50)
    check(market)
