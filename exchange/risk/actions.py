"""Learn trade facts, decide about new assets."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import delete, insert, text
from sqlalchemy.orm import Session

from exchange import jobs
from exchange.db import copy_rows
from exchange.risk import decisions, engines, losses, papers
from exchange.risk.facts import day_number, trades_of
from exchange.risk.limits import Asked, Basis, review
from exchange.risk.models import RiskPolicy, ShadowScore, Trade
from exchange.risk.rules import RiskTerms
from scoring import features
from scoring.facts import NOT_SETTLED, Trades

SCORED_JOB = "reviews.screen"
"""Who is next: what is suspicious of a scored asset is found before it can be offered to funders."""


def score(session: Session, *, asset_ids: Sequence[str], today: date, now: datetime) -> None:
    """Decide about the assets that are not decided yet: score, reasons, the obligors' limits; each a signed fact."""
    asked = _asked(session, asset_ids)
    if not asked:
        return
    engine = engines.in_force(session)
    matrix, history = _features(session, asked)
    sides = papers.sides(session, asked=asked, as_of=now)
    policy = losses.policy(session)
    frozen = decisions.freeze(asked, sides=sides, rates=losses.rates(session), policy=policy, today=today)
    _learn_assets(session, asked)
    judged, answers = decisions.store(session, asked, matrix=matrix, frozen=frozen, engine=engine, now=now)
    _score_in_shadow(session, asked, matrix=matrix, today=today, now=now)
    terms = [answer["most_tenor_days"] for answer in answers]
    basis = Basis(policy, engine.version, history)
    review(session, asked=asked, scores=judged.scores, terms=terms, basis=basis, today=today, now=now)
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


def set_policy(session: Session, *, terms: RiskTerms, by: str, now: datetime) -> None:
    """Set the risk appetite as the next version; two at once wait for each other."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('risk.policy'))"))
    version = losses.policy(session).version + 1
    values = {"version": version, "terms": msgspec.to_builtins(terms), "set_by": by, "set_at": now}
    session.execute(insert(RiskPolicy).values(**values))


def forget(session: Session, *, asset_ids: Sequence[str]) -> None:
    """Take out of the trade facts what never was a trade."""
    session.execute(delete(Trade).where(Trade.trade_id.in_(asset_ids)))


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


def _score_in_shadow(
    session: Session, asked: Sequence[Asked], *, matrix: features.Floats, today: date, now: datetime
) -> None:
    """Let the candidates say what they would; nothing is decided by it. One that cannot be read is dropped."""
    rows = []
    for version in engines.candidates(session):
        try:
            said = engines.read(session, version=version).pd_ppm(matrix).tolist()
        except engines.ModelUnusable as refusal:  # what decides does not wait for what only watches
            reason = f"cannot be read: {refusal.numbers['reason']}"
            engines.note(session, version=version, event="dropped", by="scoring", reason=reason, today=today, now=now)
            continue
        rows += [(version, asset.asset_id, pd_ppm, now) for asset, pd_ppm in zip(asked, said, strict=True)]
    if rows:
        copy_rows(session, ShadowScore.__tablename__, ("version", "asset_id", "pd_ppm", "scored_at"), rows)
