"""Levels: the shift meets rates as far as it believes them, isotonic steps earn it, few defaults stay prudent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import binom

from scoring import calibration
from scoring.calibration import isotonic, pluto_tasche, shift


@given(st.lists(st.floats(-4, 4), min_size=4, max_size=40), st.floats(0, 50))
@settings(max_examples=40, deadline=None)
def test_a_shift_meets_the_believed_rate(odds: list[float], prior_events: float) -> None:
    """After the shift the expected events are the observed ones, mixed with the prior by its weight."""
    logit = np.array(odds)
    events = np.arange(len(odds)) % 3 == 0
    expected = expit(logit).sum()
    wanted = expected * (events.sum() + prior_events) / (expected + prior_events)
    if wanted > 0.98 * len(odds):
        return
    moved = shift(logit, events=events, prior_events=prior_events)
    assert expit(logit + moved).sum() == pytest.approx(wanted, rel=1e-6)


def test_a_shift_needs_rows() -> None:
    """Nothing, and columns of unlike length, cannot be shifted to."""
    for logit, events in (([], []), ([0.0], [True, False])):
        with pytest.raises(calibration.CalibrationInputInvalid):
            shift(logit, events=np.array(events, dtype=np.bool_))


def test_isotonic_steps_have_to_earn_it() -> None:
    """With many events and a wrong shape they are taken; with few, or where nothing is wrong, not."""
    chance = np.random.default_rng(1)
    told = chance.random(20_000) * 0.4
    day = np.arange(20_000)
    bent = chance.random(20_000) < told**2 * 2.5
    mended = isotonic(told, events=bent, day=day)
    assert mended is not None
    assert np.abs(mended(told) - told**2 * 2.5).mean() < 0.02 < np.abs(told - told**2 * 2.5).mean()
    assert (mended(np.array([0.0, 1.0])) > 0).all()
    straight = chance.random(20_000) < told
    assert isotonic(told, events=straight, day=day) is None
    assert isotonic(told[:3_000], events=bent[:3_000], day=day[:3_000]) is None
    assert isotonic(told, events=bent, day=np.zeros(20_000, dtype=np.int64)) is None
    with pytest.raises(calibration.CalibrationInputInvalid):
        isotonic(told, events=bent[1:], day=day)


def test_pluto_and_tasche_published_example() -> None:
    """100, 400 and 300 obligors without a default, at 90 % confidence: 0.29 %, 0.33 % and 0.76 % (their table 1)."""
    found = pluto_tasche([100, 400, 300], defaults=[0, 0, 0], confidence=0.9)
    assert (found * 10_000).round().tolist() == [29, 33, 76]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5)), min_size=1, max_size=5), st.floats(0.3, 0.95))
@settings(max_examples=40, deadline=None)
def test_prudent_rates_solve_their_equation(grades: list[tuple[int, int]], confidence: float) -> None:
    """At the bound, so few defaults have exactly the remaining probability."""
    rows = [max(size, bad) for size, bad in grades]
    bad = [bad for _, bad in grades]
    found = pluto_tasche(rows, defaults=bad, confidence=confidence)
    for at, rate in enumerate(found):
        below, hit = sum(rows[at:]), sum(bad[at:])
        if hit < below:
            assert binom.cdf(hit, below, rate) == pytest.approx(1 - confidence, abs=1e-6)
        else:
            assert rate == 1


def test_impossible_counts_are_refused() -> None:
    """More defaults than rows, fewer than none, and certainty are refused."""
    for rows, bad, confidence in (([1], [2], 0.5), ([1], [-1], 0.5), ([1, 2], [1], 0.5), ([1], [0], 1.0)):
        with pytest.raises(calibration.CalibrationInputInvalid):
            pluto_tasche(rows, defaults=bad, confidence=confidence)
