"""Holds: a transfer to a reservation account that is ended once: captured, voided or, after its time, expired."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from sqlalchemy import Connection

from ledger.books.accounts import is_name
from ledger.books.posting import REFUSALS, InvalidTransfer, KeyReused, Leg, Posted, Resolved, Transfer, submit
from ledger.errors import LedgerError

HELD = """
    SELECT t.key, array_agg(a.path ORDER BY e.leg), array_agg(a.commodity ORDER BY e.leg),
           array_agg(e.amount_minor ORDER BY e.leg)
    FROM books_transfers t JOIN books_entries e USING (transfer_id) JOIN books_accounts a USING (account_id)
    WHERE t.key = ANY (%s::text[]) AND t.hold
    GROUP BY t.key
"""


class HoldRequest(NamedTuple):
    """An amount (minor units, positive) to set aside from `source_path` in `reservation_path`.

    A reservation account may serve many holds and nothing else. From `expires_at` (time-zone aware) on a hold can
    no longer be captured; whoever asked for it ends it then, nothing does so by itself.
    """

    key: str
    source_path: str
    reservation_path: str
    commodity: str
    amount_minor: int
    effective_date: dt.date
    memo: str = ""
    expires_at: dt.datetime | None = None


class Resolution(NamedTuple):
    """The end of a hold: captured by the given transfer, or (no transfer given) voided or expired back to its source.

    A capture takes the whole hold out of its reservation account; what is not spent goes back to the source
    as a leg of the same transfer. One transfer may capture several holds: money and title of one deal.
    """

    hold_key: str
    outcome: Literal["captured", "voided", "expired"]
    transfer: Transfer | None = None


@dataclass(eq=False)
class InvalidResolution(LedgerError):
    """A capture without its transfer, or another end with one."""

    code: ClassVar[str] = "invalid_resolution"
    hold_key: str

    def __str__(self) -> str:
        return f"hold {self.hold_key!a}: a capture names its transfer, any other end has none"


@dataclass(eq=False)
class UnknownHold(LedgerError):
    """No hold was posted under this key."""

    code: ClassVar[str] = "unknown_hold"
    hold_key: str

    def __str__(self) -> str:
        return f"no hold {self.hold_key!a}"


@dataclass(eq=False)
class HoldResolved(LedgerError):
    """The hold has ended already, in another way or by another transfer."""

    code: ClassVar[str] = "hold_resolved"
    hold_key: str
    outcome: str

    def __str__(self) -> str:
        return f"hold {self.hold_key} was {self.outcome} already"


@dataclass(eq=False)
class HoldExpired(LedgerError):
    """The time of the hold is over: it can be ended, not captured."""

    code: ClassVar[str] = "hold_expired"
    hold_key: str

    def __str__(self) -> str:
        return f"the time of hold {self.hold_key} is over"


@dataclass(eq=False)
class HoldNotExpired(LedgerError):
    """The hold has no end of its time, or it has not come yet."""

    code: ClassVar[str] = "hold_not_expired"
    hold_key: str

    def __str__(self) -> str:
        return f"the time of hold {self.hold_key} is not over"


@dataclass(eq=False)
class HoldMismatch(LedgerError):
    """A capture takes more or less from the reservation account than its holds had put there."""

    code: ClassVar[str] = "hold_mismatch"
    key: str
    path: str
    commodity: str
    held_minor: int
    taken_minor: int

    def __str__(self) -> str:
        return (
            f"transfer {self.key} takes {self.taken_minor} of {self.commodity} from {self.path}, "
            f"where {self.held_minor} is held"
        )


HOLD_REFUSALS = (*REFUSALS, UnknownHold, HoldResolved, HoldExpired, HoldNotExpired, HoldMismatch)
BACK = {"voided": "void", "expired": "expiry"}
"""How a hold goes back to its source: what the transfer that does it is called."""
MAX_HOLD_KEY = 200 - max(len(f"/{name}") for name in BACK.values())


def hold(connection: Connection, *, requests: Sequence[HoldRequest], now: dt.datetime) -> list[Posted]:
    """Set aside all of `requests` or none, with the guarantees and refusals of `post`."""
    transfers: list[Transfer] = []
    expires: dict[str, dt.datetime | None] = {}
    for request in requests:
        fault = hold_fault(request)
        if fault is not None:
            raise InvalidTransfer(key=request.key, fault=fault)
        if expires.setdefault(request.key, request.expires_at) != request.expires_at:
            raise KeyReused(key=request.key)
        legs = (
            Leg(request.source_path, request.commodity, -request.amount_minor),
            Leg(request.reservation_path, request.commodity, request.amount_minor),
        )
        transfers.append(Transfer(request.key, request.effective_date, request.memo, legs))
    return submit(connection, transfers=transfers, now=now, hold=True, expires=expires)


def hold_fault(request: HoldRequest) -> str | None:
    """Name what is wrong with the request beyond what any transfer is checked for, or None."""
    if type(request.amount_minor) is not int or request.amount_minor <= 0:
        return "a hold's amount is a positive whole number"
    if request.source_path == request.reservation_path:
        return "a hold moves between two accounts"
    if len(request.key) > MAX_HOLD_KEY:
        return f"the key of a hold has at most {MAX_HOLD_KEY} characters"
    if request.expires_at is not None and request.expires_at.utcoffset() is None:
        return "the end of the hold's time has no time zone"
    return None


def resolve_holds(
    connection: Connection, *, resolutions: Sequence[Resolution], effective_date: dt.date, now: dt.datetime
) -> list[Posted]:
    """End all the holds or none, in one stored call, with the guarantees of `post`; answer in order.

    A void is posted under the key "<hold key>/void", an expiry under "<hold key>/expiry", with `effective_date`,
    which captures do not use. The same resolution again is a replay. A hold whose time is over at `now` can be
    voided or expired; before that it can be captured or voided.

    Refusals: those of `post`, InvalidResolution, UnknownHold, HoldResolved, HoldExpired, HoldNotExpired,
    HoldMismatch.
    """
    ends: dict[str, Resolution] = {}
    for end in resolutions:
        if (end.outcome == "captured") != (end.transfer is not None):
            raise InvalidResolution(hold_key=end.hold_key)
        if not is_name(end.hold_key):
            raise UnknownHold(hold_key=end.hold_key)
        earlier = ends.setdefault(end.hold_key, end)
        if earlier != end:
            raise HoldResolved(hold_key=end.hold_key, outcome=earlier.outcome)
    given_back = {end.hold_key: BACK[end.outcome] for end in resolutions if end.transfer is None}
    backs = back_transfers(connection, holds=given_back, effective_date=effective_date)
    transfers = [end.transfer or backs[end.hold_key] for end in resolutions]
    transfer_keys = {end.hold_key: transfer.key for end, transfer in zip(resolutions, transfers, strict=True)}
    resolved = [Resolved(end.hold_key, end.outcome, transfer_keys[end.hold_key]) for end in ends.values()]
    return submit(connection, transfers=transfers, now=now, resolved=resolved, refusals=HOLD_REFUSALS)


def back_transfers(connection: Connection, *, holds: Mapping[str, str], effective_date: dt.date) -> dict[str, Transfer]:
    """Build the transfer that takes each hold back, called as `holds` says. Needs no lock: legs never change."""
    if not holds:
        return {}
    backs: dict[str, Transfer] = {}
    for key, paths, commodities, amounts in connection.exec_driver_sql(HELD, (list(holds),)):
        legs = tuple(
            Leg(path, commodity, -amount) for path, commodity, amount in zip(paths, commodities, amounts, strict=True)
        )
        name = holds[key]
        backs[key] = Transfer(f"{key}/{name}", effective_date, f"{name} of {key}", legs)
    for key in holds:
        if key not in backs:
            raise UnknownHold(hold_key=key)
    return backs
