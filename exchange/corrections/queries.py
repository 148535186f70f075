"""What is known of assets that somebody wants to correct."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.corrections.rules import Known
from exchange.receivables.confirmations import uploaded
from exchange.receivables.rules import all_papers

KNOWN = """
    SELECT receivable.asset_id, receivable.invoice_number, receivable.issue_date, confirmation.confirmed_date,
           receivable.documents, made.fields, made.number, sealed.sequence, sealed.digest,
           EXISTS (SELECT FROM supersession WHERE supersession.asset_id = receivable.asset_id) AS superseded,
           claim.state, claim.outstanding_minor, claim.face_minor, claim.encumbered_minor
    FROM receivable
    JOIN confirmation ON confirmation.asset_id = receivable.asset_id AND confirmation.outcome <> 'refused'
    LEFT JOIN claim ON claim.asset_id = receivable.asset_id
    LEFT JOIN LATERAL (
        SELECT jsonb_object_agg(one.key, one.value ORDER BY correction.number) AS fields, max(number) AS number
        FROM correction CROSS JOIN LATERAL jsonb_each(correction.fields) AS one
        WHERE correction.asset_id = receivable.asset_id
    ) AS made ON true
    LEFT JOIN LATERAL (
        SELECT sequence, encode(digest, 'hex') AS digest, count(*) OVER () AS records FROM asset_event
        WHERE asset_event.asset_id = receivable.asset_id AND kind IN ('asset.confirmed', 'asset.corrected')
        ORDER BY sequence DESC LIMIT 1
    ) AS sealed ON sealed.records = coalesce(made.number, 0) + 1
    WHERE receivable.asset_id = ANY(:ids) AND receivable.originator_id = :originator_id
    ORDER BY receivable.asset_id
"""


def lock(session: Session, *, asset_ids: Sequence[str], originator_id: str) -> None:
    """Let nobody else correct, offer, split or encumber these assets until the transaction ends."""
    parameters = {"ids": list(asset_ids), "originator_id": originator_id}
    claims = "SELECT FROM claim WHERE asset_id = ANY(:ids) ORDER BY root_id, asset_id FOR UPDATE"
    session.execute(text(claims), parameters)
    receivables = """
        SELECT FROM receivable WHERE asset_id = ANY(:ids) AND originator_id = :originator_id
        ORDER BY asset_id FOR NO KEY UPDATE
    """
    session.execute(text(receivables), parameters)


def known(session: Session, *, asset_ids: Sequence[str], originator_id: str) -> dict[str, tuple[Known, int]]:
    """The originator's assets among these as they stand with their corrections, and how many each has."""
    rows = session.execute(text(KNOWN), {"ids": list(asset_ids), "originator_id": originator_id})
    papers = uploaded(session, asset_ids)
    found = {}
    for row in rows.mappings():
        corrected = row["fields"] or {}
        confirmed = corrected.get("confirmed_date")
        found[row["asset_id"]] = (
            Known(
                invoice_number=corrected.get("invoice_number", row["invoice_number"]),
                issue_date=row["issue_date"],
                confirmed_date=date.fromisoformat(confirmed) if confirmed else row["confirmed_date"],
                documents=corrected.get("documents", all_papers(row["documents"], papers.get(row["asset_id"], []))),
                last=None if row["sequence"] is None else (row["sequence"], row["digest"]),
                superseded=row["superseded"],
                listed=row["state"] is not None,
                state=row["state"],
                outstanding_minor=row["outstanding_minor"] or 0,
                face_minor=row["face_minor"] or 0,
                encumbered_minor=row["encumbered_minor"] or 0,
            ),
            row["number"] or 0,
        )
    return found
