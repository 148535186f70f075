"""`exchange demo`: a synthetic plastics book lived through a whole exchange, which then proves itself.

Its home stays, so that `exchange run` can show what became of it.
"""

import json
import shlex
import shutil
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature

from exchange import embedded
from exchange.replay.book import Book
from exchange.replay.client import ApiProblem, pool_of, send
from exchange.replay.command import Replay, enter, live_and_summarise, read, virtual_settings, waking
from exchange.replay.driver import World
from exchange.replay.page import page
from exchange.replay.progress import Progress
from exchange.replay.proof import check_record
from exchange.replay.receiver import Receiver
from exchange.replay.summary import Summary
from exchange.replay.supervisor import running
from exchange.replay.synthetic import write_book
from exchange.settings import Settings, to_environment

DEMO_SEED = 7
DEMO_START = date(2026, 1, 5)
DEMO_RECEIVABLES = 2060
DEMO_DAYS = 30
DEMO_RUN_OFF_DAYS = 100  # the first to default are charged off within it
RUN_PORT = 8080
_PLAYED = "demo.json"  # the summary of the demo that was played in a home

Say = Callable[[str], object]


def run_demo(
    home: Path, *, progress: Progress, say: Say = print, receivables: int = DEMO_RECEIVABLES, days: int = DEMO_DAYS
) -> bool:
    """Play the demo in `home`, made anew; tells `say` what came of it, and returns whether all held."""
    began = time.monotonic()
    _clear(home)
    book_file = home / "plastics-book.ndjson"
    progress.stage(f"Writing a synthetic plastics book, seed {DEMO_SEED}")
    write_book(book_file, seed=DEMO_SEED, receivables=receivables, start=DEMO_START, days=days)
    asked = Replay(book_file, DEMO_START, seed=DEMO_SEED, run_off_days=DEMO_RUN_OFF_DAYS)
    book, funders = read(asked, progress=progress)
    settings = virtual_settings(home, seed=DEMO_SEED)
    progress.stage("Starting PostgreSQL, API and worker")
    with running(settings, fresh_at=waking(book, settings)) as exchange, Receiver() as receiver:
        world = enter(exchange, receiver, funders=funders)
        try:
            summary = live_and_summarise(world, book, asked=asked, progress=progress)
            (home / _PLAYED).write_text(json.dumps(summary.as_json(), indent=1))
            say(page(summary))
            say("")
            verdicts = prove(world, book, summary, base_url=exchange.base_url)
        finally:
            world.close()
    for name, held in verdicts.items():
        say(f"{'ok  ' if held else 'FAIL'}  {name}")
    say("")
    say(f"{time.monotonic() - began:.1f} s in all. Look around: make run, then open http://127.0.0.1:{RUN_PORT}/")
    return all(verdicts.values())


def has_demo(home: Path) -> bool:
    """Whether a demo was played to its end in `home`."""
    return (home / _PLAYED).exists()


def prove(world: World, book: Book, summary: Summary, *, base_url: str) -> dict[str, bool]:
    """What the demo claims, each checked: books, log, callbacks, a record by foreign hands, planted cases."""
    copies = {plant: told for plant, told in summary.planted.items() if plant.startswith("duplicate_")}
    counts = summary.callbacks["counts"]
    return {
        "books: every posting, balance and hold recomputed": not summary.checks.get("books", 1),
        "log: every leaf, tile and checkpoint recomputed": not summary.checks.get("log", 1),
        "callbacks: every signature verified, no gap in any funder's chain": counts.get("in_order", 0) > 0
        and counts.get("received") == counts.get("verified"),
        "one record: signature, inclusion and checkpoint checked without our own code": _foreign_check(world, base_url),
        "planted duplicates: none entered unnoticed": bool(copies)
        and not any(told.get("entered") for told in copies.values()),
        "planted ring: none of its assets was bought": _ring_unsold(world, book),
    }


def _ring_unsold(world: World, book: Book) -> bool:
    """Whether the companies under one person's control sold nothing to a funder."""
    rows = [row.row_number for row in book.live if row.hidden.get("plant") == "ring"]
    entered = [world.asset_ids[number] for number in rows if number in world.asset_ids]
    return all(world.operator.get(f"/v1/assets/{one}")["holder"] is None for one in entered)


def _foreign_check(world: World, base_url: str) -> bool:
    """Verify the newest record of an asset with nothing but published formats."""
    asset_id = min(world.asset_ids.values())
    record = world.operator.get(f"/v1/assets/{asset_id}/records")["items"][-1]
    try:
        payload = check_record(
            record["jws"],
            jwks=world.operator.get("/.well-known/jwks.json"),
            log_key=_text(base_url, "/.well-known/log-key"),
            proof=_text(base_url, f"/log/proof/{record['log_index']}"),
        )
    except (ValueError, InvalidSignature, ApiProblem):
        return False
    return bool(payload["asset"] == asset_id)


def _text(base_url: str, path: str) -> str:
    pool = pool_of(base_url)
    try:
        _, answer = send(pool, "GET", path, body=None, headers={})
        return answer.decode()
    finally:
        pool.close()


def _clear(home: Path) -> None:
    """Remove what an earlier demo left; a running one refuses."""
    if (home / "pg").exists():
        embedded.destroy(home / "pg")
    if home.exists():
        shutil.rmtree(home)
    home.mkdir(parents=True)


def run_forever(home: Path, *, say: Say = print, wait: Callable[[], Any]) -> None:
    """Serve the demo's exchange on loopback until `wait` returns (or Ctrl-C)."""
    with running(virtual_settings(home, seed=DEMO_SEED), port=RUN_PORT, sandboxes=True) as exchange:
        say(f"Exchange     {exchange.base_url}/")
        say(f"Contract     {exchange.base_url}/docs/")
        say(f"Commands     export {_exported(exchange.settings)}")
        say("Stop         Ctrl-C")
        wait()


def _exported(settings: Settings) -> str:
    """The environment in which this machine's other commands work on the same exchange."""
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in to_environment(settings).items())
