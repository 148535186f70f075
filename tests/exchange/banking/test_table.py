"""Statements as CSV."""

import pytest

from exchange.banking import refusals, table
from exchange.banking.statement import Closing, Opening, Part
from exchange.banking.table import TableMap
from tests.exchange.banking.files import DAY, lines

SIGNED = TableMap(
    "acc",
    "CNY",
    {"booking_date": "日期", "amount": "金额", "balance": "余额", "remittance": "摘要", "bank_reference": "流水号"},
)
TWO = TableMap(
    "acc",
    "EUR",
    {"booking_date": "Date", "value_date": "Valuta", "money_in": "In", "money_out": "Out", "currency": "Cur"},
    date_format="%d.%m.%Y",
    decimal_mark=",",
    thousands_mark=".",
    delimiter=";",
    newest_first=True,
)


def read(text: str, mapped: TableMap = SIGNED) -> list[Part]:
    """All parts of a table."""
    return list(table.read(text.splitlines(keepends=True), table=mapped, statement_id="S"))


def test_one_signed_column_and_a_balance() -> None:
    """The opening balance is what stood before the first line; every step has to lead to the next."""
    parts = read(
        '\ufeff日期,流水号,金额,余额,摘要\n2026-03-02,1,"1,250.50",2000.00,INV-1\n2026-03-03,2,-50,1950.00,fee\n'
    )
    assert parts[0] == Opening("S", "acc", "CNY", None, 74_950)
    assert [(line.amount_minor, line.bank_reference, line.remittance) for line in lines(parts)] == [
        (125_050, "1", "INV-1"),
        (-5_000, "2", "fee"),
    ]
    assert parts[-1] == Closing(195_000)


def test_two_columns_newest_first() -> None:
    """Comma decimals, the newest line on top, no balance to check."""
    parts = read("Date;Valuta;In;Out;Cur\n03.03.2026;04.03.2026;;1.000,00;EUR\n02.03.2026;;2,5;;\n", TWO)
    first, second = lines(parts)
    assert (first.amount_minor, first.booking_date, first.value_date) == (250, DAY, DAY)
    assert (second.amount_minor, second.currency) == (-100_000, "EUR")


def test_an_empty_table_is_an_empty_statement() -> None:
    """No line on a quiet day."""
    assert read("日期,流水号,金额,余额,摘要\n") == [Opening("S", "acc", "CNY"), Closing(None)]


HEAD = "日期,流水号,金额,余额,摘要\n"


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", refusals.FieldMissing),
        ("a,b\n", refusals.FieldMissing),
        (f"{HEAD}2026-03-02,1,1,1\n", refusals.FileUnreadable),
        (f"{HEAD}2026-03-02,1,1,1,x,y\n", refusals.FileUnreadable),
        (f'{HEAD}2026-03-02,1,1,1,"x"y\n', refusals.FileUnreadable),
        (f"{HEAD}02/03/2026,1,1,1,x\n", refusals.FieldMalformed),
        (f"{HEAD},1,1,1,x\n", refusals.FieldMissing),
        (f"{HEAD}2026-03-02,1,one,1,x\n", refusals.FieldMalformed),
        (f"{HEAD}2026-03-02,1,1,1,{'x' * 5000}\n", refusals.FileTooLarge),
        (f"{HEAD}2026-03-02,1,1,1,x\n2026-03-02,2,1,3,x\n", refusals.DoesNotAddUp),
        (f"{HEAD}2026-03-02,1,1,1,x\n2026-03-02,1,1,2,x\n", refusals.LineRepeated),
    ],
)
def test_refused(text: str, refusal: type[refusals.BankFileRefused]) -> None:
    """Each fault has its refusal."""
    with pytest.raises(refusal):
        read(text)
