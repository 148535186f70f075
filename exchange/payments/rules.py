"""When money may leave, to whom, who has to agree; what a bank's line says of a payment; when silence is alarming."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from exchange.banking.pain001 import BIC, IBAN
from exchange.banking.payments import State
from exchange.errors import Fault, Refusal, Refused
from exchange.schedules.calendars import Convention, add_business_days, adjust
from exchange.schedules.refusals import ScheduleRefused

DOMESTIC = re.compile(r"[0-9A-Z]{6,34}", re.ASCII)
CNAPS = re.compile(r"[0-9]{12}", re.ASCII)
SAME_DAY = Convention.FOLLOWING

ACCOUNT_REASONS = frozenset({"AC01", "AC03", "AC04", "AC06", "AC07", "AC13", "AC14", "BE01", "RC01", "RC04"})
"""ISO 20022 reasons that speak of the account or its holder: nothing more goes there until somebody has looked."""


class Kind(StrEnum):
    """Why money leaves: what a seller is owed, what a funder asks back, what nobody could place."""

    PRICE = "price"
    WITHDRAWAL = "withdrawal"
    REFUND = "refund"


class InsufficientCash(Refusal):
    """The party has not that much, or has to keep it for what it owes."""

    code = "insufficient_cash"
    title = "There is not enough money to pay this"


class NoPayoutAccount(Refusal):
    """No approved account of the party in this currency can be used yet."""

    code = "no_payout_account"
    title = "There is no account to pay to"


class AccountAwaited(Refusal):
    """An account of the party in this currency waits for its second person already."""

    code = "account_awaited"
    title = "Another account waits for approval"


class NotRefundable(Refusal):
    """The receipt has nothing that could go back, or nobody knows where to."""

    code = "not_refundable"
    title = "The receipt cannot be refunded"


class NothingToPay(Refusal):
    """No payment waits for its file."""

    code = "nothing_to_pay"
    title = "No payment is due"


class NoDebtor(Refusal):
    """The policy does not say in whose name this account pays."""

    code = "no_debtor"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The policy names no debtor for this account"


class AnswerRefused(Refusal):
    """The bank's answer is not taken; the fault has the reader's code and the place in the file."""

    code = "answer_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The bank's answer cannot be taken"


class AnswerContradicts(Refusal):
    """The answer says of a payment what cannot be any more."""

    code = "answer_contradicts"
    title = "The answer contradicts what is known"


class CalendarUnknown(Refusal):
    """The calendar does not know the year in which the payment would be made."""

    code = "calendar_year_unknown"
    title = "No business day can be told"


class NotCancellable(Refusal):
    """A bank may have carried it out already, or it is over."""

    code = "not_cancellable"
    title = "The payment cannot be cancelled"


class Amount(Struct, forbid_unknown_fields=True, frozen=True):
    """An amount of a currency."""

    currency: str
    amount_minor: int


class Payer(Struct, forbid_unknown_fields=True, frozen=True):
    """In whose name a collection account pays, and at which bank (BIC or CNAPS) it is."""

    account: str
    name: str
    agent: str = ""


class Policy(Struct, forbid_unknown_fields=True, frozen=True):
    """What is in force. Before the first version a second person approves everything, and nothing leaves by itself.

    `approve_above` gives the sum to one party a day above which a second person approves; `pay_from` the cash from
    which on sellers are paid by the daily job. `late_share_bps` of an originator's obligors, and no fewer than
    `late_obligors`, whose money has not come `advice_days` business days after it was due, are an alarm.
    """

    approve_above: tuple[Amount, ...] = ()
    pay_from: tuple[Amount, ...] = ()
    payers: tuple[Payer, ...] = ()
    cut_off: str = "16:00"
    cooling_days: int = 1
    calendar: str = "CN"
    most_payments: int = 5_000
    advice_days: int = 3
    late_share_bps: int | None = None
    late_obligors: int = 3


@dataclass(frozen=True, slots=True)
class Creditor:
    """Where money goes."""

    name: str
    account: str
    agent: str = ""


def account_faults(creditor: Creditor, *, at: str = "") -> list[Fault]:
    """Why money cannot be sent there: an IBAN with wrong check digits (ISO 13616), a number without its bank."""
    if creditor.agent and not BIC.fullmatch(creditor.agent) and not CNAPS.fullmatch(creditor.agent):
        return [Fault("bad_agent", f"{at}/agent", "a BIC (ISO 9362) or the 12 digits of CNAPS", creditor.agent)]
    if IBAN.fullmatch(creditor.account):
        return (
            [] if is_iban(creditor.account) else [_bad_account(at, "the check digits of the IBAN are wrong", creditor)]
        )
    if not DOMESTIC.fullmatch(creditor.account):
        return [_bad_account(at, "an IBAN, or 6 to 34 digits and capitals", creditor)]
    if not creditor.agent:
        return [Fault("agent_missing", f"{at}/agent", "say at which bank the number is: BIC or CNAPS")]
    return []


def is_iban(account: str) -> bool:
    """Whether the check digits are right (ISO 13616: ISO 7064 MOD 97-10 over the account with its head at the end)."""
    turned = account[4:] + account[:4]
    return IBAN.fullmatch(account) is not None and int("".join(str(int(one, 36)) for one in turned)) % 97 == 1


def masked(account: str) -> str:
    """An account number by its last four characters."""
    return "*" * max(len(account) - 4, 4) + account[-4:]


def limit_minor(amounts: tuple[Amount, ...], currency: str) -> int | None:
    """The amount of a currency in a policy's list."""
    return next((one.amount_minor for one in amounts if one.currency == currency), None)


def execution_date(now: datetime, *, policy: Policy, time_zone: str) -> date:
    """The first day on which a bank can carry out what it is told now: today until the cut-off, on a business day.

    Refuses `CalendarUnknown`.
    """
    local = now.astimezone(ZoneInfo(time_zone))
    late = local.time() >= time.fromisoformat(policy.cut_off)
    first = local.date() + timedelta(days=int(late))
    try:
        return adjust(first, calendar=policy.calendar, convention=SAME_DAY)
    except ScheduleRefused as refused:
        raise CalendarUnknown(f"{refused}") from None


def days_later(day: date, count: int, *, policy: Policy) -> date:
    """The business day `count` business days after `day`; 0: `day` itself (`CalendarUnknown`)."""
    try:
        return add_business_days(day, count, calendar=policy.calendar)
    except ScheduleRefused as refused:
        raise CalendarUnknown(f"{refused}") from None


def days_before(day: date, count: int, *, policy: Policy) -> date:
    """The business day `count` business days before `day` (`CalendarUnknown`)."""
    try:
        for _ in range(count):
            day = adjust(day - timedelta(days=1), calendar=policy.calendar, convention=Convention.PRECEDING)
    except ScheduleRefused as refused:
        raise CalendarUnknown(f"{refused}") from None
    return day


def approval_fault(*, state: State | None, made_by: str | None, client_id: str, may: bool, at: str) -> Refused | None:
    """Why `client_id` cannot decide, as (status, fault): nothing there, decided before, or by whoever proposed it."""
    if state is None or not may:
        return 404, Fault("not_found", at, "nothing of yours")
    if state is not State.PROPOSED:
        return 409, Fault("wrong_state", at, f"nobody has to decide: it is {state}")
    if made_by == client_id:
        return 409, Fault("own_payment", at, "somebody else has to approve what you proposed")
    return None


def why_not_paid(state: State, *, amount_minor: int, line_minor: int) -> str | None:
    """Why a line of money that left does not confirm the payment it names; None if it does."""
    if line_minor != -amount_minor:
        return "amount_differs"
    if state in {State.INSTRUCTED, State.IN_TRANSIT, State.PAID}:
        return None
    return f"payment_{state}"


def why_not_returned(state: State, *, amount_minor: int, line_minor: int) -> str | None:
    """Why a line of money that came does not bring back the payment it names; None if it does."""
    if line_minor != amount_minor:
        return "amount_differs"
    return None if state in {State.INSTRUCTED, State.IN_TRANSIT, State.PAID} else f"payment_{state}"


def late_share(late: int, asked: int, *, policy: Policy) -> int | None:
    """The share (bps) of obligors that are late at once, if that is alarming."""
    if policy.late_share_bps is None or late < max(policy.late_obligors, 1):
        return None
    share_bps = late * 10_000 // asked
    return share_bps if share_bps >= policy.late_share_bps else None


def alarm_state(alarm: Mapping[Any, Any]) -> str:
    """Raised, acknowledged by somebody, or cleared by the money itself."""
    if alarm["cleared_at"] is not None:
        return "cleared"
    return "raised" if alarm["acknowledged_at"] is None else "acknowledged"


def policy_faults(policy: Policy) -> list[Fault]:
    """What contradicts itself in a policy."""
    faults = []
    for name in ("approve_above", "pay_from"):
        known = [one.currency for one in getattr(policy, name)]
        if len(known) != len(set(known)):
            faults.append(Fault("currency_twice", f"/{name}", "each currency once"))
    if len({one.account for one in policy.payers}) != len(policy.payers):
        faults.append(Fault("account_twice", "/payers", "each account once"))
    return faults


def _bad_account(at: str, message: str, creditor: Creditor) -> Fault:
    return Fault("bad_account", f"{at}/account", message, creditor.account)
