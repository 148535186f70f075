"""Corrections: new records that name the old ones, and nothing signed ever changes."""

from functools import partial
from itertools import count
from typing import Any

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from ledger.encoding import parse_base64url
from ledger.verify import verify_chain
from tests.exchange.house import Client, House, receivable
from tests.exchange.receivables.shared import add_platform, at_once, told, twin
from tests.exchange.registry.readers import record_keys
from tests.exchange.settlement.book import buy

PAPER = {"kind": "contract", "sha256": "ab" * 32}
INVOICE = {"kind": "invoice", "sha256": "cd" * 32}
_numbers = count(1)


def asset(house: House, **changes: object) -> str:
    """An asset that is signed, scored and listed."""
    number = next(_numbers)
    parties = {role: {"scheme": "platform", "value": f"{role}-of-{number}"} for role in ("seller", "obligor")}
    (asset_id,) = house.submit(receivable(f"inv {number:03}", **(parties | changes)))
    return asset_id


def correct(house: House, *items: dict[str, Any]) -> list[dict[str, Any]]:
    """Send corrections; what became of them."""
    full = [{"reason": "clerical_error"} | item for item in items]
    results: list[dict[str, Any]] = house.platform.post("/v1/corrections", {"items": full})["items"]
    return results


def chain(house: House, asset_id: str) -> list[dict[str, Any]]:
    """The asset's records: payload, disclosed values, JWS."""
    found = []
    for one in house.platform.get(f"/v1/assets/{asset_id}/records")["items"]:
        disclosed = [orjson.loads(parse_base64url(text)) for text in one["disclosures"]]
        body = orjson.loads(parse_base64url(one["jws"].split(".")[1]))
        found.append({"body": body, "told": {name: value for _, name, value in disclosed}, "jws": one["jws"]})
    return found


def spelt(asset_id: str, number: str) -> dict[str, Any]:
    """A correction of how the invoice's number is spelt."""
    return {"asset_id": asset_id, "invoice_number": number}


def number_of(house: House, asset_id: str) -> str:
    """The invoice's number as submitted."""
    return str(chain(house, asset_id)[0]["told"]["invoice_number"])


def test_a_correction_names_what_it_corrects(house: House) -> None:
    """By sequence and digest, the next one that one in turn; all hold as one chain, and the first stays as it was."""
    asset_id = asset(house, documents=[INVOICE])
    number = number_of(house, asset_id)
    before = chain(house, asset_id)
    (first,) = correct(house, spelt(asset_id, number.upper()))
    assert (first["status"], first["corrects"]) == (201, 1)
    house.run()
    (second,) = correct(house, {"asset_id": asset_id, "documents": [PAPER], "confirmed_date": "2026-03-02"})
    house.run()
    records = chain(house, asset_id)
    assert records[: len(before)] == before
    corrections = [one for one in records if one["body"]["type"] == "asset.corrected"]
    assert [one["body"]["fields"] for one in corrections] == [["invoice_number"], ["documents"]]
    assert corrections[0]["told"] == {"invoice_number": number.upper()}
    assert corrections[1]["told"] == {"documents": [INVOICE, PAPER]}
    assert second["corrects"] == corrections[0]["body"]["sequence"]
    following = {one["body"]["prev"]: records[place - 1] for place, one in enumerate(records) if place}
    for one in corrections:
        named = one["body"]["corrects"]
        assert following[named["record"]]["body"]["sequence"] == named["sequence"]
    web = house.app.test_client()
    assert len(verify_chain([one["jws"] for one in records], keys=record_keys(web))) == len(records)
    assert house.platform.get(f"/v1/assets/{asset_id}")["state"] == "confirmed"


def test_corrected_of_what_was_bought(house: House) -> None:
    """Evidence may be wrong on a sold asset too; its holder sees the correction, money and title stay."""
    parties = {role: {"scheme": "platform", "value": f"{role} bought"} for role in ("seller", "obligor")}
    (asset_id,) = buy(house, receivable("bought-1", **parties))
    assert correct(house, spelt(asset_id, "BOUGHT 1"))[0]["status"] == 201
    house.run()
    shown = house.funders[0].get(f"/v1/assets/{asset_id}/records")["items"][-1]
    assert (shown["kind"], len(shown["disclosures"])) == ("asset.corrected", 1)
    house.check()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"invoice_number": "another 1"}, "another_invoice"),
        ({"invoice_number": "--"}, "another_invoice"),
        ({"confirmed_date": "2026-03-01"}, "confirmed_date_out_of_range"),
        ({"confirmed_date": "2199-01-01"}, "confirmed_date_out_of_range"),
        ({"confirmed_date": "2026-03-02"}, "nothing_corrected"),
        ({"documents": []}, "nothing_corrected"),
        ({}, "nothing_corrected"),
    ],
)
def test_what_is_no_correction(house: House, change: dict[str, Any], code: str) -> None:
    """Another number is another invoice; a date that cannot be; nothing new. Each is refused and leaves no record."""
    asset_id = asset(house)
    before = chain(house, asset_id)
    assert told(correct(house, {"asset_id": asset_id} | change)) == [(422, [code])]
    house.run()
    assert chain(house, asset_id) == before


def test_the_same_again_is_nothing(house: House) -> None:
    """What is corrected already is known: sent under a new key it changes nothing more."""
    asset_id = asset(house)
    spelling = spelt(asset_id, number_of(house, asset_id).upper())
    assert told(correct(house, spelling)) == [(201, [])]
    house.run()
    assert told(correct(house, spelling)) == [(422, ["nothing_corrected"])]


def test_what_waits_for_its_signature(house: House) -> None:
    """A record that is not signed yet has no digest to name: the item is right a moment later."""
    asset_id = asset(house)
    number = number_of(house, asset_id)
    once, twice = spelt(asset_id, number.upper()), spelt(asset_id, number.title())
    assert told(correct(house, once, twice)) == [(201, []), (409, ["not_sealed_yet"])]
    assert told(correct(house, twice)) == [(409, ["not_sealed_yet"])]
    house.run()
    assert told(correct(house, twice)) == [(201, [])]


def test_only_ones_own(house: House) -> None:
    """Another originator's asset, one nobody confirmed and one nobody knows do not exist here."""
    asset_id = asset(house)
    other = add_platform(house, "another platform")
    item = {"reason": "clerical_error"} | spelt(asset_id, number_of(house, asset_id).upper())
    assert told(other.post("/v1/corrections", {"items": [item]})["items"]) == [(404, ["not_found"])]
    assert told(other.post("/v1/supersessions", {"items": [void(asset_id)]})["items"]) == [(404, ["not_found"])]
    (submitted,) = house.submit(receivable("unconfirmed", confirmation=None))
    assert told(correct(house, spelt(submitted, "UNCONFIRMED"))) == [(404, ["not_found"])]


def void(asset_id: str, **changes: object) -> dict[str, Any]:
    """An asset that should not have been; `replacement` as given."""
    return {"asset_id": asset_id, "reason": "wrong_terms"} | changes


def supersede(house: House, *items: dict[str, Any]) -> list[dict[str, Any]]:
    """Send supersessions; what became of them."""
    results: list[dict[str, Any]] = house.platform.post("/v1/supersessions", {"items": list(items)})["items"]
    return results


def count_of(house: House, statement: str, **parameters: object) -> int:
    """What a count says."""
    with house.services.database.transaction() as session:
        return int(session.execute(text(statement), parameters).scalar_one())


def test_an_asset_gives_way_to_another(house: House) -> None:
    """The same invoice with another face: the old chain ends with the new asset's name, and that is scored and free."""
    asset_id = asset(house)
    number = next(_numbers) - 1
    parties = {role: {"scheme": "platform", "value": f"{role}-of-{number}"} for role in ("seller", "obligor")}
    right = receivable(f"inv {number:03}", face_minor=900_000, **parties)
    (result,) = supersede(house, void(asset_id, replacement=right))
    assert result["status"] == 201
    house.run()
    old, new = chain(house, asset_id), chain(house, result["by"])
    assert old[-1]["body"]["type"] == "asset.superseded"
    assert (old[-1]["body"]["by"], old[-1]["body"]["reason"]) == (result["by"], "wrong_terms")
    assert new[0]["body"]["face_minor"] == 900_000
    shown = {one: house.platform.get(f"/v1/assets/{one}") for one in (asset_id, result["by"])}
    assert [(one["state"], one["claim"]) for one in shown.values()] == [("void", "closed"), ("confirmed", "free")]
    trades = "SELECT count(*) FROM trade WHERE trade_id = :id"
    assert [count_of(house, trades, id=one) for one in shown] == [0, 1], "what never was teaches no score"
    assert told(supersede(house, void(asset_id))) == [(409, ["superseded"])]
    assert told(correct(house, spelt(asset_id, f"INV {number:03}"))) == [(409, ["superseded"])]


def test_a_void_without_replacement(house: House) -> None:
    """It was never a receivable: nothing stands in its place, and its invoice is free for whoever has it rightly."""
    asset_id = asset(house)
    number = next(_numbers) - 1
    assert supersede(house, void(asset_id, reason="not_a_receivable"))[0].keys() == {"index", "status", "asset_id"}
    house.run()
    parties = {role: {"scheme": "platform", "value": f"{role}-of-{number}"} for role in ("seller", "obligor")}
    (again,) = house.submit(receivable(f"inv {number:03}", **parties))
    assert again != asset_id


def test_a_bad_replacement_leaves_the_asset(house: House) -> None:
    """The void is taken back with it: the faults point into the replacement, nothing is signed."""
    asset_id = asset(house)
    wrong = receivable("bad", issue_date="2199-01-01", due_date="2199-02-01")
    (result,) = supersede(house, void(asset_id, replacement=wrong))
    assert result["status"] == 422
    assert {fault["pointer"] for fault in result["errors"]} <= {
        "/items/0/replacement/issue_date",
        "/items/0/replacement/confirmation/confirmed_date",
    }
    house.run()
    assert house.platform.get(f"/v1/assets/{asset_id}")["claim"] == "free"
    assert [one["body"]["type"] for one in chain(house, asset_id)].count("asset.superseded") == 0
    other = asset(house)
    taken = receivable(
        number_of(house, other), seller={"scheme": "platform", "value": f"seller-of-{next(_numbers) - 1}"}
    )
    assert told(supersede(house, void(asset_id, replacement=taken))) == [(409, ["duplicate_receivable"])]


def test_what_is_not_its_sellers_any_more(house: House) -> None:
    """Bought, or not listed yet: too late, or too early."""
    parties = {role: {"scheme": "platform", "value": f"{role} sold"} for role in ("seller", "obligor")}
    (sold,) = buy(house, receivable("sold-1", **parties), days=61)
    assert told(supersede(house, void(sold))) == [(409, ["not_free"])]
    item = receivable("quick-1", seller={"scheme": "platform", "value": "quick"})
    fresh = house.platform.post("/v1/receivables", {"items": [item]})["items"][0]["asset_id"]
    assert told(supersede(house, void(fresh))) == [(409, ["not_listed_yet"])]
    house.run()
    assert told(supersede(house, void(fresh))) == [(201, [])]


def sent(clients: list[Client], path: str, item: dict[str, Any], place: int) -> Any:  # noqa: ANN401 - the answer
    """What one of the clients is answered."""
    return clients[place].post(path, {"items": [item]})


def test_races(house: House) -> None:
    """Four at once: one of the supersessions happens, one of the corrections; the chain has one record of each."""
    asset_id, other = asset(house), asset(house)
    clients = [twin(house, house.platform) for _ in range(4)]
    paths = ("/v1/supersessions", "/v1/corrections")
    number = number_of(house, other).upper()
    items = (void(asset_id), {"reason": "clerical_error"} | spelt(other, number))
    for path, item in zip(paths, items, strict=True):
        bodies = at_once(4, partial(sent, clients, path, item))
        assert sorted(body["items"][0]["status"] for body in bodies) == [201, 409, 409, 409]
    house.run()
    kinds = [one["body"]["type"] for one in chain(house, asset_id) + chain(house, other)]
    assert (kinds.count("asset.superseded"), kinds.count("asset.corrected")) == (1, 1)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO correction VALUES (:id, 0, 1, 'x', '{\"a\": 1}', now())",
        "INSERT INTO correction VALUES (:id, 1, 0, 'x', '{\"a\": 1}', now())",
        "INSERT INTO correction VALUES (:id, 1, 1, 'x', '{}', now())",
        "INSERT INTO correction VALUES ('nobody', 1, 1, 'x', '{\"a\": 1}', now())",
        "INSERT INTO supersession VALUES (:id, :id, 'x', now())",
    ],
)
def test_the_second_lock(house: House, statement: str) -> None:
    """The database refuses what the rules would never write."""
    asset_id = asset(house)
    with pytest.raises(IntegrityError), house.services.database.transaction() as session:
        session.execute(text(statement), {"id": asset_id})
