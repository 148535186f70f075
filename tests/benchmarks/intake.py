"""Bulk intake over HTTP, against raw signing plus COPY of the same bytes.

Measured: from the first request until 20,000 receivables are validated, checked for duplicates, confirmed, scored,
signed, logged under a published checkpoint and listed for funders, in PostgreSQL. API and two workers are processes.
Floor: one process signs the very same signing inputs with Ed25519 and writes the same records and log entries by COPY.
"""

import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from exchange.db import Database, copy_rows
from exchange.replay.client import ApiClient, party_key, public_jwk
from exchange.replay.command import virtual_settings
from exchange.replay.supervisor import operator_client, running
from tests.benchmarks.report import Result

RECEIVABLES = 20_000
BATCH = 1_000
SENDERS = 2
WORKERS = 2
OBLIGORS = 1_000
SELLERS = 40
MORNING = datetime(2026, 3, 2, 1, tzinfo=UTC)
TARGET = 0.25


def measure() -> Result:
    """The rate of intake and the rate of the floor, in receivables a second."""
    with tempfile.TemporaryDirectory(prefix="exchange-intake-") as home:
        # Keys, ids and salts from the operating system, as in production; the virtual clock only tells the day.
        settings = replace(virtual_settings(Path(home), seed=1), seed=None)
        with running(settings, fresh_at=MORNING, workers=WORKERS) as exchange:
            operator = operator_client(exchange)
            key = party_key(1, name="platform")
            entered = operator.post("/v1/originators", {"name": "Platform", "public_jwk": public_jwk(key)})
            senders = [ApiClient(exchange.base_url, client_id=entered["client_id"], key=key) for _ in range(SENDERS)]
            _send(senders[:1], [_body(0, count=1)])
            _wait(operator)
            bodies = [_body(start, count=BATCH) for start in range(1, RECEIVABLES, BATCH)]
            began = time.perf_counter()
            _send(senders, bodies)
            _wait(operator)
            seconds = time.perf_counter() - began
            assert exchange.settings.database_url is not None
            floor_seconds = _floor(Database(exchange.settings.database_url, role=None))
    value, floor = RECEIVABLES / seconds, RECEIVABLES / floor_seconds
    return Result("intake", value, "receivables/s", floor, value / floor, TARGET)


def _body(start: int, *, count: int) -> dict[str, Any]:
    return {"items": [_item(number) for number in range(start, start + count)]}


def _item(number: int) -> dict[str, Any]:
    day = 1 + number % 28
    return {
        "invoice_number": f"XS-{number:07d}",
        "seller": {
            "scheme": "platform",
            "value": f"seller-{number % SELLERS}",
            "name": f"Distributor {number % SELLERS}",
        },
        "obligor": {"scheme": "platform", "value": f"plant-{number % OBLIGORS}", "name": f"Plant {number % OBLIGORS}"},
        "product": "receivable_factoring",
        "currency": "CNY",
        "face_minor": 1_000_000 + number * 37,
        "issue_date": f"2026-02-{day:02d}",
        "due_date": f"2026-04-{day:02d}",
        "recourse": "without",
        "documents": [
            {"kind": "invoice", "sha256": f"{number:064x}"},
            {"kind": "delivery_note", "sha256": f"{number + 10**9:064x}"},
        ],
        "confirmation": {"grade": "explicit", "confirmed_date": "2026-03-01"},
    }


def _send(senders: list[ApiClient], bodies: list[dict[str, Any]]) -> None:
    """Send the bodies over a few connections at once; every item has to be entered."""
    waiting = list(reversed(bodies))
    failures: list[str] = []

    def send(client: ApiClient) -> None:
        while waiting and not failures:
            body = waiting.pop()
            first = body["items"][0]["invoice_number"]
            answer = client.post("/v1/receivables", body, key=f"intake-{first}")
            failures.extend(str(item) for item in answer["items"] if item["status"] != 201)

    threads = [threading.Thread(target=send, args=(client,)) for client in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"{len(failures)} receivables were not entered; the first: {failures[0]}")


def _wait(operator: ApiClient) -> None:
    while not operator.get("/v1/clock", wait_seconds=20)["quiet"]:
        pass


def _floor(database: Database) -> float:
    """Seconds to sign what was signed and write what was written, by the shortest way, in one process."""
    with database.transaction() as session:
        records = session.execute(text("SELECT jws, disclosures FROM asset_event")).all()
        leaves = [bytes(leaf) for leaf in session.execute(text("SELECT leaf FROM log_leaf")).scalars()]
        session.execute(text("CREATE TABLE floor_record (jws text, disclosures text, leaf bytea)"))
    inputs = [record.jws.rpartition(".")[0].encode() for record in records]
    key = Ed25519PrivateKey.generate()
    began = time.perf_counter()
    for message in inputs:
        key.sign(message)
    rows = [(record.jws, record.disclosures, leaf) for record, leaf in zip(records, leaves, strict=True)]
    with database.transaction() as session:
        copy_rows(session, "floor_record", ("jws", "disclosures", "leaf"), rows)
    seconds = time.perf_counter() - began
    database.dispose()
    return seconds
