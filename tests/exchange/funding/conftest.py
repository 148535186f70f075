"""The morning on which everything of this room begins."""

import os
from collections.abc import Iterator
from itertools import count

import pytest

from tests.exchange.funding.morning import Morning, again, open_morning
from tests.exchange.pools.shared import house_on

_numbers = count(1)


@pytest.fixture(scope="module")
def table(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Morning]:
    """Half past ten: three assets offered to the first of two funders. For tests that leave it as it is."""
    with house_on(server_url, tmp_path_factory.mktemp("funding"), funders=2) as house:
        yield open_morning(house)


@pytest.fixture
def morning(table: Morning, server_url: str) -> Iterator[Morning]:
    """The same, for one test alone."""
    with again(table, server_url=server_url, name=f"morning_{os.getpid()}_{next(_numbers)}") as copy:
        yield copy
