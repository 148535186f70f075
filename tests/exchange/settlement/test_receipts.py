"""Bank lines: each once, to whom it belongs, and none lost."""

from datetime import timedelta
from typing import Any

import pytest

from exchange import books
from exchange.risk.facts import day_number
from tests.exchange.house import House, receipt
from tests.exchange.settlement.book import (
    DISCOUNT_MINOR,
    FACE_MINOR,
    HOLDBACK_MINOR,
    PRICE_MINOR,
    asset,
    balance,
    buy,
    check_conserved,
    fresh,
    pay,
    results,
    rows,
    seller_of,
)

FUNDER_DUE_MINOR = PRICE_MINOR + DISCOUNT_MINOR


def enter(house: House, *items: dict[str, Any]) -> list[dict[str, Any]]:
    """Enter lines as they are."""
    return results(house.operator.post("/v1/receipts", {"items": list(items)}))


def codes(result: dict[str, Any]) -> list[tuple[str, str]]:
    """The faults of a result: code and pointer."""
    return [(fault["code"], fault["pointer"]) for fault in result["errors"]]


def told(house: House, kind: str, asset_id: str) -> list[dict[str, Any]]:
    """What the first funder was told about an asset in one kind of event."""
    house.run()
    data = [event["data"] for event in house.events(0) if event["type"] == kind]
    return [one for one in data if one.get("asset_id") == asset_id or asset_id in str(one.get("items"))]


def test_a_deposit_is_the_funders_cash(market: House) -> None:
    """Money that names a deposit reference is free to buy with at once, and the funder is told of it."""
    market.move(9, days=1)
    funder_id, reference = market.funder_ids[0], market.deposit_references[0]
    before = balance(market, books.funder_cash(funder_id))
    (result,) = pay(market, (reference, 12_345))
    assert (result["outcome"], result["funder_id"], result["unapplied_minor"]) == ("deposited", funder_id, 0)
    assert balance(market, books.funder_cash(funder_id)) == before + 12_345
    (dollars,) = pay(market, (reference, 700), currency="USD")
    assert dollars["outcome"] == "deposited"
    assert balance(market, books.funder_cash(funder_id), "USD/2") == 700
    market.run()
    amounts = [event["data"]["amount_minor"] for event in market.events(0)[-2:]]
    assert amounts == [12_345, 700]
    check_conserved(market)
    check_conserved(market, currency="USD")


def test_a_sellers_own_asset_is_paid_to_the_seller(market: House) -> None:
    """What was never sold belongs to its seller, to the last cent, and closes at zero."""
    (asset_id,) = market.submit(fresh())
    purse = books.seller_cash(seller_of(market, asset_id))
    (part,) = pay(market, (asset_id, FACE_MINOR - 1))
    assert (part["outcome"], part["applied_minor"]) == ("allocated", FACE_MINOR - 1)
    assert (asset(market, asset_id)["claim"], asset(market, asset_id)["outstanding_minor"]) == ("free", 1)
    (rest,) = pay(market, (asset_id, 1))
    assert rest["applied_minor"] == 1
    shown = asset(market, asset_id)
    assert (shown["claim"], shown["outstanding_minor"], shown["state"]) == ("closed", 0, "extinguished")
    assert balance(market, purse) == FACE_MINOR
    check_conserved(market)


def test_the_funder_first_then_the_seller_then_nobody(market: House) -> None:
    """Three lines in one batch: price and discount, the holdback, and what nobody owed stays unapplied."""
    (asset_id,) = buy(market, fresh())
    funder, seller = books.funder_cash(market.funder_ids[0]), books.seller_cash(seller_of(market, asset_id))
    cash, unapplied = balance(market, funder), balance(market, books.UNAPPLIED)
    assert balance(market, seller) == PRICE_MINOR
    lines = pay(market, (asset_id, FUNDER_DUE_MINOR - 1), (asset_id, 2), (asset_id, HOLDBACK_MINOR + 6), (asset_id, 9))
    assert [line["outcome"] for line in lines] == ["allocated"] * 3 + ["unapplied"]
    assert [line["applied_minor"] for line in lines] == [FUNDER_DUE_MINOR - 1, 2, HOLDBACK_MINOR - 1, 0]
    assert [line["unapplied_minor"] for line in lines] == [0, 0, 7, 9]
    assert balance(market, funder) == cash + FUNDER_DUE_MINOR
    assert balance(market, seller) == PRICE_MINOR + HOLDBACK_MINOR
    assert balance(market, books.UNAPPLIED) == unapplied + 16
    assert balance(market, books.funder_title(market.funder_ids[0]), asset_id) == 0
    assert balance(market, books.ISSUED, asset_id) == 0
    assert asset(market, asset_id)["claim"] == "closed"
    check_conserved(market)
    (collected,) = told(market, "collection.distributed", asset_id)
    assert collected["amount_minor"] == FUNDER_DUE_MINOR
    assert [line["amount_minor"] for line in collected["items"]] == [FUNDER_DUE_MINOR - 1, 1]
    assert told(market, "asset.repaid", asset_id) == [{"asset_id": asset_id, "value_date": market.today.isoformat()}]


def test_a_holdback_line_tells_the_funder_only_the_end(market: House) -> None:
    """A later line from which the funder gets nothing is no collection, but it says that the asset is repaid."""
    (asset_id,) = buy(market, fresh())
    pay(market, (asset_id, FUNDER_DUE_MINOR))
    pay(market, (asset_id, HOLDBACK_MINOR))
    assert len(told(market, "collection.distributed", asset_id)) == 1
    assert len(told(market, "asset.repaid", asset_id)) == 1


def test_money_after_the_end_is_kept_as_unapplied(market: House) -> None:
    """A second payment of a paid asset is nobody's, and it is there."""
    (asset_id,) = market.submit(fresh())
    pay(market, (asset_id, FACE_MINOR))
    before = balance(market, books.UNAPPLIED)
    (again,) = pay(market, (asset_id, FACE_MINOR))
    assert (again["outcome"], again["unapplied_minor"]) == ("unapplied", FACE_MINOR)
    assert "asset_id" not in again
    assert balance(market, books.UNAPPLIED) == before + FACE_MINOR
    check_conserved(market)


@pytest.mark.parametrize(
    "reference",
    [
        "rent",
        "ast_01h455vb4pex5vsknk084sn02q",
        "AST_01H455VB4PEX5VSKNK084SN02Q",
        "' OR 1=1 --",
        "💸" * 200,
        "ast_",
        " ",
    ],
)
def test_a_reference_that_names_nothing_loses_no_money(market: House, reference: str) -> None:
    """Whatever the payer wrote, the money is entered, under `unapplied`."""
    before = balance(market, books.UNAPPLIED)
    (result,) = pay(market, (reference, 1))
    assert (result["status"], result["outcome"], result["unapplied_minor"]) == (201, "unapplied", 1)
    assert balance(market, books.UNAPPLIED) == before + 1
    assert (
        rows(market, "SELECT reference FROM receipt WHERE receipt_id = :id", id=result["receipt_id"])[0][0] == reference
    )


def test_a_reference_with_something_around_it_is_not_guessed(market: House) -> None:
    """A near miss is not a match: money goes to an asset only when the reference is exactly its id."""
    (asset_id,) = market.submit(fresh())
    near = [f" {asset_id}", f"{asset_id} ", asset_id.upper(), asset_id[:-1], f"{asset_id}0"]
    assert {one["outcome"] for one in pay(market, *((reference, 5) for reference in near))} == {"unapplied"}
    assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR


def test_the_wrong_currency_is_not_applied(market: House) -> None:
    """Dollars do not pay a debt in yuan; they wait, in dollars, and the asset stays where it is."""
    (asset_id,) = market.submit(fresh())
    before = balance(market, books.UNAPPLIED, "USD/2")
    (result,) = pay(market, (asset_id, FACE_MINOR), currency="USD")
    assert (result["outcome"], result["unapplied_minor"]) == ("unapplied", FACE_MINOR)
    assert balance(market, books.UNAPPLIED, "USD/2") == before + FACE_MINOR
    assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR
    check_conserved(market, currency="USD")


def test_an_asset_that_is_not_confirmed_takes_no_money(market: House) -> None:
    """Nothing is owed on a receivable that the obligor has not accepted; the money waits."""
    (asset_id,) = market.submit(fresh(confirmation=None))
    assert pay(market, (asset_id, 5))[0]["outcome"] == "unapplied"


def test_a_line_is_entered_once(market: House) -> None:
    """The same bank reference again, in the same batch or later, is a duplicate, even with another amount."""
    line = receipt("rent", 10, value_date=market.today)
    before = balance(market, books.UNAPPLIED)
    first, second = enter(market, line, line | {"amount_minor": 99})
    assert (first["status"], second["status"]) == (201, 409)
    assert codes(second) == [("duplicate_receipt", "/items/1/bank_reference")]
    (later,) = enter(market, line)
    assert later["status"] == 409
    assert balance(market, books.UNAPPLIED) == before + 10


def test_a_bad_line_does_not_use_up_its_reference(market: House) -> None:
    """A line that was refused can be sent again once it is right, even in the same batch."""
    good = receipt("rent", 1, value_date=market.today)
    bad, again = enter(market, good | {"currency": "XXX"}, good)
    assert (bad["status"], again["status"]) == (422, 201)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"currency": "XXX"}, "unknown_currency"),
        ({"currency": "cny"}, "bad_format"),
        ({"amount_minor": 0}, "out_of_range"),
        ({"amount_minor": -5}, "out_of_range"),
        ({"amount_minor": 10**15 + 1}, "out_of_range"),
        ({"amount_minor": 1.5}, "not_an_integer"),
        ({"amount_minor": "1"}, "not_an_integer"),
        ({"amount_minor": True}, "not_an_integer"),
        ({"value_date": "2026-02-30"}, "not_a_date"),
        ({"value_date": "0001-01-01"}, "value_date_too_early"),
        ({"value_date": "1969-12-31"}, "value_date_too_early"),
        ({"reference": ""}, "bad_length"),
        ({"reference": "a\u0000b"}, "bad_character"),
        ({"bank_reference": "x" * 101}, "bad_length"),
        ({"surprise": 1}, "unknown_field"),
    ],
)
def test_a_malformed_line_is_refused_alone(market: House, change: dict[str, object], code: str) -> None:
    """Each fault has its code, and the good line beside it is entered."""
    good = receipt("rent", 1, value_date=market.today)
    bad, fine = enter(market, receipt("rent", 1, value_date=market.today) | change, good)
    assert (bad["status"], fine["status"]) == (422, 201)
    assert [one for one, _ in codes(bad)] == [code]


def test_money_from_tomorrow_is_refused(market: House) -> None:
    """A bank line has a date that was; today is the last of them."""
    line = receipt("rent", 1, value_date=market.today + timedelta(days=1))
    (result,) = enter(market, line)
    assert codes(result) == [("value_date_in_future", "/items/0/value_date")]


def test_only_the_operator_is_the_bank(market: House) -> None:
    """A platform that could enter receipts could pay its own debts with nothing."""
    body = {"items": [receipt("rent", 1, value_date=market.today)]}
    assert market.platform.refused("POST", "/v1/receipts", body)["status"] == 403
    assert market.funders[0].refused("POST", "/v1/receipts", body)["status"] == 403


def test_a_batch_of_bad_lines_enters_nothing(market: House) -> None:
    """No line is good: no transfer, no error either."""
    before = rows(market, "SELECT count(*) FROM receipt")
    (result,) = enter(market, receipt("rent", 1, value_date=market.today) | {"currency": "ZZZ"})
    assert result["status"] == 422
    assert rows(market, "SELECT count(*) FROM receipt") == before


def test_a_settled_asset_is_a_fact_of_its_last_payment(market: House) -> None:
    """The trade is settled on the latest value date, in whatever order the bank tells, and not before the end."""
    market.move(9, days=5)
    first, second = market.submit(fresh(), fresh())
    days = [market.today - timedelta(days=ago) for ago in (1, 4)]
    half = FACE_MINOR // 2
    for asset_id, apart in ((first, False), (second, True)):
        lines = [receipt(asset_id, half, value_date=day) for day in days]
        for batch in [lines[:1], lines[1:]] if apart else [lines]:
            enter(market, *batch)
    query = "SELECT settled_day FROM trade WHERE trade_id = :id"
    assert [rows(market, query, id=one)[0][0] for one in (first, second)] == [day_number(days[0])] * 2


def test_paying_frees_the_obligors_room(market: House) -> None:
    """A funded asset takes room of its obligor's limit until it is paid; a seller's own takes none."""
    (asset_id,) = buy(market, fresh())
    query = """
        SELECT used_minor FROM exposure JOIN company ON company.number = exposure.obligor
        JOIN receivable ON receivable.obligor_id = company.company_id WHERE asset_id = :id
    """
    assert rows(market, query, id=asset_id) == [(FACE_MINOR,)]
    pay(market, (asset_id, 1))
    assert rows(market, query, id=asset_id) == [(FACE_MINOR - 1,)]
    pay(market, (asset_id, FACE_MINOR))
    assert rows(market, query, id=asset_id) == [(0,)]
    (own,) = market.submit(fresh())
    pay(market, (own, 1))
    assert rows(market, query, id=own) == [(0,)]


def test_many_lines_of_one_funder_make_callbacks_of_a_hundred(market: House) -> None:
    """A callback stays small however many lines a statement has, and its items sum to its amount."""
    (asset_id,) = buy(market, fresh())
    pay(market, *((asset_id, 10) for _ in range(205)))
    parts = told(market, "collection.distributed", asset_id)
    assert [len(part["items"]) for part in parts] == [100, 100, 5]
    assert all(part["amount_minor"] == sum(line["amount_minor"] for line in part["items"]) for part in parts)
    check_conserved(market)


def test_a_repeated_request_gives_the_first_answer(market: House) -> None:
    """The same key and body again: the same answer, and the money once."""
    body = {"items": [receipt("rent", 77, value_date=market.today)]}
    before = balance(market, books.UNAPPLIED)
    first = market.operator.post("/v1/receipts", body, key="receipts-once")
    assert market.operator.post("/v1/receipts", body, key="receipts-once") == first
    assert balance(market, books.UNAPPLIED) == before + 77
