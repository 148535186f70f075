"""When the operator may move the clock, and how long a caller may wait for it."""

import re
from datetime import datetime
from http import HTTPStatus

from exchange.auth import Role
from exchange.errors import Fault, NotFound, Refusal

LONGEST_WAIT_SECONDS = 30
WORK_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
WAIT = re.compile(r"(?:^|[,;\s])wait=([0-9]{1,4})(?![0-9])", re.ASCII)


class ClockNotVirtual(Refusal):
    """The exchange lives on the system's clock."""

    code = "clock_not_virtual"
    title = "The clock is not virtual"


class ClockMovesForward(Refusal):
    """Time does not go back."""

    code = "clock_moves_forward"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The clock only moves forward"


class WorkInHand(Refusal):
    """A worker is at it."""

    code = "work_in_hand"
    title = "A worker is doing it at this moment"
    definitive = False


def work_number(text: str) -> int:
    """The number of a piece of work, as it stands in a path (`NotFound`)."""
    if WORK_NUMBER.fullmatch(text) is None:
        raise NotFound("There is no such work that fails.")
    return int(text)


def check_move(*, virtual: bool, now: datetime, to: datetime) -> None:
    """Refuse to move a clock that is not virtual (`ClockNotVirtual`), or backwards (`ClockMovesForward`)."""
    if not virtual:
        raise ClockNotVirtual("Start the exchange with EXCHANGE_VIRTUAL_CLOCK=1 to move its clock.")
    if to < now:
        raise backwards(to)


def backwards(to: datetime) -> ClockMovesForward:
    """The refusal of a move to `to`, which is past: it may have become so while we looked."""
    fault = Fault("clock_moves_forward", "/now", "not before the exchange's time", to)
    return ClockMovesForward("It is later than that already.", faults=(fault,))


def patience_seconds(prefer: str | None, *, role: Role) -> int:
    """How long a `Prefer: wait=<seconds>` header asks to wait, at most half a minute; 0 without one.

    Only operators may wait: whoever does has a thread and a connection of the exchange meanwhile.
    """
    asked = WAIT.search(prefer or "") if role is Role.OPERATOR else None
    return min(int(asked.group(1)), LONGEST_WAIT_SECONDS) if asked else 0
