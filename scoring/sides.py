"""What papers say of a company and of its controller: log-odds of a serious delay, and the rows they are worth.

Labelled priors, not learned: expert weights on a few figures, until enough outcomes with papers let `Join` be fitted. A
figure that is missing says nothing; a side of which nothing is known is worth no rows.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from scoring.odds import MICRO

AVERAGE = -3.891820298110627
"""Log-odds of 2 %: where somebody of whom only indifferent things are known stands."""

STATEMENT_ROWS = 12
REPORT_ROWS = 8
STALE_AFTER_DAYS = 540
"""A statement older than this is worth half."""

ALTMAN = (("working_capital", 6.56), ("retained_earnings", 3.26), ("ebit", 6.72))
"""Over total assets; and 1.05 times equity over liabilities (Altman, Hartzell and Peck, Z'' of 1995)."""
EQUITY_WEIGHT = 1.05
SAFE_Z = 2.6
"""Above it Altman's scale calls a firm safe; each point below adds to the odds of failure."""
ODDS_PER_Z = 0.55
LOWEST_Z, HIGHEST_Z = -4.0, 7.0

CLEAN = -0.7
"""What a report without anything overdue or in court adds to the log-odds."""
OVERDUE, OVERDUE_SHARE = 0.8, 1.5
"""Anything overdue at all, and all of the loans being overdue."""
COUNTED = (("worst_days_past_due", 30, 4, 0.4), ("court_cases", 1, 5, 0.5), ("inquiries", 3, 4, 0.2))
"""Figure, what counts as one, the most that count, what each adds: 30 days past due, a case, three inquiries."""
GUARANTEES = 0.3
"""Guarantees for others as large as the own loans; at most twice as much counts."""
MIDDLE_SCORE, ODDS_PER_SCORE = 600, -0.0035
"""The bureau's own score, where it gives one: two hundred points halve the odds."""


class Said(NamedTuple):
    """Log-odds in millionths, and the rows they are worth; 0 rows: nothing is known."""

    logit_micro: int = 0
    rows: int = 0


def statement_said(items: Mapping[str, float], *, age_days: int) -> Said:
    """What the newest yearly statement says, by Altman's Z'' for firms without a market price."""
    score = altman(items)
    if score is None:
        return Said()
    held = min(max(score, LOWEST_Z), HIGHEST_Z)
    rows = STATEMENT_ROWS if age_days <= STALE_AFTER_DAYS else STATEMENT_ROWS // 2
    return Said(round((AVERAGE + ODDS_PER_Z * (SAFE_Z - held)) * MICRO), rows)


def altman(items: Mapping[str, float]) -> float | None:
    """Z'' = 6.56 working capital + 3.26 retained earnings + 6.72 EBIT over assets + 1.05 equity over liabilities."""
    assets, liabilities = items.get("total_assets"), items.get("total_liabilities")
    current, owed = items.get("current_assets"), items.get("current_liabilities")
    if not assets or not liabilities or current is None or owed is None:
        return None
    figures = {"working_capital": current - owed} | dict(items)
    parts = sum(weight * figures.get(name, 0) / assets for name, weight in ALTMAN)
    return parts + EQUITY_WEIGHT * (assets - liabilities) / liabilities


def report_said(body: Mapping[str, Any] | None) -> Said:
    """What a credit report says of a company or a person: overdue loans, court cases, haste for credit, its score."""
    if body is None:
        return Said()
    loans, overdue = body["loans_minor"], body["overdue_minor"]
    moved = sum(weight * min(body.get(name, 0) // unit, most) for name, unit, most, weight in COUNTED)
    if overdue:
        moved += OVERDUE + OVERDUE_SHARE * min(overdue / max(loans, 1), 1)
    elif not body.get("court_cases", 0) and not body["worst_days_past_due"]:
        moved += CLEAN
    moved += GUARANTEES * min(body.get("guarantees_minor", 0) / max(loans, 1), 2)
    moved += ODDS_PER_SCORE * (body.get("score", MIDDLE_SCORE) - MIDDLE_SCORE)
    return Said(round((AVERAGE + moved) * MICRO), REPORT_ROWS)


def together(said: list[Said]) -> Said:
    """One side from several papers: the mean of their log-odds, weighed by the rows each is worth."""
    rows = sum(one.rows for one in said)
    if not rows:
        return Said()
    return Said(math.floor(sum(one.logit_micro * one.rows for one in said) / rows + 0.5), rows)
