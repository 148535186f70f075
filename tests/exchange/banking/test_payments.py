"""Payments out: the file, judged by a library that is not ours; the bank's answer; who may do what when."""

from dataclasses import replace
from datetime import UTC, date, datetime
from importlib import import_module
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xsdata.formats.dataclass.parsers import XmlParser

from exchange.banking import pain001, pain002, payments, refusals
from exchange.banking.pain001 import Debtor, Instruction
from exchange.banking.payments import Payment, State, UnknownPayment

PAYMENT = Payment(
    "P-1", 123_456, "CNY", "宁波新塑料有限公司", "6228000111122223333", date(2026, 3, 3), "purchase", "", "BKCHCNBJ"
)
OTHER = Payment("P-2", 5, "JPY", "Sunrise & Co", "DE89370400440532013000", date(2026, 3, 3), "", "RF18", "102100099996")
MADE = datetime(2026, 3, 2, 9, tzinfo=UTC)
FILE = Instruction("MSG-1", MADE, Debtor("The Exchange", "6222000011112222"), [OTHER, PAYMENT])


@pytest.mark.parametrize("version", ["03", "09"])
def test_another_library_reads_the_file(version: str) -> None:
    """pyiso20022's classes, made from the schema, find every payment, the sums and the dates."""
    name = f"pain_001_001_{version}"
    iso: Any = import_module(f"pyiso20022.pain.{name}.{name}")
    top = (
        XmlParser().from_bytes(pain001.write(FILE, message=f"pain.001.001.{version}"), iso.Document).cstmr_cdt_trf_initn
    )
    assert (top.grp_hdr.nb_of_txs, str(top.grp_hdr.ctrl_sum)) == ("2", "1239.56")
    blocks = {block.cdt_trf_tx_inf[0].amt.instd_amt.ccy: block for block in top.pmt_inf}
    assert {currency: str(block.ctrl_sum) for currency, block in blocks.items()} == {"CNY": "1234.56", "JPY": "5"}
    (ours,) = blocks["CNY"].cdt_trf_tx_inf
    assert (ours.pmt_id.end_to_end_id, str(ours.amt.instd_amt.value)) == ("P-1", "1234.56")
    assert (ours.cdtr.nm, ours.cdtr_acct.id.othr.id) == ("宁波新塑料有限公司", "6228000111122223333")
    (theirs,) = blocks["JPY"].cdt_trf_tx_inf
    assert theirs.cdtr_acct.id.iban == "DE89370400440532013000"
    assert theirs.rmt_inf.strd[0].cdtr_ref_inf.ref == "RF18"


def test_the_same_payments_give_the_same_bytes() -> None:
    """In whatever order they were listed."""
    assert pain001.write(FILE) == pain001.write(replace(FILE, payments=[PAYMENT, OTHER]))


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ([], refusals.FieldMalformed),
        ([PAYMENT, PAYMENT], refusals.LineRepeated),
        ([replace(PAYMENT, amount_minor=0)], refusals.FieldMalformed),
        ([replace(PAYMENT, currency="XXQ")], refusals.FieldMalformed),
        ([replace(PAYMENT, payment_id="x" * 36)], refusals.FieldMalformed),
        ([replace(PAYMENT, payment_id="号")], refusals.FieldMalformed),
        ([replace(PAYMENT, creditor_name="")], refusals.FieldMalformed),
        ([replace(PAYMENT, creditor_name="line\nbreak")], refusals.FieldMalformed),
        ([replace(PAYMENT, remittance="x" * 141)], refusals.FieldMalformed),
    ],
)
def test_what_the_format_does_not_hold_is_refused(
    changed: list[Payment], refusal: type[refusals.BankFileRefused]
) -> None:
    """Before a bank refuses the whole file."""
    with pytest.raises(refusal):
        pain001.write(replace(FILE, payments=changed))
    with pytest.raises(refusals.UnknownFormat):
        pain001.write(FILE, message="pain.001.001.99")


def report(*, group: str = "", blocks: str = "", message_id: str = "MSG-1") -> BytesIO:
    """A status report."""
    status = f"<GrpSts>{group}</GrpSts>" if group else ""
    return BytesIO(
        (
            '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>'
            "<GrpHdr><MsgId>R</MsgId></GrpHdr>"
            f"<OrgnlGrpInfAndSts><OrgnlMsgId>{message_id}</OrgnlMsgId>{status}</OrgnlGrpInfAndSts>"
            f"{blocks}</CstmrPmtStsRpt></Document>"
        ).encode()
    )


def one(payment_id: str, status: str, reason: str = "") -> str:
    """What is said of one payment."""
    why = f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn><AddtlInf>no such account</AddtlInf></StsRsnInf>" if reason else ""
    said = f"<TxSts>{status}</TxSts>" if status else ""
    return f"<TxInfAndSts><OrgnlEndToEndId>{payment_id}</OrgnlEndToEndId>{said}{why}</TxInfAndSts>"


def test_a_report_is_read_payment_by_payment() -> None:
    """Part of a file went through, part did not."""
    blocks = f"<OrgnlPmtInfAndSts>{one('P-1', 'ACSC')}{one('P-2', 'RJCT', 'AC01')}</OrgnlPmtInfAndSts>"
    found = pain002.read(report(group="PART", blocks=blocks))
    statuses = found.of(["P-1", "P-2", "P-3"])
    assert found.message_id == "MSG-1"
    assert {name: status.status for name, status in statuses.items()} == {"P-1": "ACSC", "P-2": "RJCT"}
    assert (statuses["P-2"].reason_codes, statuses["P-2"].texts) == (("AC01",), ("no such account",))


def test_a_report_on_the_whole_file() -> None:
    """What is said of the file holds for all; what is said of one payment or its block counts more."""
    assert {status.status for status in pain002.read(report(group="ACCP")).of(["P-1", "P-2"]).values()} == {"ACCP"}
    blocks = f"<OrgnlPmtInfAndSts><PmtInfSts>RJCT</PmtInfSts>{one('P-1', '')}</OrgnlPmtInfAndSts>"
    statuses = pain002.read(report(group="ACCP", blocks=blocks)).of(["P-1", "P-2"])
    assert (statuses["P-1"].status, statuses["P-2"].status) == ("RJCT", "ACCP")
    block = "<OrgnlPmtInfAndSts><PmtInfSts>RJCT</PmtInfSts></OrgnlPmtInfAndSts>"
    assert pain002.read(report(blocks=block)).of(["P-1"])["P-1"].status == "RJCT"


def test_an_answer_for_a_payment_nobody_made_is_refused() -> None:
    """And one that says nothing sensible."""
    blocks = f"<OrgnlPmtInfAndSts>{one('P-9', 'ACSC')}</OrgnlPmtInfAndSts>"
    with pytest.raises(UnknownPayment):
        pain002.read(report(blocks=blocks)).of(["P-1"])
    with pytest.raises(refusals.FieldMalformed):
        pain002.read(report(group="FINE"))
    with pytest.raises(refusals.FieldMissing):
        pain002.read(report(message_id=""))
    nothing = '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt/></Document>'
    with pytest.raises(refusals.FieldMissing):
        pain002.read(BytesIO(nothing.encode()))


def test_two_people_approve() -> None:
    """Nobody approves what they proposed, nor what is not proposed any more; the limit itself needs no approval."""
    payments.check_approval(State.PROPOSED, proposed_by="cli_a", approved_by="cli_b")
    with pytest.raises(payments.OwnPayment):
        payments.check_approval(State.PROPOSED, proposed_by="cli_a", approved_by="cli_a")
    with pytest.raises(payments.WrongState):
        payments.check_approval(State.PAID, proposed_by="cli_a", approved_by="cli_b")
    assert not payments.needs_approval(100, above_minor=100)
    assert payments.needs_approval(101, above_minor=100)


def test_answers_move_a_payment_once() -> None:
    """A later answer is taken, a repeated or an older one changes nothing, a contradiction is refused."""
    assert payments.answered(State.INSTRUCTED, status="ACCP") is State.INSTRUCTED
    assert payments.answered(State.INSTRUCTED, status="ACSP") is State.IN_TRANSIT
    assert payments.answered(State.IN_TRANSIT, status="ACSC") is State.PAID
    assert payments.answered(State.PAID, status="ACSC") is State.PAID
    assert payments.answered(State.PAID, status="ACSP") is State.PAID
    assert payments.answered(State.RETURNED, status="ACSC") is State.RETURNED
    with pytest.raises(payments.WrongState):
        payments.answered(State.PAID, status="RJCT")
    with pytest.raises(payments.WrongState):
        payments.answered(State.PROPOSED, status="ACSC")
    with pytest.raises(payments.WrongState):
        payments.answered(State.INSTRUCTED, status="WHAT")


@given(st.lists(st.sampled_from(State), max_size=20))
def test_no_way_leads_back(steps: list[State]) -> None:
    """Whatever is tried, no state is entered twice: every payment's life ends."""
    state, been = State.PROPOSED, {State.PROPOSED}
    for step in steps:
        try:
            payments.check_move(state, to=step)
        except payments.WrongState:
            continue
        state = step
        assert state not in been
        been.add(state)
