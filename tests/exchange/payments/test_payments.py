"""Money out, from the account it may go to until the bank says that it is there, or that it is not."""

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from xsdata.formats.dataclass.parsers import XmlParser

from exchange import books
from exchange.payments.rails import report
from tests.exchange.house import House
from tests.exchange.payments.desk import (
    IBAN,
    answer,
    business_day,
    decide,
    end_to_end,
    fund_account,
    make_file,
    payment,
    post_answer,
    put_policy,
    seller_account,
    states,
    withdraw,
)
from tests.exchange.settlement.bank import ACCOUNT, enter_one, paid
from tests.exchange.settlement.book import PRICE_MINOR, asset, balance, buy, fresh, pay, rows, seller_of

ROUTE = ["proposed", "approved", "scheduled", "instructed", "in_transit", "paid"]


@pytest.fixture(scope="module")
def account(desk: House) -> str:
    """The funder's account, usable; it has cash."""
    account_id = fund_account(desk)
    desk.deposit(0, 100_000_000)
    return account_id


def cash(house: House) -> int:
    """The funder's cash."""
    return balance(house, books.funder_cash(house.funder_ids[0]))


def under_way(house: House) -> int:
    """The funder's money on its way out."""
    return balance(house, books.paying(books.funder_cash(house.funder_ids[0])))


def sent(house: House, part_minor: int = 700) -> tuple[str, str]:
    """A payment that the bank was told of, and its file."""
    business_day(house)
    payment_id = withdraw(house, part_minor)["payment_id"]
    return payment_id, make_file(house)["file_id"]


def test_a_withdrawal_until_it_is_paid(desk: House, account: str) -> None:
    """Out of the cash when proposed, out of the bank when paid; the statement confirms it; the funder is told."""
    business_day(desk)
    before, bank = cash(desk), balance(desk, books.BANK)
    made = withdraw(desk, 5_000)
    assert (made["state"], made["execution_date"]) == ("scheduled", desk.today.isoformat())
    assert (cash(desk), under_way(desk)) == (before - 5_000, 5_000)
    file = make_file(desk)
    assert (file["payment_count"], file["sum_minor"]) == (1, 5_000)
    said = answer(desk, file["file_id"], **{made["payment_id"]: "ACSP"})
    assert said.get_json() == {"file_id": file["file_id"], "moved": 1, "known": False}
    line = enter_one(desk, paid(-5_000, "withdrawal", end_to_end=end_to_end(made["payment_id"]).upper()))
    assert (line["state"], line["proposal"]["kind"]) == ("booked", "payment_out")
    assert states(desk, made["payment_id"]) == ROUTE
    shown = payment(desk, made["payment_id"])
    assert (shown["line_id"], shown["account_id"]) == (line["line_id"], account)
    assert shown["creditor_account"] == "*" * 18 + IBAN[-4:]
    assert (under_way(desk), balance(desk, books.BANK)) == (0, bank + 5_000)
    told = [event["type"] for event in desk.events(0) if event["type"].startswith("payment")]
    assert told == [f"payment.{state}" for state in ROUTE[2:]]


def test_another_library_reads_the_file(desk: House, account: str) -> None:
    """The bytes are the same each time, and pyiso20022 finds the payment, its sum and its creditor in them."""
    del account
    payment_id, file_id = sent(desk, 1_234)
    first = desk.operator.call("GET", f"/v1/payment-files/{file_id}")
    assert first.mimetype == "application/xml"
    assert desk.operator.call("GET", f"/v1/payment-files/{file_id}").data == first.data
    iso: Any = import_module("pyiso20022.pain.pain_001_001_09.pain_001_001_09")
    top = XmlParser().from_bytes(first.data, iso.Document).cstmr_cdt_trf_initn
    (one,) = top.pmt_inf[0].cdt_trf_tx_inf
    assert (top.grp_hdr.nb_of_txs, str(top.grp_hdr.ctrl_sum)) == ("1", "12.34")
    assert (one.pmt_id.end_to_end_id, one.cdtr_acct.id.iban) == (end_to_end(payment_id), IBAN)
    assert top.pmt_inf[0].dbtr_acct.id.othr.id == ACCOUNT
    answer(desk, file_id, **{payment_id: "ACSC"})
    assert desk.operator.refused("GET", "/v1/payment-files/pmf_01h455vb4pex5vsknk084sn02q")["code"] == "not_found"
    shown = desk.operator.get("/v1/payment-files?limit=1000")["items"][-1]
    assert (shown["file_id"], shown["states"]) == (file_id, {"paid": 1})


def test_a_rejection_gives_the_money_back(desk: House, account: str) -> None:
    """Failed: cash as before, the reason kept; the account was not at fault, so it stays."""
    before = cash(desk)
    payment_id, file_id = sent(desk)
    answer(desk, file_id, **{payment_id: "CANC"})
    assert states(desk, payment_id)[-1] == "failed"
    assert (cash(desk), under_way(desk)) == (before, 0)
    (shown,) = [one for one in desk.operator.get("/v1/payout-accounts")["items"] if one["account_id"] == account]
    assert shown["closed_at"] is None


def test_money_that_comes_back(desk: House, account: str) -> None:
    """Paid, then a credit line with our id: returned, and the cash is the funder's again, not unapplied."""
    del account
    before, loose = cash(desk), balance(desk, books.UNAPPLIED)
    payment_id, file_id = sent(desk)
    answer(desk, file_id, **{payment_id: "ACSC"})
    line = enter_one(desk, paid(700, f"RETURN {end_to_end(payment_id)}"))
    assert (line["state"], states(desk, payment_id)[-1]) == ("booked", "returned")
    assert (cash(desk), balance(desk, books.UNAPPLIED)) == (before, loose)
    assert payment(desk, payment_id)["return_line_id"] == line["line_id"]


def test_lines_that_do_not_fit(desk: House, account: str) -> None:
    """Another amount, a payment nobody made, one not instructed, one that was confirmed before: a person looks."""
    del account
    payment_id, file_id = sent(desk)
    waiting = withdraw(desk, 300)["payment_id"]
    nobody = "pay-01h455vb4pex5vsknk084sn02q"
    cases = {
        "amount_differs": paid(-701, "x", end_to_end=end_to_end(payment_id)),
        "unknown_payment": paid(-700, "x", end_to_end=nobody),
        "payment_scheduled": paid(-300, "x", end_to_end=end_to_end(waiting)),
        "names_more": paid(-700, f"{end_to_end(payment_id)} {end_to_end(waiting)}"),
    }
    for reason, entry in cases.items():
        line = enter_one(desk, entry)
        assert (line["state"], line["proposal"]["reasons"][-1]) == ("open", reason)
    assert states(desk, payment_id)[-1] == "instructed"
    assert enter_one(desk, paid(-700, "x", end_to_end=end_to_end(payment_id)))["state"] == "booked"
    again = enter_one(desk, paid(-700, "x", end_to_end=end_to_end(payment_id)))
    assert (again["state"], again["proposal"]["reasons"][-1]) == ("open", "paid_before")
    stray = enter_one(desk, paid(9, f"returned {nobody}"))
    assert (stray["state"], stray["proposal"]["reasons"][-1]) == ("open", "unknown_payment")
    desk.funders[0].post(f"/v1/payments/{waiting}/cancellation", {"reason": "no need"})
    answer(desk, file_id, **{payment_id: "ACSC"})


def test_a_line_of_tomorrow_waits(desk: House, account: str) -> None:
    """Its day comes, and with it the evening's work: then the payment is paid."""
    del account
    payment_id, _ = sent(desk)
    tomorrow = desk.today + timedelta(days=1)
    line = enter_one(desk, paid(-700, "x", end_to_end=end_to_end(payment_id), value_date=tomorrow))
    assert line["proposal"]["reasons"][-1] == "value_date_in_future"
    assert states(desk, payment_id)[-1] == "instructed"
    desk.move(22, days=1)
    assert states(desk, payment_id)[-1] == "paid"
    assert payment(desk, payment_id)["steps"][-1]["effective_date"] == tomorrow.isoformat()


def test_answers_of_a_bank(desk: House, account: str) -> None:
    """Unknown file or payment, junk, a bomb: refused with nothing done; repeated: nothing more; contrary: refused."""
    del account
    payment_id, file_id = sent(desk)
    document = b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10">'
    bomb = b'<!DOCTYPE x [<!ENTITY a "aa">]>' + document + b"&a;</Document>"
    whole = desk.operator.call("GET", f"/v1/payment-files/{file_id}").data
    cases = {
        b"": "file_unreadable",
        report(file_id, {payment_id: "ACSC"})[:-20]: "file_unreadable",
        bomb: "file_dangerous",
        whole: "unknown_format",
    }
    for content, code in cases.items():
        refused = post_answer(desk, content)
        assert (refused.status_code, refused.get_json(force=True)["errors"][0]["code"]) == (422, code)
    for file, one in (("pmf_01h455vb4pex5vsknk084sn02q", payment_id), (file_id, "pay_01h455vb4pex5vsknk084sn02q")):
        refused = answer(desk, file, **{one: "ACSC"})
        assert (refused.status_code, refused.get_json(force=True)["errors"][0]["code"]) == (422, "unknown_payment")
    good = answer(desk, file_id, **{payment_id: "ACSC"})
    assert good.get_json()["moved"] == 1
    again = answer(desk, file_id, **{payment_id: "ACSC"})
    assert again.get_json() == {"file_id": file_id, "moved": 1, "known": True}
    assert answer(desk, file_id, **{payment_id: "ACSP"}).get_json()["moved"] == 0
    contrary = answer(desk, file_id, **{payment_id: "RJCT"})
    assert (contrary.status_code, contrary.get_json(force=True)["code"]) == (409, "answer_contradicts")
    assert states(desk, payment_id) == ["proposed", "approved", "scheduled", "instructed", "paid"]


def test_the_second_person(desk: House, account: str) -> None:
    """Above the policy's sum of the day somebody else approves; nobody approves their own; who is first decides."""
    del account
    business_day(desk)
    desk.deposit(0, 10_000_000)
    small, large = withdraw(desk, 600_000), withdraw(desk, 400_001)
    assert (small["state"], large["state"]) == ("scheduled", "proposed")
    own = decide(desk.funders[0], large["payment_id"])
    assert (own["status"], own["errors"][0]["code"]) == (409, "own_payment")
    foreign = decide(desk.funders[1], large["payment_id"])
    assert (foreign["status"], foreign["errors"][0]["code"]) == (404, "not_found")
    assert decide(desk.operator, large["payment_id"])["status"] == 201
    assert decide(desk.operator, large["payment_id"])["errors"][0]["code"] == "wrong_state"
    before = cash(desk)
    other = withdraw(desk, 2_000_000)["payment_id"]
    assert decide(desk.operator, other, "declined")["status"] == 201
    assert (states(desk, other), cash(desk)) == (["proposed", "cancelled"], before)
    for one in (small, large):
        desk.operator.post(f"/v1/payments/{one['payment_id']}/cancellation", {"reason": "test"})
    again = desk.operator.refused("POST", f"/v1/payments/{other}/cancellation", {"reason": "test"})
    assert again["code"] == "not_cancellable"


def test_no_more_than_there_is(desk: House, account: str) -> None:
    """Nothing is paid beyond the cash, nor without an account; of others' payments nobody learns."""
    del account
    problem = desk.funders[0].refused("POST", "/v1/withdrawals", {"currency": "CNY", "part_minor": cash(desk) + 1})
    assert (problem["code"], problem["numbers"]["available_minor"]) == ("insufficient_cash", cash(desk))
    body = {"currency": "CNY"}
    assert desk.funders[1].refused("POST", "/v1/withdrawals", body)["code"] == "no_payout_account"
    mine = desk.funders[0].get("/v1/payments")["items"]
    assert mine
    assert desk.funders[1].get("/v1/payments")["items"] == []
    assert desk.funders[1].get("/v1/payout-accounts")["items"] == []
    path = f"/v1/payments/{mine[0]['payment_id']}"
    assert desk.funders[1].refused("GET", path)["code"] == "not_found"
    assert desk.funders[1].refused("POST", f"{path}/cancellation", {"reason": "x"})["code"] == "not_found"
    assert desk.operator.refused("POST", "/v1/payment-files", {"account": ACCOUNT})["code"] == "nothing_to_pay"
    assert desk.operator.refused("POST", "/v1/payment-files", {"account": "1"})["code"] == "not_found"


def test_after_the_cut_off(desk: House, account: str) -> None:
    """A payment of the evening goes the next business day, and no file takes it along before."""
    del account
    business_day(desk)
    desk.move(16)
    late = withdraw(desk, 500)
    assert late["execution_date"] > desk.today.isoformat()
    assert desk.operator.refused("POST", "/v1/payment-files", {"account": ACCOUNT})["code"] == "nothing_to_pay"
    business_day(desk)
    assert make_file(desk)["payment_count"] == 1
    assert states(desk, late["payment_id"])[-1] == "instructed"


def test_a_seller_is_paid_by_itself(desk: House) -> None:
    """The price of what it sold, every afternoon, once; both legs of the asset say where they are."""
    put_policy(desk, approve_above=[{"currency": "CNY", "amount_minor": 10_000_000}])
    item = fresh()
    (asset_id,) = buy(desk, item)
    purse = books.seller_cash(seller_of(desk, asset_id))
    assert balance(desk, purse) == PRICE_MINOR
    money = desk.operator.get(f"/v1/assets/{asset_id}/money")
    assert (money["price"]["state"], money["price"]["paid_out"]) == ("settled", None)
    seller_account(desk, item["seller"])
    business_day(desk, 15)
    desk.move(15, 40)
    (shown,) = [one for one in desk.platform.get("/v1/payments")["items"] if one["kind"] == "price"]
    assert (shown["amount_minor"], shown["proposed_by"], shown["state"]) == (PRICE_MINOR, None, "scheduled")
    assert balance(desk, purse) == 0
    file_id = make_file(desk)["file_id"]
    answer(desk, file_id, **{shown["payment_id"]: "ACSC"})
    pay(desk, (asset_id, 400))
    money = desk.platform.get(f"/v1/assets/{asset_id}/money")
    assert (money["price"]["paid_out"], money["price"]["payment_id"]) == ("paid", shown["payment_id"])
    assert [one["applied_minor"] for one in money["receipts"]] == [400]
    theirs = desk.funders[0].get(f"/v1/assets/{asset_id}/money")
    assert (theirs["price"]["amount_minor"], theirs["price"]["payment_id"]) == (PRICE_MINOR, None)
    assert desk.funders[1].refused("GET", f"/v1/assets/{asset_id}/money")["code"] == "not_found"
    assert asset(desk, asset_id)["outstanding_minor"] == 1_000_000 - 400


def test_steps_are_sealed(desk: House) -> None:
    """Nobody changes what happened to a payment, and the service may not even try."""
    with pytest.raises(Exception, match="permission denied"):
        rows(desk, "UPDATE payment_step SET reason = 'other' RETURNING 1")
    with pytest.raises(Exception, match="permission denied"):
        rows(desk, "DELETE FROM payment_step RETURNING 1")
