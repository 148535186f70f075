"""Geometry of the plots, and the sums behind them."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.console import charts, series
from exchange.console.charts import BASE, HEIGHT, LEFT, TOP, WIDTH

MONDAY = date(2026, 3, 2)
AMOUNTS = st.integers(0, 10**15)
PPM = st.integers(0, 1_000_000)
BINS = st.lists(
    st.fixed_dictionaries({"predicted_ppm": PPM, "observed_ppm": PPM, "assets": st.integers(1, 10**6)}), max_size=12
)


def weeks(number: int) -> list[date]:
    """Mondays from the first."""
    return [MONDAY + timedelta(days=7 * week) for week in range(number)]


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS, AMOUNTS), max_size=60))
def test_columns_stay_inside_and_stack(amounts: list[tuple[int, int, int]]) -> None:
    """No bar leaves the frame or has no height, and parts of a column stand on each other."""
    parts = dict(zip("abc", ([column[part] for column in amounts] for part in range(3)), strict=True))
    drawn = charts.columns(weeks(len(amounts)), parts, names=dict(zip("abc", "xyz", strict=True)), write=str)
    assert len(drawn.bars) == sum(1 for column in amounts for amount in column if amount)
    assert drawn.up[0].label == "0"
    assert len(drawn.up) <= charts.AMOUNT_LABELS + 2
    standing: dict[float, float] = {}
    for bar in drawn.bars:
        assert bar.height > 0
        assert LEFT <= bar.x <= bar.x + bar.width <= WIDTH
        # What is too thin to see is drawn half a unit high all the same: three of these may lift a column so far.
        assert TOP - 1.6 <= bar.y <= BASE
        assert bar.y + bar.height == pytest.approx(standing.get(bar.x, BASE), abs=0.2)
        standing[bar.x] = bar.y


def test_columns_of_a_simple_book() -> None:
    """Half of the highest column is half as high; each bar says its day, part and amount."""
    drawn = charts.columns(weeks(2), {"a": [100, 50]}, names={"a": "alive"}, write="{:,}".format)
    first, second = drawn.bars
    assert first.height == pytest.approx(2 * second.height, abs=0.1)
    assert second.tip == "2026-03-09: alive 50"
    assert [tick.label for tick in drawn.up] == ["0", "50", "100"]
    assert [tick.label for tick in drawn.across] == ["02 Mar", "09 Mar"]


def test_columns_over_new_year_name_the_year() -> None:
    """A plot longer than the rest of the year says which year it means."""
    drawn = charts.columns(weeks(60), {"a": [1] * 60}, names={"a": ""}, write=str)
    assert drawn.across[0].label == "Mar 2026"
    assert len(drawn.across) <= charts.DATE_LABELS


@given(st.integers(0, 10**18))
def test_steps_are_few_and_round(highest: int) -> None:
    """At most four steps of 1, 2 or 5 times a power of ten reach the highest amount; four smaller ones do not."""
    step = charts.nice_step(highest)
    assert str(step).rstrip("0") in {"1", "2", "5"}
    assert step * charts.AMOUNT_LABELS >= highest
    assert step == 1 or step * charts.AMOUNT_LABELS < highest * 2.5


@given(PPM, st.integers(1, 10**6))
def test_intervals_hold_what_was_seen(observed_ppm: int, assets: int) -> None:
    """An interval lies within 0 .. 100 % and has the observed share in it."""
    low, high = charts.wilson(observed_ppm, assets)
    assert 0 <= low <= observed_ppm <= high <= 1_000_000
    assert low < high


def test_interval_of_a_known_case() -> None:
    """10 of 100: 5.52 % to 17.44 % (Newcombe 1998 gives the same formula's values)."""
    assert charts.wilson(100_000, 100) == (55_229, 174_367)


@given(BINS)
def test_dots_stay_inside(bins: list[dict[str, int]]) -> None:
    """Whatever was foretold and came is inside the frame, its interval around it."""
    drawn = charts.calibration(bins)
    assert len(drawn.dots) == len(bins)
    for dot in drawn.dots:
        assert LEFT <= dot.x <= WIDTH - charts.RIGHT
        assert TOP <= dot.high <= dot.y <= dot.low <= BASE < HEIGHT
    assert drawn.up[-1].at == TOP


def test_truth_lies_on_the_line() -> None:
    """A group that came as foretold is on the diagonal."""
    (dot,) = charts.calibration([{"predicted_ppm": 70_000, "observed_ppm": 70_000, "assets": 400}]).dots
    across = (dot.x - LEFT) / charts.INNER_WIDTH
    assert (BASE - dot.y) / charts.INNER_HEIGHT == pytest.approx(across, abs=0.002)
    assert dot.tip.startswith("foretold 7.0%, real 7.0% of 400 assets (4.9% to 9.9%)")


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(0, 20_000))
def test_periods_are_weeks_and_few(first: date, days: int) -> None:
    """However long the exchange lives, there are at most sixty columns, of whole weeks."""
    last = first + timedelta(days=days)
    period_days = series.period(first, last)
    assert period_days % 7 == 0
    assert days // period_days + 1 <= charts.MOST_COLUMNS + 1


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60), st.integers(0, 200), st.integers(1, 10**9)), max_size=30)
)
def test_ages_are_what_each_day_says(book: list[tuple[int, int, int, int]]) -> None:
    """Sums of changes give the same as looking at every asset on every day (days as periods)."""
    today, length = 300, 301
    assets = [(listed, listed + tenor, listed + held, face) for listed, tenor, held, face in book]
    changes = []
    for listed, due, settled, face in assets:
        for floor in series.LEVELS:
            enters = max(listed, due + floor)
            if enters < settled:
                changes += [
                    (floor, today - day, sign * face) for day, sign in ((enters, 1), (settled, -1)) if day <= today
                ]
    found = series.alive(changes, length=length)
    for day in range(0, length, 13):
        past_due = [(day - due, face) for listed, due, settled, face in assets if listed <= day < settled]
        assert found["current"][day] == sum(face for late, face in past_due if late < 1)
        assert found["late"][day] == sum(face for late, face in past_due if 1 <= late <= 30)
        assert found["later"][day] == sum(face for late, face in past_due if 31 <= late <= 90)
        assert found["latest"][day] == sum(face for late, face in past_due if late > 90)
