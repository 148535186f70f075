"""Rounds, as their callers see them; answers, as they are applied."""

from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from exchange.pools.models import Claim
from exchange.rounds.answers import Answer
from exchange.rounds.market import Inputs, inputs_of
from exchange.rounds.models import Clearing, RoundPart
from exchange.rounds.rules import outcome_of

COUNTS = ("currency", "asset_count", "mandate_count", "eligible_count", "placed_count", "inputs_digest")
PROOF = ("head_digest", "value", "bound", "complete")


def answers(session: Session, *, round_id: str) -> list[Answer]:
    """What a round's currencies were solved to."""
    query = select(Clearing.inputs, Clearing.certificate).where(
        Clearing.round_id == round_id, Clearing.certificate.is_not(None)
    )
    rows = session.execute(query.order_by(Clearing.currency)).all()
    return [Answer.of(inputs_of(inputs), certificate) for inputs, certificate in rows if certificate is not None]


ROUNDS = """
    SELECT clearing_round.round_id, cut_off_at, clearing_round.state, asked_by, seed, finished_at,
           CASE WHEN cast(:funder_id AS text) IS NULL THEN clearing_round.asset_count END AS asset_count,
           coalesce(own.count, matched_count) AS matched_count, coalesce(own.face, matched_face) AS matched_face
    FROM clearing_round LEFT JOIN LATERAL (
        SELECT coalesce(sum(count), 0)::int AS count, coalesce(jsonb_object_agg(currency, face), '{}') AS face FROM (
            SELECT pool.currency, count(*), sum(face_minor)::bigint AS face
            FROM pool JOIN pool_asset USING (pool_id)
            WHERE pool.round_id = clearing_round.round_id AND funder_id = :funder_id GROUP BY 1
        ) AS by_currency
    ) AS own ON cast(:funder_id AS text) IS NOT NULL
"""


def rounds(
    session: Session, *, funder_id: str | None, state: str | None, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """Rounds, oldest first; to a funder, with what it got."""
    query = text(
        f"{ROUNDS} WHERE (cast(:state AS text) IS NULL OR clearing_round.state = :state) "
        "AND (cast(:after AS text) IS NULL OR clearing_round.round_id > :after) "
        "ORDER BY clearing_round.round_id LIMIT :limit"
    )
    rows = session.execute(query, {"funder_id": funder_id, "state": state, "after": after, "limit": limit})
    return [dict(row) for row in rows.mappings()]


def round_in_full(session: Session, *, round_id: str, funder_id: str | None) -> dict[str, Any] | None:
    """A round with its currencies and what was dropped; a funder is shown its own drops only."""
    query = text(f"{ROUNDS} WHERE clearing_round.round_id = :round_id")
    found = session.execute(query, {"funder_id": funder_id, "round_id": round_id}).mappings().first()
    if found is None:
        return None
    drops = text("""
        SELECT asset_id, round_dropped.mandate_id, amount_minor, code FROM round_dropped
        WHERE round_id = :round_id AND (cast(:funder_id AS text) IS NULL OR mandate_id IN (
            SELECT mandate_id FROM mandate WHERE funder_id = :funder_id))
        ORDER BY asset_id, mandate_id
    """)
    dropped = session.execute(drops, {"round_id": round_id, "funder_id": funder_id}).mappings()
    clearings = [] if funder_id else _clearings(session, round_id=round_id, faces=found["matched_face"])
    return dict(found) | {"clearings": clearings, "dropped": [dict(row) for row in dropped]}


def _clearings(session: Session, *, round_id: str, faces: dict[str, int]) -> list[dict[str, Any]]:
    query = text("""
        SELECT round_clearing.currency, asset_count, mandate_count, eligible_count, inputs_digest, head_digest,
               value::text, bound::text, complete, step, done, "of", (
                   SELECT count(*)::int FROM pool JOIN pool_asset USING (pool_id)
                   WHERE pool.round_id = round_clearing.round_id AND pool.currency = round_clearing.currency
               ) AS placed_count
        FROM round_clearing LEFT JOIN round_progress USING (round_id, currency)
        WHERE round_id = :round_id ORDER BY currency
    """)
    return [
        {name: row[name] for name in COUNTS + PROOF}
        | {
            "placed_minor": faces.get(row["currency"], 0),
            "outcome": outcome_of(
                assets=row["asset_count"],
                mandates=row["mandate_count"],
                eligible=row["eligible_count"],
                placed=row["placed_count"],
            ),
            "progress": None if row["step"] is None else {name: row[name] for name in ("step", "done", "of")},
        }
        for row in session.execute(query, {"round_id": round_id}).mappings()
    ]


def part(session: Session, *, round_id: str, currency: str, funder_id: str) -> RoundPart | None:
    """A funder's part of a currency."""
    return session.get(RoundPart, (round_id, currency, funder_id))


def inputs_with(session: Session, *, round_id: str, asset_id: str) -> list[Inputs]:
    """What was frozen of the currency that an asset is in, of a round; nothing where there is none."""
    query = select(Clearing.inputs).where(
        Clearing.round_id == round_id,
        Clearing.currency == select(Claim.currency).where(Claim.asset_id == asset_id).scalar_subquery(),
    )
    return [inputs_of(data) for data in session.execute(query).scalars()]


def clearing(session: Session, *, round_id: str, currency: str) -> tuple[Inputs, bytes | None] | None:
    """One currency of a round: what was frozen, and the certificate, where there is one."""
    query = select(Clearing.inputs, Clearing.certificate).where(
        Clearing.round_id == round_id, Clearing.currency == currency
    )
    row = session.execute(query).first()
    return None if row is None else (inputs_of(row.inputs), row.certificate)
