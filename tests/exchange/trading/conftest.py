"""A house whose three funders have money and mandates, for all tests of a file; a copy of it for one that races."""

from collections.abc import Iterator

import pytest

from tests.exchange.house import House, mandate
from tests.exchange.pools.shared import copied, house_on
from tests.exchange.trading.floor import CASH

FUNDERS = 3


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Monday, nine: nothing is for sale yet. Rounds do not run: what is free stays so."""
    with house_on(server_url, tmp_path_factory.mktemp("trading"), funders=FUNDERS) as house:
        house.only("trading", "funding")
        for funder in range(FUNDERS):
            house.deposit(funder, CASH)
            house.funders[funder].post("/v1/mandates", mandate(base_rate_bps=900))
        yield house


@pytest.fixture
def copy(house: House, server_url: str) -> Iterator[House]:
    """The same, for one test alone."""
    with copied(house, server_url) as one:
        yield one
