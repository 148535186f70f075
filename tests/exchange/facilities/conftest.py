"""One exchange for a whole module of tests."""

from collections.abc import Iterator

import pytest

from tests.exchange.facilities.vehicle import ROOMS
from tests.exchange.house import House
from tests.exchange.settlement.book import own_house


@pytest.fixture(scope="module")
def market(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """An exchange with a senior, a mezzanine and a junior holder, who share a module's tests."""
    with own_house(server_url, tmp_path_factory.mktemp("market"), funders=3) as house:
        house.only(*ROOMS)
        for funder in range(3):
            house.deposit(funder, 10**9)
        yield house
