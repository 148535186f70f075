"""A house that the tests of a module share, where none of them minds what the others did."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from os import getpid
from pathlib import Path

from exchange import embedded
from exchange.services import open_services
from exchange.settings import Settings
from tests.exchange.house import House, closing, open_house

TEMPLATE = "template_exchange"
_numbers = count(1)


@contextmanager
def premises(server_url: str, home: Path) -> Iterator[House]:
    """A house on a database of its own, which is dropped at the end."""
    name = f"premises_{getpid()}_{next(_numbers)}"
    url = embedded.create_database(server_url, name, template=TEMPLATE)
    settings = Settings(home=home, database_url=url, seed=7, virtual_clock=True)
    with closing(open_services(settings)) as services:
        yield open_house(services)
    embedded.drop_database(server_url, name)
