"""A payment on its way out: who may move it from one state to the next, and what a bank's answer does to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import ClassVar


class PaymentRefused(Exception):
    """Base of what is refused about a payment."""

    code: ClassVar[str] = "payment_refused"


class WrongState(PaymentRefused):
    """The payment cannot go there from where it is."""

    code = "wrong_state"


class OwnPayment(PaymentRefused):
    """Whoever proposed a payment does not approve it."""

    code = "own_payment"


class UnknownPayment(PaymentRefused):
    """The bank answers for a payment that nobody made."""

    code = "unknown_payment"


class State(StrEnum):
    """Where a payment is. Paid may still be returned; failed and cancelled are final."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    INSTRUCTED = "instructed"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETURNED = "returned"


NEXT: Mapping[State, frozenset[State]] = {
    State.PROPOSED: frozenset({State.APPROVED, State.CANCELLED}),
    State.APPROVED: frozenset({State.SCHEDULED, State.CANCELLED}),
    State.SCHEDULED: frozenset({State.INSTRUCTED, State.CANCELLED}),
    State.INSTRUCTED: frozenset({State.IN_TRANSIT, State.PAID, State.FAILED}),
    State.IN_TRANSIT: frozenset({State.PAID, State.FAILED}),
    State.PAID: frozenset({State.RETURNED}),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
    State.RETURNED: frozenset(),
}

ANSWERS: Mapping[str, State | None] = {
    "RCVD": None,
    "PDNG": None,
    "ACTC": None,
    "ACCP": None,
    "ACFC": None,
    "ACWC": None,
    "PART": None,
    "ACSP": State.IN_TRANSIT,
    "ACWP": State.IN_TRANSIT,
    "ACSC": State.PAID,
    "ACCC": State.PAID,
    "RJCT": State.FAILED,
    "CANC": State.FAILED,
}
"""ISO 20022 ExternalPaymentTransactionStatus: what is only received or checked leaves a payment where it is."""

AFTER_TRANSIT = frozenset({State.PAID, State.FAILED, State.RETURNED})
"""Where an answer that comes late, "in transit", says nothing new."""


@dataclass(frozen=True, slots=True)
class Payment:
    """A credit transfer. `payment_id` is the end-to-end id: at most 35 characters, ours, used once."""

    payment_id: str
    amount_minor: int
    currency: str
    creditor_name: str
    creditor_account: str
    execution_date: date
    remittance: str = ""
    creditor_reference: str = ""
    creditor_agent: str = ""


def check_move(state: State, *, to: State) -> None:
    """Refuse a step that the life of a payment does not have (`WrongState`)."""
    if to not in NEXT[state]:
        raise WrongState(f"A payment that is {state} cannot become {to}.")


def check_approval(state: State, *, proposed_by: str, approved_by: str) -> None:
    """Refuse to approve what is not proposed (`WrongState`), or what one proposed oneself (`OwnPayment`)."""
    check_move(state, to=State.APPROVED)
    if approved_by == proposed_by:
        raise OwnPayment("Somebody else has to approve what you proposed.")


def needs_approval(amount_minor: int, *, above_minor: int) -> bool:
    """Whether a second person has to approve: from one minor unit above the limit on."""
    return amount_minor > above_minor


def answered(state: State, *, status: str) -> State:
    """The state after the bank's answer `status` (ISO 20022 code); a repeated or older answer changes nothing.

    Refuses `WrongState` for a status of no known meaning, and for an answer that contradicts a final one.
    """
    if status not in ANSWERS:
        raise WrongState(f"The status {status!r} has no meaning here.")
    to = ANSWERS[status]
    if to is None or to is state or (to is State.IN_TRANSIT and state in AFTER_TRANSIT):
        return state
    if to is State.PAID and state is State.RETURNED:
        return state
    check_move(state, to=to)
    return to
