"""Where money may go: two people, a cooling time, one stop; and what goes back to where it came from."""

import pytest
from sqlalchemy.exc import IntegrityError

from exchange import books
from ledger.books import Leg, Transfer, post
from tests.exchange.house import House
from tests.exchange.owner import as_owner
from tests.exchange.payments.desk import (
    IBAN,
    answer,
    approve_account,
    business_day,
    decide,
    fund_account,
    make_file,
    payment,
    put_policy,
    second,
    seller_account,
    states,
    withdraw,
)
from tests.exchange.settlement.bank import decide as decide_line
from tests.exchange.settlement.bank import enter_one, paid
from tests.exchange.settlement.book import balance, buy, credit, fresh, note, pay, results, rows, seller_of

ENTRY = {"holder_name": "A fund", "account": IBAN, "currency": "CNY"}
SELLER = {"holder_name": "A seller", "account": "6228000111122223333", "agent": "BKCHCNBJ", "currency": "CNY"}


def test_an_account_needs_two_and_a_day(desk: House) -> None:
    """Nobody approves what they entered; nothing can be paid before the cooling time is over; the history stays."""
    funder = desk.funders[0]
    account_id = funder.post("/v1/payout-accounts", ENTRY)["account_id"]
    item = {"items": [{"account_id": account_id, "outcome": "approved"}]}
    (own,) = results(funder.post("/v1/payout-accounts/decisions", item))
    assert (own["status"], own["errors"][0]["code"]) == (409, "own_account")
    (foreign,) = results(desk.funders[1].post("/v1/payout-accounts/decisions", item))
    assert foreign["status"] == 404
    assert funder.refused("POST", "/v1/payout-accounts", ENTRY)["code"] == "account_awaited"
    approve_account(desk, account_id)
    (late,) = results(desk.operator.post("/v1/payout-accounts/decisions", item))
    assert late["errors"][0]["code"] == "already_decided"
    desk.deposit(0, 1_000_000)
    body = {"currency": "CNY", "part_minor": 5}
    assert funder.refused("POST", "/v1/withdrawals", body)["code"] == "no_payout_account"
    desk.move(9, days=1)
    assert withdraw(desk, 5)["state"] == "scheduled"
    (shown,) = funder.get("/v1/payout-accounts")["items"]
    assert (shown["usable_from"], shown["account"]) == (desk.today.isoformat(), "*" * 18 + "3000")
    assert IBAN not in str(desk.operator.get("/v1/payout-accounts"))


def test_a_new_account_takes_over_after_its_day(desk: House) -> None:
    """Until then money goes to the old one; a declined one never gets any."""
    other = "GB29NWBK60161331926819"
    account_id = desk.funders[0].post("/v1/payout-accounts", ENTRY | {"account": other})["account_id"]
    approve_account(desk, account_id)
    before = withdraw(desk, 5)["payment_id"]
    business_day(desk)
    after = withdraw(desk, 5)["payment_id"]
    shown = [payment(desk, one)["creditor_account"][-4:] for one in (before, after)]
    assert shown == [IBAN[-4:], other[-4:]]
    bad = desk.funders[0].post("/v1/payout-accounts", ENTRY)["account_id"]
    item = {"account_id": bad, "outcome": "declined"}
    (unsaid,) = results(desk.operator.post("/v1/payout-accounts/decisions", {"items": [item]}))
    assert (unsaid["status"], unsaid["errors"][0]["code"]) == (422, "reason_missing")
    item["reason"] = "the fund did not enter it"
    (declined,) = results(desk.operator.post("/v1/payout-accounts/decisions", {"items": [item]}))
    assert declined["status"] == 201
    business_day(desk)
    assert payment(desk, withdraw(desk, 5)["payment_id"])["account_id"] == account_id


def test_closing_an_account_stops_what_goes_there(desk: House) -> None:
    """One person is enough; payments that no bank knows of are cancelled, and their money is there again."""
    waiting = desk.funders[0].get("/v1/payments?state=scheduled")["items"]
    cash = balance(desk, books.funder_cash(desk.funder_ids[0]))
    account_id = waiting[-1]["account_id"]
    mine = [one for one in waiting if one["account_id"] == account_id]
    path = f"/v1/payout-accounts/{account_id}/closure"
    assert desk.funders[1].refused("POST", path, {"reason": "x"})["code"] == "not_found"
    closed = desk.funders[0].post(path, {"reason": "our bank was robbed"})
    assert closed["cancelled"] == len(mine) > 0
    assert states(desk, mine[0]["payment_id"])[-1] == "cancelled"
    back = sum(one["amount_minor"] for one in mine)
    assert balance(desk, books.funder_cash(desk.funder_ids[0])) == cash + back
    desk.funders[0].post(path, {"reason": "again"})
    assert payment(desk, withdraw(desk, 5)["payment_id"])["account_id"] != account_id


def test_a_bank_that_knows_no_such_account(desk: House) -> None:
    """A rejection that speaks of the account closes it: the next payment needs another."""
    fund_account(desk, funder=1)
    desk.deposit(1, 100_000)
    business_day(desk)
    first, waiting = (withdraw(desk, 500, funder=1)["payment_id"] for _ in range(2))
    desk.operator.post(f"/v1/payments/{waiting}/cancellation", {"reason": "later"})
    file_id = make_file(desk)["file_id"]
    answer(desk, file_id, **{first: "RJCT"})
    assert payment(desk, first)["steps"][-1]["reason"].startswith("AC01")
    body = {"currency": "CNY"}
    assert desk.funders[1].refused("POST", "/v1/withdrawals", body)["code"] == "no_payout_account"
    (shown,) = desk.funders[1].get("/v1/payout-accounts")["items"]
    assert shown["closed_reason"] == "AC01"


def test_bad_accounts(desk: House) -> None:
    """Wrong check digits, a number without its bank, a seller that is not one's own, or none."""
    wrong = desk.funders[1].refused("POST", "/v1/payout-accounts", ENTRY | {"account": IBAN[:-1] + "1"})
    assert (wrong["errors"][0]["code"], wrong["errors"][0]["pointer"]) == ("bad_account", "/account")
    bare = {name: value for name, value in SELLER.items() if name != "agent"}
    assert desk.funders[1].refused("POST", "/v1/payout-accounts", bare)["errors"][0]["code"] == "agent_missing"
    assert desk.platform.refused("POST", "/v1/payout-accounts", SELLER)["errors"][0]["pointer"] == "/seller"
    stranger = SELLER | {"seller": {"scheme": "platform", "value": "nobody"}}
    assert desk.platform.refused("POST", "/v1/payout-accounts", stranger)["code"] == "not_found"


def test_a_seller_that_owes_keeps_what_it_owes(desk: House) -> None:
    """What a seller owes funders for credit notes is not paid out, neither on demand nor by the daily job."""
    item = fresh()
    (asset_id,) = buy(desk, item)
    company_id = seller_of(desk, asset_id)
    purse = books.seller_cash(company_id)
    seller_account(desk, item["seller"])
    assert balance(desk, purse) == 0  # the daily job was there
    credit(desk, note(asset_id, 700_000, on=desk.today))
    owed_minor = -balance(desk, books.seller_recourse(company_id))
    legs = (Leg(books.BANK, "CNY/2", -100_000), Leg(purse, "CNY/2", 100_000))
    with desk.services.database.transaction() as session:
        transfer = Transfer("a-gift", desk.today, "a gift", legs)
        post(session.connection(), transfers=[transfer], now=desk.services.clock.now(session))
    pay_all: dict[str, object] = {"seller": item["seller"], "currency": "CNY"}
    assert desk.platform.refused("POST", "/v1/payments", pay_all)["code"] == "insufficient_cash"
    problem = desk.platform.refused("POST", "/v1/payments", pay_all | {"part_minor": 1})
    assert problem["numbers"]["available_minor"] == 100_000 - owed_minor < 0
    desk.move(15, 40)
    assert len(rows(desk, "SELECT FROM payment WHERE party_id = :id", id=company_id)) == 1


def test_a_seller_of_two_platforms(desk: House) -> None:
    """Neither platform decides alone where the money of a company goes that sells through both."""
    item = fresh(seller={"scheme": "lei", "value": "5493001KJTIIGC8Y1R12"})
    (asset_id,) = desk.submit(item)
    with as_owner(desk.services.database) as session:
        session.connection().exec_driver_sql(
            "INSERT INTO originator VALUES ('org_01h455vb4pex5vsknk084sn02q', 'Another', now())"
        )
        session.connection().exec_driver_sql(
            "INSERT INTO receivable SELECT 'ast_01h455vb4pex5vsknk084sn02q', 'org_01h455vb4pex5vsknk084sn02q',"
            " seller_id, obligor_id, invoice_number, product, currency, face_minor, issue_date, due_date, recourse,"
            " documents, submitted_at FROM receivable WHERE asset_id = %s",
            (asset_id,),
        )
    account_id = desk.platform.post("/v1/payout-accounts", SELLER | {"seller": item["seller"]})["account_id"]
    items = {"items": [{"account_id": account_id, "outcome": "approved"}]}
    (refused,) = results(second(desk).post("/v1/payout-accounts/decisions", items))
    assert refused["errors"][0]["code"] == "operator_needed"
    approve_account(desk, account_id)


def test_a_refund_goes_back_where_it_came_from(desk: House) -> None:
    """Money that nobody could place, decided by a person, sent back by two; it cannot be sent twice nor taken back."""
    put_policy(desk, approve_above=[{"currency": "CNY", "amount_minor": 10_000}])
    business_day(desk)
    loose = balance(desk, books.UNAPPLIED)
    line = enter_one(desk, paid(9_000, "who knows", name="A stranger", account=IBAN))
    (row,) = rows(desk, "SELECT receipt_id FROM receipt WHERE line_id = :id", id=line["line_id"])
    body = {"receipt_id": row.receipt_id}
    early = desk.operator.refused("POST", "/v1/refunds", body)
    assert (early["code"], early["numbers"]["state"]) == ("not_refundable", "open")
    decide_line(desk, line["line_id"], "refund")
    made = desk.operator.post("/v1/refunds", body | {"part_minor": 4_000})
    assert (made["state"], balance(desk, books.UNAPPLIED)) == ("scheduled", loose + 5_000)
    assert desk.operator.refused("POST", "/v1/refunds", body | {"part_minor": 5_001})["code"] == "not_refundable"
    rest = desk.operator.post("/v1/refunds", body)
    assert rest["amount_minor"] == 5_000
    assert desk.operator.refused("POST", "/v1/refunds", body)["code"] == "not_refundable"
    taken = enter_one(desk, paid(-9_000, line["bank_reference"], is_reversal=True, account=IBAN))
    assert taken["proposal"]["reasons"][-1] == "sent_back"
    file_id = make_file(desk)["file_id"]
    answer(desk, file_id, **{made["payment_id"]: "ACSC", rest["payment_id"]: "CANC"})
    assert balance(desk, books.UNAPPLIED) == loose + 5_000
    assert payment(desk, made["payment_id"])["creditor_account"][-4:] == IBAN[-4:]
    assert desk.operator.post("/v1/refunds", body)["amount_minor"] == 5_000


def test_a_refund_to_an_account_said_by_hand(desk: House) -> None:
    """The bank did not say where it came from: whoever says where it goes needs a second person, however little."""
    (receipt,) = pay(desk, ("rent", 70))
    body = {"receipt_id": receipt["receipt_id"]}
    assert desk.operator.refused("POST", "/v1/refunds", body)["errors"][0]["pointer"] == "/creditor"
    to = {"holder_name": "A stranger", "account": IBAN[:-1] + "1"}
    assert desk.operator.refused("POST", "/v1/refunds", body | {"creditor": to})["errors"][0]["code"] == "bad_account"
    made = desk.operator.post("/v1/refunds", body | {"creditor": to | {"account": IBAN}})
    assert made["state"] == "proposed"
    assert decide(desk.operator, made["payment_id"])["errors"][0]["code"] == "own_payment"
    unknown = {"receipt_id": "rcp_01h455vb4pex5vsknk084sn02q"}
    assert desk.operator.refused("POST", "/v1/refunds", unknown)["code"] == "not_found"
    desk.operator.post(f"/v1/payments/{made['payment_id']}/cancellation", {"reason": "found its owner"})


REFUSED = (
    "UPDATE payment SET party_id = party_id || 'x' WHERE account_id IS NOT NULL",
    "UPDATE payout_account SET decided_by = entered_by WHERE outcome IS NOT NULL",
    "UPDATE receipt SET refunded_minor = amount_minor - applied_minor + 1",
    "UPDATE payment SET state = 'gone'",
    "INSERT INTO payment_step SELECT payment_id, 99, state, 'x', NULL, effective_date, recorded_at FROM payment_step",
)


@pytest.mark.parametrize("statement", REFUSED)
def test_the_database_holds_the_rules_too(desk: House, statement: str) -> None:
    """Another's account, one's own approval, more than is unapplied, a state twice: refused even to the owner."""
    with pytest.raises(IntegrityError), as_owner(desk.services.database) as session:
        session.connection().exec_driver_sql(statement)
