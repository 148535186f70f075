"""What is compared, who looks after a difference, and what a person may say of it."""

from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

from exchange.errors import Fault, Refusal

TRANSIT_DAYS = 3
"""So long money may be on its way between the bank's statement and the books before that is a break of its own."""


class Kind(StrEnum):
    """What differs. `expected` is what the first place says, `found` what the second does."""

    BANK_BALANCE = "bank_balance"
    """The bank's closing balances with what is in transit; the books' collection account."""
    LINE_NOT_BOOKED = "line_not_booked"
    """A line of a statement for days; nothing in the books."""
    RECEIPT_IN_TRANSIT = "receipt_in_transit"
    """A receipt in the books for days; nothing on the bank's statements."""
    PAYMENT_IN_TRANSIT = "payment_in_transit"
    """A payment out of the books for days; nothing on the bank's statements."""
    RECEIPT_POSTING = "receipt_posting"
    """A receipt; its transfer from the bank in the books."""
    UNAPPLIED = "unapplied"
    """What receipts left unapplied; the books' account of it."""
    RESERVED_CASH = "reserved_cash"
    """What open offers hold of a funder's money; the books' account of it."""
    TITLE_HOLDING = "title_holding"
    """What is owed on a funder's claim; its units of the asset in the books."""
    POOL_MEMBERSHIP = "pool_membership"
    """A claim that is somebody's or offered; a live place in its pool."""
    CLAIM_FACE = "claim_face"
    """A claim's face; what is owed on it, was paid or taken off it, or is its parts'."""
    CONFIRMED_FACE = "confirmed_face"
    """What the obligor owned up to; the face of the claim."""
    RECORD_FACE = "record_face"
    """The face in the asset's signed record; the face of the claim."""
    LIMIT_USED = "limit_used"
    """What is owed on an obligor's funded and offered claims; what its limit says is used."""
    STREAM_LENGTH = "stream_length"
    """A funder's last callback by number; the callbacks in its stream."""


class Team(StrEnum):
    """Whose a break is until somebody gives it to another."""

    FINANCE = "finance"
    OPERATIONS = "operations"
    RISK = "risk"
    TECHNOLOGY = "technology"


TEAM_OF = MappingProxyType(
    {
        Kind.BANK_BALANCE: Team.FINANCE,
        Kind.LINE_NOT_BOOKED: Team.FINANCE,
        Kind.RECEIPT_IN_TRANSIT: Team.FINANCE,
        Kind.PAYMENT_IN_TRANSIT: Team.FINANCE,
        Kind.RECEIPT_POSTING: Team.FINANCE,
        Kind.UNAPPLIED: Team.FINANCE,
        Kind.RESERVED_CASH: Team.FINANCE,
        Kind.TITLE_HOLDING: Team.OPERATIONS,
        Kind.POOL_MEMBERSHIP: Team.OPERATIONS,
        Kind.CLAIM_FACE: Team.OPERATIONS,
        Kind.CONFIRMED_FACE: Team.OPERATIONS,
        Kind.RECORD_FACE: Team.OPERATIONS,
        Kind.LIMIT_USED: Team.RISK,
        Kind.STREAM_LENGTH: Team.TECHNOLOGY,
    }
)


class Found(NamedTuple):
    """A difference as a check gives it: in minor units of `unit`, or in pieces of what it names."""

    kind: str
    subject: str
    holder: str
    unit: str
    expected: int
    found: int
    detail: dict[str, Any]


class BreakResolved(Refusal):
    """A run found it gone."""

    code = "break_resolved"
    title = "The break is resolved"


class NotExplained(Refusal):
    """Only an explained break can be opened again."""

    code = "break_not_explained"
    title = "The break is open as it is"


class UnknownAssignee(Refusal):
    """A break is an operator's to look after."""

    code = "unknown_assignee"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "There is no such operator"


class ReconciliationRunning(Refusal):
    """One comparison at a time."""

    code = "reconciliation_running"
    title = "A reconciliation is running"


FACTS = MappingProxyType({"assign": "assigned", "explain": "explained", "reopen": "reopened"})
"""What a person decides, as it is kept."""


def state_after(decision: str, *, state: str) -> str:
    """The state of a break after a person's decision (`BreakResolved`, `NotExplained`)."""
    if state == "resolved":
        raise BreakResolved("A run found it gone; if it comes back it is a break anew.")
    if decision == "reopen" and state != "explained":
        raise NotExplained("Nobody has explained it.", state=state)
    return {"assign": state, "explain": "explained", "reopen": "open"}[decision]


def state_when_seen(known: tuple[int, int], seen: tuple[int, int], *, state: str) -> str:
    """The state of a break (its expected and found) that a run sees again: an explanation was for that difference."""
    return state if known[1] - known[0] == seen[1] - seen[0] else "open"


def unknown_assignee(client_id: str) -> UnknownAssignee:
    """The refusal of a client that is no operator."""
    fault = Fault("unknown_assignee", "/assigned_to", "the client id of an operator", client_id)
    return UnknownAssignee("Give it to an operator's client.", faults=(fault,))
