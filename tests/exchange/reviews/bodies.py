"""A whole review policy."""

from typing import Any

from exchange.reviews.rules import KINDS

REVIEW_POLICY: dict[str, Any] = {
    "severity": dict.fromkeys(KINDS, "work"),
    "order_z": 35,
    "least_orders": 8,
    "price_bps": 2_000,
    "breach_days": 30,
    "breach_ppm": 250_000,
    "near_limit_bps": 9_000,
    "grades_down": 1,
    "velocity_times": 3,
    "velocity_least": 5,
    "score_drop": 50,
}
