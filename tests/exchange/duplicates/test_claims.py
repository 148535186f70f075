"""Shares of invoices: first come first served, over platforms that see nothing of each other."""

from typing import Any

import pytest
from sqlalchemy import event, text

from exchange.clock import business_date
from exchange.duplicates import actions, rules
from tests.exchange.duplicates import shared
from tests.exchange.duplicates.shared import add_partner, check_sums, codes, document
from tests.exchange.house import House, receipt, receivable
from tests.exchange.receivables.shared import add_platform, submit

DUPLICATE, CONTRADICTED, EXCEEDS = "duplicate_receivable", "face_contradicted", "exceeds_invoice_face"


def invoice(number: str, **changes: object) -> dict[str, Any]:
    """An invoice to an obligor of its own, so that it looks like no other."""
    return shared.invoice(number, **({"obligor": {"scheme": "platform", "value": f"of {number}"}} | changes))


def rest(number: str, amount_minor: int, face_minor: int = 1_000) -> dict[str, Any]:
    """A share of an invoice."""
    return invoice(number, face_minor=amount_minor, invoice_face_minor=face_minor)


def state_of(house: House, claim_id: str) -> tuple[str, int]:
    """State and amount of a claim."""
    query = text("SELECT state, amount_minor FROM invoice_claim WHERE claim_id = :id")
    with house.services.database.transaction() as session:
        row = session.execute(query, {"id": claim_id}).one()
        return row.state, row.amount_minor


def test_two_originators_and_a_partner_share_an_invoice(house: House) -> None:
    """Each finances a part; whoever wants more than is left is told how much that is; then nothing is left."""
    other, partner = add_platform(house, "Second"), add_partner(house, "Third")
    (first,) = submit(house.platform, [rest("SHARE", 500)])
    (too_much,) = submit(other, [rest("SHARE", 501)])
    assert (codes([first, too_much]), too_much["free_minor"]) == ([None, EXCEEDS], 500)
    (second,) = submit(other, [rest("SHARE", 300)])
    blind = partner.claim(rest("share", 201), rest("SHARE", 200), rest("SHARE", 1))
    assert (second["status"], codes(blind)) == (201, [EXCEEDS, None, DUPLICATE])
    assert (blind[0]["free_minor"], blind[2]["free_minor"]) == (200, 0)
    assert codes(submit(house.platform, [rest("SHARE", 1)])) == [DUPLICATE]
    check_sums(house)


def test_the_first_stated_face_binds(house: House) -> None:
    """Another face, or another currency, contradicts it, and nothing is told about what is free."""
    partner = add_partner(house, "Binding")
    assert codes(partner.claim(rest("BOUND", 10))) == [None]
    for wrong in (rest("BOUND", 10, 999), rest("BOUND", 10, 1_001), rest("BOUND", 10) | {"currency": "EUR"}):
        (refused,) = submit(house.platform, [wrong])
        assert (codes([refused]), "free_minor" in refused) == ([CONTRADICTED], False)
        (checked,) = partner.check(wrong)
        assert checked == {"index": 0, "status": 200, "verdict": "claimed", "code": CONTRADICTED}
    assert codes(submit(house.platform, [rest("BOUND", 990)])) == [None]


def test_a_share_is_no_larger_than_its_invoice(house: House) -> None:
    """Refused by both doors, with a pointer to the face."""
    (result,) = submit(house.platform, [rest("LARGER", 11, 10)])
    (blind,) = add_partner(house, "Larger").claim(rest("LARGER", 11, 10))
    for one in (result, blind):
        assert one["status"] == 422
        fault = one["errors"][0]
        assert (fault["code"], fault["pointer"]) == ("invoice_face_too_small", "/items/0/invoice_face_minor")


def test_within_a_batch_the_first_have_it(house: House) -> None:
    """Shares in one batch are granted in order, as far as the face goes; all have ids of their own."""
    results = submit(house.platform, [rest("BATCH", share) for share in (400, 400, 400, 200, 1)])
    assert codes(results) == [None, None, EXCEEDS, None, DUPLICATE]
    assert results[2]["free_minor"] == 200
    assert len({result["asset_id"] for result in results if "asset_id" in result}) == 3
    check_sums(house)


def test_a_released_claim_never_was(house: House) -> None:
    """Its share is free again; with nothing left the face, too, can be stated anew, and documents change hands."""
    partner = add_partner(house, "Releasing")
    papers = {"documents": [document("released")]}
    (claimed,) = partner.claim(rest("FREED", 1_000) | papers)
    assert codes(submit(house.platform, [rest("FREED", 1, 2), invoice("OTHER", **papers)])) == [DUPLICATE, DUPLICATE]
    partner.release(claimed["claim_id"])
    assert partner.check(rest("FREED", 1, 2))[0]["verdict"] == "clear"
    assert codes(submit(house.platform, [invoice("OTHER", **papers), rest("FREED", 1, 2)])) == [None, None]
    assert codes(partner.claim(rest("FREED", 1, 2) | papers)) == [DUPLICATE]  # its document is another's now
    assert codes(partner.claim(rest("FREED", 1, 2))) == [None]
    check_sums(house)


def test_a_repaid_claim_is_used_up(house: House) -> None:
    """Nobody finances a paid invoice again; a claim ends once."""
    partner = add_partner(house, "Repaid")
    (claimed,) = partner.claim(rest("PAID", 600))
    partner.release(claimed["claim_id"], "repaid")
    assert codes(submit(house.platform, [rest("PAID", 401), rest("PAID", 400), rest("PAID", 1)])) == [
        EXCEEDS,
        None,
        DUPLICATE,
    ]
    path = f"/v1/invoice-claims/{claimed['claim_id']}/release"
    assert partner.client.refused("POST", path, {"reason": "cancelled"})["code"] == "claim_ended"
    assert state_of(house, claimed["claim_id"]) == ("consumed", 600)


def test_a_credit_note_leaves_nothing_to_finance(house: House) -> None:
    """What was taken off a claim is owed to nobody: it is not free, and the stated face stays true."""
    (asset,) = submit(house.platform, [rest("CREDIT", 600)])
    with house.services.database.transaction() as session:
        actions.reduce_claims(session, reductions={asset["asset_id"]: 100, "ast_unknown": 5})
    assert state_of(house, asset["asset_id"]) == ("live", 500)
    (refused,) = submit(house.platform, [rest("CREDIT", 401)])
    assert (codes([refused]), refused["free_minor"]) == ([EXCEEDS], 400)
    with house.services.database.transaction() as session:
        actions.reduce_claims(session, reductions={asset["asset_id"]: 10**6})
    assert state_of(house, asset["asset_id"]) == ("live", 0)
    assert codes(submit(house.platform, [rest("CREDIT", 401), rest("CREDIT", 400)])) == [EXCEEDS, None]
    check_sums(house)


def test_assets_are_released_and_consumed_in_bulk(house: House) -> None:
    """Several claims at once, some of them twice, some unknown; what has ended stays as it is."""
    results = submit(house.platform, [rest("BULK", share) for share in (100, 200, 300)])
    one, two, three = (result["asset_id"] for result in results)
    with house.services.database.transaction() as session:
        now = house.services.clock.now(session)
        actions.consume_claims(session, claim_ids=[two], now=now)
        actions.release_claims(session, claim_ids=[one, one, two, "ast_unknown"], now=now)
        actions.release_claims(session, claim_ids=[one], now=now)
        actions.consume_claims(session, claim_ids=[one], now=now)
    assert [state_of(house, claim_id)[0] for claim_id in (one, two, three)] == ["released", "consumed", "live"]
    (left,) = submit(house.platform, [rest("BULK", 501)])
    assert left["free_minor"] == 500
    check_sums(house)


def test_a_partner_sees_its_own_claims_only(house: House) -> None:
    """Page by page; of another's it can neither read nor release one."""
    partner, other = add_partner(house, "Own"), add_partner(house, "Not own")
    mine = [result["claim_id"] for result in partner.claim(*(invoice(f"MINE-{n}") for n in range(3)))]
    page = partner.client.get("/v1/invoice-claims?limit=2")
    shown = [*page["items"], *partner.client.get(f"/v1/invoice-claims?after={page['next']}")["items"]]
    assert [one["claim_id"] for one in shown] == sorted(mine)
    assert {one["state"] for one in shown} == {"live"}
    assert other.client.get("/v1/invoice-claims") == {"items": [], "next": None}
    path = f"/v1/invoice-claims/{mine[0]}/release"
    assert other.client.refused("POST", path, {"reason": "repaid"})["code"] == "not_found"
    (asset,) = submit(house.platform, [invoice("ASSET")])
    path = f"/v1/invoice-claims/{asset['asset_id']}/release"
    assert partner.client.refused("POST", path, {"reason": "repaid"})["code"] == "not_found"


def test_a_question_claims_nothing(house: House) -> None:
    """Clear before and after; then claimed, with what is free; each item of a batch by itself."""
    partner = add_partner(house, "Asking")
    assert partner.check(rest("ASK", 600), rest("ASK", 600)) == [
        {"index": place, "status": 200, "verdict": "clear"} for place in range(2)
    ]
    submit(house.platform, [rest("ASK", 600)])
    fits, exceeds = partner.check(rest("ASK", 400), rest("ASK", 401))
    assert fits == {"index": 0, "status": 200, "verdict": "claimed", "free_minor": 400}
    assert (exceeds["verdict"], exceeds["code"], exceeds["free_minor"]) == ("claimed", EXCEEDS, 400)
    paper = {"documents": [document("asked")]}
    submit(house.platform, [invoice("ASK-PAPER", **paper)])
    (other_number,) = partner.check(invoice("ASK-ELSE", **paper))
    assert (other_number["verdict"], other_number["code"]) == ("claimed", DUPLICATE)
    check_sums(house)


def test_every_answer_costs_the_same(house: House) -> None:
    """Clear, claimed or contradicted: the same statements in the same order, so their number tells nothing."""
    partner = add_partner(house, "Timing")
    submit(house.platform, [rest("TIMED", 1_000)])
    statements: list[list[str]] = []

    def note(*arguments: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
        statements[-1].append(arguments[2])

    event.listen(house.services.database.engine, "before_cursor_execute", note)
    for item in (rest("UNTIMED", 5), rest("TIMED", 5), rest("TIMED", 5, 7)):
        statements.append([])
        partner.check(item)
    event.remove(house.services.database.engine, "before_cursor_execute", note)
    assert any("FROM invoice" in statement for statement in statements[0])
    assert statements[0] == statements[1] == statements[2]


def test_a_partner_that_asks_too_much_is_stopped(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Going through a seller's numbers one by one ends for the day; the same key works tomorrow, and others go on."""
    monkeypatch.setattr(rules, "ASKED_A_DAY", 3)
    partner, other = add_partner(house, "Curious"), add_partner(house, "Modest")
    partner.check(*(invoice(f"GUESS-{n}") for n in range(3)))
    body = {"items": [partner.blind(invoice("GUESS-4"))]}
    for path in ("/v1/duplicate-checks", "/v1/invoice-claims"):
        response = partner.client.call("POST", path, body=body, key=f"tomorrow-{path}")
        assert (response.status_code, response.get_json(force=True)["code"]) == (429, "too_many_questions")
        assert response.headers["Retry-After"]
    assert codes(other.claim(invoice("GUESS-4"))) == [None]
    with house.services.database.transaction() as session:
        today = business_date(house.services.clock.now(session), time_zone="Asia/Shanghai")
        session.execute(text("UPDATE partner_day SET business_date = :d"), {"d": today.replace(year=2025)})
    response = partner.client.call("POST", "/v1/duplicate-checks", body=body, key="tomorrow-/v1/duplicate-checks")
    assert response.status_code == 200


def test_numbers_of_a_platforms_own_stay_its_own(house: House) -> None:
    """Two platforms may call two sellers by one number: their invoices never meet."""
    partner, other = add_partner(house, "Local"), add_partner(house, "Local too")
    item = receivable("LOCAL-1", confirmation=None)
    assert codes([*submit(house.platform, [item]), *partner.claim(item), *other.claim(item)]) == [None] * 3
    assert codes(partner.claim(item)) == [DUPLICATE]


def test_a_request_repeated_claims_once(house: House) -> None:
    """The same key gives the same answer."""
    partner = add_partner(house, "Repeating")
    body = {"items": [partner.blind(rest("AGAIN", 100))]}
    first = partner.client.call("POST", "/v1/invoice-claims", body=body, key="once")
    assert partner.client.call("POST", "/v1/invoice-claims", body=body, key="once").data == first.data
    assert partner.check(rest("AGAIN", 1))[0]["free_minor"] == 900


def test_credit_notes_and_repayment_reach_the_register(house: House) -> None:
    """A credit note shrinks the share on the invoice; the last payment uses it up; neither frees anything."""
    confirmation = {"grade": "explicit", "confirmed_date": "2026-03-02"}
    (asset_id,) = house.submit(rest("LIFE", 600) | {"confirmation": confirmation})
    note = {"asset_id": asset_id, "number": "CN-1", "amount_minor": 100, "reason": "return", "issue_date": "2026-03-02"}
    house.platform.post("/v1/credit-notes", {"items": [note]})
    assert state_of(house, asset_id) == ("live", 500)
    house.operator.post("/v1/receipts", {"items": [receipt(asset_id, 500, value_date=house.today)]})
    assert state_of(house, asset_id) == ("consumed", 500)
    (refused,) = submit(house.platform, [rest("LIFE", 401)])
    assert (codes([refused]), refused["free_minor"]) == ([EXCEEDS], 400)
    check_sums(house)


def test_a_refused_receivable_frees_its_share(house: House) -> None:
    """What its obligor does not own up to can be brought again."""
    (asset,) = submit(house.platform, [rest("REFUSED", 1_000)])
    answer = {"asset_id": asset["asset_id"], "outcome": "refused", "grade": "explicit", "reason": "never ordered"}
    answer |= {"confirmed_date": "2026-03-02"}
    assert house.platform.post("/v1/confirmations", {"items": [answer]})["items"][0]["status"] == 201
    assert state_of(house, asset["asset_id"]) == ("released", 1_000)
    assert codes(submit(house.platform, [rest("REFUSED", 5, 7)])) == [None]
