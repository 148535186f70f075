"""Odds, grades, limits and prices: integers that keep their promises."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring import grades, limits, odds, pricing
from scoring.limits import LimitDecision, obligor_limit
from scoring.pricing import required_discount_bps


@given(st.lists(st.integers(-20_000_000, 20_000_000), min_size=1, max_size=50))
def test_probability_follows_the_logistic(logits: list[int]) -> None:
    """The table is the logistic function to the nearest thousandth of log-odds, rising and inside 0 .. 1."""
    found = odds.probability_ppm(np.array(sorted(logits)))
    exact = [1e6 / (1 + math.exp(-min(max(logit / 1e6, -12), 12))) for logit in sorted(logits)]
    assert np.abs(found - np.array(exact)).max() <= 126
    assert (np.diff(found) >= 0).all()
    assert found.min() >= 6
    assert found.max() <= 999_994


def test_even_odds_are_half() -> None:
    """Log-odds of zero are one half exactly."""
    assert odds.probability_ppm(np.array([0])).tolist() == [500_000]


@given(st.integers(0, 1_000_000))
def test_grade_brackets_its_probability(pd_ppm: int) -> None:
    """A PD lies above the grade before and at or below its own bound."""
    grade = int(grades.grade_of(pd_ppm))
    assert pd_ppm <= grades.UPPER_PPM[grade]
    assert grade == 0 or pd_ppm > grades.UPPER_PPM[grade - 1]


def test_master_scale_is_geometric() -> None:
    """Every grade is twice as risky as the one before, from twice the floor on; the last takes the rest."""
    assert len(grades.NAMES) == len(grades.UPPER_PPM) == 11
    assert [upper // grades.PD_FLOOR_PPM for upper in grades.UPPER_PPM[:-1]] == [2**k for k in range(1, 11)]
    assert grades.UPPER_PPM[-1] == 1_000_000
    assert grades.grade_of(np.array([], dtype=np.int64)).shape == (0,)


@pytest.mark.parametrize("pd_ppm", [-1, 1_000_001])
def test_impossible_probability_has_no_grade(pd_ppm: int) -> None:
    """What is no probability is refused."""
    with pytest.raises(grades.ProbabilityOutOfRange):
        grades.grade_of(pd_ppm)


def limit(**changes: int | None) -> LimitDecision:
    """Return a decision on a usual case with some inputs changed."""
    inputs: dict[str, int | None] = {
        "pd_ppm": 20_000,
        "lgd_bps": 4_000,
        "expected_loss_budget_minor": 100_000,
        "annual_turnover_minor": 73_000_000,
        "tenor_days": 30,
        "portfolio_minor": 200_000_000,
        "concentration_bps": 500,
        "first_line_minor": 1_000_000,
        "previous_limit_minor": 5_000_000,
        "months_since_change": 3,
        **changes,
    }
    return obligor_limit(inputs.pop("pd_ppm") or 0, **inputs)  # type: ignore[arg-type]  # some are tried without a value


def test_limit_is_the_smallest_ceiling() -> None:
    """Every ceiling is shown, and the smallest decides by name."""
    decision = limit()
    assert decision.parts == {
        "expected_loss": 12_500_000,
        "turnover": 6_000_000,
        "concentration": 10_000_000,
        "step": 8_640_000,
    }
    assert (decision.limit_minor, decision.cause) == (6_000_000, "turnover")
    assert limit(group_room_minor=5).cause == "group"
    assert limit(group_room_minor=0).limit_minor == 0


def test_first_line_is_small_and_steps_follow() -> None:
    """A new obligor gets the first line; a limit rises by 20 % a month at most, twelve months at most."""
    assert limit(previous_limit_minor=None).limit_minor == 1_000_000
    assert limit(previous_limit_minor=2_000_000, months_since_change=0).parts["step"] == 2_000_000
    assert limit(previous_limit_minor=2_000_000, months_since_change=1).parts["step"] == 2_400_000
    assert limit(previous_limit_minor=0).parts["step"] == 1_000_000
    assert limit(months_since_change=12).parts == limit(months_since_change=500).parts


def test_down_at_once() -> None:
    """Nothing brakes a fall: a large previous limit does not hold up a small ceiling."""
    assert limit(pd_ppm=900_000, previous_limit_minor=10**12).cause == "expected_loss"


@given(st.integers(1, 1_000_000), st.integers(1, 10_000), st.integers(0, 10**15))
def test_limit_never_costs_more_than_its_budget(pd_ppm: int, lgd_bps: int, budget_minor: int) -> None:
    """Expected loss at the ceiling never exceeds the budget, and one unit more would."""
    ceiling = limit(pd_ppm=pd_ppm, lgd_bps=lgd_bps, expected_loss_budget_minor=budget_minor).parts["expected_loss"]
    assert ceiling * pd_ppm * lgd_bps <= budget_minor * 10**10 < (ceiling + 1) * pd_ppm * lgd_bps


@pytest.mark.parametrize(
    "changes",
    [
        {"pd_ppm": 0},
        {"pd_ppm": 1_000_001},
        {"lgd_bps": 0},
        {"lgd_bps": 10_001},
        {"concentration_bps": 10_001},
        {"portfolio_minor": -1},
        {"previous_limit_minor": -1},
        {"group_room_minor": -1},
        {"months_since_change": -1},
    ],
)
def test_impossible_limit_inputs_are_refused(changes: dict[str, int]) -> None:
    """Negative figures and shares outside their range are refused."""
    with pytest.raises(limits.LimitInputOutOfRange):
        limit(**changes)


def test_discount_worked_by_hand() -> None:
    """PD 2 %, LGD 40 %, 90 days at 4 % + 2 %: 80 + 100 + 50 = 230 bps."""
    found = required_discount_bps(20_000, lgd_bps=4_000, tenor_days=90, cost_of_funds_bps=400, margin_bps=200)
    assert found == pricing.Discount(8_000, 0, 10_000, 5_000, 0, 230)


@given(
    st.integers(0, 300_000),
    st.integers(0, 10_000),
    st.integers(0, 360),
    st.integers(0, 3_000),
    st.integers(0, 3_000),
)
def test_discount_parts_sum_and_never_fall_short(pd: int, lgd: int, days: int, funds: int, margin: int) -> None:
    """The parts sum exactly to the total, which covers the exact cost by less than 2 bps."""
    found = required_discount_bps(pd, lgd_bps=lgd, tenor_days=days, cost_of_funds_bps=funds, margin_bps=margin)
    parts = (found.expected_loss_ppm, found.dilution_ppm, found.funding_ppm, found.margin_ppm, found.rounding_ppm)
    assert min(parts) >= 0
    assert sum(parts) == found.total_bps * 100
    exact = pd * lgd / 10_000 + (funds + margin) * 100 * days / 360
    assert 0 <= found.total_bps * 100 - exact + 1e-6 < 200


def test_no_price_at_any_discount() -> None:
    """A discount of the whole face is refused, and so are inputs that cannot be."""
    with pytest.raises(pricing.DiscountExceedsFace):
        required_discount_bps(1_000_000, lgd_bps=10_000, tenor_days=1, cost_of_funds_bps=0, margin_bps=0)
    for pd_ppm, lgd_bps, tenor_days in ((-1, 0, 0), (1_000_001, 0, 0), (0, 10_001, 0), (0, 0, -1)):
        with pytest.raises(pricing.PriceInputOutOfRange):
            required_discount_bps(pd_ppm, lgd_bps=lgd_bps, tenor_days=tenor_days, cost_of_funds_bps=0, margin_bps=0)
