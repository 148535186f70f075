"""A real browser on a real server, skipped where there is no browser."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pytest
from werkzeug.serving import make_server

from exchange import embedded
from exchange.app import create_app
from exchange.services import open_services
from exchange.settings import Settings
from tests.browser.chromium import Page, page, program
from tests.conftest import TEMPLATE
from tests.exchange.house import House, closing, mandate, open_house, receivable


class Served(NamedTuple):
    """A house with one held asset, and where its pages are."""

    house: House
    url: str
    asset_id: str


@pytest.fixture(scope="module")
def served(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An open console on loopback."""
    home = tmp_path_factory.mktemp("browser")
    database_url = embedded.create_database(server_url, f"browser_{os.getpid()}", template=TEMPLATE)
    settings = Settings(home=home, database_url=database_url, seed=7, virtual_clock=True)
    with closing(open_services(settings)) as services:
        house = open_house(services)
        house.deposit(0, 50_000_000)
        house.funders[0].post("/v1/mandates", mandate(auto_commit=True))
        (asset_id,) = house.submit(receivable("INV-1"))
        house.move(10, 30)
        house.move(14, 30)
        app = create_app(replace(services, settings=replace(settings, console_open=True)))
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield Served(house, f"http://127.0.0.1:{server.server_port}", asset_id)
        server.shutdown()
        server.server_close()
        thread.join()
    embedded.drop_database(server_url, f"browser_{os.getpid()}")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Page]:
    """A page of a headless Chromium."""
    binary = program()
    if binary is None:
        pytest.skip("no chromium on this machine")
    with page(binary, home=tmp_path) as opened:
        yield opened
