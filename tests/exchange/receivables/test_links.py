"""An obligor answers through its link: without login or script, once, for what is behind it and nothing else."""

import hashlib
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from werkzeug.test import TestResponse

from exchange.app import create_app
from exchange.db import Database
from exchange.receivables.forms import read_form
from exchange.receivables.requests import MOST_BEHIND_A_LINK
from tests.exchange.house import House, calendar_date
from tests.exchange.receivables.shared import (
    add_platform,
    ask,
    at_once,
    birth,
    entered,
    owed_by,
    state,
    told,
)

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
UNKNOWN = "ast_01h455vb4pex5vsknk084sn02q"


def path(url: str) -> str:
    """The path of a link."""
    assert url.startswith("http://127.0.0.1:8080/confirm/")
    return url.removeprefix("http://127.0.0.1:8080")


def link(house: House, *asset_ids: str, **wishes: object) -> str:
    """The path of the one link these receivables share."""
    (url,) = {result["url"] for result in ask(house.platform, asset_ids, **wishes)}
    return path(url)


def look(house: House, at: str) -> TestResponse:
    """Open the page as a browser does, which has no token and no cookie."""
    return house.app.test_client().get(at, headers=BROWSER)


def send(house: House, at: str, **fields: str) -> TestResponse:
    """Send a form."""
    return house.app.test_client().post(at, data=fields, headers=BROWSER)


def answers(asset_id: str, outcome: str, **fields: str) -> dict[str, str]:
    """The fields of one receivable's answer."""
    return {f"{name}-{asset_id}": value for name, value in (fields | {"outcome": outcome}).items()}


def post(house: House, at: str, *fields: dict[str, str]) -> TestResponse:
    """Send the answers of several receivables."""
    return send(house, at, **{name: value for one in fields for name, value in one.items()})


def test_one_click_makes_an_asset(house: House) -> None:
    """The page says who claims what; looking changes nothing; one post answers, and the record tells by what link."""
    paper = {"kind": "invoice", "sha256": hashlib.sha256(b"invoice").hexdigest()}
    seller = {"scheme": "platform", "value": "s-click", "name": "Sunrise <Plastics>"}
    (asset_id,) = entered(house, owed_by("click", "CLICK", seller=seller, documents=[paper]))
    house.platform.call(
        "POST", f"/v1/receivables/{asset_id}/documents/delivery_note?name=送货单.pdf", raw=b"note", key="click-note"
    )
    at = link(house, asset_id)
    assert state(house, asset_id) == "awaiting_confirmation"
    page = look(house, at)
    assert page.status_code == 200
    for shown in (
        "Platform",
        "Sunrise &lt;Plastics&gt;",
        "CLICK",
        "CNY 10,000.00",
        "2026-05-01",
        "送货单.pdf",
        paper["sha256"],
    ):
        assert shown in page.text
    assert "<script" not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert state(house, asset_id) == "awaiting_confirmation"
    done = send(house, at, all="accepted")
    assert (done.status_code, done.headers["Location"]) == (303, at)
    assert "已确认" in look(house, at).text
    token = at.rpartition("/")[2]
    evidence = hashlib.sha256(token.encode()).hexdigest()
    said = birth(house, asset_id)
    assert said["confirmation"] == {"grade": "explicit_link", "date": "2026-03-02", "evidence": evidence}
    assert said["face_minor"] == 1_000_000
    assert house.platform.get(f"/v1/assets/{asset_id}")["confirmation_grade"] == "explicit_link"


def test_a_correction_is_what_the_asset_is_worth(house: House) -> None:
    """Record, score, claim and views have the corrected amount and day; the record keeps what had been stated."""
    (asset_id,) = entered(house, owed_by("corrects", "CORRECTED"))
    at = link(house, asset_id)
    form = answers(asset_id, "corrected", amount="９，５００.50", due_date="2026-05-15", reason_code="quantity_short")
    assert post(house, at, form).status_code == 303
    said = birth(house, asset_id)
    assert (said["face_minor"], said["due_date"]) == (950_050, "2026-05-15")
    confirmation = said["confirmation"]
    assert (confirmation["partial"], confirmation["reason"]) == (True, "quantity_short")
    assert confirmation["stated"] == {"face_minor": 1_000_000, "due_date": "2026-05-01"}
    shown = house.platform.get(f"/v1/assets/{asset_id}")
    assert (shown["confirmation"], shown["face_minor"], shown["due_date"]) == ("corrected", 950_050, "2026-05-15")
    assert (shown["claim"], shown["outstanding_minor"]) == ("free", 950_050)
    with house.services.database.transaction() as session:
        query = text("SELECT face_minor, due_day FROM trade WHERE trade_id = :id")
        trade = session.execute(query, {"id": asset_id}).one()
    assert (trade.face_minor, calendar_date(trade.due_day).isoformat()) == (950_050, "2026-05-15")
    assert "CNY 9,500.50, 2026-05-15" in look(house, at).text


def test_a_refusal_says_why_and_makes_nothing(house: House) -> None:
    """Void, with the code and the words; no record."""
    (asset_id,) = entered(house, owed_by("refuses", "REFUSED"))
    at = link(house, asset_id)
    assert post(house, at, answers(asset_id, "refused", reason_code="other", reason="从未收货")).status_code == 303
    house.run()
    assert state(house, asset_id) == "void"
    assert house.platform.get(f"/v1/assets/{asset_id}/records")["items"] == []
    assert "从未收货" in look(house, at).text


def test_receivables_of_one_obligor_share_a_link(house: House) -> None:
    """Each has an answer of its own, in one go or later; those of another obligor are behind another link."""
    mine = entered(house, *(owed_by("shares", f"SHARE-{number}") for number in range(4)))
    (other,) = entered(house, owed_by("another", "SHARE-OTHER"))
    at = link(house, *mine)
    assert link(house, other) != at
    one, two, three, four = mine
    foreign = answers(other, "accepted")
    assert (
        post(house, at, answers(one, "accepted"), answers(two, "refused", reason_code="price"), foreign).status_code
        == 303
    )
    assert [state(house, asset_id) for asset_id in (*mine, other)] == [
        "confirmed",
        "void",
        *["awaiting_confirmation"] * 3,
    ]
    assert send(house, at, all="accepted").status_code == 303
    assert [state(house, asset_id) for asset_id in mine] == ["confirmed", "void", "confirmed", "confirmed"]
    again = send(house, at, all="accepted")
    assert again.status_code == 422
    assert "Answer at least one" in again.text
    assert {result["url"] for result in ask(house.platform, [three, four]) if "url" in result} == set()


def test_a_page_holds_only_so_many(house: House) -> None:
    """Fifty behind a link; the next has the rest."""
    many = entered(house, *(owed_by("many", f"MANY-LINK-{number}") for number in range(MOST_BEHIND_A_LINK + 1)))
    urls = [result["url"] for result in ask(house.platform, many)]
    assert sorted(urls.count(url) for url in set(urls)) == [1, MOST_BEHIND_A_LINK]
    listed = {one["url"]: one for one in house.platform.get("/v1/confirmation-requests?limit=1000")["items"]}
    assert {len(listed[url]["asset_ids"]) for url in set(urls)} == {1, MOST_BEHIND_A_LINK}
    assert send(house, path(max(urls, key=urls.count)), all="accepted").status_code == 303


def test_asking_again_gives_the_same_link(house: House) -> None:
    """Nothing secret is kept, so nobody who reads the database, or the answer kept under a key, can answer."""
    asset_ids = entered(house, owed_by("again", "AGAIN-1"), owed_by("again", "AGAIN-2"))
    first, second = ask(house.platform, asset_ids), ask(house.platform, asset_ids, valid_days=90)
    assert first == second
    token = first[0]["url"].rpartition("/")[2]
    with house.services.database.transaction() as session:
        for table in ("confirmation_request", "requested_answer", "idempotency_outcome", "work_item", "pending_event"):
            rows = session.execute(text(f"SELECT * FROM {table}")).all()  # noqa: S608 - names of ours
            assert token not in repr(rows)
            assert token.encode().hex() not in repr([bytes(row.body).hex() for row in rows if table[0] == "i"])


def test_only_what_waits_can_be_asked_for(house: House) -> None:
    """Not what is answered, not another originator's, not what does not exist; a bad item spoils no neighbour."""
    waiting, answered = entered(house, owed_by("asked", "ASK-1"), owed_by("asked", "ASK-2"))
    assert send(house, link(house, answered), all="accepted").status_code == 303
    results = ask(house.platform, [waiting, answered, UNKNOWN, waiting])
    assert told(results) == [(201, []), (409, ["already_answered"]), (404, ["not_found"]), (201, [])]
    assert results[0]["url"] == results[3]["url"]
    stranger = add_platform(house, "Stranger who asks")
    assert told(ask(stranger, [waiting])) == [(404, ["not_found"])]
    assert stranger.get("/v1/confirmation-requests")["items"] == []
    assert told(ask(house.platform, [waiting], valid_days=91)) == [(422, ["out_of_range"])]


def test_a_link_expires(house: House) -> None:
    """To the second, by the clock of the business; an expired one is told from a wrong one, and is never listed."""
    (asset_id,) = entered(house, owed_by("late", "LATE"))
    at = link(house, asset_id, valid_days=1)
    opened = house.today
    house.move(8, 59, days=1)
    assert look(house, at).status_code == 200
    house.move(9)
    for response in (look(house, at), send(house, at, all="accepted")):
        assert response.status_code == 410
        assert "已过期" in response.text
    assert house.app.test_client().get(at).get_json(force=True)["code"] == "link_expired"
    assert state(house, asset_id) == "awaiting_confirmation"
    assert all(asset_id not in one["asset_ids"] for one in house.platform.get("/v1/confirmation-requests")["items"])
    fresh = link(house, asset_id)
    assert fresh != at
    assert send(house, fresh, all="accepted").status_code == 303
    assert birth(house, asset_id)["confirmation"]["date"] == (opened + timedelta(days=1)).isoformat()


def test_no_character_of_a_link_can_be_changed(house: House) -> None:
    """Every one of them: 404, told apart from nothing, and nothing is answered."""
    (asset_id,) = entered(house, owed_by("tampers", "TAMPER"))
    at = link(house, asset_id)
    prefix, _, token = at.rpartition("/")
    wrong = [token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :] for place in range(len(token))]
    for one in [*wrong, token[:-1], token + "A", token.upper(), token.lower()[:26], "x", "%00", "é", "A" * 5000]:
        for response in (look(house, f"{prefix}/{one}"), send(house, f"{prefix}/{one}", all="accepted")):
            assert response.status_code == 404, one
            assert token not in response.text
    assert state(house, asset_id) == "awaiting_confirmation"


def test_a_token_does_not_fit_another_request(house: House) -> None:
    """The name of one request with the proof of another opens neither."""
    one, other = (link(house, *entered(house, owed_by(f"mix {name}", f"MIX-{name}"))) for name in "AB")
    assert look(house, one[:-22] + other[-22:]).status_code == 404


def test_a_form_is_kept_whole_or_not_at_all(house: House) -> None:
    """What cannot be taken is said in both languages, what was written stays in the form, and nothing is answered."""
    one, two = entered(house, owed_by("whole", "WHOLE-1"), owed_by("whole", "WHOLE-2"))
    at = link(house, one, two)
    good = answers(one, "accepted")
    for wrong, words in (
        (answers(two, "corrected", amount="12,00", reason_code="price"), "write it like 9,500.00"),
        (answers(two, "corrected", amount="0", reason_code="price"), "write it like 9,500.00"),
        (answers(two, "corrected", amount="10,000.01", reason_code="price"), "cannot be above"),
        (answers(two, "corrected", amount="10000", due_date="2026-05-01", reason_code="price"), "another amount"),
        (answers(two, "corrected", due_date="2026-5-1", reason_code="due_date"), "write it like 2026-11-23"),
        (answers(two, "corrected", due_date="2026-02-30", reason_code="due_date"), "write it like 2026-11-23"),
        (answers(two, "corrected", due_date="2026-03-01", reason_code="due_date"), "before the issue date"),
        (answers(two, "corrected", due_date="2196-03-01", reason_code="due_date"), "too far away"),
        (answers(two, "corrected", amount="1"), "Say why"),
        (answers(two, "refused"), "Say why"),
        (answers(two, "refused", reason_code="other"), "Say why"),
        (answers(two, "refused", reason="a\0b"), "control characters"),
        (answers(two, "refused", reason="x" * 201), "too long"),
        (answers(two, "refused", reason_code="whim"), "that are listed"),
        (answers(two, "maybe"), "that are listed"),
    ):
        response = post(house, at, good, wrong)
        assert response.status_code == 422, wrong
        assert re.search(rf'<p class="fault" role="alert">[^<]*[一-鿿][^<]*{words}', response.text), (
            wrong,
            response.text,
        )
        assert f'name="outcome-{one}" value="accepted" checked' in response.text
    assert post(house, at, {}).status_code == 422
    assert [state(house, asset_id) for asset_id in (one, two)] == ["awaiting_confirmation"] * 2


def test_racing_answers_through_one_link_leave_one(house: House) -> None:
    """Six threads accept and refuse at once: one is kept whole, the others are told."""
    asset_ids = entered(house, *(owed_by("races", f"LINK-RACE-{number}") for number in range(6)))
    at = link(house, *asset_ids)
    forms = [
        [answers(asset_id, "accepted" if number % 2 else "refused", reason_code="price") for asset_id in asset_ids]
        for number in range(6)
    ]
    statuses = at_once(6, lambda number: post(house, at, *forms[number]).status_code)
    assert statuses.count(303) == 1, statuses
    assert set(statuses) <= {303, 409, 422}
    assert len({state(house, asset_id) for asset_id in asset_ids}) == 1


def test_link_and_platform_race_for_one_answer(house: House) -> None:
    """Whoever comes first is the answer; the other one learns that it was given."""
    asset_ids = entered(house, *(owed_by(f"versus {number}", f"VERSUS-{number}") for number in range(8)))
    links = [link(house, asset_id) for asset_id in asset_ids]
    house.platform.token = house.platform.sign_in()

    def step(number: int) -> list[Any]:
        if number:
            return [send(house, at, all="accepted").status_code for at in links]
        items = [
            {
                "asset_id": asset_id,
                "outcome": "refused",
                "grade": "explicit",
                "confirmed_date": "2026-03-03",
                "reason": "no",
            }
            for asset_id in reversed(asset_ids)
        ]
        return [told([result])[0] for result in house.platform.post("/v1/confirmations", {"items": items})["items"]][
            ::-1
        ]

    for platform, by_link, asset_id in zip(*at_once(2, step), asset_ids, strict=True):
        won = platform == (201, [])
        assert won == (by_link in {409, 422})
        assert state(house, asset_id) == ("void" if won else "confirmed")


@given(
    st.dictionaries(
        st.sampled_from(
            [f"{name}-{UNKNOWN}" for name in ("outcome", "amount", "due_date", "reason_code", "reason")] + ["all"]
        ),
        st.one_of(
            st.text(max_size=30), st.sampled_from(["accepted", "corrected", "refused", "9,500.00", "2026-04-01"])
        ),
    )
)
def test_no_form_is_too_strange(form: dict[str, str]) -> None:
    """Whatever is written is an answer or a fault of a known field, never an exception."""
    row = {"asset_id": UNKNOWN, "outcome": None, "currency": "CNY"}
    found, faults = read_form(form, [row], today=calendar_date(20_000), evidence="e")
    assert found or faults
    fields = {f"{name}-{UNKNOWN}" for name in ("outcome", "amount", "due_date", "reason_code", "reason")}
    assert all(fault.pointer in {*fields, ""} for fault in faults)
    for _, answer in found:
        assert answer.grade == "explicit_link"
        assert answer.face_minor is None or answer.face_minor >= 0


def test_the_page_has_its_style(house: House) -> None:
    """The one thing it loads is served beside it, to everybody."""
    with house.app.test_client().get("/confirm/static/confirm.css") as sheet:
        assert (sheet.status_code, sheet.mimetype) == (200, "text/css")


def test_without_its_database_the_page_says_try_again(house: House) -> None:
    """Neither looking nor answering is a defect of the obligor's."""
    gone = replace(house.services, database=Database("postgresql+psycopg://nobody@127.0.0.1:1/none"))
    web = create_app(gone).test_client()
    at = "/confirm/" + "0" * 26 + "A" * 22
    for response in (web.get(at, headers=BROWSER), web.post(at, data={"all": "accepted"}, headers=BROWSER)):
        assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
        assert "Try again in a moment" in response.text
