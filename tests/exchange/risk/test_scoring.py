"""Models in force, decisions, and deciding again from what was kept."""

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from psycopg.errors import UniqueViolation
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from exchange.jobs import WorkItem
from exchange.registry.queries import record_keys
from exchange.risk import actions, engines
from exchange.risk.decisions import judge
from exchange.risk.facts import all_trades
from exchange.risk.models import Decision, ScoringModel
from ledger.keys import keyring
from ledger.records import open_record
from scoring import features
from scoring.engine import Engine
from scoring.facts import Trades
from scoring.grades import NAMES
from scoring.model import Model
from tests.exchange.house import OPENING, House, receivable
from tests.exchange.receivables.shared import at_once, submission, submit

TODAY = date(2026, 3, 2)
FIRST = date(2025, 3, 1)
PAYERS = 6


def history() -> Iterator[dict[str, Any]]:
    """A year of trade, 720 invoices: the higher a payer's number, the more often it pays 40 days late."""
    for number in range(720):
        payer, place = number % PAYERS, number // PAYERS
        issued = FIRST + timedelta(days=place * 2)
        due = issued + timedelta(days=30)
        settled = due + timedelta(days=40 if (place * 7 + payer) % 20 < payer * 3 else place % 3 - 1)
        yield {
            "invoice_number": f"PAST-{number}",
            "seller": {"scheme": "platform", "value": "seller-1"},
            "obligor": {"scheme": "platform", "value": f"payer-{payer}"},
            "currency": "CNY",
            "face_minor": 100_000 + place,
            "issue_date": issued.isoformat(),
            "due_date": due.isoformat(),
        } | ({"settled_date": settled.isoformat()} if settled <= TODAY else {})


@pytest.fixture(scope="module")
def trained(house: House) -> House:
    """A house that knows a year of trade and has learned from it."""
    answer = house.platform.post("/v1/trade-history", {"items": list(history())})
    assert {result["status"] for result in answer["items"]} == {201}
    assert house.operator.post("/v1/models", {"horizon_days": 30}) == {"job": "models.train"}
    house.run()
    return house


def forget_models() -> None:
    """As in a process that has just started: no model was read yet."""
    engines._engines.clear()


def decisions(session: Session, asset_ids: list[str]) -> list[Decision]:
    """What was decided about these assets, by id."""
    query = select(Decision).where(Decision.asset_id.in_(asset_ids)).order_by(Decision.asset_id)
    return list(session.execute(query).scalars())


def test_before_the_first_model_the_prior_speaks(house: House) -> None:
    """It is labelled as what it is."""
    forget_models()
    shown = house.operator.get("/v1/models/current")
    assert shown == {"version": Model.prior().version, "card": Engine().card}
    (asset_id,) = house.submit(receivable("PRIOR"))
    assert house.operator.get(f"/v1/assets/{asset_id}")["model_version"] == Model.prior().version


def test_the_model_in_force_is_the_last_one(trained: House) -> None:
    """Trained on all that was known yesterday, with every part; read once a process."""
    shown = trained.operator.get("/v1/models/current")
    with trained.services.database.transaction() as session:
        (row,) = session.execute(select(ScoringModel)).scalars()
        engine = Engine.from_json(row.body)
        assert (shown["version"], shown["card"]) == (row.version, row.card) == (engine.version, engine.card)
        assert engine.champion.serious is not None
        assert engine.challenger is not None
        assert engine.hazard is not None
        forget_models()
        first = engines.in_force(session)
        assert first.version == engine.version
        assert engines.in_force(session) is first


def test_worse_payers_get_worse_grades(trained: House) -> None:
    """What was learned shows."""
    payers = [
        receivable(f"PAYER-{payer}", obligor={"scheme": "platform", "value": f"payer-{payer}"}) for payer in (0, 5)
    ]
    good, bad = (trained.operator.get(f"/v1/assets/{asset_id}") for asset_id in trained.submit(*payers))
    assert good["pd_ppm"] * 5 < bad["pd_ppm"]
    assert NAMES.index(good["grade"]) < NAMES.index(bad["grade"])
    assert bad["reasons"]


def test_decisions_can_be_made_again_to_the_bit(trained: House) -> None:
    """From the kept features and model; and the features themselves from the facts, though more is known by now."""
    items = [
        receivable(
            f"AGAIN-{number}",
            obligor={"scheme": "platform", "value": f"payer-{number % PAYERS}"},
            face_minor=10_000 + number,
        )
        for number in range(30)
    ]
    asset_ids = trained.submit(*items)
    with trained.services.database.transaction() as session:
        found = decisions(session, asset_ids)
        assert len({row.model_version for row in found}) == 1
        body = session.execute(select(ScoringModel.body).where(ScoringModel.version == found[0].model_version))
        matrix = np.array([np.frombuffer(row.features, dtype="<f8") for row in found])
        judged, answers = judge(Engine.from_json(body.scalar_one()), matrix, [row.frozen for row in found])
        scores = judged.scores
        assert answers == [row.answer for row in found]
        kept = [
            (row.pd_ppm, row.late_ppm, row.grade, row.days_late, row.lgd_bps, row.expected_loss_ppm, row.reasons)
            for row in found
        ]
        columns = (scores.pd_ppm, scores.late_ppm, scores.grade, scores.days_late, scores.lgd_bps)
        numbers = [column.tolist() for column in (*columns, scores.expected_loss_ppm)]
        assert kept == list(zip(*numbers, scores.reason_codes, strict=True))
        asked = asked_again(session, [row.asset_id for row in found])
        assert [row.tobytes() for row in features.build(all_trades(session), asked=asked)] == [
            row.features for row in found
        ]


def asked_again(session: Session, asset_ids: list[str]) -> Trades:
    """The assets as they were asked about, by id."""
    query = text("""
        SELECT obligor, seller, face_minor, issue_day, due_day FROM trade WHERE trade_id = ANY(:ids) ORDER BY trade_id
    """)
    return Trades.from_rows((*row, None) for row in session.execute(query, {"ids": asset_ids}))


def test_the_record_vouches_for_the_inputs(trained: House) -> None:
    """The signed record names model, numbers and the hash of the features."""
    (asset_id,) = trained.submit(receivable("VOUCHED"))
    link = trained.platform.get(f"/v1/assets/{asset_id}/records")["items"][1]
    with trained.services.database.transaction() as session:
        body = open_record(link["jws"], keys=keyring(record_keys(session))).body
        (row,) = decisions(session, [asset_id])
    assert body["inputs"] == hashlib.sha256(row.features).hexdigest()
    names = ("pd_ppm", "late_ppm", "days_late", "lgd_bps", "expected_loss_ppm", "reasons")
    assert {name: body[name] for name in names} == {name: getattr(row, name) for name in names}
    assert (body["model"], body["grade"]) == (row.model_version, NAMES[row.grade])


def test_scoring_twice_changes_nothing(trained: House) -> None:
    """A decision is made once, whoever repeats the job; a racing repetition fails whole, then finds nothing to do."""
    accepted = {"grade": "explicit", "confirmed_date": TODAY.isoformat()}
    items = [submission(f"TWICE-{n}", confirmation=accepted) for n in range(5)]
    waiting = [result["asset_id"] for result in submit(trained.platform, items)]
    database = trained.services.database

    def score(_: int) -> bool:
        try:
            with database.transaction() as session:
                actions.score(session, asset_ids=waiting, today=TODAY, now=OPENING)
        except (IntegrityError, UniqueViolation):  # COPY raises the driver's own
            return False
        return True

    assert True in at_once(3, score)
    with database.transaction() as session:
        before = [(row.asset_id, row.features) for row in decisions(session, waiting)]
        works = session.execute(select(func.count()).select_from(WorkItem)).scalar_one()
        actions.score(session, asset_ids=waiting, today=TODAY, now=OPENING)
        actions.score(session, asset_ids=[], today=TODAY, now=OPENING)
        assert [(row.asset_id, row.features) for row in decisions(session, waiting)] == before
        assert (
            session.execute(select(func.count()).select_from(WorkItem)).scalar_one() == works == 2
        )  # to score, to list
    assert len(before) == 5
    trained.run()


@pytest.mark.parametrize("body", [{}, {"horizon_days": 0}, {"horizon_days": 366}, {"horizon_days": 1.5}, [], {"x": 1}])
def test_what_is_no_training(house: House, body: object) -> None:
    """Refused at the door."""
    assert house.operator.refused("POST", "/v1/models", body)["code"] == "invalid_request"


def test_only_operators_train(house: House) -> None:
    """Platforms and funders neither train nor see the model."""
    for client in (house.platform, house.funders[0]):
        assert client.refused("POST", "/v1/models", {"horizon_days": 30})["code"] == "forbidden"
        assert client.refused("GET", "/v1/models/current")["code"] == "forbidden"
