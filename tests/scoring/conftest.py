"""Trade books for the tests: a synthetic one with hidden risk, and the real one where it is present."""

import csv
import gzip
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from scoring.facts import NOT_SETTLED, Trades

EPOCH = date(1970, 1, 1)
REAL = Path(__file__).parents[2] / "../shared/data/b2b-invoices-2019.csv.gz"


def synthetic_book(*, rows: int, seed: int) -> Trades:
    """Return invoices of 30 payers at first, 300 after a year; a hidden temper decides how late each pays."""
    chance = np.random.default_rng(seed)
    issue = np.sort(chance.integers(18_000, 18_365, rows))
    payer = (chance.random(rows) * (30 + 270 * (issue - 18_000) / 365)).astype(np.int64)
    temper = chance.random(300) ** 3 + np.linspace(0, 0.5, 300)
    due = issue + chance.choice([0, 15, 30, 60], rows)
    late = np.rint(chance.normal(-3, 4, rows) + temper[payer] * chance.exponential(30, rows)).astype(np.int64)
    settled = np.maximum(due + late, issue - 2)
    settled[chance.random(rows) < 0.02] = NOT_SETTLED
    face = chance.integers(1, 5_000_000, rows)
    days = (column.astype(np.int32) for column in (issue, due, settled))
    return Trades(payer + 100, payer % 3, face, *days)


def _real_rows() -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield the real invoices with payers and sellers numbered in order of appearance."""
    codes: dict[tuple[str, str], int] = {}
    with gzip.open(REAL, mode="rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            parties = [codes.setdefault((kind, row[kind]), len(codes)) for kind in ("debtor", "seller")]
            days = [(date.fromisoformat(row[f"{what}_date"]) - EPOCH).days for what in ("issue", "due", "settled")]
            yield parties[0], parties[1], int(Decimal(row["amount"]) * 100), days[0], days[1], days[2]


@pytest.fixture(scope="session")
def book() -> Trades:
    """Return 6,000 synthetic invoices."""
    return synthetic_book(rows=6_000, seed=7)


@pytest.fixture(scope="session")
def invoices_2019() -> Trades:
    """Return the real invoices, or skip."""
    if not REAL.exists():
        pytest.skip("the real data set is not beside this checkout (../shared/data)")
    return Trades.from_rows(_real_rows())
