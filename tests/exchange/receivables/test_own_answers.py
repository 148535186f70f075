"""An obligor with a key of its own sees what names it, answers that and nothing else; no evidence is stronger."""

from typing import Any

from joserfc.jwk import OKPKey
from sqlalchemy import text

from tests.exchange.house import Client, House, make_key, mandate, public_jwk
from tests.exchange.receivables.shared import (
    add_obligor,
    add_platform,
    at_once,
    birth,
    entered,
    owed_by,
    state,
    submission,
    submit,
    told,
    twin,
)

UNKNOWN = "ast_01h455vb4pex5vsknk084sn02q"
LEI = "529900T8BM49AURSDO55"
PASSED_ON = {"grade": "explicit", "confirmed_date": "2026-03-02"}


def say(client: Client, asset_id: str, outcome: str = "accepted", **terms: object) -> tuple[int, list[str]]:
    """One answer; its status and codes."""
    items = [{"asset_id": asset_id, "outcome": outcome, **terms}]
    (result,) = told(client.post("/v1/answers", {"items": items})["items"])
    return result


def owed(client: Client, query: str = "") -> list[dict[str, Any]]:
    """What names this obligor."""
    return list(client.get(f"/v1/answers{query}")["items"])


def test_an_answer_with_ones_own_key(house: House) -> None:
    """Dated by the exchange, named by the key's thumbprint; a mandate that asks for less takes it."""
    obligor = add_obligor(house, "key-owner")
    (asset_id,) = entered(house, owed_by("key-owner", "KEY-1"))
    assert [one["asset_id"] for one in owed(obligor)] == [asset_id]
    assert say(obligor, asset_id) == (201, [])
    confirmation = birth(house, asset_id)["confirmation"]
    thumbprint = OKPKey.import_key(obligor.key.public_key()).thumbprint()
    assert confirmation == {"grade": "explicit_key", "date": "2026-03-02", "evidence": thumbprint}
    (passed_on,) = entered(house, owed_by("key-owner", "KEY-2", confirmation=PASSED_ON))
    house.run()
    funder = house.funders[0]
    for grades, refused in ((["explicit_key"], [passed_on]), (["explicit_link"], [passed_on]), (["explicit"], [])):
        terms = mandate(confirmation_grades=grades, name=f"least {grades}")
        mandate_id = funder.post("/v1/mandates", terms)["mandate_id"]
        told_why = {
            one: [reason["code"] for reason in funder.get(f"/v1/mandates/{mandate_id}/why-not/{one}")["refusals"]]
            for one in (asset_id, passed_on)
        }
        assert [one for one, codes in told_why.items() if "confirmation_grade" in codes] == refused


def test_corrections_and_refusals(house: House) -> None:
    """The same rules as through a link; the record tells what was stated."""
    obligor = add_obligor(house, "key-corrects")
    less, never, more = entered(house, *(owed_by("key-corrects", f"KC-{number}") for number in range(3)))
    assert say(obligor, less, "corrected", face_minor=400_000, reason_code="credit_note_due") == (201, [])
    assert say(obligor, never, "refused", reason_code="not_ordered") == (201, [])
    assert say(obligor, more, "corrected", face_minor=1_000_001, reason_code="price") == (422, ["face_above_stated"])
    said = birth(house, less)
    assert (said["face_minor"], said["confirmation"]["stated"]["face_minor"]) == (400_000, 1_000_000)
    assert [state(house, asset_id) for asset_id in (less, never, more)] == ["confirmed", "void", "submitted"]
    with house.services.database.transaction() as session:
        claims = text("SELECT claim_id, state, amount_minor FROM invoice_claim WHERE claim_id = ANY(:ids)")
        shares = {row.claim_id: row[1:] for row in session.execute(claims, {"ids": [less, never, more]})}
    assert shares == {less: ("live", 400_000), never: ("released", 1_000_000), more: ("live", 1_000_000)}
    assert {one["asset_id"]: one["answer"] for one in owed(obligor)} == {
        less: "corrected",
        never: "refused",
        more: None,
    }
    assert [one["asset_id"] for one in owed(obligor, "?waiting=yes")] == [more]


def test_nobody_answers_for_another_company(house: House) -> None:
    """Another obligor's receivable, another platform's customer with the same number, and none at all: the same 404."""
    obligor = add_obligor(house, "mine-alone")
    (others,) = entered(house, owed_by("not-mine", "NM-1"))
    platform = add_platform(house, "Namesakes")
    namesake = {"scheme": "platform", "value": "mine-alone"}
    foreign = submit(platform, [submission("NM-2", obligor=namesake)])[0]["asset_id"]
    for asset_id in (others, foreign, UNKNOWN):
        assert say(obligor, asset_id) == (404, ["not_found"])
    assert owed(obligor) == []
    assert obligor.refused("GET", f"/v1/assets/{others}")["code"] == "forbidden"
    assert house.platform.refused("POST", "/v1/answers", {"items": []})["code"] == "forbidden"
    assert obligor.refused("POST", "/v1/confirmations", {"items": []})["code"] == "forbidden"


def test_a_registered_number_is_one_company_everywhere(house: House) -> None:
    """An obligor named by its LEI answers for what any platform says it owes."""
    key = make_key("lei obligor")
    body = {"scheme": "lei", "value": LEI, "name": "Works", "public_jwk": public_jwk(key)}
    entered_as = house.operator.post("/v1/obligors", body)
    obligor = Client(house.app.test_client(), entered_as["client_id"], key)
    platform = add_platform(house, "Third platform")
    company = {"scheme": "lei", "value": LEI}
    ids = [
        submit(client, [submission(f"LEI-{client.client_id}", obligor=company)])[0]["asset_id"]
        for client in (house.platform, platform)
    ]
    assert [one["asset_id"] for one in owed(obligor)] == sorted(ids)
    assert [say(obligor, asset_id) for asset_id in ids] == [(201, []), (201, [])]


def test_pages_of_what_is_owed(house: House) -> None:
    """In a stable order, by cursor, whole."""
    obligor = add_obligor(house, "pages")
    ids = sorted(entered(house, *(owed_by("pages", f"PAGE-{number}") for number in range(5))))
    seen, query = [], "?limit=2"
    while query:
        page = obligor.get(f"/v1/answers{query}")
        seen += [one["asset_id"] for one in page["items"]]
        query = f"?limit=2&after={page['next']}" if page["next"] else ""
    assert seen == ids
    assert obligor.refused("GET", "/v1/answers?waiting=perhaps")["code"] == "invalid_request"


def test_racing_answers_of_one_obligor(house: House) -> None:
    """Two programs with the same key answer the same twenty: each is answered once, by one of them."""
    obligor = add_obligor(house, "racer")
    ids = entered(house, *(owed_by("racer", f"OWN-RACE-{number}") for number in range(20)))
    programs = [twin(house, obligor) for _ in range(2)]
    for program in programs:
        program.token = program.sign_in()

    def step(number: int) -> list[tuple[int, list[str]]]:
        outcome = {"outcome": "refused", "reason_code": "price"} if number else {"outcome": "accepted"}
        order = ids[::-1] if number else ids
        results = told(
            programs[number].post("/v1/answers", {"items": [{"asset_id": one} | outcome for one in order]})["items"]
        )
        return results[::-1] if number else results

    for pair in zip(*at_once(2, step), strict=True):
        assert sorted(pair) == [(201, []), (409, ["already_answered"])]
    with house.services.database.transaction() as session:
        query = text("SELECT count(*) FROM confirmation WHERE asset_id = ANY(:ids)")
        assert session.execute(query, {"ids": ids}).scalar_one() == 20


def test_entering_an_obligor(house: House) -> None:
    """Its number has to be one, and say whose it is; a key once for each company; a bad key never."""
    jwk = public_jwk(make_key("entering"))

    def refused(**body: object) -> list[str]:
        problem = house.operator.refused("POST", "/v1/obligors", {"public_jwk": jwk, **body})
        return [fault["code"] for fault in problem.get("errors", [])] or [problem["code"]]

    assert refused(scheme="platform", value="x") == ["originator_missing"]
    assert refused(scheme="lei", value=LEI, originator_id=house.originator_id) == ["originator_unexpected"]
    assert refused(scheme="uscc", value="91310000X") == ["bad_uscc"]
    assert refused(scheme="platform", value="x", originator_id="org_01h455vb4pex5vsknk084sn02q") == ["not_found"]
    assert (
        refused(scheme="platform", value="x", originator_id=house.originator_id, public_jwk=jwk | {"x": "A" * 43}) != []
    )
    good = {"scheme": "platform", "value": "entered twice", "originator_id": house.originator_id, "public_jwk": jwk}
    first = house.operator.post("/v1/obligors", good)
    assert house.operator.refused("POST", "/v1/obligors", good)["code"] == "key_in_use"
    second = house.operator.post("/v1/obligors", good | {"public_jwk": public_jwk(make_key("entering again"))})
    assert second["company_id"] == first["company_id"]
    assert second["client_id"] != first["client_id"]
    assert house.platform.refused("POST", "/v1/obligors", good)["code"] == "forbidden"
