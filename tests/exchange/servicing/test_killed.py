"""A worker killed between chunks, and in one: what it did stands, the rest is done by another one, all of it once."""

import signal
import subprocess
import sys
from datetime import timedelta

import pytest

from exchange.servicing import jobs as servicing
from tests.architecture.source import ROOT
from tests.exchange.house import House
from tests.exchange.servicing.test_close_of_business import due_in, facts
from tests.exchange.settlement.book import FACE_MINOR


def test_killed_half_way_and_resumed(market: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of five chunks are done as it dies; progress says so; the next worker does three."""
    monkeypatch.setattr(servicing, "CHUNK", 2)
    market.move(9, days=1)
    asset_ids = market.submit(*(due_in(market, -19) for _ in range(10)))
    services, day = market.services, market.today
    with services.database.transaction() as session:
        servicing.close_day(services, session, {"fire_at": f"{day}T14:00:00+00:00"})
    command = [sys.executable, "-m", "tests.exchange.servicing.dying_worker", services.database.url]
    dead = subprocess.run([*command, str(services.settings.home), "3"], cwd=ROOT, check=False)
    assert dead.returncode == -signal.SIGKILL
    shown = market.operator.get(f"/v1/closed-days/{day}")
    assert (shown["chunks_done"], shown["fact_count"], shown["ended_at"]) == (2, 4, None)
    assert len(facts(market, *asset_ids)) == 4
    market.run()
    shown = market.operator.get(f"/v1/closed-days/{day}")
    assert (shown["chunks_done"], shown["fact_count"]) == (shown["chunk_count"], 10)
    assert facts(market, *asset_ids) == [(day, "late_16", 19, FACE_MINOR)] * 10
    market.move(22, days=1)
    assert facts(market, *asset_ids) == [(day, "late_16", 19, FACE_MINOR)] * 10
    assert day + timedelta(days=1) == market.today
    market.check()
