"""An exchange that has lived through everything the console shows, read by all tests of a module."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from exchange import embedded
from exchange.app import create_app
from exchange.callbacks.delivery import Courier
from exchange.replay.receiver import Receiver
from exchange.services import Services, open_services
from exchange.settings import TIME_ZONE, Settings
from tests.conftest import TEMPLATE
from tests.exchange.house import House, closing, mandate, open_house, receipt, receivable

HOSTILE = "<script>alert(1)</script> & Söhne"


def browse(services: Services, *, time_zone: str = TIME_ZONE) -> FlaskClient:
    """A browser at the machine of an exchange whose console is open."""
    opened = replace(services, settings=replace(services.settings, console_open=True, time_zone=time_zone))
    client = create_app(opened).test_client()
    client.environ_base["HTTP_ACCEPT"] = "text/html,application/xhtml+xml,*/*;q=0.8"
    return client


@pytest.fixture(scope="module")
def still(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """An exchange that is open and has nothing in it."""
    with _own_house(server_url, tmp_path_factory.mktemp("still"), funders=1) as house:
        yield house


@pytest.fixture(scope="module")
def lived(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Assets in every state and in two currencies, one of them without minor digits; callbacks taken; a model."""
    with _own_house(server_url, tmp_path_factory.mktemp("lived"), funders=2) as house, Receiver() as receiver:
        _live(house, receiver)
        yield house


@pytest.fixture(scope="module")
def browser(lived: House) -> FlaskClient:
    """A browser on the lived exchange."""
    return browse(lived.services)


@contextmanager
def _own_house(server_url: str, home: Path, *, funders: int) -> Iterator[House]:
    url = embedded.create_database(server_url, f"console_{home.name}_{os.getpid()}", template=TEMPLATE)
    loopback = (ip_network("127.0.0.0/8"),)
    settings = Settings(home=home, database_url=url, seed=7, virtual_clock=True, callback_networks=loopback)
    with closing(open_services(settings)) as services:
        yield open_house(services, funders=funders)
    embedded.drop_database(server_url, f"console_{home.name}_{os.getpid()}")


def _live(house: House, receiver: Receiver) -> None:
    keys = house.funders[0].put("/v1/callback-endpoint", {"url": (opened := receiver.open("one"))[0]})
    opened[1].secret, opened[1].public_key = keys["secret"], keys["public_key"]
    house.deposit(0, 10_000_000)
    house.deposit(1, 10_000_000, currency="JPY")
    house.funders[0].post("/v1/mandates", mandate(name="manual", advance_bps=9_000))
    house.funders[1].post("/v1/mandates", mandate(name="yen", currency="JPY", auto_commit=True))
    held, paid, late, _yen = house.submit(
        receivable("HELD-1", obligor={"scheme": "platform", "value": "hostile", "name": HOSTILE}),
        receivable("PAID-1", due_date="2026-03-20"),
        receivable("LATE-1", due_date="2026-03-03"),
        receivable("YEN-1", currency="JPY", face_minor=300_000),
    )
    house.move(10, 30)
    (offer,) = house.funders[0].get("/v1/offers")["items"]
    house.funders[0].post(f"/v1/offers/{offer['offer_id']}/commitment", {"asset_ids": [held, paid, late]})
    house.move(14, 30)
    note = {"asset_id": held, "number": "CN-1", "amount_minor": 1_000, "reason": "return", "issue_date": "2026-03-02"}
    house.operator.post("/v1/receipts", {"items": [receipt(paid, 1_000_000, value_date=house.today)]})
    house.platform.post("/v1/credit-notes", {"items": [note]})
    house.platform.post("/v1/receivables", {"items": [receivable("OPEN-1", confirmation=None)]})
    (refused,) = house.submit(receivable("VOID-1", confirmation=None))
    answer = {"asset_id": refused, "outcome": "refused", "grade": "explicit", "confirmed_date": "2026-03-02"}
    house.platform.post("/v1/confirmations", {"items": [answer | {"reason": "goods not received"}]})
    house.submit(receivable("FREE-1", issue_date="2025-03-01", due_date="2025-04-01"))
    house.operator.post("/v1/models", {"horizon_days": 30})
    house.move(22, 30, days=20)
    with Courier(house.services) as courier:
        while courier.deliver() or courier.busy:
            pass
