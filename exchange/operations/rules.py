"""When the operator may move the clock."""

from datetime import datetime
from http import HTTPStatus

from exchange.errors import Refusal


class ClockNotVirtual(Refusal):
    """The exchange lives on the system's clock."""

    code = "clock_not_virtual"
    title = "The clock is not virtual"


class ClockMovesForward(Refusal):
    """Time does not go back."""

    code = "clock_moves_forward"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The clock only moves forward"


def check_move(*, virtual: bool, now: datetime, to: datetime) -> None:
    """Refuse to move a clock that is not virtual (`ClockNotVirtual`), or backwards (`ClockMovesForward`)."""
    if not virtual:
        raise ClockNotVirtual("Start the exchange with EXCHANGE_VIRTUAL_CLOCK=1 to move its clock.")
    if to < now:
        raise ClockMovesForward(f"It is {now:%Y-%m-%dT%H:%M:%SZ} already.")
