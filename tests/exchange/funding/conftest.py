"""The morning on which everything of this room begins."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.exchange.funding.morning import Morning, open_morning
from tests.exchange.pools.shared import copied, house_on


@pytest.fixture(scope="module")
def table(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Morning]:
    """Half past ten: three assets offered to the first of two funders. For tests that leave it as it is."""
    with house_on(server_url, tmp_path_factory.mktemp("funding"), funders=2) as house:
        yield open_morning(house)


@pytest.fixture
def morning(table: Morning, server_url: str) -> Iterator[Morning]:
    """The same, for one test alone."""
    with copied(table.house, server_url) as house:
        yield replace(table, house=house, bank=house.funders[0])
