"""Plots as geometry: what a template needs to draw an SVG, and nothing that it would have to compute.

Lengths are in user units of the drawing. Colours and type are the style sheet's, so a plot reads in light and dark.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 560, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 26
INNER_WIDTH, INNER_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
BASE = TOP + INNER_HEIGHT
MOST_COLUMNS = 60
GAP = 1.0
THINNEST = 0.5
DATE_LABELS = 6
AMOUNT_LABELS = 4
PPM = 1_000_000
SHARES_PERCENT = (1, 5, 10, 20, 30, 50, 75, 100)
CONFIDENCE_Z = 1.96


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid with its label, `at` user units from the left or the top."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of a column; `tip` is what it says when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    tip: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Stacked columns over time."""

    bars: list[Bar]
    across: list[Tick]
    up: list[Tick]


@dataclass(frozen=True, slots=True)
class Dot:
    """One group of assets: foretold across, real upwards, `low` to `high` what chance alone would explain."""

    x: float
    y: float
    low: float
    high: float
    radius: float
    tip: str


@dataclass(frozen=True, slots=True)
class Scatter:
    """Foretold against real, with the line on which both agree from (`left`, `bottom`) to (`right`, `top`)."""

    dots: list[Dot]
    across: list[Tick]
    up: list[Tick]
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = BASE


def columns(
    days: Sequence[date], parts: Mapping[str, Sequence[int]], *, names: Mapping[str, str], write: Callable[[int], str]
) -> Columns:
    """Stack `parts` (an amount for each of `days`, lowest part first); `names` and `write` make the tips."""
    totals = [sum(values) for values in zip(*parts.values(), strict=True)]
    step = nice_step(max(totals, default=0))
    top = step * max(math.ceil(max(totals, default=0) / step), 1)
    slot = INNER_WIDTH / max(len(days), 1)
    bars = []
    for number, day in enumerate(days):
        y = float(BASE)
        for kind, amounts in parts.items():
            height = amounts[number] / top * INNER_HEIGHT
            if not amounts[number]:
                continue
            height = max(height, THINNEST)
            y -= height
            tip = f"{day}: {names[kind]} {write(amounts[number])}"
            bars.append(Bar(_r(LEFT + number * slot), _r(y), _r(slot - GAP), _r(height), kind, tip))
    every = max(math.ceil(len(days) / DATE_LABELS), 1)
    form = "%d %b" if len({day.year for day in days}) < 2 else "%b %Y"  # noqa: PLR2004 - one year needs no name
    across = [Tick(_r(LEFT + (n + 0.5) * slot), f"{day:{form}}") for n, day in enumerate(days) if n % every == 0]
    up = [Tick(_r(BASE - value / top * INNER_HEIGHT), write(value)) for value in range(0, top + 1, step)]
    return Columns(bars, across, up)


def calibration(bins: Sequence[Mapping[str, int]]) -> Scatter:
    """Groups of `predicted_ppm`, `observed_ppm` and `assets`, on axes of square roots: small shares have room."""
    shown = [(one, *wilson(one["observed_ppm"], one["assets"])) for one in bins]
    highest = max((max(one["predicted_ppm"], high) for one, _, high in shown), default=0)
    end = next(percent for percent in SHARES_PERCENT if percent * PPM / 100 >= min(highest, PPM))
    limit_ppm = end * PPM // 100
    most = max((one["assets"] for one in bins), default=1)

    def along(ppm: int) -> float:
        return math.sqrt(ppm / limit_ppm)

    def x(ppm: int) -> float:
        return _r(LEFT + along(ppm) * INNER_WIDTH)

    def y(ppm: int) -> float:
        return _r(BASE - along(ppm) * INNER_HEIGHT)

    dots = [
        Dot(
            x(one["predicted_ppm"]),
            y(one["observed_ppm"]),
            y(low),
            y(high),
            _r(2.5 + 2.5 * math.sqrt(one["assets"] / most)),
            f"foretold {one['predicted_ppm'] / PPM:.1%}, real {one['observed_ppm'] / PPM:.1%} "
            f"of {one['assets']:,} assets ({low / PPM:.1%} to {high / PPM:.1%})",
        )
        for one, low, high in shown
    ]
    ticks = [(percent * PPM // 100, f"{percent} %") for percent in (0, *SHARES_PERCENT) if percent <= end]
    return Scatter(dots, [Tick(x(ppm), label) for ppm, label in ticks], [Tick(y(ppm), label) for ppm, label in ticks])


def wilson(observed_ppm: int, assets: int) -> tuple[int, int]:
    """The 95 % interval in ppm for a share seen in that many assets (Wilson, JASA 22, 1927)."""
    share, z2 = observed_ppm / PPM, CONFIDENCE_Z**2
    middle = share + z2 / (2 * assets)
    half = CONFIDENCE_Z * math.sqrt(share * (1 - share) / assets + z2 / (4 * assets**2))
    low, high = ((middle + side * half) / (1 + z2 / assets) for side in (-1, 1))
    return max(round(low * PPM), 0), min(round(high * PPM), PPM)


def nice_step(highest: int) -> int:
    """The step of 1, 2 or 5 times a power of ten that cuts 0 .. `highest` into at most `AMOUNT_LABELS` parts."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power * AMOUNT_LABELS >= highest:
                return factor * power
        power *= 10


def _r(value: float) -> float:
    """To a tenth of a unit: finer than any screen draws, and the same text everywhere."""
    return round(value, 1)
