"""When what is owed falls due: calendars, day counts, schedules of instalments. Pure."""
