"""Which past trades are facts, how much one obligor may owe, and when its limit changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import msgspec

from exchange.currencies import MINOR_DIGITS
from exchange.errors import Fault
from exchange.parties.rules import identifier_fault
from exchange.risk.schemas import HistoryItem
from scoring.grades import NAMES as GRADES
from scoring.limits import BPS, LimitDecision, obligor_limit
from scoring.pricing import DiscountExceedsFace, required_discount_bps

LATEST_DAYS = 365
LATE_DAYS = 30
"""More than this many days past due is the bad outcome that models predict."""
MONTH_DAYS = 30
SHORTEST_DAYS = 15


class RiskTerms(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The risk appetite behind every limit, price and model; amounts in minor units of whatever currency is meant.

    One obligor may cost `expected_loss_budget_minor` in expectation, be `concentration_bps` of a book of
    `portfolio_minor` (all under one controller together `group_bps`), and begins with `first_line_minor`. A price
    covers `cost_of_funds_bps` and `margin_bps` a year. The longest term of each grade ends where the chance of being
    unpaid should have fallen to `unpaid_tolerated_ppm`. A candidate is trained every `retrain_days` or after
    `retrain_labels` new outcomes and waits `shadow_days`, all of that by itself only where models are `automatic`.
    """

    expected_loss_budget_minor: int = 20_000_000
    portfolio_minor: int = 200_000_000_000
    concentration_bps: int = 200
    group_bps: int = 300
    first_line_minor: int = 200_000_000
    cost_of_funds_bps: int = 300
    margin_bps: int = 150
    most_tenor_days: tuple[int, ...] = (360, 360, 270, 180, 180, 180, 120, 120, 90, 60, 30)
    unpaid_tolerated_ppm: int = 50_000
    automatic: bool = True
    retrain_days: int = 7
    retrain_labels: int = 500
    shadow_days: int = 30
    horizon_days: int = LATE_DAYS


class Policy(NamedTuple):
    """Terms and the version under which they hold; 0 before any were set."""

    version: int = 0
    terms: RiskTerms = RiskTerms()


POLICY = RiskTerms()


@dataclass(frozen=True, slots=True)
class ObligorStanding:
    """What is known of an obligor when its limit is decided: the worst of its assets at hand, its year's purchases.

    `group_minor` are the limits of all others under its controller, None where it has no such group.
    """

    pd_ppm: int
    lgd_bps: int
    annual_turnover_minor: int
    tenor_days: int
    previous_limit_minor: int | None
    days_since_change: int
    group_minor: int | None = None


def decide_limit(standing: ObligorStanding, *, policy: RiskTerms = POLICY) -> LimitDecision:
    """The limit in minor units, with its ceilings (`scoring.limits`). A newcomer's turnover is its first line."""
    turnover = max(standing.annual_turnover_minor, policy.first_line_minor)
    group_room = None
    if standing.group_minor is not None:
        group_room = max(policy.portfolio_minor * policy.group_bps // BPS - standing.group_minor, 0)
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
        group_room_minor=group_room,
    )


def most_tenor_days(
    grade: int,
    *,
    unpaid_ppm: Sequence[int] | None,
    edges: Sequence[int],
    allowed_days: Sequence[int],
    tolerated_ppm: int,
) -> int:
    """The longest term in days: what the grade allows, less the days after the due date until hardly anybody is unpaid.

    `unpaid_ppm` are the chances of being unpaid at `edges` days after the due date (None: not known, nothing is taken
    off). Never below SHORTEST_DAYS: a worse payer gets a small limit, not an impossible term.
    """
    allowed = allowed_days[min(grade, len(allowed_days) - 1)]
    if unpaid_ppm is None:
        return max(allowed, SHORTEST_DAYS)
    tolerated = (edge for edge, ppm in zip(edges, unpaid_ppm, strict=True) if ppm <= tolerated_ppm)
    return max(allowed - next(tolerated, edges[-1]), SHORTEST_DAYS)


def price(
    pd_ppm: int, *, lgd_bps: int, dilution_loss_ppm: int, tenor_days: int, cost_of_funds_bps: int, margin_bps: int
) -> dict[str, Any]:
    """The required discount with its parts as a decision keeps it; `refused` with the code where there is none."""
    try:
        discount = required_discount_bps(
            pd_ppm,
            lgd_bps=lgd_bps,
            dilution_loss_ppm=dilution_loss_ppm,
            tenor_days=tenor_days,
            cost_of_funds_bps=cost_of_funds_bps,
            margin_bps=margin_bps,
        )
    except DiscountExceedsFace as refusal:
        return {"refused": refusal.code}
    return dict(vars(discount))


def policy_faults(terms: RiskTerms) -> list[Fault]:
    """What contradicts itself in terms that are well-formed."""
    falling = sorted(terms.most_tenor_days, reverse=True)
    faults = []
    if len(terms.most_tenor_days) != len(GRADES):
        message = f"one term for each grade, {', '.join(GRADES)}"
        faults.append(Fault("grades_uncovered", "/most_tenor_days", message, len(terms.most_tenor_days)))
    if list(terms.most_tenor_days) != falling:
        faults.append(Fault("terms_rise", "/most_tenor_days", "no worse grade may have a longer term", falling[0]))
    if terms.group_bps < terms.concentration_bps:
        message = f"a group is at least one company: {terms.concentration_bps} or more"
        faults.append(Fault("group_below_company", "/group_bps", message, terms.group_bps))
    return faults


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
