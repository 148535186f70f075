"""Why a schedule or a calendar cannot be used."""

from typing import ClassVar


class ScheduleRefused(Exception):
    """Base of what is refused here; `code` is stable."""

    code: ClassVar[str] = "schedule_refused"


class CalendarUnknown(ScheduleRefused):
    """There is no such calendar here."""

    code = "calendar_unknown"


class CalendarYearUnknown(ScheduleRefused):
    """The calendar does not know that year: its holidays are not announced, or only estimated."""

    code = "calendar_year_unknown"


class DatesNotIncreasing(ScheduleRefused):
    """An instalment is not due after the one before it."""

    code = "dates_not_increasing"


class AmountsTooSmall(ScheduleRefused):
    """There is not a minor unit for each instalment."""

    code = "amounts_too_small"
