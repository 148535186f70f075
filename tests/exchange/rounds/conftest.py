"""A house with two funders for the tests of a module that do not mind each other."""

from collections.abc import Iterator

import pytest

from tests.exchange.house import House
from tests.exchange.pools.shared import house_on


@pytest.fixture(scope="module")
def shared(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A whole exchange with two funders; each test leaves it in order."""
    with house_on(server_url, tmp_path_factory.mktemp("rounds"), funders=2) as house:
        yield house
