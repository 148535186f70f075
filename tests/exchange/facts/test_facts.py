"""Facts told over HTTP: kept once, corrected by name, refused when they cannot be."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from exchange.facts import queries
from exchange.facts.kinds import KINDS
from tests.exchange.facts.bodies import FACTS, PERSON, SELLER
from tests.exchange.facts.conftest import Tell
from tests.exchange.house import House
from tests.exchange.owner import as_owner

LI, WANG = {"national_id": "110101196001011111"}, {"national_id": "110101197002022222"}


def company_id(house: House, ref: dict[str, str]) -> str:
    """The exchange's id of a platform's company."""
    query = text("SELECT company_id FROM company WHERE value = :value")
    with house.services.database.transaction() as session:
        return str(session.execute(query, {"value": ref["value"]}).scalar_one())


def codes(results: list[dict[str, Any]]) -> list[Any]:
    """Of each result its code, or its status where it was not refused."""
    return [one["errors"][0]["code"] if one.get("errors") else one["status"] for one in results]


def test_every_kind_is_kept(house: House, tell: Tell) -> None:
    """A right fact of each kind is kept, and known the second time, as the same fact."""
    tell("registrations", {"company": SELLER})
    for kind in [one.plural for one in KINDS.values()]:
        first, again = tell(kind, {}), tell(kind, {})
        assert (codes(first), codes(again)) == ([201], [200]), kind
        assert first[0]["fact_id"] == again[0]["fact_id"]
    shown = house.platform.get(f"/v1/companies/{company_id(house, {'value': 'obligor-1'})}/facts?limit=1000")["items"]
    assert {one["kind"] for one in shown} == KINDS.keys() - {"price", "person_report"}


def test_a_contradiction_is_refused_with_both_named(tell: Tell, company: dict[str, str]) -> None:
    """Another value of the same source and day: the fact there is and the item are named; another source may differ."""
    kept = tell("reports", {"company": company})[0]["fact_id"]
    refused = tell("reports", {"company": company, "overdue_minor": 7})[0]
    assert (refused["status"], codes([refused])) == (409, ["contradictory_fact"])
    assert (refused["errors"][0]["pointer"], refused["errors"][0]["value"]) == ("/items/0", kept)
    assert codes(tell("reports", {"company": company, "overdue_minor": 7, "source": "bureau"})) == [201]
    assert codes(tell("reports", {"company": company, "overdue_minor": 7, "effective_date": "2026-03-01"})) == [201]


def test_two_of_a_batch_contradict_each_other(tell: Tell, company: dict[str, str]) -> None:
    """The first of them counts; the second names it by its pointer."""
    results = tell("reports", {"company": company}, {"company": company, "score": 1})
    assert codes(results) == [201, "contradictory_fact"]
    assert results[1]["errors"][0]["value"] == "/items/0"


def test_a_correction_names_the_old(house: House, tell: Tell, company: dict[str, str]) -> None:
    """It stands from then on; the old one cannot be corrected twice; a withdrawn one can be told anew by its name."""
    old = tell("reports", {"company": company})[0]["fact_id"]
    before = datetime.now(UTC).replace(year=2200)
    new = tell("reports", {"company": company, "score": 1, "corrects": old})[0]["fact_id"]
    assert codes(tell("reports", {"company": company, "score": 2, "corrects": old})) == ["not_the_last_fact"]
    assert codes(tell("reports", {"company": company, "score": 2})) == ["contradictory_fact"]
    assert _score(house, company, before) == 1
    gone = house.platform.post("/v1/fact-withdrawals", {"items": [{"fact_id": new, "reason": "not so"}] * 2})["items"]
    assert codes(gone) == [201, "withdrawn_already"]
    assert _score(house, company, before) is None
    shown = house.platform.get(f"/v1/companies/{company_id(house, company)}/facts?kind=report")["items"]
    assert [one["withdrawn"] for one in shown] == [False, False, True]
    assert codes(tell("reports", {"company": company, "score": 3, "corrects": shown[-1]["fact_id"]})) == [201]
    assert _score(house, company, before) == 3


def _score(house: House, ref: dict[str, str], moment: datetime) -> int | None:
    known_id = company_id(house, ref)
    with house.services.database.transaction() as session:
        report = queries.known(session, company_ids=[known_id], as_of=moment)[known_id].report
    return None if report is None else int(report.body["score"])


def test_a_correction_is_of_the_same_thing(tell: Tell, company: dict[str, str]) -> None:
    """Of another day, another company's, nobody's: refused. A number's day is a value, and can be corrected."""
    kept = tell("reports", {"company": company})[0]["fact_id"]
    moved = {"company": company, "effective_date": "2026-03-01", "corrects": kept}
    assert codes(tell("reports", moved, {"corrects": kept})) == ["other_fact", "other_fact"]
    nobody = {"company": company, "corrects": "fct_01h455vb4pex5vsknk084sn02q"}
    assert codes(tell("reports", nobody)) == ["unknown_fact"]
    order = {"company": company, "number": "ORDER-9"}
    first = tell("orders", order)[0]["fact_id"]
    assert codes(tell("orders", order | {"effective_date": "2026-03-01"})) == ["contradictory_fact"]
    assert codes(tell("orders", order | {"effective_date": "2026-03-01", "corrects": first})) == [201]


@pytest.mark.parametrize(
    ("kind", "changes", "code", "at"),
    [
        ("orders", {"effective_date": "2026-03-03"}, "fact_in_future", "/effective_date"),
        ("registrations", {"registered_on": "2026-03-03"}, "fact_in_future", "/registered_on"),
        ("invoices", {"due_date": "2026-03-01"}, "due_before_issue", "/due_date"),
        ("orders", {"currency": "XXY"}, "unknown_currency", "/currency"),
        ("orders", {"company": {"scheme": "uscc", "value": "91330200MA2XXXXX0X"}}, "bad_uscc", "/company/value"),
        ("orders", {"company": {"scheme": "platform", "value": "nobody"}}, "unknown_company", "/company"),
        ("orders", {"counterparty": {"scheme": "platform", "value": "nobody"}}, "unknown_company", "/counterparty"),
        ("orders", {"counterparty": {"scheme": "platform", "value": "obligor-1"}}, "same_company", "/counterparty"),
        ("shareholdings", {"person": None}, "one_of_two", ""),
        ("shareholdings", {"counterparty": SELLER}, "one_of_two", ""),
        (
            "orders",
            {"company": {"scheme": "platform", "value": "a", "originator_id": "org_01h455vb4pex5vsknk084sn02q"}},
            "originator_unexpected",
            "/company/originator_id",
        ),
        (
            "statements",
            {"items": {"total_assets": 100, "total_liabilities": 60, "equity": 41}},
            "does_not_add_up",
            "/items/total_assets",
        ),
        (
            "statements",
            {"items": {"total_assets": 100, "total_liabilities": 60, "equity": 40, "current_assets": 101}},
            "does_not_add_up",
            "/items/total_assets",
        ),
        (
            "statements",
            {
                "items": {
                    "total_assets": 9,
                    "total_liabilities": 6,
                    "equity": 3,
                    "ebit": 3,
                    "depreciation": 1,
                    "ebitda": 3,
                }
            },
            "does_not_add_up",
            "/items/ebitda",
        ),
    ],
)
def test_what_cannot_be_is_refused(tell: Tell, kind: str, changes: dict[str, Any], code: str, at: str) -> None:
    """Each with its code and a pointer to what is wrong; the item beside it is not spoiled."""
    tell("registrations", {}, {"company": SELLER})
    bad, good = tell(kind, changes, {"source": f"beside-{code.replace('_', '-')}"})
    assert bad["status"] == 422
    assert (bad["errors"][0]["code"], bad["errors"][0]["pointer"]) == (code, f"/items/0{at}")
    assert good["status"] in {200, 201}


def test_a_controller_is_not_swapped(tell: Tell, company: dict[str, str]) -> None:
    """Nobody begins before the end of the one before is told, dated, after the beginning; by source."""
    at = {"company": company}
    began, ended = at | {"event": "began"}, at | {"event": "ended"}
    assert codes(tell("controls", began | {"person": LI, "effective_date": "2025-01-01"})) == [201]
    swapped = tell("controls", began | {"person": WANG, "effective_date": "2025-06-01"})
    assert codes(swapped) == ["controller_not_ended"]
    assert swapped[0]["errors"][0]["value"].startswith("fct_")
    assert codes(
        tell(
            "controls",
            ended | {"person": WANG, "effective_date": "2025-06-01"},
            ended | {"person": LI, "effective_date": "2025-01-01"},
            ended | {"person": LI, "effective_date": "2025-06-01"},
            began | {"person": WANG, "effective_date": "2025-05-31"},
            began | {"person": WANG, "effective_date": "2025-06-01"},
        )
    ) == ["control_not_begun", "control_not_begun", 201, "control_overlaps", 201]
    assert codes(tell("controls", began | {"person": LI, "source": "register"})) == [201]


def test_shares_are_no_more_than_the_whole(tell: Tell, company: dict[str, str]) -> None:
    """What one holder gains another has to have given up first."""
    at = {"company": company}
    li, wang = at | {"person": LI}, at | {"person": WANG}
    assert codes(tell("shareholdings", li | {"share_bps": 7_000}, wang | {"share_bps": 3_001})) == [
        201,
        "shares_exceed_whole",
    ]
    sold = li | {"share_bps": 0, "effective_date": "2026-03-01"}
    assert codes(tell("shareholdings", sold, wang | {"share_bps": 3_000})) == [201, 201]


def test_two_tell_the_other_thing_at_once(house: House, tell: Tell, company: dict[str, str]) -> None:
    """Of contradicting facts told at the same moment by many, one is kept, and every other is refused."""
    house.platform.token = house.platform.sign_in()
    results: list[Any] = []

    def send(score: int) -> None:
        results.extend(codes(tell("reports", {"company": company, "score": score})))

    threads = [threading.Thread(target=send, args=(score,)) for score in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["201", *["contradictory_fact"] * 5]


def test_facts_are_sealed_in_the_database(house: House, tell: Tell) -> None:
    """Not even the owner changes or removes one; a second first fact of a place is refused by the index."""
    tell("registrations", {})
    with as_owner(house.services.database) as connection:
        for statement in ("UPDATE company_fact SET source = 'x'", "DELETE FROM company_fact"):
            with pytest.raises(DBAPIError), connection.begin_nested():
                connection.execute(text(statement))


def test_no_national_id_and_no_account_is_kept_in_the_clear(house: House, tell: Tell) -> None:
    """Not in a fact, not in the list of work, not in an answer."""
    tell("registrations", {})
    tell("accounts", {})
    places = "SELECT body::text FROM company_fact UNION ALL SELECT payload::text FROM work_item"
    with house.services.database.transaction() as session:
        told = "\n".join(session.execute(text(places)).scalars())
    shown = house.platform.call("GET", f"/v1/companies/{company_id(house, {'value': 'obligor-1'})}/facts").text
    for secret in (PERSON["national_id"], FACTS["tell_accounts"]["account"]):
        assert secret not in told + shown
    assert '"2222"' in told
