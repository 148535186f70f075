"""`exchange books`: what an auditor asks of the books, with an auditor's rights: DATABASE_URL is all it takes.

Columns are parted by tabs, amounts are in minor units, and each answer shows one moment of the books.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

import click
from sqlalchemy import Connection

from exchange import settings
from exchange.db import AUDITOR_ROLE, Database
from exchange.settings import SettingsError
from ledger import books

DAY = click.DateTime(["%Y-%m-%d"])
PAGE = 1000


@click.group("books")
def group() -> None:
    """Read the books: money and title, in minor units."""


@group.command()
def check() -> None:
    """Recompute the books from their first entry; exit code 1 when anything is wrong."""
    with _snapshot() as connection:
        breaks = books.check(connection)
    _show(("kind", "where", "expected", "found"), breaks)
    sys.exit(bool(breaks))


@group.command("trial-balance")
@click.option("--holder", help="A path like funder/fnd_x: its accounts, and all others as its counterparty.")
def trial_balance(holder: str | None) -> None:
    """Sum the balances of each commodity; exit code 1 when a sum is not zero."""
    with _snapshot() as connection:
        if holder is None:
            names: tuple[str, ...] = ("commodity", "accounts", "positive", "negative", "sum")
            totals: list[books.CommodityTotal] | list[books.HolderTotal] = books.trial_balance(connection)
        else:
            names = ("commodity", "accounts", "positive", "negative", "others", "sum")
            totals = books.holder_trial_balance(connection, holder=holder)
    _show(names, ((*total, total.sum_minor) for total in totals))
    sys.exit(any(total.sum_minor for total in totals))


@group.command()
@click.argument("path")
@click.argument("commodity")
@click.option("--after", "after_version", type=click.IntRange(0), default=0, help="The last version already known.")
def statement(path: str, commodity: str, after_version: int) -> None:
    """Print every entry of the account PATH in COMMODITY, in order."""
    with _snapshot() as connection:
        entries = _entries(connection, path=path, commodity=commodity, after_version=after_version)
        names = ("version", "transfer", "key", "memo", "effective", "recorded", "amount", "balance")
        _show(names, ((*entry[:5], entry.recorded_at.isoformat(), *entry[6:]) for entry in entries))


@group.command()
@click.argument("holder")
@click.option("--from", "first", type=DAY, help="The first effective date.")
@click.option("--to", "last", type=DAY, help="The last effective date.")
def journal(holder: str, first: datetime | None, last: datetime | None) -> None:
    """Print every transfer that moved anything of HOLDER's (funder/fnd_x); others' legs are one line without a path."""
    with _snapshot() as connection:
        entries = books.journal(
            connection, holder=holder, from_date=first and first.date(), to_date=last and last.date()
        )
        names = ("transfer", "key", "memo", "effective", "recorded", "path", "commodity", "amount")
        _show(
            names,
            (
                (*entry[:4], entry.recorded_at.isoformat(), line.path or "", line.commodity, line.amount_minor)
                for entry in entries
                for line in entry.lines
            ),
        )


def _entries(connection: Connection, *, path: str, commodity: str, after_version: int) -> Iterator[books.Entry]:
    while page := books.statement(connection, path=path, commodity=commodity, after_version=after_version, limit=PAGE):
        yield from page
        after_version = page[-1].version


def _show(names: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    click.echo("\t".join(names))
    for row in rows:
        click.echo("\t".join(map(str, row)))


@contextmanager
def _snapshot() -> Iterator[Connection]:
    url = settings.load().database_url
    if url is None:
        raise SettingsError("DATABASE_URL is not set: name the database whose books to read")
    database = Database(url, pooled=False, role=AUDITOR_ROLE)
    with database.snapshot() as session:
        yield session.connection()
