"""A few accounts, and short ways to write transfers between them."""

import datetime as dt

from sqlalchemy import Connection, func, select, text

from ledger import books

NOW = dt.datetime(2026, 3, 2, 9, 30, tzinfo=dt.UTC)
TODAY = NOW.date()
CNY = "CNY/2"
ASSET = "ast_01h455vb4pex5vsknk084sn02q"
ACCOUNTS = [
    books.Account("bank", CNY, may_overdraw=True),
    books.Account("a", CNY),
    books.Account("b", CNY),
    books.Account("reserved", CNY),
    books.Account("issue", ASSET, may_overdraw=True),
    books.Account("a", ASSET),
    books.Account("b", ASSET),
    books.Account("reserved", ASSET),
]


def move(key: str, source: str, target: str, amount_minor: int, commodity: str = CNY) -> books.Transfer:
    """One amount from one account to another."""
    legs = (books.Leg(source, commodity, -amount_minor), books.Leg(target, commodity, amount_minor))
    return books.Transfer(key, TODAY, f"{source} to {target}", legs)


def post(connection: Connection, *transfers: books.Transfer, now: dt.datetime = NOW) -> list[books.Posted]:
    """Post a batch at the usual time."""
    return books.post(connection, transfers=transfers, now=now)


def hold(connection: Connection, key: str, amount_minor: int, commodity: str = CNY) -> list[books.Posted]:
    """Hold an amount of a's."""
    request = books.HoldRequest(key, "a", "reserved", commodity, amount_minor, TODAY)
    return books.hold(connection, requests=[request], now=NOW)


def resolve(connection: Connection, *resolutions: books.Resolution) -> list[books.Posted]:
    """End holds at the usual time."""
    return books.resolve_holds(connection, resolutions=resolutions, effective_date=TODAY, now=NOW)


def balance(connection: Connection, path: str, commodity: str = CNY) -> int:
    """Read one balance."""
    return books.balances(connection, accounts=[(path, commodity)])[path, commodity]


def rows(connection: Connection, table: str) -> int:
    """Count the rows of a table."""
    return connection.execute(select(func.count()).select_from(text(table))).scalar_one()
