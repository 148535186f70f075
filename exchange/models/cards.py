"""The card of a model as rows say it, and the points of a decision."""

from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.errors import NotFound
from exchange.models import queries
from exchange.risk import decisions, engines
from scoring import card, features, model_file
from scoring.engine import Engine

MIGRATION_DAYS = 90
PPM = 1_000_000
MOST_EVENTS = 12
BODY = text("""
    SELECT encode(sha256(convert_to(body, 'UTF8')), 'hex') AS sha256,
           CASE WHEN left(body, 20) LIKE '%"content"%' THEN cast(body AS jsonb) -> 'content' -> 'libraries' END
               AS libraries
    FROM scoring_model WHERE version = :version
""")


def page_of(session: Session, *, version: str, now: datetime) -> str:
    """The card as a page that needs nothing else (`NotFound`)."""
    if version == Engine().version:
        shown: dict[str, Any] = {"version": version, "state": "labelled prior", "since": "the beginning"}
        shown |= {"card": Engine().card, "events": [], "evaluations": []}
        digest, libraries = decisions.sha256(Engine().to_json().encode()), model_file.LIBRARIES
    else:
        shown = queries.model(session, version=version)
        row = session.execute(BODY, {"version": version}).one()
        digest, libraries = row.sha256, row.libraries or model_file.LIBRARIES
    shown |= {
        "state": shown["state"].replace("_", " "),
        "comparison": _newest(shown["evaluations"], "comparison") or _promoted_on(shown["events"]),
        "drift": _newest(shown["evaluations"], "drift"),
        "migration": queries.migration(session, now=now, days=MIGRATION_DAYS),
        "losses": [_loss(row) for row in queries.loss_history(session)],
        "events": [
            (one["business_date"], one["event"], one["by"], one["reason"]) for one in shown["events"][:MOST_EVENTS]
        ],
    }
    return card.page(shown, body_sha256=digest, libraries=libraries)


def points(session: Session, *, asset_id: str) -> list[tuple[str, str, int]]:
    """Each feature of a decision that moved the scorecard's log-odds: name, value, millionths; weightiest first."""
    row = decisions.decided(session, asset_id=asset_id)
    if row is None:
        raise NotFound("There is no such decision.")
    head = engines.read(session, version=row.model_version).champion.serious
    if head is None:
        return []
    matrix = np.frombuffer(row.features, dtype="<f8")[[features.NAMES.index(name) for name in head.names]]
    parts = head.card.contributions(matrix[None, :])[0]
    order = np.argsort(-np.abs(parts), kind="stable")
    told = [(head.names[at], f"{matrix[at]:g}", int(parts[at])) for at in order if parts[at]]
    return [("intercept", "", int(head.card.intercept_micro_)), *told]


def _newest(evaluations: list[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    for one in evaluations:
        if one["kind"] == kind:
            return {**one["figures"], "verdict": one["verdict"]}
    return None


def _promoted_on(events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """A model promoted in another voice has its comparison as the evidence of its promotion."""
    for one in events:
        if one["event"] == "promoted" and one["evidence"]:
            return {**one["evidence"], "verdict": "better"}
    return None


def _loss(row: dict[str, Any]) -> tuple[str, ...]:
    prior = f"{row['prior_ppm'] / PPM:.2%}"
    told = f"{row['rate_ppm'] / PPM:.2%}", str(row["outcomes"]), prior, str(row["prior_weight"]), str(row["learned_on"])
    return (row["kind"], *told)
