"""One house for each module."""

from collections.abc import Iterator

import pytest

from tests.exchange.house import House
from tests.exchange.receivables.shared import shared_house


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house for the whole module."""
    with shared_house(server_url, tmp_path_factory.mktemp("home")) as opened:
        yield opened
