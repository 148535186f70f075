"""Services on a fresh database, and a whole exchange on them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.services import Services, open_services
from exchange.settings import Settings
from tests.exchange.house import House, closing, open_house


@pytest.fixture
def services(database_url: str, tmp_path: Path) -> Iterator[Services]:
    """Services on a virtual clock, whose ids and keys a seed decides."""
    settings = Settings(home=tmp_path, database_url=database_url, seed=7, virtual_clock=True)
    with closing(open_services(settings)) as opened:
        yield opened


@pytest.fixture
def house(services: Services) -> House:
    """A whole exchange with one funder, at nine on a Monday morning."""
    return open_house(services)
