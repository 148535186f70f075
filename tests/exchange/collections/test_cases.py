"""Cases as they are lived: opened, followed, promised in, written to, ended; over HTTP, with two of everything."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from exchange.collections import actions, queries, steps
from exchange.collections.actions import Noted
from tests.exchange.collections.cases import (
    another_client,
    case_of,
    day,
    listed,
    note,
    promise,
    refused,
    step,
    task_of,
    told,
)
from tests.exchange.collections.conftest import POLICY, Late
from tests.exchange.house import House, make_key, public_jwk
from tests.exchange.settlement.book import FACE_MINOR, buy, fresh, pay, rows


def test_one_case_for_an_obligor(market: Late) -> None:
    """Its assets are in one case with the tasks of the stage, and the holder is told of each asset."""
    house, assets = market.house, market.of["pays"]
    case = case_of(house, assets[0])
    assert {one["asset_id"] for one in case["items"]} == set(assets)
    assert (case["strategy"], case["stage"], case["state"]) == ("quick", "first", "active")
    assert case["days_past_due"] == 4
    assert case["owed"] == [{"currency": "CNY", "items": 2, "outstanding_minor": 2 * FACE_MINOR}]
    assert {(task["template"], task["team"]) for task in case["tasks"]} == {("call", "sales"), ("dunning_1", "finance")}
    events = [one for one in told(house, 0, "case.opened") if one["asset_id"] in assets]
    assert [one["days_past_due"] for one in events] == [4, 4]
    assert not {"obligor", "case_id"} & events[0].keys()
    assert told(house, 1, "case.opened") == []


def test_noted_twice(market: Late) -> None:
    """The same note again, or an older one, changes nothing."""
    house, assets = market.house, market.of["twice"]
    before = case_of(house, assets[0])
    note(house, "late_1", *assets)
    note(house, "late_1", *assets, days_past_due=3, back=1)
    assert case_of(house, assets[0]) == before
    assert len([one for one in told(house, 0, "case.opened") if one["asset_id"] in assets]) == 2


def test_two_at_once_open_one_case(market: Late) -> None:
    """Two workers that note two assets of one obligor at the same moment: one case with both."""
    house, assets = market.house, market.of["races"]
    note(house, "cured", *assets)
    assert case_of(house, assets[0])["result"] == "cured"
    barrier, services, today = Barrier(2), house.services, house.today

    def follow(asset_id: str) -> None:
        with services.database.transaction() as session:
            now = services.clock.now(session)
            barrier.wait(timeout=10)
            noted = [Noted(asset_id, "late_1", 4)]
            actions.follow(session, services=services, noted=noted, day=today, now=now)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(follow, assets))
    case = case_of(house, assets[0])
    assert (case["number"], case["closed_on"]) == (2, None)
    assert {one["asset_id"] for one in case["items"]} == set(assets)
    assert len(case["tasks"]) == 2


def test_the_database_keeps_one_case(market: Late) -> None:
    """Whoever writes around the rules is stopped: one live case, one case of an asset, no changed entry."""
    house = market.house
    twice = "INSERT INTO collection_case SELECT 'x', originator_id, obligor_id, number + 1, 0, 's', 's', 'active', "
    for statement in (
        f"{twice} opened_on, stepped_on FROM collection_case WHERE closed_on IS NULL LIMIT 1",
        "UPDATE case_stage SET reached_on = reached_on + 1",
        "DELETE FROM collection_contact",
        "UPDATE dunning_letter SET text = ''",
    ):
        with pytest.raises(DBAPIError), house.services.database.transaction() as session:
            session.execute(text(statement))


def test_catching_up(market: Late) -> None:
    """Three days at once give the stages and tasks of three days one by one, each on its own date."""
    house, (asset_id, _) = market.house, market.of["waits"]
    case = case_of(house, asset_id)
    services, start = house.services, date.fromisoformat(case["opened_on"])

    def lived(*days: int) -> list[Any]:
        with services.database.transaction() as session:
            now = services.clock.now(session)
            for ahead in days:
                cases = queries.lock_live(session, case_ids=[case["case_id"]])
                on = start + timedelta(days=ahead)
                steps.advance(session, services=services, cases=cases, day=on, now=now)
            query = """
                SELECT stage, template, team, made_on, due_on, state, asset_ids, letter.made_on, letter.digest
                FROM collection_task LEFT JOIN dunning_letter AS letter USING (task_id, template, made_on)
                WHERE collection_task.case_id = :id ORDER BY 1, 2
            """.replace("letter.made_on, ", "")
            found = list(session.execute(text(query), {"id": case["case_id"]}).all())
            stages = "SELECT stage, reached_on, days_past_due FROM case_stage WHERE case_id = :id ORDER BY 2"
            found += session.execute(text(stages), {"id": case["case_id"]}).all()
            session.rollback()
        return found

    at_once = lived(3)
    assert lived(1, 2, 3) == at_once == lived(2, 3, 1)
    assert {row[:3] for row in at_once} >= {
        ("second", start + timedelta(days=2), 6),
        ("third", start + timedelta(days=3), 7),
    }
    house.move(23, days=3)  # nobody worked for two days
    assert [row[:7] for row in lived()] == [row[:7] for row in at_once]


def test_a_team_s_work(market: Late) -> None:
    """Work lists by team, page by page; a task is assigned, started, done with an outcome, all of it kept."""
    house, (asset_id, _) = market.house, market.of["tasks"]
    task = task_of(case_of(house, asset_id), "call")
    step(house.platform, task, step="assigned", assignee="E-17")
    step(house.platform, task, step="started")
    mine = house.platform.get("/v1/tasks?team=sales&assignee=E-17")["items"]
    assert [(one["task_id"], one["state"], one["overdue"]) for one in mine] == [(task["task_id"], "started", True)]
    done = step(house.platform, task, step="done", outcome="not_reached")
    assert (done["state"], done["outcome"], done["finished_on"]) == ("done", "not_reached", house.today.isoformat())
    again = {"step": "skipped", "reason": "twice"}
    assert refused(house, f"/v1/tasks/{task['task_id']}/steps", again) == "task_finished"
    kept = "SELECT step, detail FROM collection_task_step WHERE task_id = :id ORDER BY number"
    assert [tuple(row) for row in rows(house, kept, id=task["task_id"])] == [
        ("assigned", "E-17"),
        ("started", None),
        ("done", "not_reached"),
    ]
    whole = house.platform.get("/v1/tasks?team=finance&limit=1000")["items"]
    assert whole
    paged, after = [], ""
    while True:
        page = house.platform.get(f"/v1/tasks?team=finance&limit=3{after}")
        paged += page["items"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert paged == whole
    assert [one["due_on"] for one in whole] == sorted(one["due_on"] for one in whole)


def test_a_team_sees_its_tasks(market: Late, browser: FlaskClient) -> None:
    """Only its own, in the state that was asked for; nonsense in the address is as good as nothing."""
    house, (asset_id, _) = market.house, market.of["pages"]
    call = task_of(case_of(house, asset_id), "call")
    everything = listed(browser, "")
    sales = listed(browser, "team=sales")
    assert 0 < len(sales) < len(everything)
    assert all("<td>sales</td>" in row for row in sales)
    assert sum(call["case_id"] in row for row in sales) == 1
    step(house.platform, call, step="done", outcome="reached")
    assert len(listed(browser, "team=sales")) == len(sales) - 1
    assert sum(call["case_id"] in row for row in listed(browser, "team=sales&state=done")) == 1
    assert len(listed(browser, "team=%3Cb%3E&state=x")) == len(everything) - 1


def test_a_cursor_that_is_none(browser: FlaskClient) -> None:
    """A place that no list gave is refused as it is in the API."""
    answer = browser.get("/collections?after=x", base_url="http://localhost", headers={"Accept": "text/html"})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {"step": "done"},
        {"step": "assigned"},
        {"step": "skipped", "outcome": "reached"},
        {"step": "started", "assignee": "E-1"},
    ],
)
def test_steps_say_what_goes_with_them(market: Late, body: dict[str, str]) -> None:
    """A person with an assignment, an outcome with what is done, a reason with what is skipped, nothing else."""
    task = task_of(case_of(market.house, market.of["both"][0]), "call")
    assert refused(market.house, f"/v1/tasks/{task['task_id']}/steps", body) == "misplaced"


def test_nobody_sees_another_platform(market: Late) -> None:
    """Cases, tasks and letters of one platform are not there for another; a funder sees none of them."""
    house = market.house
    entered = house.operator.post("/v1/originators", {"name": "Other", "public_jwk": public_jwk(make_key("other"))})
    stranger = another_client(house, "stranger", originator_id=entered["originator_id"])
    case = case_of(house, market.of["both"][0])
    task, letter = task_of(case, "call"), task_of(case, "dunning_1")["letter_id"]
    for path in ("cases", "tasks", "letters"):
        assert stranger.get(f"/v1/{path}")["items"] == []
        assert house.operator.get(f"/v1/{path}")["items"]
        assert house.funders[0].refused("GET", f"/v1/{path}")["code"] == "forbidden"
    for path in (
        f"cases/{case['case_id']}",
        f"letters/{letter}",
        f"originators/{house.originator_id}/collection-policy",
    ):
        assert stranger.refused("GET", f"/v1/{path}")["code"] == "not_found"
    body = {"step": "started"}
    assert stranger.refused("POST", f"/v1/tasks/{task['task_id']}/steps", body)["code"] == "not_found"
    said = {"channel": "phone", "reached": True, "said": "x", "contact_date": house.today.isoformat()}
    assert stranger.refused("POST", f"/v1/cases/{case['case_id']}/contacts", said)["code"] == "not_found"


def test_contacts(market: Late) -> None:
    """Contacts are numbered as they are entered, and none is entered beforehand."""
    house, (asset_id, _) = market.house, market.of["both"]
    path = f"/v1/cases/{case_of(house, asset_id)['case_id']}/contacts"
    said = {"channel": "phone", "reached": True, "said": "pays on Friday", "contact_date": house.today.isoformat()}
    house.platform.post(path, said, key="contact-1")
    house.platform.post(path, said, key="contact-1")
    shown = house.platform.post(path, said | {"channel": "visit", "reached": False, "person": "gate"})["contacts"]
    assert [(one["number"], one["channel"], one["person"]) for one in shown] == [
        (1, "phone", None),
        (2, "visit", "gate"),
    ]
    tomorrow = (house.today + timedelta(days=1)).isoformat()
    assert refused(house, path, said | {"contact_date": tomorrow}) == "in_the_future"


def test_a_letter_is_fetched_and_sent(market: Late) -> None:
    """It names both assets, the account and what to quote; sent once, which does its task."""
    house, assets = market.house, market.of["letters"]
    task = task_of(case_of(house, assets[0]), "dunning_1")
    path = f"/v1/letters/{task['letter_id']}"
    letter = house.platform.get(path)
    assert (letter["language"], letter["subject"]) == ("zh", "逾期付款通知（第一次）")
    assert all(one in letter["text"] and one in letter["html"] for one in (*assets, "6222000011112222", "20,000.00"))
    assert task["letter_id"] in {one["letter_id"] for one in house.platform.get("/v1/letters")["items"]}
    sent = {"channel": "email", "reference": "M-1", "sent_date": house.today.isoformat()}
    ahead = (house.today + timedelta(days=1)).isoformat()
    assert refused(house, f"{path}/sending", sent | {"sent_date": ahead}) == "in_the_future"
    assert house.platform.post(f"{path}/sending", sent)["sent_reference"] == "M-1"
    assert refused(house, f"{path}/sending", sent) == "letter_not_waiting"
    assert task_of(case_of(house, assets[0]), "dunning_1")["state"] == "done"
    assert task["letter_id"] in {one["letter_id"] for one in house.platform.get("/v1/letters?state=sent")["items"]}
    obligor = case_of(house, assets[0])["obligor"]["company_id"]
    house.platform.put(f"/v1/obligors/{obligor}/language", {"language": "en"})
    note(house, "default", *assets, days_past_due=93)
    english = house.platform.get(f"/v1/letters/{task_of(case_of(house, assets[0]), 'default_notice')['letter_id']}")
    assert english["subject"] == "Notice of default"


def test_a_letter_that_is_out_of_date(market: Late) -> None:
    """What was paid or disputed meanwhile is not asked for: the letter is withdrawn and written anew."""
    house, assets = market.house, market.of["mixed"]
    old = task_of(case_of(house, assets[0]), "dunning_1")["letter_id"]
    with house.services.database.transaction() as session:
        session.execute(text("UPDATE claim SET disputed = true WHERE asset_id = :id"), {"id": assets[0]})
    note(house, "late_1", *assets)
    assert house.platform.get(f"/v1/letters/{old}")["withdrawn_on"] == house.today.isoformat()
    new = house.platform.get(f"/v1/letters/{task_of(case_of(house, assets[0]), 'dunning_1')['letter_id']}")
    assert new["asset_ids"] == [assets[1]]
    with house.services.database.transaction() as session:
        session.execute(text("UPDATE claim SET disputed = true WHERE asset_id = ANY(:ids)"), {"ids": assets})
    note(house, "default", *assets)
    skipped = task_of(case_of(house, assets[0]), "default_notice")
    assert (skipped["state"], skipped["reason"], skipped["letter_id"]) == ("skipped", "nothing_to_dun", None)


def test_plans(market: Late) -> None:
    """A plan sums to what is owed; one at a time; it goes to servicing under servicing's own id, or is dropped."""
    house, (asset_id, _) = market.house, market.of["both"]
    path = f"/v1/cases/{case_of(house, asset_id)['case_id']}/plans"
    dates = [(house.today + timedelta(days=days)).isoformat() for days in (10, 40)]
    parts = [{"due_date": one, "amount_minor": FACE_MINOR // 2} for one in dates]
    assert refused(house, path, {"asset_id": asset_id, "instalments": parts[:1]}) == "sum_mismatch"
    plan = house.platform.post(path, {"asset_id": asset_id, "instalments": parts})
    assert (plan["state"], plan["instalments"]) == ("proposed", parts)
    assert refused(house, path, {"asset_id": asset_id, "instalments": parts}) == "plan_open"
    decision = f"/v1/plans/{plan['plan_id']}/decision"
    assert refused(house, decision, {}) == "one_of_two"
    assert refused(house, decision, {"reschedule_id": "fbr_1"}) == "not_a_reschedule"
    assert house.platform.post(decision, {"reason": "too slow"})["state"] == "dropped"
    assert refused(house, decision, {"reason": "again"}) == "plan_decided"


def test_promises_kept_and_broken(market: Late) -> None:
    """What came in by the day keeps a promise; what did not breaks it, with tasks, a letter and a callback."""
    house, (kept_id, broken_id) = market.house, market.of["promises"]
    case = case_of(house, kept_id)
    kept = promise(house, case, kept_id, amount=FACE_MINOR // 2)
    broken = promise(house, case, broken_id, amount=FACE_MINOR // 4, days=0)
    path = f"/v1/cases/{case['case_id']}/promises"
    body = {"asset_ids": [kept_id], "currency": "CNY", "amount_minor": 1, "due_date": house.today.isoformat()}
    assert refused(house, path, body) == "too_many_promises"
    pay(house, (kept_id, FACE_MINOR // 2), (broken_id, FACE_MINOR // 8))
    day(house)
    states = {one["promise_id"]: one["state"] for one in case_of(house, kept_id)["promises"]}
    assert states == {kept["promise_id"]: "kept", broken["promise_id"]: "open"}
    day(house)
    case = case_of(house, kept_id)
    verdict = {one["promise_id"]: one for one in case["promises"]}[broken["promise_id"]]
    assert (verdict["state"], verdict["paid_minor"]) == ("broken", FACE_MINOR // 8)
    task = task_of(case, "reminder")
    assert (task["stage"], task["promise_id"]) == ("broken_promise", broken["promise_id"])
    assert "2,500.00" in house.platform.get(f"/v1/letters/{task['letter_id']}")["text"]
    (event,) = (one for one in told(house, 0, "promise.broken") if broken_id in one["asset_ids"])
    assert (event["amount_minor"], event["paid_minor"]) == (FACE_MINOR // 4, FACE_MINOR // 8)
    day(house)
    assert len([one for one in case_of(house, kept_id)["tasks"] if one["template"] == "reminder"]) == 1


def test_a_receipt_that_comes_late(market: Late) -> None:
    """A receipt of an earlier value date makes a broken promise a kept one; both verdicts stay."""
    house, (asset_id, other_id) = market.house, market.of["broken"]
    made = promise(house, case_of(house, asset_id), asset_id, other_id, amount=100, days=0)
    promised_on = house.today
    day(house)
    day(house)
    line = {"bank_reference": "late-line", "value_date": promised_on.isoformat(), "amount_minor": 100}
    entered = house.operator.post("/v1/receipts", {"items": [line | {"currency": "CNY", "reference": other_id}]})
    assert entered["items"][0]["status"] == 201
    day(house)
    (shown,) = case_of(house, asset_id)["promises"]
    assert (shown["state"], shown["judged_on"]) == ("kept", promised_on.isoformat())
    verdicts = "SELECT verdict FROM promise_verdict WHERE promise_id = :id ORDER BY number"
    assert [row[0] for row in rows(house, verdicts, id=made["promise_id"])] == ["broken", "kept"]


def test_paid_off_and_late_again(market: Late) -> None:
    """A case whose assets are paid is closed as cured, its letters withdrawn, its holder told; the next one is new."""
    house, assets = market.house, market.of["pays"]
    promise(house, case_of(house, assets[0]), assets[0], amount=10, days=20)
    pay(house, *((one, FACE_MINOR) for one in assets))
    day(house)
    case = case_of(house, assets[0])
    assert (case["state"], case["result"], case["closed_on"]) == ("closed", "cured", house.today.isoformat())
    assert {one["left_because"] for one in case["items"]} == {"settled"}
    assert [one["state"] for one in case["promises"]] == ["kept"]
    closed = {one["asset_id"]: one["reason"] for one in told(house, 0, "case.closed")}
    assert [closed[one] for one in assets] == ["settled", "settled"]
    letters = "SELECT bool_and(withdrawn_on IS NOT NULL) FROM dunning_letter WHERE case_id = :id"
    assert rows(house, letters, id=case["case_id"])[0][0]
    path = f"/v1/cases/{case['case_id']}/plans"
    body = {"asset_id": assets[0], "instalments": [{"due_date": "2027-01-01", "amount_minor": 1}]}
    assert refused(house, path, body) == "case_closed"


def test_a_bad_debt(market: Late) -> None:
    """Charged off: agency and court, a write-off that two people agree to, the case given up with its result."""
    house, assets = market.house, market.of["lost"]
    case = case_of(house, assets[0])
    place = f"/v1/cases/{case['case_id']}"
    agency = {"kind": "agency", "to": "Collectors", "reference": "A-1", "fee_bps": 1500}
    giving_up = {"result": "uncollectable", "reason": "dissolved"}
    assert refused(house, f"{place}/referrals", agency) == "not_bad_debt"
    assert refused(house, f"{place}/closing", giving_up) == "not_bad_debt"
    note(house, "charge_off", assets[0], days_past_due=123)
    assert case_of(house, assets[0])["state"] == "bad_debt"
    assert refused(house, f"{place}/closing", giving_up) == "approval_missing"
    assert refused(house, f"{place}/referrals", agency | {"fee_bps": 3001}) == "fee_too_high"
    house.platform.post(f"{place}/referrals", agency)
    assert refused(house, f"{place}/referrals", agency) == "referral_open"
    pay(house, (assets[1], 9_999))
    shown = house.platform.post(f"{place}/referrals", {"kind": "legal", "to": "A court", "reference": "L-1"})
    held = shown["referrals"][0]
    assert held["collected"] == [{"currency": "CNY", "collected_minor": 9_999, "fee_minor": 1_499}]
    end = f"/v1/referrals/{held['referral_id']}/end"
    assert house.platform.post(end, {"reason": "no more"})["referrals"][0]["end_reason"] == "no more"
    assert refused(house, end, {"reason": "again"}) == "referral_ended"
    _approve(house, case_of(house, assets[0]))
    closed = house.platform.post(f"{place}/closing", giving_up)
    assert (closed["state"], closed["result"]) == ("closed", "uncollectable")
    assert {one["left_because"] for one in closed["items"]} == {"uncollectable"}


def _approve(house: House, case: dict[str, Any]) -> None:
    """Propose a write-off and approve it, with other eyes only and only after it was proposed."""
    first, second = task_of(case, "propose"), task_of(case, "approve")
    path, approved = f"/v1/tasks/{second['task_id']}/steps", {"step": "done", "outcome": "approved"}
    assert refused(house, path, approved) == "first_task_open"
    step(house.platform, first, step="done", outcome="done")
    assert refused(house, path, {"step": "done", "outcome": "done"}) == "bad_outcome"
    assert refused(house, path, approved) == "same_person"
    step(another_client(house, "second pair of eyes"), second, **approved)


def test_what_a_funder_sees(market: Late) -> None:
    """Its own assets, by themselves: stage and promises, nobody else's, and no obligor."""
    house = market.house
    shown = {one["asset_id"]: one for one in house.funders[0].get("/v1/asset-cases?limit=1000")["items"]}
    assert set(market.of["both"]) <= shown.keys()
    one = shown[market.of["promises"][1]]
    assert [(each["state"], each["amount_minor"]) for each in one["promises"]] == [("broken", FACE_MINOR // 4)]
    assert shown[market.of["lost"][0]]["left_because"] == "uncollectable"
    assert shown[market.of["letters"][0]]["stage"] == "default"
    assert house.funders[1].get("/v1/asset-cases")["items"] == []


def test_the_report(market: Late) -> None:
    """Counts and shares as the rows have them; a platform sees its own."""
    house = market.house
    report = house.platform.get("/v1/collection-report")
    first = next(one for one in report["stages"] if one["stage"] == "first")
    assert first["reached"] == first["live"] + first["cured"] + first["lost"]
    assert first["cure_rate_ppm"] == first["cured"] * 10**6 // (first["cured"] + first["lost"])
    promises = report["promises"]
    assert promises["kept_ppm"] == promises["kept"] * 10**6 // (promises["kept"] + promises["broken"])
    assert (promises["made"], promises["broken"]) == (4, 1)
    owed = {one["team"]: one["outstanding_minor"] for one in report["teams"] if one["age"] == "1_15"}
    owing = "SELECT sum(outstanding_minor) FROM case_item JOIN claim USING (asset_id) WHERE left_on IS NULL"
    live = rows(house, owing)
    assert 0 < owed["commerce"] <= live[0][0]
    tasks = {one["team"]: one for one in report["tasks"]}
    assert tasks["sales"]["overdue"] <= tasks["sales"]["waiting"]
    assert tasks["sales"]["overdue"] == len(
        house.platform.get("/v1/tasks?team=sales&state=overdue&limit=1000")["items"]
    )


def test_policies(market: Late) -> None:
    """Versions count up; what contradicts itself is refused by code and place; a case keeps the version it has."""
    house = market.house
    place = f"/v1/originators/{house.originator_id}/collection-policy"
    wrong = POLICY | {"strategies": POLICY["strategies"] * 2}
    problem = house.operator.refused("PUT", place, wrong)
    assert {one["code"] for one in problem["errors"]} == {"repeated", "never_reached"}
    assert house.operator.put(place, POLICY | {"reply_days": 9})["version"] == 2
    assert house.platform.get(place)["reply_days"] == 9
    assert case_of(house, market.of["both"][0])["policy_version"] == 1
    nobody = "/v1/originators/org_01h455vb4pex5vsknk084sn02q/collection-policy"
    assert house.operator.refused("PUT", nobody, POLICY)["code"] == "not_found"
    company = "/v1/obligors/com_01h455vb4pex5vsknk084sn02q/language"
    assert house.platform.refused("PUT", company, {"language": "en"})["code"] == "not_found"


def test_parts_stand_in_for_the_whole(market: Late) -> None:
    """Of instalments only the late one is asked for; parts of a split asset are as late, and promised, as it was."""
    house = market.house
    days = [house.today + timedelta(days=1 + term) for term in (2, 40)]
    schedule = [{"due_date": one.isoformat(), "amount_minor": FACE_MINOR // 2} for one in days]
    (asset_id,) = buy(house, fresh(schedule={"instalments": schedule}), days=40, min_tenor_days=1)
    house.move(23, days=6)
    before = case_of(house, asset_id)
    assert before["days_past_due"] == 4
    letter = house.platform.get(f"/v1/letters/{task_of(before, 'dunning_1')['letter_id']}")
    assert days[0].isoformat() in letter["text"]
    assert "CNY 5,000.00" in letter["text"]
    made = promise(house, before, asset_id, amount=300_000, days=3)
    item = {"asset_id": asset_id, "amounts_minor": [600_000, 400_000]}
    (split,) = house.funders[0].post("/v1/splits", {"items": [item]})["items"]
    parts = [one["asset_id"] for one in split["parts"]]
    day(house)
    case = case_of(house, parts[0])
    assert case["case_id"] == before["case_id"]
    shown = {one["asset_id"]: one for one in case["items"]}
    assert shown[asset_id]["left_because"] == "split"
    assert {shown[one]["days_past_due"] for one in parts} == {5}
    pay(house, (parts[0], 300_000), (parts[1], 200_000))
    day(house)
    case = case_of(house, parts[0])
    assert {one["promise_id"]: one["state"] for one in case["promises"]} == {made["promise_id"]: "kept"}
    assert (case["result"], {one["left_because"] for one in case["items"]}) == ("cured", {"split", "cured"})


def test_the_books_are_right(market: Late) -> None:
    """Nothing of all this touched money or title."""
    market.house.check()
