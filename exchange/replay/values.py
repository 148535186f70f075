"""Text of a foreign file -> exact values. Everything is refused that a careless parser would guess at."""

import re
from datetime import date, datetime
from functools import lru_cache

from exchange.currencies import MINOR_DIGITS

MAX_AMOUNT_MINOR = 2**53 - 1  # the largest integer a signed record may carry
MAX_TEXT = 200
_AMOUNT = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 1900, 2199


class BadValue(Exception):
    """A value that cannot be read; `code` says why."""

    def __init__(self, code: str) -> None:
        """Keep the stable code of the fault."""
        super().__init__(code)
        self.code = code


def amount_minor(text: str, *, exponent: int, decimals: int | None = None, unit: int = 1) -> int:
    """Read an amount exactly, in minor units of a currency with `exponent` decimals.

    `decimals` is the most decimals the column may show (default: the currency's own); `unit` is what one
    whole of the column stands for (1,000,000 for a column in millions). Refuses anything but ASCII digits and
    one point: no sign, no exponent, no grouping, no NaN.
    """
    if text.startswith("-") and _AMOUNT.fullmatch(text[1:]):
        raise BadValue("amount_negative")
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise BadValue("amount_malformed")
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > (exponent if decimals is None else decimals):
        raise BadValue("amount_too_precise")
    if len(whole) > len(str(MAX_AMOUNT_MINOR)):
        raise BadValue("amount_too_large")
    minor, rest = divmod(int(whole + fraction) * unit * 10**exponent, 10 ** len(fraction))
    if rest:
        raise BadValue("amount_too_precise")
    return _within_bounds(minor)


def integer_minor(text: str) -> int:
    """Read an amount that already is in minor units."""
    return amount_minor(text, exponent=0)


def _within_bounds(minor: int) -> int:
    if minor == 0:
        raise BadValue("amount_zero")
    if minor > MAX_AMOUNT_MINOR:
        raise BadValue("amount_too_large")
    return minor


@lru_cache(maxsize=4096)  # a book has few distinct days, and strptime is slow
def day(text: str, *, date_format: str | None = None) -> date:
    """Read a date written YYYY-MM-DD or in strptime's `date_format`; a time of day is dropped."""
    if not text.isascii() or (date_format is None and not _ISO_DATE.fullmatch(text)):
        raise BadValue("date_malformed")
    try:
        found = date.fromisoformat(text) if date_format is None else _parsed(text, date_format)
    except ValueError:
        raise BadValue("date_malformed") from None
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise BadValue("date_out_of_range")
    return found


def _parsed(text: str, date_format: str) -> date:
    return datetime.strptime(text, date_format).date()  # noqa: DTZ007 - a civil date has no zone


def flag(text: str) -> bool:
    """Read "true" or "false"; other spellings need `values` in the mapping."""
    if text not in {"true", "false"}:
        raise BadValue("flag_malformed")
    return text == "true"


def choice(text: str, *, allowed: frozenset[str]) -> str:
    """Read one of a closed set of words."""
    if text not in allowed:
        raise BadValue("value_not_allowed")
    return text


def currency(text: str) -> str:
    """Read an ISO 4217 code in use."""
    if text not in MINOR_DIGITS:
        raise BadValue("currency_unknown")
    return text


def words(text: str) -> str:
    """Read printable text of a bounded length."""
    if len(text) > MAX_TEXT:
        raise BadValue("text_too_long")
    # Control characters, line breaks and bytes that were not text go; the two other blanks that real names
    # hold stay.
    if not text.replace("\u00a0", " ").replace("\u3000", " ").isprintable():
        raise BadValue("text_not_printable")
    return text


def sha256_hex(text: str) -> str:
    """Read a SHA-256 digest in lower-case hex."""
    if not _SHA256.fullmatch(text):
        raise BadValue("digest_malformed")
    return text
