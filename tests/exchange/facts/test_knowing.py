"""What is known of a company at a moment, how old it is, and what is missing."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from exchange.auth import Role
from exchange.facts import queries, rules
from exchange.facts.rules import ControlEvent
from scoring import statements
from tests.exchange.facts.bodies import FACT_POLICY, ITEMS, PERSON, SELLER
from tests.exchange.facts.conftest import Tell
from tests.exchange.facts.test_facts import LI, WANG, codes, company_id
from tests.exchange.house import Client, House, enter_client, make_key, public_jwk

LATER = datetime(2200, 1, 1, tzinfo=UTC)


def known(house: House, ref: dict[str, str], as_of: datetime = LATER) -> queries.CompanyFacts:
    """What is known of a company."""
    asked = company_id(house, ref)
    with house.services.database.transaction() as session:
        return queries.known(session, company_ids=[asked], as_of=as_of)[asked]


def test_all_of_it_together(house: House, tell: Tell, company: dict[str, str]) -> None:
    """Statements in order, the newest reports, who controls it, shares, accounts, a year of dealings by currency."""
    at = {"company": company}
    tell("registrations", {"company": SELLER})
    for end in ("2025-12-31", "2023-12-31", "2024-12-31"):
        tell("statements", at | {"effective_date": end})
    tell("statements", at | {"effective_date": "2024-12-31", "source": "audit", "items": ITEMS | {"sales": 5}})
    tell("reports", at | {"score": 1}, at | {"score": 2, "effective_date": "2026-02-01"})
    tell("controls", at | {"person": LI, "effective_date": "2024-01-01"})
    tell("person-reports", {"person": LI, "score": 9}, {"person": PERSON, "score": 8, "source": "other"})
    tell("shareholdings", at | {"person": LI}, at | {"person": None, "counterparty": SELLER, "share_bps": 100})
    tell("shareholdings", at | {"person": None, "counterparty": SELLER, "share_bps": 0, "effective_date": "2026-03-01"})
    tell("accounts", at)
    days = ("2026-03-01", "2026-02-01", "2025-03-01")
    tell("orders", *[at | {"number": f"K-{day}", "effective_date": day} for day in days])
    tell("orders", at | {"number": "K-USD", "currency": "USD"})
    found = known(house, company)
    assert [one.effective_date.year for one in found.statements] == [2023, 2024, 2025]
    assert found.statements[1].source == "audit", "of two of one day the one known last"
    assert found.report is not None
    assert (found.report.body["score"], found.controlled_since) == (1, date(2024, 1, 1))
    assert found.person_report is not None
    assert found.person_report.body["score"] == 9
    assert sorted(found.shares.values()) == [100, 6_000]
    assert (len(found.accounts), found.accounts[0].body["ending"]) == (1, "2222")


def test_dealings_of_a_year(house: House, tell: Tell, company: dict[str, str]) -> None:
    """Summed by kind and currency over the 365 days before the moment, not before."""
    tell("registrations", {"company": SELLER})
    days = ("2026-03-01", "2026-02-01", "2024-03-01")
    tell("orders", *[{"company": company, "number": f"D-{day}", "effective_date": day} for day in days])
    tell("orders", {"company": company, "number": "D-USD", "currency": "USD", "quantity_kg": None})
    found = known(house, company, datetime(2026, 3, 3, tzinfo=UTC)).dealings
    first, last = date(2026, 2, 1), date(2026, 3, 1)
    assert found["order", "CNY"] == queries.Dealings(2, 140_000, 2_000, first, last)
    assert (found["order", "USD"].count, found["order", "USD"].quantity_kg) == (1, 0)


def test_nothing_is_known_before_it_is(house: House, tell: Tell, company: dict[str, str]) -> None:
    """As of a moment: a fact counts from when it was told, an older value until its correction."""
    with house.services.database.transaction() as session:
        told_at = house.services.clock.now(session)
    old = tell("reports", {"company": company, "score": 1})[0]["fact_id"]
    house.move(9, 30)
    tell("reports", {"company": company, "score": 2, "corrects": old})
    tell("controls", {"company": company, "person": LI})
    moments = (told_at - timedelta(seconds=1), told_at, told_at + timedelta(hours=1))
    seen = [known(house, company, moment) for moment in moments]
    assert [one.report and one.report.body["score"] for one in seen] == [None, 1, 2]
    assert [one.controller_id is None for one in seen] == [True, True, False]


def test_the_newest_price(house: House, tell: Tell) -> None:
    """Of each series that is asked for, as of the moment."""
    series = [{"series": "ABS", "price_minor": n, "effective_date": f"2026-02-0{n}"} for n in (1, 3, 2)]
    tell("prices", *series, {"series": "PET"})
    with house.services.database.transaction() as session:
        found = queries.prices(session, as_of=LATER, series=["ABS", "none"])
        assert {"ABS", "PET"} <= queries.prices(session, as_of=LATER).keys()
    assert {name: one.body["price_minor"] for name, one in found.items()} == {"ABS": 3}


def test_statements_as_scoring_reads_them(house: House, tell: Tell, company: dict[str, str]) -> None:
    """Whole years only, one row a year, and the builder of features takes them."""
    at = {"company": company}
    sizes = [(2023, 100), (2024, 130), (2025, 90)]
    for year, size in sizes:
        items = {"total_assets": size, "total_liabilities": 60, "equity": size - 60, "net_income": -5}
        tell("statements", at | {"effective_date": f"{year}-12-31", "items": items})
    tell("statements", at | {"effective_date": "2025-09-30", "months": 9})
    facts = known(house, company)
    years, companies = queries.firm_years({facts.company_id: facts})
    assert years.year.tolist() == [2023, 2024, 2025]
    assert companies == [facts.company_id] * 3
    matrix, names = statements.build(years)
    growth = matrix[:, names.index("total_assets growth over 1")]
    assert (len(matrix), growth[0] != growth[0]) == (3, True), "nothing is before the first year"


def test_sources_and_their_age(house: House, tell: Tell, company: dict[str, str]) -> None:
    """By kind and source: how many, the newest, its age, and whether it is too old; a platform sees nobody else's."""
    at, path = {"company": company}, f"/v1/companies/{company_id(house, company)}/sources"
    tell("reports", at | {"effective_date": "2025-11-01"}, at | {"effective_date": "2025-10-01"})
    tell("controls", at | {"person": LI, "effective_date": "2025-01-01"})
    tell("person-reports", {"person": LI, "source": "bureau", "effective_date": "2026-03-01"})
    ref = company | {"originator_id": house.originator_id}
    told = {"company": ref, "source": "operator", "score": 1}
    assert codes(tell("reports", told, client=house.operator)) == [201]
    found = {(one["kind"], one["source"]): one for one in house.platform.get(path)["items"]}
    old = found["report", "erp"]
    assert (old["facts"], old["age_days"], old["max_age_days"], old["too_old"]) == (2, 121, 90, True)
    assert not found["report", "operator"]["too_old"]
    assert found["person_report", "bureau"]["age_days"] == 1


def test_a_checklist_says_what_is_missing_and_why(house: House, tell: Tell, company: dict[str, str]) -> None:
    """Missing, too old, present: complete only when all that is needed is there; why is said in both languages."""
    at, path = {"company": company}, f"/v1/companies/{company_id(house, company)}/checklist?product=procurement_credit"
    tell("registrations", {"company": SELLER})
    tell("orders", at | {"number": "C-1", "effective_date": "2025-03-01"})
    before = house.platform.get(path)
    states = {item["kind"]: item["state"] for item in before["items"]}
    assert (states["registration"], states["order"], states["control"]) == ("present", "too_old", "missing")
    assert not before["complete"]
    assert all(item["why"]["en"] and item["why"]["zh"] for item in before["items"])
    tell("controls", at | {"person": WANG})
    for kind, number in (("orders", "C-2"), ("deliveries", "C-3"), ("invoices", "C-4")):
        tell(kind, at | {"number": number})
    after = house.platform.get(path)
    assert after["complete"]
    missing = {item["kind"] for item in after["items"] if item["state"] == "missing"}
    assert missing == {"return", "payment", "report", "person_report", "account"}


def test_a_policy_speaks_of_everything(house: House) -> None:
    """One that leaves out a kind or a product is refused; a whole one is a new version, and counts at once."""
    refused = house.operator.refused("PUT", "/v1/fact-policy", FACT_POLICY)
    assert {fault["code"] for fault in refused["errors"]} == {"missing"}
    policy = house.operator.get("/v1/fact-policy")
    version = policy.pop("version")
    unknown = policy | {"age_limits": [*policy["age_limits"], {"kind": "rumour", "days": 1}]}
    assert house.operator.refused("PUT", "/v1/fact-policy", unknown)["errors"][0]["code"] == "unknown_kind"
    changed = policy | {"age_limits": [one | {"days": 7} for one in policy["age_limits"]]}
    assert house.operator.put("/v1/fact-policy", changed)["version"] == version + 1
    assert {one["days"] for one in house.platform.get("/v1/fact-policy")["age_limits"]} == {7}
    house.operator.put("/v1/fact-policy", policy)


def test_another_platforms_company_is_nobody(house: House, tell: Tell, company: dict[str, str]) -> None:
    """Its facts, sources and checklist answer 404; an auditor is not asked at all."""
    tell("reports", {"company": company})
    asked = company_id(house, company)
    key = make_key("rival platform")
    entered = house.operator.post("/v1/originators", {"name": "Rival platform", "public_jwk": public_jwk(key)})
    rival = Client(house.app.test_client(), entered["client_id"], key)
    for path in ("facts", "sources", "checklist?product=working_capital"):
        assert rival.refused("GET", f"/v1/companies/{asked}/{path}")["code"] == "not_found"
    auditor = enter_client(house.services, house.app, role=Role.AUDITOR, name="auditor")
    assert auditor.refused("GET", f"/v1/companies/{asked}/facts")["code"] == "forbidden"


days = st.dates(date(2024, 1, 1), date(2024, 1, 12))


@given(st.lists(st.tuples(days, st.sampled_from(["began", "ended"]), st.sampled_from("abc")), max_size=14))
def test_one_person_controls_at_a_time(told: list[tuple[date, str, str]]) -> None:
    """Whatever is told in whatever order: on no day do the facts that were kept have two people in control."""
    kept: list[ControlEvent] = []
    for one in told:
        event = ControlEvent(*one)
        if rules.control_fault(kept, event, at="") is None:
            kept.append(event)
    ends = [one for one in kept if one.event == "ended"]
    for day in (date(2024, 1, number) for number in range(1, 13)):
        standing = [
            begin
            for begin in kept
            if begin.event == "began"
            and begin.day <= day
            and not any(end.person == begin.person and begin.day < end.day <= day for end in ends)
        ]
        assert len(standing) <= 1


def test_a_share_counts_once() -> None:
    """What a holder had is replaced by what it has now."""
    held = {"a": 6_000, "b": 4_000}
    assert rules.share_fault(held, holder="a", share_bps=6_000, at="") is None
    refused = rules.share_fault(held, holder="b", share_bps=4_001, at="")
    assert refused is not None
    assert refused.code == "shares_exceed_whole"
