"""Readings of the books: balances now and as of a moment or a day, statements, the trial balance."""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from ledger.books.accounts import is_account
from ledger.books.posting import UnknownAccount
from ledger.errors import LedgerError

MAX_ENTRIES = 10_000

BALANCES = """
    SELECT path, commodity, b.balance_minor
    FROM unnest(%s::text[], %s::text[]) AS wanted (path, commodity)
    JOIN books_accounts a USING (path, commodity)
    JOIN books_balances b USING (account_id)
"""
# The balance after the last version in question, less what takes effect only later.
AS_OF = """
    SELECT coalesce((SELECT e.balance_after_minor FROM books_entries e
                     WHERE e.account_id = a.account_id AND e.version = a.version), 0)
         - coalesce((SELECT sum(e.amount_minor) FROM books_entries e
                     WHERE e.account_id = a.account_id AND e.version <= a.version
                       AND e.effective_date > %(effective_date)s::date), 0) AS balance_minor
    FROM (
        SELECT account_id, CASE WHEN %(recorded_at)s::timestamptz IS NULL THEN b.version
                                ELSE books_version_at(account_id, %(recorded_at)s::timestamptz) END AS version
        FROM books_accounts JOIN books_balances b USING (account_id)
        WHERE path = %(path)s AND commodity = %(commodity)s
        OFFSET 0
    ) a
"""
ACCOUNT = "SELECT account_id FROM books_accounts WHERE path = %s AND commodity = %s"
STATEMENT = """
    SELECT e.version, e.transfer_id, t.key, t.memo, e.effective_date, e.recorded_at, e.amount_minor,
           e.balance_after_minor
    FROM books_entries e JOIN books_transfers t USING (transfer_id)
    WHERE e.account_id = %s AND e.version > %s
    ORDER BY e.version LIMIT %s
"""
TRIAL_BALANCE = """
    SELECT a.commodity, count(*) AS accounts,
           coalesce(sum(b.balance_minor) FILTER (WHERE b.balance_minor > 0), 0) AS positive_minor,
           coalesce(sum(b.balance_minor) FILTER (WHERE b.balance_minor < 0), 0) AS negative_minor
    FROM books_accounts a JOIN books_balances b USING (account_id)
    GROUP BY a.commodity ORDER BY a.commodity
"""


class Entry(NamedTuple):
    """One line of an account's statement; amounts in minor units."""

    version: int
    transfer_id: int
    key: str
    memo: str
    effective_date: dt.date
    recorded_at: dt.datetime
    amount_minor: int
    balance_after_minor: int


class CommodityTotal(NamedTuple):
    """The balances of one commodity, summed by sign; `sum_minor` is zero while the books are sound."""

    commodity: str
    accounts: int
    positive_minor: int
    negative_minor: int

    @property
    def sum_minor(self) -> int:
        """What all accounts hold together."""
        return self.positive_minor + self.negative_minor


class InvalidPage(LedgerError):
    """A statement is read from a version >= 0, 1 to 10,000 entries at a time."""

    code = "invalid_page"


def balances(connection: Connection, *, accounts: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Read the balance (minor units) of each (path, commodity). An account that is not open is left out."""
    wanted = [account for account in accounts if is_account(*account)]
    columns = ([path for path, _ in wanted], [commodity for _, commodity in wanted])
    rows = connection.exec_driver_sql(BALANCES, columns)
    return {(path, commodity): balance_minor for path, commodity, balance_minor in rows}


def balance_as_of(
    connection: Connection,
    *,
    path: str,
    commodity: str,
    recorded_at: dt.datetime | None = None,
    effective_date: dt.date | None = None,
) -> int:
    """Read a balance (minor units) as known at `recorded_at`, counting what takes effect by `effective_date`.

    Both ends are inclusive; one left out does not limit. Refusals: UnknownAccount.
    """
    if not is_account(path, commodity):
        raise UnknownAccount(path=path, commodity=commodity)
    found = connection.exec_driver_sql(
        AS_OF,
        {
            "path": path,
            "commodity": commodity,
            "recorded_at": recorded_at,
            "effective_date": effective_date,
        },
    ).scalar_one_or_none()
    if found is None:
        raise UnknownAccount(path=path, commodity=commodity)
    return int(found)


def statement(
    connection: Connection, *, path: str, commodity: str, after_version: int = 0, limit: int = 1000
) -> list[Entry]:
    """Read an account's entries in order, at most `limit`, from the one after `after_version`.

    Refusals: UnknownAccount, InvalidPage.
    """
    if after_version < 0 or not 1 <= limit <= MAX_ENTRIES:
        raise InvalidPage(f"after version {after_version}, {limit} entries")
    if not is_account(path, commodity):
        raise UnknownAccount(path=path, commodity=commodity)
    account_id = connection.exec_driver_sql(ACCOUNT, (path, commodity)).scalar_one_or_none()
    if account_id is None:
        raise UnknownAccount(path=path, commodity=commodity)
    return [Entry(*row) for row in connection.exec_driver_sql(STATEMENT, (account_id, after_version, limit))]


def trial_balance(connection: Connection) -> list[CommodityTotal]:
    """Sum the balances of each commodity, in the order of commodities."""
    return [
        CommodityTotal(commodity, accounts, int(positive), int(negative))
        for commodity, accounts, positive, negative in connection.exec_driver_sql(TRIAL_BALANCE)
    ]
