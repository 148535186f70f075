"""Judging on later invoices: features as of each issue day, fitted on labels known before a day, judged from it on."""

from collections.abc import Callable
from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring import evaluation, features
from scoring.challenger import Challenger
from scoring.days import Band
from scoring.errors import ScoringError
from scoring.facts import MAX_DAY, Bools, Int64s, Trades
from scoring.model import PPM, STEADY, Model, TrainingRows, enough, fit, fit_days, training_rows
from scoring.timeline import Timeline

Floats = NDArray[np.float64]
Say = Callable[[str], None]

RATE_PRIOR_ROWS = 20
"""A payer's past rate is mixed with so many invoices of average behaviour."""

CHALLENGER_TREES = 96
DECILE_DEVIATIONS = 1.2815515655446004
"""Standard deviations from the mean to an outer decile of a normal distribution."""


class NoMaturedLabels(ScoringError):
    """No outcome was known before the day from which on is judged."""

    code = "backtest_no_matured_labels"


class SingleClass(ScoringError):
    """All outcomes known before the day are good, or all are bad: there is nothing to learn."""

    code = "backtest_single_class"


class NothingToJudge(ScoringError):
    """No row from the day on has an outcome within the horizon."""

    code = "backtest_nothing_to_judge"


@dataclass(frozen=True, eq=False)
class Timed:
    """What somebody said about the judged rows, and the processor seconds it took to learn it and to say it."""

    said: Any
    fit_seconds: float
    score_seconds: float


@dataclass(frozen=True, eq=False)
class _Question:
    """The rows to learn from and to judge, with their features."""

    history: Trades
    rows: TrainingRows
    judged: Trades
    known: Floats
    asked: Floats
    horizon_days: int
    train_rate: float


def backtest(history: Trades, *, first_day: int, horizon_days: int, say: Say) -> dict[str, Any]:
    """Return the report on invoices issued from `first_day` on; `say` hears of each stage.

    Judged are the rows whose horizon lies within the history, settled or not, so that no early payer is preferred;
    days late are judged on those of them that are settled. Refuses: NoMaturedLabels, SingleClass, NothingToJudge,
    HorizonOutOfRange.
    """
    rows = training_rows(history, as_of_day=first_day - 1)
    old = rows.age_days >= horizon_days
    if not old.any():
        raise NoMaturedLabels(f"no invoice was due {horizon_days} days or more before the day")
    events = rows.days_late[old] > horizon_days
    if events.all() or not events.any():
        raise SingleClass(f"of {len(events)} outcomes known before the day, {int(events.sum())} are bad")
    issued = history.take(history.issue_day >= first_day)
    judged = issued.take(issued.due_day + horizon_days <= _last_day(history))
    if not len(judged):
        raise NothingToJudge(f"{len(issued)} invoices were issued from the day on, none with a known outcome")
    say(f"Features of {len(rows.matured)} rows to learn from and {len(judged)} to judge")
    began = process_time()
    matrix = features.build(history, asked=Trades.concat([rows.matured, judged]))
    seconds = process_time() - began
    split = len(rows.matured)
    question = _Question(history, rows, judged, matrix[:split], matrix[split:], horizon_days, float(events.mean()))
    late = np.where(judged.is_open, MAX_DAY, judged.settled_day.astype(np.int64) - judged.due_day)
    return {
        "kind": "invoices",
        "horizon_days": horizon_days,
        "learned_from": {"rows": int(old.sum()), "events": int(events.sum())},
        "judged": {
            "rows": len(judged),
            "events": int((late > horizon_days).sum()),
            "late": int((late > 0).sum()),
            "open": int(judged.is_open.sum()),
            "not_yet_known": len(issued) - len(judged),
        },
        "features": _pace(len(matrix), seconds=seconds),
        "models": {
            name: _report(speak(question, say), late=late, horizon_days=horizon_days)
            for name, speak in (("champion", _champion), ("challenger", _challenger), ("payer_rate", _payer_rate))
        },
    }


def judge(timed: Timed, *, outcome: Bools) -> dict[str, Any]:
    """Return every measure of chances; AUC and KS are None where all outcomes are the same."""
    chance = timed.said
    mixed = bool(outcome.any()) and not outcome.all()
    return {
        "auc": evaluation.auc(chance, outcome=outcome) if mixed else None,
        "ks": evaluation.ks(chance, outcome=outcome) if mixed else None,
        "log_loss": evaluation.log_loss(chance, outcome=outcome),
        "brier": evaluation.brier(chance, outcome=outcome),
        "ece": evaluation.expected_calibration_error(chance, outcome=outcome),
        "fit_seconds": round(timed.fit_seconds, 4),
        "score_seconds": round(timed.score_seconds, 4),
        "rows_per_second": _pace(len(outcome), seconds=timed.score_seconds)["rows_per_second"],
    }


def timed(learn: Callable[[], Any], *, score: Callable[[Any], Any]) -> Timed:
    """Learn, then score, with the seconds of each."""
    began = process_time()
    learned = learn()
    fitted = process_time()
    said = score(learned)
    return Timed(said, fitted - began, process_time() - fitted)


def _last_day(history: Trades) -> int:
    """Return the last day that the history knows anything of."""
    settled = history.settled_day[~history.is_open]
    return max(int(history.issue_day.max(initial=0)), int(settled.max(initial=0)))


def _pace(rows: int, *, seconds: float) -> dict[str, Any]:
    return {"rows": rows, "seconds": round(seconds, 4), "rows_per_second": round(rows / max(seconds, 1e-9))}


def _report(said: dict[str, Timed], *, late: Int64s, horizon_days: int) -> dict[str, Any]:
    """Judge one model's three answers."""
    settled = late < MAX_DAY
    days, band = said["days_late"].said
    inside = (late >= band.low) & (late <= band.high)
    return {
        "serious": judge(said["serious"], outcome=late > horizon_days),
        "late": judge(said["late"], outcome=late > 0),
        "days_late": {
            "mae": float(np.abs(days - late)[settled].mean()) if settled.any() else None,
            "band_coverage": float(inside[settled].mean()) if settled.any() else None,
            "band_days": float((band.high - band.low)[settled].mean()) if settled.any() else None,
            "fit_seconds": round(said["days_late"].fit_seconds, 4),
            "score_seconds": round(said["days_late"].score_seconds, 4),
        },
    }


def _champion(question: _Question, say: Say) -> dict[str, Timed]:
    """Return what the model that the exchange would put in force says."""
    say("Champion: scorecards and forest")
    began = process_time()
    model = fit(question.rows, matrix=question.known, horizon_days=question.horizon_days)
    seconds = process_time() - began

    def answer(score: Callable[[Model], Any]) -> Timed:
        done = timed(lambda: model, score=score)
        return Timed(done.said, seconds, done.score_seconds)

    asked = question.asked
    return {
        "serious": answer(lambda made: made.pd_ppm(asked) / PPM),
        "late": answer(lambda made: made.late_ppm(asked) / PPM),
        "days_late": answer(lambda made: (made.days_late(asked), made.days_band(asked))),
    }


def _challenger(question: _Question, say: Say) -> dict[str, Timed]:
    """Return what boosting and a larger forest say; with too few outcomes, the payer's rate."""
    old = question.rows.age_days >= question.horizon_days
    naive = _payer_rate(question, lambda _: None)
    late_at = question.rows.days_late

    def chances(rows: Bools, horizon: int, otherwise: Timed) -> Timed:
        events = late_at[rows] > horizon
        if not enough(events):
            return otherwise
        say(f"Challenger: more than {horizon} days late")
        return timed(
            lambda: Challenger().fit(question.known[rows][:, STEADY], events),
            score=lambda made: made.predict_proba(question.asked[:, STEADY])[:, 1],
        )

    say("Challenger: days late")
    days = timed(
        lambda: fit_days(question.rows, matrix=question.known, old=old, trees=CHALLENGER_TREES),
        score=lambda made: (made.predict(question.asked[:, STEADY]), made.band(question.asked[:, STEADY])),
    )
    return {
        "serious": chances(old, question.horizon_days, naive["serious"]),
        "late": chances(np.ones(len(old), np.bool_), 0, naive["late"]),
        "days_late": days,
    }


def _payer_rate(question: _Question, say: Say) -> dict[str, Timed]:
    """Return what the payer's own past says: its rate, its mean days late and their spread."""
    say("The payer's past rate")
    known, judged = question.history, question.judged
    everybody = float((question.rows.days_late > 0).mean())
    return {
        "serious": timed(
            lambda: None,
            score=lambda _: past_rate(
                known, asked=judged, grace_days=question.horizon_days, average=question.train_rate
            ),
        ),
        "late": timed(lambda: None, score=lambda _: past_rate(known, asked=judged, grace_days=0, average=everybody)),
        "days_late": timed(lambda: None, score=lambda _: _payer_days(question.asked)),
    }


def past_rate(history: Trades, *, asked: Trades, grace_days: int, average: float) -> Floats:
    """Return each payer's share of invoices more than `grace_days` late as of the issue day, mixed with the average.

    Counted are invoices whose day of judgement had passed; RATE_PRIOR_ROWS of average behaviour are added.
    """
    _, payer = np.unique(np.concatenate((history.obligor, asked.obligor)), return_inverse=True)
    judged_on = history.due_day.astype(np.int64) + grace_days
    missed = (history.known_day > judged_on).astype(np.int64)
    line = Timeline(payer[: len(history)], day=judged_on, missed=missed)
    past = line.before(payer[len(history) :], day=asked.issue_day.astype(np.int64))
    hits = line.total("missed", past=past)
    return np.asarray((hits + RATE_PRIOR_ROWS * average) / (past.count + RATE_PRIOR_ROWS), dtype=np.float64)


def _payer_days(asked: Floats) -> tuple[Int64s, Band]:
    """Return the payer's mean days late and the deciles of a normal distribution of its spread."""
    mean, variance = (
        np.nan_to_num(asked[:, features.NAMES.index(name)], nan=0.0)
        for name in ("payer_days_late_mean", "payer_days_late_spread")
    )
    reach = DECILE_DEVIATIONS * np.sqrt(variance)
    low, high = (np.rint(mean + side * reach).astype(np.int64) for side in (-1, 1))
    return np.rint(mean).astype(np.int64), Band(low, high)
