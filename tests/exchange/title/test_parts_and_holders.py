"""Splits and transfers through the API: sums, chains, money, and who may see what."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from exchange import books
from exchange.pools.models import Claim
from tests.exchange.house import House, mandate
from tests.exchange.pools.soundness import claims, sound
from tests.exchange.settlement.book import (
    FACE_MINOR,
    HOLDBACK_MINOR,
    asset,
    balance,
    buy,
    check_conserved,
    credit,
    fresh,
    note,
    pay,
    results,
    rows,
    seller_of,
)
from tests.exchange.title.deeds import code, company, encumber, holders, kinds, shares, split, transfer


def company_id(house: House, name: str) -> str:
    """A company's id by the platform's number."""
    return str(rows(house, "SELECT company_id FROM company WHERE value = :name", name=name)[0][0])


def outstanding(house: House, *asset_ids: str) -> list[int]:
    """What is owed on each asset."""
    return [asset(house, one)["outstanding_minor"] for one in asset_ids]


def test_a_free_asset_is_split_and_its_parts_live_alone(shared: House) -> None:
    """The parts sum to the asset, are seen by its platform, split again, paid one by one; the asset's chain ends."""
    (root,) = shared.submit(fresh())
    first, second, third = split(shared.platform, root, 1, 499_999, 500_000)
    assert claims(shared)[root] == "split"
    assert outstanding(shared, root, first, second, third) == [0, 1, 499_999, 500_000]
    assert kinds(shared, root) == ["asset.confirmed", "asset.scored", "asset.split"]
    assert kinds(shared, second) == ["asset.split_off"]
    assert code(results(shared.platform.post("/v1/splits", {"items": [
        {"asset_id": root, "amounts_minor": [1, 2]}]}))[0]) == "claim_not_free"  # fmt: skip
    fourth, fifth = split(shared.platform, second, 499_998, 1)
    assert pay(shared, (fourth, 499_998))[0]["outcome"] == "allocated"
    assert outstanding(shared, first, fourth, fifth, third) == [1, 0, 1, 500_000]
    assert kinds(shared, fourth) == ["asset.split_off", "asset.paid", "asset.released"]
    assert asset(shared, fourth)["state"] == "extinguished"
    assert [one["asset_id"] for one in holders(shared.platform, root)["holders"]] == [first, fifth, third]
    sound(shared)


def test_a_payment_of_the_invoice_is_shared_by_its_parts(shared: House) -> None:
    """In proportion to what is owed, by largest remainder; what is too much is nobody's."""
    (root,) = shared.submit(fresh())
    parts = split(shared.platform, root, 333_333, 333_333, 333_334)
    before = balance(shared, books.UNAPPLIED)
    (result,) = pay(shared, (root, 100))
    assert (result["asset_id"], result["applied_minor"], result["unapplied_minor"]) == (root, 100, 0)
    assert outstanding(shared, *parts) == [333_300, 333_300, 333_300]
    sound(shared)
    (result,) = pay(shared, (root, 1_000_000))
    assert (result["applied_minor"], result["unapplied_minor"]) == (999_900, 100)
    assert outstanding(shared, *parts) == [0, 0, 0]
    assert balance(shared, books.UNAPPLIED) == before + 100
    assert pay(shared, (root, 5))[0]["outcome"] == "unapplied"
    assert shares(shared.operator, root) == []
    day = shared.today.isoformat()
    settled = "SELECT (DATE '1970-01-01' + settled_day)::text FROM trade WHERE trade_id = :id"
    assert rows(shared, settled, id=root) == [(day,)]
    check_conserved(shared)
    sound(shared)


def test_a_trade_is_settled_with_its_last_part(shared: House) -> None:
    """While one part is owed the invoice is open."""
    (root,) = shared.submit(fresh())
    first, second = split(shared.platform, root, 400_000, 600_000)
    settled = "SELECT settled_day < 100000 FROM trade WHERE trade_id = :id"
    pay(shared, (first, 400_000))
    assert rows(shared, settled, id=root) == [(False,)]
    credit(shared, note(second, 600_000, on=shared.today))
    assert rows(shared, settled, id=root) == [(True,)]
    assert kinds(shared, second)[-2:] == ["asset.diluted", "asset.released"]
    sound(shared)


def test_a_credit_note_shrinks_all_parts_and_counts_once(shared: House) -> None:
    """The same number on the invoice and on a part is one note; sums are exact."""
    (root,) = shared.submit(fresh())
    parts = split(shared.platform, root, 100_000, 900_000)
    sent = note(root, 11, on=shared.today)
    first, again, of_part = credit(shared, sent, sent, sent | {"asset_id": parts[0]})
    assert [first["status"], again["status"], of_part["status"]] == [201, 409, 409]
    assert outstanding(shared, *parts) == [99_999, 899_990]
    (too_much,) = credit(shared, note(root, 999_990, on=shared.today))
    assert code(too_much) == "more_than_outstanding"
    sound(shared)


def test_a_funders_asset_is_split_to_the_cent(shared: House) -> None:
    """Price, discount and holdback of the parts are the asset's; title moves to the parts; money later agrees."""
    (root,) = buy(shared, fresh())
    pay(shared, (root, 200_001))
    credit(shared, note(root, HOLDBACK_MINOR + 7, on=shared.today))
    bank, funder_id = shared.funders[0], shared.funder_ids[0]
    pool = [one for one in bank.get("/v1/pools?limit=1000")["items"] if one["live_count"]][-1]
    owed = FACE_MINOR - 200_001 - HOLDBACK_MINOR - 7
    assert code(results(shared.platform.post("/v1/splits", {"items": [
        {"asset_id": root, "amounts_minor": [1, owed - 1]}]}))[0]) == "claim_not_free"  # fmt: skip
    parts = split(bank, root, 1, owed // 3, owed - owed // 3 - 1)
    sound(shared)
    after = next(one for one in bank.get("/v1/pools?limit=1000")["items"] if one["pool_id"] == pool["pool_id"])
    for name in ("face_minor", "price_minor", "collected_minor"):
        assert after[name] == pool[name]
    title = books.funder_title(funder_id)
    assert balance(shared, title, root) == 0
    assert [balance(shared, title, part) for part in parts] == [1, owed // 3, owed - owed // 3 - 1]
    cash = balance(shared, books.funder_cash(funder_id))
    assert pay(shared, (root, owed))[0]["applied_minor"] == owed
    assert balance(shared, books.funder_cash(funder_id)) == cash + owed
    assert [balance(shared, title, part) for part in parts] == [0, 0, 0]
    check_conserved(shared)
    sound(shared)


def test_nobody_splits_what_is_not_theirs(shared: House) -> None:
    """Another funder, an asset in an offer, a stranger's id: told apart only where one may know."""
    (held,) = buy(shared, fresh())
    wrong = {"asset_id": held, "amounts_minor": [1, FACE_MINOR - 1]}
    (other,) = results(shared.funders[1].post("/v1/splits", {"items": [wrong]}))
    assert (other["status"], code(other)) == (404, "not_found")
    assert shared.funders[1].refused("GET", f"/v1/assets/{held}/holders")["status"] == 404
    body = {"items": [wrong | {"asset_id": "ast_01h455vb4pex5vsknk084sn02q"}]}
    assert code(results(shared.platform.post("/v1/splits", body))[0]) == "not_found"


def test_ten_hops_and_who_gets_the_money(shared: House) -> None:
    """Seller to supplier to its supplier: the last holder sells, and gets price and holdback; each hop is signed."""
    shared.move(9, days=1)
    shared.funders[0].post("/v1/mandates", mandate(name="hops", min_tenor_days=77, max_tenor_days=77,
                                                   advance_bps=9_000, auto_commit=True))  # fmt: skip
    shared.deposit(0, 10**9)
    day = shared.today
    dates = {"issue_date": day.isoformat(), "due_date": (day + timedelta(days=77)).isoformat(),
             "confirmation": {"grade": "explicit", "confirmed_date": day.isoformat()}}  # fmt: skip
    (root,) = shared.submit(fresh(**dates))
    item = {"asset_id": root, "effective_date": day.isoformat()}
    items = [item | {"holder": company(f"hop-{number}")} for number in range(1, 11)]
    answer = results(shared.platform.post("/v1/transfers", {"items": items}))
    assert [one.get("hop") for one in answer] == list(range(1, 11))
    assert shares(shared.operator, root) == [("platform:hop-10", FACE_MINOR)]
    assert code(transfer(shared, root, "hop-10")) == "same_holder"
    (obligor,) = rows(shared, """
        SELECT value FROM company JOIN receivable ON obligor_id = company_id WHERE asset_id = :id
    """, id=root)  # fmt: skip
    assert code(transfer(shared, root, obligor[0])) == "holder_is_obligor"
    late = (day + timedelta(days=1)).isoformat()
    assert code(transfer(shared, root, "hop-11", effective_date=late)) == "effective_date_out_of_order"
    shared.move(10, 30)
    assert code(transfer(shared, root, "hop-11")) == "claim_not_free"
    shared.move(14, 30)
    holder = company_id(shared, "hop-10")
    price = balance(shared, books.seller_cash(holder))
    assert price == FACE_MINOR * 9 // 10 - 11_550
    assert balance(shared, books.seller_cash(seller_of(shared, root))) == 0
    pay(shared, (root, FACE_MINOR))
    assert balance(shared, books.seller_cash(holder)) == price + HOLDBACK_MINOR
    assert kinds(shared, root)[2:] == [
        *["asset.transferred"] * 10,
        "asset.assigned",
        "asset.notice_given",
        "asset.paid",
        "asset.released",
    ]
    check_conserved(shared)
    sound(shared)


def test_a_sellers_credit_note_is_its_debt_to_the_holder(shared: House) -> None:
    """Whoever was handed a claim and loses by its seller's own note is owed that by the seller."""
    (root,) = shared.submit(fresh())
    assert transfer(shared, root, "loser")["hop"] == 1
    credit(shared, note(root, 40_000, on=shared.today))
    seller, holder = seller_of(shared, root), company_id(shared, "loser")
    assert balance(shared, books.seller_recourse(seller)) == -40_000
    assert balance(shared, books.seller_recourse(holder)) == 40_000
    pay(shared, (root, 10))
    assert balance(shared, books.seller_cash(holder)) == 10
    check_conserved(shared)


def test_parts_are_offered_and_bought_like_any_asset(shared: House) -> None:
    """One part is bought, the other stays its holder's; its funder may see what it came from, others may not."""
    shared.move(9, days=1)
    shared.deposit(1, 10**9)
    wanted = {"min_face_minor": 700_001, "max_face_minor": 700_001}
    shared.funders[1].post("/v1/mandates", mandate(name="part", **wanted))
    day = shared.today.isoformat()
    root, other = shared.submit(*(fresh(confirmation={"grade": "explicit", "confirmed_date": day}) for _ in range(2)))
    sold, kept = split(shared.platform, root, 700_001, 299_999)
    rival = shared.funders[0]
    assert rival.refused("GET", f"/v1/assets/{root}")["status"] == 404
    shared.move(10, 30)
    assert [asset(shared, one)["claim"] for one in (sold, kept, other)] == ["reserved", "free", "free"]
    assert shared.funders[1].refused("GET", f"/v1/assets/{root}")["status"] == 404
    (offer,) = shared.funders[1].get("/v1/offers?state=open")["items"]
    shared.funders[1].post(f"/v1/offers/{offer['offer_id']}/commitment", {})
    shared.move(14, 30)
    bank, funder_id = shared.funders[1], shared.funder_ids[1]
    assert shares(shared.operator, root) == [
        (funder_id, 700_001),
        (shares(shared.operator, kept)[0][0], 299_999),
    ]
    assert holders(shared.platform, root)["holders"][0]["holder"] is None
    assert [one["kind"] for one in bank.get(f"/v1/assets/{root}/records")["items"]][-1] == "asset.split"
    assert bank.get(f"/v1/assets/{root}/records")["items"][0]["disclosures"]
    assert rival.refused("GET", f"/v1/assets/{root}")["status"] == 404
    pay(shared, (root, 1_000_000))
    sound(shared)


def test_who_held_it_then(shared: House) -> None:
    """On any past day, as it was and as far as it was known by any moment."""
    shared.move(9, days=1)
    start = shared.today
    day = {"issue_date": start.isoformat(), "due_date": (start + timedelta(days=90)).isoformat()}
    (root,) = shared.submit(fresh(confirmation={"grade": "explicit", "confirmed_date": start.isoformat()}, **day))
    ((seller, _),) = shares(shared.operator, root)
    shared.move(9, days=2)
    told = (start + timedelta(days=1)).isoformat()
    assert transfer(shared, root, "then-1", effective_date=told)["hop"] == 1
    shared.move(9, days=2)
    _, second = split(shared.platform, root, 400_000, 600_000)
    assert transfer(shared, second, "then-2")["hop"] == 1
    shared.run()
    at = [(start + timedelta(days=days)).isoformat() for days in range(-1, 6)]
    assert shares(shared.operator, root, at=at[0]) == []
    assert shares(shared.operator, root, at=at[1]) == [(seller, 1_000_000)]
    for number in (2, 3, 4):
        assert shares(shared.operator, root, at=at[number]) == [("platform:then-1", 1_000_000)]
    parts = [("platform:then-1", 400_000), ("platform:then-2", 600_000)]
    assert shares(shared.operator, root, at=at[5]) == parts
    known = (start + timedelta(days=1)).isoformat() + "T12:00:00Z"
    assert shares(shared.operator, root, at=at[5], recorded_at=known) == [(seller, 1_000_000)]
    line = {"bank_reference": "then", "value_date": at[2], "amount_minor": 100, "currency": "CNY", "reference": root}
    shared.operator.post("/v1/receipts", {"items": [line]})
    assert shares(shared.operator, root, at=at[1]) == [(seller, 1_000_000)]
    assert shares(shared.operator, root, at=at[2]) == [("platform:then-1", 999_900)]
    assert shares(shared.operator, root, at=at[5]) == [("platform:then-1", 399_960), ("platform:then-2", 599_940)]
    shared.run()
    found = holders(shared.operator, root)["rests_on"]
    digests = {bytes(row[0]).hex() for row in rows(shared, "SELECT digest FROM asset_event")}
    assert {one["digest"] for one in found} <= digests
    assert sorted(one["kind"] for one in found) == sorted([
        "asset.confirmed", "asset.transferred", "asset.split", *["asset.split_off", "asset.paid"] * 2,
        "asset.transferred"])  # fmt: skip


def test_a_part_of_an_encumbered_asset(shared: House) -> None:
    """The first part takes over what is encumbered, in its own chain too; the others are free."""
    (root,) = shared.submit(fresh())
    taken = encumber(shared.platform, root, 300_000)["encumbrance_id"]
    assert code(transfer(shared, root, "third")) == "claim_encumbered"
    (short,) = results(shared.platform.post("/v1/splits", {"items": [
        {"asset_id": root, "amounts_minor": [299_999, 700_001]}]}))  # fmt: skip
    assert code(short) == "encumbrance_not_covered"
    held, free = split(shared.platform, root, 300_000, 700_000)
    assert transfer(shared, free, "third")["hop"] == 1
    assert code(transfer(shared, held, "third")) == "claim_encumbered"
    assert kinds(shared, held) == ["asset.split_off", "asset.encumbered"]
    rights = [[one["encumbrance_id"] for one in holder["encumbrances"]] for holder in
              holders(shared.operator, root)["holders"]]  # fmt: skip
    assert rights == [[taken], []]
    path = f"/v1/encumbrances/{taken}/release"
    assert shared.platform.post(path, {"reason": "repaid"})["asset_id"] == held
    assert transfer(shared, held, "third")["hop"] == 1
    sound(shared)


def test_the_database_holds_the_rules_too(shared: House) -> None:
    """A claim that is over-encumbered or offered while encumbered is refused by the table itself."""
    (root,) = shared.submit(fresh())
    for change in ({"encumbered_minor": 1_000_001}, {"encumbered_minor": 1, "state": "closed"}, {"root_id": "other"}):
        statement = update(Claim).where(Claim.asset_id == root).values(**change)
        with pytest.raises(IntegrityError), shared.services.database.transaction() as session:
            session.execute(statement)
