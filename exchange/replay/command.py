"""`exchange replay`: a file of receivables lived through a whole exchange of its own."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from pathlib import Path
from zoneinfo import ZoneInfo

from exchange.replay.book import RUN_OFF_DAYS, Book, make_book
from exchange.replay.driver import World, enter_world, live
from exchange.replay.funders import DEFAULT_FILE, FunderSpec, load_funders
from exchange.replay.mapping import CANONICAL, load_mapping
from exchange.replay.progress import Progress
from exchange.replay.receiver import Receiver
from exchange.replay.source import rows
from exchange.replay.summary import Summary, summarise
from exchange.replay.supervisor import Exchange, operator_client, running
from exchange.settings import Settings

_WAKES_AT = time_of_day(7, 0)


@dataclass(frozen=True, slots=True)
class Replay:
    """What to replay: rows before `first_day` are history, rows after `last_submission` are left out."""

    file: Path
    first_day: date
    last_submission: date | None = None
    map_file: Path | None = None
    funders_file: Path = DEFAULT_FILE
    seed: int = 1
    run_off_days: int = RUN_OFF_DAYS


def replay_file(asked: Replay, *, progress: Progress, database_url: str | None = None) -> Summary:
    """Replay in a home of its own, which is gone afterwards; `database_url` names an empty database to use.

    Raises a `Refusal` for what cannot be replayed; `ChildDied`, `NeverQuiet` or `Unreachable` when the
    exchange breaks.
    """
    book, funders = read(asked, progress=progress)
    with tempfile.TemporaryDirectory(prefix="exchange-replay-") as home:
        settings = virtual_settings(Path(home), seed=asked.seed, database_url=database_url)
        progress.stage("Starting PostgreSQL, API and worker")
        with running(settings, fresh_at=waking(book, settings)) as exchange, Receiver() as receiver:
            world = enter(exchange, receiver, funders=funders)
            try:
                return live_and_summarise(world, book, asked=asked, progress=progress)
            finally:
                world.close()


def read(asked: Replay, *, progress: Progress) -> tuple[Book, list[FunderSpec]]:
    """Everything that can be wrong with the input is found before anything is started."""
    funders = load_funders(asked.funders_file)
    mapping = CANONICAL if asked.map_file is None else load_mapping(asked.map_file)
    progress.stage(f"Reading {asked.file}")
    found = rows(asked.file, mapping=mapping)
    book = make_book(
        found,
        first_day=asked.first_day,
        last_submission=asked.last_submission,
        run_off_days=asked.run_off_days,
    )
    return book, funders


def enter(exchange: Exchange, receiver: Receiver, *, funders: Sequence[FunderSpec]) -> World:
    """Enter platform and funders into a fresh exchange."""
    settings = exchange.settings
    return enter_world(
        operator_client(exchange),
        base_url=exchange.base_url,
        funders=funders,
        receiver=receiver,
        seed=settings.seed or 0,
        time_zone=settings.time_zone,
        check=exchange.check,
    )


def live_and_summarise(world: World, book: Book, *, asked: Replay, progress: Progress) -> Summary:
    """Live the book and say what came of it."""
    began = time.monotonic()
    live(world, book, progress=progress)
    progress.close()
    progress.stage("Checking books and log")
    seconds = time.monotonic() - began
    return summarise(world, book, file=asked.file.name, seed=asked.seed, seconds=seconds)


def virtual_settings(home: Path, *, seed: int, database_url: str | None = None) -> Settings:
    """Settings of an exchange on a virtual clock, whose ids and keys the seed decides."""
    plain = Settings(home=home, database_url=database_url)
    return replace(plain, seed=seed, virtual_clock=True, console_open=True)


def waking(book: Book, settings: Settings) -> datetime:
    """The moment at which the virtual clock of a book begins."""
    return datetime.combine(book.first_day, _WAKES_AT, tzinfo=ZoneInfo(settings.time_zone)).astimezone(UTC)
