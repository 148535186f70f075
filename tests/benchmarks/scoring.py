"""Scoring: rows a second on one core against what is promised, and log-loss against the learners of the field.

Speed is measured in processor time on a synthetic book. Quality, where the public sets lie beside the checkout, is the
log-loss on later rows of scikit-learn's HistGradientBoosting and of LightGBM, both as they come and with the same
features and labels, divided by the challenger's; three rolling days of the B2B set, one of the small set and
three of the firm-years. AUC and calibration error are printed beside it.
"""

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no types

from exchange.replay.backtest import completed, firm_years, trade_rows
from exchange.replay.mapping import FileMapping, load_document, mapping_from
from exchange.replay.progress import Progress
from scoring import evaluation, features
from scoring.backtest import past_rate
from scoring.challenger import Challenger
from scoring.facts import Trades
from scoring.model import STEADY, Model, fit, training_rows
from scoring.scorecard import Scorecard
from scoring.statements import build, of_known_fate, rare
from tests.benchmarks.report import Result, best_of

Floats = NDArray[np.float64]
Learn = Callable[[Floats, NDArray[np.bool_], Floats], Floats]

ROOT = Path(__file__).parents[2]
DATA = ROOT / "../shared/data"
MAPS = ROOT / "tests/maps"
EPOCH = date(1970, 1, 1)
ROWS, PAYERS, DAYS = 60_000, 1_000, 400
LIVE = 100_000
TIMES = 3
FEATURES, CARD, CHALLENGER, ONE, WHOLE = 130_000, 1_000_000, 150_000, 200, LIVE / 10
"""Promised rows a second: features, scorecard, challenger, one receivable at a time, a whole live portfolio."""

B2B, SMALL, FIRMS = "b2b-invoices-2019", "accounts-receivable-2012-2013", "listed-firms-1999-2011"
ROLLING = (date(2019, 6, 1), date(2019, 7, 1), date(2019, 8, 1))
FIRM_YEARS = ((2004, 2006), (2006, 2008), (2008, 2010))


@dataclass(frozen=True)
class Task:
    """Rows to learn from and to judge, and the naive chance."""

    name: str
    known: Floats
    events: NDArray[np.bool_]
    asked: Floats
    outcome: NDArray[np.bool_]
    naive: Floats
    challenger: Callable[[], Challenger] = Challenger


def measure() -> list[Result]:
    """Speeds, and the challenger's log-loss beside others'."""
    return [*_speeds(), *(result for task in _tasks() for result in _side_by_side(task))]


def book() -> Trades:
    """A year of invoices of payers with tempers of their own."""
    chance = np.random.default_rng(1)
    issue = np.sort(chance.integers(18_000, 18_000 + DAYS, ROWS))
    payer = chance.integers(0, PAYERS, ROWS)
    temper = chance.random(PAYERS) ** 3
    due = issue + chance.choice([15, 30, 60], ROWS)
    settled = np.maximum(
        due + np.rint(chance.normal(-2, 4, ROWS) + temper[payer] * chance.exponential(25, ROWS)), issue
    )
    days = (column.astype(np.int32) for column in (issue, due, settled))
    return Trades(payer, payer % 7, chance.integers(1_000, 10**7, ROWS), *days)


def _speeds() -> Iterator[Result]:
    trades = book()
    yield _pace("scoring features", partial(features.build, trades, asked=trades), rows=ROWS, promised=FEATURES)
    rows = training_rows(trades, as_of_day=18_000 + DAYS)
    matrix = features.build(rows.known, asked=rows.matured)
    model = fit(rows, matrix=matrix, horizon_days=30)
    live = np.resize(matrix, (LIVE, matrix.shape[1]))
    steady = np.ascontiguousarray(live[:, STEADY])
    yield _pace("scoring card", partial(_card(model).logit_micro, steady), rows=LIVE, promised=CARD)
    rival = Challenger().fit(matrix[:, STEADY], rows.days_late > 30)
    yield _pace("scoring challenger", partial(rival.predict_proba, steady), rows=LIVE, promised=CHALLENGER)
    one = matrix[:1]
    yield _pace("scoring one by one", lambda: [model.score(one) for _ in range(50)], rows=50, promised=ONE)
    yield _pace("scoring portfolio", partial(model.score, live), rows=LIVE, promised=WHOLE)


def _card(model: Model) -> Scorecard:
    """The scorecard of the chance of being very late."""
    if model.serious is None:
        raise RuntimeError("the synthetic book has too few late invoices")
    return model.serious.card


def _pace(name: str, work: Callable[[], object], *, rows: int, promised: float) -> Result:
    rate = rows / best_of(TIMES, work)
    return Result(name, rate, "rows/s", promised, rate / promised, 1.0)


def _tasks() -> Iterator[Task]:
    for name, days, horizon in ((B2B, ROLLING, 30), (SMALL, (date(2013, 6, 1),), 10)):
        if (DATA / f"{name}.csv.gz").exists():
            mapping = _mapping(name)
            trades = Trades.from_rows(
                trade_rows(DATA / f"{name}.csv.gz", mapping, refused=Counter(), progress=Progress(quiet=True))
            )
            for day in days:
                yield _invoices(f"{name[:8]} {day:%y-%m}", trades, first_day=(day - EPOCH).days, horizon_days=horizon)
    if (DATA / f"{FIRMS}.csv.gz").exists():
        yield from _firms()


def _mapping(name: str) -> FileMapping:
    return mapping_from(completed(load_document(MAPS / f"{name}.toml")))


def _invoices(name: str, trades: Trades, *, first_day: int, horizon_days: int) -> Task:
    rows = training_rows(trades, as_of_day=first_day - 1)
    old = rows.age_days >= horizon_days
    asked = trades.take(trades.issue_day >= first_day)
    matrix = features.build(trades, asked=Trades.concat([rows.matured.take(old), asked]))[:, STEADY]
    events = rows.days_late[old] > horizon_days
    split = len(events)
    naive = past_rate(trades, asked=asked, grace_days=horizon_days, average=float(events.mean()))
    outcome = asked.settled_day.astype(np.int64) - asked.due_day > horizon_days
    return Task(name, matrix[:split], events, matrix[split:], outcome, naive)


def _firms() -> Iterator[Task]:
    mapping = _mapping(FIRMS)
    if mapping.statement_years is None:
        raise RuntimeError("the mapping of firm-years has no section for them")
    years = firm_years(DATA / f"{FIRMS}.csv.gz", mapping, mapping.statement_years, refused=Counter())
    matrix, _ = build(years)
    for first, last in FIRM_YEARS:
        taught = of_known_fate(years, old=years.year + 1 < first)
        asked = (years.year >= first) & (years.year <= last)
        rate = np.full(int(asked.sum()), years.failed_next[taught].mean())
        outcomes = years.failed_next[taught], years.failed_next[asked]
        yield Task(
            f"firms {first}-{last % 100:02}", matrix[taught], outcomes[0], matrix[asked], outcomes[1], rate, rare
        )


def _side_by_side(task: Task) -> Iterator[Result]:
    rivals: dict[str, Learn] = {"HGB": partial(_default, HistGradientBoostingClassifier(random_state=0))}
    if find_spec("lightgbm"):
        lightgbm = import_module("lightgbm")
        rivals["LightGBM"] = partial(_default, lightgbm.LGBMClassifier(random_state=0, n_jobs=1, verbose=-1))
    said = {
        "payer/past rate": task.naive,
        "champion": _default(Scorecard(), task.known, task.events, task.asked),
        "challenger": _default(task.challenger(), task.known, task.events, task.asked),
    }
    said |= {name: learn(task.known, task.events, task.asked) for name, learn in rivals.items()}
    for name, chance in said.items():
        figures = (
            evaluation.auc(chance, outcome=task.outcome),
            evaluation.log_loss(chance, outcome=task.outcome),
            evaluation.expected_calibration_error(chance, outcome=task.outcome),
        )
        print(f"{task.name:<16}{name:<18}AUC {figures[0]:.4f}  log-loss {figures[1]:.5f}  ECE {figures[2]:.4f}",
              file=sys.stderr)  # fmt: skip
    ours = evaluation.log_loss(said["challenger"], outcome=task.outcome)
    for name in rivals:
        theirs = evaluation.log_loss(said[name], outcome=task.outcome)
        yield Result(f"{task.name} : {name}", ours * 1e6, "log-loss x 10^6", theirs * 1e6, theirs / ours, 1.0)


def _default(learner: Any, known: Floats, events: NDArray[np.bool_], asked: Floats) -> Floats:  # noqa: ANN401 - anybody's estimator
    """What a learner says of the asked rows, on one thread."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LightGBM notes that arrays have no column names
        return np.asarray(learner.fit(known, events).predict_proba(asked)[:, 1], dtype=np.float64)
