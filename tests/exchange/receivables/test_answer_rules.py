"""Whose answer counts, for how much, by when; what a link is made of; what people write."""

from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exchange.currencies import MINOR_DIGITS
from exchange.errors import Fault
from exchange.receivables import rules
from exchange.receivables.rules import GRADES, Answer, Silence, Stated
from exchange.receivables.schemas import REASON_CODES, ApprovalItem, ApprovalRule, Policy, SilenceRule

TODAY = date(2026, 3, 2)
ISSUED, DUE = date(2026, 3, 1), date(2026, 5, 1)
ASSET = "ast_01h455vb4pex5vsknk084sn02q"
REQUEST = "crq_01h455vb4pex5vsknk084sn02q"
STATED = Stated("CNY", 1000, ISSUED, DUE)
MOMENT = datetime(2026, 3, 2, 9, tzinfo=UTC)
DELIVERY = {"kind": "delivery_note", "sha256": "d" * 64}
CONTRACT = {"kind": "contract", "sha256": "c" * 64}
INVOICE = {"kind": "invoice", "sha256": "1" * 64}


def codes(answer: Answer) -> list[tuple[str, str]]:
    """Code and pointer of each fault."""
    return shown(rules.answer_faults(answer, stated=STATED, today=TODAY, at=""))


def shown(found: list[Fault]) -> list[tuple[str, str]]:
    """Code and pointer of each."""
    return [(fault.code, fault.pointer) for fault in found]


def said(outcome: str, **changes: Any) -> Answer:  # noqa: ANN401 - terms of an answer
    """An answer given today."""
    return Answer(ASSET, outcome, "explicit", TODAY)._replace(**changes)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said("accepted"), []),
        (said("refused", reason="wrong goods"), []),
        (said("refused", reason_code="not_ordered"), []),
        (said("corrected", face_minor=999, reason_code="price"), []),
        (said("corrected", face_minor=1, due_date=ISSUED, reason_code="other", reason="agreed by phone"), []),
        (said("corrected", due_date=date(2026, 4, 1), reason_code="due_date"), []),
        (said("corrected", face_minor=1000, due_date=date(2036, 2, 27), reason_code="due_date"), []),
        (said("refused"), [("reason_missing", "/reason")]),
        (said("refused", reason_code="other"), [("reason_missing", "/reason")]),
        (said("accepted", reason="why not"), [("reason_unexpected", "/reason")]),
        (said("accepted", reason_code="price"), [("reason_unexpected", "/reason_code")]),
        (
            said("accepted", face_minor=1000, due_date=DUE),
            [("terms_unexpected", "/face_minor"), ("terms_unexpected", "/due_date")],
        ),
        (said("refused", face_minor=1, reason="no"), [("terms_unexpected", "/face_minor")]),
        (said("corrected", reason_code="price"), [("nothing_corrected", "/outcome")]),
        (said("corrected", face_minor=1000, due_date=DUE, reason_code="price"), [("nothing_corrected", "/outcome")]),
        (said("corrected", face_minor=1001, reason_code="price"), [("face_above_stated", "/face_minor")]),
        (said("corrected", face_minor=1), [("reason_missing", "/reason_code")]),
        (said("corrected", face_minor=1, reason="words"), [("reason_missing", "/reason_code")]),
        (said("corrected", face_minor=1, reason_code="other"), [("reason_missing", "/reason")]),
        (said("corrected", due_date=date(2026, 2, 28), reason_code="due_date"), [("due_before_issue", "/due_date")]),
        (said("corrected", due_date=date(2036, 2, 28), reason_code="due_date"), [("tenor_too_long", "/due_date")]),
        (
            said("refused", confirmed_date=date(2026, 3, 3)),
            [("confirmed_date_out_of_range", "/confirmed_date"), ("reason_missing", "/reason")],
        ),
        (said("accepted", confirmed_date=date(2026, 2, 28)), [("confirmed_date_out_of_range", "/confirmed_date")]),
    ],
)
def test_faults_of_an_answer(answer: Answer, expected: list[tuple[str, str]]) -> None:
    """A correction says what and why, a refusal why, an acceptance nothing; each fault has its place."""
    assert codes(answer) == expected


@given(
    st.sampled_from(["accepted", "corrected", "refused"]),
    st.none() | st.integers(1, 2000),
    st.none() | st.integers(-90, 90).map(lambda days: DUE + timedelta(days=days)),
    st.none() | st.sampled_from(REASON_CODES),
    st.none() | st.just("words"),
)
def test_a_good_answer_never_raises_what_is_owed(
    outcome: str, face_minor: int | None, due_date: date | None, code: str | None, words: str | None
) -> None:
    """Whatever passes owes at most what was stated, not before the issue, and changes something if it corrects."""
    answer = Answer(ASSET, outcome, "explicit", TODAY, face_minor, due_date, code, words)
    if codes(answer):
        return
    owed, by = face_minor or STATED.face_minor, due_date or STATED.due_date
    assert 0 < owed <= STATED.face_minor
    assert by >= ISSUED
    assert ((owed, by) != (STATED.face_minor, DUE)) == (outcome == "corrected")
    assert (code is None and words is None) == (outcome == "accepted")


def test_grades_have_one_order() -> None:
    """Stronger evidence serves whoever asks for weaker, never the other way round; who names none takes none."""
    for weaker, stronger in combinations(GRADES, 2):
        assert rules.at_least(stronger, [weaker])
        assert not rules.at_least(weaker, [stronger])
        assert rules.at_least(weaker, [stronger, weaker])
    assert all(rules.at_least(grade, [grade]) for grade in GRADES)
    assert not rules.at_least("explicit_key", [])


def test_who_needs_a_second_client() -> None:
    """Above the amount, in that currency; zero means all of them."""
    policy = Policy(approvals=(ApprovalRule("CNY", 500), ApprovalRule("JPY", 0)))
    asked = [("CNY", 500), ("CNY", 501), ("JPY", 1), ("EUR", 10**12)]
    needed = [rules.needs_approval(policy, currency=currency, face_minor=face) for currency, face in asked]
    assert needed == [False, True, True, False]
    assert not rules.needs_approval(Policy(), currency="CNY", face_minor=10**12)


@pytest.mark.parametrize(
    ("outcome", "reason", "made_by", "decided", "code"),
    [
        ("approved", "", "cli_other", False, None),
        ("declined", "no order", "cli_other", False, None),
        ("approved", "", None, False, "not_found"),
        ("approved", "", "cli_other", True, "already_decided"),
        ("approved", "", "cli_me", False, "own_submission"),
        ("declined", "no order", "cli_me", False, "own_submission"),
        ("approved", "", "cli_me", True, "already_decided"),
        ("declined", "", "cli_other", False, "reason_missing"),
        ("approved", "fine", "cli_other", False, "reason_unexpected"),
    ],
)
def test_four_eyes(outcome: Any, reason: str, made_by: str | None, decided: bool, code: str | None) -> None:  # noqa: ANN401, FBT001 - literals, parametrised
    """Somebody else decides, once, and declining says why."""
    item = ApprovalItem(ASSET, outcome, reason)
    fault = rules.decision_fault(item, made_by=made_by, decided=decided, client_id="cli_me", at="/items/0")
    assert (fault.code if fault else None) == code


def test_what_is_not_approved_cannot_be_answered() -> None:
    """Awaited and declined are different reasons."""
    found = [rules.approval_fault(approval, at="/x", value=ASSET).code for approval in ("awaited", "declined")]
    assert found == ["awaiting_approval", "approval_declined"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(), []),
        (Policy(approvals=(ApprovalRule("CNY", 0), ApprovalRule("EUR", 5))), []),
        (Policy(approvals=(ApprovalRule("XXX", 0),)), [("unknown_currency", "/approvals/0/currency")]),
        (
            Policy(approvals=(ApprovalRule("CNY", 0), ApprovalRule("CNY", 5))),
            [("named_twice", "/approvals/1/currency")],
        ),
        (Policy(silence=(SilenceRule("a", "CL"), SilenceRule("b", "CN", 15), SilenceRule("c", "BR", 10))), []),
        (Policy(silence=(SilenceRule("a", "CL"), SilenceRule("a", "CN", 15))), [("named_twice", "/silence/1/product")]),
        (Policy(silence=(SilenceRule("a", "CN"),)), [("days_missing", "/silence/0/after_days")]),
        (Policy(silence=(SilenceRule("a", "BR", 9),)), [("days_too_few", "/silence/0/after_days")]),
    ],
)
def test_faults_of_a_policy(policy: Policy, expected: list[tuple[str, str]]) -> None:
    """No rule twice; never fewer days than the law gives; days of the contract where there is no law."""
    assert shown(rules.policy_faults(policy)) == expected


@pytest.mark.parametrize(
    ("clock", "papers", "expected"),
    [
        (SilenceRule("p", "CL"), [INVOICE, CONTRACT, DELIVERY], Silence(date(2026, 3, 10), "d" * 64, "CL")),
        (SilenceRule("p", "BR"), [CONTRACT], Silence(date(2026, 3, 12), "c" * 64, "BR")),
        (SilenceRule("p", "CL", 30), [DELIVERY], Silence(date(2026, 4, 1), "d" * 64, "CL")),
        (SilenceRule("p", "CL"), [INVOICE], None),
        (SilenceRule("p", "CN", 15), [CONTRACT, DELIVERY], Silence(date(2026, 3, 17), "c" * 64, "CN")),
        (SilenceRule("p", "CN", 15), [DELIVERY, INVOICE], None),
        (SilenceRule("q", "CL"), [DELIVERY], None),
    ],
)
def test_when_silence_counts(clock: SilenceRule, papers: list[dict[str, str]], expected: Silence | None) -> None:
    """By law with proof of delivery or a contract; by contract only with the contract; for that product alone."""
    policy = Policy(silence=(SilenceRule("other", "BR"), clock))
    assert rules.silence(policy, product="p", documents=papers, asked_on=TODAY) == expected


def test_silence_is_no_answer_unless_somebody_says_so() -> None:
    """Off by default."""
    assert rules.silence(Policy(), product="p", documents=[CONTRACT, DELIVERY], asked_on=TODAY) is None


def test_papers_are_named_once() -> None:
    """What was named at submission and uploaded later is one paper."""
    assert rules.all_papers([INVOICE], [DELIVERY, INVOICE]) == [INVOICE, DELIVERY]


def token(**changes: Any) -> str:  # noqa: ANN401 - parts of a token
    """A link's token; `changes` make it another."""
    parts: dict[str, Any] = {"request_id": REQUEST, "expires_at": MOMENT, "asset_ids": [ASSET, "ast_b"]}
    key = changes.pop("key", b"k" * 32)
    return rules.link_token(key, **(parts | changes))


def test_a_token_stands_for_everything_it_names() -> None:
    """Another key, request, second of expiry or receivable makes another token; the order of receivables does not."""
    others = {
        token(key=b"l" * 32),
        token(request_id=REQUEST[:-1] + "r"),
        token(expires_at=MOMENT + timedelta(seconds=1)),
        token(asset_ids=[ASSET]),
        token(asset_ids=[ASSET, "ast_c"]),
        token(asset_ids=[ASSET, "ast_b", "ast_c"]),
    }
    assert len(others | {token()}) == 7
    assert token(asset_ids=["ast_b", ASSET]) == token()
    assert rules.request_of_token(token()) == REQUEST
    assert len(token()) == 48


@given(st.text(max_size=60))
@example("")
@example("01h455vb4pex5vsknk084sn02q" + "A" * 21)
@example("01h455vb4pex5vsknk084sn02q" + "A" * 22 + "\n")
@example("81h455vb4pex5vsknk084sn02q" + "A" * 22)
@example("０１h455vb4pex5vsknk084sn02q" + "A" * 22)
def test_what_is_no_token_names_no_request(written: str) -> None:
    """Junk is not looked up."""
    assert rules.request_of_token(written) is None


@given(st.integers(0, 10**15 - 1), st.sampled_from(sorted(MINOR_DIGITS)))
def test_amounts_are_read_as_they_are_written(minor: int, currency: str) -> None:
    """No unit is lost in any currency, with or without separators, in wide digits too."""
    written = rules.as_written(minor, currency=currency)
    wide = "".join(chr(ord(one) + 0xFEE0) for one in written)
    for spelling in (written, written.replace(",", ""), f" {written} ", wide):
        assert rules.minor_units(spelling, currency=currency) == minor


@pytest.mark.parametrize(
    ("written", "currency", "minor"),
    [
        ("9500", "CNY", 950_000),
        ("9500.", "CNY", 950_000),
        ("9500.5", "CNY", 950_050),
        ("9,500.05", "CNY", 950_005),
        ("1,000,000", "JPY", 1_000_000),
        ("1.005", "KWD", 1005),
        ("0", "CNY", 0),
        *(
            (written, "CNY", None)
            for written in ("", ".5", "1.005", "9.500,00", "1,00", "1,0000", "-1", "1e3", "¥5", "½", "٣", "1" * 16)
        ),
        ("1.0", "JPY", None),
    ],
)
def test_amounts_nobody_can_mistake(written: str, currency: str, minor: int | None) -> None:
    """What can be read in two ways, or not at all, is not read."""
    assert rules.minor_units(written, currency=currency) == minor
