"""The funders file: the shipped one fits any book, a bad one is refused."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from exchange.replay.book import make_book
from exchange.replay.funders import DEFAULT_FILE, FundersRefused, Size, load_funders, mandate_bodies, sizes
from exchange.replay.rows import Company, ReplayRow

START = date(2026, 1, 5)
ROW = ReplayRow(
    row_number=1,
    invoice_number="1",
    seller=Company("platform", "s", "s"),
    obligor=Company("platform", "o", "o"),
    product="receivable_factoring",
    currency="CNY",
    face_minor=100_000,
    issue_date=START,
    due_date=START + timedelta(days=30),
    submitted_date=START,
)


def test_sizes_follow_the_file() -> None:
    """What is outstanding on an average day, per currency, largest first."""
    rows = [
        replace(ROW, submitted_date=START + timedelta(days=9)),
        replace(ROW, face_minor=500_000),
        replace(ROW, currency="USD", face_minor=7),
    ]
    found = sizes(make_book(rows, first_day=START, last_submission=None))
    assert list(found.items()) == [("CNY", Size(1_800_000, 500_000, 1)), ("USD", Size(21, 7, 1))]


def test_shipped_funders_open_mandates_in_each_currency() -> None:
    """Three funders, a mandate for each currency, caps that no single receivable breaks."""
    funders = load_funders()
    file_sizes = {"CNY": Size(10_000_000, 400_000, 9), "USD": Size(50, 50, 1)}
    bodies = [body for funder in funders for body in mandate_bodies(funder.mandate[0], file_sizes=file_sizes)]
    assert [body["currency"] for body in bodies] == ["CNY", "USD"] * 3
    assert bodies[0]["budget_minor"] == 7_000_000
    assert bodies[0]["seller_cap_minor"] == 2_800_000
    assert bodies[1]["seller_cap_minor"] == bodies[1]["budget_minor"] == 35
    assert all(body["max_face_minor"] <= body["obligor_cap_minor"] for body in bodies)
    assert sum(body["auto_commit"] for body in bodies) == 2


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """The shipped file with one thing changed."""
    text = DEFAULT_FILE.read_text()
    assert old in text
    path = tmp_path / "funders.toml"
    path.write_text(text.replace(old, new))
    return path


def test_fixed_budget(tmp_path: Path) -> None:
    """A mandate may bring its own amount and currency, and its rates by grade."""
    path = changed(tmp_path, "budget_percent = 70", 'budget_minor = 900\ncurrency = "EUR"\ngrade_spreads_bps = [1, 2]')
    (body,) = mandate_bodies(load_funders(path)[0].mandate[0], file_sizes={})
    assert (body["currency"], body["budget_minor"], body["grade_spreads_bps"]) == ("EUR", 900, [1, 2])


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("budget_percent = 70", "", "one of budget_percent"),
        ("budget_percent = 70", "budget_minor = 5", "currency"),
        ("budget_percent = 70", 'budget_percent = 70\ncurrency = "CNY"', "currency"),
        ("rank = 1", 'rank = "first"', "rank"),
        ("rank = 1", "rank = 1\ncolour = 2", "colour"),
        ("[[funder]]", "[[founder]]", "founder"),
        ("[[funder]]", "[[funder", "at line"),
        ("Jiangnan Factoring", "Harbour Bank", "same name"),
    ],
)
def test_refused(tmp_path: Path, old: str, new: str, hint: str) -> None:
    """What cannot be meant is refused with its place."""
    with pytest.raises(FundersRefused, match=hint):
        load_funders(changed(tmp_path, old, new))


def test_absent_and_empty(tmp_path: Path) -> None:
    """No file, and a file without funders, are refused."""
    path = tmp_path / "funders.toml"
    with pytest.raises(FundersRefused):
        load_funders(path)
    path.write_text("funder = []")
    with pytest.raises(FundersRefused, match="at least one"):
        load_funders(path)
