"""Two funders, services on a real database, and the way from a fact to a delivery."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from exchange.callbacks import actions
from exchange.clock import SystemClock, system_now
from exchange.db import Database
from exchange.entropy import seeded_entropy
from exchange.keyring import open_keyring
from exchange.parties.models import Funder
from exchange.services import Services
from exchange.settings import Settings
from tests.exchange.callbacks.receiver import Receiver, listening

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
FUNDERS = ("fnd_a", "fnd_b")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes whatever comes."""
    with listening() as receiver:
        yield receiver


@pytest.fixture
def services(engine: Engine, tmp_path: Path) -> Iterator[Services]:
    """Services that may call back to loopback; both funders exist."""
    settings = Settings(home=tmp_path, seed=7, virtual_clock=True, callback_networks=(ip_network("127.0.0.0/8"),))
    entropy = seeded_entropy(7)
    database = Database(engine.url.render_as_string(hide_password=False))
    keyring = open_keyring(settings, entropy=entropy)
    with database.transaction() as session:
        session.add_all(Funder(funder_id=name, name=name, deposit_reference=name, created_at=NOW) for name in FUNDERS)
    yield Services(settings, database, SystemClock(), entropy, keyring)
    database.dispose()


@pytest.fixture
def say(services: Services) -> Callable[..., None]:
    """Tell a funder `count` facts and publish them."""

    def tell_and_publish(funder_id: str = "fnd_a", count: int = 1) -> None:
        notices = [actions.Notice(funder_id, "deposit.received", {"n": n}) for n in range(count)]
        with services.database.transaction() as session:
            actions.tell_many(session, notices=notices, now=NOW)
        with services.database.transaction() as session:
            assert actions.publish(session, services=services, now=system_now()) == count

    return tell_and_publish


@pytest.fixture
def put(services: Services) -> Callable[..., str]:
    """Put a funder's endpoint; gives the secret."""

    def put_endpoint(url: str, funder_id: str = "fnd_a", **options: object) -> str:
        with services.database.transaction() as session:
            return put_in(session, services, url=url, funder_id=funder_id, **options)

    return put_endpoint


def put_in(session: Session, services: Services, *, url: str, funder_id: str, **options: object) -> str:
    """Put a funder's endpoint in this transaction."""
    return actions.put_endpoint(
        session,
        funder_id=funder_id,
        url=url,
        services=services,
        now=NOW,
        machine_now=system_now(),
        options=options,
    )


def until(condition: Callable[[], bool], *, seconds: float = 5) -> None:
    """Wait for `condition`, but not for ever."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
