"""A small book lived through the whole exchange: real processes, HTTP, callbacks; and again, to the same bytes."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange import embedded
from exchange.replay.canonical import json_line
from exchange.replay.command import Replay, enter, live_and_summarise, read, replay_file, virtual_settings, waking
from exchange.replay.demo import prove
from exchange.replay.funders import DEFAULT_FILE
from exchange.replay.page import page
from exchange.replay.progress import Progress
from exchange.replay.receiver import Receiver
from exchange.replay.rows import Company, CreditNote, Document, PartPayment, ReplayRow
from exchange.replay.summary import Summary
from exchange.replay.supervisor import ChildDied, Exchange, operator_client, running
from exchange.settings import Settings

START = date(2026, 3, 2)
QUIET = Progress(quiet=True)
SELLER = Company("uscc", "91350100M000100Y43", "Seller", sector="distribution", region="Fujian")
ROW = ReplayRow(
    row_number=0,
    invoice_number="A-001",
    seller=SELLER,
    obligor=Company("platform", "buyer-1", "Buyer 1", controller="990000198001010017", sector="film"),
    product="receivable_factoring",
    currency="CNY",
    face_minor=1_000_000,
    issue_date=START,
    due_date=START + timedelta(days=5),
    submitted_date=START,
    settled_date=START + timedelta(days=5),
    confirmed_date=START,
    confirmation_grade="explicit",
)


def after(days: int) -> date:
    """A day so many days after the start."""
    return START + timedelta(days=days)


def small_book() -> list[ReplayRow]:
    """Three past invoices, seven live receivables with seven fates, one past due date and one duplicate."""
    past = replace(ROW, submitted_date=after(-40), issue_date=after(-40), due_date=after(-10), settled_date=after(-9))
    plant = {"plant": "duplicate_renumbered"}
    live = [
        replace(ROW, documents=(Document("delivery_note", "a" * 64),)),
        replace(ROW, confirmed_date=after(1), confirmation_grade="deemed"),
        replace(ROW, credit_notes=(CreditNote(after(2), 90_000, "return"),)),
        replace(ROW, part_payments=(PartPayment(after(3), 400_000),), settled_date=after(6)),
        replace(ROW, settled_date=None),
        replace(ROW, hidden={"stray_minor": "777"}),
        replace(ROW, confirmed_date=None, confirmation_grade=None, submitted_date=after(1)),
        replace(ROW, due_date=after(-1)),
    ]
    return [
        replace(past, invoice_number="P-1"),
        replace(past, invoice_number="P-2", settled_date=after(2)),
        replace(past, invoice_number="P-3", due_date=after(-35), settled_date=None),
        *(
            replace(row, invoice_number=f"A-{number}", obligor=Company("platform", f"b{number}", f"Buyer {number}"))
            for number, row in enumerate(live, start=1)
        ),
        replace(ROW, invoice_number="a/1", submitted_date=after(2), settled_date=None, hidden=plant),
    ]


@pytest.fixture(scope="module")
def book_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small book, with a line that is none."""
    path = tmp_path_factory.mktemp("book") / "book.ndjson"
    path.write_bytes(b"".join(map(json_line, small_book())) + b"not json\n")
    return path


@pytest.fixture(scope="module")
def lived(book_file: Path, server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Summary, Any]]:
    """The book's life, and what the exchange then proves."""
    asked = Replay(book_file, START)
    book, funders = read(asked, progress=QUIET)
    name = f"replay_{os.getpid()}"
    url = embedded.create_database(server_url, name, template="template_exchange")
    settings = virtual_settings(tmp_path_factory.mktemp("home"), seed=1, database_url=url)
    with running(settings, fresh_at=waking(book, settings)) as exchange, Receiver() as receiver:
        world = enter(exchange, receiver, funders=funders)
        summary = live_and_summarise(world, book, asked=asked, progress=QUIET)
        yield summary, prove(world, book, summary, base_url=exchange.base_url)
        world.close()
    embedded.drop_database(server_url, name)


def test_what_came_of_it(lived: tuple[Summary, Any]) -> None:
    """Each fate shows in the summary: entered, refused, financed, paid in parts, diluted, unpaid, money for nobody."""
    summary, _ = lived
    assert summary.rows == {"history": 3, "live": 9, "after_the_period": 0, "bad": {"row_malformed": 1, "rows": 1}}
    assert summary.submissions["entered"] == 7
    assert summary.submissions["refused_by_code"] == {"due_before_issue": 1, "duplicate_receivable": 1}
    assert summary.requests["history"] == 3
    assert summary.planted == {"duplicate_renumbered": {"refused: duplicate_receivable": 1}}
    volume = summary.exchange["volume"]["CNY"]
    assert (volume["submitted"], volume["confirmed"]) == (7, 6)
    assert volume["financed"] >= 5
    assert summary.exchange["lateness"]["settled"] == 5
    assert summary.exchange["dilution"]["CNY"]["diluted_minor"] == 90_000
    assert summary.exchange["unapplied"]["CNY"]["amount_minor"] == 777
    assert len(summary.models) == 1


def test_it_is_clean_and_proven(lived: tuple[Summary, Any]) -> None:
    """Books and log are clean, every callback verified in order, and a record holds under foreign eyes."""
    summary, verdicts = lived
    assert summary.is_clean()
    assert summary.callbacks["by_type"]["deposit.received"] == 3
    assert all(verdicts.values()), verdicts


def test_the_page(lived: tuple[Summary, Any]) -> None:
    """The page says the same in words, line by line."""
    text = page(lived[0])
    assert "books and log clean" in text
    assert "planted duplicate_renumbered  refused: duplicate_receivable 1" in text
    assert f"root {lived[0].exchange['log']['root']}" in text
    assert all(len(line) < 160 for line in text.splitlines())


def test_again_to_the_same_bytes(lived: tuple[Summary, Any], book_file: Path, database_url: str) -> None:
    """The same file and seed give the same summary and the same log root; only the time it took differs."""
    again = replay_file(Replay(book_file, START, funders_file=DEFAULT_FILE), progress=QUIET, database_url=database_url)
    assert json.dumps(timeless(lived[0])) == json.dumps(timeless(again))


def timeless(summary: Summary) -> dict[str, Any]:
    """A summary without the time it took."""
    return {name: value for name, value in summary.as_json().items() if name != "timing"}


def test_a_dead_worker_is_told_of(database_url: str, tmp_path: Path) -> None:
    """When a process of the exchange dies the replay ends with the end of its log, and leaves nothing running."""
    settings = virtual_settings(tmp_path, seed=1, database_url=database_url)
    seen: list[Exchange] = []
    with pytest.raises(ChildDied, match="worker-1 ended"):
        live_until_the_worker_dies(settings, seen)
    assert all(child.poll() is not None for child in seen[0].children.values())


def live_until_the_worker_dies(settings: Settings, seen: list[Exchange]) -> None:
    """Start, look, kill the worker, and stumble."""
    with running(settings, fresh_at=datetime(2026, 3, 2, tzinfo=UTC)) as exchange:
        seen.append(exchange)
        assert operator_client(exchange).get("/v1/clock")["virtual"]
        exchange.children["worker-1"].kill()
        exchange.children["worker-1"].wait()
        raise ConnectionError
