"""Metrics, readiness, work that fails and who does it."""

import socket
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.error import HTTPError

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from exchange import jobs, worker
from exchange.clock import system_now
from exchange.operations import metrics, queries
from exchange.services import Services
from tests.exchange.house import House, receivable
from tests.exchange.owner import as_owner


def free_port() -> int:
    """A port nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def measured(house: House) -> Iterator[tuple[House, str]]:
    """A house whose door for measures is open, and where."""
    port = free_port()
    services = replace(house.services, settings=replace(house.services.settings, metrics_port=port))
    with metrics.door(services, alive=lambda: port > 0):
        yield house, f"http://127.0.0.1:{port}"


def read(url: str) -> tuple[int, str]:
    """Status and text of what is there."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own door
            return int(answer.status), str(answer.read().decode())
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def samples(page: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every number by name and labels."""
    families = text_string_to_metric_families(page)
    return {
        (sample.name, tuple(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def test_what_is_measured(measured: tuple[House, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests by operation, work, lateness, facts, callbacks and breaks; no label but names of ours."""
    house, url = measured
    monkeypatch.setattr(metrics, "FRESH_SECONDS", 0.0)
    house.platform.post("/v1/receivables", {"items": [receivable("A")]})
    house.app.test_client().get("/nowhere")
    found = samples(read(f"{url}/metrics")[1])
    assert found["exchange_request_seconds_count", ("receivables.submit_receivables", "200")] >= 1
    assert found["exchange_request_seconds_count", ("none", "404")] >= 1
    waiting = {labels: value for (name, labels), value in found.items() if name == "exchange_work_items"}
    assert sum(waiting.values()) >= 1
    assert waiting.keys() <= {(job,) for job in worker.HANDLERS}
    assert found["exchange_facts_unsealed", ()] >= 1
    assert found["exchange_database_up", ()] == 1
    assert found["exchange_database_connections", ("most",)] == 20
    with as_owner(house.services.database) as session:
        session.execute(text("UPDATE funder_stream_head SET sequence = sequence + 1"))
        session.execute(
            text("INSERT INTO funder_stream_head SELECT funder_id, 3, '' FROM funder ON CONFLICT DO NOTHING")
        )
    house.move(23, 31)
    found = samples(read(f"{url}/metrics")[1])
    assert found["exchange_breaks", ("stream_length", "open")] == 1
    assert found["exchange_break_oldest_days", ("stream_length", "open")] == 0
    assert found["exchange_reconciled_age_days", ()] == 0
    assert found["exchange_log_entries", ()] == found["exchange_log_published_entries", ()] > 0
    named = {label for name, labels in found if name.startswith("exchange_") for label in labels}
    assert not any(label.startswith(("ast_", "fnd_", "com_", "cli_", "INV")) for label in named)


def test_without_a_database(measured: tuple[House, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says so, and so does readiness; health is of the process alone."""
    _, url = measured
    monkeypatch.setattr(metrics, "FRESH_SECONDS", 0.0)

    def refuse(*_: object, **__: object) -> None:
        raise SQLAlchemyError

    monkeypatch.setattr(queries, "standing", refuse)
    assert samples(read(f"{url}/metrics")[1])["exchange_database_up", ()] == 0
    monkeypatch.setattr(queries, "_newest", refuse)
    status, body = read(f"{url}/ready")
    assert (status, msgspec.json.decode(body)["database"]) == (503, "does not answer")
    assert read(f"{url}/health") == (200, '{"status":"ok"}')


def test_ready(measured: tuple[House, str]) -> None:
    """Not before a worker lives, and not on another revision; the web says how late work is and serves all the same."""
    house, url = measured
    web = house.app.test_client()
    assert read(f"{url}/ready")[0] == 503
    assert web.get("/ready").status_code == 200
    with house.services.database.transaction() as session:
        jobs.beat(session, worker="here:1", started_at=system_now(), now=system_now())
    assert msgspec.json.decode(read(f"{url}/ready")[1]) == {"database": "ok", "migrations": "ok", "schedule": "ok"}
    assert [one["worker"] for one in house.operator.get("/v1/workers")["items"]] == ["here:1"]
    with house.services.database.transaction() as session:
        jobs.beat(session, worker="here:1", started_at=system_now(), now=system_now() - timedelta(seconds=61))
    assert "no worker" in web.get("/ready").get_json()["schedule"]
    with as_owner(house.services.database) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    answer = web.get("/ready")
    assert (answer.status_code, answer.get_json()["migrations"][:16]) == (503, "at revision 0001")


def test_a_schedule_that_is_late(services: Services) -> None:
    """On the machine's clock: five minutes that were not fired are too many."""
    real = replace(services, settings=replace(services.settings, virtual_clock=False, seed=None), clock=_Real())
    with services.database.transaction() as session:
        jobs.beat(session, worker="here:1", started_at=system_now(), now=system_now())
        jobs.fire(session, schedule={}, now=system_now() - timedelta(minutes=6), time_zone="UTC")
    assert queries.readiness(real, now=system_now())["schedule"] in {"360 s behind", "361 s behind", "362 s behind"}
    with services.database.transaction() as session:
        jobs.fire(session, schedule={}, now=system_now(), time_zone="UTC")
    assert queries.readiness(real, now=system_now())["schedule"] == "ok"


class _Real:
    """The machine's clock."""

    def now(self, _session: Session) -> Any:  # noqa: ANN401 - a moment
        """Now."""
        return system_now()


def test_a_port_in_use(measured: tuple[House, str]) -> None:
    """The first process has it; another does its work without, and so does one that was given none."""
    house, url = measured
    port = int(url.rpartition(":")[2])
    services = replace(house.services, settings=replace(house.services.settings, metrics_port=port))
    assert metrics.open_door(services, alive=lambda: True) is None
    assert metrics.open_door(house.services, alive=lambda: True) is None


def test_several_processes(measured: tuple[House, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:  # noqa: ANN401 - pytest's
    """With a folder for all of them, whoever answers counts for all."""
    house, _ = measured
    monkeypatch.setenv(metrics.MULTIPROCESS, str(tmp_path))
    services = replace(house.services, settings=replace(house.services.settings, metrics_port=free_port()))
    with metrics.door(services, alive=lambda: False):
        url = f"http://127.0.0.1:{services.settings.metrics_port}"
        assert samples(read(f"{url}/metrics")[1])["exchange_database_up", ()] == 1
        assert read(f"{url}/health")[0] == 503


def test_work_that_fails(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is listed with its error; retried at once or discarded, and who and why stays."""
    done: list[str] = []

    def handler(_services: Services, _session: Session, payload: dict[str, Any]) -> None:
        if not payload["good"]:
            raise ValueError("no such luck")
        done.append("good")

    monkeypatch.setitem(worker.HANDLERS, "test.luck", handler)
    monkeypatch.setattr(jobs, "FIRST_RETRY", timedelta(minutes=1))  # not before it was looked at
    with house.services.database.transaction() as session:
        for _ in range(2):
            jobs.enqueue(session, job="test.luck", payload={"good": False})
    assert house.operator.get("/v1/work-items")["items"] == []
    while jobs.run_one(house.services, worker.HANDLERS):
        pass
    first, second = house.operator.get("/v1/work-items")["items"]
    assert (first["job"], first["attempts"], first["last_error"]) == ("test.luck", 1, "ValueError('no such luck')")
    page = house.operator.get("/v1/work-items?limit=1")
    assert house.operator.get(f"/v1/work-items?after={page['next']}")["items"] == [second]

    with as_owner(house.services.database) as session:
        session.execute(
            text("UPDATE work_item SET payload = '{\"good\": true}' WHERE work_id = :id"), {"id": first["work_id"]}
        )
    at = "/v1/work-items/{}/decisions"
    house.operator.post(at.format(first["work_id"]), {"decision": "retry", "reason": "mended"})
    assert jobs.run_one(house.services, worker.HANDLERS)
    assert done == ["good"]
    with house.services.database.transaction() as other:
        other.execute(text("SELECT FROM work_item FOR UPDATE"))
        problem = house.operator.refused("POST", at.format(second["work_id"]), {"decision": "discard", "reason": "x"})
        assert problem["code"] == "work_in_hand"
    house.operator.post(at.format(second["work_id"]), {"decision": "discard", "reason": "nobody's"})
    for gone in (first["work_id"], second["work_id"], "0", "x", "９", 10**18):
        problem = house.operator.refused("POST", at.format(gone), {"decision": "retry", "reason": "again"})
        assert problem["code"] == "not_found"
    with house.services.database.transaction() as session:
        rows = session.execute(
            text("SELECT decision, reason, decided_by, last_error FROM work_decision ORDER BY 1")
        ).all()
    error = "ValueError('no such luck')"
    assert [tuple(row) for row in rows] == [
        ("discard", "nobody's", house.operator.client_id, error),
        ("retry", "mended", house.operator.client_id, error),
    ]


def test_heartbeats_are_forgotten(services: Services) -> None:
    """A worker that has not said anything for a day is none."""
    now = system_now()
    with services.database.transaction() as session:
        jobs.beat(session, worker="old", started_at=now, now=now - timedelta(days=2))
        jobs.beat(session, worker="new", started_at=now, now=now)
        assert [one["worker"] for one in queries.workers(session)] == ["new"]
