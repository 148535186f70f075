"""A house for a whole module, or for one example of a state machine."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from exchange import embedded
from exchange.http import EXTENSION
from exchange.services import open_services
from exchange.settings import Settings
from tests.conftest import TEMPLATE
from tests.exchange.house import Client, House, closing, open_house, receivable

_numbers = count(1)


@contextmanager
def house_on(server_url: str, home: Path, *, funders: int = 1) -> Iterator[House]:
    """A whole exchange on a database of its own, which is gone afterwards."""
    name = f"market_{os.getpid()}_{next(_numbers)}"
    url = embedded.create_database(server_url, name, template=TEMPLATE)
    settings = Settings(home=home, database_url=url, seed=7, virtual_clock=True)
    try:
        with closing(open_services(settings)) as services:
            yield open_house(services, funders=funders)
    finally:
        embedded.drop_database(server_url, name)


@contextmanager
def copied(house: House, server_url: str) -> Iterator[House]:
    """The same house on a copy of its database, to try anything with. One copy at a time; the house rests meanwhile."""
    house.services.database.dispose()
    template = make_url(house.services.database.url).database
    name = f"{template}_{next(_numbers)}"
    url = embedded.create_database(server_url, name, template=template)
    home = house.services.settings.home.parent / name  # the guard of checkpoints stands in it: each copy has its own
    shutil.copytree(house.services.settings.home, home)
    try:
        with closing(open_services(replace(house.services.settings, database_url=url, home=home))) as services:
            house.app.extensions[EXTENSION] = services
            operator, platform, *funders = (
                Client(house.app.test_client(), one.client_id, one.key)
                for one in (house.operator, house.platform, *house.funders)
            )
            yield replace(house, services=services, operator=operator, platform=platform, funders=funders)
    finally:
        house.app.extensions[EXTENSION] = house.services
        embedded.drop_database(server_url, name)
        shutil.rmtree(home)


def invoice(house: House, *, days: int = 60, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any of its fields
    """A receivable of today, due in so many days, with a number never used before."""
    today = house.today
    dates = {
        "issue_date": today.isoformat(),
        "due_date": today.fromordinal(today.toordinal() + days).isoformat(),
        "confirmation": {"grade": "explicit", "confirmed_date": today.isoformat()},
    }
    return receivable(f"INV-{next(_numbers)}", **dates | changes)


def twin(house: House, client: Client) -> Client:
    """The same party's second program, to call at the same time."""
    client.token = client.token or client.sign_in()
    return Client(house.app.test_client(), client.client_id, client.key, client.token)
