"""One exchange for a whole module of tests."""

from collections.abc import Iterator

import pytest

from tests.exchange.house import House
from tests.exchange.settlement.book import own_house


@pytest.fixture(scope="module")
def market(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running exchange that the tests of a module share; what falls due is what its assets live by."""
    with own_house(server_url, tmp_path_factory.mktemp("market")) as house:
        house.only("pools", "funding", "servicing")
        yield house
