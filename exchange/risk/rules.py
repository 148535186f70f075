"""Which past trades are facts, how much one obligor may owe, and when its limit changes."""

from dataclasses import dataclass
from datetime import date

from exchange.currencies import MINOR_DIGITS
from exchange.errors import Fault
from exchange.parties.rules import identifier_fault
from exchange.risk.schemas import HistoryItem
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
    """What is known of an obligor when its limit is decided: the worst of its assets at hand, its year's purchases."""

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


def history_faults(item: HistoryItem, *, today: date, at: str) -> list[Fault]:
    """Everything that is wrong with a well-formed history item. A fact from the future is no fact."""
    faults = []
    for name, company in (("seller", item.seller), ("obligor", item.obligor)):
        fault = identifier_fault(company.scheme, company.value)
        if fault is not None:
            faults.append(Fault(fault[0], f"{at}/{name}/value", fault[1], company.value))
    if item.currency not in MINOR_DIGITS:
        faults.append(Fault("unknown_currency", f"{at}/currency", "a currency in use, ISO 4217", item.currency))
    if item.due_date < item.issue_date:
        message = f"not before the issue date, {item.issue_date}"
        faults.append(Fault("due_before_issue", f"{at}/due_date", message, item.due_date))
    if item.issue_date > today:
        message = f"not after today, {today}"
        faults.append(Fault("issue_in_future", f"{at}/issue_date", message, item.issue_date))
    if item.settled_date and item.settled_date > today:
        message = f"not after today, {today}"
        faults.append(Fault("settled_in_future", f"{at}/settled_date", message, item.settled_date))
    return faults
