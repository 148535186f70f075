"""Reversals: a transfer undone by one transfer of its exact opposite, linked to it, once."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from sqlalchemy import Connection

from ledger.books.accounts import is_name
from ledger.books.posting import REFUSALS, KeyReused, Leg, Posted, Reversed, Transfer, submit
from ledger.errors import LedgerError

OPPOSITE = """
    SELECT t.key, array_agg(a.path ORDER BY e.leg), array_agg(a.commodity ORDER BY e.leg),
           array_agg(-e.amount_minor ORDER BY e.leg)
    FROM books_transfers t JOIN books_entries e USING (transfer_id) JOIN books_accounts a USING (account_id)
    WHERE t.key = ANY (%s::text[])
    GROUP BY t.key
"""


class Reversal(NamedTuple):
    """A transfer to post under `key` that undoes the transfer `reversed_key` in all its legs."""

    key: str
    reversed_key: str
    effective_date: dt.date
    memo: str = ""


@dataclass(eq=False)
class UnknownTransfer(LedgerError):
    """Nothing was posted under this key."""

    code: ClassVar[str] = "unknown_transfer"
    key: str

    def __str__(self) -> str:
        return f"no transfer {self.key!a}"


@dataclass(eq=False)
class NotReversible(LedgerError):
    """A hold is resolved, not reversed; what ended a hold and what reversed a transfer stay as they are."""

    code: ClassVar[str] = "not_reversible"
    key: str
    kind: str

    def __str__(self) -> str:
        return f"transfer {self.key} cannot be reversed: it is a {self.kind}"


@dataclass(eq=False)
class AlreadyReversed(LedgerError):
    """Another transfer has undone it."""

    code: ClassVar[str] = "already_reversed"
    key: str
    reversal_key: str

    def __str__(self) -> str:
        return f"transfer {self.key} was reversed by {self.reversal_key} already"


REVERSAL_REFUSALS = (*REFUSALS, UnknownTransfer, NotReversible, AlreadyReversed)


def reverse(connection: Connection, *, reversals: Sequence[Reversal], now: dt.datetime) -> list[Posted]:
    """Undo all the transfers or none, in one stored call, with the guarantees of `post`; answer in order.

    The same reversal again is a replay. Whoever has spent meanwhile what a transfer gave them is short of funds.

    Refusals: those of `post`, UnknownTransfer, NotReversible, AlreadyReversed.
    """
    wanted: dict[str, Reversal] = {}
    undoes: dict[str, str] = {}
    for reversal in reversals:
        if not is_name(reversal.reversed_key):
            raise UnknownTransfer(key=reversal.reversed_key)
        earlier = wanted.setdefault(reversal.reversed_key, reversal)
        if earlier != reversal:
            raise AlreadyReversed(key=reversal.reversed_key, reversal_key=earlier.key)
        if undoes.setdefault(reversal.key, reversal.reversed_key) != reversal.reversed_key:
            raise KeyReused(key=reversal.key)
    legs = opposite_legs(connection, keys=list(wanted))
    transfers = [
        Transfer(
            reversal.key,
            reversal.effective_date,
            reversal.memo or f"reversal of {reversal.reversed_key}",
            legs[reversal.reversed_key],
        )
        for reversal in reversals
    ]
    reverses = [Reversed(reversal.reversed_key, reversal.key) for reversal in wanted.values()]
    return submit(connection, transfers=transfers, now=now, reverses=reverses, refusals=REVERSAL_REFUSALS)


def opposite_legs(connection: Connection, *, keys: Sequence[str]) -> dict[str, tuple[Leg, ...]]:
    """Read the legs that undo each transfer. Needs no lock: legs never change."""
    if not keys:
        return {}
    found = {
        key: tuple(map(Leg, paths, commodities, amounts))
        for key, paths, commodities, amounts in connection.exec_driver_sql(OPPOSITE, (list(keys),))
    }
    for key in keys:
        if key not in found:
            raise UnknownTransfer(key=key)
    return found
