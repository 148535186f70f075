"""Models, what became of them, what was found of them; outcomes to learn from."""

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from exchange.errors import NotFound
from exchange.models.rules import Candidate
from exchange.risk import engines
from exchange.risk.facts import day_number
from exchange.risk.models import LossRate, ScoringModel
from scoring.engine import KnownSides, sides_of
from scoring.facts import NOT_SETTLED
from scoring.join import Join

DILUTED_AFTER_DAYS = 90
"""So long after the due date hardly any credit note is still to come."""
JOIN_EVENTS_MIN = 30
JOIN_ROWS = 20_000

OUTCOMES = {
    "lgd": """
        SELECT fact.outstanding_minor AS stake_minor, given_up.amount_minor AS lost_minor
        FROM (
            SELECT DISTINCT ON (asset_id) asset_id, outstanding_minor FROM servicing_fact
            LEFT JOIN servicing_withdrawal AS untrue USING (asset_id, business_date, kind, revision)
            WHERE kind = 'default' AND untrue.asset_id IS NULL AND outstanding_minor > 0
            ORDER BY asset_id, business_date
        ) AS fact
        JOIN claim ON claim.asset_id = fact.asset_id AND claim.outstanding_minor = 0 AND claim.state <> 'split'
        LEFT JOIN LATERAL (
            SELECT sum(amount_minor - recovered_minor) AS amount_minor FROM write_off
            WHERE write_off.asset_id = fact.asset_id
        ) AS given_up ON true
    """,
    "dilution": """
        SELECT claim.face_minor AS stake_minor, credited.amount_minor AS lost_minor
        FROM claim
        LEFT JOIN (SELECT asset_id, sum(amount_minor) AS amount_minor FROM credit_note GROUP BY 1) AS credited
          USING (asset_id)
        WHERE claim.state <> 'split' AND claim.face_minor > 0
          AND (claim.outstanding_minor = 0 OR claim.due_date < :until)
    """,
}
"""What was at stake and what was lost of it. Of a default that is over: what was owed then, and what was given up and
did not come back. Of a claim that is over or long due: its face, and what was credited away."""
LOST = """
    SELECT count(*) AS outcomes,
           coalesce(sum(least(coalesce(lost_minor, 0), stake_minor) * 1000000 / stake_minor), 0)::bigint AS lost_ppm
    FROM ({outcomes}) AS outcome
"""
NEW_LABELS = text("""
    SELECT count(*) FROM trade WHERE due_day + :horizon BETWEEN :first AND :last
""")
SCORED = text("""
    SELECT features FROM decision WHERE model_version = :version AND decided_at > :since AND decided_at <= :now
    ORDER BY decided_at DESC, asset_id LIMIT :limit
""")
WITH_SIDES = text("""
    SELECT features, frozen, answer, settled_day, due_day
    FROM decision JOIN trade ON trade.trade_id = decision.asset_id
    WHERE frozen -> 'sides' <> 'null'::jsonb AND frozen -> 'sides' <> '[0, 0, 0, 0]'::jsonb
      AND due_day + :horizon < :today
    ORDER BY decided_at DESC, asset_id LIMIT :limit
""")
EVENTS = """
    SELECT event, by, reason, evidence, business_date, recorded_at FROM model_event WHERE version = :version
    ORDER BY number DESC LIMIT 100
"""
EVALUATIONS = """
    SELECT kind, verdict, figures, by, business_date, recorded_at FROM model_evaluation WHERE version = :version
    ORDER BY number DESC LIMIT 100
"""
NEWEST_EVALUATION = """
    SELECT verdict, figures, business_date FROM model_evaluation WHERE version = :version AND kind = :kind
    ORDER BY number DESC LIMIT 1
"""
MODELS = """
    SELECT version, card, trained_at, newest.event, newest.business_date AS since, newest.number
    FROM scoring_model
    JOIN LATERAL (
        SELECT event, business_date, number FROM model_event WHERE model_event.version = scoring_model.version
        ORDER BY number DESC LIMIT 1
    ) AS newest ON true
"""
MIGRATION = text("""
    WITH graded AS (
        SELECT trade.obligor, decision.grade, decision.decided_at FROM decision
        JOIN trade ON trade.trade_id = decision.asset_id WHERE decided_at <= :now
    ), before AS (
        SELECT DISTINCT ON (obligor) obligor, grade FROM graded WHERE decided_at <= :since
        ORDER BY obligor, decided_at DESC, grade DESC
    ), after AS (
        SELECT DISTINCT ON (obligor) obligor, grade FROM graded WHERE decided_at > :since
        ORDER BY obligor, decided_at DESC, grade DESC
    )
    SELECT before.grade, after.grade, count(*) FROM before JOIN after USING (obligor) GROUP BY 1, 2 ORDER BY 1, 2
""")


def version_in_force(session: Session) -> str | None:
    """The version that scores; None while the labelled prior does."""
    return session.execute(engines.FORCE).scalar_one_or_none()


def once_in_force(session: Session) -> list[str]:
    """The versions that were ever in force, the last one first."""
    query = text("""
        SELECT version FROM model_event WHERE event IN ('promoted', 'restored') GROUP BY version
        ORDER BY max(number) DESC
    """)
    return list(session.execute(query).scalars())


def candidate(session: Session, *, version: str) -> Candidate | None:
    """A model in shadow with its newest comparison; None where it is none."""
    if version not in engines.candidates(session):
        return None
    row = session.execute(text(NEWEST_EVALUATION), {"version": version, "kind": "comparison"}).first()
    found = Candidate(version, since(session, version=version))
    return found if row is None else Candidate(version, found.since, row.verdict, row.figures, row.business_date)


def since(session: Session, *, version: str) -> date:
    """The business date since which a model is what it is."""
    query = text("SELECT business_date FROM model_event WHERE version = :version ORDER BY number DESC LIMIT 1")
    found: date = session.execute(query, {"version": version}).scalar_one()
    return found


def models(session: Session, *, after: str | None, limit: int) -> list[dict[str, Any]]:
    """Every model with what it is now, by version."""
    query = text(f"{MODELS} WHERE (cast(:after AS text) IS NULL OR version > :after) ORDER BY version LIMIT :limit")
    force = version_in_force(session)
    rows = session.execute(query, {"after": after, "limit": limit})
    return [_shown(row, force) for row in rows]


def model(session: Session, *, version: str) -> dict[str, Any]:
    """One model with all that became of it (`NotFound`)."""
    row = session.execute(text(f"{MODELS} WHERE version = :version"), {"version": version}).first()
    if row is None:
        raise NotFound(f"There is no model {version}.")
    asked = {"version": version}
    return _shown(row, version_in_force(session)) | {
        "events": [dict(one) for one in session.execute(text(EVENTS), asked).mappings()],
        "evaluations": [dict(one) for one in session.execute(text(EVALUATIONS), asked).mappings()],
    }


def current(session: Session) -> dict[str, Any]:
    """The model in force with its card; the labelled prior while there is no other."""
    scores = engines.in_force(session)
    return {"version": scores.version, "card": scores.card}


def loss_rate(session: Session, *, kind: str) -> LossRate | None:
    """A rate of loss as learned last; None while the prior stands."""
    query = select(LossRate).where(LossRate.kind == kind).order_by(LossRate.version.desc()).limit(1)
    return session.execute(query).scalar_one_or_none()


def loss_history(session: Session) -> list[dict[str, Any]]:
    """The rates of loss, newest first."""
    query = text("""
        SELECT kind, version, rate_ppm, outcomes, prior_ppm, prior_weight, learned_on FROM loss_rate
        ORDER BY kind, version DESC LIMIT 1000
    """)
    return [dict(row) for row in session.execute(query).mappings()]


def lost(session: Session, *, kind: str, today: date) -> tuple[int, int]:
    """How many outcomes a rate of loss can be learned from, and the sum of their shares lost in ppm."""
    query = text(LOST.format(outcomes=OUTCOMES[kind]))
    row = session.execute(query, {"until": today - timedelta(days=DILUTED_AFTER_DAYS)}).one()
    return row.outcomes, row.lost_ppm


def new_labels(session: Session, *, today: date, horizon_days: int) -> tuple[int, int | None]:
    """The outcomes that became known since the newest model was trained, and the days since (None: there is none)."""
    query = select(ScoringModel.card["as_of_day"].as_integer()).order_by(ScoringModel.trained_at.desc()).limit(1)
    cut = session.execute(query).scalar_one_or_none()
    last = day_number(today) - 1
    asked = {"horizon": horizon_days, "first": -(10**6) if cut is None else cut + 1, "last": last}
    labels = int(session.execute(NEW_LABELS, asked).scalar_one())
    return labels, None if cut is None else last - cut


def scored_since(session: Session, *, version: str, days: int, now: datetime, limit: int) -> list[Row[Any]]:
    """The features of what a model scored in the last days, newest first."""
    asked = {"version": version, "since": now - timedelta(days=days), "now": now, "limit": limit}
    return list(session.execute(SCORED, asked).all())


def learned_join(session: Session, *, today: date, horizon_days: int) -> Join | None:
    """The join of company and controller as outcomes have it; None while they are too few."""
    asked = {"horizon": horizon_days, "today": day_number(today), "limit": JOIN_ROWS}
    rows = session.execute(WITH_SIDES, asked).all()
    bad = np.array([min(row.settled_day, NOT_SETTLED) > row.due_day + horizon_days for row in rows], dtype=np.bool_)
    if min(int(bad.sum()), len(bad) - int(bad.sum())) < JOIN_EVENTS_MIN:
        return None
    matrix = np.array([np.frombuffer(row.features, dtype="<f8") for row in rows])
    known = KnownSides(*np.array([row.frozen["sides"] for row in rows], dtype=np.int64).T)
    spoken = np.array([row.answer[_voice(row.answer)] for row in rows], dtype=np.int64)
    return Join.fit(sides_of(matrix, spoken, known), events=bad)


def migration(session: Session, *, now: datetime, days: int) -> list[list[int]]:
    """(grade then, grade now, obligors): each obligor's last grade before that many days ago and its last since."""
    return [list(row) for row in session.execute(MIGRATION, {"now": now, "since": now - timedelta(days=days)})]


def _voice(answer: dict[str, Any]) -> str:
    return "champion_ppm" if answer["voice"] == "scorecard" else "challenger_ppm"


def _shown(row: Row[Any], force: str | None) -> dict[str, Any]:
    state = {"candidate": "candidate", "dropped": "dropped"}.get(row.event, "retired")
    return {
        "version": row.version,
        "state": "in_force" if row.version == force else state,
        "since": row.since,
        "trained_at": row.trained_at,
        "card": row.card,
    }
