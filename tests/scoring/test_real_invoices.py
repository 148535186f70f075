"""On real invoices, split by time, the model keeps to modest floors (skipped where the data is absent)."""

from datetime import date

import numpy as np
import pytest

from scoring import evaluation, features
from scoring.backtest import past_rate
from scoring.challenger import Challenger
from scoring.facts import Trades
from scoring.model import STEADY, train, training_rows
from scoring.scorecard import Scorecard

EPOCH = date(1970, 1, 1)


def test_later_invoices_are_scored_well(invoices_2019: Trades) -> None:
    """Trained on labels known before August 2019 and judged on invoices issued from then on."""
    first_day = (date(2019, 8, 1) - EPOCH).days
    later = invoices_2019.take(invoices_2019.issue_day >= first_day)
    matrix = features.build(invoices_2019, asked=later)
    model = train(invoices_2019, as_of_day=first_day - 1)
    scores = model.score(matrix)
    late = later.settled_day - later.due_day
    serious, chance = late > 30, scores.pd_ppm / 1e6
    payer_rate = np.nan_to_num(matrix[:, features.NAMES.index("payer_serious_share")], nan=0.02)
    figures = {
        "serious_auc": evaluation.auc(chance, outcome=serious),
        "serious_log_loss": evaluation.log_loss(chance, outcome=serious),
        "serious_ks": evaluation.ks(chance, outcome=serious),
        "serious_calibration_error": evaluation.expected_calibration_error(chance, outcome=serious),
        "payer_rate_auc": evaluation.auc(payer_rate, outcome=serious),
        "late_auc": evaluation.auc(scores.late_ppm, outcome=late > 0),
        "days_late_mean_absolute_error": float(np.abs(scores.days_late - late).mean()),
    }
    assert figures["serious_auc"] > max(0.945, figures["payer_rate_auc"]), figures
    assert figures["serious_log_loss"] < 0.0435, figures
    assert figures["serious_calibration_error"] < 0.008, figures
    assert figures["late_auc"] > 0.845, figures
    assert figures["days_late_mean_absolute_error"] < 2.80, figures
    band = model.days_band(matrix)
    assert 0.77 < ((late >= band.low) & (late <= band.high)).mean() < 0.83


def test_truncated_real_history_gives_the_same_bits(invoices_2019: Trades) -> None:
    """Past rows recomputed from history cut the evening before are the same bit for bit."""
    full = features.build(invoices_2019, asked=invoices_2019)
    for day in np.unique(invoices_2019.issue_day)[40::45]:
        rows = np.flatnonzero(invoices_2019.issue_day == day)
        cut = features.build(invoices_2019.known_by(int(day) - 1), asked=invoices_2019.take(rows))
        assert cut.tobytes() == full[rows].tobytes()


@pytest.mark.parametrize("month", [6, 7, 8])
def test_the_challenger_foretells_better_on_every_rolling_day(invoices_2019: Trades, month: int) -> None:
    """Learned before a month and judged on all that came from it on: better than the card, and than the past rate."""
    first_day = (date(2019, month, 1) - EPOCH).days
    rows = training_rows(invoices_2019, as_of_day=first_day - 1)
    old = rows.age_days >= 30
    later = invoices_2019.take(invoices_2019.issue_day >= first_day)
    matrix = features.build(invoices_2019, asked=Trades.concat([rows.matured.take(old), later]))[:, STEADY]
    events, split = rows.days_late[old] > 30, int(old.sum())
    chances = {
        "rate": past_rate(invoices_2019, asked=later, grace_days=30, average=float(events.mean())),
        **{
            name: learner.fit(matrix[:split], events).predict_proba(matrix[split:])[:, 1]
            for name, learner in (("card", Scorecard()), ("challenger", Challenger()))
        },
    }
    late = later.settled_day - later.due_day > 30
    loss = {name: evaluation.log_loss(chance, outcome=late) for name, chance in chances.items()}
    assert loss["challenger"] < min(loss["card"], 0.95 * loss["rate"], 0.0425), loss
    assert evaluation.auc(chances["challenger"], outcome=late) > 0.945
    assert evaluation.expected_calibration_error(chances["challenger"], outcome=late) < 0.0045
