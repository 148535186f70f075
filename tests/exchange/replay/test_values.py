"""Amounts, dates and words of foreign files: exact or refused."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.replay import values


@given(st.integers(1, values.MAX_AMOUNT_MINOR), st.sampled_from([0, 2, 3]))
def test_amounts_are_exact(minor: int, exponent: int) -> None:
    """Whatever a currency can write is read back to the unit."""
    text = f"{Decimal(minor).scaleb(-exponent):f}"
    assert values.amount_minor(text, exponent=exponent) == minor


@given(st.text(max_size=12))
def test_amounts_refuse_or_read(text: str) -> None:
    """Any text is either an amount of ASCII digits or refused with a code."""
    try:
        minor = values.amount_minor(text, exponent=2)
    except values.BadValue:
        return
    assert minor == Decimal(text) * 100
    assert text.isascii()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("NaN", "amount_malformed"),
        ("1e5", "amount_malformed"),
        ("\uff11\uff12", "amount_malformed"),  # full-width digits
        ("1,234.00", "amount_malformed"),
        ("+1", "amount_malformed"),
        (".5", "amount_malformed"),
        ("5.", "amount_malformed"),
        ("1_000", "amount_malformed"),
        ("--1", "amount_malformed"),
        ("-1.00", "amount_negative"),
        ("0.00", "amount_zero"),
        ("1.005", "amount_too_precise"),
        ("9" * 17, "amount_too_large"),
        ("90071992547409.92", "amount_too_large"),
    ],
)
def test_amounts_refused(text: str, code: str) -> None:
    """Each way of not being an amount has its code."""
    with pytest.raises(values.BadValue, match=f"^{code}$"):
        values.amount_minor(text, exponent=2)


def test_unit_and_decimals() -> None:
    """A column in millions is exact, and more decimals than the currency has must come out even."""
    assert values.amount_minor("163.816", exponent=2, decimals=3, unit=10**6) == 16_381_600_000
    assert values.amount_minor("1.500", exponent=2, decimals=3) == 150
    with pytest.raises(values.BadValue, match="amount_too_precise"):
        values.amount_minor("1.505", exponent=2, decimals=3)


def test_dates() -> None:
    """ISO by default, strptime's format when given."""
    assert values.day("2024-02-29") == date(2024, 2, 29)
    assert values.day("1/2/2013", date_format="%m/%d/%Y") == date(2013, 1, 2)
    assert values.day("2013-01-02 23:59", date_format="%Y-%m-%d %H:%M") == date(2013, 1, 2)


@pytest.mark.parametrize(
    "text", ["20240229", "2024-W01-1", "2023-02-29", "\uff12024-01-01", "2024-1-1", "2024-01-01\n"]
)
def test_dates_refused(text: str) -> None:
    """What is not a day in the one agreed form is refused."""
    with pytest.raises(values.BadValue, match="date_malformed"):
        values.day(text)


@pytest.mark.parametrize("text", ["1899-12-31", "2200-01-01"])
def test_dates_out_of_range(text: str) -> None:
    """A day of another century is a slip of the pen."""
    with pytest.raises(values.BadValue, match="date_out_of_range"):
        values.day(text)


def test_words() -> None:
    """Names keep their blanks; control characters and endless text do not pass."""
    assert values.words("宁波\u3000恒达 Co.\u00a0Ltd") == "宁波\u3000恒达 Co.\u00a0Ltd"
    for text, code in [
        ("a\nb", "text_not_printable"),
        ("\udcff", "text_not_printable"),
        ("x" * 201, "text_too_long"),
    ]:
        with pytest.raises(values.BadValue, match=code):
            values.words(text)


def test_small_parsers() -> None:
    """Flags, choices, currencies and digests accept their own spelling only."""
    assert values.flag("true")
    assert not values.flag("false")
    assert values.currency("CNY") == "CNY"
    assert values.sha256_hex("a" * 64) == "a" * 64
    for parse, text in [(values.flag, "Yes"), (values.currency, "cny"), (values.sha256_hex, "A" * 64)]:
        with pytest.raises(values.BadValue):
            parse(text)
    with pytest.raises(values.BadValue, match="value_not_allowed"):
        values.choice("x", allowed=frozenset({"y"}))
