"""Accounts: a path and a commodity, opened once, with a balance row from birth."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from sqlalchemy import Connection

from ledger.errors import LedgerError

NAME = re.compile(r"[!-~]{1,200}")  # as the table's own constraint says

INSERT = """
    INSERT INTO books_accounts (path, commodity, may_overdraw)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::boolean[]) AS wanted (path, commodity, may_overdraw)
    ORDER BY path, commodity
    ON CONFLICT (path, commodity) DO NOTHING
"""
DIFFERING = """
    SELECT path, commodity
    FROM unnest(%s::text[], %s::text[], %s::boolean[]) AS wanted (path, commodity, may_overdraw)
    JOIN books_accounts a USING (path, commodity)
    WHERE a.may_overdraw <> wanted.may_overdraw
    ORDER BY path, commodity LIMIT 1
"""


class Account(NamedTuple):
    """An account to open: `path` like "funder/fnd_x/cash", `commodity` like "CNY/2" or an asset's id."""

    path: str
    commodity: str
    may_overdraw: bool = False


@dataclass(eq=False)
class InvalidAccount(LedgerError):
    """A path or commodity that is not 1-200 printable ASCII characters without spaces."""

    code: ClassVar[str] = "invalid_account"
    path: str
    commodity: str

    def __str__(self) -> str:
        return f"not an account: {self.path!a} in {self.commodity!a}"


@dataclass(eq=False)
class AccountDiffers(LedgerError):
    """The account is open already, with the other answer to "may it be overdrawn"."""

    code: ClassVar[str] = "account_differs"
    path: str
    commodity: str

    def __str__(self) -> str:
        return f"account {self.path} in {self.commodity} is open with another right to overdraw"


def is_account(path: str, commodity: str) -> bool:
    """Tell whether there can be an account of this path and commodity."""
    return is_name(path) and is_name(commodity)


def is_name(name: object) -> bool:
    """Tell whether `name` can be a path, a commodity or a key."""
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def open_accounts(connection: Connection, *, accounts: Sequence[Account]) -> None:
    """Open those of `accounts` that are not open yet.

    Refusals: InvalidAccount, AccountDiffers.
    """
    wanted: dict[tuple[str, str], bool] = {}
    for path, commodity, may_overdraw in accounts:
        if not is_account(path, commodity):
            raise InvalidAccount(path=path, commodity=commodity)
        if wanted.setdefault((path, commodity), may_overdraw) != may_overdraw:
            raise AccountDiffers(path=path, commodity=commodity)
    if not wanted:
        return
    columns = ([path for path, _ in wanted], [commodity for _, commodity in wanted], list(wanted.values()))
    connection.exec_driver_sql(INSERT, columns)
    differing = connection.exec_driver_sql(DIFFERING, columns).one_or_none()
    if differing is not None:
        raise AccountDiffers(path=differing.path, commodity=differing.commodity)
