"""Firm-years: places among the firms of the year, nothing from later, and failures foretold."""

from typing import Any

import numpy as np
import pytest

from scoring import backtest, statements
from scoring.statements import FirmYears, backtest_firms, build


def table(*, firms: int = 1_000, seed: int = 4) -> FirmYears:
    """Return ten years of firms; the indebted ones that lose money fail, and are gone the year after."""
    chance = np.random.default_rng(seed)
    debt = chance.random(firms)
    rows: dict[str, list[Any]] = {name: [] for name in ("firm", "year", "failed", *statements.SIZES, "net_income",
                                                       "total_liabilities", "odd_item")}  # fmt: skip
    alive = np.ones(firms, np.bool_)
    for year in range(2000, 2010):
        at = np.flatnonzero(alive)
        assets = np.exp(chance.normal(3 + 0.1 * (year - 2000), 1, len(at)))
        income = chance.normal(0.05 - 0.1 * debt[at], 0.1)
        fails = chance.random(len(at)) < 0.4 / (1 + np.exp(-8 * (debt[at] - income - 0.9)))
        columns = {
            "firm": at, "year": np.full(len(at), year), "failed": fails, "total_assets": assets,
            "market_value": assets * (1.5 - debt[at]), "sales": assets * chance.random(len(at)),
            "net_income": income * assets, "total_liabilities": assets * debt[at], "odd_item": chance.random(len(at)),
        }  # fmt: skip
        for name, values in columns.items():
            rows[name] += values.tolist()
        alive[at[fails]] = False
    whole = {name: np.array(values) for name, values in rows.items()}
    items = {name: whole[name] for name in rows.keys() - {"firm", "year", "failed"}}
    return FirmYears(whole["firm"].astype(np.int64), whole["year"].astype(np.int64), items, whole["failed"])


def part(years: FirmYears, rows: Any) -> FirmYears:  # noqa: ANN401 - a mask or positions
    """Return some rows."""
    items = {name: item[rows] for name, item in years.items.items()}
    return FirmYears(years.firm[rows], years.year[rows], items, years.failed_next[rows])


def quiet(_: str) -> None:
    """Say nothing."""


def test_failures_are_foretold() -> None:
    """Both models rank later failures well above chance, and beat the past rate."""
    report = backtest_firms(table(), first_year=2006, horizon_days=365, say=quiet)
    rate = report["models"]["past_rate"]["failure"]
    for name in ("champion", "challenger"):
        said = report["models"][name]["failure"]
        assert said["auc"] > 0.75
        assert said["log_loss"] < rate["log_loss"]
    assert report["learned_from"]["of_unknown_fate"] == 0
    assert report["judged"]["rows"] == np.isin(table().year, (2006, 2007, 2008)).sum()


def test_a_place_is_that_among_the_firms_of_the_year() -> None:
    """The lowest of a year has 0, equals share the middle, gaps have none; other years do not matter."""
    firm = np.array([1, 2, 3, 4, 1])
    year = np.array([2000, 2000, 2000, 2000, 2001])
    items = {"total_assets": np.array([5.0, 9.0, 5.0, np.nan, 7.0])}
    matrix, names = build(FirmYears(firm, year, items, np.zeros(5, np.bool_)))
    place = matrix[:, names.index("total_assets")]
    assert place[[0, 1, 2, 4]].tolist() == [0.5 / 3, 2 / 3, 0.5 / 3, 0.0]
    assert np.isnan(place[3])
    growth = matrix[:, names.index("total_assets growth over 1")]
    assert np.isnan(growth[:4]).all()
    assert growth[4] == 0


def test_firms_that_are_gone_teach_nothing() -> None:
    """Neither failed nor on file a year later: left out, unless that is most firms, which are then not followed."""
    firm = np.array([1, 1, 2, 3, 3, 4, 4])
    year = np.array([2000, 2001, 2000, 2000, 2001, 2000, 2001])
    failed = np.array([False, False, False, False, True, False, False])
    years = FirmYears(firm, year, {}, failed)
    first = year == 2000
    assert statements.of_known_fate(years, old=first).tolist() == (first & (firm != 2)).tolist()
    everyone = np.ones(7, np.bool_)
    assert statements.of_known_fate(years, old=everyone).tolist() == [True, False, False, True, True, True, False]
    once = FirmYears(np.arange(7), year, {}, failed)
    assert statements.of_known_fate(once, old=everyone).all()


def test_later_years_change_no_bit() -> None:
    """Features of the years up to one are the same from the table cut there, in any order of rows."""
    years = table(firms=200)
    early = np.flatnonzero(years.year <= 2005)
    whole, names = build(years)
    cut, same = build(part(years, early))
    assert same == names
    assert cut.tobytes() == whole[early].tobytes()
    shuffle = np.random.default_rng(1).permutation(len(years.year))
    assert build(part(years, shuffle))[0].tobytes() == whole[shuffle].tobytes()


def test_a_scale_is_no_information() -> None:
    """Reported in thousands instead of units, by all firms of a year, the features are the same."""
    years = table(firms=100)
    kilo = {name: item * 1_024 for name, item in years.items.items()}
    kept = [at for at, name in enumerate(build(years)[1]) if "odd_item" not in name]
    scaled = build(FirmYears(years.firm, years.year, kilo, years.failed_next))[0]
    assert scaled[:, kept].tobytes() == build(years)[0][:, kept].tobytes()


def test_what_cannot_be_judged_is_refused() -> None:
    """Uneven columns, a year twice, no variety, no labels, one class, and nothing to judge: each with its code."""
    years = table(firms=60)
    with pytest.raises(statements.StatementsUneven):
        FirmYears(years.firm[1:], years.year, years.items, years.failed_next)
    with pytest.raises(statements.StatementsUneven):
        part(years, np.r_[0, 0])
    for constant in (np.nan, 1.0):
        flat = {name: np.full(len(years.year), constant) for name in years.items}
        with pytest.raises(statements.StatementsUninformative):
            build(FirmYears(years.firm, years.year, flat, years.failed_next))
    healthy = FirmYears(years.firm, years.year, years.items, np.zeros(len(years.firm), np.bool_))
    for told, first_year, refusal in (
        (years, 2001, backtest.NoMaturedLabels),
        (healthy, 2006, backtest.SingleClass),
        (years, 2009, backtest.NothingToJudge),
    ):
        with pytest.raises(refusal):
            backtest_firms(told, first_year=first_year, horizon_days=365, say=quiet)
