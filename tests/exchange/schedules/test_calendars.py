"""Business days, against another library's and by hand."""

from datetime import date, timedelta

import chinese_calendar  # type: ignore[import-untyped]  # ships no types
import pytest
from chinese_calendar.constants import holidays as announced  # type: ignore[import-untyped]  # same

from exchange.schedules.calendars import (
    CALENDARS,
    Convention,
    add_business_days,
    adjust,
    is_business_day,
    known_years,
    trades_on,
)
from exchange.schedules.refusals import CalendarUnknown, CalendarYearUnknown

SPRING_FESTIVAL_EVE = date(2026, 2, 14)
"""A Saturday that is worked before the nine days off."""


def test_chinas_days_are_those_of_another_library() -> None:
    """Every day of 2004-2026 alike, but 31 December 2005: the notice for 2006 made that Saturday a working day."""
    day, other = date(min(announced).year, 1, 1), []
    while day.year <= max(announced).year:
        if is_business_day(day, calendar="CN") != chinese_calendar.is_workday(day):
            other.append(day)
        day += timedelta(days=1)
    assert other == [date(2005, 12, 31)]
    assert is_business_day(date(2005, 12, 31), calendar="CN")


def test_china_knows_the_years_that_were_announced() -> None:
    """No year is guessed: the one after the last announcement is refused, and the one before the first."""
    years = known_years("CN")
    assert years.start == 2001
    assert years.stop > max(announced).year
    for year in (years.start - 1, years.stop):
        with pytest.raises(CalendarYearUnknown):
            is_business_day(date(year, 6, 1), calendar="CN")


def test_estimated_holidays_are_not_known() -> None:
    """A feast that waits for the moon makes its year unknown, though other years of the calendar are known."""
    assert not is_business_day(date(2024, 4, 10), calendar="SG")  # Hari Raya Puasa
    with pytest.raises(CalendarYearUnknown, match="estimated"):
        is_business_day(date(2060, 4, 10), calendar="SG")


def test_every_calendar_knows_a_common_year_and_its_own_limits() -> None:
    """Each of them has between 240 and 270 business days in 2024."""
    for calendar in CALENDARS:
        days = [date(2024, 1, 1) + timedelta(days=place) for place in range(366)]
        assert 240 <= sum(is_business_day(day, calendar=calendar) for day in days) <= 270, calendar
        with pytest.raises(CalendarYearUnknown):
            is_business_day(date(known_years(calendar).stop, 1, 1), calendar=calendar)


def test_no_such_calendar() -> None:
    """A calendar that is not offered is refused, even one that the library would have."""
    for name in ("", "XX", "cn", "HK"):
        with pytest.raises(CalendarUnknown):
            adjust(date(2026, 3, 2), calendar=name, convention=Convention.FOLLOWING)


@pytest.mark.parametrize(
    ("calendar", "day", "following", "modified", "preceding"),
    [
        ("CN", date(2026, 2, 17), date(2026, 2, 24), date(2026, 2, 24), SPRING_FESTIVAL_EVE),
        ("CN", date(2026, 10, 10), *[date(2026, 10, 10)] * 3),
        (
            "TARGET",
            date(2024, 3, 30),
            date(2024, 4, 2),
            date(2024, 3, 28),
            date(2024, 3, 28),
        ),  # Easter at a month's end
        ("US", date(2026, 7, 3), date(2026, 7, 6), date(2026, 7, 6), date(2026, 7, 2)),
        ("SA", date(2024, 2, 2), date(2024, 2, 4), date(2024, 2, 4), date(2024, 2, 1)),  # a weekend of Friday, Saturday
    ],
)
def test_adjustment(calendar: str, day: date, following: date, modified: date, preceding: date) -> None:
    """Each convention, over holidays, worked weekends, month ends and other weekends than ours."""
    assert adjust(day, calendar=calendar, convention=Convention.FOLLOWING) == following
    assert adjust(day, calendar=calendar, convention=Convention.MODIFIED_FOLLOWING) == modified
    assert adjust(day, calendar=calendar, convention=Convention.PRECEDING) == preceding
    assert adjust(day, calendar="nowhere", convention=Convention.NONE) == day


def test_adjustment_into_an_unknown_year_is_refused() -> None:
    """The first business day after a year's last days may be in a year that nobody knows."""
    last = date(known_years("TARGET").stop - 1, 12, 31)
    with pytest.raises(CalendarYearUnknown):
        add_business_days(last, 1, calendar="TARGET")


def test_business_days_are_counted() -> None:
    """Three business days after the Friday before the Spring Festival: the worked Saturday counts."""
    assert add_business_days(date(2026, 2, 13), 1, calendar="CN") == SPRING_FESTIVAL_EVE
    assert add_business_days(date(2026, 2, 13), 3, calendar="CN") == date(2026, 2, 25)
    assert add_business_days(date(2026, 2, 13), 0, calendar="CN") == date(2026, 2, 13)


def test_a_market_is_open_on_business_days() -> None:
    """A worked Saturday is open, the spring festival closed; without a calendar every day, unannounced Mon to Fri."""
    days = [date(2026, 2, 14), date(2026, 2, 17), date(2026, 3, 8)]
    assert [trades_on(day, calendar="CN") for day in days] == [True, False, False]
    assert all(trades_on(day, calendar=None) for day in days)
    assert [trades_on(date(2099, 3, day), calendar="CN") for day in (6, 7, 8, 9)] == [True, False, False, True]
