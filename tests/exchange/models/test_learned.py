"""What the loop learns from rows that were lived: the join of company and controller, what is lost; old model files."""

import json
from collections.abc import Iterator
from datetime import timedelta
from math import exp, log, log1p
from typing import Any

import pytest
from sqlalchemy import text

from exchange.models import actions, queries
from exchange.models.actions import By
from exchange.risk import engines
from exchange.servicing.actions import close_assets
from scoring import model
from scoring.join import TRUST_ROWS
from scoring.model import FORMAT, Model
from tests.exchange.facts.bodies import CREDIT, DAY, TOLD
from tests.exchange.house import House, receipt, receivable
from tests.exchange.settlement.book import own_house

GOOD = CREDIT | {"overdue_minor": 0, "worst_days_past_due": 0, "court_cases": 0, "score": 700}
BAD = CREDIT | {"overdue_minor": 2_500, "worst_days_past_due": 60, "court_cases": 2, "score": 500}
SAID = {
    "good": -3.891820 - 0.7 - 0.35 + 0.3 * 10 / 5_000,
    "bad": -3.891820 + 0.8 + 1.5 * 0.5 + 2 * 0.4 + 2 * 0.5 + 0.35 + 0.3 * 10 / 5_000,
}
"""The log-odds of either report, by the weights that `scoring.sides` names, added up by hand."""
REPORT_ROWS = 8
LATE = {("good", "good"): 2, ("good", "bad"): 8, ("bad", "good"): 10, ("bad", "bad"): 17}
EACH = 20
"""Of so many obligors of each kind, by company and by controller, how many pay late."""
WHO = "tester"


@pytest.fixture(scope="module")
def house(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house in which nothing falls due by itself."""
    with own_house(server_url, tmp_path_factory.mktemp("learned")) as opened:
        opened.only()
        yield opened


def by(house: House) -> By:
    """Whoever acts, now."""
    with house.services.database.transaction() as session:
        now = house.services.clock.now(session)
    return By(WHO, "because", house.today, now)


def told(house: House, path: str, items: list[dict[str, Any]], *, status: int = 201) -> list[dict[str, Any]]:
    """The results of a bulk request of which every item has to be taken."""
    client = house.operator if path == "receipts" else house.platform
    answer = client.post(f"/v1/{path}", {"items": items})
    assert {one["status"] for one in answer["items"]} == {status}, answer
    found: list[dict[str, Any]] = answer["items"]
    return found


def test_the_join_is_learned_from_what_was_decided(house: House) -> None:
    """Eighty newcomers with reports of company and controller, forty days later: the weights of least loss, by hand."""
    kinds = [kind for kind in LATE for _ in range(EACH)]
    firms = [{"scheme": "platform", "value": f"join-{at}"} for at in range(len(kinds))]
    people = [{"national_id": f"11010119600101{at:04}"} for at in range(len(kinds))]
    pairs = list(zip(firms, people, strict=True))
    told(house, "facts/registrations", [TOLD | {"status": "active", "name": "J", "company": firm} for firm in firms])
    told(house, "facts/controls", [TOLD | {"event": "began", "company": firm, "person": one} for firm, one in pairs])
    reports = {"good": TOLD | GOOD, "bad": TOLD | BAD}
    told(house, "facts/reports", [reports[kind[0]] | {"company": one} for kind, one in zip(kinds, firms, strict=True)])
    persons = [reports[kind[1]] | {"person": one} for kind, one in zip(kinds, people, strict=True)]
    told(house, "facts/person-reports", persons)
    house.run()
    ids = house.submit(*(receivable(f"JOIN-{at}", obligor=one, issue_date=DAY, due_date="2026-03-03",
                                    face_minor=1_000) for at, one in enumerate(firms)))  # fmt: skip
    with house.services.database.transaction() as session:
        assert queries.learned_join(session, today=house.today, horizon_days=30) is None, "no outcome is known"
    house.move(9, days=1)
    punctual = [at for at, kind in enumerate(kinds) if at % EACH >= LATE[kind]]
    told(house, "receipts", [receipt(ids[at], 1_000, value_date=house.today) for at in punctual])
    house.run()
    house.move(9, days=40)
    late = next(at for at in range(len(kinds)) if at not in punctual)
    told(house, "receipts", [receipt(ids[late], 1_000, value_date=house.today)])  # late is late, paid or not
    house.run()
    with house.services.database.transaction() as session:
        assert queries.learned_join(session, today=house.today - timedelta(days=11), horizon_days=30) is None
        found = queries.learned_join(session, today=house.today, horizon_days=30)
    assert found is not None
    assert found.average == pytest.approx(log(37 / 43))
    at = [*found.weights, found.intercept]
    assert min(at[:3]) >= 0
    for place in range(4):
        for step in (-0.02, 0.02):
            moved = [value + step * (place == other) for other, value in enumerate(at)]
            assert min(moved[:3]) < 0 or _loss(moved, average=found.average) > _loss(at, average=found.average)


def _loss(weights: list[float], *, average: float) -> float:
    """What the fit makes least: the log-loss of the eighty, and half the squares of the weights. It is convex."""
    trust = REPORT_ROWS / (REPORT_ROWS + TRUST_ROWS)
    total = 0.5 * sum(weight * weight for weight in weights[:3])
    for (company, controller), late in LATE.items():
        sides = [(SAID[said] - average) * trust for said in (company, controller)]
        logit = sum(w * x for w, x in zip(weights, [*sides, max(sides), 1.0], strict=True))
        total += late * log1p(exp(-logit)) + (EACH - late) * log1p(exp(logit))
    return total


def test_losses_are_learned_from_what_defaulted(house: House) -> None:
    """Of four defaults one is paid, one half given up, one given up and a quarter of it recovered, one open still."""
    ids = house.submit(*(receivable(f"LGD-{n}", due_date=house.today.isoformat(), issue_date=DAY, face_minor=1_000_000)
                         for n in range(5)))  # fmt: skip
    paid, half, back, still, punctual = ids
    told(house, "receipts", [receipt(punctual, 1_000_000, value_date=house.today)])
    house.move(9, days=1)
    with house.services.database.transaction() as session:
        now, day = house.services.clock.now(session), house.today + timedelta(days=95)
        close_assets(session, services=house.services, asset_ids=ids, business_date=day, now=now)
        assert queries.lost(session, kind="lgd", today=day) == (0, 0), "none of them is over"
    house.move(9, days=96)
    told(house, "receipts", [receipt(paid, 1_000_000, value_date=house.today),
                             receipt(half, 500_000, value_date=house.today)])  # fmt: skip
    for asset_id, amount_minor in ((half, 500_000), (back, 400_000), (back, 400_000), (back, 200_000)):
        body = {"amount_minor": amount_minor, "reason": "insolvent"}
        assert house.operator.post(f"/v1/assets/{asset_id}/write-offs", body)["state"] == "done"
    line = {"bank_reference": "B-1", "value_date": house.today.isoformat(), "amount_minor": 250_000, "currency": "CNY"}
    house.operator.post(f"/v1/assets/{back}/recoveries", line)
    house.platform.post("/v1/credit-notes", {"items": [
        {"asset_id": still, "number": "CN-1", "amount_minor": 100_000, "reason": "return",
         "issue_date": house.today.isoformat()}]})  # fmt: skip
    with house.services.database.transaction() as session:
        assert queries.lost(session, kind="lgd", today=house.today) == (3, 0 + 500_000 + 750_000)
        claims, diluted = queries.lost(session, kind="dilution", today=house.today)
        ended = session.execute(text("SELECT count(*) FROM claim WHERE outstanding_minor = 0 OR due_date < :day"),
                                {"day": house.today - timedelta(days=90)}).scalar_one()  # fmt: skip
        assert (claims, diluted) == (ended, 100_000)
        actions.learn_losses(session, today=house.today, now=now)
    rates = {one["kind"]: one for one in house.operator.get("/v1/loss-rates")["items"]}
    assert (rates["lgd"]["rate_ppm"], rates["lgd"]["outcomes"]) == ((1_250_000 + 20 * 400_000 + 11) // 23, 3)


def test_a_default_that_was_split_is_not_over(house: House) -> None:
    """What was divided lives on in its parts: nothing is owed of the whole, and nothing was lost of it."""
    with house.services.database.transaction() as session:
        before = queries.lost(session, kind="lgd", today=house.today)
        divided = """
            UPDATE claim SET state = 'split', outstanding_minor = 0 WHERE outstanding_minor > 0
            AND asset_id IN (SELECT asset_id FROM servicing_fact WHERE kind = 'default') RETURNING asset_id
        """
        assert len(session.execute(text(divided)).all()) == 1
        assert queries.lost(session, kind="lgd", today=house.today) == before
        session.rollback()


def test_an_old_model_file_decides_nothing(house: House) -> None:
    """In force it is refused by its code wherever it is asked, what waits goes on waiting; a new one ends that."""
    content = {"card": {}, "features": ["age"], "format": FORMAT - 1}
    version, named = model._version_of(model._canonical(content)), Model.prior().version
    with house.services.database.transaction() as session:
        insert = text("INSERT INTO scoring_model VALUES (:version, :body, '{}', now())")
        session.execute(insert, {"version": version, "body": json.dumps({"body": content, "version": version})})
        engines.note(session, version=version, event="candidate", by=WHO, reason="-", today=house.today,
                     now=by(house).now)  # fmt: skip
    (asset_id,) = house.submit(receivable("OLD-1"))
    assert house.operator.get(f"/v1/assets/{asset_id}/decision")["model_version"] == named
    events = house.operator.get(f"/v1/models/{version}")["events"]
    assert (events[0]["event"], events[0]["reason"]) == ("dropped", "cannot be read: model_format_old")
    with house.services.database.transaction() as session:
        engines.note(session, version=version, event="promoted", by=WHO, reason="-", today=house.today,
                     now=by(house).now)  # fmt: skip
    problem = house.operator.refused("GET", "/v1/models/current")
    assert (problem["status"], problem["code"], problem["numbers"]["reason"]) == (
        409,
        "model_unusable",
        "model_format_old",
    )
    assert f"read is {FORMAT}" in problem["detail"]
    answer = house.platform.post("/v1/receivables", {"items": [receivable("OLD-2")]})
    waiting = answer["items"][0]["asset_id"]
    with pytest.raises(engines.ModelUnusable):
        house.run()
    assert house.operator.refused("GET", f"/v1/assets/{waiting}/decision")["code"] == "not_found"
    with house.services.database.transaction() as session:
        assert not actions.works(session)
        engines.keep(session, engine=engines.read(session, version=named), now=by(house).now)
        engines.note(session, version=named, event="restored", by=WHO, reason="-", today=house.today, now=by(house).now)
    house.run()
    assert house.operator.get(f"/v1/assets/{waiting}/decision")["model_version"] == named
