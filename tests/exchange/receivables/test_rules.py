"""What makes a receivable acceptable, and two of them the same."""

import unicodedata
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exchange.errors import Fault
from exchange.receivables import rules
from exchange.receivables.schemas import ConfirmationItem, SubmissionItem
from tests.exchange.house import receivable

TODAY = date(2026, 3, 2)
ASSET = "ast_01h455vb4pex5vsknk084sn02q"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
HANGUL = st.text(st.sampled_from("\u1100\u1161\u11a8-\uac00\u0301A0"), max_size=8)
PARTS = st.lists(TEXT, max_size=4).map(tuple)
DAYS = st.integers(-4000, 4000).map(lambda days: TODAY + timedelta(days=days))


def item(**changes: Any) -> SubmissionItem:  # noqa: ANN401 - whatever JSON holds
    """A submission as it is decoded."""
    return msgspec.convert(receivable("INV-1", **changes), SubmissionItem)


def faults(**changes: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - same
    """Code and pointer of everything that is wrong with a changed submission."""
    return shown(rules.submission_faults(item(**changes), today=TODAY, at="/items/7"))


def shown(found: list[Fault]) -> list[tuple[str, str]]:
    """Code and pointer of each."""
    return [(fault.code, fault.pointer) for fault in found]


@given(st.one_of(TEXT, HANGUL))
@example("\u1100-\u1161")
@example("ﬁ-Ⅻ-ß-ŉ")
def test_normalising_twice_changes_nothing(number: str) -> None:
    """A number that was normalised is normal."""
    once = rules.normalised_number(number)
    assert rules.normalised_number(once) == once


@given(st.from_regex(r"[1-9A-Z][0-9A-Z]{0,11}", fullmatch=True), st.data())
def test_spellings_of_one_number_agree(number: str, data: st.DataObject) -> None:
    """Width, case, punctuation and leading zeros make no other invoice."""
    marks = st.text(st.sampled_from(" -_/.#:—·－　"), max_size=2)
    written = "0" * data.draw(st.integers(0, 3))
    for character in number:
        wide = chr(ord(character) + 0xFEE0)
        written += data.draw(marks) + data.draw(st.sampled_from([character, character.lower(), wide]))
    assert rules.normalised_number(written) == number.lower()


@given(*[st.from_regex(r"[a-z1-9][a-z0-9]{0,9}", fullmatch=True)] * 2)
def test_different_numbers_stay_different(one: str, other: str) -> None:
    """Normalisation takes away nothing but spelling."""
    assert (rules.normalised_number(one) == rules.normalised_number(other)) == (one == other)


@pytest.mark.parametrize(
    ("number", "normal"),
    [("", ""), ("-/ .", ""), ("0", "0"), ("00-0", "0"), ("100", "100"), ("№ 0012", "no0012"), ("É\u0301", "é")],
)
def test_edges_of_normalisation(number: str, normal: str) -> None:
    """Zeros alone stay one zero; without a letter or digit nothing is left."""
    assert rules.normalised_number(number) == normal


@given(TEXT, PARTS, TEXT, PARTS)
@example("invoice", ("ab", "c"), "invoice", ("a", "bc"))
@example("a", ("b",), "ab", ())
@example("", ("",), "", ())
def test_fingerprints_are_injective(kind: str, parts: tuple[str, ...], kind2: str, parts2: tuple[str, ...]) -> None:
    """Only equal kinds and parts have equal fingerprints, wherever the text is cut."""
    one = rules.fingerprint(b"key", kind=kind, parts=parts)
    other = rules.fingerprint(b"key", kind=kind2, parts=parts2)
    assert (one == other) == ((kind, parts) == (kind2, parts2))


def test_fingerprints_need_the_key() -> None:
    """Without the key a fingerprint tells nothing: another key gives another one."""
    prints = {rules.fingerprint(bytes([key]) * 32, kind="invoice", parts=("a",)) for key in range(50)}
    assert {len(one) for one in prints} == {32}
    assert len(prints) == 50


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


@pytest.mark.parametrize(
    ("outcome", "reason", "day", "expected"),
    [
        ("accepted", msgspec.UNSET, 2, []),
        ("refused", "wrong goods", 1, []),
        ("refused", msgspec.UNSET, 2, [("reason_missing", "/items/0/reason")]),
        ("accepted", "why not", 2, [("reason_unexpected", "/items/0/reason")]),
        (
            "refused",
            msgspec.UNSET,
            3,
            [("confirmed_date_out_of_range", "/items/0/confirmed_date"), ("reason_missing", "/items/0/reason")],
        ),
    ],
)
def test_answers_of_obligors(outcome: Any, reason: Any, day: int, expected: list[tuple[str, str]]) -> None:  # noqa: ANN401 - literals
    """A refusal needs a reason, an acceptance has none, and the date fits."""
    answer = ConfirmationItem(ASSET, outcome, "explicit", date(2026, 3, day), reason)
    found = rules.confirmation_faults(answer, issue_date=date(2026, 3, 1), today=TODAY, at="/items/0")
    assert shown(found) == expected


def test_full_width_letters_are_what_they_look_like() -> None:
    """The example that everybody gives."""
    assert rules.normalised_number("ＩＮＶ－００１") == rules.normalised_number("inv001") == "inv001"
    assert unicodedata.normalize("NFKC", "Ｉ") == "I"
