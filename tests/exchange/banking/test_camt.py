"""camt.053 and camt.054: what comes out, what adds up, what is refused; judged by a library that is not ours."""

from datetime import date
from decimal import Decimal
from importlib import import_module
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xsdata.formats.dataclass.serializers import XmlSerializer
from xsdata.models.datatype import XmlDate, XmlDateTime

from exchange.banking import camt, refusals
from exchange.banking.statement import Closing, Line, Opening
from tests.exchange.banking.files import ACCOUNT, DETAIL, balance, entry, lines, read_camt, statement, whole


def test_a_statement_is_read_whole() -> None:
    """Account, balances, and of each booked line whatever helps to know what it pays."""
    text = statement(
        entry("250.50", reference="B-1", details=DETAIL),
        entry("50", sign="DBIT", reference="B-2"),
        entry("7.00", status="<Cd>PDNG</Cd>", reference="B-3"),
        closing="300.50",
    )
    opening, first, second, closing = read_camt(text)
    assert opening == Opening("S-1", "6222000011112222", "CNY", "17", 10_000)
    assert closing == Closing(30_050)
    assert isinstance(first, Line)
    assert isinstance(second, Line)
    assert (first.amount_minor, second.amount_minor) == (25_050, -5_000)
    assert (first.booking_date, first.value_date) == (date(2026, 3, 2), date(2026, 3, 3))
    assert (first.counterparty_name, first.counterparty_account) == ("宁波新塑料有限公司", "6228 0001")
    assert (first.remittance, first.end_to_end_id) == ("payment of INV-2026/001", "E2E-7")
    assert set(first.references) == {"INV-9", "RF18ABC"}
    assert (first.bank_reference, first.transaction_code, second.remittance) == ("B-1", "PMNT/RCDT/ESCT", "transfer")


@pytest.mark.parametrize("status", ["BOOK", "<Cd>BOOK</Cd>"])
@pytest.mark.parametrize("version", ["02", "04", "08", "13"])
def test_every_version_in_use(version: str, status: str) -> None:
    """Old versions spell the status and the parties otherwise."""
    older = DETAIL.replace("<Pty>", "").replace("</Pty>", "")
    text = statement(entry("1.00", status=status, details=older), closing="101.00", version=version)
    (line,) = lines(read_camt(text))
    assert line.counterparty_name == "宁波新塑料有限公司"


def test_a_batch_is_its_payments() -> None:
    """One entry, three payments with amounts of their own: three lines, each under a reference of its own."""
    part = "<TxDtls><Amt Ccy='CNY'>{}</Amt><CdtDbtInd>CRDT</CdtDbtInd></TxDtls>"
    details = part.format("1.00") + part.format("2.00") + part.format("4.00")
    found = lines(read_camt(statement(entry("7.00", reference="B", details=details), closing="107.00")))
    assert [(line.amount_minor, line.bank_reference) for line in found] == [(100, "B/1"), (200, "B/2"), (400, "B/3")]
    nested = details.replace("<Amt Ccy='CNY'>", "<AmtDtls><TxAmt><Amt Ccy='CNY'>").replace(
        "</Amt>", "</Amt></TxAmt></AmtDtls>"
    )
    assert len(lines(read_camt(statement(entry("7.00", details=nested), closing="107.00")))) == 3
    with pytest.raises(refusals.DoesNotAddUp):
        read_camt(statement(entry("8.00", details=details), closing="108.00"))
    unsaid = "<TxDtls></TxDtls><TxDtls></TxDtls>"
    assert len(lines(read_camt(statement(entry("7.00", details=unsaid), closing="107.00")))) == 1


def test_lines_without_a_reference_get_one_that_lasts() -> None:
    """The same line in two files has one reference; two lines that say the same in one file have two."""
    twice = statement(entry("1.00"), entry("1.00"), closing="102.00")
    again = statement(entry("1.00"), entry("9.00"), entry("1.00"), closing="111.00")
    first, second = (line.bank_reference for line in lines(read_camt(twice)))
    assert first != second
    assert [first, second] == [line.bank_reference for line in lines(read_camt(again)) if line.amount_minor == 100]


REFUSED: dict[str, tuple[str, type[refusals.BankFileRefused]]] = {
    "sum": (statement(entry("1.00"), closing="100.99"), refusals.DoesNotAddUp),
    "currency of a line": (statement(entry("1.00", currency="USD"), closing="101.00"), refusals.CurrencyMixed),
    "currency of a balance": (statement(balance("ITBD", "1.00", currency="EUR")), refusals.CurrencyMixed),
    "unknown currency": (
        statement(head=ACCOUNT.replace("CNY", "XXQ")).replace('Ccy="CNY"', 'Ccy="XXQ"'),
        refusals.UnknownCurrency,
    ),
    "too exact": (statement(entry("1.001"), closing="101.00"), refusals.FieldMalformed),
    "negative": (statement(entry("-1.00")), refusals.FieldMalformed),
    "not a number": (statement(entry("1e3")), refusals.FieldMalformed),
    "infinite": (statement(entry("Infinity")), refusals.FieldMalformed),
    "no direction": (statement(entry("1.00", sign="UP")), refusals.FieldMissing),
    "no account": (statement(entry("1.00"), head=""), refusals.FieldMissing),
    "no dates": (
        statement(
            entry("1.00").replace("<BookgDt><Dt>2026-03-02</Dt></BookgDt><ValDt><Dt>2026-03-03</Dt></ValDt>", "")
        ),
        refusals.FieldMissing,
    ),
    "no such day": (statement(entry("1.00").replace("2026-03-02", "2026-02-30")), refusals.FieldMalformed),
    "reversal or not": (statement(entry("1.00", more="<RvslInd>maybe</RvslInd>")), refusals.FieldMalformed),
    "repeated": (
        statement(entry("1.00", reference="B"), entry("1.00", reference="B"), closing="102.00"),
        refusals.LineRepeated,
    ),
    "second page": (
        statement(head=f"<StmtPgntn><PgNb>2</PgNb><LastPgInd>true</LastPgInd></StmtPgntn>{ACCOUNT}"),
        refusals.PagesMissing,
    ),
    "fewer entries": (
        statement(head=f"{ACCOUNT}<TxsSummry><TtlNtries><NbOfNtries>2</NbOfNtries></TtlNtries></TxsSummry>"),
        refusals.DoesNotAddUp,
    ),
    "truncated": (statement(entry("1.00"))[:-40], refusals.FileUnreadable),
    "empty": ("", refusals.FileUnreadable),
    "not XML": (":20:STMT", refusals.FileUnreadable),
    "another message": (statement().replace("camt.053", "camt.052"), refusals.UnknownFormat),
    "another version": (statement(version="99"), refusals.UnknownFormat),
    "no namespace": (
        statement().replace(' xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"', ""),
        refusals.UnknownFormat,
    ),
    "document type": (statement().replace("<Document", "<!DOCTYPE Document><Document", 1), refusals.FileDangerous),
    "entity bomb": (
        statement(entry("1.00", details="<TxDtls>&c;</TxDtls>")).replace(
            "<Document",
            '<!DOCTYPE Document [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]><Document',
            1,
        ),
        refusals.FileDangerous,
    ),
    "external entity": (
        statement().replace("<Document", '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Document', 1),
        refusals.FileDangerous,
    ),
    "undefined entity": (statement(entry("1.00", reference="&x;")), refusals.FileUnreadable),
    "too deep": (statement("<Ntry>" + "<a>" * 60 + "</a>" * 60 + "</Ntry>"), refusals.FileTooLarge),
    "instruction in a text": (statement(entry("1<?php 1?>.00")), refusals.FileDangerous),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """Each fault has its refusal, which says where."""
    text, refusal = REFUSED[name]
    with pytest.raises(refusal) as caught:
        read_camt(text)
    assert caught.value.code


def test_an_endless_piece_is_not_gathered() -> None:
    """One entry with a hundred thousand elements is refused while it is read."""
    with pytest.raises(refusals.FileTooLarge):
        read_camt(statement("<Ntry>" + "<x/>" * 100_001 + "</Ntry>"))


@pytest.mark.parametrize("kind", ["camt.053", "camt.054"])
def test_files_of_another_library(kind: str) -> None:
    """pyiso20022 writes the file from the schema; we read back what it was given."""
    amounts = [Decimal("12.34"), Decimal("0.01"), Decimal("999999999.99")]
    found = lines(list(camt.read(BytesIO(foreign(kind, amounts).encode()))))
    assert [line.amount_minor for line in found] == [1234, -1, 99999999999]
    assert {line.counterparty_name for line in found} == {"Sunrise & <Plastics>"}
    assert {line.end_to_end_id for line in found} == {"E-1"}


def foreign(kind: str, amounts: list[Decimal]) -> str:
    """A file that pyiso20022's classes, made from the ISO schemas, write."""
    number = f"{kind.replace('.', '_')}_001_08"
    iso: Any = import_module(f"pyiso20022.camt.{number}.{number}")
    statements = kind == "camt.053"
    part = iso.AccountStatement9 if statements else iso.AccountNotification17
    entries = []
    for at, amount in enumerate(amounts):
        credit = at % 2 == 0
        side = iso.TransactionParties6(
            **{
                "dbtr" if credit else "cdtr": iso.Party40Choice(
                    pty=iso.PartyIdentification135(nm="Sunrise & <Plastics>")
                )
            }
        )
        detail = iso.EntryTransaction10(refs=iso.TransactionReferences6(end_to_end_id="E-1"), rltd_pties=side)
        entries.append(
            iso.ReportEntry10(
                amt=iso.ActiveOrHistoricCurrencyAndAmount(value=amount, ccy="CNY"),
                cdt_dbt_ind=iso.CreditDebitCode.CRDT if credit else iso.CreditDebitCode.DBIT,
                sts=iso.EntryStatus1Choice(cd="BOOK"),
                bookg_dt=iso.DateAndDateTime2Choice(dt=XmlDate(2026, 3, 2)),
                bk_tx_cd=iso.BankTransactionCodeStructure4(),
                ntry_dtls=[iso.EntryDetails9(tx_dtls=[detail])],
            )
        )
    account = iso.CashAccount39(id=iso.AccountIdentification4Choice(iban="DE89370400440532013000"), ccy="CNY")
    made = XmlDateTime(2026, 3, 2, 1, 0, 0)
    head = iso.GroupHeader81(msg_id="M", cre_dt_tm=made)
    body = part(id="S", cre_dt_tm=made, acct=account, ntry=entries)
    root = (
        iso.Document(bk_to_cstmr_stmt=iso.BankToCustomerStatementV08(grp_hdr=head, stmt=[body]))
        if statements
        else iso.Document(
            bk_to_cstmr_dbt_cdt_ntfctn=iso.BankToCustomerDebitCreditNotificationV08(grp_hdr=head, ntfctn=[body])
        )
    )
    return XmlSerializer().render(root)


@settings(max_examples=300)
@given(data=st.data())
def test_damage_is_refused_or_harmless(data: st.DataObject) -> None:
    """Whatever bytes are changed, cut or put in: a whole statement or one of our refusals, never anything else."""
    text = statement(entry("1.00", reference="B", details=DETAIL), closing="101.00").encode()
    at = data.draw(st.integers(0, len(text) - 1))
    cut = data.draw(st.integers(0, 8))
    damaged = text[:at] + data.draw(st.binary(max_size=6)) + text[at + cut :]
    try:
        parts = list(camt.read(BytesIO(damaged)))
    except refusals.BankFileRefused:
        return
    assert not parts or whole(parts)


def test_a_long_statement_is_not_held() -> None:
    """Lines come out while the file still goes in."""

    class Endless(BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            self.taken += 1
            return super().read(size)

    text = statement(*[entry("1.00")] * 5_000, closing="5100.00").encode()
    stream = Endless(text)
    parts = camt.read(stream)
    assert isinstance(next(parts), Opening)
    assert isinstance(next(parts), Line)
    early = stream.taken
    assert sum(1 for part in parts if isinstance(part, Line)) == 4_999
    assert early < stream.taken / 4
