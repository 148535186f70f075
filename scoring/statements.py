"""Firm-years: what a table of yearly statements says of each firm, compared with the other firms of the same year.

Every figure is a ratio of two items and then the firm's place among all firms of that year: sizes, currencies and
good years fall out, and what is learned from early years holds in later ones. A year's statement is known at the
year's end, and so is last year's outcome.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from scoring.backtest import NoMaturedLabels, NothingToJudge, SingleClass, Timed, judge, timed
from scoring.calibration import shift
from scoring.challenger import Challenger
from scoring.errors import ScoringError
from scoring.facts import Bools, Int64s
from scoring.scorecard import Scorecard

Floats = NDArray[np.float64]

YEAR_DAYS = 365
SHIFT_PRIOR_EVENTS = 5
"""The level is moved towards the newest year's rate as far as its failures outweigh this many foretold ones.

Rates of failure move by about 40 % from year to year; what varies so much is worth 1 / 0.4^2 events.
"""

ITEMS = (
    "current_assets", "cost_of_sales", "depreciation", "ebitda", "inventory", "net_income", "receivables",
    "market_value", "sales", "total_assets", "long_term_debt", "ebit", "gross_profit", "current_liabilities",
    "retained_earnings", "revenue", "total_liabilities", "operating_expenses",
)  # fmt: skip
"""The items that ratios know by name; a table may have any of them, and others."""

MARKET_ASSETS = "market_assets"
"""Market value plus total liabilities (Campbell, Hilscher, Szilagyi, In search of distress risk, 2008)."""

QUICK_ASSETS = "quick_assets"

RATIOS = (
    *((item, "total_assets") for item in (*ITEMS, QUICK_ASSETS) if item != "total_assets"),
    *(
        (item, MARKET_ASSETS)
        for item in (
            "net_income", "total_liabilities", "current_assets", "ebitda", "ebit", "retained_earnings", "sales",
            "current_liabilities", "long_term_debt", "inventory", "cost_of_sales", "receivables", "total_assets",
        )
    ),
    *((item, "current_liabilities") for item in ("current_assets", QUICK_ASSETS)),
    *((item, "sales") for item in ("net_income", "receivables", "current_liabilities")),
    *((item, "total_liabilities") for item in ("market_value", "ebitda", "long_term_debt")),
)  # fmt: skip
SIZES = ("total_assets", "market_value", "sales")
GROWTH_BACK = (1, 2)
"""Sizes are compared with those of so many years before."""


class StatementsUneven(ScoringError):
    """The columns of a table of firm-years differ in length, or a firm has a year twice."""

    code = "statements_uneven"


class StatementsUninformative(ScoringError):
    """No item of the statements varies: all are missing, or constant."""

    code = "statements_uninformative"


@dataclass(frozen=True, eq=False)
class FirmYears:
    """Statements as columns of one length: firm (a code), year, items (NaN: missing), whether the firm failed next.

    `failed_next` means something only for years before the last of the table: the table's last year has no next.
    Refuses: StatementsUneven.
    """

    firm: Int64s
    year: Int64s
    items: dict[str, Floats]
    failed_next: Bools

    def __post_init__(self) -> None:
        """Check lengths, and that a firm has a year once."""
        lengths = {len(self.firm), len(self.year), len(self.failed_next), *(len(item) for item in self.items.values())}
        if len(lengths) != 1:
            raise StatementsUneven("columns differ in length")
        if len({*zip(self.firm.tolist(), self.year.tolist(), strict=True)}) != len(self.firm):
            raise StatementsUneven("a firm has a year twice")


def build(years: FirmYears) -> tuple[Floats, list[str]]:
    """Return the (n, k) features of each firm-year as of its year's end, and their names; NaN means not known.

    Nothing of a later year is used. Refuses: StatementsUninformative.
    """
    before = {back: _rows_before(years, back=back) for back in GROWTH_BACK}
    ratios = _ratios(years.items)
    columns: dict[str, Floats] = {}
    for name, ratio in ratios.items():
        columns[name] = _place(ratio, year=years.year)
        columns[f"{name} change"] = _place(ratio - _moved(ratio, before[1]), year=years.year)
    for name in (size for size in SIZES if size in years.items):
        item = years.items[name]
        for back in GROWTH_BACK:
            earlier = _moved(item, before[back])
            change = _quotient(item - earlier, np.abs(item) + np.abs(earlier))
            columns[f"{name} growth over {back}"] = _place(change, year=years.year)
    if "net_income" in years.items:
        losses = [years.items["net_income"] < 0]
        losses += [_moved(years.items["net_income"], rows) < 0 for rows in before.values()]
        columns["loss years of three"] = np.sum(losses, axis=0, dtype=np.float64)
    columns["years on file, up to two"] = np.sum([rows >= 0 for rows in before.values()], axis=0, dtype=np.float64)
    matrix = np.column_stack(list(columns.values()))
    if not any(_varies(item) for item in years.items.values()):
        raise StatementsUninformative("every item is missing, or the same for every firm")
    return matrix, list(columns)


def backtest_firms(
    years: FirmYears, *, first_year: int, horizon_days: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Return the report on statements from `first_year` on, learned from outcomes known before that year.

    A statement's outcome, failure in the next year, is known `horizon_days` after its year's end, a year at least;
    the table's last year has none. Refuses: NoMaturedLabels, SingleClass, NothingToJudge, StatementsUninformative.
    """
    lag = max(1, -(-horizon_days // YEAR_DAYS))
    old = years.year + lag < first_year
    asked = (years.year >= first_year) & (years.year + lag <= int(years.year.max(initial=0)))
    if not old.any():
        raise NoMaturedLabels(f"no statement is older than {lag} year(s) before {first_year}")
    events = years.failed_next[old]
    if events.all() or not events.any():
        raise SingleClass(f"of {len(events)} outcomes known before {first_year}, {int(events.sum())} are failures")
    if not asked.any():
        raise NothingToJudge(f"no statement from {first_year} on has a known outcome")
    say(f"Features of {len(years.year)} firm-years")
    built = timed(lambda: None, score=lambda _: build(years))
    matrix = built.said[0]
    outcome = years.failed_next[asked]
    taught, newest = of_known_fate(years, old=old), old & (years.year == years.year[old].max())
    models: dict[str, Any] = {}
    for name, learner in (("champion", Scorecard()), ("challenger", rare())):
        say(f"{name.capitalize()}: failure next year")
        learn = _learning(learner, years, matrix=matrix, taught=taught, newest=newest)
        answer = timed(learn, score=lambda made: made(matrix[asked]))
        models[name] = {"failure": judge(answer, outcome=outcome)}
    rate = Timed(np.full(int(asked.sum()), events.mean()), 0.0, 0.0)
    return {
        "kind": "firm_years",
        "horizon_days": horizon_days,
        "learned_from": {
            "rows": int(taught.sum()),
            "events": int(events.sum()),
            "of_unknown_fate": int(old.sum() - taught.sum()),
        },
        "judged": {"rows": len(outcome), "events": int(outcome.sum()), "features": matrix.shape[1]},
        "features": {
            "rows": len(matrix),
            "seconds": round(built.score_seconds, 4),
            "rows_per_second": round(len(matrix) / max(built.score_seconds, 1e-9)),
        },
        "models": {**models, "past_rate": {"failure": judge(rate, outcome=outcome)}},
    }


def _varies(item: Floats) -> bool:
    """Return whether an item has two different known values."""
    known = item[~np.isnan(item)]
    return bool(len(known)) and bool((known != known[0]).any())


def rare() -> Challenger:
    """Return a challenger for failures, which are rarer among more firms than late invoices: smaller steps."""
    return Challenger(rounds=75, learning_rate=0.08, max_leaves=6, penalty=20.0)


def of_known_fate(years: FirmYears, *, old: Bools) -> Bools:
    """Return the old firm-years to learn from: without those of firms that are gone the year after, but did not fail.

    Bought, delisted, or failed unnoticed: nobody knows. In a table where that would leave less than half, firms are
    not followed from year to year, and all are learned from.
    """
    kept = old & (years.failed_next | (_rows_before(years, back=-1) >= 0))
    return kept if 2 * int(kept.sum()) >= int(old.sum()) else old


def _learning(
    learner: Scorecard | Challenger, years: FirmYears, *, matrix: Floats, taught: Bools, newest: Bools
) -> Callable[[], Callable[[Floats], Floats]]:
    """Return what fits the learner and moves its level towards the newest year's rate."""

    def learn() -> Callable[[Floats], Floats]:
        learner.fit(matrix[taught], years.failed_next[taught])
        odds, events = learner.decision_function(matrix[newest]), years.failed_next[newest]
        moved = shift(odds, events=events, prior_events=SHIFT_PRIOR_EVENTS)
        return lambda asked: expit(learner.decision_function(asked) + moved)

    return learn


def _ratios(items: dict[str, Floats]) -> dict[str, Floats]:
    """Return the ratios whose items are there, the sizes, and items nobody knows over total assets."""
    known = dict(items)
    if {"market_value", "total_liabilities"} <= known.keys():
        known[MARKET_ASSETS] = known["market_value"] + known["total_liabilities"]
    if {"current_assets", "inventory"} <= known.keys():
        known[QUICK_ASSETS] = known["current_assets"] - known["inventory"]
    ratios = {
        f"{top} / {bottom}": _quotient(known[top], known[bottom])
        for top, bottom in RATIOS
        if top in known and bottom in known
    }
    for name in sorted(items.keys() - {*ITEMS}):
        ratios[name] = items[name]
        if "total_assets" in known:
            ratios[f"{name} / total_assets"] = _quotient(items[name], known["total_assets"])
    return ratios | {name: items[name] for name in (*SIZES, *(items.keys() if not ratios else ())) if name in items}


def _quotient(top: Floats, bottom: Floats) -> Floats:
    """Return top / bottom, NaN where the bottom is zero or either is missing."""
    ratio = np.full(len(top), np.nan)
    np.divide(top, bottom, out=ratio, where=bottom != 0)
    return ratio


def _rows_before(years: FirmYears, *, back: int) -> Int64s:
    """Return the row of the same firm so many years earlier, -1 where there is none."""
    span = 1 << 32
    key = years.firm * span + years.year
    order = np.argsort(key, kind="stable")
    at = np.minimum(np.searchsorted(key[order], key - back), len(key) - 1)
    return np.where(key[order][at] == key - back, order[at], -1).astype(np.int64)


def _moved(column: Floats, rows: Int64s) -> Floats:
    """Return the values of other rows, NaN where there is none."""
    return np.where(rows >= 0, column[rows], np.nan)


def _place(column: Floats, *, year: Int64s) -> Floats:
    """Return each value's place among the year's known values, 0 the lowest; equal values share the middle place."""
    place = np.full(len(column), np.nan)
    known = np.flatnonzero(~np.isnan(column))
    rows = known[np.lexsort((column[known], year[known]))]
    if not len(rows):
        return place
    starts_year = np.r_[True, year[rows][1:] != year[rows][:-1]]
    starts_value = starts_year | np.r_[True, column[rows][1:] != column[rows][:-1]]
    of_year, of_value = np.cumsum(starts_year) - 1, np.cumsum(starts_value) - 1
    first = np.flatnonzero(starts_year)
    size = np.diff(np.r_[first, len(rows)])
    middle = np.flatnonzero(starts_value) + (np.diff(np.r_[np.flatnonzero(starts_value), len(rows)]) - 1) / 2
    place[rows] = (middle[of_value] - first[of_year]) / size[of_year]
    return place
