"""Lines of statements: what is certain is booked, the rest waits for a person, and all money is somewhere."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from exchange import books, jobs, worker
from tests.exchange.house import House, receipt
from tests.exchange.settlement.bank import (
    camt,
    check_lines,
    decide,
    enter,
    enter_one,
    fresh_reference,
    line,
    lines,
    open_account,
    paid,
    send,
)
from tests.exchange.settlement.book import FACE_MINOR, asset, balance, buy, check_conserved, fresh, pay, rows
from tests.exchange.settlement.test_races import another, at_once


@pytest.fixture(autouse=True)
def checked(market: House) -> Iterator[None]:
    """The account is known; after every test the books add up."""
    open_account(market)
    yield
    check_conserved(market)
    check_lines(market)


def named(name: str, **changes: object) -> dict[str, Any]:
    """A submission whose obligor has a name."""
    item = fresh(**changes)
    return item | {"obligor": item["obligor"] | {"name": name}}


def owed(house: House, asset_id: str) -> int:
    """What is owed on an asset."""
    ((outstanding_minor,),) = rows(house, "SELECT outstanding_minor FROM claim WHERE asset_id = :id", id=asset_id)
    return int(outstanding_minor)


def reasons(row: dict[str, Any]) -> list[str]:
    """Why a line was taken for what it seems."""
    return list(row["proposal"]["reasons"])


def test_an_asset_named_in_a_text_is_paid(market: House) -> None:
    """The id stands somewhere in the remittance, in capitals and broken by a blank: booked, and the funder told."""
    (asset_id,) = buy(market, fresh())
    text = f"payment for {asset_id.upper().replace('_', ' ')}, thanks"
    row = enter_one(market, paid(400_000, text, name="Ningbo Plastics", account="6228 0001"))
    assert (row["state"], reasons(row)) == ("booked", ["reference", "partial"])
    assert owed(market, asset_id) == FACE_MINOR - 400_000
    told = [event["data"] for event in market.events(0) if event["type"] == "collection.distributed"]
    assert told[-1]["items"][0]["asset_id"] == asset_id
    (kept,) = rows(market, "SELECT line_id, amount_minor FROM receipt WHERE asset_id = :id", id=asset_id)
    assert tuple(kept) == (row["line_id"], 400_000)


def test_one_payment_for_many_and_many_for_one(market: House) -> None:
    """A line that names three assets pays each; two lines that name one pay it together; the excess is unapplied."""
    first, second, third = market.submit(*(fresh(face_minor=amount) for amount in (100, 200, 300)))
    before = balance(market, books.UNAPPLIED)
    many = enter_one(market, paid(650, f"{first} {second} {third}"))
    assert (many["state"], "overpaid" in reasons(many)) == ("booked", True)
    assert [asset(market, one)["claim"] for one in (first, second, third)] == ["closed"] * 3
    assert balance(market, books.UNAPPLIED) == before + 50
    (fourth,) = market.submit(fresh(face_minor=1_000))
    both = enter(market, paid(400, fourth), paid(600, fourth))
    assert {row["state"] for row in both.values()} == {"booked"}
    assert asset(market, fourth)["claim"] == "closed"


def test_a_funders_deposit(market: House) -> None:
    """Its reference alone is certain; a line that names an asset too waits, its money unapplied."""
    reference, cash = market.deposit_references[0], books.funder_cash(market.funder_ids[0])
    had, unapplied = balance(market, cash), balance(market, books.UNAPPLIED)
    assert enter_one(market, paid(5_000, f"deposit {reference}"))["state"] == "booked"
    assert balance(market, cash) == had + 5_000
    (asset_id,) = market.submit(fresh())
    row = enter_one(market, paid(70, f"{reference} {asset_id}"))
    assert (row["state"], reasons(row)) == ("open", ["deposit_reference", "names_more"])
    assert balance(market, books.UNAPPLIED) == unapplied + 70
    assert decide(market, row["line_id"], "accept")["status"] == 201
    assert (balance(market, cash), balance(market, books.UNAPPLIED)) == (had + 5_070, unapplied)


def test_an_account_is_learnt(market: House) -> None:
    """By name and amount a payment is a proposal; once its account paid by reference, the next is certain."""
    name = "Learned Chemicals Co., Ltd."
    one = named(name)
    first, second, third = market.submit(
        one, fresh(obligor=one["obligor"], face_minor=222), fresh(obligor=one["obligor"], face_minor=333)
    )
    row = enter_one(market, paid(222, "our invoice", name="LEARNED CHEMICALS CO LTD", account="ACC-7"))
    assert (row["state"], reasons(row)) == ("open", ["payer_name", "amount"])
    assert row["proposal"]["allocations"] == [{"reference": second, "amount_minor": 222}]
    assert enter_one(market, paid(1, first, name=name, account="ACC-7"))["state"] == "booked"
    row = enter_one(market, paid(333, "our invoice", name="another spelling", account="acc-7"))
    assert (row["state"], reasons(row), owed(market, third)) == ("booked", ["payer_account", "amount"], 0)


def test_an_invoice_number_counts_among_the_payers_own(market: House) -> None:
    """Two sellers number alike: the payer decides whose invoice it is; without a payer a number says nothing."""
    ones = [named(name) | {"invoice_number": "2026/0042"} for name in ("Alike Ltd", "Other GmbH")]
    mine, _ = market.submit(*ones)
    row = enter_one(market, paid(100, "Rechnung 2026 0042", name="ALIKE"))
    assert (row["state"], owed(market, mine)) == ("booked", FACE_MINOR - 100)
    row = enter_one(market, paid(100, "invoice 2026/0042", name="who knows"))
    assert (row["state"], row["proposal"]["kind"], reasons(row)) == ("open", "unmatched", ["payer_unknown"])


def test_money_for_nobody_waits_and_is_allocated(market: House) -> None:
    """It is unapplied at once; a person shares it out, the rest stays unapplied; nobody decides twice."""
    first, second = market.submit(fresh(face_minor=500), fresh(face_minor=900))
    before = balance(market, books.UNAPPLIED)
    row = enter_one(market, paid(1_000, "thank you"))
    assert (row["state"], balance(market, books.UNAPPLIED)) == ("open", before + 1_000)
    assert row in lines(market, "open")
    too_much = decide(market, row["line_id"], "allocate", (first, 501))
    assert too_much["errors"][0]["code"] == "more_than_outstanding"
    assert decide(market, row["line_id"], "allocate", (first, 600), (second, 600))["status"] == 422
    assert decide(market, row["line_id"], "allocate", ("nothing", 1))["status"] == 422
    assert decide(market, row["line_id"], "accept")["errors"][0]["code"] == "nothing_proposed"
    check_conserved(market)
    assert decide(market, row["line_id"], "allocate", (first, 500), (second, 400))["status"] == 201
    assert (owed(market, first), owed(market, second)) == (0, 500)
    assert balance(market, books.UNAPPLIED) == before + 100
    again = decide(market, row["line_id"], "allocate", (second, 100))
    assert (again["status"], again["errors"][0]["code"]) == (409, "already_decided")
    kept = line(market, row["line_id"])
    assert (kept["state"], kept["decision"], kept["decided_by"]) == ("booked", "allocate", market.operator.client_id)


def test_lines_left_and_lines_to_send_back(market: House) -> None:
    """Both keep the money unapplied and say so; money that left cannot be sent back."""
    before = balance(market, books.UNAPPLIED)
    found = enter(market, left := paid(10, "x"), back := paid(20, "y"), fee := paid(-5, "bank fee"))
    ids = {entry.reference: found[entry.reference]["line_id"] for entry in (left, back, fee)}
    assert decide(market, ids[left.reference], "leave")["status"] == 201
    assert decide(market, ids[back.reference], "refund")["status"] == 201
    assert found[fee.reference]["proposal"]["reasons"] == ["money_out"]
    assert decide(market, ids[fee.reference], "refund")["errors"][0]["code"] == "no_money_in"
    assert decide(market, ids[fee.reference], "allocate", ("x", 1))["errors"][0]["code"] == "no_money_in"
    assert decide(market, ids[fee.reference], "leave")["status"] == 201
    assert [line(market, one)["state"] for one in ids.values()] == ["left", "refund", "left"]
    assert balance(market, books.UNAPPLIED) == before + 30
    assert decide(market, "bln_01h455vb4pex5vsknk084sn02q", "leave")["status"] == 404


def test_a_line_comes_once(market: House) -> None:
    """The same line in a later file is a duplicate; a reference that the bank uses again for other money is not."""
    (asset_id,) = market.submit(fresh())
    entry = paid(100, asset_id)
    assert enter_one(market, entry)["state"] == "booked"
    found = enter(market, entry, paid(50, asset_id))
    assert found[entry.reference]["state"] == "duplicate"
    assert owed(market, asset_id) == FACE_MINOR - 150
    other = enter_one(market, paid(7, asset_id, reference=entry.reference))
    assert (other["state"], owed(market, asset_id)) == ("booked", FACE_MINOR - 157)


def test_a_line_entered_by_hand_waits(market: House) -> None:
    """An operator entered the same line as a receipt: it is not booked again unless a person says so."""
    (asset_id,) = market.submit(fresh())
    by_hand = receipt(asset_id, 100, value_date=market.today)
    market.operator.post("/v1/receipts", {"items": [by_hand]})
    row = enter_one(market, paid(100, asset_id, reference=by_hand["bank_reference"]))
    assert (row["state"], row["proposal"]["kind"], owed(market, asset_id)) == ("open", "entered", FACE_MINOR - 100)
    assert decide(market, row["line_id"], "leave")["status"] == 201
    check_conserved(market)
    row = enter_one(market, paid(100, asset_id, reference=by_hand["bank_reference"]), opening_minor=1)
    assert row["state"] == "duplicate"


def test_a_value_date_to_come_waits_for_its_day(market: House) -> None:
    """Booked today, valid tomorrow: nothing is in the books until tomorrow, then a person accepts it."""
    (asset_id,) = market.submit(fresh())
    tomorrow = market.today.fromordinal(market.today.toordinal() + 1)
    row = enter_one(market, paid(100, asset_id, value_date=tomorrow))
    assert (row["state"], reasons(row)[-1]) == ("open", "value_date_in_future")
    assert decide(market, row["line_id"], "accept")["errors"][0]["code"] == "value_date_in_future"
    assert owed(market, asset_id) == FACE_MINOR
    market.move(9, days=1)
    assert decide(market, row["line_id"], "accept")["status"] == 201
    assert owed(market, asset_id) == FACE_MINOR - 100


def test_a_split_asset_is_paid_in_proportion(market: House) -> None:
    """Who names the whole pays its parts; who names a part pays that part."""
    (asset_id,) = market.submit(fresh(face_minor=1_000))
    answer = market.platform.post("/v1/splits", {"items": [{"asset_id": asset_id, "amounts_minor": [400, 600]}]})
    market.run()
    small, large = (part["asset_id"] for part in answer["items"][0]["parts"])
    assert enter_one(market, paid(100, asset_id))["state"] == "booked"
    assert (owed(market, small), owed(market, large)) == (360, 540)
    assert enter_one(market, paid(40, small))["state"] == "booked"
    assert (owed(market, small), owed(market, large)) == (320, 540)


def test_a_proposal_that_is_stale_is_refused(market: House) -> None:
    """What was proposed was paid meanwhile: accepting it is refused, and the money stays unapplied."""
    one = named("Stale Goods AG", face_minor=777)
    (asset_id,) = market.submit(one)
    row = enter_one(market, paid(777, "", name="Stale Goods"))
    assert row["state"] == "open"
    pay(market, (asset_id, 777))
    assert decide(market, row["line_id"], "accept")["errors"][0]["code"] == "more_than_outstanding"
    assert line(market, row["line_id"])["state"] == "open"


def test_two_decisions_at_once(market: House) -> None:
    """Two people decide about one line at the same moment: one did, the other came second; the money moved once."""
    (asset_id,) = market.submit(fresh())
    row = enter_one(market, paid(1_000, "for whom?"))
    body = {"items": [{"line_id": row["line_id"], "decision": "allocate",
                       "allocations": [{"reference": asset_id, "amount_minor": 600}]}]}  # fmt: skip
    clients = [another(market, market.operator) for _ in range(3)]

    def call(at: int) -> int:
        return int(clients[at].post("/v1/bank-lines/decisions", body)["items"][0]["status"])

    assert sorted(at_once(*(lambda at=at: call(at) for at in range(3)))) == [201, 409, 409]
    assert owed(market, asset_id) == FACE_MINOR - 600


def test_decisions_in_one_request_see_each_other(market: House) -> None:
    """Two lines for one debt: the second may have what the first left; a line twice is decided once."""
    (asset_id,) = market.submit(fresh(face_minor=100))
    found = enter(market, paid(80, "a"), paid(81, "b"))
    first, second = (row["line_id"] for row in found.values())

    def item(line_id: str, amount_minor: int) -> dict[str, Any]:
        part = {"reference": asset_id, "amount_minor": amount_minor}
        return {"line_id": line_id, "decision": "allocate", "allocations": [part]}

    items = [item(first, 80), item(first, 20), item(second, 30), item(second, 20)]
    answer = market.operator.post("/v1/bank-lines/decisions", {"items": items})
    assert [one["status"] for one in answer["items"]] == [201, 409, 422, 201]
    assert owed(market, asset_id) == 0


def test_two_statements_matched_at_once(market: House) -> None:
    """Two files with the same line and one debt, matched by two workers: the line is booked once."""
    (asset_id,) = market.submit(fresh(face_minor=900))
    shared = paid(500, asset_id)
    for more in (paid(1, fresh_reference()), paid(2, fresh_reference())):
        assert send(market, camt(shared, more, on=market.today)).status_code == 201
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: run_jobs(market), range(2)))
    market.run()
    states = [row["state"] for row in lines(market) if row["bank_reference"] == shared.reference]
    assert (sorted(states), owed(market, asset_id)) == (["booked", "duplicate"], 400)


def run_jobs(house: House) -> None:
    """Work as a worker does, until nothing is due."""
    while jobs.run_one(house.services, worker.HANDLERS):
        pass
