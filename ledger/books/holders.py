"""One holder's part of the books: its trial balance and its journal, each closed by what everybody else did.

A holder is a path: `funder/fnd_x` holds every account below it. Others are never named: in each commodity in which
the holder moved something, all their legs are one line, so a holder can check the sum and learn nothing else.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from ledger.books.accounts import is_name
from ledger.errors import LedgerError

MINE = "a.path ~>=~ %(first)s AND a.path ~<~ %(end)s"
TRIAL_BALANCE = f"""
    WITH own AS MATERIALIZED (
        SELECT a.account_id, a.commodity, b.balance_minor
        FROM books_accounts a JOIN books_balances b USING (account_id) WHERE {MINE}
    ), touched AS (
        SELECT DISTINCT e.transfer_id, own.commodity FROM own JOIN books_entries e USING (account_id)
    ), others AS (
        SELECT a.commodity, sum(e.amount_minor) AS amount_minor
        FROM touched t JOIN books_entries e USING (transfer_id)
        JOIN books_accounts a ON a.account_id = e.account_id AND a.commodity = t.commodity
        WHERE NOT ({MINE})
        GROUP BY a.commodity
    )
    SELECT own.commodity, count(*),
           coalesce(sum(own.balance_minor) FILTER (WHERE own.balance_minor > 0), 0),
           coalesce(sum(own.balance_minor) FILTER (WHERE own.balance_minor < 0), 0),
           coalesce((SELECT o.amount_minor FROM others o WHERE o.commodity = own.commodity), 0)
    FROM own GROUP BY own.commodity ORDER BY own.commodity
"""  # noqa: S608 - put together from constants
JOURNAL = f"""
    WITH own AS MATERIALIZED (
        SELECT DISTINCT e.transfer_id, a.commodity
        FROM books_accounts a JOIN books_entries e USING (account_id)
        WHERE {MINE}
          AND (%(from_date)s::date IS NULL OR e.effective_date >= %(from_date)s::date)
          AND (%(to_date)s::date IS NULL OR e.effective_date <= %(to_date)s::date)
    )
    SELECT t.transfer_id, t.key, t.memo, t.effective_date, t.recorded_at,
           CASE WHEN {MINE} THEN a.path END AS path, a.commodity, sum(e.amount_minor)::bigint AS amount_minor
    FROM own JOIN books_transfers t USING (transfer_id) JOIN books_entries e USING (transfer_id)
    JOIN books_accounts a ON a.account_id = e.account_id AND a.commodity = own.commodity
    GROUP BY t.transfer_id, 6, a.commodity
    ORDER BY t.transfer_id, a.commodity, path NULLS LAST
"""  # noqa: S608 - put together from constants
CHUNK = 1000


class InvalidHolder(LedgerError):
    """A holder is a path without the slash at its end."""

    code = "invalid_holder"


class HolderTotal(NamedTuple):
    """A holder's balances in one commodity, summed by sign, and what all others' legs came to beside its own."""

    commodity: str
    accounts: int
    positive_minor: int
    negative_minor: int
    others_minor: int

    @property
    def sum_minor(self) -> int:
        """Zero while the books are sound."""
        return self.positive_minor + self.negative_minor + self.others_minor


class JournalLine(NamedTuple):
    """What a transfer did to one account of the holder, or (no path) to everybody else together."""

    path: str | None
    commodity: str
    amount_minor: int


class JournalEntry(NamedTuple):
    """A transfer as its holder sees it; the lines sum to zero in each commodity."""

    transfer_id: int
    key: str
    memo: str
    effective_date: dt.date
    recorded_at: dt.datetime
    lines: tuple[JournalLine, ...]


def holder_trial_balance(connection: Connection, *, holder: str) -> list[HolderTotal]:
    """Sum a holder's balances and, from the entries, the other side of every transfer it took part in.

    Reads all of the holder's entries. A commodity that does not sum to zero is a break. Refusals: InvalidHolder.
    """
    rows = connection.exec_driver_sql(TRIAL_BALANCE, bounds(holder))
    return [HolderTotal(commodity, accounts, *map(int, sums)) for commodity, accounts, *sums in rows]


def journal(
    connection: Connection, *, holder: str, from_date: dt.date | None = None, to_date: dt.date | None = None
) -> Iterator[JournalEntry]:
    """Read the transfers that moved anything of a holder's, by effective date (inclusive), in the order of ids.

    Ids rise with time; transfers of one batch have them in the order of keys. One statement and so one moment:
    what commits meanwhile, under whatever id, is in it whole or not at all. Memory stays flat however long it is.

    Refusals: InvalidHolder.
    """
    dates = {"from_date": from_date, "to_date": to_date}
    rows = connection.exec_driver_sql(JOURNAL, bounds(holder) | dates, execution_options={"yield_per": CHUNK})
    return entries(rows)


def entries(rows: Iterable[Row[Any]]) -> Iterator[JournalEntry]:
    """Gather the lines of each transfer."""
    for _, group in groupby(rows, key=itemgetter(0)):
        found = list(group)
        first = found[0]
        lines = tuple(JournalLine(row.path, row.commodity, row.amount_minor) for row in found)
        yield JournalEntry(first.transfer_id, first.key, first.memo, first.effective_date, first.recorded_at, lines)


def bounds(holder: str) -> dict[str, object]:
    """Give the first path below `holder`, and the first one behind all of those: "0" comes next after "/"."""
    if not is_name(holder) or holder.endswith("/"):
        raise InvalidHolder(f"not a holder: {holder!a}")
    return {"first": f"{holder}/", "end": f"{holder}0"}
