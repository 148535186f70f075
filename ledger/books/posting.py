"""Posting: a batch of balanced transfers in one stored call, each key with one outcome for ever."""

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from psycopg.errors import NumericValueOutOfRange, UniqueViolation
from sqlalchemy import Connection, Row
from sqlalchemy.exc import DBAPIError

from ledger.books.accounts import is_account, is_name
from ledger.errors import LedgerError

MAX_AMOUNT_MINOR = 10**15
MAX_LEGS = 10_000
MAX_TRANSFERS = 10_000
MAX_MEMO = 500

CALL = """
    SELECT posted_ids, were_known, refused FROM books_post(
        %s, %s, %s::timestamptz[], %s::text[], %s::date[], %s::text[], %s::text[], %s::text[], %s::int[], %s::int[],
        %s::bigint[], %s::text[], %s::text[], %s::int[], %s::text[], %s::int[])
"""


class Leg(NamedTuple):
    """What a transfer adds to one account (takes from it, if negative), in minor units."""

    path: str
    commodity: str
    amount_minor: int


class Transfer(NamedTuple):
    """Legs that sum to zero in each commodity. `key` is the caller's: one key, one outcome."""

    key: str
    effective_date: dt.date
    memo: str
    legs: tuple[Leg, ...]


class Posted(NamedTuple):
    """The outcome of a transfer; `replayed` if an earlier call or an earlier place in the batch posted it."""

    transfer_id: int
    key: str
    replayed: bool


class Resolved(NamedTuple):
    """A hold ended by a transfer of the same call."""

    hold_key: str
    outcome: str
    transfer_key: str


class Reversed(NamedTuple):
    """A transfer undone by a transfer of the same call."""

    reversed_key: str
    transfer_key: str


@dataclass(eq=False)
class InvalidTransfer(LedgerError):
    """A request that no books could post: a bad key, date, memo, amount, time or number of legs."""

    code: ClassVar[str] = "invalid_transfer"
    key: str
    fault: str

    def __str__(self) -> str:
        return f"transfer {self.key!a}: {self.fault}"


@dataclass(eq=False)
class UnknownAccount(LedgerError):
    """No such account is open."""

    code: ClassVar[str] = "unknown_account"
    path: str
    commodity: str

    def __str__(self) -> str:
        return f"no account {self.path!a} in {self.commodity!a}"


@dataclass(eq=False)
class Unbalanced(LedgerError):
    """The legs of a transfer do not sum to zero in a commodity."""

    code: ClassVar[str] = "unbalanced"
    key: str
    commodity: str
    sum_minor: int

    def __str__(self) -> str:
        return f"transfer {self.key} sums to {self.sum_minor} in {self.commodity}"


@dataclass(eq=False)
class KeyReused(LedgerError):
    """The key belongs to another request."""

    code: ClassVar[str] = "key_reused"
    key: str

    def __str__(self) -> str:
        return f"key {self.key} belongs to another request"


@dataclass(eq=False)
class InsufficientFunds(LedgerError):
    """The transfer would overdraw an account. Stored as the key's outcome, if the caller commits."""

    code: ClassVar[str] = "insufficient_funds"
    key: str
    path: str
    commodity: str
    needed_minor: int
    available_minor: int

    def __str__(self) -> str:
        return (
            f"transfer {self.key} needs {self.needed_minor} of {self.commodity} "
            f"in {self.path}, which has {self.available_minor}"
        )


@dataclass(eq=False)
class BalanceOutOfRange(LedgerError):
    """A balance would leave the 64 bits it has. The database has aborted the caller's transaction."""

    code: ClassVar[str] = "balance_out_of_range"

    def __str__(self) -> str:
        return "a balance would leave its range"


REFUSALS: tuple[type[LedgerError], ...] = (UnknownAccount, Unbalanced, KeyReused, InsufficientFunds)


def post(connection: Connection, *, transfers: Sequence[Transfer], now: dt.datetime) -> list[Posted]:
    """Post all of `transfers` or none, in their order, as one stored call; answer in their order.

    Balance rows stay locked until the caller's transaction ends; transactions of one call each cannot
    deadlock. `now` is time-zone aware: the machine's time, or a virtual clock's, which makes a replay record
    the same moments again. The time recorded is `now` or, if an account has moved at or after it (a clock was
    stepped back, a lock was waited for), a microsecond after that: no account's history ever goes back in time.
    A refused call changes nothing but, for InsufficientFunds, the outcome of that one key: a caller that
    commits has made the refusal final, one that rolls back may try the key again. The other refusals need no
    storing: they follow from the request alone or from rows that never change, but for UnknownAccount, which
    opening the account mends.

    Refusals: InvalidTransfer, UnknownAccount, Unbalanced, KeyReused, InsufficientFunds, BalanceOutOfRange.
    """
    return submit(connection, transfers=transfers, now=now)


def submit(
    connection: Connection,
    *,
    transfers: Sequence[Transfer],
    now: dt.datetime,
    hold: bool = False,
    expires: Mapping[str, dt.datetime | None] | None = None,
    resolved: Sequence[Resolved] = (),
    reverses: Sequence[Reversed] = (),
    refusals: tuple[type[LedgerError], ...] = REFUSALS,
) -> list[Posted]:
    """Post as `post` does; mark the transfers as holds (`expires` by key), end holds or undo transfers by them."""
    distinct: dict[str, Transfer] = {}
    for transfer in transfers:
        known = distinct.setdefault(transfer.key, transfer)
        if known is not transfer and known != transfer:
            raise KeyReused(key=transfer.key)
    if not distinct:
        return []
    check_batch(distinct, now=now)
    place = {key: number for number, key in enumerate(distinct, start=1)}
    row = call(
        connection,
        (
            now,
            hold,
            [expires.get(key) for key in distinct] if expires else [],
            *columns(distinct),
            [end.hold_key for end in resolved],
            [end.outcome for end in resolved],
            [place[end.transfer_key] for end in resolved],
            [undone.reversed_key for undone in reverses],
            [place[undone.transfer_key] for undone in reverses],
        ),
    )
    if row.refused is not None:
        facts: dict[str, Any] = row.refused
        code = facts.pop("code")
        raise next(refusal for refusal in refusals if refusal.code == code)(**facts)
    return in_order(transfers, distinct=distinct, row=row)


def in_order(transfers: Sequence[Transfer], *, distinct: dict[str, Transfer], row: Row[Any]) -> list[Posted]:
    """Give each transfer its outcome; a second mention of a key in one batch is a replay of the first."""
    outcome = dict(zip(distinct, zip(row.posted_ids, row.were_known, strict=True), strict=True))
    posted: list[Posted] = []
    for transfer in transfers:
        transfer_id, known = outcome[transfer.key]
        posted.append(Posted(transfer_id=transfer_id, key=transfer.key, replayed=known))
        outcome[transfer.key] = (transfer_id, True)
    return posted


def call(connection: Connection, arguments: tuple[object, ...]) -> Row[Any]:
    """Make the stored call. Two errors it can only raise, not return, become refusals."""
    try:
        return connection.exec_driver_sql(CALL, arguments).one()
    except DBAPIError as error:
        if isinstance(error.orig, NumericValueOutOfRange):
            raise BalanceOutOfRange from error
        if isinstance(error.orig, UniqueViolation):  # another request took the key while this one was at work
            key = re.search(r"\(key\)=\((.*)\)", error.orig.diag.message_detail or "")
            raise KeyReused(key=key[1] if key else "") from error
        raise


def columns(transfers: dict[str, Transfer]) -> tuple[str, ...]:
    """Lay transfers, accounts and legs out as the parallel arrays of `books_post`. Refusals: Unbalanced."""
    places: dict[tuple[str, str], int] = {}
    of_transfer: list[int] = []
    of_account: list[int] = []
    amounts: list[int] = []
    for number, transfer in enumerate(transfers.values(), start=1):
        sums: dict[str, int] = {}
        for path, commodity, amount_minor in transfer.legs:
            of_transfer.append(number)
            of_account.append(places.setdefault((path, commodity), len(places) + 1))
            amounts.append(amount_minor)
            sums[commodity] = sums.get(commodity, 0) + amount_minor
        for commodity in sorted(name for name, sum_minor in sums.items() if sum_minor):
            raise Unbalanced(key=transfer.key, commodity=commodity, sum_minor=sums[commodity])
    return (
        texts(transfers),
        numbers(transfer.effective_date for transfer in transfers.values()),
        texts(transfer.memo for transfer in transfers.values()),
        texts(path for path, _ in places),
        texts(commodity for _, commodity in places),
        numbers(of_transfer),
        numbers(of_account),
        numbers(amounts),
    )


def texts(values: Iterable[str]) -> str:
    """Write printable texts as an array for PostgreSQL: all at once, since a driver would quote one after the other."""
    quoted = "\n".join(values).replace("\\", "\\\\").replace('"', '\\"').replace("\n", '","')
    return f'{{"{quoted}"}}'


def numbers(values: Iterable[object]) -> str:
    """Write numbers or dates as an array for PostgreSQL."""
    return "{" + ",".join(map(str, values)) + "}"


def check_batch(transfers: dict[str, Transfer], *, now: dt.datetime) -> None:
    """Refuse, with InvalidTransfer, what the stored function could not even read."""
    if now.utcoffset() is None:
        raise InvalidTransfer(key=next(iter(transfers)), fault="now has no time zone")
    if len(transfers) > MAX_TRANSFERS:
        raise InvalidTransfer(key=next(iter(transfers)), fault=f"in a batch of more than {MAX_TRANSFERS}")
    accounts: set[tuple[str, str]] = set()
    for transfer in transfers.values():
        fault = transfer_fault(transfer) or next(
            filter(None, (leg_fault(leg, accounts) for leg in transfer.legs)), None
        )
        if fault is not None:
            raise InvalidTransfer(key=transfer.key, fault=fault)


def transfer_fault(transfer: Transfer) -> str | None:
    """Name what is wrong with the shape of a transfer, or None."""
    if not is_name(transfer.key):
        return "the key is not 1-200 printable ASCII characters without spaces"
    if type(transfer.effective_date) is not dt.date:
        return "the effective date is not a date"
    if len(transfer.memo) > MAX_MEMO or not transfer.memo.isprintable():
        return f"the memo is not one line of at most {MAX_MEMO} printable characters"
    if not 1 < len(transfer.legs) <= MAX_LEGS:
        return f"there are not 2 to {MAX_LEGS} legs"
    return None


def leg_fault(leg: Leg, accounts: set[tuple[str, str]]) -> str | None:
    """Name what is wrong with the shape of a leg, or None; `accounts` are known to be well formed, and grow."""
    path, commodity, amount_minor = leg
    if (path, commodity) not in accounts:
        if not is_account(path, commodity):
            return f"not an account: {path!a} in {commodity!a}"
        accounts.add((path, commodity))
    if type(amount_minor) is not int or not 0 < abs(amount_minor) <= MAX_AMOUNT_MINOR:
        return f"an amount is not a whole number from 1 to {MAX_AMOUNT_MINOR} either way"
    return None
