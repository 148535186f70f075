"""How much one obligor may owe: the smallest of several ceilings, each shown."""

from dataclasses import dataclass

from scoring.errors import ScoringError

PPM = 1_000_000
BPS = 10_000
YEAR_DAYS = 365
STEP_UP_BPS = 2_000
"""A limit rises by at most 20 % per whole month since its last change."""
STEP_MONTHS_MAX = 12


class LimitInputOutOfRange(ScoringError):
    """A ceiling would be computed from a negative figure, or a share is above one."""

    code = "limit_input_out_of_range"


@dataclass(frozen=True)
class LimitDecision:
    """The limit, every ceiling it was the minimum of, and the name of the one that decided."""

    limit_minor: int
    parts: dict[str, int]
    cause: str


def obligor_limit(  # noqa: PLR0913 - each ceiling needs its own figures
    pd_ppm: int,
    *,
    lgd_bps: int,
    expected_loss_budget_minor: int,
    annual_turnover_minor: int,
    tenor_days: int,
    portfolio_minor: int,
    concentration_bps: int,
    first_line_minor: int,
    previous_limit_minor: int | None,
    months_since_change: int,
    group_room_minor: int | None = None,
) -> LimitDecision:
    """Return the smallest ceiling, rounded down to a minor unit; ties go to the first in this order.

    - `expected_loss`: the exposure whose PD x LGD x exposure fills the budget (PD in ppm, LGD in bps);
    - `turnover`: purchases of one tenor, annual turnover x tenor_days / 365;
    - `concentration`: a share (bps) of the whole portfolio;
    - `group`: what the group under one controller has left, where there is one;
    - `step`: a first line while there is no previous limit, then the previous limit plus 20 % per whole month
      since it last changed (at most twelve months), never below the first line. Downwards nothing brakes.

    Refuses: LimitInputOutOfRange.
    """
    amounts = (
        expected_loss_budget_minor, annual_turnover_minor, tenor_days, portfolio_minor, first_line_minor,
        previous_limit_minor or 0, months_since_change, group_room_minor or 0,
    )  # fmt: skip
    shares_fit = 0 < pd_ppm <= PPM and 0 < lgd_bps <= BPS and 0 <= concentration_bps <= BPS
    if min(amounts) < 0 or not shares_fit:
        raise LimitInputOutOfRange(
            "limit inputs must not be negative; PD and LGD must lie above zero and shares at or below one"
        )
    parts = {
        "expected_loss": expected_loss_budget_minor * PPM * BPS // (pd_ppm * lgd_bps),
        "turnover": annual_turnover_minor * tenor_days // YEAR_DAYS,
        "concentration": portfolio_minor * concentration_bps // BPS,
    }
    if group_room_minor is not None:
        parts["group"] = group_room_minor
    parts["step"] = _step(previous_limit_minor, first_line_minor=first_line_minor, months=months_since_change)
    cause = min(parts, key=lambda name: parts[name])
    return LimitDecision(limit_minor=parts[cause], parts=parts, cause=cause)


def _step(previous_minor: int | None, *, first_line_minor: int, months: int) -> int:
    """Return the highest limit that the brake on growth allows."""
    if previous_minor is None:
        return first_line_minor
    power = min(months, STEP_MONTHS_MAX)
    grown: int = previous_minor * (BPS + STEP_UP_BPS) ** power // BPS**power
    return max(first_line_minor, grown)
