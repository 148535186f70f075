"""Business days: national holidays and the weekends that are worked, year by year. What is not known is refused.

Holidays come from the `holidays` library (MIT). China's are the arrangements of the State Council, announced each
autumn for the year to come: which weekdays are free, and which Saturdays and Sundays are worked for them. A calendar is
named by its country (ISO 3166), or `TARGET`, the days on which euro payments settle (ECB).
"""

from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from inspect import signature
from typing import Any

import holidays
from holidays.countries.china import ChinaStaticHolidays

from exchange.schedules.refusals import CalendarUnknown, CalendarYearUnknown

TARGET = "TARGET"
_COUNTRIES = "AE AT AU BE BR CA CH CL CN CZ DE DK ES FI FR GB ID IE IT JP KR MX MY NL NO NZ PL PT SA SE SG US"
CALENDARS = (*_COUNTRIES.split(), TARGET)
"""The calendars offered here. Of a federation, the holidays of the whole country."""
SATURDAY = 5
ESTIMATED = "estimated"
"""A word in the name of a holiday that follows the moon and is not announced yet."""


class Convention(StrEnum):
    """Where a date goes that is no business day (2006 ISDA Definitions, section 4.12). `none`: it stays."""

    NONE = "none"
    FOLLOWING = "following"
    MODIFIED_FOLLOWING = "modified_following"
    PRECEDING = "preceding"


def is_business_day(day: date, *, calendar: str) -> bool:
    """Whether business is done that day. Refuses `CalendarUnknown` and `CalendarYearUnknown`."""
    return day not in _closed(calendar, day.year)


def trades_on(day: date, *, calendar: str | None) -> bool:
    """Whether a market is open: every day without a calendar; in a year that is not announced, Monday to Friday."""
    if calendar is None:
        return True
    try:
        return is_business_day(day, calendar=calendar)
    except CalendarYearUnknown:
        return day.weekday() < SATURDAY


def adjust(day: date, *, calendar: str, convention: Convention) -> date:
    """The business day for a date. Refuses `CalendarUnknown` and `CalendarYearUnknown`.

    Modified following goes forward unless that leaves the month, then back.
    """
    if convention is Convention.NONE:
        return day
    if convention is Convention.PRECEDING:
        return _next(day, calendar, timedelta(days=-1))
    following = _next(day, calendar, timedelta(days=1))
    if convention is Convention.MODIFIED_FOLLOWING and following.month != day.month:
        return _next(day, calendar, timedelta(days=-1))
    return following


def add_business_days(day: date, count: int, *, calendar: str) -> date:
    """The business day `count` business days after a date. Refuses `CalendarUnknown` and `CalendarYearUnknown`."""
    for _ in range(count):
        day = _next(day + timedelta(days=1), calendar, timedelta(days=1))
    return day


def known_years(calendar: str) -> range:
    """The years that a calendar may know; single ones among them are refused where a holiday is only estimated.

    Refuses `CalendarUnknown`.
    """
    kind = _kind(calendar)
    if calendar == "CN":
        announced = ChinaStaticHolidays.special_public_holidays
        return range(min(announced), max(announced) + 1)
    return range(kind.start_year, kind.end_year + 1)


def _next(day: date, calendar: str, step: timedelta) -> date:
    while not is_business_day(day, calendar=calendar):
        day += step
    return day


@lru_cache(maxsize=1024)
def _closed(calendar: str, year: int) -> frozenset[date]:
    """The days of a year on which no business is done."""
    known = known_years(calendar)
    if year not in known:
        raise CalendarYearUnknown(f"The calendar {calendar} does not know the year {year}.")
    # The first days of a year may be made up for in the last days of the year before.
    years = [one for one in (year, year + 1) if one in known]
    kind = _kind(calendar)
    options: dict[str, Any] = {"islamic_show_estimated": True} if _estimates(kind) else {}
    found = kind(years=years, expand=False, language="en_US", **options)
    if any(ESTIMATED in name for day, name in found.items() if day.year == year):
        raise CalendarYearUnknown(f"Some holidays of {year} are only estimated in the calendar {calendar}.")
    days = (date(year, 1, 1) + timedelta(days=place) for place in range(366))
    return frozenset(day for day in days if day.year == year and not found.is_working_day(day))


def _estimates(kind: type[Any]) -> bool:
    return "islamic_show_estimated" in signature(kind).parameters


@lru_cache(maxsize=len(CALENDARS))
def _kind(calendar: str) -> type[Any]:
    if calendar not in CALENDARS:
        raise CalendarUnknown(f"There is no calendar {calendar} here.")
    if calendar == TARGET:
        return type(holidays.financial_holidays("ECB"))
    return type(holidays.country_holidays(calendar))
