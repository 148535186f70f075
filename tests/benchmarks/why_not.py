"""Why one asset goes to none of a funder's 200 mandates, asked over HTTP."""

import tempfile
from pathlib import Path
from unittest.mock import patch

from exchange import embedded
from exchange.migrations import upgrade
from tests.benchmarks.report import Result, best_of
from tests.conftest import TEMPLATE
from tests.exchange.house import mandate
from tests.exchange.pools.shared import house_on, invoice

MANDATES = 200
SECONDS = 0.02


def measure() -> Result:
    """Seconds of this process for one answer: rules, what is taken up, and the door."""
    with (
        tempfile.TemporaryDirectory(prefix="exchange-why-not-") as home,
        embedded.start(Path(home) / "pg", durable=False) as server,
    ):
        upgrade(embedded.create_database(server.url, TEMPLATE))
        with house_on(server.url, Path(home)) as house:
            house.deposit(0, 10**9)
            limits = [{"by": "sector", "most_permille": 300}, {"by": "obligor_group", "most_minor": 10**7}]
            for number in range(MANDATES):
                terms = mandate(name=f"m-{number}", max_tenor_days=60 + number, limits=limits)
                house.funders[0].post("/v1/mandates", terms)
            (asset_id,) = house.submit(invoice(house))
            path = f"/v1/assets/{asset_id}/why-not"
            assert len(house.funders[0].get(path)["items"]) == MANDATES
            with patch("tests.exchange.house.check_contract"):  # the tests' own look at every answer
                seconds = best_of(20, lambda: house.funders[0].get(path))
    print(f"one asset against {MANDATES} mandates: {1000 * seconds:.1f} ms")
    return Result("why-not", 1 / seconds, "answers/s", 1 / SECONDS, SECONDS / seconds, 1)
