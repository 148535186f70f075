"""When the operator may move the clock, and how long a caller may wait for it."""

import re
from calendar import isleap
from datetime import date, datetime
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


class LiveAsset(Refusal):
    """The person's company owes or sold something that is not over."""

    code = "live_asset"
    title = "An asset of this person's company is alive"


class RetentionDuty(Refusal):
    """The law has it kept for longer."""

    code = "retention_duty"
    title = "The law has it kept until a later day"


class ErasureAwaited(Refusal):
    """A request for the same person waits for its second person."""

    code = "erasure_awaited"
    title = "Another request waits for a decision"


class ErasureDecided(Refusal):
    """It was decided before."""

    code = "erasure_decided"
    title = "This request was decided already"


def check_erasable(last_date: date | None, *, alive: bool, years: int, today: date) -> None:
    """Refuse to erase a person while an asset lives (`LiveAsset`), and for `years` after the last (`RetentionDuty`)."""
    if last_date is None:
        return
    until = last_date.replace(
        year=last_date.year + years,
        day=28 if (last_date.month, last_date.day) == (2, 29) and not isleap(last_date.year + years) else last_date.day,
    )
    if alive:
        raise LiveAsset("Ask again when it is over, and the law's time after it.", not_before=until.isoformat())
    if today < until:
        raise RetentionDuty(f"Ask again from {until} on.", not_before=until.isoformat())


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
