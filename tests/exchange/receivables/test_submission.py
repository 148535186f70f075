"""Receivables in: each judged by itself, none entered twice, whatever comes at once."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from exchange.clock import business_date
from exchange.entropy import system_entropy
from exchange.receivables import actions
from exchange.receivables.outcomes import Origin
from exchange.receivables.schemas import SubmissionItem
from scoring.facts import MAX_FACE_MINOR
from tests.exchange.house import House, receivable
from tests.exchange.receivables.shared import add_platform, at_once, submission, submit, told, twin

ENTERED: tuple[int, list[str]] = (201, [])
DUPLICATE = (409, ["duplicate_receivable"])
USCC = "91310000132219821A"
LEI = "529900T8BM49AURSDO55"


def document(content: str, kind: str = "invoice") -> dict[str, str]:
    """A document by its digest."""
    return {"kind": kind, "sha256": content.encode().hex().rjust(64, "0")}


def rows(house: House, table: str, asset_ids: list[str]) -> int:
    """How many rows of a table are about these assets."""
    query = text(f"SELECT count(*) FROM {table} WHERE asset_id = ANY(:ids)")  # noqa: S608 - names of this file
    with house.services.database.transaction() as session:
        return int(session.execute(query, {"ids": asset_ids}).scalar_one())


def test_bad_items_do_not_spoil_their_neighbours(house: House) -> None:
    """Unreadable, wrong and duplicate items each get their answer; good ones between them are entered."""
    good = submission("N-1")
    results = submit(
        house.platform,
        [
            good,
            good | {"face_minor": "1"},
            good | {"due_date": "2026-03-01", "currency": "XYZ"},
            good,
            submission("N-2"),
        ],
    )
    assert told(results) == [
        ENTERED,
        (422, ["not_an_integer"]),
        (422, ["due_before_issue", "unknown_currency"]),
        DUPLICATE,
        ENTERED,
    ]
    assert [fault["pointer"] for fault in results[2]["errors"]] == ["/items/2/due_date", "/items/2/currency"]
    assert results[3]["errors"][0]["value"] == "N-1"
    assert house.platform.get(f"/v1/assets/{results[0]['asset_id']}")["state"] == "submitted"


def test_nothing_good_is_nothing_entered(house: House) -> None:
    """A batch of faults alone is answered like any other."""
    assert told(submit(house.platform, [submission("N-3", invoice_number="—"), {}])) == [
        (422, ["bad_invoice_number"]),
        (422, ["missing"] * 9),
    ]


@pytest.mark.parametrize("spelling", ["inv-77", "INV 77", "ＩＮＶ－７７", "00INV/77", "I.N.V.7.7", "inv—77 "])
def test_spellings_are_duplicates(house: House, spelling: str) -> None:
    """Over batches, one invoice stays one however it is written."""
    seller = {"scheme": "platform", "value": "seller of spellings"}
    submit(house.platform, [submission("INV-77", seller=seller)])
    assert told(submit(house.platform, [submission(spelling, seller=seller, face_minor=5)])) == [DUPLICATE]


def test_the_first_of_equal_ones_is_entered(house: House) -> None:
    """Within a batch too, and though ids of one millisecond are in no order."""
    services = replace(house.services, entropy=system_entropy)
    for attempt in range(20):
        items = [
            msgspec.convert(submission(f"FIRST-{attempt}", face_minor=minor), SubmissionItem) for minor in range(1, 6)
        ]
        with services.database.transaction() as session:
            now = services.clock.now(session)
            today = business_date(now, time_zone="Asia/Shanghai")
            origin = Origin(house.originator_id, now, today, house.platform.client_id)
            outcomes = actions.submit(session, services=services, origin=origin, items=list(enumerate(items)))
        assert [outcomes[place].duplicate for place in range(5)] == [False, True, True, True, True]


def test_one_invoice_document_is_one_receivable(house: House) -> None:
    """Another number does not help; other kinds of documents may be shared."""
    shared = [document("d1"), document("contract", "contract"), document("order", "order")]
    results = submit(
        house.platform,
        [
            submission("DOC-1", documents=shared),
            submission("DOC-2", documents=[document("d2"), document("d1")]),
            submission("DOC-3", documents=[document("d3"), *shared[1:]]),
        ],
    )
    assert told(results) == [ENTERED, DUPLICATE, ENTERED]
    assert told(submit(house.platform, [submission("DOC-4", documents=[document("d3")])])) == [DUPLICATE]


def test_a_refused_one_claims_nothing(house: House) -> None:
    """What a duplicate names besides is free for others, as if it had never come."""
    submit(house.platform, [submission("FREE-1")])
    known = submission("FREE-1", documents=[document("free")])
    assert told(submit(house.platform, [known])) == [DUPLICATE]
    assert told(submit(house.platform, [submission("FREE-2", documents=[document("free")])])) == [ENTERED]


def test_one_document_named_twice_is_one(house: House) -> None:
    """An item does not clash with itself."""
    twice = [document("twice"), document("twice"), document("note", "delivery_note"), document("note", "delivery_note")]
    assert told(submit(house.platform, [submission("SELF", documents=twice)])) == [ENTERED]


def test_registered_numbers_are_everybodys(house: House) -> None:
    """A USCC or LEI seller's invoice is known over all originators; a platform's own number is its own."""
    other = add_platform(house, "Other platform")
    for scheme, value, expected in (("uscc", USCC, DUPLICATE), ("lei", LEI, DUPLICATE), ("platform", "p 1", ENTERED)):
        item = submission("SHARED", seller={"scheme": scheme, "value": value})
        assert told(submit(house.platform, [item])) == [ENTERED]
        assert told(submit(other, [item])) == [expected]


def test_racing_batches_enter_each_invoice_once(house: House) -> None:
    """Four threads with the same invoices in different orders: each is entered by exactly one, and no thread fails."""
    items = [submission(f"RACE-{number}", documents=[document(f"race {number}")]) for number in range(30)]
    orders = [items, items[::-1], items[15:] + items[:15], items[::2] + items[1::2]]
    programs = [twin(house, house.platform) for _ in orders]
    for program in programs:
        program.token = program.sign_in()

    def send(number: int) -> dict[str, int]:
        results = submit(programs[number], orders[number])
        named = zip(orders[number], results, strict=True)
        return {item["invoice_number"]: result["status"] for item, result in named}

    statuses = at_once(4, send)
    for item in items:
        assert sorted(one[item["invoice_number"]] for one in statuses) == [201, 409, 409, 409]


def test_near_duplicates_are_flagged(house: House) -> None:
    """Same parties, amount and dates, or the same delivery note: entered, and the platform is told of what."""
    seller = {"scheme": "platform", "value": "seller of near ones"}
    note = [document("near", "delivery_note")]
    first, second, other = submit(
        house.platform,
        [
            submission("NEAR-1", seller=seller),
            submission("NEAR-2", seller=seller),
            submission("NEAR-3", seller=seller, face_minor=77, documents=note),
        ],
    )
    assert "near_duplicate_of" not in first
    assert second["near_duplicate_of"] == [first["asset_id"]]
    assert "near_duplicate_of" not in other
    (last,) = submit(house.platform, [submission("NEAR-4", seller=seller, documents=note)])
    assert last["near_duplicate_of"] == sorted([first["asset_id"], second["asset_id"], other["asset_id"]])


def test_many_alike_do_not_make_the_answer_large(house: House) -> None:
    """Of a thousand alike each names twenty that came before it, in one batch and in the next."""
    seller = {"scheme": "platform", "value": "seller of many"}
    batches = [[submission(f"MANY-{batch}-{number}", seller=seller) for number in range(50)] for batch in range(2)]
    first, second = (submit(house.platform, batch) for batch in batches)
    for place, result in enumerate(first):
        named = result.get("near_duplicate_of", [])
        assert len(named) == min(place, 20)
        assert set(named) <= {before["asset_id"] for before in first[:place]}
    oldest = sorted(result["asset_id"] for result in first)[:20]
    assert [result["near_duplicate_of"] for result in second] == [oldest] * 50


def test_what_came_confirmed_is_an_asset_at_once(house: House) -> None:
    """An acceptance in hand makes a signed, scored asset; without it the receivable waits."""
    confirmation = {"grade": "deemed", "confirmed_date": "2026-03-02"}
    waiting, confirmed = submit(
        house.platform, [submission("WAITS"), submission("CONFIRMED", confirmation=confirmation)]
    )
    house.run()
    assert house.platform.get(f"/v1/assets/{waiting['asset_id']}")["state"] == "submitted"
    assert rows(house, "decision", [waiting["asset_id"]]) == 0
    asset = house.platform.get(f"/v1/assets/{confirmed['asset_id']}")
    assert (asset["state"], asset["confirmation_grade"], asset["claim"]) == ("confirmed", "deemed", "free")


def test_the_largest_and_the_oldest_can_be_scored(house: House) -> None:
    """Whatever is accepted can be counted by the risk engine; what it cannot count is refused at the door."""
    old = {"issue_date": "1970-01-01", "due_date": "1970-01-01"}
    largest = receivable("LARGEST", face_minor=MAX_FACE_MINOR, invoice_number="LARGEST")
    odd = receivable("﷽ 0 \u200d\u0301é\U0001f600", **old)
    asset_ids = house.submit(largest, odd)
    assert rows(house, "decision", asset_ids) == 2
    beyond = [largest | {"invoice_number": "X", "face_minor": MAX_FACE_MINOR + 1}, odd | {"issue_date": "1969-12-31"}]
    assert told(submit(house.platform, beyond)) == [(422, ["out_of_range"]), (422, ["not_a_date"])]


def test_records_name_all_facts_and_hide_the_parties(house: House) -> None:
    """The first link shows terms to everybody; who sold what to whom travels as disclosures."""
    item = receivable("BIRTH", documents=[document("birth", "contract")])
    (asset_id,) = house.submit(item)
    birth = house.platform.get(f"/v1/assets/{asset_id}/records")["items"][0]
    assert (birth["sequence"], birth["kind"]) == (1, "asset.confirmed")
    assert len(birth["disclosures"]) == 4
    assert "BIRTH" not in birth["jws"]


ENVELOPES: list[tuple[bytes, int, str]] = [
    (b"", 400, "malformed_body"),
    (b"{", 400, "malformed_body"),
    (b"\xff\xfe", 400, "malformed_body"),
    (b"[]", 422, "invalid_request"),
    (b'{"items":{}}', 422, "invalid_request"),
    (b'{"items":[]}', 422, "invalid_request"),
    (b'{"items":[{}],"more":1}', 422, "invalid_request"),
    (b'{"items":[' + b"1," * 1000 + b"1]}", 422, "invalid_request"),
]


@pytest.mark.parametrize("path", ["/v1/receivables", "/v1/confirmations", "/v1/trade-history"])
def test_bodies_that_are_no_batch(house: House, path: str) -> None:
    """What is not an object with 1 to 1,000 items is refused whole, and never a 500."""
    for raw, status, code in ENVELOPES:
        response = house.platform.call("POST", path, raw=raw)
        assert (response.status_code, response.get_json(force=True)["code"]) == (status, code), raw[:40]
    unreadable = house.platform.call("POST", path, raw=b'{"items":[{"invoice_number":"\xff"},7]}').get_json(force=True)
    assert told(unreadable["items"]) == [(422, ["malformed_item"]), (422, ["not_an_object"])]
    results: list[dict[str, Any]] = house.platform.post(path, {"items": [1, None, "x", [], {}] * 200})["items"]
    assert {result["status"] for result in results} == {422}
    assert len(results) == 1000


@pytest.mark.parametrize("path", ["/v1/receivables", "/v1/confirmations", "/v1/trade-history"])
def test_only_platforms_may(house: House, path: str) -> None:
    """Operator and funder are refused; so is everybody without a key."""
    for client in (house.operator, house.funders[0]):
        assert client.refused("POST", path, {"items": [{}]})["code"] == "forbidden"
    answer = house.platform.call("POST", path, body={"items": [{}]}, headers={"Idempotency-Key": ""})
    assert answer.get_json(force=True)["code"] == "idempotency_key_missing"


def test_a_repeated_request_gets_the_first_answer(house: House) -> None:
    """The same key and body: the same bytes, entered once; another body under it is refused."""
    body = {"items": [submission("AGAIN"), {}]}
    first = house.platform.call("POST", "/v1/receivables", body=body, key="again")
    second = house.platform.call("POST", "/v1/receivables", body=body, key="again")
    assert first.data == second.data
    assert second.headers["Idempotency-Replayed"] == "true"
    refused = house.platform.refused("POST", "/v1/receivables", {"items": [{}]}, key="again")
    assert refused["code"] == "idempotency_key_reused"
