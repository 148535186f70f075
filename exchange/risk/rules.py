"""How much one obligor may owe, and when its limit changes."""

from dataclasses import dataclass

from scoring.limits import LimitDecision, obligor_limit

LATEST_DAYS = 365
LATE_DAYS = 30
"""More than this many days past due is the bad outcome that models predict."""
MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """The risk appetite behind every limit, in minor units of whatever currency the limit is in.

    One obligor may cost `expected_loss_budget_minor` in expectation, be `concentration_bps` of a book of
    `portfolio_minor`, and begins with `first_line_minor`.
    """

    expected_loss_budget_minor: int = 20_000_000
    portfolio_minor: int = 200_000_000_000
    concentration_bps: int = 200
    first_line_minor: int = 200_000_000


POLICY = LimitPolicy()


@dataclass(frozen=True, slots=True)
class ObligorStanding:
    """What is known of an obligor when its limit is decided: the riskiest of its assets at hand, and its year's purchases."""

    pd_ppm: int
    lgd_bps: int
    annual_turnover_minor: int
    tenor_days: int
    previous_limit_minor: int | None
    days_since_change: int


def decide_limit(standing: ObligorStanding, *, policy: LimitPolicy = POLICY) -> LimitDecision:
    """The limit in minor units, with its ceilings (`scoring.limits`). A newcomer's turnover is its first line."""
    turnover = max(standing.annual_turnover_minor, policy.first_line_minor)
    return obligor_limit(
        standing.pd_ppm,
        lgd_bps=standing.lgd_bps,
        expected_loss_budget_minor=policy.expected_loss_budget_minor,
        annual_turnover_minor=turnover,
        tenor_days=max(standing.tenor_days, MONTH_DAYS),
        portfolio_minor=policy.portfolio_minor,
        concentration_bps=policy.concentration_bps,
        first_line_minor=policy.first_line_minor,
        previous_limit_minor=standing.previous_limit_minor,
        months_since_change=standing.days_since_change // MONTH_DAYS,
    )
