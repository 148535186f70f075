"""The closed loop over a month: trained, in shadow, promoted on evidence, taken back; all of it in rows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from exchange.models import actions, queries, rules
from exchange.models.actions import By
from exchange.risk import engines
from exchange.risk.facts import all_trades, day_number
from exchange.risk.rules import RiskTerms
from scoring import features
from scoring.engine import Engine
from scoring.model import fit, training_rows
from tests.exchange.house import OPENING, House, receivable

TODAY = date(2026, 3, 2)
FIRST = date(2025, 6, 1)
PAYERS = 40
WHO = By("tester", "because", TODAY, OPENING)


def history() -> Iterator[dict[str, Any]]:
    """Nine months, a trade of each payer a week: the higher its number, the more often it pays 40 days late."""
    for number in range(PAYERS * 40):
        payer, place = number % PAYERS, number // PAYERS
        issued = FIRST + timedelta(days=place * 7 - place // 8)
        due = issued + timedelta(days=30)
        late = (place * 7 + payer * 3) % 20 < payer // 4
        settled = due + timedelta(days=40 if late else place % 3 - 1)
        if issued <= TODAY:
            yield {
                "invoice_number": f"PAST-{number}",
                "seller": {"scheme": "platform", "value": f"seller-{payer % 3}"},
                "obligor": {"scheme": "platform", "value": f"payer-{payer}"},
                "currency": "CNY",
                "face_minor": 100_000 + place,
                "issue_date": issued.isoformat(),
                "due_date": due.isoformat(),
            } | ({"settled_date": settled.isoformat()} if settled <= TODAY else {})


def put_in_force(house: House, *, wrong: bool) -> str:
    """Put a model in force that learned long ago, from outcomes turned round where it is to be `wrong`."""
    with house.services.database.transaction() as session:
        rows = training_rows(all_trades(session), as_of_day=day_number(TODAY) - 90)
        if wrong:
            rows = replace(rows, days_late=np.where(rows.days_late > 30, 0, 40))
        made = Engine(fit(rows, matrix=features.build(rows.known, asked=rows.matured), horizon_days=30))
        engines.keep(session, engine=made, now=OPENING)
        engines.note(session, version=made.version, event="promoted", by="t", reason="t", today=TODAY, now=OPENING)
        return made.version


@pytest.fixture(scope="module")
def lived(house: House) -> House:
    """A house with nine months of trade, a wrong model in force, and a candidate that scored one asset in shadow."""
    items = list(history())
    for start in range(0, len(items), 1000):
        answer = house.platform.post("/v1/trade-history", {"items": items[start : start + 1000]})
        assert {result["status"] for result in answer["items"]} == {201}
    terms = {"retrain_days": 365, "retrain_labels": 1_000_000}
    assert house.operator.put("/v1/risk-policy", terms)["version"] == 1
    put_in_force(house, wrong=True)
    assert house.operator.post("/v1/models", {"horizon_days": 30}) == {"job": "models.train"}
    house.run()
    house.submit(*(receivable(f"NEW-{n}", obligor={"scheme": "platform", "value": f"payer-{n}"}) for n in range(3)))
    house.only("models")
    return house


def of_state(house: House, state: str) -> list[str]:
    """The versions of models in a state."""
    return [one["version"] for one in house.operator.get("/v1/models")["items"] if one["state"] == state]


def test_a_candidate_scores_in_shadow_only(lived: House) -> None:
    """Both score; the one in force decides; neither impatience nor a missing comparison lets the candidate in."""
    (candidate,), (wrong,) = of_state(lived, "candidate"), of_state(lived, "in_force")
    with lived.services.database.transaction() as session:
        shadow = session.execute(text("SELECT version, count(*) FROM shadow_score GROUP BY 1")).all()
        deciding = session.execute(text("SELECT DISTINCT model_version FROM decision")).scalars().all()
    assert (shadow, deciding) == ([(candidate, 3)], [wrong])
    assert lived.operator.get("/v1/models/current")["version"] == wrong
    refused = lived.operator.refused("POST", f"/v1/models/{candidate}/promotion", {"reason": "now"})
    assert (refused["code"], refused["detail"][-17:]) == ("shadow_not_over", "30 days are left.")
    for version, code in ((wrong, "not_a_candidate"), ("mdl_0123456789abcdef", "not_found")):
        assert lived.operator.refused("POST", f"/v1/models/{version}/promotion", {"reason": "-"})["code"] == code


def test_a_month_later_it_is_promoted_on_evidence(lived: House) -> None:
    """By itself, once its shadow is over, with the comparison that showed it; then the way back, and forth."""
    (candidate,), (wrong,) = of_state(lived, "candidate"), of_state(lived, "in_force")
    lived.move(3, days=29)
    assert of_state(lived, "candidate") == [candidate]
    lived.move(3, days=1)
    (now,) = of_state(lived, "in_force")
    assert now != wrong
    whole = lived.operator.get(f"/v1/models/{now}")
    promoted, compared = whole["events"][0], lived.operator.get(f"/v1/models/{candidate}")["evaluations"][0]
    assert (promoted["event"], promoted["by"], promoted["reason"]) == ("promoted", "closed loop", "shadow is over")
    assert compared["verdict"] == "better"
    loss = compared["figures"]["log_loss"]
    assert loss["low"] <= loss["difference"] <= loss["high"] < 0
    assert compared["figures"]["rows"] > 100
    assert promoted["evidence"]["log_loss"] == loss
    back = lived.operator.post("/v1/models/rollback", {"reason": "we liked it"})
    assert back == {"version": wrong}
    assert lived.operator.get("/v1/models/current")["version"] == wrong
    assert lived.operator.post("/v1/models/rollback", {"reason": "no", "version": now}) == {"version": now}
    assert lived.operator.refused("POST", "/v1/models/rollback", {"reason": "no", "version": now})["code"] == (
        "nothing_to_restore"
    )
    assert [one["event"] for one in lived.operator.get(f"/v1/models/{wrong}")["events"]] == ["restored", "promoted"]


def test_mondays_look_for_drift_and_losses(lived: House) -> None:
    """Drift is a row with each figure and what chance explains; rates stay priors while nothing was learned."""
    (now,) = of_state(lived, "in_force")
    with lived.services.database.transaction() as session:
        assert actions.watch(session, by=WHO) is None, "it has decided about nothing yet"
    lived.submit(receivable("DRIFT", obligor={"scheme": "platform", "value": "payer-9"}))
    with lived.services.database.transaction() as session:
        by = WHO._replace(now=lived.services.clock.now(session))
        found = actions.watch(session, by=by)
    assert found is not None
    assert next(iter(found["figures"])) == "pd"
    (drift,) = [one for one in lived.operator.get(f"/v1/models/{now}")["evaluations"] if one["kind"] == "drift"]
    assert drift["verdict"] == found["verdict"]
    assert lived.operator.get("/v1/loss-rates") == {"items": []}


def test_losses_are_learned_and_used(lived: House) -> None:
    """A rate with its count and prior becomes a version when more is known, and the next decision goes by it."""
    with lived.services.database.transaction() as session:
        session.execute(
            text("""
                INSERT INTO loss_rate
                VALUES ('lgd', 1, 250049, 30, 400000, 20, '2026-03-02', now()),
                       ('dilution', 1, 9000, 10, 5000, 500, '2026-03-02', now())
            """)
        )
    (asset_id,) = lived.submit(receivable("LOSS", obligor={"scheme": "platform", "value": "payer-3"}))
    decided = lived.operator.get(f"/v1/assets/{asset_id}/decision")
    assert decided["lgd_bps"] == 2_500
    assert decided["frozen"]["rates"] == {
        "lgd_bps": 2_500, "lgd_version": 1, "dilution_ppm": 9_000, "dilution_version": 1
    }  # fmt: skip
    assert decided["expected_loss_ppm"] == (decided["pd_ppm"] * 2_500 + 5_000) // 10_000 + 2_250
    assert {one["kind"]: one["outcomes"] for one in lived.operator.get("/v1/loss-rates")["items"]} == {
        "lgd": 30, "dilution": 10
    }  # fmt: skip


def test_what_is_not_better_is_dropped(lived: House) -> None:
    """The same model again shows no difference; a worse one loses; the loop lets both go."""
    version = put_in_force(lived, wrong=False)
    with lived.services.database.transaction() as session:
        same = actions.evaluate(session, version=version, by=WHO)
        assert same["verdict"] in {"no_different", "too_thin"}
        wrong = next(one for one in queries.once_in_force(session) if one != version)
        assert queries.candidate(session, version=wrong) is None
        actions.drop(session, version=wrong, by=WHO)
        assert queries.model(session, version=wrong)["state"] == "dropped"
        session.rollback()


def test_at_once_is_for_rehearsals(lived: House) -> None:
    """Where a model works and the clock is real, nobody skips the shadow."""
    with lived.services.database.transaction() as session, pytest.raises(rules.ShadowNeeded):
        actions.train(session, horizon_days=30, at_once=True, by=WHO, virtual=False)


@pytest.mark.parametrize(
    ("labels", "days", "due"),
    [(500, None, True), (499, None, False), (100, 7, True), (99, 7, False), (100, 6, False), (500, 0, True)],
)
def test_when_training_is_due(labels: int, days: int | None, *, due: bool) -> None:
    """Every 500 outcomes, or weekly where there are some."""
    assert rules.training_is_due(terms=RiskTerms(), labels=labels, days=days) is due


def test_what_promotion_needs() -> None:
    """The end of the shadow, a comparison after it, and that it says better."""
    since = TODAY - timedelta(days=30)
    candidate = rules.Candidate("v", since, "better", {}, TODAY)
    asked: dict[str, Any] = {"version": "v", "today": TODAY, "terms": RiskTerms()}
    assert rules.check_promotion(candidate, **asked) is candidate
    for changed, refusal in (
        (None, rules.NotACandidate),
        (candidate._replace(since=since + timedelta(days=1)), rules.ShadowNotOver),
        (candidate._replace(compared_on=TODAY - timedelta(days=1)), rules.NotBetter),
        (candidate._replace(compared_on=None), rules.NotBetter),
        (candidate._replace(verdict="no_different"), rules.NotBetter),
    ):
        with pytest.raises(refusal):
            rules.check_promotion(changed, **asked)


def test_only_operators_change_models(lived: House) -> None:
    """Platforms and funders neither change models nor see them; an unknown one is not found."""
    for client in (lived.platform, lived.funders[0]):
        for path in ("/v1/models", "/v1/loss-rates", "/v1/risk-policy"):
            assert client.refused("GET", path)["code"] == "forbidden"
        assert client.refused("POST", "/v1/models/rollback", {"reason": "-"})["code"] == "forbidden"
    assert lived.operator.refused("GET", "/v1/models/mdl_0123456789abcdef")["code"] == "not_found"
    body = {"reason": "-"}
    assert lived.operator.refused("POST", "/v1/models/mdl_0123456789abcdef/evaluation", body)["code"] == "not_found"
