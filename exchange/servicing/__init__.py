"""Following every asset day by day: reminders, lateness, default."""
