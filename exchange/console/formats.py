"""How the console writes numbers, days and moments. What is not known is a dash, never a zero."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from exchange.currencies import MINOR_DIGITS

DASH = "–"  # noqa: RUF001 - the en dash of tables
MINUS = "−"  # noqa: RUF001 - as wide as a digit
STEPS = ((10**12, "tn"), (10**9, "bn"), (10**6, "m"), (10**3, "k"))
BPS = 10_000
PPM = 1_000_000


def amount(minor: int | None, currency: str) -> str:
    """Minor units as an exact number with its separators, such as `12,345.60`."""
    if minor is None:
        return DASH
    digits = MINOR_DIGITS[currency]
    whole, part = divmod(abs(minor), 10**digits)
    return f"{MINUS if minor < 0 else ''}{whole:,}" + (f".{part:0{digits}}" if digits else "")


def money(minor: int | None, currency: str) -> str:
    """An exact amount with its currency, such as `CNY 12,345.60`."""
    return DASH if minor is None else f"{currency} {amount(minor, currency)}"


def in_unit(number: int, unit: str) -> str:
    """An exact amount where the unit is a currency, else a number of pieces."""
    return amount(number, unit) if unit in MINOR_DIGITS else f"{MINUS if number < 0 else ''}{abs(number):,}"


def short(minor: int, currency: str) -> str:
    """An amount for the axis of a plot, such as `2.5 m`."""
    major = minor / 10 ** MINOR_DIGITS[currency]
    for size, unit in STEPS:
        if major >= size:
            return f"{major / size:g} {unit}"
    return f"{major:g}"


def count(value: int | None) -> str:
    """A number of things."""
    return DASH if value is None else f"{value:,}"


def percent_of_bps(value: int | None) -> str:
    """Basis points as a percentage, exact: two digits."""
    return DASH if value is None else f"{MINUS if value < 0 else ''}{abs(value) / 100:.2f} %"


def percent_of_ppm(value: int | None) -> str:
    """Millionths as a percentage of two digits."""
    return percent_of_bps(None if value is None else round(value * BPS / PPM))


def ratio(part: int, whole: int) -> str:
    """`part` of `whole` as a percentage of two digits; a part of nothing is not known."""
    return percent_of_bps(round(part * BPS / whole) if whole else None)


def day(value: date | None) -> str:
    """A date, ISO 8601."""
    return DASH if value is None else value.isoformat()


def moment(value: datetime | None, zone: str) -> str:
    """A moment to the minute, on the clocks of `zone`."""
    return DASH if value is None else f"{value.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def words(code: str | None) -> str:
    """A stable code as words: `charge_off` is `charge off`."""
    return DASH if code is None else code.replace("_", " ")


def milestone(kind: str) -> str:
    """A fact of servicing as words, such as `reminder, 7 days before` or `late, day 16 after grace`."""
    name, _, number = kind.partition("_")
    if name == "reminder":
        return "reminder on the due date" if number == "0" else f"reminder, {number} days before"
    return f"late, day {number} after grace" if name == "late" else words(kind)


FILTERS = {
    "amount": amount,
    "money": money,
    "in_unit": in_unit,
    "count": count,
    "percent_of_bps": percent_of_bps,
    "percent_of_ppm": percent_of_ppm,
    "ratio": ratio,
    "day": day,
    "moment": moment,
    "words": words,
    "milestone": milestone,
}
