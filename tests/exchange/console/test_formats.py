"""How numbers and moments are written."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.console import formats
from exchange.currencies import MINOR_DIGITS


@given(st.integers(-(10**18), 10**18), st.sampled_from(sorted(MINOR_DIGITS)))
def test_amounts_are_exact(minor: int, currency: str) -> None:
    """Without its separators an amount reads as the minor units it came from, with the currency's own digits."""
    written = formats.amount(minor, currency)
    digits = MINOR_DIGITS[currency]
    assert int(written.replace(",", "").replace(".", "").replace(formats.MINUS, "-")) == minor
    assert len(written.partition(".")[2]) == digits


def test_amounts_of_each_kind() -> None:
    """Two digits, none, three; negative; unknown."""
    assert formats.money(123_456_789, "CNY") == "CNY 1,234,567.89"
    assert formats.money(1_234, "JPY") == "JPY 1,234"
    assert formats.money(1_234, "KWD") == "KWD 1.234"
    assert formats.money(-5, "CNY") == "CNY \N{MINUS SIGN}0.05"
    assert formats.money(None, "CNY") == formats.amount(None, "CNY") == formats.DASH


def test_short_amounts() -> None:
    """The size is in the unit."""
    written = [formats.short(minor, "CNY") for minor in (0, 5_000, 150_000, 250_000_000, 10**11, 3 * 10**14)]
    assert written == ["0", "50", "1.5 k", "2.5 m", "1 bn", "3 tn"]


def test_shares() -> None:
    """Two digits, and no share of nothing."""
    assert formats.percent_of_bps(907) == "9.07 %"
    assert formats.percent_of_bps(-50) == "\N{MINUS SIGN}0.50 %"
    assert formats.percent_of_ppm(26_418) == "2.64 %"
    assert formats.ratio(1, 3) == "33.33 %"
    assert formats.ratio(0, 0) == formats.percent_of_bps(None) == formats.percent_of_ppm(None) == formats.DASH


def test_counts_days_and_moments() -> None:
    """Separators, ISO 8601, and the clocks of a place."""
    assert formats.count(12_345) == "12,345"
    assert formats.day(date(2026, 3, 2)) == "2026-03-02"
    assert formats.moment(datetime(2026, 3, 1, 16, 30, tzinfo=UTC), "Asia/Shanghai") == "2026-03-02 00:30"
    assert (
        formats.count(None) == formats.day(None) == formats.moment(None, "UTC") == formats.words(None) == formats.DASH
    )


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("reminder_7", "reminder, 7 days before"),
        ("reminder_0", "reminder on the due date"),
        ("late_16", "late, day 16 after grace"),
        ("default", "default"),
        ("charge_off", "charge off"),
    ],
)
def test_milestones_are_words(kind: str, written: str) -> None:
    """Every fact of servicing reads as words."""
    assert formats.milestone(kind) == written
