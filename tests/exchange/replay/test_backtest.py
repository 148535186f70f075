"""`exchange backtest` reads a stranger's files, says what it found, and refuses with a code what it cannot judge."""

import csv
import io
import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from exchange.cli import group
from exchange.errors import Refusal
from exchange.replay.backtest import Backtest, backtest_file
from exchange.replay.progress import Progress

MAP = """
[fields]
face = { column = "Total", decimals = 2 }
issue_date = "Issued"
due_date = "Due"
settled_date = "Paid"

[fields.obligor]
value = "Customer"
"""
FIRMS_MAP = """
[statement_years]
firm = "Firm"
year = "Year"
year_end = "12-31"
tenor_days = 30
status = "State"
failed = "gone"
"""


def table(header: str, rows: list[list[object]]) -> str:
    """Return a CSV file's text."""
    out = io.StringIO()
    csv.writer(out).writerows([header.split(","), *rows])
    return out.getvalue()


def invoices(*, late_days: int = 45) -> str:
    """Return 700 invoices of seven customers, of whom two pay late; with these some stay open."""
    chance = np.random.default_rng(3)
    rows: list[list[object]] = []
    for number in range(700):
        customer = number % 7
        issued = date(2025, 1, 1) + timedelta(days=number // 4)
        due = issued + timedelta(days=20)
        late = late_days if customer > 4 and chance.random() < 0.6 else int(chance.integers(-5, 3))
        paid: object = due + timedelta(days=late)
        rows.append(
            [
                f"C{customer}",
                issued,
                due,
                "" if late_days and number % 50 == 49 else paid,
                f"{chance.integers(1, 9_999)}.5",
            ]
        )
    return table("Customer,Issued,Due,Paid,Total", rows)


def firms() -> str:
    """Return eight years of 60 firms; the weakest vanish, one figure is blank and one is no number."""
    chance = np.random.default_rng(5)
    rows: list[list[object]] = []
    for firm in range(60):
        gone = 2000 + int(chance.integers(2, 12)) if firm % 3 == 0 else 9_999
        for year in range(2000, 2008):
            if year < gone:
                weak = gone == year + 1
                debt = chance.random() + weak
                rows.append([f"F{firm}", "gone" if gone < 9_999 else "alive", year, f"{debt:.4f}", "NA" if firm else 7])
    rows.append(["F0", "alive", 2000, "1", "1"])
    rows.append(["F99", "alive", "last", "1", "1"])
    rows.append(["F98", "alive", 2001, "much", "1"])
    return table("Firm,State,Year,Debt,Other", rows)


def run(folder: Path, text: str, mapping: str, *options: str) -> Result:
    """Run the command on a file and its mapping."""
    (folder / "rows.csv").write_text(text)
    (folder / "map.toml").write_text(mapping)
    arguments = ["backtest", str(folder / "rows.csv"), "--map", str(folder / "map.toml"), *options]
    return CliRunner().invoke(group, arguments)


def refusal(folder: Path, text: str, mapping: str = MAP, *, first: date = date(2025, 5, 1)) -> Refusal:
    """Return why a file is refused."""
    (folder / "rows.csv").write_text(text)
    (folder / "map.toml").write_text(mapping)
    with pytest.raises(Refusal) as caught:
        backtest_file(Backtest(folder / "rows.csv", folder / "map.toml", first, 30), progress=Progress(quiet=True))
    return caught.value


def test_a_strangers_invoices(tmp_path: Path) -> None:
    """A mapping of five columns suffices; two bad rows are counted by reason, and the report is one JSON object."""
    text = invoices() + "C1,2025-02-30,2025-03-10,,5\nC1,2025-03-10,2025-03-01,,5\n"
    ran = run(tmp_path, text, MAP, "--test-from", "2025-05-01", "--json")
    assert ran.exit_code == 0, ran.output
    report = json.loads(ran.stdout)
    assert report["refused_rows"] == {"issue_date: date_malformed": 1, "due_date: due_before_issue": 1}
    assert (report["kind"], report["horizon_days"], report["test_from"]) == ("invoices", 30, "2025-05-01")
    assert report["models"]["champion"]["serious"]["auc"] > 0.7
    assert "Features of" in ran.stderr


def test_a_table_of_firm_years(tmp_path: Path) -> None:
    """Without named items all other columns are read; the report for a person names every model."""
    ran = run(tmp_path, firms(), FIRMS_MAP, "--test-from", "2005-01-01", "--horizon", "365")
    assert ran.exit_code == 0, ran.output
    for told in (
        "Failure in the next year",
        "champion",
        "challenger",
        "past_rate",
        "1 rows left out: Debt: number_mal",
    ):
        assert told in ran.stdout
    assert "1 rows left out: Year: year_twice" in ran.stdout
    assert "1 rows left out: Year: year_malformed" in ran.stdout


def test_what_cannot_be_judged_is_refused(tmp_path: Path) -> None:
    """One kind of outcome, no labels yet, no rows, foreign dates, a column that is not there: each has a code."""
    single = refusal(tmp_path, invoices(late_days=0))
    assert (single.code, single.numbers["reason"]) == ("backtest_unjudgeable", "backtest_single_class")
    early = refusal(tmp_path, invoices(), first=date(2025, 1, 2))
    assert early.numbers["reason"] == "backtest_no_matured_labels"
    assert refusal(tmp_path, invoices(), first=date(2026, 1, 1)).numbers["reason"] == "backtest_nothing_to_judge"
    assert refusal(tmp_path, "Customer,Issued,Due,Paid,Total\n").code == "backtest_rows_unreadable"
    foreign = refusal(tmp_path, invoices(), MAP.replace('"Issued"', '{ column = "Issued", date_format = "%d.%m.%Y" }'))
    assert foreign.code == "backtest_rows_unreadable"
    assert "issue_date: date_malformed (700)" in str(foreign)
    assert refusal(tmp_path, invoices(), MAP.replace('"Paid"', '"Settled"')).code == "mapping_unknown_column"
    assert refusal(tmp_path, invoices(), "fields = 3").code == "mapping_bad_option"


def test_statements_that_say_nothing_are_refused(tmp_path: Path) -> None:
    """All figures missing, or the same for every firm, or in a column that is not there."""
    absent = refusal(tmp_path, firms(), FIRMS_MAP + '[statements]\nsales = "Turnover"\n')
    assert (absent.code, "'Turnover'" in str(absent)) == ("mapping_unknown_column", True)
    for figure in ("", "7"):
        rows = [[*line.split(",")[:3], figure, figure] for line in firms().splitlines()[1:-3]]
        flat = refusal(tmp_path, table("Firm,State,Year,Debt,Other", [list(row) for row in rows]), FIRMS_MAP,
                       first=date(2005, 1, 1))  # fmt: skip
        assert flat.numbers["reason"] == "statements_uninformative"
