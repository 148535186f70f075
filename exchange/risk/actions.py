"""Learn trade facts, put a model in force, decide about new assets."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from sqlalchemy import delete, insert, select, text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.db import copy_rows
from exchange.registry.actions import Fact, note_many
from exchange.risk.facts import all_trades, day_number, trades_of
from exchange.risk.limits import Asked, review
from exchange.risk.models import Decision, ScoringModel, Trade
from scoring import features
from scoring.facts import NOT_SETTLED, Trades
from scoring.grades import NAMES as GRADES
from scoring.model import Model, Scores, train

SCORED_JOB = "pools.list"
"""Who is next: a scored asset can be offered to funders."""


def train_model(session: Session, *, today: date, horizon_days: int, now: datetime) -> Model:
    """Train on every fact known at the end of yesterday, as features are, and put the model in force."""
    model = train(all_trades(session), as_of_day=day_number(today) - 1, horizon_days=horizon_days)
    put_in_force(session, model=model, now=now)
    return model


def put_in_force(session: Session, *, model: Model, now: datetime) -> None:
    """From here on `model` scores."""
    values = {"version": model.version, "body": model.to_json(), "card": model.card, "in_force_at": now}
    session.execute(insert(ScoringModel).values(**values))


def model_in_force(session: Session) -> Model:
    """The model that scores now: the last one put in force, or the labelled prior before the first."""
    query = select(ScoringModel.version).order_by(ScoringModel.installed.desc()).limit(1)
    version = session.execute(query).scalar_one_or_none()
    if version is None:
        return Model.prior()
    known = _models.get(version)
    if known is None:
        body = session.execute(select(ScoringModel.body).where(ScoringModel.version == version).limit(1)).scalar_one()
        known = _read_model(body)
    return known


def score(session: Session, *, asset_ids: Sequence[str], today: date, now: datetime) -> None:
    """Decide about the assets that are not decided yet: score, reasons, the obligors' limits; each a signed fact."""
    asked = _asked(session, asset_ids)
    if not asked:
        return
    model = model_in_force(session)
    matrix, history = _features(session, asked)
    scores = model.score(matrix)
    _learn_assets(session, asked)
    _store_decisions(session, asked, matrix=matrix, scores=scores, model=model, now=now)
    review(session, asked=asked, scores=scores, history=history, today=today, now=now)
    jobs.enqueue(session, job=SCORED_JOB, payload={"asset_ids": [asset.asset_id for asset in asked]})


def learn(session: Session, *, rows: Sequence[Sequence[Any]]) -> None:
    """Enter trade facts, each in the order of `Trade`'s columns."""
    columns = "trade_id obligor seller face_minor issue_day due_day settled_day originator_id"
    copy_rows(session, Trade.__tablename__, columns.split(), rows)


def learn_settlements(session: Session, *, settled: Mapping[str, date]) -> None:
    """Note the day on which assets were settled in full. The first one stays."""
    update = text("""
        UPDATE trade SET settled_day = fact.settled_day
        FROM unnest(cast(:ids AS text[]), cast(:days AS int[])) AS fact(trade_id, settled_day)
        WHERE trade.trade_id = fact.trade_id AND trade.settled_day = :open
    """)
    days = [day_number(day) for day in settled.values()]
    session.execute(update, {"ids": list(settled), "days": days, "open": NOT_SETTLED})


def forget(session: Session, *, asset_ids: Sequence[str]) -> None:
    """Take out of the trade facts what never was a trade."""
    session.execute(delete(Trade).where(Trade.trade_id.in_(asset_ids)))


_models: dict[str, Model] = {}


@lru_cache(maxsize=4)
def _read_model(body: str) -> Model:
    model = Model.from_json(body)
    _models[model.version] = model
    return model


def _asked(session: Session, asset_ids: Sequence[str]) -> list[Asked]:
    query = text("""
        SELECT asset_id, obligor.number, seller.number, currency, confirmation.face_minor, issue_date,
               confirmation.due_date, originator_id
        FROM receivable
        JOIN confirmation USING (asset_id)
        JOIN company AS obligor ON obligor.company_id = receivable.obligor_id
        JOIN company AS seller ON seller.company_id = receivable.seller_id
        WHERE asset_id = ANY(:ids) AND NOT EXISTS (SELECT FROM decision WHERE decision.asset_id = confirmation.asset_id)
        ORDER BY asset_id
    """)
    return [Asked(*row) for row in session.execute(query, {"ids": list(asset_ids)})]


def _features(session: Session, asked: Sequence[Asked]) -> tuple[features.Floats, Trades]:
    """The feature matrix of the assets as of their issue days, and the facts it was made of."""
    obligors = sorted({asset.obligor for asset in asked})
    history = trades_of(session, obligors=obligors, sellers=sorted({asset.seller for asset in asked}))
    rows = [(a.obligor, a.seller, a.face_minor, day_number(a.issue_date), day_number(a.due_date), None) for a in asked]
    return features.build(history, asked=Trades.from_rows(rows)), history


def _learn_assets(session: Session, asked: Sequence[Asked]) -> None:
    rows = (
        (
            asset.asset_id,
            asset.obligor,
            asset.seller,
            asset.face_minor,
            day_number(asset.issue_date),
            day_number(asset.due_date),
            NOT_SETTLED,
            asset.originator_id,
        )
        for asset in asked
    )
    learn(session, rows=list(rows))


def _store_decisions(
    session: Session, asked: Sequence[Asked], *, matrix: features.Floats, scores: Scores, model: Model, now: datetime
) -> None:
    inputs = [row.astype("<f8").tobytes() for row in matrix]
    values = np.column_stack(
        [
            scores.pd_ppm,
            scores.late_ppm,
            scores.grade,
            scores.days_late,
            scores.lgd_bps,
            scores.expected_loss_ppm,
        ]
    ).tolist()
    rows, facts = [], []
    for asset, raw, numbers, reasons in zip(asked, inputs, values, scores.reason_codes, strict=True):
        pd_ppm, late_ppm, grade, days_late, lgd_bps, expected_loss_ppm = numbers
        rows.append((asset.asset_id, model.version, raw, *numbers, orjson.dumps(reasons).decode(), now))
        body = {
            "model": model.version,
            "inputs": hashlib.sha256(raw).hexdigest(),
            "pd_ppm": pd_ppm,
            "late_ppm": late_ppm,
            "grade": GRADES[grade],
            "days_late": days_late,
            "lgd_bps": lgd_bps,
            "expected_loss_ppm": expected_loss_ppm,
            "reasons": reasons,
        }
        facts.append(Fact(asset.asset_id, "asset.scored", body))
    columns = (
        "asset_id model_version features pd_ppm late_ppm grade days_late lgd_bps expected_loss_ppm reasons decided_at"
    )
    copy_rows(session, Decision.__tablename__, columns.split(), rows)
    note_many(session, facts=facts, now=now)
