"""Real files lived through the whole exchange: all rows are read and told, the last part is lived day by day."""

import os
from datetime import date
from pathlib import Path

import pytest

from exchange import embedded
from exchange.replay.book import RUN_OFF_DAYS
from exchange.replay.command import Replay, replay_file
from exchange.replay.progress import Progress

DATA = Path(__file__).parents[4] / "shared" / "data"
MAPS = Path(__file__).parents[2] / "maps"
FILES = {
    "b2b-invoices-2019": (date(2019, 9, 1), 26_963),
    "accounts-receivable-2012-2013": (date(2013, 10, 1), 2_466),
    "listed-firms-1999-2011": (date(2011, 1, 1), 54_979),
}


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
def test_a_real_file(name: str, server_url: str) -> None:
    """Months of it, day by day, with every model trained on the way."""
    lived(name, FILES[name][0], server_url)


def test_the_last_weeks_of_a_real_file(server_url: str) -> None:
    """The same of a few weeks, as often as all tests run."""
    lived("accounts-receivable-2012-2013", date(2013, 11, 18), server_url, run_off_days=14)


def lived(name: str, first_day: date, server_url: str, *, run_off_days: int = RUN_OFF_DAYS) -> None:
    """Every row is accounted for, books and log are clean, every callback holds, assets were bought and paid."""
    file = DATA / f"{name}.csv.gz"
    if not file.exists():
        pytest.skip(f"{file.name} is not beside the checkout")
    row_count = FILES[name][1]
    database = f"real_{os.getpid()}_{first_day:%Y%m%d}"
    url = embedded.create_database(server_url, database, template="template_exchange")
    asked = Replay(file, first_day, map_file=MAPS / f"{name}.toml", run_off_days=run_off_days)
    summary = replay_file(asked, progress=Progress(quiet=True), database_url=url)
    embedded.drop_database(server_url, database)

    assert summary.is_clean()
    rows, told = summary.rows, summary.exchange
    assert rows["history"] + rows["live"] + rows["after_the_period"] + rows["bad"].get("rows", 0) == row_count
    assert told["assets"]["submitted"] + sum(summary.submissions["refused_by_code"].values()) == rows["live"]
    assert told["assets"]["financed"] > 0
    assert told["lateness"]["settled"] > 0
    assert summary.callbacks["counts"]["in_order"] == told["callbacks"]["published"] > 0  # some may come twice
