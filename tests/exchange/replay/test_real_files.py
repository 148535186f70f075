"""Real files lived through the whole exchange: all rows are read and told, the last part is lived day by day."""

import os
from datetime import date
from pathlib import Path

import pytest

from exchange import embedded
from exchange.replay.command import Replay, replay_file
from exchange.replay.progress import Progress

DATA = Path(__file__).parents[4] / "shared" / "data"
MAPS = Path(__file__).parents[2] / "maps"
FILES = {
    "b2b-invoices-2019": (date(2019, 9, 1), 26_963),
    "accounts-receivable-2012-2013": (date(2013, 10, 1), 2_466),
    "listed-firms-1999-2011": (date(2011, 1, 1), 54_979),
}


@pytest.mark.parametrize("name", FILES)
def test_a_real_file(name: str, server_url: str) -> None:
    """Every row is accounted for, books and log are clean, every callback holds, assets were bought and paid."""
    file = DATA / f"{name}.csv.gz"
    if not file.exists():
        pytest.skip(f"{file.name} is not beside the checkout")
    first_day, row_count = FILES[name]
    database = f"real_{os.getpid()}_{row_count}"
    url = embedded.create_database(server_url, database, template="template_exchange")
    asked = Replay(file, first_day, map_file=MAPS / f"{name}.toml")
    summary = replay_file(asked, progress=Progress(quiet=True), database_url=url)
    embedded.drop_database(server_url, database)

    assert summary.is_clean()
    rows, told = summary.rows, summary.exchange
    assert rows["history"] + rows["live"] + rows["after_the_period"] + rows["bad"].get("rows", 0) == row_count
    assert told["assets"]["submitted"] + sum(summary.submissions["refused_by_code"].values()) == rows["live"]
    assert told["assets"]["financed"] > 0
    assert told["lateness"]["settled"] > 0
    assert summary.callbacks["counts"]["verified"] == told["callbacks"]["published"] > 0
