"""Assets that go wrong, each a story over HTTP, with everything recomputed after every step."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from exchange import books
from ledger.books import Leg, Transfer, post
from tests.exchange.house import House, receipt
from tests.exchange.losses.wrong import check, exposure, follow, kinds, second_operator, set_terms, told
from tests.exchange.settlement.book import (
    DISCOUNT_MINOR,
    FACE_MINOR,
    HOLDBACK_MINOR,
    PRICE_MINOR,
    asset,
    balance,
    buy,
    credit,
    dated,
    fresh,
    note,
    pay,
    rows,
    seller_of,
)

DUE_MINOR = PRICE_MINOR + DISCOUNT_MINOR


@pytest.fixture(autouse=True)
def default_terms(market: House) -> Iterator[None]:
    """Whatever terms a test sets end with it."""
    yield
    set_terms(market)


def cash(house: House, funder: int = 0) -> int:
    """A funder's money."""
    return balance(house, books.funder_cash(house.funder_ids[funder]))


def purse(house: House, asset_id: str) -> int:
    """The seller's money."""
    return balance(house, books.seller_cash(seller_of(house, asset_id)))


def empty_purse(house: House, asset_id: str) -> None:
    """Take the seller's money from it, as a payment out would: into another company's purse."""
    seller, other = seller_of(house, asset_id), "com_elsewhere"
    amount = balance(house, books.seller_cash(seller))
    legs = [(books.seller_cash(seller), -amount), (books.seller_cash(other), amount)]
    with house.services.database.transaction() as session:
        from_to = tuple(Leg(path, "CNY/2", minor) for path, minor in legs if minor)
        books.open_for(session, legs=from_to)
        moved = Transfer(f"out/{asset_id}", house.today, "paid out", from_to)
        post(session.connection(), transfers=[moved] if from_to else [], now=house.services.clock.now(session))


def refusal(problem: dict[str, object]) -> tuple[object, object]:
    """Status and code."""
    return problem["status"], problem["code"]


def test_late_then_paid_with_penalty_and_a_fee(market: House) -> None:
    """Ten days late at 36 % a year: fee and interest first, by the order; the claim closes when all of it came."""
    set_terms(market, penalty_bps=3_600, penalty_grace_days=3)
    (asset_id,) = buy(market, fresh(), days=5)
    due = sum(rows(market, "SELECT price_minor + discount_minor FROM pool_asset WHERE asset_id = :id", id=asset_id)[0])
    market.operator.post(f"/v1/assets/{asset_id}/charges", {"reference": "reminder", "amount_minor": 500})
    body = {"reference": "reminder", "amount_minor": 1}
    problem = market.operator.refused("POST", f"/v1/assets/{asset_id}/charges", body)
    assert refusal(problem) == (409, "charge_known")
    market.move(9, days=15)
    before = (cash(market), balance(market, books.FEES))
    (paid,) = pay(market, (asset_id, 100_000))
    # Seven days after the grace: 1,000,000 x 36 % x 7 / 360.
    assert paid["applied_minor"] == 100_000
    assert (cash(market) - before[0], balance(market, books.FEES) - before[1]) == (99_500, 500)
    check(market)
    fee, penalty = market.operator.get(f"/v1/assets/{asset_id}/charges")["items"]
    assert (fee["paid_minor"], penalty["amount_minor"], penalty["paid_minor"]) == (500, 7_000, 7_000)
    assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR - 92_500
    market.move(9, days=2)
    (paid,) = pay(market, (asset_id, FACE_MINOR))
    more = (FACE_MINOR - 92_500) * 3_600 * 2 // (10_000 * 360)
    assert paid["unapplied_minor"] == 92_500 - more
    check(market)
    assert cash(market) - before[0] == due + 7_000 + more
    assert asset(market, asset_id)["claim"] == "closed"


def test_a_part_then_a_little_too_little(market: House) -> None:
    """A payment short by no more than the tolerance closes the asset; by one cent more, it does not."""
    set_terms(market, tolerance_minor=100, tolerance_bps=10_000)
    (asset_id,) = buy(market, fresh())
    pay(market, (asset_id, 400_000))
    check(market)
    pay(market, (asset_id, 599_899))
    check(market)
    assert asset(market, asset_id)["outstanding_minor"] == 101
    pay(market, (asset_id, 1))
    check(market)
    shown = asset(market, asset_id)
    assert (shown["claim"], shown["outstanding_minor"]) == ("closed", 0)
    (item,) = market.operator.get(f"/v1/assets/{asset_id}/write-offs")["items"]
    assert (item["cause"], item["amount_minor"], item["funder_minor"]) == ("small_difference", 100, 0)
    assert kinds(market, asset_id)[-3:] == ["asset.paid", "asset.written_off", "asset.released"]
    settled = rows(market, "SELECT settled_day < 2147483647 FROM trade WHERE trade_id = :id", id=asset_id)
    assert settled == [(True,)], "a small difference is no loss"


def test_overpaid(market: House) -> None:
    """More than is owed is nobody's, also when the rest was forgiven."""
    set_terms(market, tolerance_minor=100, tolerance_bps=10)
    (asset_id,) = buy(market, fresh())
    items = [receipt(asset_id, amount, value_date=market.today) for amount in (FACE_MINOR - 50, 70)]
    first, second = market.operator.post("/v1/receipts", {"items": items})["items"]
    check(market)
    assert (first["applied_minor"], second["outcome"]) == (FACE_MINOR - 50, "unapplied")
    (third,) = pay(market, (asset_id, 60))
    check(market)
    assert (third["applied_minor"], third["unapplied_minor"]) == (50, 10), "what was forgiven comes back first"


def test_disputed_then_resolved(market: House) -> None:
    """Nobody is offered what is disputed; what is upheld is credited at once, and the holder is told."""
    market.move(9, days=1)
    (asset_id,) = market.submit(fresh())
    body = {"amount_minor": 30_000, "reason": "quality", "statement": "it melts"}
    path = f"/v1/assets/{asset_id}/disputes"
    assert market.platform.post(path, body) == {"asset_id": asset_id, "number": 1}
    check(market)
    problem = market.platform.refused("POST", path, body | {"amount_minor": FACE_MINOR - 29_999})
    assert refusal(problem) == (422, "more_than_outstanding")
    assert refusal(market.funders[0].refused("GET", path)) == (404, "not_found")
    split = {"items": [{"asset_id": asset_id, "amounts_minor": [1, FACE_MINOR - 1]}]}
    (result,) = market.platform.post("/v1/splits", split)["items"]
    assert [fault["code"] for fault in result["errors"]] == ["claim_disputed"]
    wanted = {"items": [{"asset_id": asset_id, "holder": {"scheme": "platform", "value": "x"}} | MOVE]}
    wanted["items"][0]["effective_date"] = market.today.isoformat()
    (result,) = market.platform.post("/v1/transfers", wanted)["items"]
    assert [fault["code"] for fault in result["errors"]] == ["claim_disputed"]
    market.move(10, 30)
    assert asset(market, asset_id)["claim"] == "free"
    resolution = {"outcome": "partly_upheld", "finding": "half of it", "credited_minor": 15_000}
    wrong = resolution | {"credited_minor": 30_000, "note_number": "CN"}
    assert refusal(market.platform.refused("POST", f"{path}/1/resolution", wrong)) == (422, "resolution_refused")
    assert refusal(market.platform.refused("POST", f"{path}/1/resolution", resolution)) == (422, "resolution_refused")
    for nothing in ("2", "x", "1" * 12):
        missing = market.platform.refused("POST", f"{path}/{nothing}/resolution", wrong)
        assert refusal(missing) == (404, "not_found")
    resolved = market.platform.post(f"{path}/1/resolution", resolution | {"note_number": "CN-D1"})
    assert resolved["credited_minor"] == 15_000
    check(market)
    again = market.platform.refused("POST", f"{path}/1/resolution", resolution | {"note_number": "CN-D2"})
    assert refusal(again) == (409, "already_resolved")
    assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR - 15_000
    assert rows(market, "SELECT disputed FROM claim WHERE asset_id = :id", id=asset_id) == [(False,)]
    assert kinds(market, asset_id)[-3:] == ["asset.disputed", "asset.diluted", "asset.dispute_resolved"]
    (shown,) = market.platform.get(path)["items"]
    assert (shown["outcome"], shown["note_number"]) == ("partly_upheld", "CN-D1")


MOVE = {"recourse": "with"}


def test_a_dispute_takes_assets_out_of_an_offer_and_tells_their_holder(market: House) -> None:
    """Of what was split, the parts: one in an offer leaves it, one that is held stays with its holder, who is told."""
    (held,) = buy(market, fresh())
    market.platform.post(f"/v1/assets/{held}/disputes", {"amount_minor": 1, "reason": "price", "statement": "too dear"})
    check(market)
    kind, data = told(market)[-1]
    assert (kind, data["asset_id"], data["reason"]) == ("asset.disputed", held, "price")
    market.platform.post(f"/v1/assets/{held}/disputes/1/resolution", {"outcome": "rejected", "finding": "agreed so"})
    check(market)
    assert told(market)[-1][1]["outcome"] == "rejected"
    market.move(9, days=1)
    (offered,) = market.submit(fresh(due_date=(market.today + timedelta(days=60)).isoformat()))
    market.move(10, 30)
    state = asset(market, offered)["claim"]
    market.platform.post(f"/v1/assets/{offered}/disputes", {"amount_minor": 5, "reason": "other", "statement": "-"})
    check(market)
    assert (state in {"reserved", "committed"}, asset(market, offered)["claim"]) == (True, "free")
    market.move(14, 30)
    assert asset(market, offered)["claim"] == "free"


def test_diluted_and_paid_from_later_money(market: House) -> None:
    """What a seller could not pay for a credit note it pays from its next sale: nobody with debts keeps money here."""
    number = f"poor-{market.today}"
    poor = {"scheme": "platform", "value": number}
    (first,) = buy(market, fresh(seller=poor))
    empty_purse(market, first)
    credit(market, note(first, HOLDBACK_MINOR + 20_000, on=market.today))
    market.run()
    check(market)
    (debt,) = market.funders[0].get("/v1/debts")["items"]
    assert (debt["amount_minor"], debt["cause"], debt["creditor_id"]) == (20_000, "dilution", market.funder_ids[0])
    before = cash(market)
    (second,) = buy(market, fresh(seller=poor))
    check(market)
    assert purse(market, second) == PRICE_MINOR - 20_000
    assert cash(market) == before + 10**9 - PRICE_MINOR + 20_000
    assert market.operator.get("/v1/debts")["items"][-1]["paid_minor"] == 20_000
    assert told(market)[-1][0] == "recourse.paid"
    held = "SELECT collected_minor, diluted_minor FROM pool_asset WHERE asset_id = :id"
    assert rows(market, held, id=first) == [(20_000, 0)]


def test_default_with_recourse_brings_the_asset_back(market: House) -> None:
    """The seller pays what the funder lacks, from what it has and then from what it gets; then the asset is its own."""
    (asset_id,) = buy(market, fresh(recourse="with"), days=1)
    due = sum(rows(market, "SELECT price_minor + discount_minor FROM pool_asset WHERE asset_id = :id", id=asset_id)[0])
    used, seller = exposure(market, asset_id), seller_of(market, asset_id)
    before, has = cash(market), purse(market, asset_id)
    market.move(9, days=5)
    follow(market, "default", asset_id)
    assert (cash(market), purse(market, asset_id)) == (before + has, 0)
    assert -balance(market, books.seller_recourse(seller)) == due - has
    follow(market, "default", asset_id)  # twice is once
    assert -balance(market, books.seller_recourse(seller)) == due - has
    pay(market, (asset_id, 10))  # the obligor pays a little: the seller owes that much less
    check(market)
    assert -balance(market, books.seller_recourse(seller)) == due - has - 10
    own = {
        "scheme": "platform",
        "value": rows(market, "SELECT value FROM company WHERE company_id = :i", i=seller)[0][0],
    }
    (other,) = market.submit(fresh(seller=own))
    pay(market, (other, due))
    market.run()
    check(market)
    shown = asset(market, asset_id)
    assert (shown["claim"], shown["outstanding_minor"]) == ("free", FACE_MINOR - 10)
    assert cash(market) == before + due
    assert exposure(market, asset_id) == used - FACE_MINOR
    assert kinds(market, asset_id)[-2:] == ["asset.recourse_paid", "asset.repurchased"]
    assert told(market)[-1][0] == "asset.repurchased"
    assert balance(market, books.funder_title(market.funder_ids[0]), asset_id) == 0
    pay(market, (asset_id, FACE_MINOR))
    check(market)
    assert cash(market) == before + due, "what comes later is the seller's"


def test_limited_recourse(market: House) -> None:
    """A fifth of what the funder lacks, no more; what the obligor pays first of all lowers what is lacking."""
    (asset_id,) = buy(market, fresh(recourse="limited"), days=1)
    due = sum(rows(market, "SELECT price_minor + discount_minor FROM pool_asset WHERE asset_id = :id", id=asset_id)[0])
    before = cash(market)
    follow(market, "default", asset_id)
    assert cash(market) == before + due // 5
    assert asset(market, asset_id)["claim"] == "assigned"
    pay(market, (asset_id, FACE_MINOR))
    check(market)
    assert cash(market) == before + due


def test_without_recourse_nobody_owes(market: House) -> None:
    """Charge-off then notes what is expected as doubtful, and what is paid after all takes it back."""
    (asset_id,) = buy(market, fresh(), days=1)
    follow(market, "default", asset_id)
    assert balance(market, books.seller_recourse(seller_of(market, asset_id))) == 0
    follow(market, "charge_off", asset_id)
    follow(market, "charge_off", asset_id)
    memo = books.funder_charged_off(market.funder_ids[0])
    due = sum(rows(market, "SELECT price_minor + discount_minor FROM pool_asset WHERE asset_id = :id", id=asset_id)[0])
    assert balance(market, memo) == due
    assert [kind for kind, _ in told(market)].count("asset.charged_off") == 1
    pay(market, (asset_id, 250_000))
    check(market)
    assert balance(market, memo) == due - 250_000
    credit(market, note(asset_id, FACE_MINOR - 250_000, on=market.today))
    market.run()
    check(market)
    assert balance(market, memo) == 0


def test_bought_back_by_agreement(market: House) -> None:
    """The holder asks, the funder is told and answers; the price is what is due less discount not earned yet."""
    (asset_id,) = buy(market, fresh())
    path, used = f"/v1/assets/{asset_id}/repurchases", exposure(market, asset_id)
    asked = market.platform.post(path, {"reason": "a better customer"})
    assert (asked["state"], asked["price_minor"]) == ("proposed", PRICE_MINOR)
    kind, data = told(market)[-1]
    assert (kind, data["repurchase_id"]) == ("repurchase.proposed", asked["repurchase_id"])
    assert refusal(market.platform.refused("POST", path, {"reason": "again"})) == (409, "already_proposed")
    answer = f"/v1/repurchases/{asked['repurchase_id']}"
    other = market.funders[1].refused("POST", f"{answer}/acceptance")
    assert refusal(other) == (404, "not_found")
    market.funders[0].post(f"{answer}/refusal", {"reason": "it is fine"})
    assert refusal(market.funders[0].refused("POST", f"{answer}/acceptance")) == (409, "already_answered")
    check(market)
    market.move(9, days=20)
    asked = market.platform.post(path, {"reason": "a better customer"})
    answer = f"/v1/repurchases/{asked['repurchase_id']}"
    price = DUE_MINOR - DISCOUNT_MINOR * 40 // 60
    assert asked["price_minor"] == price
    has, before = purse(market, asset_id), cash(market)
    assert refusal(market.funders[0].refused("POST", f"{answer}/acceptance")) == (409, "not_enough_cash")
    (topped,) = market.submit(fresh(seller=seller_as(market, asset_id)))
    pay(market, (topped, price - has))
    done = market.funders[0].post(f"{answer}/acceptance", None)
    assert (done["state"], done["price_minor"]) == ("done", price)
    check(market)
    assert (cash(market), purse(market, asset_id)) == (before + price, 0)
    assert asset(market, asset_id)["claim"] == "free"
    assert exposure(market, asset_id) == used - FACE_MINOR
    assert kinds(market, asset_id)[-1] == "asset.repurchased"
    assert refusal(market.platform.refused("POST", path, {"reason": "more"})) == (409, "not_held")
    shown = [one for one in market.platform.get("/v1/repurchases")["items"] if one["asset_id"] == asset_id]
    assert [one["state"] for one in shown] == ["refused", "done"]
    holders = market.operator.get(f"/v1/assets/{asset_id}/holders")["holders"]
    assert [one["kind"] for one in holders] == ["company"]


def seller_as(house: House, asset_id: str) -> dict[str, str]:
    """The seller of an asset, as submissions name it."""
    query = "SELECT scheme, value FROM company WHERE company_id = :id"
    scheme, value = rows(house, query, id=seller_of(house, asset_id))[0]
    return {"scheme": scheme, "value": value}


def test_written_off_by_schedule_and_by_two_people(market: House) -> None:
    """Half by schedule, the rest by hand: large amounts need somebody else, and never more than is owed."""
    set_terms(market, write_offs=[{"days_late": 10, "share_ppm": 500_000}], second_person_minor=400_000)
    (asset_id,) = buy(market, fresh(), days=1)
    due = sum(rows(market, "SELECT price_minor + discount_minor FROM pool_asset WHERE asset_id = :id", id=asset_id)[0])
    used, path = exposure(market, asset_id), f"/v1/assets/{asset_id}/write-offs"
    lost = balance(market, books.funder_losses(market.funder_ids[0]))
    market.move(23, 30, days=10)
    check(market)
    assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR, "nine days late"
    market.move(23, 30, days=1)
    check(market)
    assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR // 2
    market.move(23, 30, days=1)
    assert asset(market, asset_id)["outstanding_minor"] == FACE_MINOR // 2, "once"
    assert exposure(market, asset_id) == used - FACE_MINOR // 2
    body = {"amount_minor": FACE_MINOR // 2 + 1, "reason": "insolvent"}
    assert refusal(market.operator.refused("POST", path, body)) == (422, "more_than_outstanding")
    asked = market.operator.post(path, body | {"amount_minor": FACE_MINOR // 2})
    assert (asked["state"], asked["request"]) == ("awaited", 1)
    assert refusal(market.operator.refused("POST", path, body | {"amount_minor": 1})) == (409, "already_requested")
    approval = f"{path}/1/decision"
    own = market.operator.refused("POST", approval, {"outcome": "approved"})
    assert refusal(own) == (409, "second_person_needed")
    second = second_operator(market)
    assert second.post(approval, {"outcome": "approved"})["state"] == "done"
    check(market)
    assert refusal(second.refused("POST", approval, {"outcome": "declined"})) == (409, "already_answered")
    assert asset(market, asset_id)["claim"] == "closed"
    assert exposure(market, asset_id) == used - FACE_MINOR
    assert balance(market, books.funder_losses(market.funder_ids[0])) == lost + due
    assert [
        data["loss_minor"]
        for kind, data in told(market)
        if kind == "asset.written_off" and data["asset_id"] == asset_id
    ] == [
        FACE_MINOR // 2 - (FACE_MINOR - due),
        FACE_MINOR // 2,
    ]
    unsettled = rows(market, "SELECT settled_day = 2147483647 FROM trade WHERE trade_id = :id", id=asset_id)
    assert unsettled == [(True,)], "a loss stays a loss for who learns from it"


def test_written_off_then_recovered(market: House) -> None:
    """What comes back goes to the funder first, who lost last, then to the holdback; what is more is nobody's."""
    (asset_id,) = buy(market, fresh(), days=1)
    due = sum(rows(market, "SELECT price_minor + discount_minor FROM pool_asset WHERE asset_id = :id", id=asset_id)[0])
    line: dict[str, object] = {"bank_reference": f"R-{asset_id}", "value_date": market.today.isoformat()}
    line |= {"amount_minor": 1, "currency": "CNY"}
    early = market.operator.refused("POST", f"/v1/assets/{asset_id}/recoveries", line)
    assert refusal(early) == (409, "nothing_to_recover")
    before = balance(market, books.funder_losses(market.funder_ids[0]))
    for amount in (FACE_MINOR // 2, FACE_MINOR // 2):
        body = {"amount_minor": amount, "reason": "insolvent"}
        market.operator.post(f"/v1/assets/{asset_id}/write-offs", body)
        check(market)
    assert balance(market, books.funder_losses(market.funder_ids[0])) == before + due
    had = cash(market)
    back = market.operator.post(f"/v1/assets/{asset_id}/recoveries", line | {"amount_minor": due - 10})
    assert (back["recovered_minor"], back["applied_minor"], back["unapplied_minor"]) == (due - 10, 0, 0)
    check(market)
    assert cash(market) == had + due - 10
    again = market.operator.refused("POST", f"/v1/assets/{asset_id}/recoveries", line)
    assert [fault["code"] for fault in again["errors"]] == ["duplicate_receipt"]
    has = purse(market, asset_id)
    (paid,) = pay(market, (asset_id, FACE_MINOR - due + 10 + 3))
    check(market)
    assert (paid["applied_minor"], paid["unapplied_minor"]) == (FACE_MINOR - due + 10, 3)
    assert (cash(market), purse(market, asset_id)) == (had + due, has + FACE_MINOR - due)
    assert balance(market, books.funder_losses(market.funder_ids[0])) == before
    items = market.funders[0].get(f"/v1/assets/{asset_id}/recoveries")["items"]
    assert sum(item["amount_minor"] for item in items) == FACE_MINOR
    assert sum(item["funder_minor"] for item in items) == due


def test_never_milder_than_the_schedule(market: House) -> None:
    """By hand at least as much as the schedule has given up by now; a paid part does not count."""
    (asset_id,) = buy(market, fresh(), days=1)
    pay(market, (asset_id, 200_000))
    market.move(9, days=10)
    set_terms(market, write_offs=[{"days_late": 5, "share_ppm": 250_000}, {"days_late": 50, "share_ppm": 1_000_000}])
    path, body = f"/v1/assets/{asset_id}/write-offs", {"amount_minor": 199_999, "reason": "a friend"}
    problem = market.operator.refused("POST", path, body)
    assert (refusal(problem), problem["numbers"]) == ((422, "milder_than_policy"), {"least_minor": 200_000})
    assert market.operator.post(path, body | {"amount_minor": 200_000})["state"] == "done"
    check(market)
    market.move(23, 30)
    assert asset(market, asset_id)["outstanding_minor"] == 600_000, "the schedule finds it done"


def test_parts_and_a_later_holder(market: House) -> None:
    """Handed on, split, both parts given up: a payment on the whole brings back what it can, and it is the holder's."""
    market.move(9, days=1)
    (root,) = market.submit(fresh() | dated(market))
    hand = {"asset_id": root, "holder": {"scheme": "platform", "value": f"holder-{root}"}, "recourse": "with"}
    market.platform.post("/v1/transfers", {"items": [hand | {"effective_date": market.today.isoformat()}]})
    (split,) = market.platform.post("/v1/splits", {"items": [{"asset_id": root, "amounts_minor": [400_000, 600_000]}]})[
        "items"
    ]
    one, other = (part["asset_id"] for part in split["parts"])
    check(market)
    for part, amount in ((one, 400_000), (other, 600_000)):
        market.operator.post(f"/v1/assets/{part}/write-offs", {"amount_minor": amount, "reason": "insolvent"})
        check(market)
    holder = rows(market, "SELECT holder_id FROM claim WHERE asset_id = :id", id=one)[0][0]
    (paid,) = pay(market, (root, 500_001))
    check(market)
    assert paid["applied_minor"] == 500_001
    assert balance(market, books.seller_cash(holder)) == 500_001
    got = "SELECT sum(recovered_minor)::bigint FROM write_off WHERE asset_id = ANY(:ids)"
    assert rows(market, got, ids=[one, other]) == [(500_001,)]
