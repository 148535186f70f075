"""Close a business date for a chunk of assets."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from exchange.callbacks.actions import Notice, tell_many
from exchange.registry.actions import Fact, record_many
from exchange.servicing import rules


def assets_to_close(session: Session, *, business_date: date) -> list[str]:
    """The unpaid assets for which `business_date` is a milestone."""
    query = text("""
        SELECT asset_id FROM claim
        WHERE outstanding_minor > 0 AND due_date = ANY(:dates)
        ORDER BY asset_id
    """)
    return list(session.execute(query, {"dates": sorted(rules.due_dates(business_date))}).scalars())


def close_assets(session: Session, *, asset_ids: Sequence[str], business_date: date, now: datetime) -> None:
    """Note what the day means for each of the assets: one fact, signed from lateness on, and its holder is told."""
    kinds = rules.due_dates(business_date)
    insert = text("""
        INSERT INTO servicing_fact (asset_id, business_date, kind, days_past_due, outstanding_minor, recorded_at)
        SELECT claim.asset_id, :business_date, milestone.kind, greatest(:business_date - claim.due_date, 0),
               claim.outstanding_minor, :now
        FROM claim
        JOIN unnest(cast(:dates AS date[]), cast(:kinds AS text[])) AS milestone(due_date, kind)
          ON milestone.due_date = claim.due_date
        WHERE claim.asset_id = ANY(:ids) AND claim.outstanding_minor > 0
        ORDER BY claim.asset_id
        ON CONFLICT DO NOTHING
        RETURNING asset_id, kind, days_past_due, outstanding_minor
    """)
    parameters = {
        "business_date": business_date,
        "now": now,
        "dates": list(kinds),
        "kinds": list(kinds.values()),
        "ids": list(asset_ids),
    }
    noted = [row for row in session.execute(insert, parameters) if not row.kind.startswith("reminder")]
    noted.sort(key=lambda row: row.asset_id)
    _tell(session, noted, business_date=business_date, now=now)


def _tell(session: Session, noted: Sequence[Any], *, business_date: date, now: datetime) -> None:
    """Sign the facts, and tell whoever holds the assets."""
    holders = _holders(session, [row.asset_id for row in noted])
    bodies = [
        {
            "business_date": business_date.isoformat(),
            "days_past_due": row.days_past_due,
            "outstanding_minor": row.outstanding_minor,
        }
        for row in noted
    ]
    facts = [Fact(row.asset_id, f"asset.{row.kind}", body) for row, body in zip(noted, bodies, strict=True)]
    pending = record_many(session, facts=facts, now=now)
    notices = [
        Notice(
            funder_id=holders[row.asset_id],
            type="asset.late" if rules.is_late(row.kind) else "asset.defaulted",
            data=body | {"asset_id": row.asset_id, "stage": row.kind},
            pending_id=pending_id,
        )
        for row, body, pending_id in zip(noted, bodies, pending, strict=True)
        if row.asset_id in holders
    ]
    tell_many(session, notices=notices, now=now)


def _holders(session: Session, asset_ids: Sequence[str]) -> dict[str, str]:
    """The funder that holds each asset, where one does."""
    query = text("""
        SELECT claim.asset_id, pool.funder_id FROM claim JOIN pool ON pool.pool_id = claim.pool_id
        WHERE claim.asset_id = ANY(:ids) AND claim.state = 'assigned'
    """)
    return dict(session.execute(query, {"ids": list(asset_ids)}).all())
