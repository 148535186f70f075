"""Decisions made again by the thousand, prices with their parts, limits as of any date, products, the risk appetite."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from exchange.risk import decisions, engines, limits
from exchange.risk.limits import Asked, Basis
from exchange.risk.losses import Known
from exchange.risk.rules import Policy, RiskTerms, most_tenor_days, policy_faults, price
from scoring import features
from scoring.engine import Engine, KnownSides
from scoring.facts import Trades
from scoring.model import Model, Scores
from tests.exchange.house import OPENING, House, mandate, receivable
from tests.exchange.receivables.shared import at_once
from tests.exchange.risk.test_scoring import TODAY, history
from tests.scoring.conftest import synthetic_book

MANY = 10_000
TERMS = RiskTerms()
CREDIT = {"currency": "CNY", "loans_minor": 10**6, "overdue_minor": 900_000, "worst_days_past_due": 200}


@pytest.fixture(scope="module")
def taught(house: House) -> House:
    """A house that has learned from a year of trade."""
    house.platform.post("/v1/trade-history", {"items": list(history())})
    house.operator.post("/v1/models", {"horizon_days": 30})
    house.run()
    return house


def company_id(house: House, value: str) -> str:
    """The id of a company the platform names so."""
    with house.services.database.transaction() as session:
        found: str = session.execute(text("SELECT company_id FROM company WHERE value = :v"), {"v": value}).scalar_one()
    return found


def test_ten_thousand_decisions_made_again(taught: House) -> None:
    """With papers and without, under two models and two versions of rates: the same bytes; a changed one is named."""
    chance = np.random.default_rng(4)
    book = synthetic_book(rows=2_000, seed=5)
    matrix = np.tile(features.build(book, asked=book), (MANY // 2_000, 1))
    known = KnownSides(*(chance.integers(low, high, MANY) for low, high in ((-(9**6), 9**6), (0, 3)) * 2))
    asked = [Asked(f"ast_{n:05}", n, 1, "CNY", 1, TODAY, TODAY + timedelta(n % 200), "org") for n in range(MANY)]
    with taught.services.database.transaction() as session:
        for part, engine in enumerate((engines.in_force(session), Engine())):
            rows = slice(part * MANY // 2, (part + 1) * MANY // 2)
            sides = KnownSides(*(column[rows] for column in known))
            rates = Known(lgd_bps=3_000 + part, lgd_version=part)
            frozen = decisions.freeze(asked[rows], sides=sides, rates=rates, policy=Policy(part, TERMS), today=TODAY)
            decisions.store(session, asked[rows], matrix=matrix[rows], frozen=frozen, engine=engine, now=OPENING)
        engines._engines.clear()
        found: list[decisions.Again] = []
        while page := decisions.replay(session, after=max((one.asset_id for one in found), default="")):
            found += page
        assert len(found) == MANY
        assert [one for one in found if not one.equal] == []
        spoil = "UPDATE decision SET {} WHERE asset_id = 'ast_0{}'"
        session.execute(text(spoil.format("pd_ppm = pd_ppm + 1", "0007")))
        session.execute(text(spoil.format("model_version = 'mdl_gone'", "0008")))
        session.execute(text(spoil.format(r"features = '\x00000000'", "0009")))
        wrong = {one.asset_id[-4:]: one.code for one in decisions.replay(session) if not one.equal}
        assert wrong == {"0007": "record_changed", "0008": "model_unknown", "0009": "decision_features_damaged"}
        session.rollback()


def test_a_decision_from_before_is_made_again_as_it_was(taught: House) -> None:
    """Of one kept without frozen inputs, by a champion alone, the columns come out the same."""
    book = synthetic_book(rows=300, seed=5)
    matrix = features.build(book, asked=book)
    scores = Model.prior().score(matrix)
    insert = text("""
        INSERT INTO decision (asset_id, model_version, features, pd_ppm, late_ppm, grade, days_late, lgd_bps,
                              expected_loss_ppm, reasons, decided_at)
        VALUES (:id, :version, :raw, :pd, :late, :grade, :days, :lgd, :loss, '["prior_model"]', now())
    """)
    with taught.services.database.transaction() as session:
        for at in range(20):
            values = (scores.pd_ppm, scores.late_ppm, scores.grade, scores.days_late, scores.lgd_bps)
            names = ("pd", "late", "grade", "days", "lgd")
            told = {name: int(column[at]) for name, column in zip(names, values, strict=True)}
            told |= {"loss": int(scores.expected_loss_ppm[at])}
            row: dict[str, Any] = {"id": f"ast_a{at:03}", "version": Model.prior().version}
            session.execute(insert, row | told | {"raw": matrix[at].astype("<f8").tobytes()})
        found = decisions.replay(session, after="ast_a")
        assert [one.equal for one in found if one.asset_id.startswith("ast_a0")] == [True] * 20
        session.rollback()


def test_what_a_decision_says(taught: House) -> None:
    """Each part's chance, when payment comes, the longest term, a price whose parts sum, reasons in both languages."""
    (asset_id,) = taught.submit(receivable("SAYS", obligor={"scheme": "platform", "value": "payer-5"}))
    shown = taught.platform.get(f"/v1/assets/{asset_id}/decision")
    answer, discount = shown["answer"], shown["answer"]["discount"]
    assert shown["pd_ppm"] == answer["champion_ppm"] != answer["challenger_ppm"]
    unpaid = list(answer["unpaid_after_days"].values())
    assert unpaid == sorted(unpaid, reverse=True)
    assert discount.pop("total_bps") * 100 == sum(discount.values())
    assert shown["frozen"]["tenor_days"] == 60
    assert all(reason["en"] and reason["zh"] for reason in shown["reasons"])
    assert 15 <= answer["most_tenor_days"] <= 360
    assert taught.operator.refused("GET", "/v1/assets/ast_01h455vb4pex5vsknk084sn02q/decision")["code"] == "not_found"
    assert taught.funders[0].refused("GET", f"/v1/assets/{asset_id}/decision")["code"] == "forbidden"


def test_papers_move_the_chance(taught: House) -> None:
    """A bad credit report of the company raises the chance of its next asset, and the record says why."""
    item = {"obligor": {"scheme": "platform", "value": "payer-0"}, "face_minor": 77_777}
    (before,) = taught.submit(receivable("PAPER-1", **item))
    told = {"source": "bureau", "effective_date": TODAY.isoformat(), "company": item["obligor"]} | CREDIT
    answer = taught.operator.post("/v1/facts/reports", {"items": [told]})
    if answer["items"][0]["status"] != 201:
        answer = taught.platform.post("/v1/facts/reports", {"items": [told]})
    assert answer["items"][0]["status"] == 201, answer
    (after,) = taught.submit(receivable("PAPER-2", **item))
    first, second = (taught.operator.get(f"/v1/assets/{one}/decision") for one in (before, after))
    assert first["frozen"]["sides"] is None
    assert second["frozen"]["sides"][1] > 0
    assert second["pd_ppm"] > first["pd_ppm"]
    assert second["reasons"][0]["code"] == "company_facts_raises_risk"


def test_limits_as_they_stood(taught: House) -> None:
    """Before, during and after: the limit and its ceilings, what was taken, why, and who may lift a suspension."""
    taught.deposit(0, 10**10)
    taught.funders[0].post("/v1/mandates", mandate())
    taught.submit(receivable("LINE-1", obligor={"scheme": "platform", "value": "payer-1"}))
    company = company_id(taught, "payer-1")
    fresh = taught.operator.get(f"/v1/limits/{company}")["lines"][0]
    assert fresh["used_minor"] == 0
    assert fresh["limit_minor"] == fresh["parts"][fresh["cause"]] == min(fresh["parts"].values())
    taught.move(10, 30)
    (held,) = taught.operator.get(f"/v1/limits/{company}")["lines"]
    assert held["used_minor"] == 1_000_000
    assert held["free_minor"] == held["limit_minor"] - 1_000_000
    then = taught.operator.get(f"/v1/limits/{company}?as_of=2026-03-02T01:30:00Z")["lines"][0]
    assert (then["used_minor"], then["limit_minor"]) == (0, held["limit_minor"])
    never = taught.operator.get(f"/v1/limits/{company}?as_of=2026-01-01T00:00:00Z")["lines"][0]
    assert (never["limit_minor"], never["cause"]) == (0, None)
    events = taught.operator.get(f"/v1/limits/{company}/history")["items"]
    assert [(one["kind"], one["cause"]) for one in events] == [("limit", fresh["cause"]), ("use", "reserved")]
    taught.operator.post("/v1/limit-suspensions", {"obligor_id": company, "reason": "rumours"})
    (line,), (standing,) = (taught.operator.get(f"/v1/limits/{company}")[name] for name in ("lines", "suspensions"))
    assert (line["free_minor"], standing["lifting"], standing["reason"]) == (0, "person", "rumours")
    assert any(one["company_id"] == company for one in taught.operator.get("/v1/limits")["items"])
    assert taught.operator.refused("GET", "/v1/limits/com_01h455vb4pex5vsknk084sn02q")["code"] == "not_found"


def test_a_group_has_one_limit(taught: House) -> None:
    """Two companies under one controller, decided at once by many: together never above the group's share."""
    terms = RiskTerms(portfolio_minor=10**9, concentration_bps=200, group_bps=300, first_line_minor=10**9)
    person = {"controller": {"national_id": "110101199003071234"}}
    for name in ("twin-1", "twin-2"):
        taught.submit(receivable(f"{name}-A", obligor={"scheme": "platform", "value": name} | person))
    with taught.services.database.transaction() as session:
        query = text("SELECT number FROM company WHERE value IN ('twin-1', 'twin-2') ORDER BY number")
        twins = list(session.execute(query).scalars())

    def decide(number: int) -> None:
        for step in range(4):
            with taught.services.database.transaction() as session:
                asked = [Asked("a", twins[(number + step) % 2], 9, "EUR", 1, TODAY, TODAY + timedelta(360), "org")]
                pds = np.array([500])
                scores = Scores(pds, pds, pds, pds, np.array([4_000]), pds, [[]])
                basis = Basis(Policy(1, terms), "mdl_x", Trades.from_rows(()))
                limits.review(session, asked=asked, scores=scores, terms=[360], basis=basis, today=TODAY, now=OPENING)

    at_once(4, decide)
    with taught.services.database.transaction() as session:
        rows = session.execute(
            text("SELECT limit_minor FROM exposure WHERE currency = 'EUR' AND obligor = ANY(:t) ORDER BY 1"),
            {"t": twins},
        )
        assert list(rows.scalars()) == [10**7, 2 * 10**7]
        causes = session.execute(text("SELECT DISTINCT cause FROM obligor_limit WHERE currency = 'EUR'")).scalars()
        assert set(causes) == {"concentration", "group"}


def test_products_open_by_what_is_known(taught: House) -> None:
    """What a payer lacks for more is told; others' customers are nobody's business."""
    taught.submit(receivable("PRODUCT", obligor={"scheme": "platform", "value": "payer-2"}))
    company = company_id(taught, "payer-2")
    shown = taught.operator.get(f"/v1/companies/{company}/products")
    by_name = {one["product"]: one for one in shown["products"]}
    gates = {gate["code"]: gate for gate in by_name["working_capital"]["gates"]}
    assert (gates["statements"]["found"], gates["statements"]["open"], gates["settled"]["open"]) == (0, False, True)
    assert not gates["identified"]["open"], "a platform's name for it is no identity"
    assert shown["terms"][0]["tailored"] is None
    assert taught.platform.get(f"/v1/companies/{company}/products") == shown
    unknown = "com_01h455vb4pex5vsknk084sn02q"
    for client in (taught.platform, taught.operator):
        assert client.refused("GET", f"/v1/companies/{unknown}/products")["code"] == "not_found"


def test_the_risk_appetite_is_data_in_versions(taught: House) -> None:
    """A policy is the next version, the next price goes by it; one that contradicts itself is refused."""
    before = taught.operator.get("/v1/risk-policy")["version"]
    assert taught.operator.put("/v1/risk-policy", {"margin_bps": 400})["version"] == before + 1
    (asset_id,) = taught.submit(receivable("DEARER", obligor={"scheme": "platform", "value": "payer-3"}))
    shown = taught.operator.get(f"/v1/assets/{asset_id}/decision")
    assert shown["frozen"]["terms"]["version"] == before + 1
    assert shown["answer"]["discount"]["margin_ppm"] == -(-400 * 100 * 60 // 360)
    rising = {"most_tenor_days": [10] * 10 + [20], "group_bps": 1}
    faults = taught.operator.refused("PUT", "/v1/risk-policy", rising)["errors"]
    assert {fault["code"] for fault in faults} == {"terms_rise", "group_below_company"}
    assert taught.operator.refused("PUT", "/v1/risk-policy", {"most_tenor_days": [1]})["code"] == "invalid_request"


def test_longest_terms() -> None:
    """What the grade allows, less the wait until hardly anybody is unpaid; never below the shortest term."""
    edges = (0, 7, 15, 30, 60, 90)
    asked: dict[str, Any] = {
        "edges": edges, "allowed_days": TERMS.most_tenor_days, "tolerated_ppm": TERMS.unpaid_tolerated_ppm
    }  # fmt: skip
    assert most_tenor_days(0, unpaid_ppm=None, **asked) == 360
    assert most_tenor_days(0, unpaid_ppm=(10**6, 60_000, 50_000, 0, 0, 0), **asked) == 345
    assert most_tenor_days(3, unpaid_ppm=(10**6,) * 6, **asked) == 90
    assert most_tenor_days(10, unpaid_ppm=(10**6,) * 6, **asked) == most_tenor_days(99, unpaid_ppm=(9**9,) * 6, **asked)


def test_a_price_that_cannot_be_is_a_refusal() -> None:
    """It is kept as a code, not as a number."""
    asked = {"dilution_loss_ppm": 0, "tenor_days": 90, "cost_of_funds_bps": 300, "margin_bps": 100}
    assert price(10**6, lgd_bps=10_000, **asked) == {"refused": "price_discount_exceeds_face"}
    assert price(20_000, lgd_bps=4_000, **asked)["total_bps"] == 180
    assert [fault.code for fault in policy_faults(RiskTerms(most_tenor_days=(5,)))] == ["grades_uncovered"]
    assert policy_faults(TERMS) == []
    assert date(2026, 3, 2) == TODAY
