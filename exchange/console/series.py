"""From changes in each period to what stood at the end of each: the two plots over time, by currency."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row
from sqlalchemy.orm import Session

from exchange.console import queries
from exchange.console.charts import MOST_COLUMNS, Columns, columns
from exchange.console.formats import short
from exchange.risk.facts import day_number

LEVELS = {-100000: "current", 1: "late", 31: "later", 91: "latest"}
AGE_NAMES = {
    "current": "not due",
    "late": "1–30 days past due",  # noqa: RUF001 - the en dash of ranges
    "later": "31–90 days past due",  # noqa: RUF001 - same
    "latest": "over 90 days past due",
}
VOLUME_NAMES = {"financed": "financed", "other": "not financed"}
WEEK_DAYS = 7
MOST_CURRENCIES = 3


class Plots(NamedTuple):
    """The plots of one currency."""

    currency: str
    alive: Columns
    volume: Columns


def plots(session: Session, *, today: date, zone: str, currencies: Iterable[str]) -> tuple[list[Plots], int]:
    """Both plots of the first few currencies up to `today`, and the days between two columns."""
    first = queries.first_day(session, zone=zone)
    period_days = period(today if first is None else first, today)
    length = 0 if first is None else (today - first).days // period_days + 1
    days = [today - timedelta(days=period_days * ago) for ago in reversed(range(length))]
    number = day_number(today)
    moved = queries.movements(session, today=number, period_days=period_days, zone=zone)
    confirmed = queries.volume(session, today=number, period_days=period_days, zone=zone)
    return [_of_currency(one, days, moved, confirmed) for one in list(currencies)[:MOST_CURRENCIES]], period_days


def period(first: date, last: date) -> int:
    """The whole weeks of one column, so that there are at most `MOST_COLUMNS`; in days."""
    span = (last - first).days + 1
    return WEEK_DAYS * max(-(-span // (WEEK_DAYS * MOST_COLUMNS)), 1)


def alive(changes: Iterable[tuple[int, int, int]], *, length: int) -> dict[str, list[int]]:
    """The face at each age at the end of each period, oldest first, in minor units.

    `changes` are (floor, periods ago, change of what is `floor` days past due or more).
    """
    reached = {floor: [0] * length for floor in LEVELS}
    for floor, ago, change in changes:
        reached[floor][length - 1 - ago] += change
    for values in reached.values():
        for place in range(1, length):
            values[place] += values[place - 1]
    floors = [*LEVELS, None]
    return {
        name: [reached[floor][place] - (reached[above][place] if above is not None else 0) for place in range(length)]
        for (floor, name), above in zip(LEVELS.items(), floors[1:], strict=True)
    }


def _of_currency(currency: str, days: list[date], moved: list[Row[Any]], confirmed: list[Row[Any]]) -> Plots:
    changes = [(row.floor, row.periods_ago, row.face_minor) for row in moved if row.currency == currency]
    bought = {"financed": [0] * len(days), "other": [0] * len(days)}
    for row in confirmed:
        if row.currency == currency:
            bought["financed"][-1 - row.periods_ago] = row.financed_minor
            bought["other"][-1 - row.periods_ago] = row.other_minor

    def write(minor: int) -> str:
        return short(minor, currency)

    return Plots(
        currency,
        columns(days, alive(changes, length=len(days)), names=AGE_NAMES, write=write),
        columns(days, bought, names=VOLUME_NAMES, write=write),
    )
