"""The backtest judges what it says it judges, learns nothing from later, and refuses what it cannot judge."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from scoring import backtest as judging
from scoring import days, evaluation
from scoring.backtest import backtest, judge, past_rate, timed
from scoring.facts import Trades

FIRST = 18_250


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module", autouse=True)
def _few_trees() -> Iterator[None]:
    """Keep the forests small: what they say is judged elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "CHALLENGER_TREES", 8)
        patch.setattr(days, "PART_TREES", 4)
        yield


@pytest.fixture(scope="module")
def small(book: Trades) -> Trades:
    """Return every other invoice of the synthetic book."""
    return book.take(np.arange(0, len(book), 2))


@pytest.fixture(scope="module")
def report(small: Trades) -> dict[str, Any]:
    """Return the report on a synthetic book."""
    return backtest(small, first_day=FIRST, horizon_days=30, say=quiet)


def test_all_three_are_judged(report: dict[str, Any]) -> None:
    """Every measure of every model is there, and who has learned beats who has not."""
    models = report["models"]
    assert [*models] == ["champion", "challenger", "payer_rate"]
    for said in models.values():
        for task in ("serious", "late"):
            assert 0.5 < said[task]["auc"] < 1
            assert {*said[task]} >= {"ks", "log_loss", "brier", "ece", "fit_seconds", "score_seconds"}
        assert said["days_late"]["mae"] > 0
    assert models["champion"]["serious"]["log_loss"] < models["payer_rate"]["serious"]["log_loss"] + 0.01
    assert models["champion"]["days_late"]["mae"] < models["payer_rate"]["days_late"]["mae"]
    assert 0.7 < models["champion"]["days_late"]["band_coverage"] < 0.9


def test_judged_are_the_matured(report: dict[str, Any], small: Trades) -> None:
    """Rows issued from the day on whose horizon has passed, open ones included; the rest is counted as unknown."""
    settled = small.settled_day[~small.is_open]
    end = max(int(small.issue_day.max()), int(settled.max()))
    issued = small.take(small.issue_day >= FIRST)
    known = issued.take(issued.due_day + 30 <= end)
    late = np.where(known.is_open, 999, known.settled_day - known.due_day)
    assert report["judged"]["rows"] == len(known)
    assert report["judged"]["events"] == (late > 30).sum()
    assert report["judged"]["open"] == known.is_open.sum() > 0
    assert report["judged"]["not_yet_known"] == len(issued) - len(known)


def test_what_came_later_teaches_nothing(small: Trades, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every outcome that came after the last judged invoice changed, each model says the same, bit for bit."""
    told: list[list[bytes]] = []
    few = small.take(np.arange(0, len(small), 2))
    last = int(few.issue_day.max())
    longer = np.where((few.settled_day > last) & ~few.is_open, few.settled_day + 40, few.settled_day)
    # An open invoice says how far the file sees, so that the same rows are judged.
    seen = Trades.from_rows([(999, 0, 100, last, last, last + 400)])
    for settled in (few.settled_day, longer):
        said: list[bytes] = []
        monkeypatch.setattr(judging, "_report", lambda answers, said=said, **_: said.append(chances(answers)))
        history = Trades.concat([replace(few, settled_day=settled), seen])
        backtest(history, first_day=FIRST, horizon_days=10, say=quiet)
        told.append(said)
    assert len(told[0]) == 3
    assert told[0] == told[1]


def chances(answers: dict[str, judging.Timed]) -> bytes:
    """Return what a model said about both kinds of lateness."""
    return b"".join(answers[task].said.tobytes() for task in ("serious", "late"))


def test_the_past_rate_by_hand() -> None:
    """Two of three judged invoices were missed: (2 + 20 x 5 %) / 23; a stranger has the average."""
    history = Trades.from_rows(
        [(1, 1, 5, 0, 10, 50), (1, 1, 5, 0, 10, None), (1, 1, 5, 0, 10, 12), (1, 1, 5, 0, 90, None)]
    )
    asked = Trades.from_rows([(1, 1, 5, 60, 90, None), (2, 1, 5, 60, 90, None)])
    assert past_rate(history, asked=asked, grace_days=30, average=0.05).tolist() == [3 / 23, 0.05]


def test_one_kind_of_outcome_has_no_ranking() -> None:
    """AUC and KS are None where nothing can be ranked; the rest is told."""
    said = judge(timed(lambda: None, score=lambda _: np.array([0.1, 0.2])), outcome=np.array([False, False]))
    assert (said["auc"], said["ks"]) == (None, None)
    assert said["log_loss"] == pytest.approx(evaluation.log_loss([0.1, 0.2], outcome=[False, False]))


def test_few_outcomes_are_left_to_the_payers_rate(book: Trades) -> None:
    """With fewer than thirty bad outcomes the challenger says what the payer's past says."""
    few = book.take(book.obligor < 110)
    few = few.take((few.issue_day < 18_120) & (few.issue_day % 8 == 0))
    told = backtest(few, first_day=18_090, horizon_days=30, say=quiet)
    assert 0 < told["learned_from"]["events"] < 30
    models = told["models"]
    assert models["challenger"]["serious"]["log_loss"] == models["payer_rate"]["serious"]["log_loss"]


def test_what_cannot_be_judged_is_refused(book: Trades) -> None:
    """No labels yet, labels of one kind, and nothing to judge: each with its code."""
    on_time = replace(book, settled_day=book.due_day)
    for trades, first_day, refusal in (
        (book, int(book.issue_day.min()) + 5, judging.NoMaturedLabels),
        (on_time, FIRST, judging.SingleClass),
        (book, 19_000, judging.NothingToJudge),
        (Trades.from_rows([]), FIRST, judging.NoMaturedLabels),
    ):
        with pytest.raises(refusal) as caught:
            backtest(trades, first_day=first_day, horizon_days=30, say=quiet)
        assert caught.value.code.startswith("backtest_")
