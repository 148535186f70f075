"""Money that the bank takes back: undone exactly once where that is certain and possible, else a person decides."""

from collections.abc import Iterator
from typing import Any

import pytest

from exchange import books, jobs, worker
from exchange.settlement.legs import Standing, funder_parts, why_not_reopened
from ledger.books import Leg
from tests.exchange.house import House, mandate, receipt
from tests.exchange.settlement.bank import (
    camt,
    check_lines,
    decide,
    enter,
    enter_one,
    line,
    lines,
    open_account,
    paid,
    send,
)
from tests.exchange.settlement.book import (
    DISCOUNT_MINOR,
    FACE_MINOR,
    PRICE_MINOR,
    all_balances,
    asset,
    balance,
    buy,
    check_conserved,
    credit,
    dated,
    fresh,
    note,
    rows,
    seller_of,
)
from tests.exchange.settlement.test_races import another, at_once

DUE_MINOR = PRICE_MINOR + DISCOUNT_MINOR


@pytest.fixture(autouse=True)
def checked(market: House) -> Iterator[None]:
    """The account is known; after every test the books add up."""
    open_account(market)
    yield
    check_conserved(market)
    check_lines(market)


def pay_and_return(house: House, amount_minor: int, text: str) -> dict[str, Any]:
    """A payment that comes and, in a later statement, goes; the line that took it back."""
    end_to_end = f"E2E-{text[-8:]}-{amount_minor}"
    came = enter_one(house, paid(amount_minor, text, end_to_end=end_to_end))
    assert came["state"] == "booked"
    return enter_one(house, paid(-amount_minor, "returned", end_to_end=end_to_end))


def state_of(house: House, asset_id: str) -> tuple[Any, ...]:
    """Everything of an asset that a payment moves: claim, pool, limit, title, money."""
    (row,) = rows(
        house,
        """
        SELECT claim.state, claim.outstanding_minor, collected_minor, used_minor FROM claim
        JOIN receivable ON receivable.asset_id = claim.root_id
        JOIN company ON company.company_id = obligor_id
        LEFT JOIN pool_asset ON pool_asset.asset_id = claim.asset_id AND released_at IS NULL
        LEFT JOIN exposure ON obligor = company.number AND exposure.currency = claim.currency
        WHERE claim.asset_id = :id
        """,
        id=asset_id,
    )
    return (*row, {place: amount for place, amount in all_balances(house).items() if amount})


def test_a_returned_payment_on_a_funded_asset(market: House) -> None:
    """Title, money, claim, pool and limit stand as before the payment; chain and funder are told; it is done once."""
    (asset_id,) = buy(market, fresh())
    before = state_of(market, asset_id)
    back = pay_and_return(market, DUE_MINOR + 1, asset_id)
    assert (back["state"], back["proposal"]["kind"]) == ("booked", "reversal")
    assert line(market, back["proposal"]["reverses"])["state"] == "reversed"
    assert state_of(market, asset_id) == before
    told = [event["data"] for event in market.events(0) if event["type"] == "collection.reversed"]
    assert [(one["asset_id"], one["amount_minor"]) for one in told[-1:]] == [(asset_id, DUE_MINOR)]
    kinds = [one[0] for one in rows(market, "SELECT kind FROM asset_event WHERE asset_id = :id", id=asset_id)]
    assert kinds.count("asset.payment_reversed") == 1
    again = enter_one(market, paid(-(DUE_MINOR + 1), "once more", end_to_end=f"E2E-{asset_id[-8:]}-{DUE_MINOR + 1}"))
    assert (again["state"], again["proposal"]["kind"]) == ("open", "unmatched")
    assert state_of(market, asset_id) == before


def test_history_counts_what_was_taken_back(market: House) -> None:
    """Who held how much, told from signed facts: the payment that came back takes nothing off."""
    (asset_id,) = buy(market, fresh())
    pay_and_return(market, 1_234, asset_id)
    market.run()
    held = market.operator.get(f"/v1/assets/{asset_id}/holders?at={market.today}")
    assert [one["amount_minor"] for one in held["holders"]] == [FACE_MINOR]


def test_a_return_in_the_same_statement(market: House) -> None:
    """Both lines come in one file: paid, taken back, and owed as before."""
    (asset_id,) = market.submit(fresh())
    before = state_of(market, asset_id)
    found = enter(
        market, came := paid(50, asset_id, end_to_end="SAME-1"), gone := paid(-50, "back", end_to_end="SAME-1")
    )
    assert line(market, found[came.reference]["line_id"])["state"] == "reversed"
    assert line(market, found[gone.reference]["line_id"])["state"] == "booked"
    assert state_of(market, asset_id) == before


def test_a_returned_payment_for_many(market: House) -> None:
    """All assets that one line paid are owed again, and its excess leaves the unapplied."""
    first, second = market.submit(fresh(face_minor=1_000), fresh(face_minor=3_000))
    unapplied = balance(market, books.UNAPPLIED)
    came = enter_one(market, paid(1_500, "for both", end_to_end="MANY-1"))
    assert decide(market, came["line_id"], "allocate", (first, 400), (second, 900))["status"] == 201
    assert enter_one(market, paid(-1_500, "returned", end_to_end="MANY-1"))["state"] == "booked"
    assert [asset(market, one)["outstanding_minor"] for one in (first, second)] == [1_000, 3_000]
    assert balance(market, books.UNAPPLIED) == unapplied


def test_a_closed_asset_is_not_reopened(market: House) -> None:
    """Its title is retired: the line waits with its reason, accepting it is refused, leaving it is not."""
    (asset_id,) = buy(market, fresh())
    before = balance(market, books.BANK)
    back = pay_and_return(market, FACE_MINOR, asset_id)
    assert (back["state"], back["proposal"]["reasons"][-1]) == ("open", "asset_closed")
    refused = decide(market, back["line_id"], "accept")
    assert (refused["status"], refused["errors"][0]["code"]) == (409, "asset_closed")
    assert balance(market, books.BANK) == before - FACE_MINOR
    assert decide(market, back["line_id"], "leave")["status"] == 201


def test_a_claim_that_changed_hands_is_not_reopened(market: House) -> None:
    """Paid to its seller, then bought by a funder: the funder's asset does not grow."""
    (asset_id,) = market.submit(fresh())
    came = enter_one(market, paid(100, asset_id, end_to_end="MOVED-1"))
    assert came["state"] == "booked"
    market.platform.post(
        "/v1/transfers",
        {
            "items": [
                {
                    "asset_id": asset_id,
                    "holder": {"scheme": "platform", "value": "supplier-9", "name": "A supplier"},
                    "effective_date": market.today.isoformat(),
                    "recourse": "without",
                }
            ]
        },
    )
    back = enter_one(market, paid(-100, "returned", end_to_end="MOVED-1"))
    assert (back["state"], back["proposal"]["reasons"][-1]) == ("open", "title_moved")
    assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR - 100


def test_an_asset_in_an_offer_leaves_it(market: House) -> None:
    """Its offer was made for what was owed after the payment: the asset is free again, at what is owed now."""
    market.move(9, days=1)
    market.deposit(0, 10**9)
    wanted = mandate(min_tenor_days=85, max_tenor_days=85, auto_commit=False)
    market.funders[0].post("/v1/mandates", wanted)
    (asset_id,) = market.submit(fresh() | dated(market, days=85))
    enter_one(market, paid(100, asset_id, end_to_end="OFFER-1"))
    market.move(10, 30)
    assert asset(market, asset_id)["claim"] == "reserved"
    assert enter_one(market, paid(-100, "returned", end_to_end="OFFER-1"))["state"] == "booked"
    assert state_of(market, asset_id)[:4] == ("free", FACE_MINOR, None, 0)
    market.move(14, 30)
    assert asset(market, asset_id)["claim"] == "free"


def test_payments_over_parts_are_not_undone_by_themselves(market: House) -> None:
    """A payment on a split asset went to its parts: a person looks."""
    (asset_id,) = market.submit(fresh(face_minor=1_000))
    market.platform.post("/v1/splits", {"items": [{"asset_id": asset_id, "amounts_minor": [400, 600]}]})
    back = pay_and_return(market, 100, asset_id)
    assert (back["state"], back["proposal"]["reasons"][-1]) == ("open", "paid_parts")


def test_a_deposit_comes_back_if_it_is_there(market: House) -> None:
    """A funder's deposit is taken back from its cash; while it has spent the money, the line waits."""
    cash = books.funder_cash(market.funder_ids[0])
    had = balance(market, cash)
    back = pay_and_return(market, 700, market.deposit_references[0])
    assert (back["state"], balance(market, cash)) == ("booked", had)
    assert [event["type"] for event in market.events(0)][-1] == "deposit.reversed"
    market.move(9, days=1)
    market.add_funder("Spender")
    reference, spender = market.deposit_references[-1], books.funder_cash(market.funder_ids[-1])
    enter_one(market, paid(950_000, reference, end_to_end="SPENT-1"))
    wanted = {"min_tenor_days": 75, "max_tenor_days": 75, "advance_bps": 9_000, "auto_commit": True}
    market.funders[-1].post("/v1/mandates", mandate(**wanted))
    (asset_id,) = market.submit(fresh() | dated(market, days=75))
    market.move(10, 30)
    market.move(14, 30)
    assert asset(market, asset_id)["claim"] == "assigned"
    left = balance(market, spender)
    back = enter_one(market, paid(-950_000, "returned", end_to_end="SPENT-1"))
    assert (back["state"], back["proposal"]["reasons"][-1]) == ("open", "funds_spent")
    assert balance(market, spender) == left < 950_000
    enter_one(market, paid(950_000, reference))
    assert decide(market, back["line_id"], "accept")["status"] == 201
    assert balance(market, spender) == left


def test_a_seller_that_spent_cannot_give_back(market: House) -> None:
    """A payment went to the seller, whose money a credit note took since: nothing is undone, and the reason says so."""
    seller = {"scheme": "platform", "value": "spent-all"}
    funded, own = fresh(seller=seller), fresh(seller=seller)
    (asset_id,) = buy(market, funded)
    (free_id,) = market.submit(own)
    came = enter_one(market, paid(500, free_id, end_to_end="SELLER-1"))
    assert came["state"] == "booked"
    credit(market, note(asset_id, FACE_MINOR, on=market.today))
    assert balance(market, books.seller_cash(seller_of(market, free_id))) == 0
    before = state_of(market, free_id)
    back = enter_one(market, paid(-500, "returned", end_to_end="SELLER-1"))
    assert (back["state"], back["proposal"]["reasons"][-1]) == ("open", "funds_spent")
    assert state_of(market, free_id) == before
    assert decide(market, back["line_id"], "accept")["errors"][0]["code"] == "funds_spent"


def test_a_return_of_what_nobody_could_place(market: House) -> None:
    """An open line's money goes out of the unapplied, and the line waits no longer."""
    before = balance(market, books.UNAPPLIED)
    came = enter_one(market, paid(333, "?", end_to_end="OPEN-1"))
    assert came["state"] == "open"
    assert enter_one(market, paid(-333, "returned", end_to_end="OPEN-1"))["state"] == "booked"
    assert line(market, came["line_id"])["state"] == "reversed"
    assert balance(market, books.UNAPPLIED) == before
    assert decide(market, came["line_id"], "leave")["errors"][0]["code"] == "already_decided"


def test_two_that_may_be_meant(market: House) -> None:
    """Two payments alike: nothing is guessed, a person says which came back; no other amount, none twice."""
    (asset_id,) = market.submit(fresh())
    twin, _ = (enter_one(market, paid(77, asset_id, end_to_end="TWIN-1"))["line_id"] for _ in range(2))
    other = enter_one(market, paid(78, asset_id))["line_id"]
    back = enter_one(market, paid(-77, "returned", end_to_end="TWIN-1"))
    assert (back["state"], back["proposal"]["reverses"]) == ("open", None)
    assert decide(market, back["line_id"], "accept")["errors"][0]["code"] == "no_money_in"
    assert decide(market, back["line_id"], "take_back")["errors"][0]["code"] == "no_money_in"
    wrong = decide(market, back["line_id"], "take_back", reverses=other)
    assert (wrong["status"], wrong["errors"][0]["code"]) == (409, "not_its_opposite")
    assert decide(market, back["line_id"], "take_back", reverses=twin)["status"] == 201
    assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR - 77 - 78
    more = enter_one(market, paid(-77, "returned again"))
    twice = decide(market, more["line_id"], "take_back", reverses=twin)
    assert (twice["status"], twice["errors"][0]["code"]) == (409, "reversed_before")
    assert decide(market, other, "take_back", reverses=twin)["errors"][0]["code"] == "already_decided"


def test_a_reversal_that_names_nothing(market: House) -> None:
    """The bank says that it reverses, of the very amount, but neither whose nor which: two blanks are no match."""
    (asset_id,) = market.submit(fresh())
    enter_one(market, paid(91, asset_id))
    back = enter_one(market, paid(-91, "reversal", is_reversal=True))
    assert (back["state"], back["proposal"]["kind"]) == ("open", "unmatched")
    enter_one(market, paid(92, asset_id, account="ACC-92"))
    back = enter_one(market, paid(-92, "reversal", is_reversal=True, account="acc-92"))
    assert (back["state"], asset(market, asset_id)["outstanding_minor"]) == ("booked", FACE_MINOR - 91)


def test_what_was_never_booked_is_not_undone(market: House) -> None:
    """A line that stands among the receipts entered by hand has none of its own to undo: a person looks."""
    by_hand = receipt("rent", 44, value_date=market.today)
    market.operator.post("/v1/receipts", {"items": [by_hand]})
    came = enter_one(market, paid(44, "rent", reference=by_hand["bank_reference"], end_to_end="HAND-1"))
    assert decide(market, came["line_id"], "leave")["status"] == 201
    back = enter_one(market, paid(-44, "returned", end_to_end="HAND-1"))
    assert (back["state"], back["proposal"]["reasons"][-1]) == ("open", "not_booked_as_it_is")


def test_a_person_is_faster_than_the_job(market: House) -> None:
    """Whoever decides before the line's own work is done has decided: the work changes nothing."""
    (asset_id,) = market.submit(fresh())
    enter_one(market, paid(66, asset_id, end_to_end="FAST-1"))
    send(market, camt(paid(-66, "returned", end_to_end="FAST-1"), on=market.today))
    assert jobs.run_one(market.services, worker.HANDLERS)
    (back,) = [row for row in lines(market, "open") if row["amount_minor"] == -66]
    body = {"items": [{"line_id": back["line_id"], "decision": "leave"}]}
    assert market.operator.post("/v1/bank-lines/decisions", body)["items"][0]["status"] == 201
    market.run()
    assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR - 66


def test_a_return_dated_tomorrow_waits(market: House) -> None:
    """Nothing is undone before its day; then a person accepts it."""
    (asset_id,) = market.submit(fresh())
    enter_one(market, paid(60, asset_id, end_to_end="LATER-1"))
    tomorrow = market.today.fromordinal(market.today.toordinal() + 1)
    back = enter_one(market, paid(-60, "returned", end_to_end="LATER-1", value_date=tomorrow))
    assert (back["state"], back["proposal"]["reasons"][-1]) == ("open", "value_date_in_future")
    market.move(9, days=1)
    calls = [another(market, market.operator) for _ in range(2)]
    body = {"items": [{"line_id": back["line_id"], "decision": "accept"}]}

    def accept(at: int) -> int:
        return int(calls[at].post("/v1/bank-lines/decisions", body)["items"][0]["status"])

    assert sorted(at_once(lambda: accept(0), lambda: accept(1))) == [201, 409]
    assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR


FUNDER = [Leg(books.ISSUED, "ast", -5), Leg("funder/f/title", "ast", 5), Leg("funder/f/cash", "CNY/2", -5)]
SELLER = [Leg(books.BANK, "CNY/2", 5), Leg("seller/s/cash", "CNY/2", -5)]


@pytest.mark.parametrize(
    ("standing", "legs", "reason"),
    [
        (Standing("closed", "s", None), SELLER, "asset_closed"),
        (Standing("split", "s", None), SELLER, "asset_split"),
        (Standing("free", "s", None), SELLER, None),
        (Standing("free", "t", None), SELLER, "title_moved"),
        (Standing("assigned", "s", "f"), SELLER, "title_moved"),
        (Standing("assigned", "s", "f"), FUNDER, None),
        (Standing("assigned", "s", "g"), FUNDER, "title_moved"),
        (Standing("free", "s", None), FUNDER, "title_moved"),
    ],
)
def test_what_may_be_reopened(standing: Standing, legs: list[Leg], reason: str | None) -> None:
    """Open, and in the hands that were paid."""
    assert why_not_reopened("ast", standing, taken_back=legs) == reason
    assert funder_parts(legs) == ({"f": 5} if legs is FUNDER else {})
