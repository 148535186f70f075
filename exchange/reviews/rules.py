"""What is worth a look: pure rules over what is known of an obligor, each with the numbers that it compared."""

from collections.abc import Mapping, Sequence
from math import log
from statistics import median
from typing import Any, NamedTuple

from msgspec import Struct, field

from exchange.errors import Refusal

BPS = 10_000
YEAR_DAYS = 365
CONSISTENT = 0.6745
"""Makes the median absolute deviation a standard deviation where values are normal (Iglewicz, Hoaglin, 1993)."""
LEAST_SPREAD = 0.05
"""A history without spread would make every new value an outlier: five in a hundred are always within reason."""

OF_ASSETS = ("self_dealing", "cycle", "not_active", "near_duplicate")
OF_OBLIGORS = (
    "contra_account",
    "controller_mismatch",
    "grade_moved",
    "near_breach",
    "near_limit",
    "days_past_due",
    "order_anomaly",
    "price_anomaly",
    "report_changed",
    "velocity",
)
KINDS = (*OF_ASSETS, *OF_OBLIGORS)
SEVERITIES = ("block", "work", "note")


class DecidedAlready(Refusal):
    """Somebody said what it is before; what was said stays."""

    code = "decided_already"
    title = "It is decided already"


class Policy(Struct, frozen=True):
    """How severe each kind of finding is, and from where on something is found.

    An order is odd at `order_z` (tenths) robust deviations from its obligor's own, a price `price_bps` off the market.
    An asset is near its breach when it will be unpaid `breach_days` after its due day with a chance of `breach_ppm`.
    """

    severity: dict[str, str] = field(
        default_factory=lambda: (
            dict.fromkeys(KINDS, "work")
            | {"self_dealing": "block", "cycle": "block", "not_active": "block", "near_limit": "note"}
        )
    )
    order_z: int = 35
    least_orders: int = 8
    price_bps: int = 2_000
    breach_days: int = 30
    breach_ppm: int = 250_000
    near_limit_bps: int = 9_000
    grades_down: int = 1
    velocity_times: int = 3
    velocity_least: int = 5
    score_drop: int = 50


class Finding(NamedTuple):
    """Something found of a company, or of an asset which it owes: `key` says which occasion, once."""

    kind: str
    key: str
    company_id: str
    evidence: Mapping[str, Any]
    asset_id: str | None = None


class Order(NamedTuple):
    """An order as it was told: amounts in minor units, days since 1970."""

    fact_id: str
    day: int
    currency: str
    amount_minor: int
    quantity_kg: int | None
    material: str | None


def robust_z(value: float, history: Sequence[float]) -> float:
    """How many robust standard deviations a value is from the median of its history."""
    middle = median(history)
    spread = median(abs(one - middle) for one in history)
    return CONSISTENT * (value - middle) / max(spread, LEAST_SPREAD)


def odd_orders(orders: Sequence[Order], *, since_day: int, policy: Policy) -> list[tuple[Order, dict[str, Any]]]:
    """The orders from `since_day` on that are unlike the ones before them, each with the feature that is oddest.

    Compared are logarithms: of the amount, the quantity, the price of a ton, and the days since the order before.
    """
    found = []
    ordered = sorted(orders, key=lambda one: (one.day, one.fact_id))
    features = [_features(one, ordered[at - 1] if at else None) for at, one in enumerate(ordered)]
    for at, order in enumerate(ordered):
        if order.day < since_day:
            continue
        scores: dict[str, float] = {}
        for name, value in features[at].items():
            history = [
                before[name]
                for before, other in zip(features[:at], ordered[:at], strict=True)
                if name in before and other.currency == order.currency
            ]
            if len(history) >= policy.least_orders:
                scores[name] = robust_z(value, history)
        worst = max(scores, key=lambda name: abs(scores[name]), default=None)
        if worst is not None and abs(scores[worst]) * 10 >= policy.order_z:
            found.append((order, {"feature": worst, "z_milli": round(scores[worst] * 1000), "compared_with": at}))
    return found


def off_market(order: Order, *, price_minor: int, policy: Policy) -> int | None:
    """By how many bps the price of a ton is off the market's, where that is too much; None where it is not."""
    if not order.quantity_kg:
        return None
    paid_minor = order.amount_minor * 1000 // order.quantity_kg
    off_bps = int((paid_minor - price_minor) * BPS / price_minor)
    return off_bps if abs(off_bps) >= policy.price_bps else None


def worse_report(new: Mapping[str, Any], old: Mapping[str, Any], *, policy: Policy) -> dict[str, list[int]]:
    """What got worse between two reports of one source: by member, the old and the new value."""
    worse = {
        name: [old[name], new[name]]
        for name in ("overdue_minor", "worst_days_past_due", "court_cases")
        if name in new and name in old and new[name] > old[name]
    }
    if "score" in new and "score" in old and old["score"] - new["score"] >= policy.score_drop:
        worse["score"] = [old["score"], new["score"]]
    return worse


def too_fast(recent: int, weeks: Sequence[int], *, policy: Policy) -> bool:
    """Whether this week's invoices are many times those of the usual week."""
    return recent >= policy.velocity_least and recent >= policy.velocity_times * max(median(weeks), 1)


def _features(order: Order, before: Order | None) -> dict[str, float]:
    known = {"amount": log(order.amount_minor)}
    if order.quantity_kg:
        known |= {"quantity": log(order.quantity_kg), "price": log(order.amount_minor / order.quantity_kg)}
    if before is not None:
        known["days_between"] = log(order.day - before.day + 1)
    return known
