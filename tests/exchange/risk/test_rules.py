"""How much one obligor may owe, and which past trades are facts."""

from datetime import date
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from exchange.risk import rules
from exchange.risk.rules import ObligorStanding, RiskTerms, decide_limit
from exchange.risk.schemas import HistoryItem

TODAY = date(2026, 3, 2)
COMPANY = {"scheme": "platform", "value": "c"}
STANDINGS = st.builds(
    ObligorStanding,
    pd_ppm=st.integers(500, 1_000_000),
    lgd_bps=st.integers(1, 10_000),
    annual_turnover_minor=st.integers(0, 10**15),
    tenor_days=st.integers(0, 3650),
    previous_limit_minor=st.none() | st.integers(0, 10**13),
    days_since_change=st.integers(0, 1000),
)


def past(**changes: Any) -> HistoryItem:  # noqa: ANN401 - whatever JSON holds
    """A past trade as it is decoded."""
    item = {
        "invoice_number": "H-1",
        "seller": COMPANY,
        "obligor": COMPANY | {"value": "o"},
        "currency": "CNY",
        "face_minor": 1,
        "issue_date": "2026-01-01",
        "due_date": "2026-02-01",
    }
    return msgspec.convert(item | changes, HistoryItem)


@given(STANDINGS)
def test_a_limit_is_the_smallest_ceiling(standing: ObligorStanding) -> None:
    """It is one of its parts, the smallest; expected loss stays in its budget; the book stays spread."""
    decided = decide_limit(standing)
    assert decided.limit_minor == min(decided.parts.values()) == decided.parts[decided.cause]
    loss = decided.limit_minor * standing.pd_ppm * standing.lgd_bps
    assert loss <= rules.POLICY.expected_loss_budget_minor * 10**10
    assert 0 <= decided.limit_minor <= 200_000_000_000 * 2 // 100


@given(STANDINGS)
def test_a_limit_grows_in_steps_and_falls_at_once(standing: ObligorStanding) -> None:
    """Upwards 20 % for each whole month of thirty days, at least up to the first line; downwards nothing brakes."""
    limit_minor = decide_limit(standing).limit_minor
    if standing.previous_limit_minor is None:
        assert limit_minor <= rules.POLICY.first_line_minor
    else:
        months = min(standing.days_since_change // 30, 12)
        ceiling = max(rules.POLICY.first_line_minor, standing.previous_limit_minor * 12**months // 10**months)
        assert limit_minor <= ceiling
    worst = ObligorStanding(1_000_000, 10_000, 0, 0, standing.previous_limit_minor, standing.days_since_change)
    assert decide_limit(worst).limit_minor <= 20_000_000


def test_a_newcomer_is_given_its_first_line_as_turnover() -> None:
    """Without purchases in the year, 2,000,000.00 a year counts, for a month at the least."""
    decided = decide_limit(ObligorStanding(500, 4_000, 0, 0, None, 0))
    assert (decided.cause, decided.limit_minor) == ("turnover", 200_000_000 * 30 // 365)
    own = RiskTerms(first_line_minor=7)
    assert decide_limit(ObligorStanding(500, 4_000, 10**12, 60, None, 0), policy=own).limit_minor == 7


def test_a_good_fact_has_no_faults() -> None:
    """Open, settled today, settled before it was issued (a prepayment), due the day it was issued."""
    for changes in ({}, {"settled_date": "2026-03-02"}, {"settled_date": "2025-12-31"}, {"due_date": "2026-01-01"}):
        assert rules.history_faults(past(**changes), today=TODAY, at="/items/0") == []


def test_all_faults_are_told_at_once() -> None:
    """Each with its place."""
    bad = {"scheme": "lei", "value": "x"}
    item = past(
        seller=bad,
        obligor=bad,
        currency="XXX",
        issue_date="2026-03-03",
        due_date="2026-03-02",
        settled_date="2026-03-03",
    )
    faults = rules.history_faults(item, today=TODAY, at="/items/4")
    assert [(fault.code, fault.pointer) for fault in faults] == [
        ("bad_lei", "/items/4/seller/value"),
        ("bad_lei", "/items/4/obligor/value"),
        ("unknown_currency", "/items/4/currency"),
        ("due_before_issue", "/items/4/due_date"),
        ("issue_in_future", "/items/4/issue_date"),
        ("settled_in_future", "/items/4/settled_date"),
    ]
