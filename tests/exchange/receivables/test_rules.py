"""What makes a receivable acceptable, and two of them the same."""

from datetime import date, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import Fault
from exchange.receivables import rules
from exchange.receivables.schemas import Policy, SubmissionItem
from tests.exchange.house import receivable

TODAY = date(2026, 3, 2)
DAYS = st.integers(-4000, 4000).map(lambda days: TODAY + timedelta(days=days))


def item(**changes: Any) -> SubmissionItem:  # noqa: ANN401 - whatever JSON holds
    """A submission as it is decoded."""
    return msgspec.convert(receivable("INV-1", **changes), SubmissionItem)


def faults(**changes: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - same
    """Code and pointer of everything that is wrong with a changed submission."""
    return shown(rules.submission_faults(item(**changes), policy=Policy(), today=TODAY, at="/items/7"))


def shown(found: list[Fault]) -> list[tuple[str, str]]:
    """Code and pointer of each."""
    return [(fault.code, fault.pointer) for fault in found]


def test_a_good_submission_has_no_faults() -> None:
    """With or without documents and confirmation."""
    assert faults() == faults(confirmation=None) == faults(issue_date="1970-01-01", due_date="1970-01-01") == []


def test_all_faults_are_told_at_once() -> None:
    """One answer names everything, each at its place."""
    company = {"scheme": "uscc", "value": "91310000X"}
    found = faults(
        seller=company,
        obligor=company,
        issue_date="2026-03-03",
        due_date="2026-03-01",
        currency="XXX",
        invoice_number="—",
        confirmation={"grade": "deemed", "confirmed_date": "2026-03-03"},
    )
    assert found == [
        ("bad_uscc", "/items/7/seller/value"),
        ("bad_uscc", "/items/7/obligor/value"),
        ("issue_in_future", "/items/7/issue_date"),
        ("due_before_issue", "/items/7/due_date"),
        ("unknown_currency", "/items/7/currency"),
        ("self_dealing", "/items/7/obligor/value"),
        ("bad_invoice_number", "/items/7/invoice_number"),
        ("confirmed_date_out_of_range", "/items/7/confirmation/confirmed_date"),
    ]


def test_one_company_under_two_schemes_is_two_names() -> None:
    """Only the same scheme and value are the same company."""
    assert faults(seller={"scheme": "platform", "value": "x"}, obligor={"scheme": "platform", "value": "X"}) == []


@given(DAYS, DAYS, DAYS)
def test_dates_are_held_against_each_other(issue: date, due: date, confirmed: date) -> None:
    """Issue not in the future, due not before it nor ten years after, confirmed between issue and today."""
    expected = {
        "issue_in_future": issue > TODAY,
        "due_before_issue": due < issue,
        "tenor_too_long": (due - issue).days > 3650,
        "confirmed_date_out_of_range": not issue <= confirmed <= TODAY,
    }
    found = faults(
        issue_date=issue.isoformat(),
        due_date=due.isoformat(),
        confirmation={"grade": "explicit", "confirmed_date": confirmed.isoformat()},
    )
    assert {code for code, _ in found} == {code for code, broken in expected.items() if broken}
