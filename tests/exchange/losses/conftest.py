"""One exchange for a whole module of tests."""

from collections.abc import Iterator

import pytest

from tests.exchange.house import House
from tests.exchange.reconciliation.lived import own_breaks
from tests.exchange.settlement.book import own_house


@pytest.fixture(scope="module")
def market(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running exchange that the tests of a module share."""
    with own_house(server_url, tmp_path_factory.mktemp("market"), funders=2) as house:
        yield house
        assert own_breaks(house) == []
