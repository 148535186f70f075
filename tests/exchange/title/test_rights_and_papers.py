"""Encumbrances, notices of assignment, filings and alerts through the API."""

import csv
import io
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import text

from exchange import jobs
from exchange.auth import Role
from exchange.parties.clients import register_client
from exchange.title import papers
from exchange.title.papers import Assigned, Line, Named
from tests.exchange.house import Client, House, make_key, mandate, public_jwk
from tests.exchange.pools.shared import invoice
from tests.exchange.pools.soundness import claims, sound
from tests.exchange.settlement.book import FACE_MINOR, asset, buy, credit, fresh, note, pay, results, rows
from tests.exchange.title.deeds import code, encumber, holders, kinds, split


def ranked(house: House, asset_id: str) -> list[tuple[str, int]]:
    """What encumbers an asset, highest rank first."""
    (held,) = holders(house.operator, asset_id)["holders"]
    assert [one["rank"] for one in held["encumbrances"]] == list(range(1, len(held["encumbrances"]) + 1))
    return [(one["encumbrance_id"], one["amount_minor"]) for one in held["encumbrances"]]


def obligor_client(house: House, asset_id: str) -> Client:
    """The program of an asset's obligor."""
    (row,) = rows(house, "SELECT obligor_id FROM receivable WHERE asset_id = :id", id=asset_id)
    key = make_key(f"obligor {asset_id}"[:32])
    with house.services.database.transaction() as session:
        client_id = register_client(
            session,
            role=Role.OBLIGOR,
            party_id=row[0],
            public_jwk=public_jwk(key),
            now=house.services.clock.now(session),
            entropy=house.services.entropy,
        )
    return Client(house.app.test_client(), client_id, key)


def test_ranks_are_strict_and_payments_cut_the_lowest_first(shared: House) -> None:
    """Stated priority, then time; the free amount is used up first, then the last in rank."""
    (root,) = shared.submit(fresh())
    by_time, second = (encumber(shared.platform, root, 300_000)["encumbrance_id"] for _ in range(2))
    first = encumber(shared.operator, root, 200_000, priority=1, kind="court_order")["encumbrance_id"]
    assert ranked(shared, root) == [(first, 200_000), (by_time, 300_000), (second, 300_000)]
    refused = encumber(shared.platform, root, 200_001)
    assert (refused["status"], code(refused)) == (422, "more_than_free")
    pay(shared, (root, 200_000))
    assert ranked(shared, root) == [(first, 200_000), (by_time, 300_000), (second, 300_000)]
    pay(shared, (root, 1))
    assert ranked(shared, root)[-1] == (second, 299_999)
    credit(shared, note(root, 400_000, on=shared.today))
    assert ranked(shared, root) == [(first, 200_000), (by_time, 199_999)]
    assert shared.operator.refused("POST", f"/v1/encumbrances/{second}/release", {"reason": "x"})["code"] == (
        "already_released"
    )
    sound(shared)
    pay(shared, (root, FACE_MINOR))
    live = "SELECT count(*) FROM encumbrance WHERE asset_id = :id AND live_minor > 0"
    assert rows(shared, live, id=root) == [(0,)]
    assert kinds(shared, root)[-4:] == ["asset.paid", "asset.disencumbered", "asset.disencumbered", "asset.released"]
    sound(shared)


def test_what_is_encumbered_is_offered_to_nobody(shared: House) -> None:
    """Not even in part; a court's order takes an asset out of its offer, a pledge does not reach into one."""
    shared.move(9, days=1)
    shared.deposit(0, 10**9)
    shared.funders[0].post("/v1/mandates", mandate(name="rights", min_tenor_days=44, max_tenor_days=44))
    free, held = shared.submit(*(invoice(shared, days=44) for _ in range(2)))
    right = encumber(shared.platform, held, 1)["encumbrance_id"]
    shared.move(10, 30)
    assert [claims(shared)[one] for one in (free, held)] == ["reserved", "free"]
    assert code(encumber(shared.platform, free, 1)) == "claim_not_free"
    assert encumber(shared.operator, free, FACE_MINOR, kind="court_order")["status"] == 201
    assert claims(shared)[free] == "free"
    sound(shared)
    (offer,) = shared.funders[0].get("/v1/offers?state=open")["items"]
    shared.funders[0].post(f"/v1/offers/{offer['offer_id']}/refusal", {"reason": "empty"})
    assert shared.funders[0].refused("POST", f"/v1/encumbrances/{right}/release", {"reason": "x"})["status"] == 404
    assert shared.platform.post(f"/v1/encumbrances/{right}/release", {"reason": "over"})["free_minor"] == FACE_MINOR
    shared.move(10, 30, days=1)
    assert claims(shared)[free] == "free"
    sound(shared)


def test_a_notice_is_given_and_acknowledged(shared: House) -> None:
    """One document an obligor; its digest is in the chain; obligor or platform acknowledge, once, with evidence."""
    one = fresh()
    ids = buy(shared, one, fresh(obligor=one["obligor"]), fresh())
    bank, obligor = shared.funders[0], obligor_client(shared, ids[0])
    mine = bank.get("/v1/notices?state=open&limit=1000")["items"][-2:]
    assert sorted(item["asset_count"] for item in mine) == [1, 2]
    (listed,) = obligor.get("/v1/notices")["items"]
    path = f"/v1/notices/{listed['notice_id']}"
    shown = obligor.get(path)
    assert (shown["asset_ids"], shown["amount_minor"], shown["pool_id"]) == (sorted(ids[:2]), 2 * FACE_MINOR, None)
    assert shown["digest"] == sha256(shown["text"].encode()).hexdigest()
    assert "应收账款转让通知书" in shown["text"]
    assert f"| {shared.today.fromordinal(shared.today.toordinal() + 60)} | CNY 10,000.00" in shown["text"]
    assert shared.funders[1].refused("GET", path)["status"] == 404
    parts = split(bank, ids[0], 1, FACE_MINOR - 1)
    day = {"acknowledged_date": shared.today.isoformat()}
    assert shared.platform.refused("POST", f"{path}/acknowledgement", day)["code"] == "evidence_needed"
    assert obligor.refused("POST", f"{path}/acknowledgement", {"acknowledged_date": "2026-01-01"})["status"] == 422
    assert obligor.post(f"{path}/acknowledgement", day)["acknowledged_on"] == shared.today.isoformat()
    assert obligor.refused("POST", f"{path}/acknowledgement", day)["code"] == "already_acknowledged"
    assert bank.get(path)["acknowledged_on"] == shared.today.isoformat()
    assert kinds(shared, parts[0])[-1] == kinds(shared, ids[1])[-1] == "asset.notice_acknowledged"
    assert kinds(shared, ids[0])[-1] == "asset.split"
    other = next(item["notice_id"] for item in mine if item["notice_id"] != listed["notice_id"])
    assert obligor.refused("POST", f"/v1/notices/{other}/acknowledgement", day)["status"] == 404
    kept = shared.platform.post(f"/v1/notices/{other}/acknowledgement", day | {"evidence": "a" * 64})
    assert kept["evidence"] == "a" * 64
    jobs_before = rows(shared, "SELECT count(*) FROM assignment_notice")
    with shared.services.database.transaction() as session:
        jobs.enqueue(session, job="title.notify", payload={"pool_id": mine[0]["pool_id"]})
    shared.run()
    assert rows(shared, "SELECT count(*) FROM assignment_notice") == jobs_before
    sound(shared)


def test_filings_go_out_and_their_numbers_come_back(shared: House) -> None:
    """A file that office programs read, with every asset bought and held; the registry's number is signed."""
    shared.move(9, days=10)
    seller = {"scheme": "platform", "value": "hostile", "name": "=HYPERLINK(1)"}
    ids = buy(shared, fresh(seller=seller), fresh())
    day = shared.today.isoformat()
    answer = shared.funders[0].call("GET", f"/v1/filings?from={day}&to={day}")
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    assert answer.data.startswith(b"\xef\xbb\xbf")
    table = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert tuple(table[0]) == papers.COLUMNS
    assert {row[14] for row in table[1:]} == set(ids)
    hostile = next(row for row in table[1:] if row[14] == ids[0])
    assert hostile[1] == "'=HYPERLINK(1)"
    assert hostile[7:11] == ["8", "CNY", "10000.00", "8910.00"]
    item = {"asset_id": ids[0], "number": "登记-1", "filed_date": day, "expires_date": "2027-01-01"}
    wrong: list[dict[str, Any]] = [
        item,
        item,
        item | {"number": "2", "filed_date": "2199-01-01", "expires_date": "2199-01-01"},
        item | {"number": "3", "expires_date": "2026-01-01"},
    ]
    first, *others = results(shared.funders[0].post("/v1/filings", {"items": wrong}))
    assert first["status"] == 201
    assert [code(one) for one in others] == ["duplicate_filing", "filing_in_future", "expires_before_filing"]
    assert code(results(shared.funders[1].post("/v1/filings", {"items": [item]}))[0]) == "not_found"
    assert kinds(shared, ids[0])[-1] == "asset.filed"
    assert "登记-1" in shared.funders[0].call("GET", f"/v1/filings?from={day}&to={day}").text
    assert shared.funders[0].refused("GET", f"/v1/filings?from={day}&to=2026-01-01")["status"] == 422
    assert ids[0] not in shared.funders[1].call("GET", f"/v1/filings?from={day}&to={day}").text


@pytest.mark.parametrize(
    ("amount", "currency", "plain", "shown"),
    [(1_000_000, "CNY", "10000.00", "CNY 10,000.00"), (5, "JPY", "5", "JPY 5"), (1, "KWD", "0.001", "KWD 0.001")],
)
def test_amounts_in_words(amount: int, currency: str, plain: str, shown: str) -> None:
    """Exact, in the digits of the currency."""
    assert (papers.decimal(amount, currency), papers.money(amount, currency)) == (plain, shown)


def test_a_registration_outlives_the_due_date(shared: House) -> None:
    """Whole months, rounded up, at least what collection takes and at most what the registry allows."""
    day = shared.today
    for days, months in {-5: 6, 0: 6, 1: 7, 30: 7, 31: 8, 20_000: 360}.items():
        due = day.fromordinal(day.toordinal() + days)
        assert papers.registration_months(bought_on=day, due_date=due) == months
    line = Line("ast_1", "\tINV", Named(None, "lei:X"), day, 1)
    filed = papers.filing_csv([Assigned("pol_1", line, Named("O", "n"), "F", "CNY", 1, day, day, None)])
    assert "'\tINV" in filed


def test_a_later_claim_is_told_to_everybody_who_relies_on_it(shared: House) -> None:
    """Holders of parts and of the whole are told, each of its own, tied to a signed fact."""
    (root,) = buy(shared, fresh())
    parts = split(shared.funders[0], root, 1, FACE_MINOR - 1)
    before = [len(shared.events(funder)) for funder in (0, 1)]
    with shared.services.database.transaction() as session:
        unknown = "ast_01h455vb4pex5vsknk084sn02q"
        jobs.enqueue(session, job="title.alert", payload={"asset_ids": [root, unknown], "kind": "refused"})
        jobs.enqueue(session, job="title.alert", payload={"asset_ids": [unknown], "kind": "similar"})
    shared.run()
    told = shared.events(0)[before[0] :]
    assert [(one["type"], one["data"]["asset_id"]) for one in told] == [
        ("asset.duplicate_claimed", part) for part in sorted(parts)
    ]
    assert all(one["log_index"] is not None for one in told)
    assert len(shared.events(1)) == before[1]
    assert kinds(shared, parts[0])[-1] == "asset.duplicate_claimed"


def test_a_lost_right_is_found(shared: House) -> None:
    """A row changed behind our back breaks the law that compares claims with encumbrances."""
    (root,) = shared.submit(fresh())
    encumber(shared.platform, root, 10)
    with shared.services.database.transaction() as session:
        session.execute(text("UPDATE claim SET encumbered_minor = 9 WHERE asset_id = :id"), {"id": root})
    with pytest.raises(AssertionError, match="what encumbrances hold"):
        sound(shared)
    with shared.services.database.transaction() as session:
        session.execute(text("UPDATE claim SET encumbered_minor = 10 WHERE asset_id = :id"), {"id": root})
    assert asset(shared, root)["claim"] == "free"
