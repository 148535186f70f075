"""MT940: the movements, the ways of :86:, what adds up and what is refused."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.banking import mt940, refusals
from exchange.banking.statement import Closing, Opening, Part
from tests.exchange.banking.files import MT940, lines, whole


def read(text: str) -> list[Part]:
    """All parts of a file."""
    return list(mt940.read(text.splitlines(keepends=True)))


def test_a_statement_is_read_whole() -> None:
    """Balances, signs (a reversed credit goes out), dates, and what each dialect of :86: says."""
    parts = read(MT940)
    assert parts[0] == Opening("STMT-1", "6222000011112222", "CNY", "00017", 100_000)
    assert parts[-1] == Closing(120_000 - 0)
    german, swift, plain = lines(parts)
    assert [line.amount_minor for line in (german, swift, plain)] == [25_050, -5_000, -50]
    assert (german.value_date, german.booking_date) == (date(2026, 3, 3), date(2026, 3, 2))
    assert (german.bank_reference, german.end_to_end_id) == ("BR-1", "E2E-7")
    assert (german.counterparty_name, german.counterparty_account) == ("NEW PLASTICS GMBH", "DE8937040044")
    assert german.remittance == "INV-2026/001 AND MORE"
    assert (swift.counterparty_name, swift.remittance, swift.end_to_end_id) == ("SUNRISE LTD", "rent of March", "")
    assert (plain.remittance, plain.references, plain.is_reversal) == ("supplement just words", ("ABC",), True)


def test_a_statement_in_parts_is_one() -> None:
    """Intermediate balances close nothing; the parts follow each other."""
    text = (
        ":20:A\n:25:1\n:28C:5/1\n:60F:C260302CNY0,\n:61:2603020302C1,NTRFX//1\n:62M:C260302CNY1,\n"
        ":20:B\n:25:1\n:28C:5/2\n:60M:C260302CNY1,\n:61:2603020302C2,NTRFX//2\n:62F:C260302CNY3,00\n"
    )
    parts = read(text)
    assert [line.amount_minor for line in lines(parts)] == [100, 200]
    assert parts[-1] == Closing(300)


def test_a_booking_around_new_year() -> None:
    """MMDD belongs to the year that is closest to the value date."""
    text = (
        ":20:A\n:25:1\n:28C:1\n:60F:C991230CNY0,\n:61:9912311230C1,NTRFX\n:61:0001011231C1,NTRFX\n:62F:C000102CNY2,\n"
    )
    first, second = lines(read(text))
    assert (first.value_date, first.booking_date) == (date(1999, 12, 31), date(1999, 12, 30))
    assert (second.value_date, second.booking_date) == (date(2000, 1, 1), date(1999, 12, 31))
    assert not lines(read(MT940.split(":61:")[0] + ":62F:C260302CNY1000,00\n"))


def test_without_booking_date_and_with_leap_day() -> None:
    """No MMDD means the value date; 29 February is found in the year that has it."""
    text = ":20:A\n:25:1\n:28C:1\n:60F:C240228CNY0,\n:61:240301C1,NTRFX\n:61:2403010229C1,NTRFX\n:62F:C240301CNY2,\n"
    first, second = lines(read(text))
    assert (first.booking_date, second.booking_date) == (date(2024, 3, 1), date(2024, 2, 29))


HEAD = ":20:A\n:25:1\n:28C:1/1\n:60F:C260302CNY0,\n"
REFUSED: dict[str, tuple[str, type[refusals.BankFileRefused]]] = {
    "sum": (f"{HEAD}:61:260302C1,NTRFX\n:62F:C260302CNY2,\n", refusals.DoesNotAddUp),
    "no end": (f"{HEAD}:61:260302C1,NTRFX\n", refusals.FieldMissing),
    "no account": (":20:A\n:28C:1\n:60F:C260302CNY0,\n", refusals.FieldMissing),
    "not a movement": (f"{HEAD}:61:hello\n", refusals.FieldMalformed),
    "not a day": (f"{HEAD}:61:260231C1,NTRFX\n", refusals.FieldMalformed),
    "not a day of a year": (f"{HEAD}:61:2603020231C1,NTRFX\n", refusals.FieldMalformed),
    "not a balance": (":20:A\n:25:1\n:60F:X\n", refusals.FieldMalformed),
    "too exact": (f"{HEAD}:61:260302C1,001NTRFX\n", refusals.FieldMalformed),
    "second part first": (":20:A\n:25:1\n:28C:1/2\n", refusals.PagesMissing),
    "part twice": (":20:A\n:28C:1/1\n:20:A\n:28C:1/3\n", refusals.PagesMissing),
    "another statement in between": (":20:A\n:28C:1/1\n:20:A\n:28C:2/2\n", refusals.PagesMissing),
    "field before the first": (":25:1\n", refusals.FileUnreadable),
    "words before the first": ("hello\n", refusals.FileUnreadable),
    "long line": (f"{HEAD}:86:{'x' * 3000}\n", refusals.FileTooLarge),
    "endless field": (f"{HEAD}:86:x\n" + "y\n" * 200, refusals.FileTooLarge),
    "unknown currency": (":20:A\n:25:1\n:60F:C260302XXQ0,\n", refusals.UnknownCurrency),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """Each fault has its refusal."""
    text, refusal = REFUSED[name]
    with pytest.raises(refusal):
        read(text)


@settings(max_examples=300)
@given(at=st.integers(0, len(MT940) - 1), cut=st.integers(0, 8), put=st.text(max_size=6))
def test_damage_is_refused_or_harmless(at: int, cut: int, put: str) -> None:
    """Whatever is changed, cut or put in: a whole statement or one of our refusals, never anything else."""
    try:
        parts = read(MT940[:at] + put + MT940[at + cut :])
    except refusals.BankFileRefused:
        return
    assert not parts or whole(parts)
