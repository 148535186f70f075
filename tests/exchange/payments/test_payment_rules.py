"""Rules of money out, alone: days, accounts, limits, what a line says, what is alarming."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from exchange.banking.payments import ANSWERS, NEXT, State, WrongState, answered
from exchange.payments import rules
from exchange.payments.rules import Amount, CalendarUnknown, Creditor, Payer, Policy
from exchange.schedules.calendars import is_business_day

SHANGHAI = "Asia/Shanghai"
UNDER_WAY = {State.INSTRUCTED, State.IN_TRANSIT, State.PAID}


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-03-02T07:59:59", "2026-03-02"),  # 15:59 in Shanghai
        ("2026-03-02T08:00:00", "2026-03-03"),
        ("2026-04-03T08:00:00", "2026-04-07"),  # Friday evening; Qingming is free until Monday
        ("2026-02-14T01:00:00", "2026-02-14"),  # a Saturday that is worked
        ("2026-03-06T20:00:00", "2026-03-09"),  # Saturday there already
    ],
)
def test_when_a_bank_can_pay(moment: str, day: str) -> None:
    """Today until the cut-off, on a business day."""
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert rules.execution_date(now, policy=Policy(), time_zone=SHANGHAI) == date.fromisoformat(day)


def test_a_year_the_calendar_does_not_know() -> None:
    """Is refused, whichever way the days are counted."""
    far = datetime(2099, 1, 5, tzinfo=UTC)
    with pytest.raises(CalendarUnknown):
        rules.execution_date(far, policy=Policy(), time_zone=SHANGHAI)
    with pytest.raises(CalendarUnknown):
        rules.days_later(far.date(), 1, policy=Policy())
    with pytest.raises(CalendarUnknown):
        rules.days_before(far.date(), 1, policy=Policy())
    assert rules.days_later(far.date(), 0, policy=Policy()) == far.date()


@given(count=st.integers(0, 8), day=st.dates(date(2025, 3, 1), date(2026, 10, 1)))
def test_days_there_and_back(count: int, day: date) -> None:
    """From a business day so many later and so many back is that day."""
    assume(is_business_day(day, calendar="CN"))
    later = rules.days_later(day, count, policy=Policy())
    assert rules.days_before(later, count, policy=Policy()) == day


@pytest.mark.parametrize(
    ("creditor", "code"),
    [
        (Creditor("x", "DE89370400440532013000"), None),
        (Creditor("x", "DE88370400440532013000"), "bad_account"),
        (Creditor("x", "6228000111122223333", "BKCHCNBJ"), None),
        (Creditor("x", "6228000111122223333", "102100099996"), None),
        (Creditor("x", "6228000111122223333"), "agent_missing"),
        (Creditor("x", "6228000111122223333", "BKCH"), "bad_agent"),
        (Creditor("x", "12 34", "BKCHCNBJ"), "bad_account"),
        (Creditor("x", "１２３４５６７８", "BKCHCNBJ"), "bad_account"),
    ],
)
def test_where_money_can_be_sent(creditor: Creditor, code: str | None) -> None:
    """To an IBAN whose check digits are right, or to a number at a named bank."""
    assert [fault.code for fault in rules.account_faults(creditor)] == ([code] if code else [])


@given(at=st.integers(4, 21), digit=st.sampled_from("0123456789"))
def test_an_iban_with_a_wrong_digit(at: int, digit: str) -> None:
    """Whichever single digit is wrong, the check digits tell."""
    good = "DE89370400440532013000"
    changed = good[:at] + digit + good[at + 1 :]
    assert rules.is_iban(changed) == (changed == good)


def test_masks() -> None:
    """The last four characters are shown, of a short number too little to guess from."""
    assert rules.masked("6228000111122223333") == "*" * 15 + "3333"
    assert rules.masked("123456") == "****3456"


@pytest.mark.parametrize("state", State)
def test_what_lines_say(state: State) -> None:
    """A line confirms or returns what a bank was told of, of the very amount, and nothing else."""
    assert rules.why_not_paid(state, amount_minor=5, line_minor=-6) == "amount_differs"
    assert rules.why_not_returned(state, amount_minor=5, line_minor=6) == "amount_differs"
    expected = None if state in UNDER_WAY else f"payment_{state}"
    assert rules.why_not_paid(state, amount_minor=5, line_minor=-5) == expected
    assert rules.why_not_returned(state, amount_minor=5, line_minor=5) == expected


@given(statuses=st.lists(st.sampled_from(sorted(ANSWERS)), max_size=8))
def test_answers_never_leave_the_life_of_a_payment(statuses: list[str]) -> None:
    """In whatever order answers come, each leads along `NEXT` or is refused; a late "in transit" changes nothing."""
    state = State.INSTRUCTED
    for status in statuses:
        try:
            after = answered(state, status=status)
        except WrongState:
            assert ANSWERS[status] in {State.PAID, State.FAILED}
            continue
        assert after is state or after in NEXT[state]
        state = after


def test_when_lateness_is_alarming() -> None:
    """From the policy's share on, of no fewer than its number of obligors; never without a policy."""
    policy = Policy(late_share_bps=3_000, late_obligors=3)
    assert rules.late_share(3, 10, policy=policy) == 3_000
    assert rules.late_share(3, 11, policy=policy) is None
    assert rules.late_share(2, 2, policy=policy) is None
    assert rules.late_share(9, 9, policy=Policy()) is None


def test_a_policy_that_contradicts_itself() -> None:
    """A currency or an account twice."""
    twice = (Amount("CNY", 1), Amount("CNY", 2))
    faults = rules.policy_faults(Policy(approve_above=twice, pay_from=twice, payers=(Payer("1", "a"), Payer("1", "b"))))
    assert [fault.pointer for fault in faults] == ["/approve_above", "/pay_from", "/payers"]
    assert rules.policy_faults(Policy()) == []


def test_the_state_of_an_alarm() -> None:
    """Cleared by the money, whoever acknowledged it."""
    now = datetime(2026, 3, 2, tzinfo=UTC)
    assert rules.alarm_state({"cleared_at": None, "acknowledged_at": None}) == "raised"
    assert rules.alarm_state({"cleared_at": None, "acknowledged_at": now}) == "acknowledged"
    assert rules.alarm_state({"cleared_at": now, "acknowledged_at": now}) == "cleared"


def test_who_may_decide() -> None:
    """What is not there or not one's own is not found; what is decided, or one's own proposal, is refused."""
    at = "/items/0/payment_id"

    def code(state: State | None, made_by: str | None, *, may: bool = True) -> str | None:
        fault = rules.approval_fault(state=state, made_by=made_by, client_id="cli_a", may=may, at=at)
        return fault[1].code if fault else None

    assert code(None, None) == code(State.PROPOSED, "cli_b", may=False) == "not_found"
    assert code(State.SCHEDULED, "cli_b") == "wrong_state"
    assert code(State.PROPOSED, "cli_a") == "own_payment"
    assert code(State.PROPOSED, "cli_b") is None
    assert code(State.PROPOSED, None) is None
